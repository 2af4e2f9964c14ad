"""Connections to providers: HTTP/1.1 on asyncio, with a pool that costs the same whether it is empty or full.

Parsing is httptools', which Sanic uses too; TLS is asyncio's. Nothing is followed, decoded or remembered here, and no
object is made of a request: it goes out as the bytes that it is. RFC 9112. docs/decisions/httpx.md says why this is no
client of others.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import httptools

IDLE_S = 30.0
DRAIN_S = 1.0
MOST_IDLE = 64
MOST_HEAD_BYTES = 64 * 1024
_HIGH_WATER = 256 * 1024


class Origin(NamedTuple):
    """Whom a connection is to. `at` is the IP address that is connected to, where it was looked up before."""

    scheme: str
    host: str
    port: int
    at: str = ""


class TransportError(Exception):
    """An exchange that did not come to its end."""


class Unreachable(TransportError):
    """There was no connection. The system's error is its cause."""


class ConnectTooSlow(TransportError):
    """There was no connection in time."""


class ReadTooSlow(TransportError):
    """Nothing came in time."""


class BrokeOff(TransportError):
    """The connection ended before the answer was whole, or what came is no HTTP."""


class Transport:
    """`connect_s` bounds a new connection, `first_s` the time from the request to the first byte of the answer's body,
    `idle_s` that between two pieces of it."""

    def __init__(
        self, context: ssl.SSLContext | None, connect_s: float, first_s: float = 60.0, idle_s: float = 60.0
    ) -> None:
        self._context, self._connect_s, self._first_s, self._idle_s = context, connect_s, first_s, idle_s
        self._idle: dict[Origin, deque[tuple[float, _Connection]]] = {}
        self._closed = False

    async def ask(self, origin: Origin, request: bytes) -> "Answer":
        """Send a request and wait for the head of its answer. Raises TransportError."""
        until = asyncio.get_running_loop().time() + self._first_s
        idle = self._idle_one(origin)
        connection = idle or await self._connect(origin)
        try:
            await connection.begun(request, until)
        except TransportError:
            if connection is not idle or not connection.unheard:
                raise
            # servers close idle connections, also just when they are used again (RFC 9112, 9.3.1; RFC 9110, 9.2.2)
            connection = await self._connect(origin)
            await connection.begun(request, until)
        return Answer(self, origin, connection, self._idle_s)

    def close(self) -> None:
        self._closed = True
        for waiting in self._idle.values():
            for _, connection in waiting:
                connection.abort()
        self._idle.clear()

    def give_back(self, origin: Origin, connection: "_Connection") -> None:
        """An answer was read to its end, or was given up."""
        waiting = self._idle.get(origin)
        if waiting is None:
            waiting = self._idle[origin] = deque()
        if not connection.reusable or self._closed or len(waiting) >= MOST_IDLE:
            connection.abort()
            return
        waiting.append((asyncio.get_running_loop().time(), connection))
        connection.rest()

    def _idle_one(self, origin: Origin) -> "_Connection | None":
        """The connection that was used last; those that are old or were closed meanwhile are thrown away."""
        waiting, now = self._idle.get(origin), asyncio.get_running_loop().time()
        while waiting and now - waiting[0][0] > IDLE_S:
            waiting.popleft()[1].abort()
        while waiting:
            _, connection = waiting.pop()
            if connection.wake():
                return connection
        return None

    async def _connect(self, origin: Origin) -> "_Connection":
        secure = {"ssl": self._context, "server_hostname": origin.host} if origin.scheme == "https" else {}
        try:
            async with asyncio.timeout(self._connect_s):
                _, made = await asyncio.get_running_loop().create_connection(
                    _Connection, origin.at or origin.host, origin.port, happy_eyeballs_delay=0.25, **cast("Any", secure)
                )
        except TimeoutError as error:
            raise ConnectTooSlow(f"no connection within {self._connect_s:g} s") from error
        except OSError as error:
            raise Unreachable(str(error)) from error
        return made


