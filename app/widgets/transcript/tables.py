"""Tables in answers: as wide as what is in them and no wider. Pure.

Columns that do not fit share what there is, the widest giving way first, and their cells wrap. Where even that is too
narrow, each row becomes a list of "header value".
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from app.widgets.transcript.lines import Page, Run, at_newlines, cells_of, cut, text_of, word_breaks

Cell = list[Run]
LEAST_COLUMN = 5
_BAR = Run(" │ ", "rule")


def add_table(page: Page, rows: Sequence[Sequence[Cell]], aligns: Sequence[str], lead: Sequence[Run]) -> None:
    """Put a table on the page; the first of `rows` is its header, which stands to the left in any alignment."""
    wanted = [max(_width(row[column]) for row in rows) for column in range(len(aligns))]
    sizes = shares(wanted, page.room(lead) - len(_BAR.text) * (len(wanted) - 1))
    if sizes is None:
        _add_records(page, rows, lead)
        return
    for row in _rows(rows[0], sizes, [""] * len(aligns)):
        page.add_row(row, lead)
    page.rule(lead, Run("─┼─".join("─" * size for size in sizes), "rule"))
    for cells in rows[1:]:
        for row in _rows(cells, sizes, aligns):
            page.add_row(row, lead)


def shares(wanted: Sequence[int], room: int) -> list[int] | None:
    """How wide each column is, so that all fit in `room`; None when some would get too little."""
    limit, left = max(wanted, default=0), room
    for number, size in enumerate(sorted(wanted)):
        fair = left // (len(wanted) - number)
        if size > fair:
            limit = fair
            break
        left -= size
    if limit < min(LEAST_COLUMN, max(wanted, default=0)):
        return None
    return [min(size, limit) for size in wanted]


def _width(cell: Cell) -> int:
    return max(cells_of(line) for line in at_newlines(cell))


def _rows(cells: Sequence[Cell], sizes: Sequence[int], aligns: Sequence[str]) -> Iterator[list[Run]]:
    wrapped = [list(_wrapped(cell, size)) for cell, size in zip(cells, sizes, strict=True)]
    for lines in zip_longest(*wrapped, fillvalue=None):
        row: list[Run] = []
        for line, size, align in zip(lines, sizes, aligns, strict=True):
            row += [_BAR] if row else []
            row += _aligned(line or [], size, align)
        yield _without_end(row)


def _wrapped(cell: Cell, size: int) -> Iterator[Cell]:
    for part in at_newlines(cell):
        for _, line in cut(part, word_breaks(text_of(part), size)):
            yield _without_end(line)


def _without_end(line: Cell) -> Cell:
    """`line` without the spaces at its end."""
    kept = list(line)
    while kept and not kept[-1].text.rstrip():
        kept.pop()
    return [*kept[:-1], kept[-1]._replace(text=kept[-1].text.rstrip())] if kept else []


def _aligned(line: Cell, size: int, align: str) -> list[Run]:
    spare = max(0, size - cells_of(line))
    left = {"right": spare, "center": spare // 2}.get(align, 0)
    return [Run(" " * left), *line, Run(" " * (spare - left))]


def _add_records(page: Page, rows: Sequence[Sequence[Cell]], lead: Sequence[Run]) -> None:
    header, *others = rows
    for number, row in enumerate(others or [header]):
        if number:
            page.add([Run("")], lead)
        for name, cell in zip(header, row, strict=True):
            page.add([*name, Run("  "), *cell], lead)
