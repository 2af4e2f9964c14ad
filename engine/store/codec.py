"""Between frozen data and JSON, for every adapter."""

import hashlib
from typing import Any

import orjson

from engine.kernel.errors import Conflict, InvalidInput
from engine.nets import notation
from engine.nets.notation import Definition
from engine.nets.token import Token
from engine.store.ports import Once


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


def id_taken(workflow_id: str) -> Conflict:
    return Conflict(
        f"The workflow id {workflow_id} is taken by another definition.",
        why="A workflow does not change once it is stored: tokens rely on it.",
        fix="Choose another id, or leave it out and get the next version.",
        details={"id": workflow_id},
    )


def token_moved(current: Token, state: str, expected: int) -> Conflict:
    return Conflict(
        f"The token has moved: it is at version {current.version}, in {state}, not at version {expected}.",
        why="Something else fired it meanwhile.",
        fix="Look at it again and decide anew.",
        details={"expected": expected, "current": {"version": current.version, "state": state}},
    )


def key_reused(once: Once) -> Conflict:
    return Conflict(
        "The idempotency key was used for another request.",
        why="A key stands for one request and its repetitions.",
        fix="Make a new key for each request.",
        details={"idempotencyKey": once.key},
    )
