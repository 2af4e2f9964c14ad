"""Tokens and the events of their history. Frozen data."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from engine.kernel.records import record
from engine.nets.marking import Marking

EventKind = Literal[
    "created",  # the first one
    "fired",
    "started",  # the sub-workflow of a transition
    "abandoned",  # that sub-workflow was cancelled
    "overdue",
    "rolled_back",
    "cancelled",
    "migrated",
    "archived",  # stands for the events before it, which were taken out
]
Status = Literal["active", "completed", "cancelled"]


@record
class Token:
    """One running instance of a workflow.

    `version` is the number of events in its history. `head` is the hash of the last of them (32 bytes). `running` are
    the sub-workflows at work: transition -> the id of the token inside. `status` is `completed` while the marking is
    final: one token on one final place.
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
    status: Status = "active"
    running: Mapping[str, str] = field(default_factory=dict)

    def with_head(self, head: bytes) -> "Token":
        """The token with another head; `dataclasses.replace` takes ten times as long."""
        return Token(
            self.id,
            self.workflow,
            self.marking,
            self.data,
            self.metadata,
            self.version,
            self.created_at,
            self.updated_at,
            head,
            self.status,
            self.running,
        )


@record
class Event:
    """One fact in a token's history, numbered by `sequence` from 1.

    `before` is None for the creation. `data` is the change that came with it: all of the data for `created` and
    `rolled_back`, a JSON merge patch (RFC 7396) otherwise, None when nothing was changed. `actor` is who asked and
    `reason` why. `detail` is what else belongs to its kind: the place of `overdue`, the version that `rolled_back` went
    to, the two workflows of `migrated`. `hash` chains it to the event before (`engine.workflows.chain`). `position` is
    its place among all events of the store, given when it is stored.
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
    hash: bytes = b""
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    position: int = field(default=0, compare=False)

    def with_hash(self, hash: bytes) -> "Event":
        """The event with its hash; `dataclasses.replace` takes ten times as long."""
        return Event(
            self.token,
            self.sequence,
            self.kind,
            self.after,
            self.at,
            self.before,
            self.transition,
            self.source,
            self.data,
            self.actor,
            hash,
            self.reason,
            self.detail,
            self.position,
        )
