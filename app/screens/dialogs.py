"""Small questions over a screen: choose one, type one, yes or no. Escape gives nothing."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from app.widgets.line import Line

FRAME = """
    align: center middle;
    & > Vertical {
        width: 84; max-width: 94%; height: auto; max-height: 80%; border: round $primary; background: $surface;
        padding: 0 1; border-title-style: bold;
    }
    & Input { background: $panel; padding: 0 1; margin: 0 0 1 0; }
    & OptionList { border: none; height: auto; max-height: 18; background: $surface; padding: 0; }
    & Label { width: 100%; color: $text-muted; }
"""


class Choice(NamedTuple):
    """`id` is given back. `title` and `about` are shown; one that is `off` says why in `about` and cannot be chosen."""

    id: str
    title: str
    about: str = ""
    off: bool = False


class Pick(ModalScreen[str | None]):
    """Choose one of some; typing filters them."""

    DEFAULT_CSS = f"Pick {{ {FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, empty: str = "Nothing to choose from.") -> None:
        super().__init__()
        self._title, self._choices, self._empty = title, choices, empty

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = "⏎ choose · esc back"
            yield Line(placeholder="type to filter", compact=True)
            yield OptionList()
            yield Label(self._empty)

    def on_mount(self) -> None:
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            options.action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def _fill(self, text: str) -> None:
        words = text.casefold().split()
        found = [one for one in self._choices if all(word in f"{one.title} {one.about}".casefold() for word in words)]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(_line(one), id=one.id, disabled=one.off) for one in found)
        self.query_one(Label).display = not found
        first = next((number for number, one in enumerate(found) if not one.off), None)
        options.highlighted = first


def _line(choice: Choice) -> Content:
    about = f"  [dim]{'✗ ' if choice.off else ''}$about[/dim]" if choice.about else ""
    return Content.from_markup(f"$title{about}", title=choice.title, about=choice.about)


class Ask(ModalScreen[str | None]):
    """Type a line. A `secret` one is not shown."""

    DEFAULT_CSS = f"Ask {{ {FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]

    def __init__(self, title: str, about: str, *, value: str = "", secret: bool = False, placeholder: str = "") -> None:
        super().__init__()
        self._title, self._about, self._value = title, about, value
        self._secret, self._placeholder = secret, placeholder

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = "⏎ done · esc back"
            yield Label(self._about, markup=False)
            yield Line(self._value, placeholder=self._placeholder, password=self._secret, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class Sure(ModalScreen[bool]):
    """Yes or no, before something that cannot be undone."""

    DEFAULT_CSS = f"Sure {{ {FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes", show=False),
        Binding("n,escape", "dismiss(False)", "No", show=False),
    ]

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question, self._consequence = question, consequence

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = self._question
            frame.border_subtitle = "y yes · n no"
            yield Label(self._consequence, markup=False)


class Report(ModalScreen[None]):
    """Something to read."""

    DEFAULT_CSS = f"""
    Report {{
        {FRAME}
        & VerticalScroll {{ height: auto; max-height: 100%; background: $surface; scrollbar-size: 1 1; }}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss(None)", "Back", show=False),
        Binding("j", "scroll_text(1)", show=False),
        Binding("k", "scroll_text(-1)", show=False),
        Binding("space", "scroll_text(10)", show=False),
    ]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = "esc back"
            with VerticalScroll():
                yield Static(self._text)

    @staticmethod
    def room(width: int) -> int:
        """The cells of a line of text in a terminal of so many columns: less frame, padding and scrollbar."""
        return min(84, width * 94 // 100) - 6

    def action_scroll_text(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
