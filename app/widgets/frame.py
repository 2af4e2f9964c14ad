"""The frame around every screen: tabs and health above, keys and addresses below."""

from collections.abc import Iterator, Sequence
from typing import Any

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from app.actions import EVERYWHERE, Action, actions_of, shown_key, types
from app.bridge import ServerState

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
        """Where it gets narrow, the name is cut first, then the titles of the other tabs, then what is on the right."""
        right = Content(f"{self.health}  {self.money} ".rstrip() + " ")
        for name, titles in ((" circuit-breaker  ", True), (" cb ", True), (" cb ", False)):
            left = Content.assemble(Content.from_markup(f"[b]{name}[/b]"), *self._tabs(titles))
            spare = self.size.width - left.cell_length - right.cell_length
            if spare >= 1:
                return Content.assemble(left, " " * spare, right)
        return left

    def _tabs(self, titles: bool) -> Iterator[Content]:
        for number, (place, title) in enumerate(PLACES, 1):
            here = place == self._place
            text = f" {number} {title} " if titles or here else f" {number} "
            yield Content.from_markup(f"[@click=app.go_{place}]{'[b reverse]' if here else ''}{text}{'[/]' * here}[/]")


class BottomBar(Widget):
    """The keys that work here, as many as fit by their rank, and where the server is."""

    DEFAULT_CSS = """
    BottomBar { height: 1; background: $panel; color: $foreground; link-style: none; link-color: $foreground; }
    """
    composing: reactive[bool] = reactive(False)
    server: reactive[ServerState] = reactive(ServerState())

    def __init__(self, place: str) -> None:
        super().__init__()
        ranked = [action for action in (*actions_of(place), *actions_of(EVERYWHERE)) if action.rank]
        self._actions: Sequence[Action] = sorted(ranked, key=lambda action: action.rank)

    def render(self) -> Content:
        """Mode, keys, and on the right the server's ports, whose addresses a click copies."""
        width = self.size.width
        mode = Content.from_markup(f"[reverse]{' compose ' if self.composing else ' navigate '}[/]")
        right = self._ports()
        if mode.cell_length + right.cell_length > width * 0.6:
            right = Content()
        keys = self._keys(width - mode.cell_length - right.cell_length)
        spare = width - mode.cell_length - keys.cell_length - right.cell_length
        return Content.assemble(mode, keys, " " * max(0, spare), right)

    def _keys(self, room: int) -> Content:
        """As many keys as fit, and always the one that shows all of them, after a `…` when some are left out."""
        pieces = [self._piece(action) for action in self._actions if action.id != "help" and self._key(action)]
        help = next(self._piece(action) for action in self._actions if action.id == "help")
        room -= help.cell_length
        if sum(piece.cell_length for piece in pieces) > room:
            help, room = Content(" …") + help, room - 2
            while pieces and sum(piece.cell_length for piece in pieces) > room:
                pieces.pop()
        return Content.assemble(*pieces, help)

    def _piece(self, action: Action) -> Content:
        target = "app" if action.place == EVERYWHERE else "screen"
        markup = f" [@click={target}.{action.id}][b]$key[/b] $title[/] "
        return Content.from_markup(markup, key=self._key(action), title=action.title)

    def _key(self, action: Action) -> str:
        """The first key of an action that works now: letters do not while something is typed."""
        for key in action.keys.split(",") if action.keys else ():
            if not self.composing or not types(key):
                return shown_key(key)
        return ""

    def _ports(self) -> Content:
        server = self.server
        ports = [
            Content.from_markup(f"[@click=app.{action}]$port ●[/] ", port=f":{address.split(':')[-1].split('/')[0]}")
            for action, address in (("copy_openai", server.openai), ("copy_graphql", server.graphql))
            if address
        ]
        sign = {"on": "●", "starting": "◐", "off": "○"}[server.state]
        return Content.assemble(" ", *(ports or [Content(f"server {sign} {server.state} ")]))


class Fault(Widget, can_focus=True):
    """What happened, why, and how to fix it; stays until it is closed."""

    DEFAULT_CSS = """
    Fault {
        height: auto; max-height: 50%; overflow-y: auto; display: none; scrollbar-size: 1 1;
        border: round $error; padding: 0 1; margin: 0 1; background: $surface;
        border-title-color: $text-error; border-title-style: bold;
        &:focus { border: heavy $error; }
        &.shown { display: block; }
    }
    """
    text: reactive[tuple[str, str, str]] = reactive(("", "", ""), layout=True)

    def show(self, what: str, why: str, fix: str, remedy: str = "") -> None:
        """`remedy` is what F8 does about it, in words."""
        self.border_title = "✗ what happened"
        self.border_subtitle = f"F8 {remedy} · esc closes" if remedy else "esc closes"
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
