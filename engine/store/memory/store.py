"""A store that lives as long as the process: for tests, and for `--store memory://`."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from engine.kernel.errors import NotFound
from engine.nets import notation
from engine.nets.marking import in_words
from engine.nets.notation import Definition
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.ports import Once, RequestRecord, Spend
from engine.workflows import conflicts
from engine.workflows.model import Workflow


@dataclass
class MemoryLedger:
    _workflows: dict[str, Workflow] = field(default_factory=dict)
    _tokens: dict[str, Token] = field(default_factory=dict)
    _events: dict[str, list[Event]] = field(default_factory=dict)
    _once: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def add_workflow(self, definition: Definition, at: datetime) -> Workflow:
        digest, slug = codec.definition_digest(definition), notation.slug(definition.name)
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

    async def workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self._workflows:
            raise NotFound.named("workflow", workflow_id, self._workflows)
        return self._workflows[workflow_id]

    async def workflows(self) -> Sequence[Workflow]:
        return list(self._workflows.values())

    async def add_token(self, token: Token, events: Sequence[Event], once: Once | None = None) -> Token:
        await self.workflow(token.workflow)
        codec.dumps([dict(token.data), dict(token.metadata)])
        if once and (earlier := await self.replayed(once)):
            return earlier
        self._store(token, events, once)
        return token

    async def commit(self, token: Token, events: Sequence[Event], once: Once | None = None) -> Token:
        codec.dumps(dict(token.data))
        if once and (earlier := await self.replayed(once)):
            return earlier
        current, expected = await self.token(token.id), events[0].sequence - 1
        if current.version != expected:
            raise conflicts.token_moved(current, self._state(current), expected)
        self._store(token, events, once)
        return token

    def _store(self, token: Token, events: Sequence[Event], once: Once | None) -> None:
        self._tokens[token.id] = token
        self._events.setdefault(token.id, []).extend(events)
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

    async def tokens(
        self, *, workflow: str | None = None, state: str | None = None, first: int = 50, after: str | None = None
    ) -> Sequence[Token]:
        found = [
            token
            for name, token in sorted(self._tokens.items(), reverse=True)
            if workflow in (None, token.workflow)
            and state in (None, self._state(token))
            and (after is None or name < after)
        ]
        return found[:first]

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        return {token: tuple(self._events.get(token, ())) for token in token_ids}

    async def counts(self, workflow: str) -> Mapping[str, int]:
        counted = Counter(self._state(token) for token in self._tokens.values() if token.workflow == workflow)
        return dict(sorted(counted.items()))

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

    async def get(self, kind: str, id: str) -> Mapping[str, Any] | None:
        text = self._documents.get((kind, "", id))
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


@dataclass
class MemoryJournal:
    _records: dict[str, RequestRecord] = field(default_factory=dict)

    async def record(self, record: RequestRecord) -> None:
        self._records[record.id] = record

    async def request(self, request_id: str) -> RequestRecord | None:
        return self._records.get(request_id)

    async def recent(self, limit: int = 50) -> Sequence[RequestRecord]:
        return [self._records[id] for id in sorted(self._records, reverse=True)[:limit]]

    async def spend(self, day: date) -> Spend:
        costs = [record.cost_usd for record in self._records.values() if record.at.date() == day]
        return Spend(len(costs), costs.count(None), sum((cost for cost in costs if cost is not None), Decimal(0)))


class MemoryStore:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.shelf = MemoryShelf()
        self.journal = MemoryJournal()
        self.address = "memory://"

    def announce(self, addresses: Mapping[str, str]) -> None:
        return None

    async def check(self) -> Sequence[str]:
        return []

    async def close(self) -> None:
        return None
