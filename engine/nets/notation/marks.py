"""Where in a text a value was: for errors that name the line."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.kernel.errors import InvalidInput, TooLarge
from engine.nets.notation.fields import camel

MOST_DEPTH = 60
MOST_VALUES = 500_000
MOST_DIGITS = 400

_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")
_ALIASES = (
    ("states", "places"),
    ("initialState", "initialPlace"),
    ("finalPlaces", "finalStates"),
    ("fromStates", "fromPlaces"),
    ("toState", "toPlace"),
    ("type", "conditionType"),
)
_OTHER = {one: other for a, b in _ALIASES for one, other in ((a, b), (b, a))}


_NONE: Mapping[str, Any] = MappingProxyType({})


class Mark(NamedTuple):
    """Where a value begins, and where those inside of it do. A tuple, since there are as many as values."""

    at: int
    fields: "Mapping[str, Mark]" = _NONE
    items: "Sequence[Mark]" = ()

    def find(self, path: str) -> "Mark":
        """The mark of the value at `path`, as errors name it; of the nearest one around it when it is not there."""
        mark = self
        for step in _STEP.findall(path):
            inner = mark._item(int(step[1:-1])) if step[0] == "[" else mark._field(step)
            if inner is None:
                break
            mark = inner
        return mark

    def has(self, name: str) -> bool:
        return self._field(name) is not None

    def _item(self, number: int) -> "Mark | None":
        if not self.items and number == 0 and not self.fields:
            return self  # one name alone, taken as a list of one
        return self.items[number] if number < len(self.items) else None

    def _field(self, name: str) -> "Mark | None":
        for wanted in (name, _OTHER.get(name, name)):
            for key, mark in self.fields.items():
                if key == wanted or camel(key) == wanted:
                    return mark
        return None


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Of an offset, both counted from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def malformed(text: str, at: int, problem: str, *, why: str = "", fix: str = "", path: str = "") -> InvalidInput:
    """The error for what is wrong at an offset of `text`."""
    line, column = line_and_column(text, at)
    details = {"line": line, "column": column} | ({"path": path} if path else {})
    return InvalidInput(f"Line {line}, column {column}: {problem}", why=why, fix=fix, details=details)


def located(error: InvalidInput, text: str, at: int) -> InvalidInput:
    """`error` with the line and column of its value."""
    line, column = line_and_column(text, at)
    details = error.details | {"line": line, "column": column}
    return type(error)(f"Line {line}, column {column}: {error.what}", why=error.why, fix=error.fix, details=details)


def too_many_values() -> TooLarge:
    return TooLarge(
        f"The text has more than {MOST_VALUES:,} values.",
        fix="Cut the workflow into smaller ones.",
        details={"limit": MOST_VALUES},
    )
