"""Frozen records that are quick to make and quick to load.

A frozen dataclass sets each field by `object.__setattr__`, which makes the construction six times as slow (measured:
2.3 µs against 0.4 µs for eleven fields), and the standard library compiles six methods for each class, which is a third
of the time that our modules take to load. A `record` is frozen for the type checker, which refuses every assignment;
when it runs it is a dataclass with slots whose `__init__` is compiled, and whose other methods are the same functions
for all. See docs/decisions/records-frozen-by-types.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

T = TypeVar("T")

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]:
        """`cls` as a dataclass with slots whose fields cannot be assigned. Records are equal when they are of one
        class and their fields are; their hash is that of their fields."""
        ...

else:

    def record(cls):
        if cls.__doc__ is None:
            cls.__doc__ = cls.__name__  # else dataclasses would write one, from a signature that takes long to find
        own = set(vars(cls))
        made = dataclass(slots=True, repr=False, eq=False)(cls)
        values = _values_of([one.name for one in fields(made) if one.compare])
        for name, method in (("__repr__", _shown), ("__eq__", _equal_by(values)), ("__hash__", _hash_by(values))):
            if name not in own:
                setattr(made, name, method)
        return made


def _values_of(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _equal_by(values: Callable[[Any], Any]) -> Callable[[Any, object], bool]:
    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash_by(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


@recursive_repr()
def _shown(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"
