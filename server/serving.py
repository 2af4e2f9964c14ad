"""Sockets, start and stop: one Sanic app inside the loop that is running, on two ports.

    async with serve(engine, host="127.0.0.1", openai_port=3000, graphql_port=4000) as serving:
        print(serving.openai, serving.graphql)

Sanic's own start is not used: it would take over signals, logging and the process. Both ports answer all routes; what
differs is the page at `/`.
"""

import asyncio
import gc
import importlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sanic import Config, HTTPResponse, Request, Sanic

from engine.engine import Engine
from engine.kernel.errors import InvalidConfig, PortTaken
from engine.kernel.settings import Port
from server.anthropic.routes import AnthropicRoutes
from server.edge import ERROR_FORMAT, Edge, Face
from server.holders import holder_of_port
from server.hosts import is_this_machine
from server.ollama.routes import OllamaRoutes
from server.openai.routes import OpenAIRoutes
from server.pages import Pages
from server.protocol import Limits, Protocol, Signals
from server.turns import Turns

if TYPE_CHECKING:
    from server.metrics import Metrics

CLEAN_UP_S = 1.0  # for handlers whose connection was cut: they close upstreams and write records
_BACKLOG = 4096  # connections that come at once; one too many would be tried again after a second
log = logging.getLogger("server")
App = Sanic[Config, SimpleNamespace]


@dataclass(frozen=True, slots=True)
class Serving:
    """Where it listens; None where it does not."""

    openai: str | None
    graphql: str | None

    def addresses(self) -> dict[str, str]:
        found = {"openai": self.openai, "graphql": self.graphql}
        return {name: address for name, address in found.items() if address}


@asynccontextmanager
async def serve(
    engine: Engine,
    *,
    host: str = "127.0.0.1",
    openai_port: Port = 3000,
    graphql_port: Port = 4000,
    playground: bool = True,
    cors: Collection[str] = (),
    limits: Limits = Limits(),  # noqa: B008  frozen
) -> AsyncIterator[Serving]:
    """Serve `engine` until the block is left. `cors` are origins allowed besides this machine's.

    Raises PortTaken, saying who has it, before anything listens; InvalidConfig for an address that is not loopback.
    """
    if not is_this_machine(host):
        raise InvalidConfig(
            f"The server cannot bind {host}.",
            why="Everybody on the network could use your models and your keys: there is no access control yet.",
            fix="Bind 127.0.0.1, and reach it through an SSH tunnel.",
            details={"path": "server.host"},
        )
    sockets: list[socket.socket] = []
    servers: list[Any] = []
    async with AsyncExitStack() as undo:
        for port in (openai_port, graphql_port):
            if port is not None:
                sockets.append(bind(host, port))
                undo.callback(sockets[-1].close)
        ports = iter([one.getsockname()[1] for one in sockets])
        openai = None if openai_port is None else next(ports)
        graphql = None if graphql_port is None else next(ports)
        series = await undo.enter_async_context(_measured(engine))
        app = _app(engine, Pages(engine, graphql, playground, series), cors, limits)
        undo.push_async_callback(_stop, app, servers)
        servers.extend([await _listen(app, one) for one in sockets])
        if servers:
            await servers[0].startup()
            await servers[0].before_start()
            for server in servers:
                await server.start_serving()
            await servers[0].after_start()
        shown = f"[{host}]" if ":" in host else host
        serving = Serving(
            openai=None if openai is None else f"http://{shown}:{openai}/v1",
            graphql=None if graphql is None else f"http://{shown}:{graphql}/graphql",
        )
        log.info("serving", extra={"facts": serving.addresses()})
        yield serving


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
    try:
        found.bind(("127.0.0.1" if host == "localhost" else host, port))
        found.listen(_BACKLOG)  # without it a second bind would succeed on Linux
    except OSError as error:
        found.close()
        holder = holder_of_port(port)
        raise PortTaken(
            f"Port {port} is taken" + (f" by {holder}." if holder else "."),
            why=f"{error.strerror}.",
            fix="Quit that program, or choose another port: 0 takes a free one.",
            details={"port": port, "holder": holder},
        ) from None
    found.setblocking(False)
    return found


