"""Between rows of the tables and the frozen data of the rooms."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from engine.jobs.model import Job
from engine.kernel.errors import StoreCorrupt
from engine.kernel.instants import microseconds, moment
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.ports import Change
from engine.store.sqlite.database import Row

TOKEN = "id, workflow, marking, data, metadata, version, created_at, updated_at, head, status, running"
EVENT = "token, sequence, kind, transition, source, before, after, data, at, actor, hash, reason, detail"
EVENT_BYTES = ", ".join(  # for texts that may be damaged
    name if name in ("sequence", "at", "hash") else f"cast({name} as blob)" for name in EVENT.split(", ")
)
JOB = "token, kind, name, due, sequence, payload, attempts, error, state"


def token_row(change: Change, state: str) -> Row:
    """A new token, and the state it is in."""
    token = change.token
    return (
        token.id,
        token.workflow,
        codec.dumps(token.marking),
        codec.dumps(token.data) if token.data else "{}",
        codec.dumps(token.metadata) if token.metadata else "{}",
        token.version,
        microseconds(token.created_at),
        microseconds(token.updated_at),
        token.head,
        token.status,
        codec.dumps(token.running) if token.running else "{}",
        state,
    )


def moved_row(change: Change, state: str) -> Row:
    """What of a token can change, the state it is in, and its id; without the data when no event has changed them."""
    token = change.token
    same = not [event for event in change.events if event.data is not None or event.kind == "rolled_back"]
    return (
        token.workflow,
        codec.dumps(token.marking),
        None if same else codec.dumps(token.data),
        token.version,
        microseconds(token.updated_at),
        token.head,
        token.status,
        codec.dumps(token.running) if token.running else "{}",
        state,
        token.id,
    )


def token_of(row: Row) -> Token:
    name, workflow, marking, data, metadata, version, created, updated, head, status, running = row
    read = codec.loads
    with codec.reading("token"):
        return Token(
            name,
            workflow,
            read(marking),
            read(data),
            read(metadata),
            version,
            moment(created),
            moment(updated),
            head,
            status,
            read(running),
        )


def event_row(event: Event) -> Row:
    return (
        event.token,
        event.sequence,
        event.kind,
        event.transition,
        event.source,
        None if event.before is None else codec.dumps(event.before),
        codec.dumps(event.after),
        None if event.data is None else codec.dumps(event.data),
        microseconds(event.at),
        event.actor,
        event.hash,
        event.reason,
        codec.dumps(event.detail) if event.detail else None,
    )


def event_of(row: Row, position: int = 0) -> Event:
    token, sequence, kind, transition, source, before, after, data, at, actor, hash_, reason, detail = row

    def read(text: str | None) -> Any:
        return None if text is None else codec.loads(text)

    with codec.reading("history"):
        return Event(
            token,
            sequence,
            kind,
            read(after),
            moment(at),
            read(before),
            transition,
            source,
            read(data),
            actor,
            hash_,
            reason,
            read(detail) or {},
            position,
        )


def readable(rows: Sequence[Row]) -> Sequence[Event]:
    """The events before the first that cannot be read; the texts of `rows` are bytes."""
    events: list[Event] = []
    with suppress(StoreCorrupt):
        for cells in rows:
            *before, hash_, reason, detail = cells
            with codec.reading("history"):
                texts = [cell.decode() if isinstance(cell, bytes) else cell for cell in (*before, reason, detail)]
            events.append(event_of((*texts[:-2], hash_, *texts[-2:])))
    return events


def job_row(job: Job) -> Row:
    payload = codec.dumps(dict(job.payload))
    return (
        job.token,
        job.kind,
        job.name,
        microseconds(job.due),
        job.sequence,
        payload,
        job.attempts,
        job.error,
        job.state,
    )


def job_of(row: Row) -> Job:
    token, kind, name, due, sequence, payload, attempts, error, state = row
    with codec.reading("job"):
        return Job(token, kind, name, moment(due), sequence, codec.loads(payload), attempts, error, state)