class Answer:
    """An answer that has begun. The names in `headers` are in small letters; of one that comes twice it is the last.
    Closing it before its end closes the connection."""

    def __init__(self, transport: Transport, origin: Origin, connection: "_Connection", idle_s: float) -> None:
        self._transport, self._origin, self._idle_s = transport, origin, idle_s
        self._connection: _Connection | None = connection
        self.status, self.headers = connection.status, connection.headers

    async def more(self) -> bytes:
        """What has come of the body, all of it at once; empty at its end. Raises TransportError."""
        return b"" if self._connection is None else await self._connection.next(self._idle_s)

    def close(self) -> None:
        if self._connection is not None:
            self._transport.give_back(self._origin, self._connection)
            self._connection = None

    def release(self) -> None:
        """Nothing more is wanted of an answer that has ended but for its framing: the connection is used again if that
        comes within a moment. Nobody waits for it."""
        if self._connection is not None:
            self._connection.drain(partial(self._transport.give_back, self._origin, self._connection))
            self._connection = None


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._resting = False
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status, self.headers = 0, dict[bytes, bytes]()
        self._received: list[bytes] = []
        self._size = self._head_bytes = 0
        self._started = self._complete = self._stays = self._paused = False
        self._ended_by_close = self._surplus = False
        self._broken: Exception | None = None
        self.unheard = False  # closed by the other side before a byte of an answer
        self._drained: Callable[[], None] | None = None

    # -- what the transport does ------------------------------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        alive = self._transport is not None and not self._transport.is_closing() and self._broken is None
        return alive and self._complete and self._stays and not self._paused

    async def begun(self, request: bytes, until: float) -> None:
        """Send a request and wait for the head of its answer. Of the body something must be there by `until`. The
        connection is closed when that fails."""
        assert self._transport is not None
        self._until = until
        try:
            self._transport.write(request)
            while not self._started:
                await self._more()
        except BaseException:
            self.abort()
            raise

    async def next(self, idle_s: float) -> bytes:
        """What has come of the body, all of it at once; empty at its end. The next piece has `idle_s` to come."""
        while not self._received and not self._complete:
            await self._more()
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._size = 0
        self._until = self._loop.time() + idle_s
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def drain(self, drained: Callable[[], None]) -> None:
        """Throw away what is left of the answer, for so long; then `drained`."""
        if self._complete or self._paused or self._broken is not None:
            drained()
            return
        self._received.clear()
        self._quiet()
        self._drained, self._alarm = drained, self._loop.call_later(DRAIN_S, self.abort)

    def rest(self) -> None:
        self._resting = True

    def wake(self) -> bool:
        """Whether it can be used again."""
        if self._transport is None or self._transport.is_closing() or self._broken is not None:
            return False
        self._resting = False
        self._begin()
        return True

    def abort(self) -> None:
        self._quiet()
        if self._transport is not None:
            self._transport.abort()

    async def _more(self) -> None:
        if self._broken is not None:
            raise self._broken
        self._waiter = self._loop.create_future()
        if self._alarm is not None and self._alarm.when() > self._until:
            self._quiet()
        if self._alarm is None:
            self._ring()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _ring(self) -> None:
        """One alarm goes with a connection, also while it rests, and is set anew only when it rings: setting one for
        each piece of an answer would cost more than reading the piece."""
        self._alarm = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._until:
            self._alarm = self._loop.call_at(self._until, self._ring)
        else:
            self._waiter.set_exception(ReadTooSlow("nothing came in time"))

    def _quiet(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- what the loop does -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._resting:  # nothing was asked: what comes belongs to no answer
            self._broken = BrokeOff("it spoke without being asked")
            self.abort()
            return
        try:
            before = self._size
            self._parser.feed_data(data)
            # a head, what follows the last chunk, or anything else that is no piece of the body
            self._head_bytes = self._head_bytes + len(data) if self._size == before else 0
            if self._head_bytes > MOST_HEAD_BYTES:
                raise httptools.HttpParserError("its head does not end")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._broken = BrokeOff(f"that is no HTTP: {error}")
            self.abort()
        if self._size > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not self._complete and self._broken is None:
            failure = BrokeOff(str(error))
            failure.__cause__ = error
            self._closed_by_peer(failure)
        self._ended()

    def _ended(self) -> None:
        if self._started and self._ended_by_close and self._broken is None:
            self._complete = True
        elif not self._complete and self._broken is None:
            self._closed_by_peer(BrokeOff("it closed the connection before its answer was whole"))
        self._wake()

    def _closed_by_peer(self, failure: Exception) -> None:
        self._broken, self.unheard = failure, not self._started and not self._head_bytes

    # -- what the parser says ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:  # a second answer to one request
            self._stays, self._surplus = False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._started:  # else it is a trailer, which nobody reads
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._surplus:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:  # an interim answer: the real one follows
            self.headers = {}
            return
        chunked = self.headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        self._ended_by_close = not chunked and b"content-length" not in self.headers
        self._started = True

    def on_body(self, body: bytes) -> None:
        if not self._surplus and self._drained is None:
            self._received.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        if self._started and not self._surplus:
            self._complete, self._stays = True, bool(self._parser.should_keep_alive())  # known only now
            if self._drained is not None:
                self._quiet()  # else it would be closed in the middle of what is asked of it next
                self._loop.call_soon(self._drained)  # when what came with it is known too
