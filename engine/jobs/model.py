"""Jobs: what is to be done after a change, stored in the same transaction as the change. Frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

JobKey: TypeAlias = tuple[str, str, str]
"""Token, kind and name."""

JobState = Literal["queued", "dead"]


@dataclass(frozen=True, slots=True)
class Job:
    """One durable effect of a token.

    `kind` says who runs it, `name` tells it from others of the kind: a token has at most one job of a kind and name, a
    later one takes its place. `sequence` is the event that asked for it, so that an old job is told from a new one.
    `attempts` have failed so far, the last one with `error`; a `dead` job is not tried again.
    """

    token: str
    kind: str
    name: str
    due: datetime
    sequence: int
    payload: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    error: str = ""
    state: JobState = "queued"

    @property
    def key(self) -> JobKey:
        return self.token, self.kind, self.name
