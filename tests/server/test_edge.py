"""What every request passes: who may ask, how it must be written, and how it is answered when it is not right."""

import asyncio
import json

import pytest

from engine.kernel.errors import Forbidden
from server.hosts import may, names_this_machine
from server.protocol import Limits
from tests.servers.loopback import PATIENCE_S
from tests.serving import Raw, Served, exchange, served

SMALL = Limits(head_s=0.3, body_s=0.3, body_bytes=10_000, grace_s=5)


def head(*lines: str, method: str = "GET", path: str = "/v1/models", host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


# -- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LocalHost:3000", "127.0.0.1:99", "[::1]", "[::1]:4000", "a.localhost", "127.8.8.8"],
)
def test_hosts_that_are_this_machine(host: str) -> None:
    assert names_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.evil.example", "evil.example:3000", "10.0.0.1", "0.0.0.0", "[::]", "[::1"),
        *("me@localhost", "localhost/x", "localhost:", "localhost:x", "127.0.0.1 ", "127.0.0.1#", "127.0.0.1\x00"),
        *("xn--lcalhost-c2a", "löcalhost", "2130706433", "0x7f000001"),
    ],
)
def test_hosts_that_are_not(host: str) -> None:
    assert not names_this_machine(host)


@pytest.mark.parametrize(
    "origin", ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:4000", "https://ok.example"]
)
def test_origins_that_may(origin: str) -> None:
    assert may(origin, ["https://ok.example"])


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "https://evil.example", "http://[::1", "file://", "chrome-extension://localhost", "http://"),
        *("http://localhost@evil.example", "http://localhost.evil.example", "https://ok.example.evil", "localhost"),
        *("http://localhost/x", "HTTPS://OK.EXAMPLE"),
    ],
)
def test_origins_that_may_not(origin: str) -> None:
    assert not may(origin, ["https://ok.example"])


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/graphql", "/nothing/here"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_a_foreign_host_reaches_nothing(alone: Served, method: str, path: str) -> None:
    status, received = await exchange(alone.port, head(method=method, path=path, host="evil.example"))
    assert status == 403
    assert b"connection: close" in received.lower()
    control, _ = await exchange(alone.port, head("Connection: close", method=method, path=path))
    assert control != 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[::1"])
async def test_a_foreign_origin_reaches_nothing(alone: Served, origin: str) -> None:
    answer = await alone.http.get(f"{alone.openai}/models", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == Forbidden.code
    assert "access-control-allow-origin" not in answer.headers
    assert (await alone.http.get(f"{alone.openai}/models", headers={"origin": "http://localhost:1"})).status_code == 200


async def test_a_foreign_page_is_refused_before_its_body_is_taken(alone: Served) -> None:
    lines = ("Origin: https://evil.example", "Content-Length: 1000000")
    status, _ = await exchange(alone.port, head(*lines, method="POST", path="/graphql"))  # and sends no body
    assert status == 403


async def test_a_foreign_pages_image_or_script_is_refused_and_its_link_is_not(alone: Served) -> None:
    url = f"{alone.graphql}?query=%7Bhealth%7D"
    for headers, status in (
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:5173"}, 200),
    ):
        assert (await alone.http.get(url, headers=headers)).status_code == status


async def test_an_origin_can_be_allowed() -> None:
    async with served(cors=["https://ok.example"]) as app:
        answer = await app.http.get(f"{app.openai}/models", headers={"origin": "https://ok.example"})
        assert answer.headers["access-control-allow-origin"] == "https://ok.example"
        assert (await app.http.get(f"{app.openai}/models", headers={"origin": "https://no.example"})).status_code == 403


async def test_a_preflight_is_answered_for_every_route(alone: Served) -> None:
    asked = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    for path in ("/v1/chat/completions", "/graphql", "/v1/models/a/b", "/", "/nothing"):
        answer = await alone.http.options(alone.openai.replace("/v1", path), headers=asked)
        assert answer.status_code == 204, path
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "POST" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"]
        assert {"authorization", "content-type", "x-stainless-lang"} <= set(allowed.split(", "))
        assert "access-control-allow-credentials" not in answer.headers


# -- how it is answered -----------------------------------------------------------------------------------------------


async def test_each_answer_has_an_id_of_its_own_and_no_empty_header(alone: Served) -> None:
    answers = [await alone.http.get(f"{alone.openai}/{path}") for path in ("models", "models", "nothing")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "alt-svc" not in answer.headers


async def test_an_unknown_path_and_method_come_in_the_shape_of_their_api(alone: Served) -> None:
    nothing = await alone.http.get(f"{alone.openai}/nothing")
    assert nothing.status_code == 404
    assert nothing.json()["error"].keys() == {"message", "type", "param", "code"}
    assert nothing.json()["error"]["type"] == "invalid_request_error"
    wrong = await alone.http.put(f"{alone.openai}/models")
    assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert wrong.json()["error"].keys() == {"message", "type", "param", "code"}
    plain = await alone.http.get(alone.openai.replace("/v1", "/nothing"))
    assert plain.status_code == 404
    assert {"code", "what", "why", "fix"} <= plain.json()["error"].keys()


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/v1/models/auto", "/assets/graphql-ws.min.js"])
async def test_head_is_get_without_a_body(alone: Served, path: str) -> None:
    url = alone.openai.replace("/v1", path)
    whole, only_head = await alone.http.get(url), await alone.http.head(url)
    assert only_head.status_code == 200
    assert only_head.content == b""
    if path != "/assets/graphql-ws.min.js":
        assert only_head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [(b'{"model":', 1, 10), (b'{\n "model": "x",\n oops}', 3, 2), (b"", 1, 1), (b'{"a": NaN}', 1, 7)],
)
async def test_malformed_json_says_where(alone: Served, body: bytes, line: int, column: int) -> None:
    answer = await alone.http.post(f"{alone.openai}/chat/completions", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["details"]) == ("invalid_input", {"line": line, "column": column})
    assert f"line {line}, column {column}" in error["message"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b'{"a": "\\ud800"}', b"\xff\xfe", b"[" * 100_000])
async def test_what_is_no_json_object_is_refused(alone: Served, body: bytes) -> None:
    answer = await alone.http.post(f"{alone.openai}/chat/completions", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")


# -- how it must be written -------------------------------------------------------------------------------------------

POST = ("POST /v1/embeddings HTTP/1.1", "Host: 127.0.0.1")
SMUGGLED = "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "lines", "body"),
    [
        ("both lengths", (*POST, "Content-Length: 5", "Transfer-Encoding: chunked"), "0\r\n\r\n"),
        ("both, the other way", (*POST, "Transfer-Encoding: chunked", "Content-Length: 5"), "0\r\n\r\n"),
        ("two lengths", (*POST, "Content-Length: 2", "Content-Length: 40"), "{}"),
        ("two equal lengths", (*POST, "Content-Length: 2", "Content-Length: 2"), "{}"),
        ("a list of lengths", (*POST, "Content-Length: 2, 2"), "{}"),
        ("a signed length", (*POST, "Content-Length: +2"), "{}"),
        ("a negative length", (*POST, "Content-Length: -2"), "{}"),
        ("a length with an underscore", (*POST, "Content-Length: 0_2"), "{}"),
        ("a length in hexadecimal", (*POST, "Content-Length: 0x2"), "{}"),
        ("no length", (*POST, "Content-Length:"), "{}"),
        ("a space before the colon", (*POST, "Content-Length : 2"), SMUGGLED),
        ("a folded line", (*POST, "X-A: b", " Content-Length: 2"), "{}"),
        ("a bare line feed", (*POST, "X-A: b\nContent-Length: 2"), SMUGGLED),
        ("a bare carriage return", (*POST, "X-A: b\rContent-Length: 2"), SMUGGLED),
        ("a null", (*POST, "X-A: b\0c"), ""),
        ("a header without a name", (*POST, ": x"), ""),
        ("a header without a colon", (*POST, "nonsense"), ""),
        ("two encodings", (*POST, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "0\r\n\r\n"),
        ("an unknown encoding", (*POST, "Transfer-Encoding: gzip, chunked"), "0\r\n\r\n"),
        ("an encoding with a trick", (*POST, "Transfer-Encoding: \x0bchunked"), "0\r\n\r\n"),
        ("chunks in HTTP/1.0", ("POST / HTTP/1.0", "Host: 127.0.0.1", "Transfer-Encoding: chunked"), "0\r\n\r\n"),
        ("two hosts", ("GET / HTTP/1.1", "Host: 127.0.0.1", "Host: evil.example"), ""),
        ("two origins", ("GET / HTTP/1.1", "Host: 127.0.0.1", "Origin: http://localhost", "Origin: http://evil"), ""),
        ("no host", ("GET / HTTP/1.1",), ""),
        ("another machine's address", ("GET http://evil.example/ HTTP/1.1", "Host: 127.0.0.1"), ""),
        ("a tab in the request line", ("GET\t/ HTTP/1.1", "Host: 127.0.0.1"), ""),
        ("two spaces", ("GET  / HTTP/1.1", "Host: 127.0.0.1"), ""),
        ("no version", ("GET /",), ""),
        ("HTTP/2", ("GET / HTTP/2.0", "Host: 127.0.0.1"), ""),
        ("HTTP/0.9", ("GET / HTTP/0.9",), ""),
        ("TLS", ("\x16\x03\x01\x02\x00\x01",), ""),
        ("not ASCII in the path", ("GET /\xe9 HTTP/1.1", "Host: 127.0.0.1"), ""),
        ("a small method", ("get / HTTP/1.1", "Host: 127.0.0.1"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 and "\r" not in value else "",
)
async def test_what_could_be_read_in_two_ways_is_refused(
    alone: Served, name: str, lines: tuple[str, ...], body: str
) -> None:
    """One answer, 400, and the connection is closed: what comes behind it is never read as a request."""
    status, received = await exchange(alone.port, ("\r\n".join([*lines, "", ""]) + body + SMUGGLED).encode("latin-1"))
    assert status == 400, name
    assert received.count(b"HTTP/1.1 ") == 1


async def test_the_same_requests_written_well_are_answered_on_one_connection(alone: Served) -> None:
    """The control: the server does answer pipelined requests, and chunks."""
    chunked = head("Transfer-Encoding: chunked", method="POST", path="/v1/embeddings") + b"2;x=y\r\n{}\r\n0\r\n\r\n"
    last = head("Connection: close")
    _, received = await exchange(alone.port, head() + chunked + last)
    assert received.count(b"HTTP/1.1 ") == 3
    assert received.count(b"HTTP/1.1 200") == 2
    assert b'"param":"model"' in received


@pytest.mark.parametrize(
    "chunks",
    [
        *(b"5\r\n{}\r\n0\r\n\r\n", b"1\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n"),
        *(b"0x2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"zz\r\n{}\r\n0\r\n\r\n", b"\r\n{}\r\n0\r\n\r\n"),
        *(b"2\n{}\n0\n\n", b"2\r\n{}\r\n0\r\nX-Trailer: x\r\n\r\n", b"2;" + b"x" * 1000, b"fffffffff\r\n{}"),
    ],
)
async def test_chunks_that_lie_are_refused(chunks: bytes) -> None:
    async with served(limits=SMALL) as app:
        lying = head("Transfer-Encoding: chunked", method="POST", path="/v1/embeddings") + chunks
        status, received = await exchange(app.port, lying)
        assert 400 <= status < 500
        assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("how", ["said", "sent"])
async def test_a_body_over_the_limit_is_refused(how: str) -> None:
    async with served(limits=SMALL) as app:
        if how == "said":
            sent = [head("Content-Length: 10001", method="POST", path="/v1/embeddings")]
        else:
            chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
            sent = [head("Transfer-Encoding: chunked", method="POST", path="/v1/embeddings"), *[chunk] * 10]
        status, received = await exchange(app.port, *sent)
        assert status == 413
        assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["details"] == {"limit": 10_000}
        just = await app.http.post(f"{app.openai}/embeddings", content=b" " * 9_998 + b"{}")
        assert just.status_code == 400  # the control: it was read


@pytest.mark.parametrize(
    "flood",
    [
        head(*(f"X-{number}: {'x' * 50}" for number in range(1000))),
        head("X-Long: " + "x" * 1_000_000),
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"x" * 1_000_000,
    ],
    ids=["many", "long", "path", "noise"],
)
async def test_a_flood_of_headers_is_refused(alone: Served, flood: bytes) -> None:
    status, received = await exchange(alone.port, flood)
    assert status in (0, 413)  # 0: it was reset while we still sent
    assert received.count(b"HTTP/1.1 ") <= 1
    assert (await alone.http.get(f"{alone.openai}/models")).status_code == 200


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
        head("Content-Length: 100", method="POST", path="/v1/embeddings") + b'{"model"',
        head("Transfer-Encoding: chunked", method="POST", path="/v1/embeddings") + b"2\r\n{}\r\n",
        head("Transfer-Encoding: chunked", method="POST", path="/v1/embeddings") + b"2",
        head("Content-Length: 100", method="POST", path="/v1/nothing"),
    ],
    ids=["head", "body", "chunks", "chunk line", "unknown path"],
)
async def test_a_slow_client_is_let_go(begun: bytes) -> None:
    """Also when a byte comes now and then: the time is for the whole, not between bytes."""
    async with served(limits=SMALL) as app, Raw.to(app.port) as raw:
        await raw.send(begun)
        received = await raw.rest()
        assert received.split(b" ", 2)[1] in (b"408", b"404")
        assert received.count(b"HTTP/1.1 ") == 1


async def test_a_dripping_client_is_let_go() -> None:
    async with served(limits=SMALL) as app, Raw.to(app.port) as raw:
        await raw.send(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        received = b""
        async with asyncio.timeout(PATIENCE_S):
            while not received:
                await raw.send(b"x")
                received = await raw.within(0.02)
        assert received.startswith(b"HTTP/1.1 408")


async def test_a_large_body_after_expect_is_taken(alone: Served) -> None:
    for lines, body in (("Content-Length: 2", b"{}"), ("Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n")):
        async with Raw.to(alone.port) as raw:
            await raw.send(
                head("Expect: 100-continue", lines, "Connection: close", method="POST", path="/v1/embeddings")
            )
            assert (await raw.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            await raw.send(body)
            assert (await raw.rest()).startswith(b"HTTP/1.1 400")
