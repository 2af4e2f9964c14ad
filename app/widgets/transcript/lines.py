"""Text as rows of a terminal: runs of one style, and cutting them so that they fit.

Pure. Widths are in cells, offsets are in characters; the two differ for wide characters and emoji.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, split_graphemes

LEAST_ROOM = 8  # cells for text; with less, indents are given up

# A word may be cut before and after each of these, except that closing punctuation never begins a line.
_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\U00020000-\U0003fffd"
_CLOSING = "、。，．！？：；）】》」』〉〕"
_WORD = re.compile(rf"[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+\s*|\s+")

_SYMBOLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
_BIDI_OVERRIDES = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_LINE_SEPARATORS = (0x2028, 0x2029)
_UNSAFE = _SYMBOLS | dict.fromkeys((*range(0x80, 0xA0), *_BIDI_OVERRIDES, *_LINE_SEPARATORS), 0xFFFD)


class Run(NamedTuple):
    """Text in one style: words that the screen looks up, as in "strong link" or "code-keyword".

    `link` is an address, or `FOLD` or `COPY` for what a click does.
    """

    text: str
    style: str = ""
    link: str = ""


FOLD = "fold:"
COPY = "copy:"


class Line(NamedTuple):
    """What one row shows, from left to right: `lead`, `runs`, `tail`.

    Only `runs` are text; they begin at `at` in the text of their block. Bars, indents and rules are drawn, but never
    selected or copied. `fill` names the ground of the whole row; `heads` is true of the title row of a code block.
    """

    lead: tuple[Run, ...]
    runs: tuple[Run, ...]
    at: int
    fill: str = ""
    tail: tuple[Run, ...] = ()
    heads: bool = False

    @property
    def length(self) -> int:
        return sum(len(run.text) for run in self.runs)


class Laid(NamedTuple):
    """One block at one width: its lines, and its text as it reads without wrapping."""

    lines: list[Line]
    text: str


def safe(text: str) -> str:
    """`text` with symbols for control characters and bidi overrides: what a model says must not drive the terminal."""
    return text.replace("\r\n", "\n").translate(_UNSAFE)


def text_of(runs: Iterable[Run]) -> str:
    return "".join(run.text for run in runs)


def cells_of(runs: Iterable[Run]) -> int:
    return cell_len(text_of(runs))


def word_breaks(text: str, width: int) -> list[int]:
    """Offsets at which to cut so that each part fits in `width`: between words, inside a word only if it must.

    Spaces at the end of a part may reach past the width. A grapheme (an emoji with its joiners) is never cut.
    """
    if len(text) <= width and text.isascii():
        return []
    cuts: list[int] = []
    used = 0
    for match in _WORD.finditer(text):
        word = match.group()
        cells = cell_len(word.rstrip())
        if used and used + cells > width:
            cuts.append(match.start())
            used = 0
        if cells <= width:
            used += cell_len(word)
            continue
        for start, _, size in split_graphemes(word)[0]:
            if used + size > width and used:
                cuts.append(match.start() + start)
                used = 0
            used += size
    return cuts


def cut(runs: Iterable[Run], cuts: Sequence[int]) -> Iterator[tuple[int, list[Run]]]:
    """Part `runs` at the offsets `cuts`: each part with the offset where it begins."""
    line: list[Run] = []
    at = start = 0
    waiting = iter(cuts)
    edge = next(waiting, None)
    for run in runs:
        text = run.text
        while edge is not None and edge < at + len(text):
            line.append(run._replace(text=text[: edge - at]))
            yield start, [part for part in line if part.text]
            text, line, at, start = text[edge - at :], [], edge, edge
            edge = next(waiting, None)
        line.append(run._replace(text=text))
        at += len(text)
    yield start, [part for part in line if part.text]


def at_newlines(runs: Iterable[Run]) -> Iterator[list[Run]]:
    """Part `runs` at their line ends, which belong to neither side."""
    part: list[Run] = []
    for run in runs:
        first, *others = run.text.split("\n")
        part.append(run._replace(text=first))
        for other in others:
            yield part
            part = [run._replace(text=other)]
    yield part


def with_whole_graphemes(runs: list[Run], text: str) -> list[Run]:
    """`runs` of `text`, none of which begins inside a grapheme: parted, an emoji is drawn wider than it counts."""
    if len(runs) < 2 or text.isascii():
        return runs
    ends = {at: end for start, end, _ in split_graphemes(text)[0] for at in range(start + 1, end)}
    whole: list[Run] = []
    end = 0
    for run in runs:
        start, end = end, end + len(run.text)
        whole.append(run._replace(text=text[ends.get(start, start) : ends.get(end, end)]))
    return whole


class Page:
    """Collects the lines of one block, and its text without the wrapping."""

    def __init__(self, width: int, indent: int = 0) -> None:
        self.width = width
        self.margin = (Run(" " * indent, "margin"),) if indent else ()
        self.lines: list[Line] = []
        self._text: list[str] = []
        self._at = 0

    def laid(self) -> Laid:
        return Laid(self.lines, "".join(self._text)[:-1])

    def room(self, lead: Sequence[Run]) -> int:
        """Cells for text behind `lead`; all of them, when `lead` leaves too few."""
        room = self.width - cells_of(self.margin) - cells_of(lead)
        return room if room >= LEAST_ROOM else self.width

    def add(self, runs: Iterable[Run], lead: Sequence[Run] = (), bullets: Sequence[Run] = (), fill: str = "") -> None:
        """Wrap `runs` behind `lead`. `bullets` begin the first line, where they take the place of the end of `lead`."""
        room, rest = self.room(lead), self._fitting(lead)
        first = rest[: len(rest) - len(bullets)]
        for number, part in enumerate(at_newlines(runs)):
            if number or not bullets:
                self._wrap(part, rest, rest, room, 0, fill)
            elif room == self.width:
                self._wrap([*bullets, *part], rest, rest, room, 0, fill)
            else:
                self._wrap([*bullets, *part], first, rest, room, len(text_of(bullets)), fill)

    def add_code(self, runs: list[Run], lead: Run, again: Run, fill: str = "") -> None:
        """One line of code; `lead` goes before it, `again` before what did not fit."""
        cuts = word_breaks(text_of(runs), self.room([lead]))
        self._put(runs, cuts, self._fitting([lead]), self._fitting([again]), fill)

    def add_row(self, runs: list[Run], lead: Sequence[Run] = ()) -> None:
        """A line that is known to fit."""
        self._put(runs, [], self._fitting(lead), (), "")

    def rule(self, lead: Sequence[Run], tail: Run) -> None:
        """A line that is drawn but is not text, as far as there is room."""
        tail = tail._replace(text=tail.text[: self.room(lead)])
        self.lines.append(Line(self._fitting(lead), (), self._at, tail=(tail,)))

    def _fitting(self, lead: Sequence[Run]) -> tuple[Run, ...]:
        """What goes before a line: nothing, when `lead` leaves too little room behind it."""
        return () if self.room(lead) == self.width else (*self.margin, *lead)

    def _wrap(
        self, runs: list[Run], first: Sequence[Run], rest: Sequence[Run], room: int, hanging: int, fill: str
    ) -> None:
        """Wrap to `room`; the first `hanging` characters stand outside of it."""
        cuts = [edge + hanging for edge in word_breaks(text_of(runs)[hanging:], room)]
        self._put(runs, cuts, tuple(first), tuple(rest), fill)

    def _put(
        self, runs: list[Run], cuts: Sequence[int], first: tuple[Run, ...], rest: tuple[Run, ...], fill: str
    ) -> None:
        text = text_of(runs)
        for number, (start, part) in enumerate(cut(with_whole_graphemes(runs, text), cuts)):
            self.lines.append(Line(rest if number else first, tuple(part), self._at + start, fill))
        self._text += [text, "\n"]
        self._at += len(text) + 1
