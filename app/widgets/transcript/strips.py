"""Lines of the transcript as Textual strips, with what Textual's selection needs in them.

Textual asks the style of each segment where its first character is (`offset` in the meta of the style) and counts on
from there. So every line must have an offset, also one with nothing to select: a drag that ends on a cell without one
makes Textual select whole widgets. And what is not text must not count: leads are drawn cell by cell, each cell with
the offset of the beginning of the line; tails count past the end of the text, where nothing is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.cells import split_graphemes
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from app.widgets.transcript.document import Point
from app.widgets.transcript.lines import Line, Run

MARGIN = 1  # cells on either side: drawn, because Textual's selection takes padding for text
BLOCK = 1 << 24  # the x of a selection is block * BLOCK + character; Textual adds 1 to it to include a character

_SAFE_LINK = re.compile(r"https?://[!-~]+")

Look = Callable[[str, str], Style]
"""The style for words as in `Run.style`, on the ground named by `Line.fill`."""


class Mark(NamedTuple):
    """From a character of a block up to another: a style that lies over the text."""

    start: int
    end: int
    style: str


def selection_of(low: Point, high: Point) -> Selection:
    start, end = (Offset(point.block * BLOCK + point.at, point.message) for point in (low, high))
    return Selection(start, end)


def points_of(selection: Selection, messages: int) -> tuple[Point, Point]:
    """The two ends of a Textual selection, in which no end means everything."""
    low, high = selection.start or Offset(0, 0), selection.end or Offset(0, messages)
    return _point(low), _point(high)


def _point(offset: Offset) -> Point:
    return Point(offset.y, *divmod(max(0, offset.x), BLOCK))


def draw(line: Line, marks: Sequence[Mark], width: int, look: Look, origin: Point, over: str = "") -> Strip:
    """`origin` is the beginning of the line's block; `over` is a style that lies over the lead."""
    first, y = origin.block * BLOCK + origin.at, origin.message
    strip = Strip(
        Segment(text, style + Style.from_meta({"offset": (first + at, y)}))
        for text, style, at in _joined(_cells(line, marks, look, over))
    )
    filled = strip.adjust_cell_length(width - MARGIN, look(line.fill, ""))
    return filled.adjust_cell_length(width, look("", ""))


Piece = tuple[str, Style, int]


def _cells(line: Line, marks: Sequence[Mark], look: Look, over: str) -> Iterator[Piece]:
    # A line without text belongs to the end of what is before it: a drag that ends there takes nothing of what follows.
    beginning = line.at if line.runs else line.at - 2
    yield " " * MARGIN, look("", "margin"), beginning
    for run in line.lead:
        ground = "" if run.style.startswith(("margin", "gutter")) else line.fill
        style = look(ground, f"{run.style} {over}" if over and ground else run.style)
        graphemes = run.text if run.text.isascii() else (run.text[a:b] for a, b, _ in split_graphemes(run.text)[0])
        yield from ((grapheme, style, beginning) for grapheme in graphemes)
    for text, names, link, at in _parts(line, marks):
        style = look(line.fill, names)
        yield text, style + Style(link=link) if _SAFE_LINK.fullmatch(link) else style, at
    for run in line.tail:
        yield run.text, look(line.fill, run.style), line.at + line.length if line.runs else beginning


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Put pieces of one style together that follow each other: few segments paint fast."""
    text, style, start = next(pieces)
    for more, other, at in pieces:
        if other == style and at == start + len(text) and (text + more).isascii():
            text += more
        else:
            yield text, style, start
            text, style, start = more, other, at
    yield text, style, start


def _parts(line: Line, marks: Sequence[Mark]) -> Iterator[tuple[str, str, str, int]]:
    """The runs of a line cut where a mark begins or ends: text, style, link and offset of each part."""
    at = line.at
    for run in line.runs:
        edges = _edges(run, at, marks)
        for start, end in pairwise(edges):
            over = " ".join(mark.style for mark in marks if mark.start <= at + start and at + end <= mark.end)
            yield run.text[start:end], f"{run.style} {over}" if over else run.style, run.link, at + start
        at += len(run.text)


def _edges(run: Run, at: int, marks: Sequence[Mark]) -> list[int]:
    size = len(run.text)
    cuts = {0, size}
    cuts |= {edge - at for mark in marks for edge in (mark.start, mark.end) if 0 < edge - at < size}
    if not run.text.isascii():
        # Joined emoji stand alone, because Textual counts the cells of a segment character by character.
        spans = [(start, end) for start, end, _ in split_graphemes(run.text)[0] if end - start > 1]
        cuts = {cut for cut in cuts if not any(start < cut < end for start, end in spans)}
        cuts |= {edge for span in spans for edge in span}
    return sorted(cuts)
