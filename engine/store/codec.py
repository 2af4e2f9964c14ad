"""Between frozen data and JSON, for every adapter."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from engine.kernel.errors import InvalidInput, StoreCorrupt


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """JSON text. Raises InvalidInput for what JSON cannot hold: lone surrogates, whole numbers over 64 bits."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("The data cannot be written as JSON.", why=f"{error}.", fix="Change the value.") from None


def loads(text: str) -> Any:
    """Raises StoreCorrupt for what is no JSON: it was when it was stored."""
    with reading("document"):
        return orjson.loads(text)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise StoreCorrupt for whatever cannot be understood inside: it was written by us, so the file is damaged."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, InvalidInput) as error:
        raise StoreCorrupt(
            f"A {what} in the database cannot be read.",
            why=f"{error}.",
            fix="Restore a backup; `circuit-breaker doctor` says how far the damage goes.",
        ) from None
