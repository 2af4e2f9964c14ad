"""Makes the pictures of the README from the real app: `uv run python scripts/pictures.py`.

The engine, the embedded model and the net are real; the database is a new one in a temporary folder.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from textual.pilot import Pilot

from app.bridge import Bridge, Ports
from app.workbench import Workbench
from engine.engine import Engine
from engine.kernel.caller import WORKBENCH
from engine.kernel.settings import load
from engine.kernel.world import World

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZE = (120, 34)


async def settle(pilot: Pilot[None], seconds: float = 0.5) -> None:
    await asyncio.sleep(seconds)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def chat(pilot: Pilot[None], bridge: Bridge) -> None:
    await pilot.press(*[{" ": "space", "?": "question_mark"}.get(c, c) for c in "What is a Petri net?"], "enter")
    await settle(pilot, 2)


async def workflows(pilot: Pilot[None], bridge: Bridge) -> None:
    assert bridge.engine is not None
    service = bridge.engine.workflows
    data = {"title": "Q3 report", "author": "Ada"}
    for count in range(5):
        token = await service.create_token("document_approval_v1", caller=WORKBENCH, data=data)
        for transition in ("submit", "reject", "revise", "submit")[: count if count else 4]:
            await service.fire(token.id, transition, caller=WORKBENCH)
    await pilot.press("f4")
    await settle(pilot, 1)


async def counter_example(pilot: Pilot[None], bridge: Bridge) -> None:
    await workflows(pilot, bridge)
    await pilot.press("a", *"eventually", "space", *"approved", "enter")
    await settle(pilot)
    await pilot.press("enter")
    await settle(pilot)
    await pilot.press("space", "right", "right")
    await settle(pilot, 1)


async def take(name: str, story: Callable[[Pilot[None], Bridge], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World.real()
        loaded = load(Path(folder) / "config.toml", {}, {"data_dir": folder})

        def open_engine() -> AbstractAsyncContextManager[Engine]:
            return Engine.open(loaded, world)

        bridge = Bridge(open_engine, Ports())
        async with Workbench(bridge).run_test(size=SIZE) as pilot:
            while bridge.server.state != "on":
                await pilot.pause(0.1)
            await settle(pilot)
            await story(pilot, bridge)
            svg = pilot.app.export_screenshot(title="Circuit Breaker")
        await bridge.close()
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.S)  # no fonts from the network
    svg = re.sub(r"font-family:[^;\"]*", "font-family: ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace", svg)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    asyncio.run(take("chat", chat))
    asyncio.run(take("workbench", workflows))
    asyncio.run(take("counter-example", counter_example))
