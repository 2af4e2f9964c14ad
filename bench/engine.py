"""How fast the engine is, beside what the machine can do at best, in one run.

python bench/engine.py [--seconds 2] [--rounds 3] [--json]

What stands beside each other is measured in turn, round by round; a figure is the median of its rounds, and a ratio
that of the ratios within each round.
"""

import argparse
import asyncio
import gc
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.world import World
from engine.nets import notation
from engine.nets.firing import choose_mode, fire
from engine.nets.token import Token
from engine.store.memory.store import MemoryStore
from engine.store.ports import Store
from engine.store.sqlite.database import Database
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import NewToken, Workflows

NOW = datetime(2026, 8, 1, tzinfo=UTC)
HASH = b"h" * 32
RING: dict[str, Any] = {
    "name": "Ring",
    "places": ["left", "right"],
    "transitions": [
        {"id": "over", "inputs": ["left"], "outputs": ["right"], "conditions": ["score >= 80"]},
        {"id": "back", "inputs": ["right"], "outputs": ["left"], "conditions": ["score >= 80"]},
    ],
}


def pure(seconds: float) -> float:
    """`fire` with a guard and an event, no hash and no I/O, a second."""
    net = notation.read(RING).net
    token = Token("t", "ring_v1", dict(net.initial), {"score": 90}, {}, 1, NOW, NOW)
    over, back = (choose_mode(net, token, name) for name in ("over", "back"))
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(500):
            token = fire(net, token, over, NOW, patch=None, actor="me").token
            token = fire(net, token, back, NOW, patch=None, actor="me").token
        done += 1_000
        token = replace(token, version=1)
    return done / (time.perf_counter() - started)


async def at_once(callers: int, seconds: float, turn: Callable[[int, int], Awaitable[object]]) -> float:
    """So many callers, each taking turns as fast as it is answered; turns a second."""
    done, started = 0, time.perf_counter()

    async def caller(number: int) -> None:
        nonlocal done
        turns = 0
        while time.perf_counter() - started < seconds:
            await turn(number, turns)
            turns += 1
            done += 1

    await asyncio.gather(*map(caller, range(callers)))
    return done / (time.perf_counter() - started)


async def firing(store: Store, callers: int, seconds: float) -> float:
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)
    tokens = await workflows.create_tokens([NewToken("ring_v1", {"score": 90})] * callers, caller=PROGRAM)
    return await at_once(
        callers,
        seconds,
        lambda number, turn: workflows.fire(tokens[number].id, "back" if turn % 2 else "over", caller=PROGRAM),
    )


async def creating(store: Store, callers: int, seconds: float) -> float:
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)
    return await at_once(
        callers, seconds, lambda *_: workflows.create_token("ring_v1", caller=PROGRAM, data={"score": 90})
    )


async def bare(folder: Path, callers: int, seconds: float) -> float:
    """The floor: our group commit with one small update and one small insert a turn, and nothing around it."""
    database = await Database.open(folder / f"bare{callers}.db", NOW)

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("create table a(id integer primary key, n integer)")
        connection.execute("create table b(id integer, n integer, t text, primary key(id, n)) without rowid")
        connection.executemany("insert into a values (?, 0)", [(number,) for number in range(callers)])

    await database.write(prepare)

    def turn(number: int, turn: int) -> Awaitable[object]:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("update a set n = ? where id = ?", (turn, number))
            connection.execute("insert into b values (?, ?, ?)", (number, turn, "x" * 100))

        return database.write(write)

    found = await at_once(callers, seconds, turn)
    await database.close()
    return found


async def bare_rows(store: SqliteStore, callers: int, seconds: float) -> float:
    """The same with the rows of a firing, in the ledger's own tables with their indexes: nothing is decided, checked,
    hashed or counted."""
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)
    tokens = await workflows.create_tokens([NewToken("ring_v1", {"score": 90})] * callers, caller=PROGRAM)

    def turn(number: int, turn: int) -> Awaitable[object]:
        id, at, state = tokens[number].id, turn, "left" if turn % 2 else "right"

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "update tokens set state = ?, marking = ?, version = ?, updated_at = ?, head = ? where id = ?",
                (state, '{"left":1}', turn + 2, at, HASH, id),
            )
            connection.execute(
                "insert into events(token, sequence, kind, transition, before, after, at, actor, hash) "
                "values (?, ?, 'fired', 'over', ?, ?, ?, 'program', ?)",
                (id, turn + 2, '{"left":1}', '{"right":1}', at, HASH),
            )

        return store.database.write(write)

    return await at_once(callers, seconds, turn)


async def one_round(seconds: float) -> dict[str, float]:
    found = {"fire, pure": pure(seconds)}
    found["fire, memory store"] = await firing(MemoryStore(), 1, seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        async def with_store(work: Callable[[SqliteStore, int, float], Awaitable[float]], callers: int) -> float:
            store = await SqliteStore.open(folder / f"{work.__name__}{callers}.db", NOW)
            try:
                return await work(store, callers, seconds)
            finally:
                await store.close()

        for callers in (1, 100, 1_000):
            floor = await bare(folder, callers, seconds)
            rows, fired = await with_store(bare_rows, callers), await with_store(firing, callers)
            found |= {
                f"bare group commit, {callers} callers": floor,
                f"bare rows of the ledger, {callers} callers": rows,
                f"fire, durable, {callers} callers": fired,
                f"ratio to bare, {callers} callers": fired / floor,
                f"ratio to bare rows, {callers} callers": fired / rows,
            }
        found["create, memory store"] = await creating(MemoryStore(), 1, seconds)
        found["create, durable, 1000 callers"] = await with_store(creating, 1_000)
    return found


async def measured(seconds: float, rounds: int) -> dict[str, float]:
    gc.collect()
    gc.freeze()  # as the program does
    gc.set_threshold(10_000, 50, 100)
    found = [await one_round(seconds) for _ in range(rounds)]
    return {name: median(one[name] for one in found) for name in found[0]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0, help="how long each part is measured")
    options.add_argument("--rounds", type=int, default=3, help="how often")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    found = asyncio.run(measured(chosen.seconds, chosen.rounds))
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:40} {value:12.2f}" if name.startswith("ratio") else f"{name:40} {value:12,.0f} /s")


if __name__ == "__main__":
    main()
