"""A workflow as its author wrote it, and how large it may be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.nets.model import Net

MOST_PLACES = 10_000
MOST_TRANSITIONS = 20_000
MOST_CHARACTERS = 200  # of an id or a name
MOST_WEIGHT = 10**9
MOST_SECONDS = 100 * 366 * 86_400
MOST_RULES = 1_000
MOST_CONDITIONS = 100  # of a transition
MOST_INDEXES = 20


@dataclass(frozen=True, slots=True)
class Definition:
    """`id` is empty when the store shall choose one.

    `indexes` are the fields of tokens that are kept searchable: `customer`, `metadata.team`. `rules` are conditions
    with a name, as they were written: an expression, or a structured rule as JSON.
    """

    name: str
    net: Net
    id: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)


def slug(name: str) -> str:
    """The part of an id that comes from a name: `Document Approval` gives `document_approval`."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:80] or "workflow"
