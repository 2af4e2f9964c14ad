"""What the workflows room publishes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.kernel.records import record
from engine.nets.model import Net
from engine.nets.token import Event, Token
from engine.workflows.model import Workflow


@dataclass(frozen=True, slots=True)
class WorkflowAdded:
    workflow: Workflow


@record
class TokenChanged:
    """A token as it is now, and the events that made it so. Published after they are on disk."""

    token: Token
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Notice:
    """A token has come to a place that announces it, or is overdue there."""

    token: Token
    place: str
    overdue: bool


def notices(net: Net, token: Token, events: Sequence[Event]) -> Iterator[Notice]:
    """What is to be announced of the events of a token."""
    if not net.announcing:
        return
    for event in events:
        if event.kind == "overdue" and event.detail.get("place") in net.announcing:
            yield Notice(token, event.detail["place"], overdue=True)
        for place in net.announcing:
            if event.after.get(place, 0) > (event.before or {}).get(place, 0):
                yield Notice(token, place, overdue=False)
