"""Connections: answers in any pieces, connections that are used again, and peers that break off or speak no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from engine.llm.transport import (
    MOST_IDLE,
    Answer,
    BrokeOff,
    Origin,
    ReadTooSlow,
    Transport,
    TransportError,
    Unreachable,
)
from tests.support import turns_of_the_loop

REQUEST = b"GET /path?q=1 HTTP/1.1\r\nhost: x\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nX-Two: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN


class Peer:
    """Answers each request on a connection with the next of its answers: pieces, and None to close."""

    def __init__(self) -> None:
        self.answers: list[list[bytes | None]] = []
        self.heads: list[bytes] = []
        self.connections = self.open = 0
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while head := await _head(reader):
                self.heads.append(head)
                for piece in self.answers.pop(0):
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            self.gone.set()
            writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, Origin, Transport]]:
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    transport = Transport(None, 2.0)
    try:
        yield made, Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1]), transport
    finally:
        transport.close()
        server.close()


async def whole(transport: Transport, origin: Origin) -> tuple[int, bytes]:
    answer = await transport.ask(origin, REQUEST)
    pieces = []
    while piece := await answer.more():
        pieces.append(piece)
    answer.close()
    return answer.status, b"".join(pieces)


@pytest.mark.parametrize("said", [PLAIN, CHUNKED, INTERIM], ids=["length", "chunks", "interim"])
async def test_an_answer_split_anywhere_is_the_same_and_its_connection_is_used_again(said: bytes) -> None:
    async with peer() as (made, origin, transport):
        for place in range(1, len(said)):
            made.answers.append([said[:place], said[place:]])
            assert await whole(transport, origin) == (200, b"hello")
        assert made.connections == 1
    assert made.heads[0] == REQUEST


@pytest.mark.parametrize("said", [PLAIN, CHUNKED], ids=["length", "chunks"])
async def test_an_answer_cut_anywhere_is_an_error(said: bytes) -> None:
    async with peer() as (made, origin, transport):
        for place in range(len(said)):
            made.answers.append([said[:place], None])
            with pytest.raises(TransportError):
                await whole(transport, origin)
        made.answers.append([said])  # the control
        assert await whole(transport, origin) == (200, b"hello")


async def test_a_connection_that_closes_as_it_is_used_again_is_replaced_once() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN], [None], [PLAIN]]
        assert await whole(transport, origin) == (200, b"hello")
        assert await whole(transport, origin) == (200, b"hello")
        assert made.connections == 2
        made.answers = [[None], [None], [PLAIN]]
        with pytest.raises(TransportError):
            await whole(transport, origin)
        assert made.connections == 3


@pytest.mark.parametrize("said", [[b"H", None], [PLAIN[:20], None], [b"220 smtp ready\r\n"]])
async def test_a_connection_that_closes_after_a_byte_of_an_answer_is_not_asked_again(said: list[bytes | None]) -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN], said, [PLAIN]]
        assert await whole(transport, origin) == (200, b"hello")
        with pytest.raises(TransportError):
            await whole(transport, origin)
        assert (made.connections, len(made.answers)) == (1, 1)


async def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[UNTIL_CLOSED, None], [UNTIL_CLOSED, None]]
        assert await whole(transport, origin) == (200, b"hello")
        assert await whole(transport, origin) == (200, b"hello")
        assert made.connections == 2


async def test_the_names_of_headers_are_in_small_letters() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN]]
        answer = await transport.ask(origin, REQUEST)
        assert answer.headers == {b"content-length": b"5", b"x-two": b"b"}
        answer.close()


@pytest.mark.parametrize(
    "said", [b"220 smtp ready\r\n", b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000, b"\x16\x03\x01\x00\x05"]
)
async def test_what_is_no_http_is_refused(said: bytes) -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[said]]
        with pytest.raises(BrokeOff):
            await whole(transport, origin)


async def test_who_goes_over_to_another_protocol_is_not_asked_again() -> None:
    async with peer() as (made, origin, transport):
        to_another = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        made.answers = [[PLAIN], [to_another], [PLAIN]]
        assert await whole(transport, origin) == (200, b"hello")
        with pytest.raises(BrokeOff):
            await whole(transport, origin)
        assert made.connections == 1


async def test_who_speaks_without_being_asked_is_not_believed() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"], [PLAIN]]
        assert await whole(transport, origin) == (200, b"hello")
        await asyncio.wait_for(made.gone.wait(), 5)
        assert await whole(transport, origin) == (200, b"hello")
        assert made.connections == 2


async def test_closing_an_answer_closes_the_connection() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", b"y"]]
        answer = await transport.ask(origin, REQUEST)
        assert await answer.more()
        assert made.open == 1
        answer.close()
        await asyncio.wait_for(made.gone.wait(), 5)


async def test_a_burst_leaves_no_more_than_some_connections() -> None:
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN] for _ in range(MOST_IDLE + 20)]
        found = await asyncio.gather(*(whole(transport, origin) for _ in range(MOST_IDLE + 20)))
        assert set(found) == {(200, b"hello")}
        await turns_of_the_loop(lambda: made.open <= MOST_IDLE)
        made.answers = [[PLAIN]]
        before = made.connections
        await whole(transport, origin)
        assert made.connections == before


async def test_a_body_that_nobody_reads_holds_its_sender_back() -> None:
    async with peer() as (made, origin, transport):
        sent, piece = 0, b"x" * 65536
        made.answers = [[b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n", *([piece] * 1024)]]
        answer = await transport.ask(origin, REQUEST)
        for _ in range(2000):
            await asyncio.sleep(0)
        assert made.open == 1  # it could not send its 64 MB
        while part := await answer.more():
            sent += len(part)
        assert sent == 67108864
        answer.close()


@pytest.mark.parametrize("ending", [Answer.close, Answer.release])
async def test_a_connection_that_is_held_back_when_its_answer_is_given_up_is_not_used_again(
    ending: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.llm.transport._HIGH_WATER", 4)
    async with peer() as (made, origin, transport):
        made.answers = [[PLAIN], [PLAIN]]
        ending(await transport.ask(origin, REQUEST))  # all of it is there, and nobody has taken it
        async with asyncio.timeout(5):
            assert await whole(transport, origin) == (200, b"hello")
        assert made.connections == 2


async def test_nobody_there() -> None:
    with pytest.raises(Unreachable):
        await whole(Transport(None, 2.0), Origin("http", "127.0.0.1", 9))


async def test_silence_after_the_first_byte_is_measured_by_its_own_time():
    silent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        await silent.wait()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    transport = Transport(None, 2.0, first_s=300.0, idle_s=0.01)  # a model that is loaded may take long to begin
    try:
        async with asyncio.timeout(5):
            with pytest.raises(ReadTooSlow):
                await whole(transport, Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1]))
    finally:
        silent.set()
        transport.close()
        server.close()


@pytest.mark.parametrize("endless", [b"X: y\r\n", b"y"], ids=["many", "one"])
async def test_trailers_that_do_not_end_are_given_up(endless):
    async with peer() as (made, origin, transport):
        made.answers = [
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n", *[endless * 4096] * 100]
        ]
        async with asyncio.timeout(5):
            with pytest.raises(BrokeOff):
                await whole(transport, origin)
        await made.gone.wait()


async def test_a_connection_whose_answer_ended_late_is_not_closed_while_it_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarms, loop, released = list[asyncio.TimerHandle](), asyncio.get_running_loop(), asyncio.Event()
    real = loop.call_later

    def call_later(delay: float, callback: Callable[..., object], *given: object) -> asyncio.TimerHandle:
        alarms.append(real(delay, callback, *given))
        return alarms[-1]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await released.wait()
        writer.write(b"0\r\n\r\n")
        await _head(reader)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    transport, origin = Transport(None, 2.0), Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        answer = await transport.ask(origin, REQUEST)
        assert await answer.more() == b"hello"
        monkeypatch.setattr(loop, "call_later", call_later)
        monkeypatch.setattr("engine.llm.transport.DRAIN_S", 60.0)
        answer.release()
        assert [alarm.cancelled() for alarm in alarms] == [False]
        released.set()
        await turns_of_the_loop(lambda: any(transport._idle.values()))
        assert [alarm.cancelled() for alarm in alarms] == [True]
    finally:
        transport.close()
        server.close()
