"""What comes from outside, checked before anything is done with it. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.kernel.errors import InvalidInput, InvalidWorkflow, TooLarge
from engine.nets import notation, structure
from engine.nets.analysis.model import Finding, Severity
from engine.nets.notation import Definition
from engine.store.ports import Once

MOST_DATA_BYTES = 1_000_000
MOST_WORKFLOW_BYTES = 10_000_000


def read_checked(source: Mapping[str, Any]) -> Definition:
    """The definition in `source`, whose parts fit together. Raises InvalidInput, TooLarge and InvalidWorkflow."""
    definition = notation.read(checked(source, "workflow", MOST_WORKFLOW_BYTES))
    check_structure(definition)
    return definition


def check_structure(definition: Definition) -> None:
    """Raises InvalidWorkflow when its parts do not fit together."""
    refuse(definition, [found for found in structure.check(definition.net) if found.severity is Severity.ERROR])


def refuse(definition: Definition, findings: Sequence[Finding]) -> None:
    """Raises InvalidWorkflow when there is a finding."""
    if findings:
        rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise InvalidWorkflow(
            f"The workflow {definition.name} is refused.",
            why=f"{findings[0].message}{rest}",
            fix="Mend it and send it again; nothing was stored.",
            details={
                "findings": [
                    {
                        "code": str(found.code),
                        "message": found.message,
                        "places": list(found.places),
                        "transitions": list(found.transitions),
                    }
                    for found in findings[:100]
                ]
            },
        )


def checked(data: object, path: str, most_bytes: int = MOST_DATA_BYTES) -> Mapping[str, Any]:
    """A copy of `data`, when it can be stored: a JSON object within bounds, that comes back as it was."""
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{path} is not an object.", fix="Give a JSON object.", details={"path": path})
    if not data:
        return {}
    try:
        written = orjson.dumps([[[[data]]]])[4:-4]  # with room for what is put around it later
        copy: Mapping[str, Any] = orjson.loads(written)
        if copy != data:  # orjson makes null of NaN and text of a time
            json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} cannot be written as JSON.", why=f"{error}.", fix="Change the value.", details={"path": path}
        ) from None
    check_size(written, path, most_bytes)
    return copy


def check_size(written: bytes, path: str, most_bytes: int = MOST_DATA_BYTES) -> None:
    """Raises TooLarge."""
    if len(written) > most_bytes:
        raise TooLarge(
            f"{path} takes {len(written):,} bytes.",
            why=f"Up to {most_bytes:,} are kept.",
            fix="Store it elsewhere and keep a reference to it." if path != "workflow" else "Cut it into smaller ones.",
            details={"path": path, "limit": most_bytes},
        )


def once_of(key: str | None, request: Sequence[object]) -> Once | None:
    """The idempotency key with the fingerprint of what it stands for; None without one."""
    if key is None:
        return None
    if not 1 <= len(key) <= 200:
        raise InvalidInput(
            "The idempotency key is too long or empty.",
            fix="Give 1 to 200 characters.",
            details={"path": "idempotencyKey"},
        )
    try:
        return Once(key, hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).digest())
    except TypeError as error:
        raise InvalidInput("The request is not valid Unicode.", why=f"{error}.", fix="Change it.") from None
