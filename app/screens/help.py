"""F1: what the keys of this place do, from the registry of actions."""

from textual.content import Content

from app.actions import EVERYWHERE, Action, actions_of, shown_keys
from app.screens.dialogs import Report
from app.widgets.frame import PLACES

_WIDGETS = """
In what was said: j k g G move, / and n search is in the palette, { } choose code, ⏎ folds, v selects, y and Y copy.
In tables: j k g G move, s sorts, ⏎ opens. In the picture: arrows pan, + - labels, ⏎ fires what is chosen.
"""


def help_of(place: str) -> Report:
    """The help of a screen."""
    title = dict(PLACES)[place]
    lines = [Content.from_markup("[b]$title[/b]", title=title)]
    for where in (place, EVERYWHERE):
        lines += map(_line, actions_of(where))
        if where == place:
            lines.append(Content.from_markup("\n[b]Everywhere[/b]"))
    lines.append(Content.from_markup("[dim]$text[/dim]", text=_WIDGETS.rstrip()))
    return Report(f"Keys: {title}", Content("\n").join(lines))


def _line(action: Action) -> Content:
    keys, title = shown_keys(action).ljust(9), action.title.ljust(13)
    return Content.from_markup("[b]$keys[/b] $title  [dim]$help[/dim]", keys=keys, title=title, help=action.help)
