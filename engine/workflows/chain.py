"""The hash chain of a token's history: an event cannot be changed, left out or put elsewhere without being seen.

Each hash is the SHA-256 of the hash before it and of the event as canonical JSON (sorted keys, UTF-8, times in
microseconds since 1970 UTC). The first event hashes the token's id, workflow and metadata as well.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from engine.kernel.instants import microseconds
from engine.nets.firing import merged
from engine.nets.token import Event, Token


def seal(event: Event, previous: bytes) -> Event:
    """`event` with its hash, as the one after the event with hash `previous`."""
    return event.with_hash(digest(_content(event), previous))


def origin(token: Token) -> bytes:
    """What the first event of a token is chained to."""
    return digest({"token": token.id, "workflow": token.workflow, "metadata": token.metadata}, b"")


def first_break(token: Token, events: Sequence[Event]) -> int | None:
    """The sequence of the first event that does not fit the chain, or of the first missing one; None when all is well.
    The number after the last one when the token is not what its history makes of it.

    `events` are the token's whole history in order, or what is left of it after an `archived` event, whose hash is that
    of the last one it stands for.
    """
    begun = _begun(token, events)
    workflow, previous, expected = begun["workflow"], bytes.fromhex(begun["origin"]), 1
    data: Mapping[str, Any] = {}
    for event in events:
        if event.kind == "archived" and expected == 1:
            if not archive_holds(token, event):
                return event.sequence
        elif event.sequence != expected or event.hash != digest(_content(event), previous):
            return expected
        if event.kind == "migrated" and event.detail.get("from") != workflow:
            return event.sequence
        workflow = event.detail.get("to") if event.kind == "migrated" else workflow
        data = data_after(data, event)
        previous, expected = event.hash, event.sequence + 1
    if not events or previous != token.head or expected != token.version + 1 or workflow != token.workflow:
        return expected
    now = (token.marking, token.data, token.updated_at)
    return None if now == (events[-1].after, data, events[-1].at) else expected


def archived(token: Token, events: Sequence[Event], upto: int) -> Event:
    """One event that stands for those of `token` up to the sequence `upto`, of its whole history `events`: with the
    marking and the data after them, and the hash of the last of them, so that the chain goes on from it.
    `detail.origin` is what the very first one was chained to, and `detail.seal` is over all of the content."""
    folded = [event for event in events if event.sequence <= upto]
    first, last = folded[0], folded[-1]
    data: Mapping[str, Any] = {}
    for event in folded:
        data = data_after(data, event)
    begun = first.detail if first.kind == "archived" else _begun(token, events)
    whole = replace(
        last,
        kind="archived",
        before=None,
        transition=None,
        source=None,
        data=data,
        reason="",
        detail={"events": last.sequence, "kind": last.kind, "workflow": begun["workflow"], "origin": begun["origin"]},
    )
    return replace(whole, detail={**whole.detail, "seal": _seal(whole)})


def _begun(token: Token, events: Sequence[Event]) -> Mapping[str, Any]:
    """The workflow in which a history began, and what its first event is chained to."""
    moves = [event.detail for event in events if event.kind == "migrated"]
    workflow = str(moves[0].get("from")) if moves else token.workflow
    return {"workflow": workflow, "origin": origin(replace(token, workflow=workflow)).hex()}


def archive_holds(token: Token, event: Event) -> bool:
    """Whether an `archived` event is as it was made, and of this token with this metadata."""
    detail = {key: value for key, value in event.detail.items() if key != "seal"}
    begun = origin(replace(token, workflow=str(detail.get("workflow")))).hex()
    return event.detail.get("seal") == _seal(replace(event, detail=detail)) and detail.get("origin") == begun


def _seal(event: Event) -> str:
    return digest(_content(event), event.hash).hex()


def data_after(data: Mapping[str, Any], event: Event) -> Mapping[str, Any]:
    """What `event` makes of the data."""
    match event.kind:
        case "created" | "rolled_back" | "archived":
            return event.data or {}
        case _:
            return merged(data, event.data) if event.data else data


def digest(content: Mapping[str, Any], previous: bytes) -> bytes:
    return hashlib.sha256(previous + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def _content(event: Event) -> dict[str, Any]:
    content: dict[str, Any] = {
        "token": event.token,
        "sequence": event.sequence,
        "kind": event.kind,
        "transition": event.transition,
        "source": event.source,
        "before": event.before,
        "after": event.after,
        "data": event.data,
        "at": microseconds(event.at),
        "actor": event.actor,
    }
    if event.reason:
        content["reason"] = event.reason
    if event.detail:
        content["detail"] = event.detail
    return content
