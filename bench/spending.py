"""Reading what was spent, and writing a request down, with a thousand requests in the log and with a million.

python bench/spending.py [--rows 1000000] [--json]

The figure that counts is the ratio: sums are kept as requests end, so that both sizes should take the same time.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.llm.messages import Usage
from engine.store.ports import RequestQuery, RequestRecord
from engine.store.sqlite import journal
from engine.store.sqlite.migrations import m0003_spending
from engine.store.sqlite.statements import marks
from engine.store.sqlite.store import SqliteStore

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
DAYS, MODELS, APPS = 60, 5, 3
YEAR = date(2026, 1, 1), date(2027, 1, 1)


def record(number: int) -> RequestRecord:
    return RequestRecord(
        id=f"{number:026}", at=NOW - timedelta(days=number % DAYS), face="openai", asked="auto", provider="openai",
        model=f"m{number % MODELS}", usage=Usage(100, 200, 300, 400), cost_usd=Decimal("0.0123"), ttft_s=0.5,
        duration_s=2.0, error="", decision={"asked": "auto"}, app=f"a{number % APPS}",
    )  # fmt: skip


async def measured(folder: Path, rows: int) -> dict[str, float]:
    """Milliseconds: the year's sums, a page of one app, and one more request."""
    store = await SqliteStore.open(folder / f"{rows}.db", NOW)

    def fill(connection: sqlite3.Connection) -> None:
        columns = journal._REQUEST
        connection.executemany(
            f"insert into requests({columns}) values ({marks(columns)})",
            (journal._row(record(number)) for number in range(rows)),
        )
        m0003_spending._sum_up(connection)

    await store.database.write(fill)
    more = iter(range(rows, rows + 1_000))
    found = {
        "sums of a year": await best(lambda: store.journal.sums(*YEAR)),
        "page of an app": await best(lambda: store.journal.requests(RequestQuery(app="a1", first=50))),
        "one more request": await best(lambda: store.journal.record(record(next(more)))),
    }
    await store.close()
    return found


async def best(work: Callable[[], Awaitable[object]], times: int = 50) -> float:
    """Milliseconds of the quickest of some."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        took.append(time.perf_counter() - started)
    return 1000 * min(took)


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few, many = [await measured(Path(folder), rows) for rows in (1_000, chosen.rows)]
    ratios = {name: many[name] / few[name] for name in few}
    if chosen.json:
        print(json.dumps({"few": few, "many": many, "ratios": ratios}))
    else:
        for name, ratio in ratios.items():
            print(f"{name:<18} {few[name]:8.2f} ms  {many[name]:8.2f} ms with {chosen.rows:,}  x {ratio:.2f}")
    return 0 if ratios["sums of a year"] < 3 else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
