"""How requests are read: strictly, and within a time.

Sanic reads leniently: folded header lines, spaces before colons, bare line feeds, chunks that do not end where they
say; and its request timeout begins anew with every byte. What two programs could read differently (RFC 9112, section
11.2) is refused here with 400 and a closed connection, and who may ask at all is settled before a body is taken.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sanic import Request
from sanic.exceptions import BadRequest, RequestCancelled
from sanic.http import Http
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.signals import SignalRouter


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take: seconds for a request's head, then for its body; bytes; seconds to finish when the server
    stops; requests that begin in one turn of the loop. A streamed answer begins without the headers that name the model
    after `headers_s`, and says every `keep_alive_s` that it is still waiting."""

    head_s: float = 10.0
    body_s: float = 60.0
    body_bytes: int = 20_000_000
    grace_s: float = 2.0
    headers_s: float = 1.5
    requests_a_turn: int = 4
    keep_alive_s: float = 5.0


class TooSlow(BadRequest):
    status_code = 408


_REQUEST_LINE = re.compile(rb"[A-Z]{1,20} [/*][!-~]* HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_ONCE = {b"host", b"origin", b"content-length", b"transfer-encoding", b"content-type", b"upgrade"}
_CHUNK_LINE = re.compile(rb"\r\n[0-9A-Fa-f]{1,8}(;[\t\x20-\x7e]*)?")
_MOST_CHUNK_LINE = 64


def agent_of(request: Request) -> str:
    """What a client calls itself. Bytes that are no text become question marks: they could not be stored."""
    return str(request.headers.get("user-agent", ""))[:200].encode("utf-8", "replace").decode()


def check_head(head: bytes) -> None:
    """Raises BadRequest for a request's head that is not as RFC 9112 wants it or leaves the body's length in doubt."""
    first, *lines = head.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(first):
        raise BadRequest("The request line is not right.")
    seen: dict[bytes, bytes] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if not found:
            raise BadRequest("A header line is not right.")
        name, value = found[1].lower(), found[2].strip(b" \t")
        if name in seen and name in _ONCE:
            raise BadRequest(f"The header {name.decode()} comes twice.")
        seen[name] = value
    length, encoding = seen.get(b"content-length"), seen.get(b"transfer-encoding")
    if b"host" not in seen and first.endswith(b"1.1"):
        raise BadRequest("There is no Host header.")
    if length is not None and encoding is not None:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other.")
    if length is not None and not re.fullmatch(rb"[0-9]{1,15}", length):
        raise BadRequest("Content-Length is not a number.")
    if encoding is not None and (encoding != b"chunked" or first.endswith(b"1.0")):
        raise BadRequest("The transfer encoding is not `chunked`.")


class Signals(SignalRouter):
    """Sanic looks for listeners ten times in each request, and raises and catches an error when it finds none. Nobody
    here listens to requests."""

    async def dispatch(self, event: str | Enum, **options: Any) -> Any:
        if str(event).startswith("http."):
            return None
        return await super().dispatch(event, **options)


class StrictHttp(Http):
    """Reads requests for `Protocol`. The app's context has `limits` and `edge`."""

    __slots__ = ("_until",)

    protocol: Any
    request_body: Any  # True, "chunked" or None

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self._receive_more = self._receive_in_time
        self.dispatch = _nobody_listens  # type: ignore[assignment]
        self._until: float | None = None

    def init_for_request(self) -> None:
        super().init_for_request()  # type: ignore[no-untyped-call]
        self._until = None

    async def _receive_in_time(self) -> None:
        """Wait for bytes, until the time that there is for the head or the body. What is there already is not waited
        for, and takes no timer."""
        if self._until is None:
            await self.protocol.receive_more()
            return
        try:
            async with asyncio.timeout_at(self._until):
                await self.protocol.receive_more()
        except TimeoutError:
            raise TooSlow("It took too long to send it.") from None

    async def http1_request_header(self) -> None:
        now = asyncio.get_running_loop().time
        self._until = now() + self.protocol.limits.head_s
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        self._until = now() + self.protocol.limits.body_s
        try:
            check_head(self.request.head)
            self.protocol.app.ctx.edge.admit(self.request)
        except Exception:
            self.request_body = None  # it is not waited for
            raise
        await self.protocol.app.ctx.turns.mine()

    async def read(self) -> bytes | None:
        try:
            if self.request_body == "chunked" and self.request_bytes_left == 0:
                await self._check_chunk_line()
            data: bytes | None = await super().read()
        except BadRequest:
            self.request_body, self.keep_alive = None, False  # what is left cannot be told from a next request
            raise
        return data

    async def _check_chunk_line(self) -> None:
        """The end of the chunk before and the size of the next one, which Sanic looks at less closely."""
        if self.expecting_continue:
            self.expecting_continue = False
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while (end := self.recv_buffer.find(b"\r\n", 2)) < 0 and len(self.recv_buffer) <= _MOST_CHUNK_LINE:
            await self._receive_more()
        if not _CHUNK_LINE.fullmatch(bytes(self.recv_buffer[: max(end, 0)])):
            raise BadRequest("A chunk is not right.")


class Protocol(WebSocketProtocol):
    """One connection."""

    HTTP_CLASS = StrictHttp

    @property
    def limits(self) -> Limits:
        limits: Limits = self.app.ctx.limits
        return limits

    async def send(self, data: bytes) -> None:
        # Sanic puts an empty `alt-svc` in each head and takes it out only when it rewrites its own source (TOUCHUP)
        if data.startswith(b"HTTP/1.1 "):
            data = data.replace(b"alt-svc: \r\n", b"", 1)
        if not self._can_write.is_set():
            await self._can_write.wait()
        if self.transport is None or self.transport.is_closing():
            raise RequestCancelled
        self.transport.write(data)
        self._time = asyncio.get_running_loop().time()

    def finish(self) -> "asyncio.Task[None] | None":
        """Take no more requests. Gives the task of the one that is being answered."""
        task: asyncio.Task[None] | None = self._task
        self.close_if_idle()  # type: ignore[no-untyped-call]
        if self.http is not None:
            self.http.keep_alive = False
        return task


async def _nobody_listens(*_: object, **__: object) -> None:
    """Sanic's signals of a connection, which would be looked for in vain."""
