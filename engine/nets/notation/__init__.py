"""Workflows as JSON, in and out. Pure.

read(source)                 JSON, as plain data, to a definition
write(definition)            and back

What people keep in files is read by `engine.nets.notation.text`, which knows lines and columns, JSON, YAML, GraphQL,
PNML and BPMN, and written by `engine.nets.exports`. They are imported by who needs them: parsers take time to load.
"""

from engine.nets.notation.definition import (
    MOST_CHARACTERS,
    MOST_PLACES,
    MOST_SECONDS,
    MOST_TRANSITIONS,
    MOST_WEIGHT,
    Definition,
    slug,
)
from engine.nets.notation.reading import read
from engine.nets.notation.writing import write

__all__ = [
    "MOST_CHARACTERS",
    "MOST_PLACES",
    "MOST_SECONDS",
    "MOST_TRANSITIONS",
    "MOST_WEIGHT",
    "Definition",
    "read",
    "slug",
    "write",
]
