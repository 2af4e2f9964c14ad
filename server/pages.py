"""The pages beside the APIs: the root of each port, `/health`, `/metrics`, and GraphiQL's files."""

import gzip
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sanic import HTTPResponse, Request

from engine.engine import Engine
from engine.kernel import assets
from engine.kernel.errors import NotFound
from server.edge import json_response

if TYPE_CHECKING:
    from server.metrics import Metrics

_FILES = {
    "graphiql.min.js": "text/javascript",
    "graphiql.min.css": "text/css",
    "react.production.min.js": "text/javascript",
    "react-dom.production.min.js": "text/javascript",
    "graphql-ws.min.js": "text/javascript",
}


@dataclass(frozen=True, slots=True)
class Pages:
    engine: Engine
    graphql_port: int | None
    playground: bool
    series: "Metrics | None" = None

    async def root(self, request: Request) -> HTTPResponse:
        if request.server_port == self.graphql_port and self.playground:
            return graphiql()
        about = {"name": "Circuit Breaker", "openai": "/v1", "models": "/v1/models", "graphql": "/graphql"}
        return json_response(about)

    async def health(self, request: Request) -> HTTPResponse:
        """Nothing that is anybody's business: no addresses, keys or words of errors."""
        llm = self.engine.llm
        states = {status.id: status.state for status in llm.catalog.providers.values()}
        breakers = [
            {"provider": row.provider, "model": row.model or None, "state": row.state} for row in llm.health.rows()
        ]
        up = [id for id, state in states.items() if state == "up"]
        told = {"status": "ok", "service": "circuit-breaker", "providers": up, "states": states, "breakers": breakers}
        return json_response(told)

    async def metrics(self, request: Request) -> HTTPResponse:
        if self.series is None:
            raise NotFound("Metrics are off.", fix="Set `metrics = true` under `[server]` in the settings file.")
        text, content_type = self.series.text(request.headers.get("accept", ""))
        return HTTPResponse(text, content_type=content_type)

    async def file(self, request: Request, name: str) -> HTTPResponse:
        if name not in _FILES:
            raise NotFound.named("file", name, _FILES)
        headers = {"cache-control": "max-age=86400", "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return HTTPResponse(_packed(name), 200, headers | {"content-encoding": "gzip"}, _FILES[name])
        return HTTPResponse(gzip.decompress(_packed(name)), 200, headers, _FILES[name])


def graphiql() -> HTTPResponse:
    """GraphiQL; its files come from `/assets`, and nothing from anywhere else."""
    page = (assets.folder() / "graphiql" / "index.html").read_bytes()
    return HTTPResponse(page, content_type="text/html; charset=utf-8")


@cache
def _packed(name: str) -> bytes:
    return (assets.folder() / "graphiql" / f"{name}.gz").read_bytes()
