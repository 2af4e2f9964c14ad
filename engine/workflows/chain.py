"""The hash chain of a token's history: an event cannot be changed, left out or put elsewhere without being seen.

Each hash is the SHA-256 of the hash before it and of the event as canonical JSON (sorted keys, UTF-8, times in
microseconds since 1970 UTC). The first event hashes the token's id, workflow and metadata as well.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from engine.nets.firing import merged
from engine.nets.token import Event, Token

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seal(event: Event, previous: bytes) -> Event:
    """`event` with its hash, as the one after the event with hash `previous`."""
    return replace(event, hash=digest(_content(event), previous))


def origin(token: Token) -> bytes:
    """What the first event of a token is chained to."""
    return digest({"token": token.id, "workflow": token.workflow, "metadata": dict(token.metadata)}, b"")


def first_break(token: Token, events: Iterable[Event]) -> int | None:
    """The sequence of the first event that does not fit the chain, or of the first missing one; None when all is well.
    The number after the last one when the token is not what its history makes of it.

    `events` are the token's whole history in order.
    """
    previous, expected, last = origin(token), 1, None
    data: Mapping[str, Any] = {}
    for event in events:
        if event.sequence != expected or event.hash != digest(_content(event), previous):
            return expected
        data = data_after(data, event)
        previous, expected, last = event.hash, expected + 1, event
    whole = previous == token.head and expected == token.version + 1 and last is not None
    same = whole and last is not None and (token.marking, token.data, token.updated_at) == (last.after, data, last.at)
    return None if same else expected


def data_after(data: Mapping[str, Any], event: Event) -> Mapping[str, Any]:
    """What `event` makes of the data."""
    match event.kind:
        case "created" | "rolled_back" | "archived":
            return event.data or {}
        case _:
            return merged(data, event.data) if event.data else data


def digest(content: Mapping[str, Any], previous: bytes) -> bytes:
    return hashlib.sha256(previous + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _content(event: Event) -> dict[str, Any]:
    return {
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
        **({"reason": event.reason} if event.reason else {}),
        **({"detail": event.detail} if event.detail else {}),
    }
