"""A store that lives as long as the process: for tests, and for `--store memory://`."""

from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from engine.jobs.model import Job, JobKey
from engine.kernel.errors import CircuitBreakerError, NotFound
from engine.nets import notation
from engine.nets.marking import Marking, in_words
from engine.nets.notation import Definition
from engine.nets.token import Event, Token
from engine.rules.fields import value_of
from engine.rules.values import same_json
from engine.store import codec
from engine.store.definitions import definition_digest
from engine.store.once import answers
from engine.store.ports import (
    Change,
    Document,
    Once,
    RequestQuery,
    RequestRecord,
    Spend,
    SpendKey,
    SpendSums,
    TokenQuery,
    spend_key,
)
from engine.workflows import conflicts
from engine.workflows.model import Workflow


@dataclass
class MemoryJobs:
    jobs: dict[JobKey, Job] = field(default_factory=dict)

    def end(self, key: JobKey, sequence: int | None = None) -> bool:
        there = key in self.jobs and sequence in (None, self.jobs[key].sequence)
        if there:
            del self.jobs[key]
        return there

    def _sorted(self, state: str) -> list[Job]:
        found = [job for job in self.jobs.values() if job.state == state]
        return sorted(found, key=lambda job: (job.due, job.token, job.name))

    async def due(self, at: datetime, limit: int) -> Sequence[Job]:
        return [job for job in self._sorted("queued") if job.due <= at][:limit]

    async def next_due(self) -> datetime | None:
        return next((job.due for job in self._sorted("queued")), None)

    async def put_back(self, job: Job) -> None:
        if self.end(job.key, job.sequence):
            self.jobs[job.key] = job

    async def finish(self, job: Job) -> None:
        self.end(job.key, job.sequence)

    async def of(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Job]]:
        jobs = sorted(self.jobs.values(), key=lambda job: (job.due, job.name))
        return {token: [job for job in jobs if job.token == token] for token in token_ids}

    async def dead(self, limit: int = 50) -> Sequence[Job]:
        return self._sorted("dead")[:limit]


