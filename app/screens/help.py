"""F1: what the keys of this place do, from the registry of actions and from the widgets that have keys of their own."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget

from app.actions import EVERYWHERE, actions_of, shown_key, shown_keys
from app.screens.dialogs import Report
from app.widgets.frame import PLACES
from app.widgets.net_picture import NetPicture
from app.widgets.prompt import Prompt
from app.widgets.transcript import Transcript
from app.widgets.virtual_table import VirtualTable

_WIDGETS: Mapping[str, Sequence[tuple[str, type[Widget]]]] = {
    "chat": (("In the question", Prompt), ("In what was said", Transcript)),
    "models": (("In the table", VirtualTable),),
    "workflows": (("In the tokens", VirtualTable), ("In the picture", NetPicture)),
    "server": (("In the requests", VirtualTable),),
}
_KEYS, _TITLE = 10, 15  # cells


def help_of(place: str, width: int) -> Report:
    """The help of a screen, for a terminal of so many columns."""
    title, room = dict(PLACES)[place], Report.room(width)
    lines: list[Content] = []
    for lead, where in ((title, place), ("Everywhere", EVERYWHERE)):
        lines.append(_heading(lead) if lines else Content.from_markup("[b]$lead[/b]", lead=lead))
        lines += (_line(shown_keys(one), one.title, one.help, room) for one in actions_of(where))
    for lead, widget in _WIDGETS.get(place, ()):
        lines.append(_heading(lead))
        lines += (_line(keys, title, "", room) for keys, title in _keys_of(widget))
    lines.append(Content.from_markup("\n[dim]tab goes to the next pane, the mouse to any.[/dim]"))
    return Report(f"Keys: {title}", Content("\n").join(lines))


def _keys_of(widget: type[Widget]) -> Iterator[tuple[str, str]]:
    for binding in widget.__dict__["BINDINGS"]:
        if isinstance(binding, Binding) and binding.description:
            yield " ".join(map(shown_key, binding.key.split(",")[:2])), binding.description


def _heading(text: str) -> Content:
    return Content.from_markup("\n[b]$text[/b]", text=text)


def _line(keys: str, title: str, help: str, room: int) -> Content:
    """What does not fit goes on below its own beginning."""
    left = _KEYS + _TITLE + 2
    helps = f"\n{' ' * left}".join(wrap(help, max(16, room - left)))
    return Content.from_markup(
        "[b]$keys[/b] $title [dim]$help[/dim]", keys=keys.ljust(_KEYS), title=title.ljust(_TITLE), help=helps
    )
