"""The edge: what every request passes before a handler sees it, and every answer on its way out.

A page in the user's browser must not drive this server: the Host header must name this machine (against DNS rebinding),
and an Origin, where there is one, must be this machine's or one that was allowed.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import orjson
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import BaseHTTPResponse

from engine.kernel.bus import Bus
from engine.kernel.errors import CircuitBreakerError, Forbidden, InvalidInput, NotFound, TooLarge
from engine.kernel.world import World
from server.errors import bug, openai_body, plain_body, retry_after, status_of

MOST_BODY_BYTES = 20_000_000
log = logging.getLogger("server")

_ALLOWED_HEADERS = ", ".join(
    [
        *(
            "authorization",
            "content-type",
            "accept",
            "x-api-key",
            "x-request-id",
            "anthropic-version",
            "anthropic-beta",
        ),
        *("openai-organization", "openai-project"),
        *(
            f"x-stainless-{name}"  # what OpenAI's SDKs send from a browser
            for name in (
                *("arch", "async", "custom-poll-interval", "helper-method", "lang", "os", "package-version"),
                *("poll-helper", "retry-count", "runtime", "runtime-version", "timeout"),
            )
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class RequestServed:
    """Published when a request was answered; of a stream, when it began. `duration_s` until then."""

    id: str
    client: str
    method: str
    path: str
    status: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Edge:
    """`origins` are those allowed besides this machine's: `https://example.org`."""

    world: World
    bus: Bus
    origins: Collection[str] = ()

    def guard(self, app: Sanic[Any, Any]) -> None:
        app.register_middleware(self._enter, "request")
        app.register_middleware(self._leave, "response")
        app.error_handler.add(Exception, self._fail)

    async def _enter(self, request: Request) -> HTTPResponse | None:
        request.ctx.id = self.world.new_id()
        request.ctx.started = self.world.monotonic()
        if not is_this_machine(_host(request.headers.get("host", ""))):
            raise Forbidden(
                "The Host header does not name this machine.",
                why="A web page may be trying to reach it under another name.",
                fix="Use http://127.0.0.1 or http://localhost.",
            )
        origin = request.headers.get("origin")
        if origin and not self._may(origin):
            raise Forbidden(
                f"Pages of {origin[:200]} may not use this server.",
                fix="Serve the page from this machine.",
                details={"origin": origin[:200]},
            )
        if request.method == "OPTIONS":
            return HTTPResponse(status=204)
        return None

    def _may(self, origin: str) -> bool:
        parts = urlsplit(origin)
        return origin in self.origins or (parts.scheme in ("http", "https") and is_this_machine(parts.hostname or ""))

    async def _leave(self, request: Request, response: BaseHTTPResponse) -> None:
        response.headers["x-request-id"] = request.ctx.id
        response.headers["x-content-type-options"] = "nosniff"
        if origin := request.headers.get("origin"):
            if self._may(origin):
                response.headers["access-control-allow-origin"] = origin
                response.headers["vary"] = "origin"
            if request.method == "OPTIONS":
                response.headers["access-control-allow-methods"] = "GET, POST, DELETE, OPTIONS"
                response.headers["access-control-allow-headers"] = _ALLOWED_HEADERS
                response.headers["access-control-max-age"] = "600"
        client = request.headers.get("user-agent", "").split(" ")[0][:40]
        taken = self.world.monotonic() - request.ctx.started
        served = RequestServed(request.ctx.id, client, request.method, request.path, response.status, taken)
        self.bus.publish([served])
        facts = {"method": request.method, "path": request.path, "status": response.status, "ms": round(taken * 1e3, 1)}
        log.info("request", extra={"facts": {"request": request.ctx.id, **facts}})

    async def _fail(self, request: Request, error: Exception) -> HTTPResponse:
        if not hasattr(request.ctx, "id"):
            request.ctx.id, request.ctx.started = self.world.new_id(), self.world.monotonic()
        known = _known(error, request)
        if known is None:
            log.error("a bug", exc_info=error, extra={"facts": {"request": request.ctx.id}})
            known = bug(request.ctx.id)
        shape = openai_body if request.path.startswith("/v1/") else plain_body
        status = error.status_code if isinstance(error, SanicException) else status_of(known)
        return json_response({"error": shape(known)}, status=status, headers=retry_after(known))


def _known(error: Exception, request: Request) -> CircuitBreakerError | None:
    """The error in our words; None for a bug."""
    if isinstance(error, CircuitBreakerError):
        return error
    if not isinstance(error, SanicException):
        return None
    what = f"{request.method} {request.path[:200]}"
    match error.status_code:
        case 404:
            return NotFound(f"{what}: there is nothing here.", fix="See /v1/models and /graphql.")
        case 405:
            return InvalidInput(f"{what}: not with this method.")
        case 413:
            limit = f"At most {MOST_BODY_BYTES:,} bytes are taken."
            return TooLarge("The request is too large.", why=limit, details={"limit": MOST_BODY_BYTES})
        case status if 400 <= status < 500:
            return InvalidInput(f"{what}: {error}")
        case _:
            return None


def is_this_machine(host: str) -> bool:
    """Whether a host name or address means the loopback of this machine."""
    if host.casefold() == "localhost" or host.casefold().endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    """The host of a Host header, without its port."""
    return urlsplit(f"//{header}").hostname or "" if header.isascii() and header.isprintable() else ""


def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object, whatever its content type says. Raises InvalidInput with line and column."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "The request is not valid JSON.",
            why=f"{error.msg} (line {error.lineno}, column {error.colno}).",
            fix="Correct it and send it again.",
            details={"line": error.lineno, "column": error.colno},
        ) from None
    if not isinstance(body, dict):
        raise InvalidInput("The request is not a JSON object.", fix='Send {"...": ...}.')
    return body


def json_response(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HTTPResponse:
    return HTTPResponse(orjson.dumps(body, default=str), status, headers, "application/json")