@dataclass
class MemoryLedger:
    _jobs: MemoryJobs
    _workflows: dict[str, Workflow] = field(default_factory=dict)
    _tokens: dict[str, Token] = field(default_factory=dict)
    _events: dict[str, list[Event]] = field(default_factory=dict)
    _once: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    _log: list[Event] = field(default_factory=list)

    async def add_workflow(self, definition: Definition, at: datetime) -> Workflow:
        digest, slug = definition_digest(definition), notation.slug(definition.name)
        if definition.id:
            found = self._workflows.get(definition.id)
            if found and found.digest != digest:
                raise conflicts.id_taken(definition.id)
        else:
            found = next((w for w in self._workflows.values() if (w.slug, w.digest) == (slug, digest)), None)
        if found:
            return found
        version = 1 + max((w.version for w in self._workflows.values() if w.slug == slug), default=0)
        while not definition.id and f"{slug}_v{version}" in self._workflows:
            version += 1
        workflow = Workflow(definition.id or f"{slug}_v{version}", slug, version, definition, digest, at)
        self._workflows[workflow.id] = workflow
        return workflow

    async def put_workflow(self, workflow: Workflow) -> bool:
        found = self._workflows.get(workflow.id)
        if found is None:
            found = next(
                (w for w in self._workflows.values() if w.slug == workflow.slug and w.version == workflow.version), None
            )
        if found and (found.id, found.digest) != (workflow.id, workflow.digest):
            raise conflicts.workflow_clashes(workflow, found.id)
        self._workflows.setdefault(workflow.id, workflow)
        return found is None

    async def workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self._workflows:
            raise NotFound.named("workflow", workflow_id, self._workflows)
        return self._workflows[workflow_id]

    async def workflows(self) -> Sequence[Workflow]:
        return list(self._workflows.values())

    async def add(self, changes: Sequence[Change]) -> Sequence[Token]:
        for change in changes:
            await self.workflow(change.token.workflow)
            codec.dumps([change.token.data, change.token.metadata])
        earlier = [await self.replayed(change.once) if change.once else None for change in changes]
        found = answers(changes, earlier)
        for change, answer in zip(changes, found, strict=True):
            if not answer:
                self._store(change)
        return [answer or change.token for change, answer in zip(changes, found, strict=True)]

    async def commit(self, change: Change) -> Token:
        token, expected = change.token, change.events[0].sequence - 1
        codec.dumps(token.data)
        if change.once and (earlier := await self.replayed(change.once)):
            return earlier
        current = await self.token(token.id)
        if current.version != expected:
            raise conflicts.token_moved(current.version, self._state(current), expected)
        if change.done and not self._jobs.end(change.done.key, change.done.sequence):
            raise conflicts.job_gone(change.done)
        self._store(change)
        return token

    async def commit_all(self, changes: Sequence[Change]) -> Sequence[Token | CircuitBreakerError]:
        outcomes: list[Token | CircuitBreakerError] = []
        for change in changes:
            try:
                outcomes.append(await self.commit(change))
            except CircuitBreakerError as error:
                outcomes.append(error)
        return outcomes

    def _store(self, change: Change) -> None:
        token, once = change.token, change.once
        self._tokens[token.id] = token
        for event in change.events:
            stored = replace(event, position=self._log[-1].position + 1 if self._log else 1)
            self._log.append(stored)
            self._events.setdefault(token.id, []).append(stored)
        for key in change.dropped:
            self._jobs.end(key)
        for job in change.jobs:
            self._jobs.jobs[job.key] = job
        if once:
            self._once[once.key] = once.fingerprint, token.id

    async def replayed(self, once: Once) -> Token | None:
        if once.key not in self._once:
            return None
        fingerprint, token_id = self._once[once.key]
        if fingerprint != once.fingerprint:
            raise conflicts.key_reused(once)
        return self._tokens[token_id]

    async def token(self, token_id: str) -> Token:
        if token_id not in self._tokens:
            raise NotFound.named("token", token_id, (), fix="`circuit-breaker token show` lists the newest.")
        return self._tokens[token_id]

    async def tokens(self, query: TokenQuery) -> Sequence[Token]:
        found = (token for _, token in sorted(self._tokens.items(), reverse=True) if self._wanted(token, query))
        return list(islice(found, query.first))

    def _wanted(self, token: Token, query: TokenQuery) -> bool:
        return (
            query.workflow in (None, token.workflow)
            and query.state in (None, self._state(token))
            and query.status in (None, token.status)
            and (query.before is None or token.id < query.before)
            and (query.created_after is None or token.created_at >= query.created_after)
            and (query.created_before is None or token.created_at < query.created_before)
            and (query.updated_after is None or token.updated_at >= query.updated_after)
            and (query.updated_before is None or token.updated_at < query.updated_before)
            and all(
                same_json(value_of(path, token.data, token.metadata), value) for path, value in query.fields.items()
            )
        )

    async def markings(self, workflow: str) -> Sequence[tuple[Marking, int]]:
        counted: Counter[str] = Counter(
            codec.dumps(token.marking)
            for token in self._tokens.values()
            if token.workflow == workflow and token.status != "cancelled"
        )
        return [(codec.loads(text), count) for text, count in sorted(counted.items())]

    async def events(self, after: int, *, workflow: str | None = None, limit: int = 500) -> Sequence[Event]:
        start = bisect_right(self._log, after, key=lambda event: event.position)
        found = (e for e in islice(self._log, start, None) if workflow in (None, self._tokens[e.token].workflow))
        return list(islice(found, limit))

    async def last_position(self) -> int:
        return self._log[-1].position if self._log else 0

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        return {token: tuple(self._events.get(token, ())) for token in token_ids}

    async def counts(self, workflow: str) -> Mapping[str, int]:
        counted = Counter(self._state(token) for token in self._tokens.values() if token.workflow == workflow)
        return dict(sorted(counted.items()))

    async def archive(self, event: Event) -> int:
        token = await self.token(event.token)
        events = self._events[token.id]
        there = next((one for one in events if one.sequence == event.sequence), None)
        if there is None or there.hash != event.hash or event.sequence >= token.version:
            raise conflicts.not_archived(event)
        stored = replace(event, position=there.position)
        gone = {one.position for one in events if one.sequence <= event.sequence}
        self._events[token.id] = [stored, *(one for one in events if one.position not in gone)]
        self._log = [
            stored if one.position == there.position else one
            for one in self._log
            if one.position not in gone or one.position == there.position
        ]
        return len(gone)

    async def every_token(self) -> AsyncIterator[tuple[Token, Sequence[Event]]]:
        for token in list(self._tokens.values()):
            yield token, tuple(self._events[token.id])

    def _state(self, token: Token) -> str:
        return in_words(token.marking, self._workflows[token.workflow].net.place_ids)


