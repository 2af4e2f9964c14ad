"""How each kind of block looks: titles, thinking, what was said, code with its title row, errors, the small line. Pure.

A message is told by the mark before its title (and a bar beside all that the user said), so that no colour is needed.
"""

import re
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size

from app.widgets.transcript.blocks import Block
from app.widgets.transcript.code import lay_code
from app.widgets.transcript.lines import COPY, FOLD, Laid, Line, Page, Run, cells_of, safe
from app.widgets.transcript.markdown import lay
from app.widgets.transcript.message import Entry

GUTTER = 2  # cells before all lines, where the marks stand
MARKS = {"user": "┃", "assistant": "◆", "error": "✗", "system": "▪"}
ANY_MARK = "▫"
GAP = -1  # where the blank line before a block begins, so that it has a point of its own
THOUGHT_BAR = Run("┊ ", "thinking")
LABELS = re.compile(r"(?m)^(What|Why|Fix): *")

_CONTEXT_LINES = 32  # of a fence above a page, which are read again for its colours
_CONTEXT = 50 * _CONTEXT_LINES  # characters, in which to look for them
_COPY_LABEL = "copy "


def lay_block(entry: Entry, block: Block, width: int, *, folded: bool) -> Laid:
    """The lines of a block in `width` cells, gutter and gap included."""
    laid = _lay(entry, block, max(1, width - GUTTER), folded)
    if not laid.lines:
        return laid
    role = entry.message.role
    bar = Run("┃ " if role == "user" else "  ", f"gutter {role}")
    mark = Run(f"{MARKS.get(role, ANY_MARK)} ", f"gutter {role}") if block.kind == "title" else bar
    blank = Line(_beside_gap(block, bar), (), GAP)
    lines = [line._replace(lead=(mark if number == 0 else bar, *line.lead)) for number, line in enumerate(laid.lines)]
    return Laid([blank, *lines] if block.gap else lines, laid.text)


def _beside_gap(block: Block, bar: Run) -> tuple[Run, ...]:
    """Bars go on through the gap before a block, but for the one between messages."""
    if block.kind == "title":
        return (Run("  ", "margin"),)
    return (bar, THOUGHT_BAR) if block.thought else (bar,)


def guess_height(entry: Entry, block: Block, width: int) -> int:
    """About how many lines a block has, without laying it out."""
    if entry.folded(block) and (block.thought or block.fence):
        return 1 + block.gap if block.opens_fence and not block.thought else 0
    if block.fence:
        return entry.message.text.count("\n", block.start, block.end) + block.gap
    return (block.end - block.start) // max(1, width - GUTTER) + 1 + block.gap


def _lay(entry: Entry, block: Block, width: int, folded: bool) -> Laid:
    if block.thought:
        return Laid([], "") if folded else _lay_thought(entry, block, width)
    match block.kind:
        case "title":
            return _lay_words(entry.message.name, width, f"title {entry.message.role}")
        case "meta":
            return _lay_meta(entry.message.meta, width)
        case "thinking":
            return _lay_head(entry.message.thinking, folded)
        case "error":
            return _lay_error(entry.message.text, width)
        case "code":
            return _lay_fence(entry, block, width, folded)
        case _:
            return lay(entry.source(block)[1], width, indent=block.indent, keep_breaks=entry.message.role == "user")


def _lay_words(words: str, width: int, style: str) -> Laid:
    page = Page(width)
    page.add([Run(" ".join(safe(words).split()), style)])
    return page.laid()


def _lay_meta(meta: str, width: int) -> Laid:
    """The small line, drawn out to the right edge as the end of the answer."""
    laid = _lay_words(meta, width, "meta")
    last = laid.lines[-1]
    rest = width - cells_of(last.runs) - 1
    laid.lines[-1] = last._replace(tail=(Run(" " + "─" * rest, "rule"),)) if rest > 0 else last
    return laid


def _lay_head(thinking: str, folded: bool) -> Laid:
    words = len(thinking.split())
    head = f"{'▸' if folded else '▾'} thinking · {words:,} {'word' if words == 1 else 'words'}"
    return Laid([Line((), (Run(head, "thinking", FOLD),), 0)], head)


def _lay_thought(entry: Entry, block: Block, width: int) -> Laid:
    source, room = entry.source(block)[1], width - cell_len(THOUGHT_BAR.text)
    if block.fence:
        laid = lay_code(source, room, language="", indent=block.indent)
    else:
        laid = lay(source, room, indent=block.indent)
    return laid._replace(lines=[_dimmed(line) for line in laid.lines])


def _dimmed(line: Line) -> Line:
    runs = tuple(run._replace(style=f"thought {run.style}") for run in line.runs)
    return line._replace(lead=(THOUGHT_BAR, *line.lead), runs=runs, fill="")


def _lay_error(text: str, width: int) -> Laid:
    page = Page(width)
    for label, said in _labelled(safe(text)):
        page.add([Run(said.replace("\t", " "))], [Run("      ")], [Run(f"{label:<6}", f"label {label.lower()}")])
    return page.laid()


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """What stands behind each label. Text before the first one is what happened."""
    unlabelled, *parts = LABELS.split(text)
    if unlabelled.strip() or not parts:
        yield "What", unlabelled.strip()
    for label, said in zip(parts[::2], parts[1::2], strict=True):
        yield label, said.strip()


def _lay_fence(entry: Entry, block: Block, width: int, folded: bool) -> Laid:
    assert block.fence is not None
    if folded:
        laid = Laid([], "")
    else:
        laid = lay_code(
            entry.source(block)[1],
            width,
            language=block.fence.language,
            before=_above(entry, block),
            indent=block.indent,
        )
    if not block.opens_fence:
        return laid
    return laid._replace(lines=[_code_title(entry, block, width, folded), *laid.lines])


def _above(entry: Entry, block: Block) -> str:
    """Whole lines of the same fence above a page."""
    if block.fence is None or block.fence.page == 0:
        return ""
    start = max(block.fence.start, block.start - _CONTEXT)
    lines = entry.message.text[start : block.start].split("\n")[1:]
    return "\n".join(lines[-_CONTEXT_LINES - 1 :])


def _code_title(entry: Entry, block: Block, width: int, folded: bool) -> Line:
    assert block.fence is not None
    name = safe(block.fence.language) or "text"
    if folded:
        count = entry.code(block.fence.start).count("\n")
        name += f" · {count:,} {'line' if count == 1 else 'lines'}"
    room = width - block.indent - cell_len(_COPY_LABEL)
    label = f"{'▸' if folded else '▾'} {name}"
    if cell_len(label) >= room:
        label = set_cell_size(label, max(1, room - 2)) + "…"
    space = " " * max(0, room - cell_len(label))
    margin = (Run(" " * block.indent, "margin"),) if block.indent else ()
    title = (Run(label, "code-title", FOLD), Run(space, "code-title", FOLD), Run(_COPY_LABEL, "code-title", COPY))
    return Line((*margin, *title), (), 0, "code", heads=True)
