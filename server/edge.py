"""The edge: what every request passes before a handler sees it, and every answer on its way out."""

import json
import logging
from collections.abc import Collection, Iterator
from typing import Any

import orjson
from sanic import Blueprint, HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import BaseHTTPResponse

from engine.kernel.bus import Bus
from engine.kernel.errors import (
    CircuitBreakerError,
    Forbidden,
    InvalidInput,
    NoModelFits,
    NotFound,
    ProviderError,
    TooLarge,
    shown,
)
from engine.kernel.logs import request_id
from engine.kernel.records import record
from engine.kernel.world import World
from server.errors import body_for, bug, retry_after
from server.hosts import may, names_this_machine
from server.packed import unpacked
from server.protocol import Limits, agent_of

log = logging.getLogger("server")
ERROR_FORMAT = "text"  # of what is said to who has left; all other errors are put into words here
_LOOKED_THROUGH_BYTES = 1_000_000

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


@record
class RequestServed:
    """Published when a request was answered; of a stream, when it began. `duration_s` until then."""

    id: str
    client: str
    method: str
    path: str
    status: int
    duration_s: float


@record
class Edge:
    """`origins` are those allowed besides this machine's: `https://example.org`."""

    world: World
    bus: Bus
    limits: Limits = Limits()
    origins: Collection[str] = ()

    def guard(self, app: Sanic[Any, Any]) -> None:
        app.register_middleware(self._leave, "response")
        app.error_handler.add(Exception, self._fail)

    def admit(self, request: Request) -> None:
        """Raises Forbidden for a request that a foreign page may have caused; see `server.hosts`. Called as soon as
        the head is there.

        A page's plain GET (an image, a script) carries no Origin; browsers mark it in Sec-Fetch-Site. Links may be
        followed: a page learns nothing from that.
        """
        if not names_this_machine(request.headers.get("host", "")):
            raise Forbidden(
                "The Host header does not name this machine.",
                why="A web page may be trying to reach it under another name.",
                fix="Use http://127.0.0.1 or http://localhost.",
            )
        origin = request.headers.get("origin")
        foreign = request.headers.get("sec-fetch-site") == "cross-site"
        if not may(origin, self.origins) if origin else foreign and request.headers.get("sec-fetch-mode") != "navigate":
            shown = origin[:200] if origin else "another site"
            raise Forbidden(
                f"Pages of {shown} may not use this server.",
                fix="Serve the page from this machine.",
                details={"origin": shown},
            )
        self._begin(request)
        request.ctx.admitted = True

    def _begin(self, request: Request) -> None:
        if not hasattr(request.ctx, "id"):
            request.ctx.id, request.ctx.started = self.world.new_id(), self.world.monotonic()
            request_id.set(request.ctx.id)

    async def _leave(self, request: Request, response: BaseHTTPResponse) -> None:
        response.headers["x-request-id"] = request.ctx.id
        response.headers["x-content-type-options"] = "nosniff"
        if origin := request.headers.get("origin"):
            response.headers["vary"] = "origin"
            if may(origin, self.origins):
                response.headers["access-control-allow-origin"] = origin
                response.headers["access-control-expose-headers"] = "*"
            if may(origin, self.origins) and request.method == "OPTIONS":
                response.headers["access-control-allow-methods"] = "GET, POST, DELETE, OPTIONS"
                response.headers["access-control-allow-headers"] = _ALLOWED_HEADERS
                response.headers["access-control-max-age"] = "600"
        client = agent_of(request).split(" ")[0][:40]
        taken = self.world.monotonic() - request.ctx.started
        served = RequestServed(request.ctx.id, client, request.method, request.path, response.status, taken)
        self.bus.publish([served])
        facts = {"method": request.method, "path": request.path, "status": response.status, "ms": round(taken * 1e3, 1)}
        log.info("request", extra={"facts": facts})

    async def _fail(self, request: Request, error: Exception) -> HTTPResponse:
        if request.method == "OPTIONS" and hasattr(request.ctx, "admitted"):
            return HTTPResponse(status=204)  # no route has this method: it asks what a page may do
        self._begin(request)
        known = self._known(error, request)
        status, body = body_for(request.path, known)
        headers = retry_after(known)
        if isinstance(known, ProviderError | NoModelFits):
            headers["x-should-retry"] = "false"  # that was tried here already; clients of OpenAI's SDKs heed it
        if isinstance(error, SanicException):
            status, headers = error.status_code, headers | error.headers
        return json_response(body, status=status, headers=headers)

    def _known(self, error: Exception, request: Request) -> CircuitBreakerError:
        """The error in our words; of a bug, only where to look."""
        if isinstance(error, CircuitBreakerError):
            return error
        what = f"{request.method} {request.path[:200]}"
        match error.status_code if isinstance(error, SanicException) else 500:
            case 404:
                return NotFound(f"{what}: there is nothing here.", fix="See /v1/models and /graphql.")
            case 405:
                return InvalidInput(f"{what}: not with this method.")
            case 413:
                limit = f"At most {self.limits.body_bytes:,} bytes are taken."
                return TooLarge("The request is too large.", why=limit, details={"limit": self.limits.body_bytes})
            case status if 400 <= status < 500:
                return InvalidInput(f"The request is not right: {str(error)[:300]}")
            case _:
                log.error("a bug", exc_info=error)
                return bug(request.ctx.id)


class Face(Blueprint):
    """Routes under one prefix. What becomes of their errors is the edge's to say; Sanic would read and parse the source
    of each handler to find out."""

    def add_route(self, handler: Any, uri: str, **given: Any) -> Any:  # type: ignore[override]
        return super().add_route(handler, uri, error_format=ERROR_FORMAT, **given)


def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object, whatever its content type says. Raises InvalidInput, and TooLarge for one that is
    packed and grows too large."""
    data = request.body
    if coding := request.headers.get("content-encoding"):
        data = unpacked(data, coding, request.app.ctx.limits.body_bytes)
    body = parse_json(data)
    if not isinstance(body, dict):
        raise InvalidInput("The request is not a JSON object.", fix='Send {"...": ...}.')
    return body


def parse_json(data: bytes | str) -> Any:
    """`data` as JSON. Raises InvalidInput with line and column, or naming the key that comes twice: which of its values
    was meant cannot be known. (Not looked for in megabytes.)"""
    try:
        parsed = orjson.loads(data)
        # what is written as we would write it has nothing twice: that is how nearly all clients write
        if len(data) <= _LOOKED_THROUGH_BYTES and orjson.dumps(parsed) != data:
            json.loads(data, object_pairs_hook=_without_repetition)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "The request is not valid JSON.",
            why=f"{error.msg} (line {error.lineno}, column {error.colno}).",
            fix="Correct it and send it again.",
            details={"line": error.lineno, "column": error.colno},
        ) from None
    except RecursionError:
        raise InvalidInput("The request is nested too deep.", fix="Send it flatter.") from None
    return parsed


def _without_repetition(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"The key {shown(twice)} comes twice.", fix="Leave one out.", details={"path": twice})


class _Whole(HTTPResponse):
    """Sanic goes through each header letter by letter for line ends; most have none that one look would not see."""

    __slots__ = ()

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        if not all(str(value).isprintable() for value in self.headers.values()):
            yield from super().processed_headers
            return
        self.headers.setdefault("content-type", self.content_type)
        for name, value in self.headers.items():
            yield name.encode("ascii"), str(value).encode(errors="surrogateescape")


def json_response(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HTTPResponse:
    return _Whole(orjson.dumps(body, default=str), status, headers, "application/json")
