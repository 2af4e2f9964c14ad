"""A line to write on. Its cursor stands still, as that of the question does."""

from textual.widgets import Input


class Line(Input):
    def on_mount(self) -> None:
        self.cursor_blink = False
