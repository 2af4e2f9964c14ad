"""Values as JSON has them: what equals what, what is a number, and how one is put into a sentence."""

from collections.abc import Iterator, Mapping
from typing import TypeGuard

NUMBERS = (int, float)  # a union would be made anew each time


def same_json(one: object, other: object) -> bool:
    """Equality as JSON has it: 1 is 1.0, but true is not 1, also inside lists and objects."""
    match one, other:
        case bool(), _:
            return one is other
        case _, bool():
            return False
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
        case ((list() | tuple()), (list() | tuple())):
            return len(one) == len(other) and all(map(same_json, one, other))
        case _:
            return one == other


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def brief(value: object, limit: int = 40) -> str:
    """A value for a sentence: as JSON would write it, cut when long. Looks at no more of it than is shown."""
    text = ""
    for part in _written(value, limit):
        text += part
        if len(text) > limit:
            return text[:limit] + "…"
    return text


def _written(value: object, limit: int, depth: int = 0) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case str():
            yield f'"{value[: limit + 1]}"' if len(value) <= limit else f'"{value[: limit + 1]}'
        case int() if abs(value) >= 10**100:
            yield f"a number of {value.bit_length()} bits"
        case Mapping() | list() | tuple() if depth > limit:
            yield "…"
        case Mapping():
            yield "{"
            for number, (key, inner) in enumerate(value.items()):
                yield f'{", " if number else ""}"{key}": '
                yield from _written(inner, limit, depth + 1)
            yield "}"
        case list() | tuple():
            yield "["
            for number, inner in enumerate(value):
                yield ", " if number else ""
                yield from _written(inner, limit, depth + 1)
            yield "]"
        case _:
            yield str(value)
