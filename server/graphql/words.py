"""Short ways to say what a part of the schema is for."""

from collections.abc import Sequence
from enum import Enum

import strawberry
from strawberry.types.arguments import StrawberryArgumentAnnotation


def about(description: str) -> StrawberryArgumentAnnotation:
    """What an argument is, for `Annotated`."""
    return strawberry.argument(description=description)


def enum(kind: type[Enum], description: str, values: Sequence[str]) -> None:
    """Make an enum of the engine's one of the schema; `values` say what each of its values means, in their order."""
    strawberry.enum(kind, description=description)
    for value, words in zip(kind.__strawberry_definition__.values, values, strict=True):  # type: ignore[attr-defined]
        value.description = words
