"""Workflows as they are stored. Frozen data; tokens and events are in `engine.nets.token`."""

from dataclasses import dataclass
from datetime import datetime

from engine.nets.model import Net
from engine.nets.notation import Definition


@dataclass(frozen=True, slots=True)
class Workflow:
    """A definition under its id, immutable once stored. `digest` is of its content (32 bytes)."""

    id: str
    slug: str
    version: int
    definition: Definition
    digest: bytes
    created_at: datetime

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def net(self) -> Net:
        return self.definition.net
