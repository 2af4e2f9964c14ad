"""Workflows to begin with: commented YAML in `assets/templates`, for `circuit-breaker workflow new`.

Pure but for reading the files that come with the program, whose folder the caller knows.
"""

from pathlib import Path

from engine.kernel.errors import NotFound


def templates(folder: Path) -> dict[str, str]:
    """The text of each template by its name; `folder` is `engine.kernel.assets.folder() / "templates"`."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.yaml"))}


def template(folder: Path, name: str) -> str:
    """The text of one. Raises NotFound with the nearest names."""
    known = templates(folder)
    if name not in known:
        raise NotFound.named("template", name, known, fix=f"There are {', '.join(known)}.")
    return known[name]
