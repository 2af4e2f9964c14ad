"""A small HTTP/1.1 server on a free loopback port, in its own thread, that misbehaves on request.

Subclasses answer; this file has the protocol, the script of faults and the records. Nothing sleeps: a stalled answer
waits for the client to leave or for `release`, and tests wait for what they want to see with `until`.
"""

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

PATIENCE_S = 20.0  # for what must happen; a test that waits this long has failed


@dataclass(frozen=True)
class Status:
    """Answer with this status. `body` is sent as JSON, or as it is when it is bytes; None is the server's own error."""

    code: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stall:
    """Fall silent: before the first byte (None), or after the headers and so many chunks."""

    after: int | None = None


@dataclass(frozen=True)
class BreakWith:
    """Send an error inside the stream after so many chunks, in the server's own form."""

    error: Any
    after: int = 1


@dataclass(frozen=True)
class Drop:
    """Cut the connection after so many chunks."""

    after: int = 1


@dataclass(frozen=True)
class EndEarly:
    """End the answer properly, but after so many chunks: a stream without its end."""

    after: int = 1


@dataclass(frozen=True)
class Garbage:
    """Send these bytes after so many chunks, then go on."""

    data: bytes = b"<html>proxy error</html>\n\n"
    after: int = 1


@dataclass(frozen=True)
class Drip:
    """Send the right answer, so many bytes at a time."""

    size: int = 1


@dataclass(frozen=True)
class Raw:
    """Send exactly these pieces as the body of a 200, each as one chunk."""

    pieces: tuple[bytes, ...]
    content_type: str


@dataclass(frozen=True)
class Endless:
    """Send one line that never ends, until the client leaves."""


Behaviour = Status | Stall | BreakWith | Drop | EndEarly | Garbage | Drip | Raw | Endless


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


def words(text: str) -> list[str]:
    """`text` in the pieces that a model could send it in."""
    return re.findall(r"\S+\s*|\s+", text)


class Gone(Exception):
    """The client left."""


class Answer:
    """One answer under way. Every wait in it ends when the client leaves."""

    def __init__(self, server: "LoopbackServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._writer = server, writer
        self._left = asyncio.ensure_future(reader.read(1))
        self.keep_alive = True

    async def whole(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/plain; charset=utf-8" if isinstance(body, bytes) else "application/json; charset=utf-8"
        self._head(status, {"content-type": kind, "content-length": str(len(data)), **(headers or {})})
        await self._write(data)

    async def stream(
        self, chunks: list[bytes], content_type: str, fault: Behaviour | None, broken: bytes = b""
    ) -> None:
        """Send `chunks` as a chunked body, with the fault in it; `broken` is what BreakWith says."""
        self._head(200, {"content-type": content_type, "transfer-encoding": "chunked"})
        match fault:
            case Stall(after=int(after)) | Drop(after=after) | EndEarly(after=after):
                chunks = chunks[:after]
            case BreakWith(after=after):
                chunks = [*chunks[:after], broken]
            case Garbage(data=data, after=after):
                chunks = [*chunks[:after], data, *chunks[after:]]
            case Drip(size=size):
                whole = b"".join(chunks)
                chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
            case Raw(pieces=pieces):
                chunks = list(pieces)
        for chunk in chunks:
            await self._write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        while isinstance(fault, Endless):
            await self._write(b"10000\r\n%s\r\n" % (b"x" * 0x10000))
        if isinstance(fault, Stall):
            await self.stall()
        if isinstance(fault, Drop):
            self.keep_alive = False
            self._writer.transport.abort()
            return
        await self._write(b"0\r\n\r\n")

    async def stall(self) -> None:
        """Wait for `release`, or for the client to leave."""
        self._server.note_stall()
        await self._or_gone(asyncio.ensure_future(self._server.released.wait()))

    async def over(self) -> bytes | None:
        """Stop watching. Gives the first byte of the next request if it came already, None when the client left."""
        self._left.cancel()
        await asyncio.wait({self._left})
        if self._left.cancelled():
            return b""
        return None if self._left.exception() else self._left.result() or None

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
        self._writer.write("\r\n".join(lines).encode("latin-1"))

    async def _write(self, data: bytes) -> None:
        if self._left.done() and (self._left.exception() or not self._left.result()):
            raise Gone
        self._writer.write(data)
        await self._or_gone(asyncio.ensure_future(self._writer.drain()))

    async def _or_gone(self, work: "asyncio.Future[Any]") -> None:
        await asyncio.wait({work, self._left}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            raise Gone
        await work


class LoopbackServer:
    """Use as a context manager. `script` has the behaviours of the next scripted requests, in order."""

    def __init__(self) -> None:
        self.script: deque[Behaviour] = deque()
        self.requests: list[Received] = []
        self.disconnects = 0  # clients that left before their answer was whole
        self.stalled = 0
        self.url = ""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def answer(self, request: Received, answer: Answer) -> None:
        raise NotImplementedError

    def scripted(self) -> Behaviour | None:
        """The behaviour for this request, None to behave."""
        return self.script.popleft() if self.script else None

    def note_stall(self) -> None:
        self._note(lambda: setattr(self, "stalled", self.stalled + 1))

    def release(self) -> None:
        """Let the stalled answers go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.released.set)

    def wait_until(self, seen: Callable[[Self], bool]) -> None:
        """Block until `seen(self)`; fails after a long while."""
        with self._changed:
            assert self._changed.wait_for(lambda: seen(self), PATIENCE_S), "the server never saw it"

    async def until(self, seen: Callable[[Self], bool]) -> None:
        await asyncio.to_thread(self.wait_until, seen)

    def __enter__(self) -> Self:
        self.url = ""  # that of an earlier `with` is gone
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        self.wait_until(lambda server: bool(server.url))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE_S)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.released, self._ended = asyncio.Event(), asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self._note(lambda: setattr(self, "url", f"http://{host}:{port}"))
        await self._ended.wait()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                early: bytes | None = b""
                while early is not None:
                    early = await self._exchange(early, reader, writer)
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, early: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """Answer one request. Gives what came early of the next one, None when the connection is over."""
        head = (early + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        received = Received(method, path, headers, raw)
        self._note(lambda: self.requests.append(received))
        answer = Answer(self, reader, writer)
        try:
            await self.answer(received, answer)
        except (Gone, ConnectionError):
            self._note(lambda: setattr(self, "disconnects", self.disconnects + 1))
            answer.keep_alive = False
        came = await answer.over()
        return came if answer.keep_alive else None
