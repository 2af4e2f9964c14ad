"""A line to type what is to be found."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from app.widgets.line import Line


class FindBar(Horizontal):
    DEFAULT_CSS = """
    FindBar { height: 1; padding: 0 1; background: $panel; }
    FindBar Input { width: 1fr; background: $panel; }
    FindBar Static { width: auto; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", show=False)]

    class Changed(Message):
        """Something else is to be found."""

        def __init__(self, bar: "FindBar", text: str) -> None:
            super().__init__()
            self.bar = bar
            self.text = text

    class Left(Message):
        """Enter keeps what was found, escape does not."""

        def __init__(self, bar: "FindBar", keep: bool) -> None:
            super().__init__()
            self.bar = bar
            self.keep = keep

    def compose(self) -> ComposeResult:
        yield Line(placeholder="find in this conversation", compact=True)
        yield Static()

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def found(self, count: int) -> None:
        self.query_one(Static).update(Content(f"{count} found · ⏎, then n N"))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left(self, keep=True))

    def action_leave(self) -> None:
        self.post_message(self.Left(self, keep=False))
