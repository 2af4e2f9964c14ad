"""The frame around every screen: tabs and health above, keys and addresses below."""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from app.actions import EVERYWHERE, Action, actions_of, shown_key, types

PLACES = (
    ("chat", "Chat"),
    ("models", "Models"),
    ("workflows", "Workflows"),
    ("server", "Server"),
    ("doctor", "Doctor"),
)
"""The screens in the order of their numbers."""


class TopBar(Widget):
    """Name, tabs, and on the right what answers and what today cost."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; color: $foreground; link-style: none; link-color: $foreground; }
    """
    health: reactive[str] = reactive("○ looking…")
    money: reactive[str] = reactive("")

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def render(self) -> Content:
        width = self.size.width
        right = f"{self.health}  {self.money} ".rstrip() + " "
        tabs = [
            f"[@click=app.go_{place}]{'[b reverse]' if place == self._place else ''} {number} {title} "
            f"{'[/]' if place == self._place else ''}[/]"
            for number, (place, title) in enumerate(PLACES, 1)
        ]
        plain = sum(len(f" {number} {title} ") for number, (_, title) in enumerate(PLACES, 1))
        name = " circuit-breaker  "
        if len(name) + plain + cell_len(right) > width:
            name = " cb "
        if len(name) + plain + cell_len(right) > width:
            tabs = [
                tab.replace(f" {title} ", " ") if place != self._place else tab
                for tab, (place, title) in zip(tabs, PLACES, strict=True)
            ]
            plain = sum(4 if place != self._place else len(f" 1 {title} ") for place, title in PLACES)
        spare = width - len(name) - plain - cell_len(right)
        shown = right if spare >= 0 else ""
        return Content.from_markup(f"[b]{name}[/b]" + "".join(tabs) + " " * max(0, spare) + "$right", right=shown)


class BottomBar(Widget):
    """The keys that work here, as many as fit by their rank, and where the server is."""

    DEFAULT_CSS = """
    BottomBar { height: 1; background: $panel; color: $foreground; link-style: none; link-color: $foreground; }
    """
    composing: reactive[bool] = reactive(False)
    server: reactive[str] = reactive("")

    def __init__(self, place: str) -> None:
        super().__init__()
        ranked = [action for action in (*actions_of(place), *actions_of(EVERYWHERE)) if action.rank]
        self._actions: Sequence[Action] = sorted(ranked, key=lambda action: action.rank)

    def render(self) -> Content:
        width = self.size.width
        mode = " compose " if self.composing else " navigate "
        right = f" {self.server} " if self.server else ""
        if len(mode) + len(right) > width * 0.6:
            right = ""
        room = width - len(mode) - len(right) - 1
        shown: list[str] = []
        used = 0
        usable = [(key, action) for action in self._actions if (key := self._key(action))]
        for number, (key, action) in enumerate(usable):
            piece = len(key) + len(action.title) + 3
            last = number == len(usable) - 1
            if used + piece > room - (0 if last else 5):
                shown.append(" [@click=app.help]… F1[/]")
                used += 5
                break
            target = "app" if action.place == EVERYWHERE else "screen"
            shown.append(f" [@click={target}.{action.id}][b]{_literal(key)}[/b] {action.title}[/] ")
            used += piece
        spare = " " * max(0, room - used)
        return Content.from_markup(f"[reverse]{mode}[/]" + "".join(shown) + spare + "$right", right=right)

    def _key(self, action: Action) -> str:
        """The first key of an action that works now: letters do not while something is typed."""
        for key in action.keys.split(",") if action.keys else ():
            if not self.composing or not types(key):
                return shown_key(key)
        return ""


def _literal(text: str) -> str:
    return text.replace("[", "\\[")


class Fault(Widget, can_focus=True):
    """What happened, why, and how to fix it; stays until it is closed."""

    DEFAULT_CSS = """
    Fault {
        height: auto; display: none; border: round $error; padding: 0 1; margin: 0 1; background: $surface;
        border-title-color: $text-error; border-title-style: bold;
        &.shown { display: block; }
    }
    """
    text: reactive[tuple[str, str, str]] = reactive(("", "", ""), layout=True)

    def show(self, what: str, why: str, fix: str) -> None:
        self.border_title = "✗ what happened"
        self.border_subtitle = "esc closes"
        self.text = (what, why, fix)
        self.add_class("shown")

    def close(self) -> bool:
        """Hide it; whether it was there."""
        shown = self.has_class("shown")
        self.remove_class("shown")
        return shown

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.close()

    def render(self) -> Content:
        values: dict[str, Any] = dict(zip(("what", "why", "fix"), self.text, strict=True))
        lines = [
            f"[b]{lead}[/b]  ${name}"
            for lead, name in (("What", "what"), ("Why ", "why"), ("Fix ", "fix"))
            if values[name]
        ]
        return Content.from_markup("\n".join(lines), **values)
