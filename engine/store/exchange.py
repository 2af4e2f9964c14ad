"""Everything in a store as JSON Lines, and back.

The first line says what the file is, the last how much is in it, so that a file that was cut off is seen. Between them
is a line for each workflow, token (with its history and jobs), document and request, in this order: what a line needs
has come before it. The list of keys is left out: the keys are in the keyring of this machine and not in the store.

Reading and writing hold some lines at a time. What is read is checked before any of it is stored: form, digests of
workflows, the hash chain of every token.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from engine.jobs.model import Job
from engine.kernel.errors import CircuitBreakerError, Conflict, InvalidInput, NotFound, TooLarge
from engine.kernel.instants import microseconds, moment
from engine.llm.messages import Usage
from engine.nets import notation
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.definitions import definition_digest
from engine.store.ports import Change, Document, RequestRecord, Store
from engine.workflows import chain
from engine.workflows.model import Workflow

FORMAT, VERSION = "circuit-breaker", 1
MOST_LINE_BYTES = 200_000_000
_NOT_OURS_TO_MOVE = ("key",)  # of documents
_AT_ONCE = 100


@dataclass
class Exchanged:
    """What was written or stored, by kind; `skipped` was here already, the same. `damaged` are the tokens whose
    histories do not fit their chain: they were left out."""

    stored: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)


async def export(store: Store, at: datetime, found: Exchanged) -> AsyncIterator[bytes]:
    """The lines, each with its end; `found` counts them as they come. Raises StoreCorrupt."""
    yield _line({"kind": FORMAT, "version": VERSION, "at": microseconds(at)})
    for workflow in await store.ledger.workflows():
        found.stored["workflow"] += 1
        yield _line(_workflow_out(workflow))
    async for page in _pages(store):
        jobs = await store.jobs.of([token.id for token, _ in page])
        for token, events in page:
            if chain.first_break(token, events) is not None:
                found.damaged.append(token.id)
                continue
            found.stored["token"] += 1
            yield _line(_token_out(token, events, jobs[token.id]))
    async for document in store.shelf.every():
        if document.kind not in _NOT_OURS_TO_MOVE:
            found.stored["document"] += 1
            yield _line({"kind": "document", "of": document.kind, "parent": document.parent, "id": document.id,
                         "body": document.body})  # fmt: skip
    async for record in store.journal.every():
        found.stored["request"] += 1
        yield _line(_request_out(record))
    yield _line({"kind": "end", "lines": found.stored.total()})


async def _pages(store: Store) -> AsyncIterator[Sequence[tuple[Token, Sequence[Event]]]]:
    page: list[tuple[Token, Sequence[Event]]] = []
    async for one in store.ledger.every_token():
        page.append(one)
        if len(page) >= _AT_ONCE:
            yield page
            page = []
    if page:
        yield page


def look_through(lines: Iterable[bytes]) -> int:
    """Read and check all lines without storing any. How many things are in them.

    Raises InvalidInput with the line for what is no export, was cut off, or whose content does not fit its digest or
    hash chain; TooLarge for a line.
    """
    things = 0
    for _number, kind, _value in _read(lines):
        things += kind != "end"
    return things


async def import_(store: Store, lines: Iterable[bytes]) -> Exchanged:
    """Store what is in the lines; a token with all that belongs to it, or nothing of it. The same again is skipped.

    Raises as `look_through`, and Conflict, naming it, for the first thing that is here and not the same: what came
    before it is stored, and to import again goes on from there.
    """
    found = Exchanged()
    for number, kind, value in _read(lines):
        if kind == "end":
            break
        try:
            new = await _store(store, value)
        except NotFound as error:
            raise _wrong(f"It needs what is not there: {error.what}", number) from None
        (found.stored if new else found.skipped)[kind] += 1
    return found


Thing = Workflow | Change | Document | RequestRecord


async def _store(store: Store, thing: Thing) -> bool:
    """Whether it was not here yet."""
    match thing:
        case Workflow():
            return await store.ledger.put_workflow(thing)
        case Change(token=token):
            try:
                there = await store.ledger.token(token.id)
            except NotFound:
                await store.ledger.add([thing])
                return True
            return _same("token", token.id, there == token)
        case Document(kind, parent, id, body):
            document = await store.shelf.get(kind, id, parent=parent)
            if document is None:
                await store.shelf.put(kind, id, body, parent=parent)
                return True
            return _same(kind, id, document == body)
        case RequestRecord():
            record = await store.journal.request(thing.id)
            if record is None:
                await store.journal.record(thing)
                return True
            return _same("request", thing.id, record == thing)


def _same(kind: str, id: str, same: bool) -> bool:
    if not same:
        raise Conflict(
            f"The {kind} {id} is here, and is not the same.",
            why="Importing never changes what is here.",
            fix="Import into another database, with --data-dir.",
            details={"kind": kind, "id": id},
        )
    return False


def _read(lines: Iterable[bytes]) -> Any:
    """Number, kind and content of each line after the first, checked; the last one is the end."""
    things, ended = 0, False
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_LINE_BYTES:
            raise TooLarge(f"Line {number} has more than {MOST_LINE_BYTES:,} bytes.", details={"line": number})
        if ended:
            raise _wrong("There is something after its end", number)
        try:
            row = orjson.loads(line)
            kind = row["kind"]
            if (number == 1) != (kind == FORMAT):
                raise ValueError("it does not begin as an export does")
            if kind == FORMAT:
                if row["version"] != VERSION:
                    raise ValueError(f"it is of version {row['version']}, and {VERSION} is known here")
                continue
            if kind == "end":
                ended = True
                if row["lines"] != things:
                    raise ValueError(f"{row['lines']} lines were written and {things} are there")
                yield number, kind, None
                continue
            thing = _READERS[kind](row)
        except CircuitBreakerError as error:
            raise _wrong(error.what, number) from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, InvalidOperation) as error:
            missing = f"{error} is missing or not known" if isinstance(error, KeyError) else str(error)
            raise _wrong(missing, number) from None
        things += 1
        yield number, kind, thing
    if not ended:
        raise InvalidInput(
            "The export was cut off: its last line is not there.", fix="Export again.", details={"things": things}
        )


def _wrong(why: str, line: int) -> InvalidInput:
    return InvalidInput(
        f"Line {line} of the export cannot be taken.",
        why=f"{why.rstrip('.')}.",
        fix="Export again.",
        details={"line": line},
    )


# -- lines ------------------------------------------------------------------------------------------------------------


def _line(value: Mapping[str, Any]) -> bytes:
    return codec.dumps(value).encode() + b"\n"


def _workflow_out(one: Workflow) -> Mapping[str, Any]:
    return {
        "kind": "workflow", "id": one.id, "slug": one.slug, "version": one.version, "digest": one.digest.hex(),
        "createdAt": microseconds(one.created_at), "definition": notation.write(one.definition),
    }  # fmt: skip


def _workflow_in(row: Mapping[str, Any]) -> Workflow:
    definition = notation.read(row["definition"])
    digest = definition_digest(definition)
    if digest.hex() != row["digest"]:
        raise ValueError(f"the workflow {row['id']} does not fit its digest")
    return Workflow(
        _text(row["id"]), _text(row["slug"]), int(row["version"]), definition, digest, moment(row["createdAt"])
    )


def _token_out(token: Token, events: Sequence[Event], jobs: Sequence[Job]) -> Mapping[str, Any]:
    return {
        "kind": "token", "id": token.id, "workflow": token.workflow, "marking": token.marking, "data": token.data,
        "metadata": token.metadata, "version": token.version, "createdAt": microseconds(token.created_at),
        "updatedAt": microseconds(token.updated_at), "head": token.head.hex(), "status": token.status,
        "running": token.running,
        "events": [
            {
                "sequence": one.sequence, "kind": one.kind, "after": one.after, "at": microseconds(one.at),
                "before": one.before, "transition": one.transition, "source": one.source, "data": one.data,
                "actor": one.actor, "hash": one.hash.hex(), "reason": one.reason, "detail": one.detail,
            }
            for one in events
        ],
        "jobs": [
            {
                "kind": one.kind, "name": one.name, "due": microseconds(one.due), "sequence": one.sequence,
                "payload": one.payload, "attempts": one.attempts, "error": one.error, "state": one.state,
            }
            for one in jobs
        ],
    }  # fmt: skip


def _token_in(row: Mapping[str, Any]) -> Change:
    token = Token(
        _text(row["id"]), _text(row["workflow"]), row["marking"], row["data"], row["metadata"], row["version"],
        moment(row["createdAt"]), moment(row["updatedAt"]), bytes.fromhex(row["head"]), row["status"], row["running"],
    )  # fmt: skip
    if token.status not in ("active", "completed", "cancelled"):
        raise ValueError(f"{token.status} is no status")
    if not all(isinstance(one, dict) for one in (token.marking, token.data, token.metadata, token.running)):
        raise ValueError("a marking, data or metadata is no object")
    events = [
        Event(
            token.id, one["sequence"], one["kind"], one["after"], moment(one["at"]), one["before"], one["transition"],
            one["source"], one["data"], one["actor"], bytes.fromhex(one["hash"]), one["reason"] or "",
            one["detail"] or {},
        )
        for one in row["events"]
    ]  # fmt: skip
    jobs = [
        Job(
            token.id, one["kind"], one["name"], moment(one["due"]), one["sequence"], one["payload"], one["attempts"],
            one["error"], one["state"],
        )
        for one in row["jobs"]
    ]  # fmt: skip
    if any(job.state not in ("queued", "dead") or not isinstance(job.payload, dict) for job in jobs):
        raise ValueError(f"a job of the token {token.id} is none")
    if (sequence := chain.first_break(token, events)) is not None:
        raise ValueError(f"the history of the token {token.id} does not fit its hash chain at {sequence}")
    return Change(token, events, jobs=jobs)


def _document_in(row: Mapping[str, Any]) -> Document:
    if not isinstance(row["body"], dict):
        raise ValueError("a document is no object")
    return Document(_text(row["of"]), str(row["parent"]), _text(row["id"]), row["body"])


def _request_out(one: RequestRecord) -> Mapping[str, Any]:
    usage = one.usage
    return {
        "kind": "request", "id": one.id, "at": microseconds(one.at), "face": one.face, "asked": one.asked,
        "provider": one.provider, "model": one.model,
        "usage": [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.counted],
        "costUsd": None if one.cost_usd is None else str(one.cost_usd), "ttftS": one.ttft_s,
        "durationS": one.duration_s, "error": one.error, "decision": one.decision, "attempts": one.attempts,
        "retries": one.retries, "key": one.key, "app": one.app, "agent": one.agent, "workflow": one.workflow,
        "token": one.token, "price": one.price, "warnings": list(one.warnings), "tokensPerS": one.tokens_per_s,
        "referenceUsd": None if one.reference_usd is None else str(one.reference_usd),
    }  # fmt: skip


def _request_in(row: Mapping[str, Any]) -> RequestRecord:
    cost, reference = row["costUsd"], row.get("referenceUsd")
    return RequestRecord(
        _text(row["id"]), moment(row["at"]), row["face"], row["asked"], row["provider"], row["model"],
        Usage(*row["usage"]), None if cost is None else Decimal(cost), row["ttftS"], row["durationS"], row["error"],
        row["decision"], row.get("attempts", 1), row.get("retries", 0), row.get("key", ""),
        row.get("app", row["face"]),  # exports of the first version name no app
        row.get("agent", ""), row.get("workflow", ""), row.get("token", ""), row.get("price"),
        None if reference is None else Decimal(reference), row.get("tokensPerS"), tuple(row.get("warnings", ())),
    )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("an id is missing or no text")
    return value


_READERS: Mapping[str, Any] = {
    "workflow": _workflow_in,
    "token": _token_in,
    "document": _document_in,
    "request": _request_in,
}
