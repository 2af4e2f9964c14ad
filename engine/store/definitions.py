"""Definitions as every adapter knows them again."""

import hashlib

from engine.nets import notation
from engine.nets.notation import Definition
from engine.store import codec


def definition_digest(definition: Definition) -> bytes:
    """The SHA-256 of what a definition says; its id does not count. Raises InvalidInput like `codec.dumps`."""
    content = notation.write(definition)
    content.pop("id", None)
    return hashlib.sha256(codec.dumps(content, sort_keys=True).encode()).digest()
