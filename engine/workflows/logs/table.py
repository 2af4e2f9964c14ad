"""Event logs as CSV: a row an event, with columns case, activity and timestamp, under their usual names. Only read."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from engine.kernel.errors import nearest
from engine.workflows.logs.model import EventLog, Step, gathered, moment, named, wrong

_COLUMNS = {
    "case": ("case", "case id", "case_id", "caseid", "case:concept:name", "trace", "token"),
    "activity": ("activity", "concept:name", "event", "task", "transition"),
    "timestamp": ("timestamp", "time:timestamp", "time", "date", "complete timestamp"),
    "resource": ("resource", "org:resource", "actor", "user"),
}
_NEEDED = ("case", "activity")


def read(text: str) -> EventLog:
    """Raises InvalidInput with the line, TooLarge. The separator is `,`, `;` or a tab, as in the first line."""
    return gathered(_rows(text.removeprefix("\ufeff")))


def _rows(text: str) -> Iterator[tuple[str, Step]]:
    head = text.split("\n", 1)[0]
    rows = csv.reader(StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        titles = next(rows, [])
        places = _places(titles)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < len(titles):
                raise wrong(f"It has {len(row)} columns instead of {len(titles)}.", rows.line_num)

            def cell(name: str, row: Sequence[str] = row) -> str:
                return row[places[name]] if name in places else ""

            case, activity = (named(cell(name), name, rows.line_num) for name in _NEEDED)
            yield case, Step(activity, moment(cell("timestamp"), rows.line_num), cell("resource"))
    except csv.Error as error:
        raise wrong(f"{error}.", rows.line_num) from None


def _places(titles: Sequence[str]) -> dict[str, int]:
    """Where each column is."""
    known = {title.strip().casefold(): number for number, title in enumerate(titles)}
    found = {
        name: known[spelling]
        for name, spellings in _COLUMNS.items()
        for spelling in reversed(spellings)
        if spelling in known
    }
    for name in _NEEDED:
        if name not in found:
            close = nearest(name, known, 1)
            hint = f" Is it {close[0]!r}?" if close else ""
            raise wrong(f"There is no column {name}.{hint}", 1, "Name the columns case, activity and timestamp.")
    return found
