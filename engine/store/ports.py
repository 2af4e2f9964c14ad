"""What the rooms need of a store. Every adapter passes the same contract tests (`tests/contract`).

What a method acknowledges is durable: a store that can sync has synced. Errors are `StoreUnavailable` and
`StoreCorrupt`, and `InvalidInput` for what cannot be stored, besides those that a method names.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from engine.kernel.errors import CircuitBreakerError
from engine.kernel.records import record
from engine.llm.messages import Usage

if TYPE_CHECKING:  # who keeps only documents, or only requests, loads no nets (docs/decisions/lazy-start.md)
    from engine.jobs.model import Job, JobKey
    from engine.nets.marking import Marking
    from engine.nets.notation import Definition
    from engine.nets.token import Event, Status, Token
    from engine.workflows.model import Workflow


@record
class Once:
    """An idempotency key, and what was asked with it (32 bytes), so that another request under the same key is seen."""

    key: str
    fingerprint: bytes


@record
class Change:
    """What is stored in one transaction: a token as it becomes, the sealed events that made it so, the jobs that they
    ask for and those that they end. `done` is the job that this is the result of: it must still be there.
    """

    token: "Token"
    events: "Sequence[Event]"
    once: Once | None = None
    jobs: "Sequence[Job]" = ()
    dropped: "Sequence[JobKey]" = ()
    done: "Job | None" = None


@record
class TokenQuery:
    """Which tokens are wanted, newest first; what is None does not matter.

    `fields` are values that must stand at dotted paths of the data, or of the metadata after `metadata.`; the paths
    that a workflow names in `indexes` are looked up, others are searched for. `before` is the id of the last token of
    the page before.
    """

    workflow: str | None = None
    state: str | None = None
    status: "Status | None" = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    first: int = 50
    before: str | None = None


class Ledger(Protocol):
    """Workflows, tokens and their histories."""

    async def add_workflow(self, definition: "Definition", at: datetime) -> "Workflow":
        """Store a definition under its id, or under `slug_vN` with the next N when it has none. The same content again
        gives the workflow that is there.

        Raises Conflict when the id is taken by another definition.
        """
        ...

    async def workflow(self, workflow_id: str) -> "Workflow":
        """Raises NotFound with the nearest ids."""
        ...

    async def workflows(self) -> "Sequence[Workflow]":
        """All of them, in the order they came."""
        ...

    async def put_workflow(self, workflow: "Workflow") -> bool:
        """Store a workflow of another store as it is there: with its id, version and time. Whether it was not here yet.

        Raises Conflict when its id, or the version of its name, is taken by another one.
        """
        ...

    async def add(self, changes: Sequence[Change]) -> "Sequence[Token]":
        """Store new tokens with their first events, all of them or none. A repeated `once` gives the token that is
        there.

        Raises Conflict when a `once` was used for something else.
        """
        ...

    async def commit(self, change: Change) -> "Token":
        """Store what became of a token. The stored version must be the one before the first event. A repeated `once`
        gives the token as it is now.

        Raises Conflict, with the current version and state in `details.current`, when the token has moved, when `once`
        was used for something else, or when the job `done` is no longer there; NotFound when the token is gone.
        """
        ...

    async def commit_all(self, changes: Sequence[Change]) -> "Sequence[Token | CircuitBreakerError]":
        """`commit` each of them, of as many tokens, in few transactions. What became of each, in order: the error that
        `commit` would raise is the outcome of its change alone.
        """
        ...

    async def replayed(self, once: Once) -> "Token | None":
        """The token, as it is now, that a request under `once` made or moved; None when there was none.

        Raises Conflict when the key was used for something else.
        """
        ...

    async def token(self, token_id: str) -> "Token":
        """Raises NotFound."""
        ...

    async def tokens(self, query: TokenQuery) -> "Sequence[Token]":
        """At most `query.first` of them, newest first."""
        ...

    async def markings(self, workflow: str) -> "Sequence[tuple[Marking, int]]":
        """The distinct markings of the tokens that are not cancelled, and how many tokens have each."""
        ...

    async def events(self, after: int, *, workflow: str | None = None, limit: int = 500) -> "Sequence[Event]":
        """The events of all tokens after a position, in the order they were stored; perhaps of one workflow."""
        ...

    async def last_position(self) -> int:
        """The position of the newest event; 0 when there is none."""
        ...

    async def histories(self, token_ids: Sequence[str]) -> "Mapping[str, Sequence[Event]]":
        """The events of each token, in order."""
        ...

    async def counts(self, workflow: str) -> Mapping[str, int]:
        """How many tokens are in each state; kept as they move, not counted."""
        ...

    async def archive(self, event: "Event") -> int:
        """Put `event`, an `archived` one (`engine.workflows.chain.archived`), in the place of its token's events up to
        its sequence; it takes the position of the last of them, the others keep theirs. How many it stands in for.

        Raises NotFound for the token; Conflict when the stored event of that sequence is not the one that it ends with,
        or is the last of the history.
        """
        ...

    def every_token(self) -> "AsyncIterator[tuple[Token, Sequence[Event]]]":
        """All tokens with their histories, each of one moment, to be checked. A history ends before the first event
        that cannot be read. Raises StoreCorrupt when a token itself cannot."""
        ...


class JobQueue(Protocol):
    """The jobs that changes have put, in the order they are due."""

    async def due(self, at: datetime, limit: int) -> "Sequence[Job]":
        """Queued jobs that are due at `at`, the longest due first."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next queued job is due."""
        ...

    async def put_back(self, job: "Job") -> None:
        """Store what became of a job that failed, unless another one has taken its place."""
        ...

    async def finish(self, job: "Job") -> None:
        """The job is done, and nothing else has changed."""
        ...

    async def of(self, token_ids: Sequence[str]) -> "Mapping[str, Sequence[Job]]":
        """The jobs of each token, in the order they are due."""
        ...

    async def dead(self, limit: int = 50) -> "Sequence[Job]":
        """Jobs that are not tried again."""
        ...


