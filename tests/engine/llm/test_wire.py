"""The wire against a real server on loopback: what goes out, what comes back, and how it fails."""

import asyncio
import errno
import os
import socket
import traceback
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.kernel.errors import (
    ContextTooLong,
    InvalidConfig,
    InvalidInput,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.refusals import encoded
from engine.llm.wire import LOCAL, MOST_SECRETS, Address, Deadlines, Wire, _Ask
from tests.servers.loopback import PATIENCE_S, Drop, Endless, Garbage, Raw, Stall, Status
from tests.servers.scripted_openai import ScriptedOpenAI

KEY = "sk-very/secret+0123456789"
BODY = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "one two three"}], "stream": True}
NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
CHAT = "/v1/chat/completions"


@pytest.fixture
def server():
    with ScriptedOpenAI() as running:
        yield running


@pytest.fixture
async def wire(server):
    made = wire_to(server.url)
    yield made
    await made.close()


def wire_to(url: str, deadlines: Deadlines = LOCAL, key: str = KEY) -> Wire:
    return Wire(
        Address.parse(url),
        provider="test",
        title="Test",
        world=replace(World.real({}), now=lambda: NOW),
        authorize=lambda _: {"authorization": f"Bearer {key}"},
        deadlines=deadlines,
        unreachable_fix="Start it.",
        auth_fix="Set the key.",
    )


async def failure(wire: Wire) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        async for _ in wire.events(CHAT, BODY, model="gpt-5-nano"):
            pass
    return caught.value


# What goes out


async def test_a_stream_comes_whole_and_asks_for_uncompressed_bytes(server, wire):
    events = [event async for event in wire.events(CHAT, BODY)]
    assert events[-1].data == "[DONE]"
    assert "three" in "".join(event.data for event in events)
    [request] = server.requests
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == BODY
    assert server.disconnects == 0


async def test_a_finished_stream_leaves_its_connection_for_the_next(server, wire):
    connected = 0
    connect = asyncio.get_running_loop().create_connection

    async def counted(*args, **kwargs):
        nonlocal connected
        connected += 1
        return await connect(*args, **kwargs)

    asyncio.get_running_loop().create_connection = counted  # type: ignore[method-assign]
    for _ in range(3):
        async for _ in wire.events(CHAT, BODY, last=lambda event: event.data == "[DONE]"):
            pass
        async with asyncio.timeout(PATIENCE_S):
            while not any(wire._transport._idle.values()):  # noqa: ASYNC110  its end comes a moment later
                await asyncio.sleep(0)
    assert (connected, len(server.requests)) == (1, 3)


async def test_a_redirect_is_not_followed(server, wire):
    with ScriptedOpenAI() as elsewhere:
        server.script.append(Status(307, b"", {"location": elsewhere.url + CHAT}))
        error = await failure(wire)
        assert elsewhere.requests == []
    assert isinstance(error, ProviderUnavailable)
    assert "redirect" in error.fix


async def test_cookies_are_not_kept(server, wire):
    server.script.append(Status(500, None, {"set-cookie": "a=b; Path=/"}))
    await failure(wire)
    await wire.get_json("/v1/models")
    assert "cookie" not in server.requests[-1].headers


