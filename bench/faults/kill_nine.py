"""Drill F1: SIGKILL during a burst of firings.

A child fires tokens through the engine on a SQLite file and prints each firing that was acknowledged. The parent kills
it at a random moment, opens the file again, and looks for every acknowledged event and for broken hash chains. With
`--without-sync` the child acknowledges before the commit: the control, which must report loss.

    python bench/faults/kill_nine.py [--kills 20] [--seed 1] [--without-sync]

Ends with 0 when nothing was lost (with the control: when loss was seen).
"""

import argparse
import asyncio
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.world import World
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import Workflows

RING = {
    "id": "ring",
    "name": "Ring",
    "places": ["left", "right"],
    "transitions": [
        {"id": "over", "inputs": ["left"], "outputs": ["right"]},
        {"id": "back", "inputs": ["right"], "outputs": ["left"]},
    ],
}
CALLERS = 50


@dataclass
class Round:
    acknowledged: int
    lost: int
    damaged: int
    wrong: int
    reopened_s: float


async def child(file: Path, without_sync: bool) -> None:
    """Fire for ever, one line `token version` for each firing that was answered."""
    store = await SqliteStore.open(file, World.real().now())
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(RING)

    async def caller() -> None:
        token = await workflows.create_token("ring", caller=PROGRAM)
        for number in range(1, 1_000_000):
            firing = workflows.fire(token.id, "over" if number % 2 else "back", caller=PROGRAM, data={"n": number})
            if without_sync:
                print(token.id, number + 1, flush=True)
                await firing
            else:
                moved = await firing
                print(token.id, moved.version, flush=True)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def killed(file: Path, without_sync: bool, lines: int) -> dict[str, int]:
    """Run the child, kill it after so many lines, and give the last acknowledged version of each token."""
    command = [sys.executable, __file__, "--child", str(file), *(["--without-sync"] if without_sync else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    last: dict[str, int] = {}

    def note(line: bytes) -> None:
        if line.endswith(b"\n"):  # half a line acknowledges nothing
            token, version = line.split()
            last[token.decode()] = int(version)

    for _ in range(lines):
        note(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    for line in process.stdout:  # what was in the pipe was acknowledged as well
        note(line)
    process.wait()
    return last


async def looked_at(file: Path, last: dict[str, int]) -> Round:
    started = time.perf_counter()
    store = await SqliteStore.open(file, World.real().now())
    took = time.perf_counter() - started
    workflows = Workflows(store.ledger, Bus(), World.real())
    histories = await workflows.histories(list(last))
    lost = sum(max(0, version - len(histories[token])) for token, version in last.items())
    damaged = len(await workflows.damages()) + len(await store.check())
    tokens = [token async for token, _ in store.ledger.every_token()]
    counted = sum((await workflows.counts("ring")).values())
    wrong = abs(counted - len(tokens))
    await store.close()
    return Round(sum(last.values()), lost, damaged, wrong, took)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", "--rounds", type=int, default=20, help="how often; 200 for a documented run")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--without-sync", action="store_true", help="the control: acknowledge before the commit")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        with suppress(BrokenPipeError):
            asyncio.run(child(chosen.child, chosen.without_sync))
        return 0
    chance, rounds = random.Random(chosen.seed), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.kills):
            file = Path(folder) / f"{number % 4}.db"  # some files live through several kills
            last = killed(file, chosen.without_sync, chance.randint(1, 4_000))
            rounds.append(asyncio.run(looked_at(file, last)))
    lost, damaged, wrong = (sum(getattr(one, name) for one in rounds) for name in ("lost", "damaged", "wrong"))
    print(f"{len(rounds)} kills, {sum(one.acknowledged for one in rounds):,} events acknowledged")
    print(f"lost {lost}, damaged histories {damaged}, counts that do not fit {wrong}")
    print(f"slowest reopening {max(one.reopened_s for one in rounds):.3f} s")
    if chosen.without_sync:
        print("control: loss was seen" if lost else "CONTROL FAILED: no loss was seen, so this drill shows nothing")
        return 0 if lost else 1
    return 1 if lost or damaged or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
