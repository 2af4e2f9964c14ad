"""What the workflows room publishes."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.nets.token import Event, Token
from engine.workflows.model import Workflow


@dataclass(frozen=True, slots=True)
class WorkflowAdded:
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class TokenChanged:
    """A token as it is now, and the events that made it so. Published after they are on disk."""

    token: Token
    events: Sequence[Event]
