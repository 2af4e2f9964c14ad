"""Workflows, tokens and histories in SQLite."""

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.jobs.model import JobKey
from engine.kernel.errors import CircuitBreakerError, Conflict, NotFound
from engine.kernel.instants import microseconds, moment
from engine.kernel.records import record
from engine.nets import notation
from engine.nets.marking import Marking, state_of
from engine.nets.notation import Definition
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.definitions import definition_digest
from engine.store.once import answers
from engine.store.ports import Change, Once, TokenQuery
from engine.store.sqlite.database import Database, Row
from engine.store.sqlite.rows import (
    EVENT,
    EVENT_BYTES,
    JOB,
    TOKEN,
    event_of,
    event_row,
    job_row,
    moved_row,
    readable,
    token_of,
    token_row,
)
from engine.store.sqlite.statements import batched, marks
from engine.workflows import conflicts
from engine.workflows.fields import lookups
from engine.workflows.model import Workflow

_WORKFLOW = "id, slug, version, definition, digest, created_at"
_RECENT = 1_024  # tokens at hand, about 650 kB
_BREATH = 250  # rows made in one turn of the loop
_ADD_TOKEN = f"insert into tokens({TOKEN}, state) values ({marks(TOKEN)}, ?)"  # of a `token_row`
_ADD_EVENT = f"insert into events({EVENT}) values ({marks(EVENT)})"
_MOVE_TOKEN = (  # of a `moved_row`
    "update tokens set workflow = ?, marking = ?, data = coalesce(?, data), version = ?, updated_at = ?, head = ?, "
    "status = ?, running = ?, state = ? where id = ?"
)
_BY_FIELD = "select token as found from fields where workflow = ? and path = ? and value = ?"
_STAND = "select id, version, state, workflow from tokens where id in (select value from json_each(?))"


