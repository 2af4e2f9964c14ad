"""The request log in SQLite, and the sums that are kept with it."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.kernel.instants import microseconds, moment
from engine.llm.messages import Usage
from engine.store import codec
from engine.store.ports import RequestQuery, RequestRecord, Spend, SpendKey, SpendSums, spend_key
from engine.store.sqlite.database import Database, Row
from engine.store.sqlite.statements import marks

_REQUEST = (
    "id, at, face, asked, provider, model, input, cache_read, cache_write, output, counted, cost_usd, ttft_s, "
    "duration_s, error, decision, attempts, retries, key, app, agent, workflow, token, price, reference_usd, "
    "tokens_per_s, warnings"
)
_KEY = "day, provider, model, app, workflow"
_SUMS = (
    "requests, failed, unpriced, uncounted, input, cache_read, cache_write, output, cost_usd, reference_usd, "
    "compared_usd"
)
SOON_S = 0.05
_MOST_FORGOTTEN = 1_000  # in one transaction
_New = tuple[Row, SpendKey, SpendSums, str | None]
log = logging.getLogger("store")


class SqliteJournal:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[tuple[RequestRecord, Mapping[str, Any] | None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._newest: asyncio.Future[None] | None = None

    async def record(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        self.flush()
        await self._put(record, content)

    def record_soon(self, record: RequestRecord, content: Mapping[str, Any] | None = None) -> None:
        """Within SOON_S: who has asked is answered first, and those that come near each other share a commit."""
        self._pending.append((record, content))
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(SOON_S, self.flush)

    def flush(self) -> None:
        """Write now what is to be written soon. Called before the database is closed."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        pending, self._pending = self._pending, []
        for record, content in pending:
            self._put(record, content).add_done_callback(_complain)

    def _put(self, record: RequestRecord, content: Mapping[str, Any] | None) -> "asyncio.Future[None]":
        said = None if content is None else codec.dumps(dict(content))
        new = _row(record), spend_key(record), SpendSums.of(record), said
        self._newest = self._database.write_together(_insert, new)
        return self._newest

    async def _settled(self) -> None:
        """What was recorded can be read: writes are done in their order."""
        self.flush()
        if self._newest is not None and not self._newest.done():
            await asyncio.wait([self._newest])

    async def request(self, request_id: str) -> RequestRecord | None:
        await self._settled()
        rows = await self._database.read(f"select {_REQUEST} from requests where id = ?", (request_id,))
        return _record(rows[0]) if rows else None

    async def content(self, request_id: str) -> Mapping[str, Any] | None:
        await self._settled()
        rows = await self._database.read("select body from contents where request = ?", (request_id,))
        return codec.loads(rows[0][0]) if rows else None

    async def recent(self, limit: int = 50) -> Sequence[RequestRecord]:
        return await self.requests(RequestQuery(first=limit))

    async def requests(self, query: RequestQuery) -> Sequence[RequestRecord]:
        await self._settled()
        wanted: dict[str, Any] = {
            "provider = ?": query.provider,
            "model = ?": query.model,
            "app = ?": query.app,
            "workflow = ?": query.workflow,
            "(error <> '') = ?": query.failed,
            "at >= ?": None if query.since is None else microseconds(query.since),
            "at < ?": None if query.until is None else microseconds(query.until),
            "id < ?": query.before,
        }
        wanted = {condition: value for condition, value in wanted.items() if value is not None}
        where = f"where {' and '.join(wanted)} " if wanted else ""
        rows = await self._database.read(
            f"select {_REQUEST} from requests {where}order by id desc limit ?", (*wanted.values(), query.first)
        )
        return [_record(row) for row in rows]

    async def every(self) -> AsyncIterator[RequestRecord]:
        await self._settled()
        after = ""
        while True:
            page = await self._database.read(
                f"select {_REQUEST} from requests where id > ? order by id limit 200", (after,)
            )
            for row in page:
                yield _record(row)
            if not page:
                return
            after = page[-1][0]

    async def spend(self, day: date) -> Spend:
        sums = sum((one for _, one in await self.sums(day, day + timedelta(days=1))), SpendSums())
        return Spend(sums.requests, sums.unpriced, sums.cost_usd)

    async def sums(
        self, since: date, until: date, *, app: str | None = None, workflow: str | None = None
    ) -> Sequence[tuple[SpendKey, SpendSums]]:
        await self._settled()
        found = await self._database.read(
            f"select {_KEY}, {_SUMS} from sums where day >= ? and day < ? and (? is null or app = ?) "
            f"and (? is null or workflow = ?) order by {_KEY}",
            (since.isoformat(), until.isoformat(), app, app, workflow, workflow),
        )
        return [(SpendKey(date.fromisoformat(row[0]), *row[1:5]), _sums(row[5:])) for row in found]

    async def forget(self, before: datetime) -> int:
        """In pieces, so that what is written meanwhile need not wait for all of it."""
        forgotten = 0

        def write(connection: sqlite3.Connection) -> int:
            ids = connection.execute(
                "select id from requests where at < ? limit ?", (microseconds(before), _MOST_FORGOTTEN)
            ).fetchall()
            connection.executemany("delete from contents where request = ?", ids)
            connection.executemany("delete from requests where id = ?", ids)
            return len(ids)

        while gone := await self._database.write(write):
            forgotten += gone
        return forgotten


