"""Batches, GraphQL, memory and scale of the ledger, each beside what the machine can do at best, in one run.

python bench/ledger.py [--seconds 2] [--rows 100000] [--json]
"""

import argparse
import asyncio
import gc
import json
import os
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.engine import NOW, RING, at_once, bare
from engine.engine import Engine
from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.settings import load
from engine.kernel.world import World
from engine.store.ports import TokenQuery
from engine.store.sqlite.database import Database
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import NewToken, Workflows
from server.serving import serve

BATCH = 10_000
FIRE = (
    "mutation($t: String!, $x: String!) { fireTransition(input: {tokenId: $t, transitionId: $x}) { id state version } }"
)
FIRE_ALL = "mutation($i: [FireTransitionInput!]!) { fireTransitions(inputs: $i) { token { id } error { code } } }"
REQUESTS = """
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
    insert into requests(id, at, face, asked, provider, model, input, cache_read, cache_write, output, counted,
        duration_s, error, decision)
    select printf('%026d', i + (select count(*) from requests)), 1785542400000000 + i, 'openai', 'auto', 'ollama', 'm',
        10, 0, 0, 10, 1, 0.5, '', '{}' from n
"""


async def batches(folder: Path, count: int) -> dict[str, float]:
    """Tokens a second, created in batches, a transaction each; and the floor: as many bare rows in one transaction."""
    store = await SqliteStore.open(folder / "batch.db", NOW)
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)
    started = time.perf_counter()
    for _ in range(count // BATCH):
        await workflows.create_tokens([NewToken("ring_v1")] * BATCH, caller=PROGRAM)
    created = count / (time.perf_counter() - started)
    await store.close()
    database = await Database.open(folder / "floor.db", NOW)
    world = World.real()
    rows = [(world.new_id(), "ring_v1", "left", '{"left":1}', 1) for _ in range(count)]

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("create table a(id text primary key, w text, s text, m text, v integer) without rowid")
        connection.execute("create index i on a(w, s, id)")
        connection.execute("create table b(p integer primary key, t text, n integer, m text, unique(t, n))")
        connection.executemany("insert into a values (?, ?, ?, ?, ?)", rows)
        connection.executemany("insert into b(t, n, m) values (?, 1, ?)", [(row[0], row[3]) for row in rows])

    started = time.perf_counter()
    await database.write(write)
    floor = count / (time.perf_counter() - started)
    await database.close()
    return {"create, batches of 10,000, durable": created, "bare rows with an index and an event": floor,
            "ratio create to bare": created / floor}  # fmt: skip


class Client:
    """One connection that is kept; as lean as can be, so that it is the server that is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, query: str, **variables: Any) -> Any:
        body = orjson.dumps({"query": query, "variables": variables})
        lines = ("POST /graphql HTTP/1.1", "host: 127.0.0.1", "content-type: application/json",
                 f"content-length: {len(body)}", "", "")  # fmt: skip
        self._writer.write("\r\n".join(lines).encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        found = orjson.loads(await self._reader.readexactly(int(length.split(b":")[1])))
        assert "errors" not in found, found
        return found["data"]


async def through_graphql(folder: Path, callers: int, seconds: float) -> dict[str, float]:
    environ = {"CIRCUIT_BREAKER_STORE": f"sqlite:///{folder}/graphql.db", "CIRCUIT_BREAKER_EMBEDDED": "0",
               "OLLAMA_BASE_URL": "http://127.0.0.1:9", "CIRCUIT_BREAKER_DATA_DIR": str(folder)}  # fmt: skip
    world = World.real(environ)
    async with (
        Engine.open(load(Path(os.devnull), environ, {}), world) as engine,
        serve(engine, openai_port=None, graphql_port=0) as serving,
    ):
        await engine.workflows.create(RING)
        port = int(str(serving.graphql).split(":")[2].split("/")[0])
        data = {"score": 90}
        tokens = await engine.workflows.create_tokens([NewToken("ring_v1", data)] * callers * 100, caller=PROGRAM)
        clients = [await Client.open(port) for _ in range(callers)]
        await clients[0].ask("{ health }")  # the schema is loaded by the first request
        gc.collect()
        gc.freeze()  # as `--serve` does

        def one(number: int, turn: int) -> Awaitable[object]:
            return clients[number].ask(FIRE, t=tokens[number].id, x="back" if turn % 2 else "over")

        found = {f"fire through GraphQL, one each, {callers} clients": await at_once(callers, seconds, one)}
        fresh = await engine.workflows.create_tokens([NewToken("ring_v1", data)] * callers * 100, caller=PROGRAM)

        def many(number: int, turn: int) -> Awaitable[object]:
            mine = fresh[number * 100 : number * 100 + 100]
            inputs = [{"tokenId": token.id, "transitionId": "back" if turn % 2 else "over"} for token in mine]
            return clients[number].ask(FIRE_ALL, i=inputs)

        found["fire through GraphQL, batches of 100"] = 100 * await at_once(min(callers, 8), seconds, many)
        floor = found["bare group commit, 100 callers"] = await bare(folder, 100, seconds)
        found |= {f"ratio to bare: {name}": value / floor for name, value in found.items() if "GraphQL" in name}
        return found


async def memory(folder: Path) -> dict[str, float]:
    """Bytes in this process for 10,000 active tokens that the store has."""
    store = await SqliteStore.open(folder / "memory.db", NOW)
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        await workflows.create_tokens([NewToken("ring_v1", {"score": 90})] * 1_000, caller=PROGRAM)
    for token in await workflows.tokens(TokenQuery(first=1_000)):
        await workflows.fire(token.id, "over", caller=PROGRAM)
    await workflows.ledger.last_position()  # the reader's thread holds the last page until it reads another
    gc.collect()  # also lets go of the tuples that the interpreter keeps for later
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    await store.close()
    return {"kB in the process for 10,000 tokens": (after - before) / 1_000}


async def scale(folder: Path, rows: int) -> dict[str, float]:
    """How much longer lists, pages and counts take with `rows` tokens than with 1,000."""
    store = await SqliteStore.open(folder / "scale.db", NOW)
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create({**RING, "indexes": ["customer"]})
    looks: dict[str, Callable[[], Awaitable[object]]] = {}
    found: dict[str, list[float]] = {}

    async def grow(count: int) -> None:
        await store.database.write(lambda connection: connection.execute(REQUESTS, (count,)))
        for start in range(0, count, BATCH):
            wanted = [
                NewToken("ring_v1", {"customer": n % 997, "score": 90}) for n in range(start, min(count, start + BATCH))
            ]
            await workflows.create_tokens(wanted, caller=PROGRAM)

    looks["newest 50"] = lambda: workflows.tokens(TokenQuery("ring_v1"))
    looks["newest 50 of a state"] = lambda: workflows.tokens(TokenQuery("ring_v1", "left"))
    looks["by an indexed field, 1"] = lambda: workflows.tokens(TokenQuery("ring_v1", fields={"customer": 5}, first=1))
    looks["counts by state"] = lambda: workflows.counts("ring_v1")
    looks["a page from the middle"] = lambda: workflows.tokens(TokenQuery("ring_v1", before=middle))
    looks["last position"] = lambda: workflows.ledger.last_position()
    looks["newest 50 requests"] = lambda: store.journal.recent()
    looks["spend of a day"] = lambda: store.journal.spend(NOW.date())
    middle = ""
    for size in (1_000, rows - 1_000):
        await grow(size)
        rows_of = await store.database.read("select id from tokens order by id limit 1 offset ?", (size // 2,))
        middle = rows_of[0][0]
        for name, look in looks.items():
            times = []
            for _ in range(200):
                started = time.perf_counter()
                await look()
                times.append(time.perf_counter() - started)
            found.setdefault(name, []).append(sorted(times)[100])
    await store.close()
    return {f"{name}: {rows:,} rows to 1,000": later / first for name, (first, later) in found.items()}


async def measured(seconds: float, rows: int) -> dict[str, float]:
    gc.collect()
    gc.freeze()  # as the program does
    gc.set_threshold(10_000, 50, 100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = await batches(folder, max(BATCH, rows // BATCH * BATCH))
        found |= await through_graphql(folder, 50, seconds)
        found |= await memory(folder)
        return found | await scale(folder, rows)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0, help="how long each part is measured")
    options.add_argument("--rows", type=int, default=100_000, help="how many tokens the large store has")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    found = asyncio.run(measured(chosen.seconds, chosen.rows))
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:60} {value:14,.2f}")


if __name__ == "__main__":
    main()