class SqliteLedger:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._workflows: dict[str, Workflow] = {}  # they never change, so what was read once stays true
        self._recent: dict[str, Token] = {}  # as they are on disk: nobody else writes, see `holder`

    # -- workflows ------------------------------------------------------------------------------------------------

    async def add_workflow(self, definition: Definition, at: datetime) -> Workflow:
        digest = definition_digest(definition)
        body = codec.dumps(notation.write(definition))
        slug = notation.slug(definition.name)

        def write(connection: sqlite3.Connection) -> Row:
            same = f"select {_WORKFLOW} from workflows where " + (
                "id = ?" if definition.id else "slug = ? and digest = ?"
            )
            found: Row | None = connection.execute(
                same, (definition.id,) if definition.id else (slug, digest)
            ).fetchone()
            if found and found[4] != digest:
                raise conflicts.id_taken(definition.id)
            if found:
                return found
            latest = connection.execute("select max(version) from workflows where slug = ?", (slug,)).fetchone()[0] or 0
            name, version = definition.id or f"{slug}_v{latest + 1}", latest + 1
            while not definition.id and connection.execute("select 1 from workflows where id = ?", (name,)).fetchone():
                version += 1  # somebody chose that very id
                name = f"{slug}_v{version}"
            row = (name, slug, version, body, digest, microseconds(at))
            connection.execute(f"insert into workflows({_WORKFLOW}) values (?, ?, ?, ?, ?, ?)", row)
            return row

        return self._workflow(await self._database.write(write))

    async def put_workflow(self, workflow: Workflow) -> bool:
        body = codec.dumps(notation.write(workflow.definition))
        created = microseconds(workflow.created_at)
        row = (workflow.id, workflow.slug, workflow.version, body, workflow.digest, created)

        def write(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "select id, digest from workflows where id = ?1 or (slug = ?2 and version = ?3) order by id = ?1 desc",
                row[:3],
            ).fetchone()
            if found and found != (workflow.id, workflow.digest):
                raise conflicts.workflow_clashes(workflow, found[0])
            if not found:
                connection.execute(f"insert into workflows({_WORKFLOW}) values (?, ?, ?, ?, ?, ?)", row)
            return not found

        return await self._database.write(write)

    async def workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self._workflows:
            rows = await self._database.read(f"select {_WORKFLOW} from workflows where id = ?", (workflow_id,))
            if not rows:
                known = await self._database.read("select id from workflows")
                raise NotFound.named("workflow", workflow_id, [name for (name,) in known])
            return self._workflow(rows[0])
        return self._workflows[workflow_id]

    async def workflows(self) -> Sequence[Workflow]:
        rows = await self._database.read(f"select {_WORKFLOW} from workflows order by rowid")
        return [self._workflow(row) for row in rows]

    def _workflow(self, row: Row) -> Workflow:
        name, slug, version, body, digest, created = row
        if name not in self._workflows:
            with codec.reading("workflow"):
                definition = notation.read(codec.loads(body))
                self._workflows[name] = Workflow(name, slug, version, definition, digest, moment(created))
        return self._workflows[name]

    # -- tokens ---------------------------------------------------------------------------------------------------

    async def add(self, changes: Sequence[Change]) -> Sequence[Token]:
        rows = []
        for number, change in enumerate(changes):
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)  # others have their turn
            rows.append(await self._rows(change, token_row))
        if len(rows) == 1 and changes[0].once is None:
            return [self._kept(await self._database.write_together(_add_all, rows[0]))]

        def write(connection: sqlite3.Connection) -> list[Token]:
            found = answers(changes, [_earlier(connection, change.once) for change in changes])
            _add_all(connection, [one for one, earlier in zip(rows, found, strict=True) if earlier is None])
            return [earlier or change.token for change, earlier in zip(changes, found, strict=True)]

        stored = await self._database.write(write)
        return [self._kept(token) for token in stored] if len(stored) <= _RECENT else stored

    async def commit(self, change: Change) -> Token:
        try:
            return self._kept(await self._moving(await self._rows(change, moved_row)))
        except Conflict:
            self._recent.pop(change.token.id, None)  # what is on disk decides
            raise

    async def commit_all(self, changes: Sequence[Change]) -> Sequence[Token | CircuitBreakerError]:
        outcomes: dict[int, Token | CircuitBreakerError] = {}
        moving: dict[int, Awaitable[Token]] = {}
        for number, change in enumerate(changes):
            try:
                moving[number] = self._moving(await self._rows(change, moved_row))
            except CircuitBreakerError as error:
                outcomes[number] = error
        for number, found in zip(moving, await asyncio.gather(*moving.values(), return_exceptions=True), strict=True):
            if isinstance(found, Conflict):
                self._recent.pop(changes[number].token.id, None)  # what is on disk decides
            if isinstance(found, BaseException) and not isinstance(found, CircuitBreakerError):
                raise found
            outcomes[number] = self._kept(found) if isinstance(found, Token) else found
        return [outcomes[number] for number in range(len(changes))]

    def _moving(self, one: "_Rows") -> Awaitable[Token]:
        if one.change.once is None and one.change.done is None:
            return self._database.write_together(_move_all, one)
        return self._database.write(lambda connection: _move(connection, one))

    async def _rows(self, change: Change, row: Callable[[Change, str], Row]) -> "_Rows":
        workflow = self._workflows.get(change.token.workflow) or await self.workflow(change.token.workflow)
        state = state_of(workflow.net, change.token.marking)
        indexes = workflow.definition.indexes
        return _Rows(
            change,
            state,
            row(change, state),
            [event_row(event) for event in change.events],
            list(lookups(workflow, change.token)) if indexes else [],
            bool(indexes or change.jobs or change.dropped or change.once),
        )

    async def replayed(self, once: Once) -> Token | None:
        rows = await self._database.read("select fingerprint, token from once where key = ?", (once.key,))
        if not rows:
            return None
        if rows[0][0] != once.fingerprint:
            raise conflicts.key_reused(once)
        return await self.token(rows[0][1])

    async def token(self, token_id: str) -> Token:
        if token_id in self._recent:
            return self._recent[token_id]
        rows = await self._database.read(f"select {TOKEN} from tokens where id = ?", (token_id,))
        if not rows:
            raise NotFound.named("token", token_id, (), fix="`circuit-breaker token show` lists the newest.")
        return self._kept(token_of(rows[0]))

    def _kept(self, token: Token) -> Token:
        """Keep a token that is on disk at hand, unless a later version already is."""
        known = self._recent.pop(token.id, token)
        self._recent[token.id] = token if token.version >= known.version else known
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return token

    async def tokens(self, query: TokenQuery) -> Sequence[Token]:
        indexed = frozenset[str]()
        if query.fields and query.workflow is not None:
            indexed = frozenset((await self.workflow(query.workflow)).definition.indexes)
        source, order = "tokens", "id"
        bound: list[Any] = []
        if led := next((path for path in query.fields if path in indexed), None):  # its index is walked in order of ids
            source = f"({_BY_FIELD}) cross join tokens on id = found"
            order, bound = "found", [query.workflow, led, codec.dumps(query.fields[led])]
            query = replace(query, fields={path: value for path, value in query.fields.items() if path != led})
        conditions = list(_conditions(query, indexed))
        where = f"where {' and '.join(condition for condition, _ in conditions)}" if conditions else ""
        rows = await self._database.read(
            f"select {TOKEN} from {source} {where} order by {order} desc limit ?",
            (*bound, *(value for _, values in conditions for value in values), query.first),
        )
        return [token_of(row) for row in rows]

    async def markings(self, workflow: str) -> Sequence[tuple[Marking, int]]:
        rows = await self._database.read(
            "select marking, count(*) from tokens where workflow = ? and status <> 'cancelled' group by marking "
            "order by marking",
            (workflow,),
        )
        return [(codec.loads(marking), count) for marking, count in rows]

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for some in batched(token_ids):
            rows = await self._database.read(
                f"select {EVENT}, position from events where token in ({', '.join('?' * len(some))}) "
                "order by token, sequence",
                some,
            )
            for *row, position in rows:
                found[row[0]].append(event_of(tuple(row), position))
        return {token: found[token] for token in token_ids}

    async def events(self, after: int, *, workflow: str | None = None, limit: int = 500) -> Sequence[Event]:
        columns = ", ".join(f"events.{name}" for name in EVENT.split(", "))
        of_workflow = "join tokens on tokens.id = events.token and tokens.workflow = ?" if workflow else ""
        rows = await self._database.read(
            f"select {columns}, position from events {of_workflow} where position > ? order by position limit ?",
            (*((workflow,) if workflow else ()), after, limit),
        )
        return [event_of(tuple(row), position) for *row, position in rows]

    async def last_position(self) -> int:
        rows = await self._database.read("select coalesce(max(position), 0) from events")
        return int(rows[0][0])

    async def counts(self, workflow: str) -> Mapping[str, int]:
        rows = await self._database.read(
            "select state, tokens from counts where workflow = ? and tokens > 0 order by state", (workflow,)
        )
        return dict(rows)

    async def archive(self, event: Event) -> int:
        row = event_row(event)

        def write(connection: sqlite3.Connection) -> int:
            found = connection.execute("select version from tokens where id = ?", (event.token,)).fetchone()
            if not found:
                raise NotFound.named("token", event.token, ())
            there = connection.execute(
                "select hash, position from events where token = ? and sequence = ?", (event.token, event.sequence)
            ).fetchone()
            if not there or there[0] != event.hash or event.sequence >= found[0]:
                raise conflicts.not_archived(event)
            gone = connection.execute(
                "delete from events where token = ? and sequence <= ?", (event.token, event.sequence)
            )
            connection.execute(f"insert into events({EVENT}, position) values ({marks(EVENT)}, ?)", (*row, there[1]))
            return gone.rowcount

        return await self._database.write(write)

    async def every_token(self) -> AsyncIterator[tuple[Token, Sequence[Event]]]:
        after = None
        while True:
            async with self._database.snapshot() as read:
                page = await read(
                    f"select {TOKEN} from tokens where ?1 is null or id < ?1 order by id desc limit 200", (after,)
                )
                events = f"select {EVENT_BYTES} from events where token = ? order by sequence"
                found = [(row, await read(events, (row[0],))) for row in page]
            for row, history in found:
                yield token_of(row), readable(history)
            if not page:
                return
            after = page[-1][0]


