"""What tests build on: a world that stands still, and a provider that says what it is told to."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.kernel.bus import Bus
from engine.kernel.machine import Machine
from engine.kernel.world import World
from engine.llm.catalog import Catalog
from engine.llm.discovery import Discovery
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    TextDelta,
    Usage,
)
from engine.llm.model import FREE, Model
from engine.llm.ports import Progress
from engine.llm.service import Llm
from engine.store.ports import Journal

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


class FixedWorld:
    """A World whose clock is moved by hand, whose ids are the same each time, and whose environment is a dict."""

    def __init__(self, environ: Mapping[str, str] | None = None, seed: int = 1) -> None:
        self.at, self.seconds = NOON, 100.0
        self.environ = dict(environ or {})
        chance = random.Random(seed)
        self.machine = Machine(total=16_000_000_000, free=8_000_000_000)
        self.world = World(
            lambda: self.at, lambda: self.seconds, chance.getrandbits, self.environ, self._sleep, self._memory
        )

    async def _memory(self) -> Machine:
        return self.machine

    async def _sleep(self, seconds: float) -> None:
        """Nobody waits: the clock moves on."""
        self.move(seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        """Let time pass, or run backwards."""
        self.at += timedelta(seconds=seconds)
        self.seconds += max(0.0, seconds)


# -- workflows --------------------------------------------------------------------------------------------------------

APPROVAL: Mapping[str, Any] = {
    "name": "Approval",
    "states": ["draft", "review", "approved", "rejected"],
    "initialState": "draft",
    "transitions": [
        {"id": "submit", "fromStates": ["draft"], "toState": "review"},
        {"id": "approve", "fromStates": ["review"], "toState": "approved", "conditions": ["score >= 80"]},
        {"id": "reject", "fromStates": ["review"], "toState": "rejected"},
        {"id": "rework", "fromStates": ["review", "rejected"], "toState": "draft"},
    ],
    "finalPlaces": ["approved"],
}

FORK: Mapping[str, Any] = {
    "name": "Fork",
    "places": ["start", "a", "b", "end"],
    "transitions": [
        {"id": "split", "inputs": ["start"], "outputs": ["a", "b"]},
        {"id": "join", "inputs": ["a", "b"], "outputs": ["end"]},
    ],
}

RING: Mapping[str, Any] = {
    "name": "Ring",
    "places": ["left", "right"],
    "transitions": [
        {"id": "over", "inputs": ["left"], "outputs": ["right"]},
        {"id": "back", "inputs": ["right"], "outputs": ["left"]},
    ],
}


# -- models -----------------------------------------------------------------------------------------------------------


def model(provider: str, name: str, **fields: Any) -> Model:
    return Model(provider, name, **{"price": FREE, "local": True, **fields})


@dataclass(frozen=True)
class Gate:
    """In a script: wait here until somebody opens it. `reached` is set when the script comes to it."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


Script = Sequence[Chunk | Gate | BaseException]


def answer(*words: str, usage: Usage = Usage(10, 0, 0, 5)) -> Script:  # noqa: B008 - frozen
    """A script that says `words` and ends well."""
    return [*map(TextDelta, words), Finished("stop", usage)]


class ScriptedProvider:
    """A provider that plays scripts, one a request; the last one again and again. Notes what it was asked, and whether
    each stream was closed."""

    def __init__(
        self, id: str, models: Sequence[Model] = (), scripts: Sequence[Script] = (), *, local: bool = True
    ) -> None:
        self.id, self.title, self.address, self.local = id, id.title(), f"http://{id}.test", local
        self.known: tuple[Model, ...] | BaseException = tuple(models)
        self.scripts = [*scripts] or [answer("ok")]
        self.asked: list[ChatRequest] = []
        self.embedded: list[EmbeddingRequest] = []
        self.embedding: Embeddings | BaseException | Gate | None = None
        self.counted = 0
        self.held: Sequence[str] = ("",)
        self.used: list[str] = []
        self.open = 0
        self.closed = False

    async def models(self) -> tuple[Model, ...]:
        self.counted += 1
        if isinstance(self.known, BaseException):
            raise self.known
        return self.known

    def keys(self) -> Sequence[str]:
        return self.held

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        self.asked.append(request)
        self.used.append(key)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.open += 1
        try:
            for item in script:
                if isinstance(item, Gate):
                    item.reached.set()
                    await item.opened.wait()
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self.open -= 1

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        self.embedded.append(request)
        if isinstance(self.embedding, Gate):
            self.embedding.reached.set()
            await self.embedding.opened.wait()
        if isinstance(self.embedding, BaseException):
            raise self.embedding
        vectors = tuple((float(len(text)), 1.0) for text in request.inputs)
        return self.embedding if isinstance(self.embedding, Embeddings) else Embeddings(model.name, vectors, Usage(3))

    async def close(self) -> None:
        self.closed = True


class ScriptedKeeper(ScriptedProvider):
    """One that keeps models: a pull plays `steps`, of which the last one brings the model."""

    def __init__(self, id: str, models: Sequence[Model] = (), steps: "Sequence[Progress | Gate | BaseException]" = ()):
        super().__init__(id, models)
        self.steps, self.pulled, self.removed = steps, [], []  # type: Sequence[Any], list[str], list[str]

    async def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        self.pulled.append(name)
        self.open += 1
        try:
            for step in self.steps:
                if isinstance(step, Gate):
                    step.reached.set()
                    await step.opened.wait()
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step
            assert not isinstance(self.known, BaseException)
            self.known = (*self.known, model(self.id, name, size_bytes=2_000_000_000))
        finally:
            self.open -= 1

    async def remove(self, name: str) -> None:
        assert not isinstance(self.known, BaseException)
        self.removed.append(name)
        self.known = tuple(one for one in self.known if one.name != name)

    async def shown(self, name: str) -> Mapping[str, Any]:
        return {}

    async def copy(self, name: str, to: str) -> None:
        raise NotImplementedError

    async def load(self, name: str, keep_alive: str | float) -> None:
        raise NotImplementedError


async def llm_of(providers: Sequence[ScriptedProvider], journal: Journal, bus: Bus, world: World) -> Llm:
    """The llm service over `providers`, each asked once for its models."""
    by_id = {provider.id: provider for provider in providers}
    catalog = Catalog(bus, list(by_id))
    discovery = Discovery(by_id, catalog)
    for id in by_id:
        await discovery.refresh(id)
    return Llm(by_id, catalog, discovery, journal, bus, world)


async def turns_of_the_loop(until: Callable[[], bool], most: int = 10_000) -> None:
    """Let everything else run until something is so."""
    for _ in range(most):
        if until():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it out."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
