"""Tokens and the events of their history. Frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.nets.marking import Marking

EventKind = Literal["created", "fired"]


@dataclass(frozen=True, slots=True)
class Token:
    """One running instance of a workflow.

    `version` is the number of events in its history. `head` is the hash of the last of them (32 bytes).
    """

    id: str
    workflow: str
    marking: Marking
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact in a token's history, numbered by `sequence` from 1.

    `before` is None for the creation. `data` is the change that came with it: all of the data for the creation, a JSON
    merge patch (RFC 7396) afterwards, None when nothing was changed. `actor` is who asked. `hash` chains it to the
    event before (`engine.workflows.chain`).
    """

    token: str
    sequence: int
    kind: EventKind
    after: Marking
    at: datetime
    before: Marking | None = None
    transition: str | None = None
    source: str | None = None
    data: Mapping[str, Any] | None = None
    actor: str = ""
    hash: bytes = field(default=b"")