@record
class _Rows:
    """A change as it goes into the tables. `fields` are (path, value); `more`: whether there is more to it than the
    token and its events."""

    change: Change
    state: str
    token: Row
    events: list[Row]
    fields: list[tuple[str, str]]
    more: bool


def _add_all(connection: sqlite3.Connection, rows: Sequence[_Rows]) -> Sequence[Token]:
    """Store new tokens."""
    connection.executemany(_ADD_TOKEN, [one.token for one in rows])
    connection.executemany(_ADD_EVENT, [event for one in rows for event in one.events])
    _count(connection, Counter((one.change.token.workflow, one.state) for one in rows))
    for one in rows:
        if one.more:
            _put_rest(connection, one)
    return [one.change.token for one in rows]


def _move(connection: sqlite3.Connection, one: _Rows) -> Token:
    """Store what became of a token that is asked for once, or by a job."""
    change = one.change
    if earlier := _earlier(connection, change.once):
        return earlier
    there = change.done is None or _end_job(connection, change.done.key, change.done.sequence)
    (moved,) = _move_all(connection, [one])  # after the job is ended: the change may put another one in its place
    if isinstance(moved, Exception):
        raise moved
    if change.done and not there:
        raise conflicts.job_gone(change.done)
    return moved


def _move_all(connection: sqlite3.Connection, rows: Sequence[_Rows]) -> Sequence[Token | Exception]:
    """Store what became of tokens, one after the other; a Conflict for those that have moved meanwhile."""
    outcomes: list[Token | Exception] = []
    moved: list[_Rows] = []
    counts: Counter[tuple[str, str]] = Counter()
    ids = codec.dumps([one.change.token.id for one in rows])
    stand = {id: (version, state, workflow) for id, version, state, workflow in connection.execute(_STAND, (ids,))}
    for one in rows:
        token, expected = one.change.token, one.change.events[0].sequence - 1
        if token.id not in stand:
            outcomes.append(NotFound.named("token", token.id, ()))
            continue
        version, state, workflow = stand[token.id]
        if version != expected:
            outcomes.append(conflicts.token_moved(version, state, expected))
            continue
        stand[token.id] = token.version, one.state, token.workflow
        if one.state != state or token.workflow != workflow:
            counts[workflow, state] -= 1
            counts[token.workflow, one.state] += 1
        outcomes.append(token)
        moved.append(one)
    connection.executemany(_MOVE_TOKEN, [one.token for one in moved])
    connection.executemany(_ADD_EVENT, [event for one in moved for event in one.events])
    _count(connection, counts)
    for one in moved:
        if one.more:
            _put_rest(connection, one)
    return outcomes