async def test_proxies_of_the_environment_are_not_used(server, wire, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await wire.get_json("/v1/models")


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_wrong_address_says_what_answered_there(server, wire, status):
    page = b"<html><head><title> Welcome to\n nginx! </title></head><body>x</body></html>"
    server.script.append(Status(status, page, {"content-type": "text/html; charset=utf-8", "server": "nginx/1.27"}))
    error = await failure(wire)
    assert "'Welcome to nginx!'" in str(error)
    assert "'nginx/1.27'" in str(error)
    assert "<html>" not in str(error)


async def test_a_path_that_is_not_there_says_whose_server_it_is(server, wire):
    server.script.append(Status(404, {"detail": "Not Found"}, {"server": "uvicorn"}))
    error = await failure(wire)
    assert "The server calls itself 'uvicorn'." in error.why
    assert "end in /v1" in error.fix


async def test_a_key_that_is_refused_is_named_by_its_end(server):
    world = replace(World.real({}), now=lambda: NOW)
    made = Wire(
        Address.parse(server.url),
        provider="test",
        title="Test",
        world=world,
        auth_fix="Set the key.",
        kept=lambda key: ("kept by Ring", "Replace it.") if key == KEY else ("", ""),
    )
    for key, what, fix in (
        (KEY, f"Test refused the key …{KEY[-4:]} (kept by Ring).", "Replace it."),
        ("sk-unknown-abcdefgh", "Test refused the key …efgh.", "Set the key."),
        ("short", "Test refused the key ….", "Set the key."),
    ):
        server.script.append(Status(401, {"error": {"message": f"Incorrect API key provided: {key}"}}))
        with pytest.raises(ProviderAuth) as caught:
            await made.post_json(CHAT, BODY, key=key)
        assert (caught.value.what, caught.value.fix) == (what, fix)
        assert key not in str(caught.value)
    await made.close()


async def test_keys_that_change_are_not_kept_for_ever_and_the_one_in_use_is(server):
    made = wire_to(server.url)
    made._authorize = lambda key: {"authorization": f"Bearer {key}"}
    for number in range(MOST_SECRETS):
        made._request(_Ask("GET", "/", None, "application/json", f"token-{number:05}"))
        made._request(_Ask("GET", "/", None, "application/json", KEY))
    assert len(made._secrets) == MOST_SECRETS
    newest = f"token-{MOST_SECRETS - 1:05}"
    assert made.scrubbed(f"{KEY} {newest}") == "[key] [key]"
    await made.close()


def test_what_utf8_cannot_have_becomes_a_question_mark():
    assert encoded({"a": "ü\ud800"}) == '{"a": "ü?"}'.encode()
    assert encoded({"n": 2**70}) == b'{"n": %d}' % 2**70
    with pytest.raises(InvalidInput):
        encoded({"a": object()})


# Addresses


@pytest.mark.parametrize(
    ("text", "url", "local"),
    [
        ("localhost:8080/v1/", "http://localhost:8080/v1", True),
        ("127.0.0.1", "http://127.0.0.1", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("api.example.com/v1", "https://api.example.com/v1", False),
        (" http://192.168.1.5:1234/v1 ", "http://192.168.1.5:1234/v1", False),
        ("https://localhost.example.com", "https://localhost.example.com", False),
    ],
)
def test_addresses_as_people_write_them(text, url, local):
    assert Address.parse(text) == Address(url, local)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://x",
        "http://",
        "http://me:hunter22@host",
        "http://h/?key=hunter22",
        "http://h:0",
        "http://h:x",
        "a b",
        "[",
        "http://h/#a",
        "https://stra\u00dfe.example/v1",
        "https://a\u200db.example",
    ],
)
def test_a_bad_address_is_refused_without_showing_secrets(text):
    with pytest.raises(InvalidConfig) as caught:
        Address.parse(text)
    assert "hunter22" not in str(caught.value)


# How it fails


@pytest.mark.parametrize(
    ("url", "path", "line", "host"),
    [
        ("https://api.example.com/v1", "/chat", "/v1/chat", "api.example.com"),
        ("https://api.example.com:443", "/chat", "/chat", "api.example.com"),
        ("http://api.example.com:80", "", "/", "api.example.com"),
        ("http://api.example.com:443", "/chat", "/chat", "api.example.com:443"),
        ("https://[2001:db8::1]", "/a", "/a", "[2001:db8::1]"),
        ("http://[::1]:11434", "/api/chat", "/api/chat", "[::1]:11434"),
        ("https://b\u00fccher.example", "/a", "/a", "xn--bcher-kva.example"),
        ("https://h", "/models/a/b:free\u00fc?alt=sse&x=a b+c%2F", "/models/a/b:free%C3%BC?alt=sse&x=a%20b+c%2F", "h"),
        ("https://h", "/a\r\nx-evil: 1", "/ax-evil:%201", "h"),
    ],
)
def test_what_is_asked_of_whom(url, path, line, host):
    first, second, *rest = wire_to(url)._request(_Ask("GET", path, None, "*/*")).decode().split("\r\n")
    assert (first, second) == (f"GET {line} HTTP/1.1", f"host: {host}")
    assert not any("evil" in one for one in rest)


async def test_nobody_there(wire):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        dead = wire_to(url)
        error = await failure(dead)
        await dead.close()
    assert isinstance(error, ProviderUnavailable)
    assert error.what == f"Test does not answer at {url}."
    assert error.why == f"{os.strerror(errno.ECONNREFUSED)}."
    assert error.fix == "Start it."


async def test_no_such_host():
    wire = wire_to("http://no-such-host.invalid")
    error = await failure(wire)
    await wire.close()
    assert isinstance(error, ProviderUnavailable)
    assert error.why == "There is no host of that name."


async def test_no_first_byte_in_time(server):
    wire = wire_to(server.url, Deadlines(first_byte_s=0.05))
    server.script.append(Stall())
    error = await failure(wire)
    assert isinstance(error, ProviderTimeout)
    assert "0.05 s" in error.why
    await server.until(lambda seen: seen.disconnects == 1)
    await wire.close()