@record
class Document:
    kind: str
    parent: str
    id: str
    body: Mapping[str, Any]


class Shelf(Protocol):
    """Documents of the other rooms: JSON under a kind, an id, and a parent where they belong to another one."""

    async def put(self, kind: str, id: str, body: Mapping[str, Any], *, parent: str = "") -> None: ...

    async def get(self, kind: str, id: str, *, parent: str = "") -> Mapping[str, Any] | None: ...

    async def list(
        self, kind: str, *, parent: str = "", newest: bool = False, limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Ids and bodies of a kind in the order of their ids, or the other way round. Ids are in order of time."""
        ...

    async def delete(self, kind: str, id: str, *, children: str = "") -> bool:
        """Remove a document, and the documents of kind `children` that belong to it. Whether it was there."""
        ...

    def every(self) -> AsyncIterator[Document]:
        """All documents, by kind, parent and id."""
        ...


@record
class RequestRecord:
    """One request to a model, as it ended. `cost_usd` None is unknown. Times are in seconds. `error` is a code.

    `attempts` is how many models were asked, `retries` how often one was asked again. `key` is the label of the key
    that was used, never the key. `app` is who asked, `agent` how it called itself (user agent); `workflow` and `token`
    are what it was asked for, where that was said. `price` is what was charged for a million tokens of each kind
    (`engine.llm.prices.charged`), `reference_usd` what the reference model would have cost.
    """

    id: str
    at: datetime
    face: str
    asked: str
    provider: str
    model: str
    usage: Usage
    cost_usd: Decimal | None
    ttft_s: float | None
    duration_s: float
    error: str
    decision: Mapping[str, Any]
    attempts: int = 1
    retries: int = 0
    key: str = ""
    app: str = ""
    agent: str = ""
    workflow: str = ""
    token: str = ""
    price: Mapping[str, Any] | None = None
    reference_usd: Decimal | None = None
    tokens_per_s: float | None = None
    warnings: tuple[str, ...] = ()


@record
class RequestQuery:
    """Which requests are wanted, newest first; what is None does not matter. `failed` wants those that ended in an
    error, or the others. `before` is the id of the last one of the page before."""

    provider: str | None = None
    model: str | None = None
    app: str | None = None
    workflow: str | None = None
    failed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int = 50
    before: str | None = None


@record
class Spend:
    """What a day came to. `unpriced` is the number of requests whose cost is unknown."""

    requests: int
    unpriced: int
    cost_usd: Decimal


@record
class SpendKey:
    """What sums are kept by. `day` is one of UTC."""

    day: date
    provider: str
    model: str
    app: str = ""
    workflow: str = ""


@dataclass(frozen=True, slots=True)
class SpendSums:
    """What some requests came to. `failed` ended in an error; `unpriced` are those whose cost is unknown, `uncounted`
    those whose tokens were estimated; one that came to no token is neither. `reference_usd` is what the reference model
    would have cost for those of which both costs are known, and `compared_usd` what they did cost."""

    requests: int = 0
    failed: int = 0
    unpriced: int = 0
    uncounted: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cost_usd: Decimal = Decimal(0)
    reference_usd: Decimal = Decimal(0)
    compared_usd: Decimal = Decimal(0)

    @classmethod
    def of(cls, record: RequestRecord) -> "SpendSums":
        """One request as a sum."""
        usage, cost, reference = record.usage, record.cost_usd, record.reference_usd
        compared = cost is not None and reference is not None
        return cls(
            1,
            int(bool(record.error)),
            int(cost is None and usage.total > 0),
            int(not usage.counted and usage.total > 0),
            usage.input,
            usage.cache_read,
            usage.cache_write,
            usage.output,
            cost or Decimal(0),
            reference if compared and reference is not None else Decimal(0),
            cost if compared and cost is not None else Decimal(0),
        )

    def __add__(self, other: "SpendSums") -> "SpendSums":
        return SpendSums(*(getattr(self, name) + getattr(other, name) for name in SpendSums.__slots__))

    @property
    def tokens(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output


def spend_key(record: RequestRecord) -> SpendKey:
    """The sum that a request belongs to."""
    return SpendKey(record.at.date(), record.provider, record.model, record.app, record.workflow)


class Journal(Protocol):
    """What was asked of models, and what it cost."""

    async def record(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        """Keep a request, with what was said in it where the user wants that, and add it to the sums."""
        ...

    def record_soon(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        """The same without waiting for the disk: an answer is not kept back for its log. Whatever is read from here
        on has it; when it cannot be kept, the program's log says so."""
        ...

    async def request(self, request_id: str) -> RequestRecord | None: ...

    async def content(self, request_id: str) -> Mapping[str, Any] | None:
        """What was said, where that was kept."""
        ...

    async def recent(self, limit: int = 50) -> Sequence[RequestRecord]:
        """Newest first."""
        ...

    async def requests(self, query: RequestQuery) -> Sequence[RequestRecord]:
        """At most `query.first` of them, newest first."""
        ...

    def every(self) -> AsyncIterator[RequestRecord]:
        """All of them, oldest first."""
        ...

    async def spend(self, day: date) -> Spend:
        """What a day (UTC) came to; kept as requests end, not summed up."""
        ...

    async def sums(
        self, since: date, until: date, *, app: str | None = None, workflow: str | None = None
    ) -> Sequence[tuple[SpendKey, SpendSums]]:
        """The sums of the days from `since` up to, and not including, `until`, in order. They are kept as requests end:
        reading them takes as long for a million requests as for a thousand."""
        ...

    async def forget(self, before: datetime) -> int:
        """Remove the requests from before a moment, with what was said in them; the sums stay. How many."""
        ...


class Store(Protocol):
    """One store with its parts."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def jobs(self) -> JobQueue: ...
    @property
    def shelf(self) -> Shelf: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def address(self) -> str:
        """Where it is, for people."""
        ...

    def announce(self, addresses: Mapping[str, str]) -> None:
        """Say at which addresses this process serves, to those who find the store in use."""
        ...

    async def check(self) -> Sequence[str]:
        """What is wrong with the store itself, a sentence each; empty when it is healthy."""
        ...

    async def close(self) -> None: ...
