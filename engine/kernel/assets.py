"""The files that come with the program: example workflows, GraphiQL.

In a wheel they are inside the package; in a clone they are beside it.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """The folder `assets`."""
    inside = _PACKAGE / "assets"
    return inside if inside.is_dir() else _PACKAGE.parent / "assets"
