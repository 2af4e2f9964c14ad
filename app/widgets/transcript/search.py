"""Finding text in a document. Pure; it looks at the Markdown of what was said, and lays out nothing to do so."""

import re

from app.widgets.transcript.document import Document, Place, Point


class Search:
    """A query, where it was found, and which of these places is the current one."""

    def __init__(self, document: Document, query: str = "") -> None:
        self._document = document
        self._pattern: re.Pattern[str] | None = re.compile(re.escape(query), re.IGNORECASE) if query else None
        self._hits: list[tuple[int, int]] = []
        self._version = -1
        self._current = -1
        self.point: Point | None = None  # where the current one is drawn

    def __len__(self) -> int:
        return len(self._found())

    @property
    def number(self) -> int:
        """Which one is current, counted from 1; 0 before the first step."""
        return self._current + 1

    def step(self, by: int, top: Place) -> Point | None:
        """Go to the next one, or the one before. The first step begins at `top`."""
        hits = self._found()
        if not hits:
            return None
        if self._current < 0:
            below = next((number for number, hit in enumerate(hits) if hit[0] >= top.message), 0)
            self._current = below if by > 0 else below - 1
        else:
            self._current += by
        self._current %= len(hits)
        self.point = self._drawn(*hits[self._current])
        return self.point

    def spans(self, text: str) -> list[tuple[int, int]]:
        """From where to where it is in a text that is drawn."""
        return [match.span() for match in self._pattern.finditer(text)] if self._pattern else []

    def _found(self) -> list[tuple[int, int]]:
        if self._version != self._document.version:
            self._version = self._document.version
            self._hits = [
                (index, start)
                for index, entry in enumerate(self._document.entries)
                for start, _ in self.spans(entry.message.text)
            ]
        return self._hits

    def _drawn(self, index: int, offset: int) -> Point:
        """Where something that was found is drawn; its fence is unfolded."""
        entry = self._document.opened(index)
        said = list(entry.said())
        number, block = next((one for one in said if offset < one[1].end), said[-1])
        group = entry.group(block)
        if group is not None and group in entry.folds:
            self._document.fold(index, group)
        before = len(self.spans(entry.message.text[block.start : offset]))
        drawn = self.spans(self._document.laid(index, number).text)
        return Point(index, number, drawn[min(before, len(drawn) - 1)][0] if drawn else 0)
