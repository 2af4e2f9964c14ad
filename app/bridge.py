"""Between the engine and the screens: opens the engine and its server beside the app, and turns events into messages.

The engine never waits for the screen: what happens is gathered and handed over at most ten times a second.
"""

import asyncio
import gc
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from textual.message import Message
from textual.message_pump import MessagePump

from engine.kernel.errors import CircuitBreakerError, Internal
from engine.kernel.records import record
from engine.kernel.tasks import ended

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.llm.accounts import BudgetReached
    from engine.workflows.events import Notice

EVERY_S = 0.1
KEPT = 1_000
log = logging.getLogger("app")


class EngineReady(Message):
    """The engine is open."""

    def __init__(self, engine: "Engine") -> None:
        super().__init__()
        self.engine = engine


class EngineFailed(Message):
    """The engine could not be opened, or has broken down."""

    def __init__(self, error: CircuitBreakerError) -> None:
        super().__init__()
        self.error = error


class ServerChanged(Message):
    """The server listens now, or does not."""

    def __init__(self, server: "ServerState") -> None:
        super().__init__()
        self.server = server


class Announced(Message, bubble=False):
    """Tokens have come to places that announce it, or are overdue there."""

    def __init__(self, notices: "Sequence[Notice]") -> None:
        super().__init__()
        self.notices = notices


class BudgetsReached(Message, bubble=False):
    """Requests took budgets to their warning or their end."""

    def __init__(self, reached: "Sequence[BudgetReached]") -> None:
        super().__init__()
        self.reached = reached


class Happened(Message, bubble=False):
    """Events of the engine, in order."""

    def __init__(self, events: list[object]) -> None:
        super().__init__()
        self.events = events


@record
class ServerState:
    """`error` says why it does not listen, when it was wanted."""

    state: Literal["starting", "on", "off"] = "starting"
    openai: str | None = None
    graphql: str | None = None
    error: CircuitBreakerError | None = None


@record
class Ports:
    """Where to listen: 0 takes a free port, None does not listen."""

    host: str = "127.0.0.1"
    openai: int | None = 3000
    graphql: int | None = 4000

    @property
    def any(self) -> bool:
        return self.openai is not None or self.graphql is not None


@dataclass
class Bridge:
    """`open_engine` gives the engine to use; it is called on a thread, since its imports take long.

    `engine` is None until it is open. Whoever stands in `watchers` gets EngineReady, EngineFailed, ServerChanged,
    Happened, Announced and BudgetsReached (at most every `every_s` seconds); who comes later finds what was said in
    `engine`, `failure`, `server` and `served`, the last requests with the newest first. `folder` is where copies and
    exports go.
    """

    open_engine: Callable[[], "AbstractAsyncContextManager[Engine]"]
    ports: Ports
    engine: "Engine | None" = None
    server: ServerState = ServerState()
    failure: CircuitBreakerError | None = None
    folder: Path | None = None
    served: deque[object] = field(default_factory=partial(deque, maxlen=KEPT))
    every_s: float = EVERY_S
    watchers: list[MessagePump] = field(default_factory=list)
    _wishes: "asyncio.Queue[Ports | None]" = field(default_factory=asyncio.Queue)
    _task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        """Open engine and server. Called after the first paint, and again to try again."""
        if self._task and not self._task.done():
            return
        self.failure = None
        self._task = asyncio.create_task(self._run(), name="bridge")

    async def close(self) -> None:
        """Close the server, then the engine; wait until both are."""
        if self._task:
            await ended(self._task)

    def serve(self, ports: Ports | None) -> None:
        """Ask for the server on these ports, or for none."""
        self._wishes.put_nowait(ports)

    def _tell(self, message: Callable[[], Message]) -> None:
        for watcher in self.watchers:
            watcher.post_message(message())

    async def _run(self) -> None:
        try:
            opened = await asyncio.to_thread(self.open_engine)
            async with opened as engine:
                self.engine = engine
                self._tell(lambda: EngineReady(engine))
                self.serve(self.ports if self.ports.any else None)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._hand_over(engine))
                    group.create_task(self._keep_serving(engine))
        except* Exception as errors:
            log.error("the engine could not be opened", exc_info=errors)
            self.engine, self.server = None, ServerState("off")
            failure = self.failure = _known(_first(errors))
            self._tell(lambda: EngineFailed(failure))
            self._tell(lambda: ServerChanged(self.server))

    async def _hand_over(self, engine: "Engine") -> None:
        """Gather events and post them together."""
        with engine.bus.subscribe(object, limit=10_000) as events:
            waiting = aiter(events)
            while True:
                batch: list[object] = [await anext(waiting)]
                await asyncio.sleep(self.every_s)
                batch += events.take()
                self.served.extendleft(event for event in batch if is_one_of(event, "RequestServed", "RequestEnded"))
                self._tell(partial(Happened, batch))
                if notices := [cast("Notice", event) for event in batch if is_one_of(event, "Notice")]:
                    self._tell(partial(Announced, notices))
                if reached := [cast("BudgetReached", event) for event in batch if is_one_of(event, "BudgetReached")]:
                    self._tell(partial(BudgetsReached, reached))

    async def _keep_serving(self, engine: "Engine") -> None:
        """Grant one wish after another. The last one is given up when the app ends."""
        serving = await asyncio.to_thread(import_module, "server.serving")
        async with AsyncExitStack() as stack:
            while True:
                ports = await self._wishes.get()
                await stack.aclose()
                if ports is None:
                    self._announce(engine, ServerState("off"))
                    continue
                self._announce(engine, ServerState("starting"))
                try:
                    served = await stack.enter_async_context(
                        serving.serve(engine, host=ports.host, openai_port=ports.openai, graphql_port=ports.graphql)
                    )
                except Exception as error:
                    self._announce(engine, ServerState("off", error=_known(error)))
                    continue
                self._announce(engine, ServerState("on", served.openai, served.graphql))
                gc.collect()
                gc.freeze()  # what is there now stays; looking through it again and again would make pauses
                gc.set_threshold(10_000, 50, 100)

    def _announce(self, engine: "Engine", state: ServerState) -> None:
        self.server = state
        engine.announce({"openai": state.openai, "graphql": state.graphql})
        self._tell(lambda: ServerChanged(state))


def is_one_of(event: object, *names: str) -> bool:
    """Whether an event is of a class of one of these names. Screens ask by name: importing the rooms would make the
    first paint wait."""
    return type(event).__name__ in names


def described(error: BaseException) -> tuple[str, str, str]:
    """What, why and fix of an error."""
    known = _known(error)
    return known.what, known.why, known.fix


def _first(error: BaseException) -> BaseException:
    """What went wrong first, out of the groups that task groups make."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _known(error: BaseException) -> CircuitBreakerError:
    if isinstance(error, CircuitBreakerError):
        return error
    log.error("a bug", exc_info=error)
    why = f"{type(error).__name__}: {error}"
    return Internal("Something went wrong that should not have.", why=why, fix="The log has it; please report it.")
