"""A caret with which text is selected from the keyboard. Pure."""

from itertools import islice

from app.widgets.transcript.document import Document, Place, Point

_FAR = 500  # lines to look through for the next one that has text


class Caret:
    """A character of a document. Once `mark` is set, what lies between the two is selected."""

    def __init__(self, document: Document, point: Point) -> None:
        self._document = document
        self.point = point
        self.mark: Point | None = None

    def selected(self) -> tuple[Point, Point] | None:
        """From the first character up to the last, both included; the second is one past it."""
        if self.mark is None:
            return None
        low, high = sorted((self.point, self.mark))
        return low, high._replace(at=high.at + 1)

    def move(self, columns: int, lines: int) -> None:
        """Move by one column or line; from the end of a line to the next that has text."""
        document, place = self._document, self._document.place(self.point)
        line = document.line(place)
        column = self.point.at - line.at + columns
        if not lines and 0 <= column < line.length:
            self.point = self.point._replace(at=line.at + column)
            return
        found = self._line_beyond(place, lines + columns)
        if found is None:
            return
        line = document.line(found)
        if not lines:
            column = 0 if columns > 0 else line.length - 1
        self.point = document.point(found)._replace(at=line.at + max(0, min(column, line.length - 1)))

    def page(self, lines: int) -> None:
        """Move by many lines, whatever is on them."""
        point = self._document.point(self._document.moved(self._document.place(self.point), lines))
        self.point = point._replace(at=max(0, point.at))

    def _line_beyond(self, place: Place, direction: int) -> Place | None:
        document = self._document
        walk = document.forward(place._replace(line=place.line + 1)) if direction > 0 else document.backward(place)
        return next((other for other in islice(walk, _FAR) if document.line(other).runs), None)