async def test_no_first_byte_in_time_after_the_headers(server):
    wire = wire_to(server.url, Deadlines(first_byte_s=0.05))
    server.script.append(Stall(after=0))
    assert isinstance(await failure(wire), ProviderTimeout)
    await wire.close()


async def test_silence_in_the_middle(server):
    wire = wire_to(server.url, Deadlines(first_byte_s=20, idle_s=0.05))
    server.script.append(Stall(after=1))
    error = await failure(wire)
    assert isinstance(error, ProviderTimeout)
    assert "silent" in error.why
    await server.until(lambda seen: seen.disconnects == 1)
    await wire.close()


async def test_a_whole_answer_must_come_within_its_deadline(server, wire):
    server.script.append(Stall())
    with pytest.raises(ProviderTimeout, match="whole answer"):
        await wire.post_json(CHAT, BODY, within_s=0.05)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status(400, {"error": {"message": "bad"}}), ProviderRejected),
        (Status(401, {"error": {"message": "no"}}), ProviderAuth),
        (Status(403, {"error": {"message": "no"}}), ProviderAuth),
        (Status(402, {"error": {"message": "pay"}}), ProviderRateLimited),
        (Status(404, {"error": {"message": "x", "code": "model_not_found"}}), ProviderRejected),
        (Status(408, {}), ProviderTimeout),
        (Status(413, b"too big"), ProviderRejected),
        (Status(422, {"detail": [{"msg": "no"}]}), ProviderRejected),
        (Status(429, {"error": {"message": "slow down"}}), ProviderRateLimited),
        (Status(429, {"error": {"message": "broke", "code": "insufficient_quota"}}), ProviderRateLimited),
        (Status(500, {"error": {"message": "oops"}}), ProviderUnavailable),
        (Status(503, {"error": "server busy"}), ProviderUnavailable),
        (Status(529, {"error": {"type": "overloaded_error", "message": "later"}}), ProviderUnavailable),
    ],
)
async def test_each_status_has_its_error(server, wire, status, kind):
    server.script.append(status)
    error = await failure(wire)
    assert type(error) is kind
    assert error.details["upstream_status"] == status.code
    assert error.details["provider"] == "test"
    assert error.details["model"] == "gpt-5-nano"


async def test_a_model_that_the_key_may_not_use_is_named(server, wire):
    server.script.append(Status(403, {"error": {"type": "permission_error", "message": "not yours"}}))
    assert (await failure(wire)).what.startswith("Test refused gpt-5-nano to the key")


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (
            {
                "error": {
                    "code": "context_length_exceeded",
                    "message": "maximum context length is 4097 tokens. However, your messages resulted in 5000 tokens.",
                }
            },
            {"prompt": 5000, "context": 4097},
        ),
        (
            {
                "error": {
                    "type": "exceed_context_size_error",
                    "code": 400,
                    "message": "request (9031 tokens) exceeds the available context size (4096 tokens)",
                    "n_prompt_tokens": 9031,
                    "n_ctx": 4096,
                }
            },
            {"prompt": 9031, "context": 4096},
        ),
        ({"error": "the input length exceeds the context length"}, {}),
    ],
)
async def test_a_prompt_that_is_too_long(server, wire, body, sizes):
    server.script.append(Status(400, body))
    error = await failure(wire)
    assert isinstance(error, ContextTooLong)
    assert {key: error.details[key] for key in ("prompt", "context") if key in error.details} == sizes


async def test_a_text_that_is_too_long_for_a_field_is_no_long_prompt(server, wire):
    server.script.append(
        Status(400, {"error": {"code": "string_above_max_length", "message": "maximum context length is"}})
    )
    assert isinstance(await failure(wire), ProviderRejected)


async def test_words_of_the_prompt_that_come_back_decide_nothing(server, wire):
    """Upstreams quote prompts: only a status that can mean it makes it a long prompt or a rate limit."""
    server.script.append(Status(401, {"error": {"message": "prompt is too long 429"}}))
    assert isinstance(await failure(wire), ProviderAuth)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sat, 01 Aug 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 01 Aug 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
async def test_when_to_come_back(server, wire, headers, wait):
    server.script.append(Status(429, {}, headers))
    assert (await failure(wire)).details.get("retry_after_s") == wait


