"""Where a rule finds the value of a field."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias


class Missing:
    """Stands for a field that is not there, which is not the same as null."""


MISSING: Final = Missing()
Objects: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[Objects, Objects, Mapping[str, int] | None], object]


def value_of(field: str, data: Objects, metadata: Objects, marking: Mapping[str, int] | None = None) -> object:
    """What is at the dotted path `field`, or MISSING.

    Data is looked at first, then metadata. `data.`, `metadata.` and `marking.` at its beginning choose where to look,
    unless data has a field of that name. A place without tokens counts 0; without a marking it is missing.
    """
    return reader(field)(data, metadata, marking)


@lru_cache(maxsize=4096)
def reader(field: str) -> Reader:
    """What looks `field` up; made once, since guards ask for the same few fields again and again."""
    first, _, rest = field.partition(".")

    def plain(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> object:
        return data[field] if field in data else metadata.get(field, MISSING)

    def dotted(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> object:
        value = _at(field, data)
        return _at(field, metadata) if value is MISSING else value

    def rooted(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> object:
        if first in data:
            return dotted(data, metadata, marking)
        if first == "marking":
            return MISSING if marking is None else marking.get(rest, 0)
        return _at(rest, data if first == "data" else metadata)

    if not rest:
        return plain if "." not in field else dotted
    return rooted if first in ("data", "metadata", "marking") else dotted


def _at(field: str, where: Objects) -> object:
    """A key with dots in it is found before a path."""
    if field in where:
        return where[field]
    value: object = where
    for step in field.split("."):
        if not (isinstance(value, Mapping) and step in value):
            return MISSING
        value = value[step]
    return value
