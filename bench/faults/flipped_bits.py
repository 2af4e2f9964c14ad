"""Drill for promise 3: history cannot be quietly changed.

Tokens are run on a SQLite file, and the histories of half of them archived. Then, again and again, one bit of one value
of one event is flipped in the file's own tables, the doctor's check is run on all histories, and the bit is put back.
With `--without-chain` only SQLite's `quick_check` looks: the control, which must miss most of them.

    python bench/faults/flipped_bits.py [--flips 500] [--seed 1] [--without-chain]

Ends with 0 when every flip was found (with the control: when most were missed).
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.errors import StoreCorrupt
from engine.kernel.world import World
from engine.store.sqlite.store import SqliteStore
from engine.workflows.archive import Archive
from engine.workflows.service import Workflows

APPROVAL = {
    "id": "approval",
    "name": "Approval",
    "places": ["draft", "review", "approved"],
    "transitions": [
        {"id": "submit", "inputs": ["draft"], "outputs": ["review"]},
        {"id": "rework", "inputs": ["review"], "outputs": ["draft"]},
        {"id": "approve", "inputs": ["review"], "outputs": ["approved"]},
    ],
}
WAY = ("submit", "rework", "submit", "approve")
TOKENS = 40
COLUMNS = (
    *("token", "sequence", "kind", "transition", "before", "after", "data", "at", "actor", "hash", "reason", "detail"),
)


async def filled(store: SqliteStore, workflows: Workflows) -> None:
    await workflows.create(APPROVAL)
    for number in range(TOKENS):
        if number == TOKENS // 2:
            await Archive(store.ledger, World.real()).fold(timedelta(0))
        data = {"title": f"Document {number}", "ü": [1.5, None, True]}
        token = await workflows.create_token("approval", caller=PROGRAM, data=data, metadata={"team": "a"})
        for transition in WAY:
            await workflows.fire(token.id, transition, caller=PROGRAM, data={transition: number}, reason="because")


def flipped(value: Any, chance: random.Random) -> Any:
    """`value` with one bit turned round."""
    if isinstance(value, int):
        return value ^ (1 << chance.randrange(62))
    raw = bytearray(value if isinstance(value, bytes) else value.encode())
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


async def drill(file: Path, flips: int, seed: int, without_chain: bool) -> tuple[int, list[str], float]:
    """How many flips there were, what was missed, and the seconds of the slowest check."""
    store = await SqliteStore.open(file, World.real().now())
    workflows = Workflows(store.ledger, Bus(), World.real())
    await filled(store, workflows)
    rows = await store.database.read(f"select position, {', '.join(COLUMNS)} from events")
    assert await found(store, workflows, without_chain) is False, "the histories were damaged before"
    chance, missed, slowest, done = random.Random(seed), list[str](), 0.0, 0
    while done < flips:
        position, *values = chance.choice(rows)
        column, value = chance.choice(
            [(name, value) for name, value in zip(COLUMNS, values, strict=True) if value not in (None, "")]
        )
        changed = flipped(value, chance)
        if not await put(store, column, changed, position, isinstance(value, str)):
            continue  # the file itself does not take two events of one number
        started = time.perf_counter()
        if not await found(store, workflows, without_chain):
            missed.append(f"{column} of event {position}: {value!r} became {changed!r}")
        slowest = max(slowest, time.perf_counter() - started)
        await put(store, column, value, position, isinstance(value, str))
        done += 1
    assert await found(store, workflows, without_chain) is False, "what was put back is not what it was"
    await store.close()
    return done, missed, slowest


async def put(store: SqliteStore, column: str, value: Any, position: int, text: bool) -> bool:
    mark = "cast(? as text)" if text else "?"

    def write(connection: sqlite3.Connection) -> bool:
        try:
            return bool(
                connection.execute(
                    f"update events set {column} = {mark} where position = ?", (value, position)
                ).rowcount
            )
        except sqlite3.IntegrityError:
            return False

    return await store.database.write(write)


async def found(store: SqliteStore, workflows: Workflows, without_chain: bool) -> bool:
    if without_chain:
        return bool(await store.check())
    try:
        return bool(await workflows.damages())
    except StoreCorrupt:
        return True


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flips", type=int, default=500)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--without-chain", action="store_true", help="the control: only SQLite's own check looks")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done, missed, slowest = asyncio.run(
            drill(Path(folder) / "test.db", chosen.flips, chosen.seed, chosen.without_chain)
        )
    print(f"{done:,} bits flipped in histories of {TOKENS} tokens, half of them archived; {done - len(missed):,} found")
    print(f"slowest check of all histories {slowest:.3f} s")
    if chosen.without_chain:
        blind = len(missed) > done / 2
        print("control: most were missed" if blind else "CONTROL FAILED: they were found, so this drill shows nothing")
        return 0 if blind else 1
    for one in missed[:10]:
        print(f"missed: {one}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