@dataclass
class MemoryShelf:
    _documents: dict[tuple[str, str, str], str] = field(default_factory=dict)

    async def put(self, kind: str, id: str, body: Mapping[str, Any], *, parent: str = "") -> None:
        self._documents[kind, parent, id] = codec.dumps(dict(body))

    async def get(self, kind: str, id: str, *, parent: str = "") -> Mapping[str, Any] | None:
        text = self._documents.get((kind, parent, id))
        return None if text is None else codec.loads(text)

    async def list(
        self, kind: str, *, parent: str = "", newest: bool = False, limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        keys = sorted((key for key in self._documents if key[:2] == (kind, parent)), reverse=newest)
        return [(key[2], codec.loads(self._documents[key])) for key in keys[:limit]]

    async def delete(self, kind: str, id: str, *, children: str = "") -> bool:
        for key in [key for key in self._documents if key[:2] == (children, id)]:
            del self._documents[key]
        return self._documents.pop((kind, "", id), None) is not None

    async def every(self) -> AsyncIterator[Document]:
        for key in sorted(self._documents):
            yield Document(*key, codec.loads(self._documents[key]))


@dataclass
class MemoryJournal:
    _records: dict[str, RequestRecord] = field(default_factory=dict)
    _contents: dict[str, str] = field(default_factory=dict)
    _sums: dict[SpendKey, SpendSums] = field(default_factory=dict)

    async def record(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        self.record_soon(record, content)

    def record_soon(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        self._records[record.id] = record
        if content is not None:
            self._contents[record.id] = codec.dumps(dict(content))
        key = spend_key(record)
        self._sums[key] = self._sums.get(key, SpendSums()) + SpendSums.of(record)

    async def request(self, request_id: str) -> RequestRecord | None:
        return self._records.get(request_id)

    async def content(self, request_id: str) -> Mapping[str, Any] | None:
        text = self._contents.get(request_id)
        return None if text is None else codec.loads(text)

    async def recent(self, limit: int = 50) -> Sequence[RequestRecord]:
        return await self.requests(RequestQuery(first=limit))

    async def requests(self, query: RequestQuery) -> Sequence[RequestRecord]:
        found = (one for _, one in sorted(self._records.items(), reverse=True) if _asked_for(one, query))
        return list(islice(found, query.first))

    async def every(self) -> AsyncIterator[RequestRecord]:
        for id in sorted(self._records):
            yield self._records[id]

    async def spend(self, day: date) -> Spend:
        sums = sum((one for _, one in await self.sums(day, day + timedelta(days=1))), SpendSums())
        return Spend(sums.requests, sums.unpriced, sums.cost_usd)

    async def sums(
        self, since: date, until: date, *, app: str | None = None, workflow: str | None = None
    ) -> Sequence[tuple[SpendKey, SpendSums]]:
        found = [
            (key, sums)
            for key, sums in self._sums.items()
            if since <= key.day < until and app in (None, key.app) and workflow in (None, key.workflow)
        ]
        return sorted(found, key=lambda one: astuple(one[0]))

    async def forget(self, before: datetime) -> int:
        old = [record.id for record in self._records.values() if record.at < before]
        for id in old:
            del self._records[id]
            self._contents.pop(id, None)
        return len(old)


def _asked_for(record: RequestRecord, query: RequestQuery) -> bool:
    return (
        query.provider in (None, record.provider)
        and query.model in (None, record.model)
        and query.app in (None, record.app)
        and query.workflow in (None, record.workflow)
        and query.failed in (None, bool(record.error))
        and (query.since is None or record.at >= query.since)
        and (query.until is None or record.at < query.until)
        and (query.before is None or record.id < query.before)
    )


class MemoryStore:
    def __init__(self) -> None:
        self.jobs = MemoryJobs()
        self.ledger = MemoryLedger(self.jobs)
        self.shelf = MemoryShelf()
        self.journal = MemoryJournal()
        self.address = "memory://"

    def announce(self, addresses: Mapping[str, str]) -> None:
        return None

    async def check(self) -> Sequence[str]:
        return []

    async def close(self) -> None:
        return None
