"""Frozen records that are made by the hundred thousand a second.

A frozen dataclass sets each field by `object.__setattr__`, which makes the construction six times as slow (measured:
2.3 µs against 0.4 µs for eleven fields). `record` is frozen for the type checker, which refuses every assignment, and a
plain slots dataclass when it runs. See docs/decisions/records-frozen-by-types.md.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

T = TypeVar("T")

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]:
        """`cls` as a dataclass with slots whose fields cannot be assigned."""
        ...

else:
    record = dataclass(slots=True)