def _conditions(query: TokenQuery, indexed: frozenset[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The conditions of a query on tokens, each with the values it binds."""
    if query.workflow is not None:
        yield "workflow = ?", (query.workflow,)
    if query.state is not None:
        yield "state = ?", (query.state,)
    if query.status is not None:
        yield "status = ?", (query.status,)
    if query.before is not None:
        yield "id < ?", (query.before,)
    for column, sign, at in (
        ("created_at", ">=", query.created_after),
        ("created_at", "<", query.created_before),
        ("updated_at", ">=", query.updated_after),
        ("updated_at", "<", query.updated_before),
    ):
        if at is not None:
            yield f"{column} {sign} ?", (microseconds(at),)
    for path, value in query.fields.items():
        text = codec.dumps(value)
        if path in indexed:
            yield (
                f"id in ({_BY_FIELD})",
                (query.workflow, path, text),
            )
        else:
            first, _, rest = path.partition(".")
            column, steps = ("metadata", rest) if first == "metadata" and rest else ("data", path)
            yield f"{column} -> ? = ?", ("$" + "".join(f'."{step}"' for step in steps.split(".")), text)


def _put_rest(connection: sqlite3.Connection, one: _Rows) -> None:
    """What goes with a token beside its row and its events."""
    change = one.change
    connection.execute("delete from fields where token = ?", (change.token.id,))
    if one.fields:
        connection.executemany(
            "insert or ignore into fields values (?, ?, ?, ?)",
            [(change.token.workflow, path, value, change.token.id) for path, value in one.fields],
        )
    for key in change.dropped:
        _end_job(connection, key)
    if change.jobs:
        connection.executemany(
            f"insert or replace into jobs({JOB}) values ({marks(JOB)})", [job_row(job) for job in change.jobs]
        )
    if change.once is not None:
        connection.execute(
            "insert into once values (?, ?, ?)", (change.once.key, change.once.fingerprint, change.token.id)
        )


def _end_job(connection: sqlite3.Connection, key: JobKey, sequence: int | None = None) -> bool:
    gone = connection.execute(
        "delete from jobs where token = ? and kind = ? and name = ? and (?4 is null or sequence = ?4)",
        (*key, sequence),
    )
    return gone.rowcount > 0


def _count(connection: sqlite3.Connection, changes: Mapping[tuple[str, str], int]) -> None:
    """Keep how many tokens are in each state of each workflow."""
    connection.executemany(
        "insert into counts(workflow, state, tokens) values (?, ?, ?) "
        "on conflict do update set tokens = tokens + excluded.tokens",
        [(*where, change) for where, change in changes.items() if change],
    )


def _earlier(connection: sqlite3.Connection, once: Once | None) -> Token | None:
    """The token that an earlier request under the same key made or moved."""
    if once is None:
        return None
    found = connection.execute("select fingerprint, token from once where key = ?", (once.key,)).fetchone()
    if not found:
        return None
    if found[0] != once.fingerprint:
        raise conflicts.key_reused(once)
    return _read_token(connection, found[1])


def _read_token(connection: sqlite3.Connection, token_id: str) -> Token:
    return token_of(connection.execute(f"select {TOKEN} from tokens where id = ?", (token_id,)).fetchone())
