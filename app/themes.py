"""The workbench's own themes, besides Textual's."""

from textual.theme import Theme

THEMES = (
    Theme(
        name="circuit-dark",
        primary="#7aa2f7",
        secondary="#9d8cd6",
        accent="#f2b866",
        success="#8fc98b",
        warning="#e5b567",
        error="#ee7b84",
        foreground="#d5d9e4",
        background="#14161c",
        surface="#1a1d25",
        panel="#232733",
        dark=True,
    ),
    Theme(
        name="circuit-light",
        primary="#2c5fbf",
        secondary="#6a4fb3",
        accent="#a35c00",
        success="#2f7d32",
        warning="#946200",
        error="#b3261e",
        foreground="#23262f",
        background="#fbfbf8",
        surface="#f3f3ee",
        panel="#e6e6df",
        dark=False,
    ),
    Theme(
        name="circuit-contrast",
        primary="#5cc8ff",
        secondary="#d7a6ff",
        accent="#ffff00",
        success="#00ff7f",
        warning="#ffd000",
        error="#ff6b6b",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1c1c1c",
        dark=True,
    ),
)
