"""Where a question is written: grows with it, sends on enter, starts a new line on ctrl+j or shift+enter."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

MOST = 200_000
"""Characters. Wrapping more would hold up the screen; far more is past what any model reads."""


class Prompt(TextArea):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter", "new_line", "New line", show=False),
    ]
    DEFAULT_CSS = """
    Prompt {
        height: auto; min-height: 3; max-height: 10; min-width: 12;
        border: round $foreground 25%; background: $background;
        padding: 0 1; scrollbar-size: 1 1;
        &:focus { border: round $primary; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    class Sent(Message):
        """Enter was pressed. The text may be empty."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class TooLong(Message):
        """More was pasted than fits: nothing of it was taken."""

        def __init__(self, characters: int) -> None:
            super().__init__()
            self.characters = characters

    def __init__(self, placeholder: str, id: str | None = None) -> None:
        super().__init__(
            id=id, placeholder=placeholder, soft_wrap=True, show_line_numbers=False, tab_behavior="focus",
            highlight_cursor_line=False,
        )  # fmt: skip
        self.cursor_blink = False

    # Textual calls these handlers of TextArea next, unless the default is prevented.

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Sent(self.text))

    async def _on_paste(self, event: events.Paste) -> None:
        characters = len(self.text) + len(event.text)
        if characters > MOST:
            event.stop()
            event.prevent_default()
            self.post_message(self.TooLong(characters))

    def action_new_line(self) -> None:
        self.insert("\n")