@asynccontextmanager
async def _measured(engine: Engine) -> "AsyncIterator[Metrics | None]":
    """The series for Prometheus, when they are wanted: only then is what writes them loaded."""
    if not engine.settings.metrics:
        yield None
        return
    series: Metrics = importlib.import_module("server.metrics").Metrics(engine.bus, engine.llm.health)
    async with series.following():
        yield series


def _app(engine: Engine, pages: Pages, cors: Collection[str], limits: Limits) -> App:
    name = "circuit-breaker"
    logging.getLogger("sanic.root").setLevel(logging.ERROR)  # it would recommend its debug mode at every start
    Sanic._app_registry.pop(name, None)  # another one may have been served in this process before
    app: App = Sanic(name, env_prefix="", configure_logging=False, signal_router=Signals())
    app.config.update(
        # Sanic would rewrite its protocol classes once per process, and fail for the second app
        {"TOUCHUP": False, "MOTD": False, "ACCESS_LOG": False, "GRACEFUL_SHUTDOWN_TIMEOUT": limits.grace_s}
        | {"REQUEST_MAX_SIZE": limits.body_bytes, "RESPONSE_TIMEOUT": 3600, "KEEP_ALIVE_TIMEOUT": 75}
        | {"FALLBACK_ERROR_FORMAT": ERROR_FORMAT}
    )
    app.ctx.limits, app.ctx.edge = limits, Edge(engine.world, engine.bus, limits, cors)
    app.ctx.turns = Turns(limits.requests_a_turn)
    app.ctx.edge.guard(app)
    app.blueprint(OpenAIRoutes(engine, limits).blueprint())
    app.blueprint(AnthropicRoutes(engine, limits).blueprint())
    app.blueprint(OllamaRoutes(engine, limits).blueprint())
    app.blueprint(_beside(engine, pages))
    return app


def _beside(engine: Engine, pages: Pages) -> Face:
    """What is served beside the faces that have a room."""
    found = Face("pages")
    found.add_route(pages.root, "/", methods=["GET", "HEAD"])
    found.add_route(pages.health, "/health", methods=["GET", "HEAD"])
    found.add_route(pages.metrics, "/metrics", methods=["GET", "HEAD"])
    found.add_route(pages.file, "/assets/<name:str>", methods=["GET", "HEAD"])
    found.add_route(_GraphQL(engine, pages.playground), "/graphql", name="graphql", methods=["GET", "POST"])
    return found


class _GraphQL:
    """GraphQL's part is loaded after the ports are open: its import takes longer than all the rest."""

    __name__ = "graphql"
    is_websocket = True  # else Sanic refuses the None of a socket that was closed

    def __init__(self, engine: Engine, playground: bool) -> None:
        self._engine, self._playground = engine, playground
        self._handler: Callable[[Request], Any] | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, request: Request) -> HTTPResponse | None:
        async with self._loading:
            if self._handler is None:
                await self._engine.whole()
                view = await asyncio.to_thread(importlib.import_module, "server.graphql.view")
                self._handler = view.GraphQLHandler(self._engine, self._playground)
                gc.freeze()  # the schema stays, and there is much of it to look through
        answer: HTTPResponse | None = await self._handler(request)
        return answer


async def _listen(app: App, one: socket.socket) -> Any:
    return await app.create_server(
        sock=one,
        protocol=Protocol,
        return_asyncio_server=True,
        backlog=_BACKLOG,
        asyncio_server_kwargs={"start_serving": False},
        access_log=False,
    )


async def _stop(app: App, servers: Sequence[Any]) -> None:
    """Take no more connections, let those at work finish within the grace, cut the rest and let it clean up."""
    closed = [server.close() for server in servers]
    connections: list[Protocol] = [connection for server in servers for connection in server.connections]
    working = {task for connection in connections if (task := connection.finish())}
    if working:
        _, working = await asyncio.wait(working, timeout=app.ctx.limits.grace_s)
    for connection in connections:
        connection.abort()  # type: ignore[no-untyped-call]
    if working:
        await asyncio.wait(working, timeout=CLEAN_UP_S)
    if closed:
        await asyncio.wait(closed, timeout=CLEAN_UP_S)
    app.shutdown_tasks(1)
    if servers and app.state.is_started:
        await servers[0].before_stop()
        await servers[0].after_stop()
