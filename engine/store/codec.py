"""Between frozen data and JSON, for every adapter."""

import hashlib
from typing import Any

import orjson

from engine.kernel.errors import InvalidInput
from engine.nets import notation
from engine.nets.notation import Definition


def dumps(value: Any) -> str:
    """JSON text. Raises InvalidInput for what JSON cannot hold: lone surrogates, whole numbers over 64 bits."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("The data cannot be written as JSON.", why=f"{error}.", fix="Change the value.") from None


def loads(text: str) -> Any:
    return orjson.loads(text)


def definition_digest(definition: Definition) -> bytes:
    """The SHA-256 of what a definition says; its id does not count."""
    content = notation.write(definition)
    content.pop("id", None)
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()
