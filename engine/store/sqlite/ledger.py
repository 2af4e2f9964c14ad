"""Workflows, tokens and histories in SQLite."""

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from engine.kernel.errors import Conflict, NotFound, StoreCorrupt
from engine.nets import notation
from engine.nets.marking import in_words
from engine.nets.notation import Definition
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.ports import Once
from engine.store.sqlite.database import Database, Row
from engine.workflows import conflicts
from engine.workflows.chain import microseconds, moment
from engine.workflows.model import Workflow

_WORKFLOW = "id, slug, version, definition, digest, created_at"
_TOKEN = "id, workflow, marking, data, metadata, version, created_at, updated_at, head"
_EVENT = "token, sequence, kind, transition, source, before, after, data, at, actor, hash"
_EVENT_BYTES = ", ".join(  # for texts that may be damaged
    name if name in ("sequence", "at", "hash") else f"cast({name} as blob)" for name in _EVENT.split(", ")
)
_RECENT = 1_000  # tokens at hand
_MOST_AT_ONCE = 500  # parameters of one statement


class SqliteLedger:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._workflows: dict[str, Workflow] = {}  # they never change, so what was read once stays true
        self._recent: dict[str, Token] = {}  # as they are on disk: nobody else writes, see `holder`

    # -- workflows ------------------------------------------------------------------------------------------------

    async def add_workflow(self, definition: Definition, at: datetime) -> Workflow:
        digest = codec.definition_digest(definition)
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

    async def add_token(self, token: Token, events: Sequence[Event], once: Once | None = None) -> Token:
        workflow = await self.workflow(token.workflow)
        row, event_rows, state = _token_row(token), [_event_row(event) for event in events], _state(workflow, token)

        def write(connection: sqlite3.Connection) -> Token:
            if earlier := _earlier(connection, once):
                return earlier
            connection.execute(
                f"insert into tokens({_TOKEN}, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, state)
            )
            _add_events(connection, event_rows)
            _count(connection, token.workflow, state, 1)
            _remember(connection, once, token.id)
            return token

        return self._kept(await self._database.write(write))

    async def commit(self, token: Token, events: Sequence[Event], once: Once | None = None) -> Token:
        workflow = await self.workflow(token.workflow)
        row, event_rows, state = _token_row(token), [_event_row(event) for event in events], _state(workflow, token)
        expected = events[0].sequence - 1

        def write(connection: sqlite3.Connection) -> Token:
            if earlier := _earlier(connection, once):
                return earlier
            found = connection.execute("select version, state from tokens where id = ?", (token.id,)).fetchone()
            if not found:
                raise NotFound.named("token", token.id, ())
            version, before = found
            if version != expected:
                raise conflicts.token_moved(_read_token(connection, token.id), before, expected)
            connection.execute(
                "update tokens set marking = ?, data = ?, version = ?, updated_at = ?, head = ?, state = ? "
                "where id = ?",
                (row[2], row[3], row[5], row[7], row[8], state, token.id),
            )
            _add_events(connection, event_rows)
            if state != before:
                _count(connection, token.workflow, before, -1)
                _count(connection, token.workflow, state, 1)
            _remember(connection, once, token.id)
            return token

        try:
            return self._kept(await self._database.write(write))
        except Conflict:
            self._recent.pop(token.id, None)  # what is on disk decides
            raise

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
        rows = await self._database.read(f"select {_TOKEN} from tokens where id = ?", (token_id,))
        if not rows:
            raise NotFound.named("token", token_id, (), fix="`circuit-breaker token show` lists the newest.")
        return self._kept(_token(rows[0]))

    def _kept(self, token: Token) -> Token:
        """Keep a token that is on disk at hand, unless a later version already is."""
        known = self._recent.pop(token.id, token)
        self._recent[token.id] = token if token.version >= known.version else known
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return token

    async def tokens(
        self, *, workflow: str | None = None, state: str | None = None, first: int = 50, after: str | None = None
    ) -> Sequence[Token]:
        wanted = {"workflow = ?": workflow, "state = ?": state, "id < ?": after}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = f"where {' and '.join(given)}" if given else ""
        rows = await self._database.read(
            f"select {_TOKEN} from tokens {where} order by id desc limit ?", (*given.values(), first)
        )
        return [_token(row) for row in rows]

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for start in range(0, len(token_ids), _MOST_AT_ONCE):
            some = token_ids[start : start + _MOST_AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = await self._database.read(
                f"select {_EVENT} from events where token in ({marks}) order by token, sequence", some
            )
            for row in rows:
                found[row[0]].append(_event(row))
        return {token: found[token] for token in token_ids}

    async def counts(self, workflow: str) -> Mapping[str, int]:
        rows = await self._database.read(
            "select state, tokens from counts where workflow = ? and tokens > 0 order by state", (workflow,)
        )
        return dict(rows)

    async def every_token(self) -> AsyncIterator[tuple[Token, Sequence[Event]]]:
        after = None
        while True:
            async with self._database.snapshot() as read:
                page = await read(
                    f"select {_TOKEN} from tokens where ?1 is null or id < ?1 order by id desc limit 200", (after,)
                )
                events = f"select {_EVENT_BYTES} from events where token = ? order by sequence"
                found = [(row, await read(events, (row[0],))) for row in page]
            for row, history in found:
                yield _token(row), _readable(history)
            if not page:
                return
            after = page[-1][0]


def _state(workflow: Workflow, token: Token) -> str:
    return in_words(token.marking, workflow.net.place_ids)


def _token_row(token: Token) -> Row:
    return (
        token.id,
        token.workflow,
        codec.dumps(dict(token.marking)),
        codec.dumps(dict(token.data)),
        codec.dumps(dict(token.metadata)),
        token.version,
        microseconds(token.created_at),
        microseconds(token.updated_at),
        token.head,
    )


def _token(row: Row) -> Token:
    name, workflow, marking, data, metadata, version, created, updated, head = row
    read = codec.loads
    with codec.reading("token"):
        return Token(
            name, workflow, read(marking), read(data), read(metadata), version, moment(created), moment(updated), head
        )


def _event_row(event: Event) -> Row:
    return (
        event.token,
        event.sequence,
        event.kind,
        event.transition,
        event.source,
        None if event.before is None else codec.dumps(dict(event.before)),
        codec.dumps(dict(event.after)),
        None if event.data is None else codec.dumps(dict(event.data)),
        microseconds(event.at),
        event.actor,
        event.hash,
    )


def _event(row: Row) -> Event:
    token, sequence, kind, transition, source, before, after, data, at, actor, hash_ = row

    def read(text: str | None) -> Any:
        return None if text is None else codec.loads(text)

    with codec.reading("history"):
        return Event(
            token, sequence, kind, read(after), moment(at), read(before), transition, source, read(data), actor, hash_
        )


def _readable(rows: Sequence[Row]) -> Sequence[Event]:
    """The events before the first that cannot be read."""
    events: list[Event] = []
    with suppress(StoreCorrupt):
        for *cells, hash_ in rows:
            with codec.reading("history"):
                texts = [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
            events.append(_event((*texts, hash_)))
    return events


def _add_events(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.executemany(f"insert into events({_EVENT}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _count(connection: sqlite3.Connection, workflow: str, state: str, change: int) -> None:
    connection.execute(
        "insert into counts(workflow, state, tokens) values (?, ?, ?) "
        "on conflict do update set tokens = tokens + excluded.tokens",
        (workflow, state, change),
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


def _remember(connection: sqlite3.Connection, once: Once | None, token_id: str) -> None:
    if once is not None:
        connection.execute("insert into once values (?, ?, ?)", (once.key, once.fingerprint, token_id))


def _read_token(connection: sqlite3.Connection, token_id: str) -> Token:
    return _token(connection.execute(f"select {_TOKEN} from tokens where id = ?", (token_id,)).fetchone())
