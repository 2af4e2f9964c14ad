"""Pieces of statements."""

from collections.abc import Iterator, Sequence

_MOST_AT_ONCE = 500


def marks(columns: str) -> str:
    """A question mark for each of `columns`."""
    return ", ".join("?" * (columns.count(",") + 1))


def batched(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """`ids` in pieces that one statement can bind."""
    for start in range(0, len(ids), _MOST_AT_ONCE):
        yield ids[start : start + _MOST_AT_ONCE]
