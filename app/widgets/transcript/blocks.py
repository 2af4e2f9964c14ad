"""Cutting a message into blocks by looking at the beginnings of its lines.

Pure, and far cheaper than parsing: only blocks that are seen are parsed. A cut depends on nothing but the text before
it, so a message that grows is cut again from its last block but one.

A block is a paragraph, heading, quote, table, one top-level list item, or up to PAGE_LINES lines of one code fence, so
that a fence that grows costs one page each time. A fence inside a list item is a block of its own, to be copied and
folded as any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

PAGE_LINES = 64

Kind = Literal["title", "thinking", "text", "code", "error", "meta"]

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^\n`]*)$")
_ITEM = re.compile(r" ?(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")


class Fence(NamedTuple):
    """Where a code fence opens in its message, how, and which page of it a block is."""

    start: int
    marker: str
    language: str
    page: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A part of a message that is laid out alone: `text[start:end]`, with a blank line before it if `gap`.

    `indent` is how far it stands inside a list; `thought` is true of what the model thought rather than said. Blocks
    are told apart by identity: the same object stands for the same lines.
    """

    kind: Kind
    start: int = 0
    end: int = 0
    gap: bool = False
    indent: int = 0
    fence: Fence | None = None
    thought: bool = False

    @property
    def opens_fence(self) -> bool:
        return self.fence is not None and self.fence.page == 0


BEGINNING = Block("text")


def split(text: str, resume: Block = BEGINNING) -> Iterator[Block]:
    """Cut `text` from the block `resume` on, which is one of its blocks, or an empty one that says how to begin."""
    cutter = _Cutter(resume)
    for match in _LINE.finditer(text, cutter.block.start):
        if block := cutter.read(match.group(), match.start(), match.end()):
            yield block
    if block := cutter.rest(len(text)):
        yield block


class _Cutter:
    """Reads lines; `block` is the one they go to, of which `count` lines were read."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.count = 0
        self.in_list = block.indent > 0
        self.blank = block.gap and block.fence is None  # a fence has its own lines next, not the blank one
        self.after_heading = False

    def read(self, line: str, start: int, end: int) -> Block | None:
        """Take a line; gives the block that it ends, if it does."""
        if self.block.fence:
            return self._read_fenced(self.block.fence, line, end)
        if not line.strip():
            self.blank = True
            return None
        return self._read_text(line, start, end)

    def rest(self, end: int) -> Block | None:
        """The last block, which may grow."""
        if not self.count:
            return None
        return replace(self.block, end=end) if self.block.fence else self.block

    def _read_fenced(self, fence: Fence, line: str, end: int) -> Block | None:
        self.count += 1
        bare = line.strip()
        opens = fence.page == 0 and self.count == 1
        closes = not opens and bare.startswith(fence.marker) and not bare.strip(fence.marker[0])
        if not closes and self.count < PAGE_LINES:
            return None
        done = replace(self.block, end=end)
        self.count = 0
        if closes:
            self.block = replace(done, kind="text", start=end, fence=None, gap=False)
        else:
            self.block = replace(done, start=end, gap=False, fence=fence._replace(page=fence.page + 1))
        return done

    def _read_text(self, line: str, start: int, end: int) -> Block | None:
        depth = len(line) - len(line.lstrip(" "))
        fence = _FENCE.match(line) if depth < 4 or self.in_list else None
        item = _ITEM.match(line) is not None
        heading = _HEADING.match(line) is not None
        inside = self.in_list and depth > 1
        parts = self.blank and not (inside and self.count)
        begins = self.count == 0 or fence is not None or item or heading or self.after_heading or parts
        done = self.block if begins and self.count else None
        if begins:
            self._begin(start, depth if inside and not item else 0, fence)
        self.in_list = item or inside or (self.in_list and not begins)
        self.after_heading, self.blank = heading, False
        self.count += 1
        self.block = replace(self.block, end=end)
        return done

    def _begin(self, start: int, indent: int, opening: re.Match[str] | None) -> None:
        fence = None
        if opening:
            fence = Fence(start, opening[2], next(iter(opening[3].split()), "").lower(), 0)
        kind: Kind = "code" if fence else "text"
        self.block = Block(kind, start, start, self.blank, indent, fence, self.block.thought)
        self.count = 0