@pytest.mark.parametrize("spelled", [KEY, "sk-very%2Fsecret%2B0123456789", f"Bearer {KEY}"])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_key_that_comes_back_is_in_no_error(server, wire, spelled, status):
    server.script.append(Status(status, {"error": {"message": f"You sent {spelled}!", "code": spelled}}))
    error = await failure(wire)
    told = [str(error), repr(error), repr(error.details), "".join(traceback.format_exception(error)), repr(wire)]
    assert "secret" not in "".join(told)
    assert "You sent" in error.details["upstream_message"], "control: the rest is told"


async def test_a_key_cut_in_half_by_our_limit_is_in_no_error(server, wire):
    key = KEY + "x" * 1000
    cut = wire_to(server.url, key=key)
    server.script.append(Status(500, (key * 1000).encode()))
    error = await failure(cut)
    assert "secret" not in str(error)
    server.script.append(Garbage(b"data: " + b" " * 70 + key.encode() + b"\n\n", 0))
    with pytest.raises(ProviderUnavailable, match="not JSON") as caught:
        await cut.post_json(CHAT, BODY)
    assert "secret" not in str(caught.value)
    await cut.close()


@pytest.mark.parametrize("key", ["sk-line\n", "sk-ümlaut", " sk-space"])
async def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(server, key):
    wire = Wire(
        Address.parse(server.url),
        provider="test",
        title="Test",
        world=World.real({}),
        authorize=lambda _: {"x-api-key": key},
    )
    with pytest.raises(ProviderAuth) as caught:
        await wire.get_json("/v1/models")
    assert key.strip() not in "".join(traceback.format_exception(caught.value))
    assert server.requests == []
    await wire.close()


async def test_what_an_upstream_says_is_bounded(server, wire):
    server.script.append(Status(500, b"w" * 1_000_000))
    error = await failure(wire)
    assert len(error.details["upstream_message"]) == 2000


async def test_a_line_without_end_is_cut_off(server, wire):
    server.script.append(Endless())
    error = await failure(wire)
    assert isinstance(error, ProviderUnavailable)
    assert "longer than" in error.why
    await server.until(lambda seen: seen.disconnects == 1)


async def test_comments_without_end_are_given_up(server, wire):
    server.script += [Raw((b": waiting\n\n",), "text/event-stream")] * 2
    assert [event async for event in wire.events(CHAT, BODY)] == [], "control: some are fine"
    hasty = wire_to(server.url, Deadlines(piece_s=-1.0))
    with pytest.raises(ProviderTimeout) as caught:
        await anext(hasty.events(CHAT, BODY))
    assert "without a meaning" in caught.value.why
    await hasty.close()


async def test_a_body_without_end_is_cut_off(server, wire):
    server.script.append(Endless())
    with pytest.raises(ProviderUnavailable, match="longer than"):
        await wire.post_json(CHAT, BODY)


async def test_a_connection_that_breaks(server, wire):
    server.script.append(Drop(after=1))
    error = await failure(wire)
    assert isinstance(error, ProviderUnavailable)
    assert "broke off" in error.why


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_an_answer_of_another_kind(server, wire, kind):
    server.script.append(Raw((b"<p>Please log in</p>",), kind))
    assert isinstance(await failure(wire), ProviderUnavailable)


async def test_an_error_with_status_200(server, wire):
    server.script.append(Raw((b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}',), "application/json"))
    assert isinstance(await failure(wire), ProviderRateLimited)


async def test_compressed_bytes_are_not_expanded(server, wire):
    server.script.append(Status(200, b"\x1f\x8b\x08", {"content-encoding": "gzip"}))
    with pytest.raises(ProviderUnavailable, match="compressed"):
        await wire.post_json(CHAT, BODY)


async def test_what_is_not_json(server, wire):
    server.script.append(Garbage())
    with pytest.raises(ProviderUnavailable, match="not JSON"):
        await wire.post_json(CHAT, BODY)


# Leaving


async def test_closing_a_stream_closes_the_upstream(server, wire):
    server.script.append(Stall(after=2))
    events = wire.events(CHAT, BODY)
    assert await anext(events)
    assert server.disconnects == 0, "control: it is still open"
    await events.aclose()
    await server.until(lambda seen: seen.disconnects == 1)


@pytest.mark.parametrize("after", [None, 0, 1])
async def test_cancelling_who_waits_closes_the_upstream(server, wire, after):
    server.script.append(Stall(after=after))

    async def read() -> None:
        async for _ in wire.events(CHAT, BODY):
            pass

    reading = asyncio.create_task(read())
    await server.until(lambda seen: seen.stalled == 1)
    assert server.disconnects == 0
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await server.until(lambda seen: seen.disconnects == 1)
