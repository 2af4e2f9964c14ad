"""Copying: to the terminal's clipboard, and into a file beside it, since no terminal says whether it took a text."""

from pathlib import Path
from typing import Any

from textual.app import App

MOST = 100_000
"""Characters that are sent to the terminal (OSC 52). Most drop or cut more than that without a word."""


def copy(app: App[Any], text: str, folder: Path | None) -> str:
    """Copy `text`. Gives in words where it is now."""
    places = []
    if len(text) <= MOST:
        app.copy_to_clipboard(text)
        places.append("the terminal's clipboard (OSC 52)")
    if folder is not None and (file := _written(folder / "copied.txt", text)):
        places.append(file)
    return f"{len(text):,} characters, in " + " and in ".join(places) if places else "It could not be copied."


def _written(file: Path, text: str) -> str:
    """The file's name when it could be written, and nobody else may read it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return shown_path(file)


def shown_path(file: Path) -> str:
    home = str(Path.home())
    return str(file).replace(home, "~", 1) if str(file).startswith(f"{home}/") else str(file)
