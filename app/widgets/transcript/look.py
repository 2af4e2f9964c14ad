"""The looks of the transcript: its style sheet, and styles for the words of runs and lines.

Every look hangs on theme variables through component classes. Colour is never alone: bold, underline, reverse and the
marks of `layout` say the same, for NO_COLOR and for themes of sixteen colours, where `:ansi` dims instead of mixing.
"""

import re
from typing import Any

from rich.style import Style as RichStyle
from textual.style import Style
from textual.widget import Widget

PREFIX = "transcript--"

CSS = """
Transcript {
    overflow-x: hidden;
    overflow-y: scroll;
    scrollbar-size-vertical: 1;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
    scrollbar-color: $foreground 18%;
    scrollbar-color-hover: $foreground 30%;
    scrollbar-color-active: $foreground 40%;
    background: $background;
    color: $foreground;

    .transcript--empty { color: $foreground 60%; }
    .transcript--title { text-style: bold; }
    .transcript--user { color: $text-secondary; }
    .transcript--assistant { color: $text-primary; }
    .transcript--error { color: $text-error; }
    .transcript--label { text-style: bold; color: $foreground 70%; }
    .transcript--what { color: $text-error; }
    .transcript--fix { color: $text-success; }
    .transcript--meta { color: $foreground 55%; }
    .transcript--thinking { color: $foreground 55%; }
    .transcript--thought { color: $foreground 60%; text-style: italic; }
    .transcript--rule { color: $foreground 22%; }

    .transcript--heading { text-style: bold; color: $text-primary; }
    .transcript--bullet { color: $text-primary; }
    .transcript--quote { color: $foreground 35%; }
    .transcript--quoted { color: $foreground 70%; }
    .transcript--strong { text-style: bold; }
    .transcript--em { text-style: italic; }
    .transcript--s { text-style: strike; }
    .transcript--link { text-style: underline; color: $text-secondary; }
    .transcript--inline-code { color: $text-warning; }

    .transcript--code { background: $foreground 5%; }
    .transcript--code-title { color: $foreground 55%; }
    .transcript--code-again { color: $foreground 35%; }
    .transcript--code-keyword { color: $text-primary; text-style: bold; }
    .transcript--code-builtin { color: $text-primary; }
    .transcript--code-name { color: $text-warning; }
    .transcript--code-string { color: $text-success; }
    .transcript--code-number { color: $text-error; }
    .transcript--code-comment { color: $foreground 50%; text-style: italic; }
    .transcript--code-inserted { color: $text-success; }
    .transcript--code-deleted { color: $text-error; }

    .transcript--current { text-style: reverse; }
    .transcript--hit { background: $warning 35%; text-style: underline; }
    .transcript--hit-here { text-style: bold reverse; }
    .transcript--selected { background: $screen-selection-background; }
    .transcript--caret { text-style: reverse; }
    .transcript--hint { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }

    &:ansi {
        scrollbar-color: $scrollbar;
        scrollbar-color-hover: $scrollbar-hover;
        scrollbar-color-active: $scrollbar-active;
        .transcript--empty, .transcript--label, .transcript--meta, .transcript--thinking, .transcript--rule,
        .transcript--quote, .transcript--quoted, .transcript--code-title, .transcript--code-again {
            color: $foreground;
            text-style: dim;
        }
        .transcript--thought, .transcript--code-comment { color: $foreground; text-style: dim italic; }
        .transcript--label { color: $foreground; text-style: bold; }
        .transcript--what { color: $text-error; }
        .transcript--fix { color: $text-success; }
        .transcript--code { background: $background; }
        .transcript--hit { background: $background; text-style: underline bold; }
        .transcript--selected { color: $screen-selection-foreground; }
    }
}
"""

COMPONENTS = frozenset(re.findall(r"\.(transcript--[\w-]+)", CSS))

_ATTRIBUTES = ("bold", "dim", "italic", "underline", "strike", "reverse")


class Look:
    """Styles of one widget, looked up once each. `clear` it when the widget's style sheet changes."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[tuple[str, str], RichStyle] = {}

    def __call__(self, fill: str, names: str) -> RichStyle:
        """The style for `names`, one over the other, on the ground called `fill`. Unknown names change nothing."""
        style = self._styles.get((fill, names))
        if style is None:
            style = self._styles[fill, names] = self._style(f"{fill} {names}".split())
        return style

    def clear(self) -> None:
        self._styles.clear()

    def _style(self, names: list[str]) -> RichStyle:
        style = self._widget.visual_style
        for name in names:
            if PREFIX + name in COMPONENTS:
                style += self._component(PREFIX + name)
        return style.rich_style

    def _component(self, name: str) -> Style:
        """`get_visual_style` would lose opaque grounds and reverse, so the rules are read here."""
        rules = self._widget.get_component_styles(name)
        attributes: dict[str, Any] = {one: getattr(rules.text_style, one) for one in _ATTRIBUTES}
        return Style(
            background=rules.background if rules.has_rule("background") else None,
            foreground=rules.color if rules.has_rule("color") else None,
            **attributes,
        )
