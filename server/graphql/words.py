"""Short ways to say what a part of the schema is for."""

import strawberry
from strawberry.types.arguments import StrawberryArgumentAnnotation


def about(description: str) -> StrawberryArgumentAnnotation:
    """What an argument is, for `Annotated`."""
    return strawberry.argument(description=description)
