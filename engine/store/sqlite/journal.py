"""The request log in SQLite."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import date
from decimal import Decimal

from engine.llm.messages import Usage
from engine.store import codec
from engine.store.ports import RequestRecord, Spend
from engine.store.sqlite.database import Database, Row
from engine.workflows.chain import microseconds, moment

_REQUEST = (
    "id, at, face, asked, provider, model, input, cache_read, cache_write, output, counted, cost_usd, ttft_s, "
    "duration_s, error, decision"
)


class SqliteJournal:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, record: RequestRecord) -> None:
        usage, cost = record.usage, record.cost_usd
        row = (
            *(record.id, microseconds(record.at), record.face, record.asked, record.provider, record.model),
            *(usage.input, usage.cache_read, usage.cache_write, usage.output, usage.counted),
            *(None if cost is None else str(cost), record.ttft_s, record.duration_s, record.error),
            codec.dumps(dict(record.decision)),
        )
        day = record.at.date().isoformat()

        def write(connection: sqlite3.Connection) -> None:
            marks = ", ".join("?" * len(row))
            connection.execute(f"insert into requests({_REQUEST}) values ({marks})", row)
            found = connection.execute(
                "select requests, unpriced, cost_usd from spend where day = ?", (day,)
            ).fetchone()
            requests, unpriced, total = found or (0, 0, "0")
            connection.execute(
                "insert or replace into spend values (?, ?, ?, ?)",
                (day, requests + 1, unpriced + (cost is None), str(Decimal(total) + (cost or 0))),
            )

        await self._database.write(write)

    async def request(self, request_id: str) -> RequestRecord | None:
        rows = await self._database.read(f"select {_REQUEST} from requests where id = ?", (request_id,))
        return _record(rows[0]) if rows else None

    async def recent(self, limit: int = 50) -> Sequence[RequestRecord]:
        rows = await self._database.read(f"select {_REQUEST} from requests order by id desc limit ?", (limit,))
        return [_record(row) for row in rows]

    async def every(self) -> AsyncIterator[RequestRecord]:
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
        rows = await self._database.read(
            "select requests, unpriced, cost_usd from spend where day = ?", (day.isoformat(),)
        )
        return Spend(rows[0][0], rows[0][1], Decimal(rows[0][2])) if rows else Spend(0, 0, Decimal(0))


def _record(row: Row) -> RequestRecord:
    id, at, face, asked, provider, model, *counts, cost, ttft, duration, error, decision = row
    fresh, cache_read, cache_write, output, counted = counts
    return RequestRecord(
        id=id,
        at=moment(at),
        face=face,
        asked=asked,
        provider=provider,
        model=model,
        usage=Usage(fresh, cache_read, cache_write, output, bool(counted)),
        cost_usd=None if cost is None else Decimal(cost),
        ttft_s=ttft,
        duration_s=duration,
        error=error,
        decision=codec.loads(decision),
    )
