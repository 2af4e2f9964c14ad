"""Which lines of a document are on the screen. Pure.

`settle` is the one way there: it lays out what is seen from a place on, so that heights above and below may change
without moving what is seen.
"""

from itertools import islice

from app.widgets.transcript.document import Document, Place


class Window:
    """`height` rows of a document from `top` on. While `following`, they are the last ones."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.height = 0
        self.top = Place(0)
        self.rows: list[Place] = []
        self.following = True

    def settle(self, top: Place | None = None) -> None:
        """Show the document from `top` on, or its end where it ends sooner; without `top`, stay."""
        if not self.document.entries:
            self.top, self.rows = Place(0), []
            return
        self._show(top or (self.document.end if self.following else self.top))

    def go(self, top: Place) -> None:
        """Move because someone asked to: reaching the end is to follow it, leaving it is not to."""
        if self.document.entries:
            self.following = self._show(top)

    def bring(self, place: Place) -> None:
        """Move only if `place` is not seen, and leave some lines above it."""
        if place not in self.rows:
            self.go(self.document.moved(place, -(self.height // 3)))

    def _show(self, top: Place) -> bool:
        """Returns whether the end is seen."""
        below = list(islice(self.document.forward(top), self.height + 1))
        above = list(islice(self.document.backward(top), max(0, self.height - len(below))))
        self.rows = [*reversed(above), *below[: self.height]]
        self.top = self.rows[0] if self.rows else top
        return len(below) <= self.height