def _insert(connection: sqlite3.Connection, new: Sequence[_New]) -> Sequence[None]:
    """Requests that were recorded beside each other, and what they add to the sums."""
    rows = [row for row, _, _, _ in new]
    connection.executemany(f"insert into requests({_REQUEST}) values ({marks(_REQUEST)})", rows)
    said = [(row[0], body) for row, _, _, body in new if body is not None]
    if said:
        connection.executemany("insert into contents values (?, ?)", said)
    added: dict[SpendKey, SpendSums] = {}
    for _, key, sums, _ in new:
        added[key] = sums + added[key] if key in added else sums
    for key, sums in added.items():
        cells = _key_row(key)
        found = connection.execute(f"select {_SUMS} from sums where ({_KEY}) = ({marks(_KEY)})", cells).fetchone()
        connection.execute(
            f"insert or replace into sums({_KEY}, {_SUMS}) values ({marks(_KEY)}, {marks(_SUMS)})",
            (*cells, *_sums_row(sums + _sums(found) if found else sums)),
        )
    return [None] * len(new)


def _complain(written: "asyncio.Future[None]") -> None:
    if not written.cancelled() and (error := written.exception()):
        log.error("a request was not recorded", extra={"facts": {"why": str(error)}})


def _row(record: RequestRecord) -> Row:
    usage = record.usage
    return (
        *(record.id, microseconds(record.at), record.face, record.asked, record.provider, record.model),
        *(usage.input, usage.cache_read, usage.cache_write, usage.output, usage.counted),
        *(_text(record.cost_usd), record.ttft_s, record.duration_s, record.error, codec.dumps(dict(record.decision))),
        *(record.attempts, record.retries, record.key, record.app, record.agent, record.workflow, record.token),
        None if record.price is None else codec.dumps(dict(record.price)),
        *(_text(record.reference_usd), record.tokens_per_s, codec.dumps(record.warnings)),
    )


def _record(row: Row) -> RequestRecord:
    id, at, face, asked, provider, model, *counts, cost, ttft, duration, error, decision = row[:16]
    attempts, retries, key, app, agent, workflow, token, price, reference, speed, warnings = row[16:]
    fresh, cache_read, cache_write, output, counted = counts
    return RequestRecord(
        id=id,
        at=moment(at),
        face=face,
        asked=asked,
        provider=provider,
        model=model,
        usage=Usage(fresh, cache_read, cache_write, output, bool(counted)),
        cost_usd=_money(cost),
        ttft_s=ttft,
        duration_s=duration,
        error=error,
        decision=codec.loads(decision),
        attempts=attempts,
        retries=retries,
        key=key,
        app=app,
        agent=agent,
        workflow=workflow,
        token=token,
        price=None if price is None else codec.loads(price),
        reference_usd=_money(reference),
        tokens_per_s=speed,
        warnings=tuple(codec.loads(warnings)),
    )


def _key_row(key: SpendKey) -> Row:
    return (key.day.isoformat(), key.provider, key.model, key.app, key.workflow)


def _sums_row(sums: SpendSums) -> Row:
    counts = (sums.requests, sums.failed, sums.unpriced, sums.uncounted)
    tokens = (sums.input, sums.cache_read, sums.cache_write, sums.output)
    return (*counts, *tokens, str(sums.cost_usd), str(sums.reference_usd), str(sums.compared_usd))


def _sums(row: Row) -> SpendSums:
    return SpendSums(*row[:8], *map(Decimal, row[8:]))


def _text(money: Decimal | None) -> str | None:
    return None if money is None else str(money)


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
