"""The pages beside the APIs: the root of each port, `/health`, and GraphiQL's files."""

import gzip
from dataclasses import dataclass
from functools import cache

from sanic import HTTPResponse, Request

from engine.engine import Engine
from engine.kernel import assets
from engine.kernel.errors import NotFound
from server.edge import json_response

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

    async def root(self, request: Request) -> HTTPResponse:
        if request.server_port == self.graphql_port and self.playground:
            return graphiql()
        about = {"name": "Circuit Breaker", "openai": "/v1", "models": "/v1/models", "graphql": "/graphql"}
        return json_response(about)

    async def health(self, request: Request) -> HTTPResponse:
        providers = self.engine.llm.catalog.providers.values()
        up = [status.id for status in providers if status.state == "up"]
        return json_response({"status": "ok", "service": "circuit-breaker", "providers": up})

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
