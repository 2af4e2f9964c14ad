"""The workbench for tests: the real app on a real engine, in a world that stands still, with scripted models."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from textual.pilot import Pilot

from app.bridge import Bridge, Ports, ServerState
from app.workbench import Workbench
from engine.engine import Engine
from engine.kernel.errors import ProviderUnavailable
from engine.kernel.settings import Loaded, load
from engine.llm.model import Model
from tests.support import FixedWorld, ScriptedProvider, answer, model

NO_OLLAMA = ProviderUnavailable(
    "Ollama does not answer at http://127.0.0.1:11434.",
    why="Connection refused.",
    fix="Start it with `ollama serve`, get it from https://ollama.com, or set OLLAMA_BASE_URL.",
)
TINY = model("embedded", "smollm2:135m", context=4096, size_bytes=98_362_432, tiny=True)
CODER = model(
    "ollama", "qwen2.5-coder:3b", context=32768, size_bytes=1_929_912_432, loaded=True,
    abilities=frozenset({"chat", "tools"}), details={"parameter_size": "3.1B", "quantization_level": "Q4_K_M"},
)  # fmt: skip
EMBEDDER = model("ollama", "nomic-embed-text:latest", abilities=frozenset({"embedding"}), size_bytes=274_302_450)

Providers = Mapping[str, ScriptedProvider]


def providers(*, ollama: Sequence[Model] = (), scripts: Sequence[Sequence[object]] = ()) -> dict[str, ScriptedProvider]:
    """Ollama, down when it has no models, and the embedded model; both play the same scripts."""
    found = {
        "ollama": ScriptedProvider("ollama", ollama, scripts),  # type: ignore[arg-type]
        "embedded": ScriptedProvider("embedded", [TINY], scripts),  # type: ignore[arg-type]
    }
    found["ollama"].address = "http://127.0.0.1:11434"
    found["embedded"].title = "Embedded models"
    if not ollama:
        found["ollama"].known = NO_OLLAMA
    return found


def settings(**flags: str) -> Loaded:
    return load(Path("config.toml"), {}, {"store": "memory://", **flags})


def workbench(
    given: Providers | None = None,
    *,
    theme: str = "circuit-dark",
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]] | None = None,
    ports: Ports | None = None,
    loaded: Loaded | None = None,
    folder: Path | None = None,
    plain: bool = False,
) -> Workbench:
    """A workbench that is not started yet; its server is off unless there are ports, and what is copied goes into no
    file unless there is a folder."""
    world = FixedWorld().world
    chosen = given or providers()

    def opened() -> AbstractAsyncContextManager[Engine]:
        return Engine.open(loaded or settings(), world, providers=chosen)

    class Closing(Workbench):
        """Closes its bridge as the command does, in the loop that ends with the app."""

        async def on_unmount(self) -> None:
            await self.bridge.close()

    bridge = Bridge(
        open_engine or opened,
        ports or Ports(openai=None, graphql=None),
        server=ServerState("off"),
        folder=folder,
        every_s=0.01,
    )
    app = Closing(bridge, theme=theme, plain=plain)
    app.animation_level = "none"
    return app


async def ready(pilot: Pilot[None]) -> None:
    """Wait until the engine is open, or is known not to open, all providers were asked, and the screen is at rest."""
    bridge = bridge_of(pilot)
    await until(pilot, lambda: bridge.engine is not None or bridge.failure is not None)
    if bridge.engine is not None:
        await bridge.engine.llm.discovery.first_round(30)
        wanted = bridge.ports.any
        await until(pilot, lambda: bridge.server.state != "starting" and (not wanted or settled(bridge)))
    await rest(pilot)


def settled(bridge: Bridge) -> bool:
    return bridge.server.state == "on" or bridge.server.error is not None


def bridge_of(pilot: Pilot[None]) -> Bridge:
    app = pilot.app
    assert isinstance(app, Workbench)
    return app.bridge


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Let the app run until something is so."""
    async with asyncio.timeout(30):
        while not true():
            await pilot.pause()
            await asyncio.sleep(0)


async def rest(pilot: Pilot[None]) -> None:
    """Wait until nothing moves: all workers are done, or wait for somebody (a dialog's answer, a gate)."""
    still, before = 0, None
    while still < 4:
        await asyncio.sleep(0.02)  # the bridge hands events over every hundredth of a second here
        await pilot.pause()
        at_work = [worker.name for worker in pilot.app.workers if not worker.is_finished]
        still = still + 1 if at_work == before else 0
        before = at_work


__all__ = [
    "CODER",
    "EMBEDDER",
    "NO_OLLAMA",
    "TINY",
    "answer",
    "providers",
    "ready",
    "rest",
    "until",
    "workbench",
]
