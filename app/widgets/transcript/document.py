"""The document behind the transcript: messages, their blocks, and where each line of them is.

Pure: no screen, no clock. There is one height per message, guessed until the message is laid out, which happens only
when it is seen. All state hangs on a `Place` (message, block, line) or a `Point` (message, block, character), never
on a row: rows move when a guess becomes a measure, places do not. Points survive resizing and folding as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from textual.cache import LRUCache

from app.widgets.transcript.blocks import Block
from app.widgets.transcript.heights import Heights
from app.widgets.transcript.layout import guess_height, lay_block
from app.widgets.transcript.lines import Laid, Line
from app.widgets.transcript.message import Entry, Message

_LAID_BLOCKS = 1024


class Place(NamedTuple):
    """One line of the document."""

    message: int
    block: int = 0
    line: int = 0


class Point(NamedTuple):
    """One character of the document, counted in the text of its block as it reads."""

    message: int
    block: int = 0
    at: int = 0


class Document:
    """Messages at one width. Whatever asks for a line has its block laid out; nothing else is.

    `version` changes with every change of what is said, so that what was derived from it can be told to be old.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.width = 0
        self.entries = [Entry(message) for message in messages]
        self.heights = Heights(self._guess(entry) for entry in self.entries)
        self.version = 0
        self._laid: LRUCache[Block, Laid] = LRUCache(_LAID_BLOCKS)

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(entry.message for entry in self.entries)

    @property
    def end(self) -> Place:
        return Place(len(self.entries))

    def resize(self, width: int) -> None:
        """Guess all heights anew; blocks are wrapped again when they are seen."""
        self.width = width
        self._laid.clear()
        self.heights = Heights(self._guess(entry) for entry in self.entries)

    def add(self, message: Message) -> None:
        self.entries.append(Entry(message))
        self.heights.append(self._guess(self.entries[-1]))
        self.version += 1

    def extend(self, text: str = "", thinking: str = "", meta: str = "") -> None:
        """Let the last message say more; only its open blocks will be laid out again. `meta` takes the place of the
        line that was there."""
        entry = self.entries[-1]
        said = entry.message
        entry.change(
            replace(said, text=said.text + text, thinking=said.thinking + thinking, meta=meta or said.meta),
        )
        self._changed(entry)

    def replace_last(self, message: Message) -> None:
        """Put another message in the place of the last; what was folded by its number stays folded."""
        last = self.entries[-1]
        entry = self.entries[-1] = Entry(message, last.folds)
        self._changed(entry)

    def fold(self, index: int, group: int) -> None:
        """Fold or unfold a fence, or the thinking."""
        entry = self.opened(index)
        entry.folds ^= {group}
        for number, block in enumerate(entry.blocks):
            if entry.group(block) == group:
                self._laid.discard(block)
                entry.heights.set(number, guess_height(entry, block, self.width))
        self.heights.set(index, entry.heights.total)

    def _changed(self, entry: Entry) -> None:
        known = dict(zip(entry.blocks, entry.heights.values, strict=False)) if entry.width == self.width else {}
        if entry.blocks:
            entry.heights = Heights(
                known[block] if block in known else guess_height(entry, block, self.width) for block in entry.blocks
            )
        self.heights.set(len(self.entries) - 1, entry.heights.total if entry.blocks else self._guess(entry))
        self.version += 1

    def _guess(self, entry: Entry) -> int:
        text = entry.message.text
        return 4 + text.count("\n") + len(text) // (self.width or 80)

    # -- lines --------------------------------------------------------------------------------------------------------

    def opened(self, index: int) -> Entry:
        """An entry, cut into blocks, whose heights are for this width."""
        entry = self.entries[index]
        if entry.width != self.width or not entry.blocks:
            if not entry.blocks:
                entry.cut()
            entry.heights = Heights(guess_height(entry, block, self.width) for block in entry.blocks)
            entry.width = self.width
            self.heights.set(index, entry.heights.total)
        return entry

    def block(self, place: Place | Point) -> Block:
        return self.opened(place.message).blocks[place.block]

    def laid(self, index: int, number: int) -> Laid:
        """The lines of a block, whose height is known from then on."""
        entry = self.opened(index)
        block = entry.blocks[number]
        laid = self._laid.get(block)
        if laid is None:
            laid = self._laid[block] = lay_block(entry, block, self.width, folded=entry.folded(block))
            entry.heights.set(number, len(laid.lines))
            self.heights.set(index, entry.heights.total)
        return laid

    def unfolded(self, index: int, number: int) -> Laid:
        """The lines of a block as if nothing were folded."""
        entry = self.opened(index)
        block = entry.blocks[number]
        return lay_block(entry, block, self.width, folded=False) if entry.folded(block) else self.laid(index, number)

    def line(self, place: Place) -> Line:
        return self.laid(place.message, place.block).lines[place.line]

    def forward(self, place: Place) -> Iterator[Place]:
        """The lines from `place` on."""
        index, number, line = place
        while index < len(self.entries):
            while number < len(self.opened(index).blocks):
                yield from (Place(index, number, at) for at in range(line, len(self.laid(index, number).lines)))
                number, line = number + 1, 0
            index, number, line = index + 1, 0, 0

    def backward(self, place: Place) -> Iterator[Place]:
        """The lines above `place`, the nearest first."""
        index, number, line = place
        while True:
            yield from (Place(index, number, at) for at in range(line - 1, -1, -1))
            if number == 0 and index == 0:
                return
            index, number = (index, number - 1) if number else (index - 1, len(self.opened(index - 1).blocks) - 1)
            line = len(self.laid(index, number).lines)

    def moved(self, place: Place, lines: int) -> Place:
        """`place` moved down or up, no further than the ends."""
        walk = self.forward(place) if lines > 0 else self.backward(place)
        return [place, *islice(walk, abs(lines) + (lines > 0))][-1]

    def row(self, place: Place) -> int:
        entry = self.opened(place.message)  # opening it changes heights, though not the ones before it
        return self.heights.before(place.message) + entry.heights.before(place.block) + place.line

    def at_row(self, row: int) -> Place:
        index, rest = self.heights.find(row)
        number, line = self.opened(index).heights.find(rest)
        return Place(index, number, max(0, min(line, len(self.laid(index, number).lines) - 1)))

    # -- points -------------------------------------------------------------------------------------------------------

    def point(self, place: Place) -> Point:
        return Point(place.message, place.block, self.line(place).at)

    def place(self, point: Point) -> Place:
        """The line that shows `point`; the nearest one above, if it is folded away."""
        number = min(point.block, len(self.opened(point.message).blocks) - 1)
        lines = self.laid(point.message, number).lines
        line = max((at for at, line in enumerate(lines) if line.at <= point.at), default=0)
        found = Place(point.message, number, line)
        return found if lines else next(self.backward(found), Place(0))

    def group_at(self, place: Place) -> int | None:
        """What folds at a place: see `Entry.group`."""
        return self.opened(place.message).group(self.block(place))

    def code_at(self, place: Place) -> tuple[int, int] | None:
        """The message and the start of the fence that a place belongs to."""
        block = self.block(place)
        return (place.message, block.fence.start) if block.fence and not block.thought else None
