"""Sockets, start and stop: one Sanic app inside the loop that is running, on two ports.

    async with serve(engine, host="127.0.0.1", openai_port=3000, graphql_port=4000) as serving:
        print(serving.openai, serving.graphql)

Sanic's own start is not used: it would take over signals, logging and the process. Both ports answer all routes; what
differs is the page at `/`.
"""

import asyncio
import gzip
import importlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sanic import Config, HTTPResponse, Request, Sanic

from engine.engine import Engine
from engine.kernel import assets
from engine.kernel.errors import InvalidConfig, NotFound, PortTaken
from engine.kernel.settings import Port
from server.edge import MOST_BODY_BYTES, Edge, is_this_machine, json_response
from server.holders import holder_of_port
from server.openai.routes import OpenAIRoutes

GRACE_S = 2.0
_FILES = {
    "graphiql.min.js": "text/javascript",
    "graphiql.min.css": "text/css",
    "react.production.min.js": "text/javascript",
    "react-dom.production.min.js": "text/javascript",
    "graphql-ws.min.js": "text/javascript",
}
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
    try:
        sockets.extend(bind(host, port) for port in (openai_port, graphql_port) if port is not None)
        ports = iter([one.getsockname()[1] for one in sockets])
        openai = None if openai_port is None else next(ports)
        graphql = None if graphql_port is None else next(ports)
        app = _app(engine, graphql, playground, cors)
        servers = [await _listen(app, one) for one in sockets]
    except BaseException:
        for one in sockets:
            one.close()
        raise
    try:
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
    finally:
        await _stop(app, servers)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
    try:
        found.bind(("127.0.0.1" if host == "localhost" else host, port))
        found.listen(512)  # without it a second bind would succeed on Linux
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


def _app(engine: Engine, graphql_port: int | None, playground: bool, cors: Collection[str]) -> App:
    name = "circuit-breaker"
    Sanic._app_registry.pop(name, None)  # another one may have been served in this process before
    app: App = Sanic(name, configure_logging=False)
    app.config.update(
        # Sanic would rewrite its protocol classes once per process, and fail for the second app
        {"TOUCHUP": False, "MOTD": False, "ACCESS_LOG": False, "GRACEFUL_SHUTDOWN_TIMEOUT": GRACE_S}
        | {"REQUEST_MAX_SIZE": MOST_BODY_BYTES, "RESPONSE_TIMEOUT": 3600, "KEEP_ALIVE_TIMEOUT": 75}
    )
    Edge(engine.world, engine.bus, cors).guard(app)
    app.blueprint(OpenAIRoutes(engine).blueprint())
    pages = _Pages(engine, graphql_port, playground)
    app.add_route(pages.root, "/", methods=["GET"])
    app.add_route(pages.health, "/health", methods=["GET"])
    app.add_route(pages.file, "/assets/<name:str>", methods=["GET"])
    app.enable_websocket()
    app.add_route(_GraphQL(engine, playground), "/graphql", name="graphql", methods=["GET", "POST"])
    app.add_route(_nothing, "/<path:path>", name="options", methods=["OPTIONS"])  # the edge has answered
    return app


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
                view = await asyncio.to_thread(importlib.import_module, "server.graphql.view")
                self._handler = view.GraphQLHandler(self._engine, self._playground)
        answer: HTTPResponse | None = await self._handler(request)
        return answer


@dataclass(frozen=True, slots=True)
class _Pages:
    engine: Engine
    graphql_port: int | None
    playground: bool

    async def root(self, request: Request) -> HTTPResponse:
        if request.server_port == self.graphql_port and self.playground:
            page = (assets.folder() / "graphiql" / "index.html").read_bytes()
            return HTTPResponse(page, content_type="text/html; charset=utf-8")
        about = {"name": "Circuit Breaker", "openai": "/v1", "models": "/v1/models", "graphql": "/graphql"}
        return json_response(about)

    async def health(self, request: Request) -> HTTPResponse:
        providers = self.engine.llm.catalog.providers.values()
        up = [status.id for status in providers if status.state == "up"]
        return json_response({"status": "ok", "service": "circuit-breaker", "providers": up})

    async def file(self, request: Request, name: str) -> HTTPResponse:
        if name not in _FILES:
            raise NotFound.named("file", name, _FILES)
        packed = (assets.folder() / "graphiql" / f"{name}.gz").read_bytes()
        headers = {"cache-control": "max-age=86400"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return HTTPResponse(packed, 200, headers | {"content-encoding": "gzip"}, _FILES[name])
        return HTTPResponse(gzip.decompress(packed), 200, headers, _FILES[name])


async def _nothing(request: Request, path: str) -> HTTPResponse:
    return HTTPResponse(status=204)


async def _listen(app: App, one: socket.socket) -> Any:
    return await app.create_server(
        sock=one, return_asyncio_server=True, asyncio_server_kwargs={"start_serving": False}, access_log=False
    )


async def _stop(app: App, servers: list[Any]) -> None:
    """Take no more connections, let those at work finish within the grace, cut the rest."""
    loop = asyncio.get_running_loop()
    for server in servers:
        server.close()
    deadline = loop.time() + GRACE_S
    for server in servers:
        connections = server.connections
        for connection in list(connections):
            connection.close_if_idle()
        while connections and loop.time() < deadline:  # noqa: ASYNC110  Sanic tells nobody of a connection that ends
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.abort()
    app.shutdown_tasks(1)
    with suppress(Exception):  # whatever a listener does, the rest must be taken down
        for server in servers[:1]:
            await server.before_stop()
            await server.after_stop()
