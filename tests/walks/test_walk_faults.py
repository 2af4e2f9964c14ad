"""Upstreams that fail, and clients that leave, through the real server: what the client sees, what is written down, and
what is still open afterwards (reliability F6 to F8)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.servers.loopback import (
    Behaviour,
    BreakWith,
    Drip,
    Drop,
    EndEarly,
    Endless,
    Garbage,
    Raw,
    Stall,
    Status,
)
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Raw as Connection
from tests.serving import Served, events, served

HELLO = [{"role": "user", "content": "Hello"}]
SSE = "text/event-stream"
ERROR = json.dumps({"error": {"message": "The server is overloaded", "type": "server_error"}}).encode()
QUICK = {"deadline_ms": 300}


@dataclass
class Bench:
    """Our server between a client and two providers: `first` has gpt-5-nano, `second` has spare."""

    served: Served
    first: ScriptedOpenAI
    second: ScriptedOpenAI

    async def whole(self, **wishes: Any) -> Any:
        return await self.served.chat(circuit_breaker=wishes)

    async def stream(self, **wishes: Any) -> list[Any]:
        answer = await self.served.chat(circuit_breaker=wishes, stream=True)
        assert answer.status_code == 200, answer.text
        return events(answer.text.splitlines())

    async def newest(self) -> Any:
        """The newest request of the log, as a client can read it."""
        record = (await self.served.engine.llm.requests(1))[0]
        return (await self.served.http.get(f"{self.served.openai}/routes/{record.id}")).json()

    def asked(self, upstream: ScriptedOpenAI) -> int:
        return sum(request.method == "POST" for request in upstream.requests)

    async def nothing_is_open(self) -> None:
        """Each upstream still answers, and nobody counts as busy: what failed has let go."""
        health = self.served.engine.llm.health
        assert [health.busy(model) for model in self.served.engine.llm.catalog.models] == [0, 0]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        first = stack.enter_context(ScriptedOpenAI(["gpt-5-nano"]))
        second = stack.enter_context(ScriptedOpenAI(["spare"], reply=lambda _: Reply("From the spare one")))
        environ = {"CUSTOM_LLM_ENDPOINT": f"{second.url}/v1"}
        yield Bench(await stack.enter_async_context(served(first, environ=environ)), first, second)


def text_of(chunks: list[Any]) -> str:
    return "".join(c["delta"].get("content") or "" for one in chunks if one != "[DONE]" for c in one["choices"])


# each as it is before anything of an answer came
AT_ONCE: dict[str, tuple[Behaviour, str]] = {
    "cut": (Drop(0), "provider_unavailable"),
    "empty": (EndEarly(0), "provider_unavailable"),
    "only the end": (Raw((b"data: [DONE]\n\n",), SSE), "provider_unavailable"),
    "malformed": (Garbage(b"data: {not json\n\n", 0), "provider_unavailable"),
    "a page": (Raw((b"<html>",), "text/html"), "provider_unavailable"),
    "an error in the stream": (BreakWith("overloaded", 0), "provider_unavailable"),
    "200 with an error": (Raw((ERROR,), "application/json"), "provider_unavailable"),
    "refused": (Status(401, {"error": {"message": "Incorrect", "code": "invalid_api_key"}}), "provider_auth"),
    "too many": (Status(429, headers={"retry-after": "40"}), "provider_rate_limited"),
}


@pytest.mark.parametrize(("fault", "code"), AT_ONCE.values(), ids=AT_ONCE)
async def test_before_anything_came_another_model_answers(bench: Bench, fault: Behaviour, code: str) -> None:
    bench.first.script.append(fault)
    answer = await bench.whole(fallback_models=["spare"])
    assert answer.json()["choices"][0]["message"]["content"] == "From the spare one"
    assert (answer.json()["model"], answer.headers["x-cb-attempts"]) == ("spare", "2")
    newest = await bench.newest()
    assert [attempt["error"] for attempt in newest["decision"]["attempts"]] == [code]
    assert newest["error"] is None
    await bench.nothing_is_open()


@pytest.mark.parametrize(("fault", "code"), AT_ONCE.values(), ids=AT_ONCE)
async def test_without_another_model_the_client_gets_the_error(bench: Bench, fault: Behaviour, code: str) -> None:
    bench.first.script.append(fault)
    answer = await bench.whole()
    assert answer.status_code >= 400
    error = answer.json()["error"]
    assert (error["code"], bool(error["message"])) == (code, True)
    assert answer.headers["x-should-retry"] == "false"  # else the client's own retries multiply ours
    assert answer.headers.get("retry-after") == ("40" if code == "provider_rate_limited" else None)
    assert (await bench.newest())["error"] == code
    await bench.nothing_is_open()


# and after a piece of it came: nothing is switched any more
LATER: dict[str, Behaviour] = {
    "cut": Drop(3),
    "ended early": EndEarly(3),
    "malformed": Garbage(b"data: {not json\n\n", 3),
    "an error in the stream": BreakWith("overloaded", 3),
    "a line without end": Raw(
        (b'data: {"choices":[{"index":0,"delta":{"content":"You"}}]}\n\n', b"x" * 9_000_000), SSE
    ),
}


@pytest.mark.parametrize("fault", LATER.values(), ids=LATER)
async def test_after_a_piece_came_the_stream_says_so_and_does_not_end_well(bench: Bench, fault: Behaviour) -> None:
    bench.first.script.append(fault)
    chunks = await bench.stream(fallback_models=["spare"])
    assert text_of(chunks).startswith("You")
    assert "spare" not in text_of(chunks)
    assert chunks[-1]["error"]["code"] == "provider_unavailable"
    assert chunks[-1]["choices"][0]["finish_reason"] == "error"  # for clients that know of no errors
    assert "[DONE]" not in chunks
    newest = await bench.newest()
    assert newest["error"] == "provider_unavailable"
    assert newest["usage"]["completion_tokens"] > 0  # what came is written down
    await bench.nothing_is_open()


async def test_a_slow_drip_is_a_whole_answer(bench: Bench) -> None:
    bench.first.script.append(Drip(1))
    chunks = await bench.stream()
    assert (text_of(chunks), chunks[-1]) == ("You said: Hello", "[DONE]")


@pytest.mark.parametrize("fault", [Stall(), Stall(2)], ids=["before anything", "in the middle"])
async def test_a_deadline_ends_what_fell_silent_and_closes_the_upstream(bench: Bench, fault: Behaviour) -> None:
    bench.first.script.append(fault)
    answer = await bench.whole(**QUICK)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "provider_timeout")
    await bench.first.until(lambda server: server.disconnects == 1)
    await bench.nothing_is_open()


@pytest.mark.parametrize("fault", [Endless(), Stall(100)], ids=["goes on", "keeps the line open"])
async def test_who_does_not_stop_after_the_end_is_closed(bench: Bench, fault: Behaviour) -> None:
    bench.first.script.append(fault)
    assert (await bench.whole()).json()["choices"][0]["message"]["content"] == "You said: Hello"
    await bench.first.until(lambda server: server.disconnects == 1)


async def test_the_slower_of_two_is_given_up(bench: Bench) -> None:
    bench.first.script.append(Stall())
    answer = await bench.whole(fallback_models=["spare"], hedge_ms=30)
    assert answer.json()["model"] == "spare"
    assert answer.headers["x-cb-attempts"] == "2"
    await bench.first.until(lambda server: server.disconnects == 1)
    await bench.nothing_is_open()


async def test_a_failing_server_is_asked_a_bounded_number_of_times_and_then_left_alone(bench: Bench) -> None:
    bench.first.script.extend([Status(500)] * 50)
    answer = await bench.whole()
    assert answer.status_code >= 500
    assert bench.asked(bench.first) == int((await bench.newest())["attempts"]) <= 3
    for _ in range(3):
        await bench.whole(fallback_models=["spare"])
    before = bench.asked(bench.first)
    answer = await bench.whole(fallback_models=["spare"])
    assert (answer.json()["model"], bench.asked(bench.first)) == ("spare", before)  # its breaker is open
    rows = list(bench.served.engine.llm.health.rows())
    assert [(row.provider, row.model, row.state) for row in rows] == [("openai", "gpt-5-nano", "open")]


async def test_who_said_when_to_come_back_is_not_asked_before(bench: Bench) -> None:
    bench.first.script.append(Status(429, headers={"retry-after": "40"}))
    assert (await bench.whole()).status_code == 429
    again = await bench.whole()
    assert (again.status_code, bench.asked(bench.first)) == (429, 1)
    assert 30 <= int(again.headers["retry-after"]) <= 40


def in_a_while(seconds: float) -> dict[str, str]:
    """Retry-After as a date (RFC 9110, 10.2.3)."""
    return {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}


async def test_who_said_by_a_date_when_to_come_back_is_not_asked_before(bench: Bench) -> None:
    bench.first.script.append(Status(429, headers=in_a_while(40)))
    answer = await bench.whole()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "provider_rate_limited")
    assert 30 <= int(answer.headers["retry-after"]) <= 40
    again = await bench.whole()
    assert (again.status_code, bench.asked(bench.first)) == (429, 1)
    assert 30 <= int(again.headers["retry-after"]) <= 40
    other = await bench.whole(fallback_models=["spare"])
    assert (other.json()["model"], bench.asked(bench.first)) == ("spare", 1)
    await bench.nothing_is_open()


async def test_a_date_that_has_passed_is_no_wait(bench: Bench) -> None:
    bench.first.script.append(Status(429, headers=in_a_while(-40)))
    answer = await bench.whole()
    assert (answer.json()["model"], answer.headers["x-cb-attempts"]) == ("gpt-5-nano", "2")


OVERLOADED = {"error": {"type": "overloaded_error", "message": "Overloaded"}}


async def test_one_that_is_overloaded_is_asked_once_more(bench: Bench) -> None:
    bench.first.script.append(Status(529, OVERLOADED))
    answer = await bench.whole(fallback_models=["spare"])
    assert (answer.json()["model"], answer.headers["x-cb-attempts"]) == ("gpt-5-nano", "2")
    newest = await bench.newest()
    assert (newest["retries"], newest["error"]) == (1, None)
    assert [one["error"] for one in newest["decision"]["attempts"]] == ["provider_unavailable"]
    await bench.nothing_is_open()


async def test_one_that_stays_overloaded_gives_way_and_is_told_when_it_is_alone(bench: Bench) -> None:
    bench.first.script.extend([Status(529, OVERLOADED)] * 2)
    answer = await bench.whole(fallback_models=["spare"])
    assert (answer.json()["model"], answer.headers["x-cb-attempts"]) == ("spare", "3")
    newest = await bench.newest()
    assert [(one["model"], one["error"]) for one in newest["decision"]["attempts"]] == [
        ("openai/gpt-5-nano", "provider_unavailable")
    ] * 2
    bench.served.engine.llm.health.reset()
    bench.first.script.append(Status(529, OVERLOADED, in_a_while(40)))
    alone = await bench.whole()
    assert (alone.status_code, alone.json()["error"]["code"]) == (502, "provider_unavailable")
    assert "Overloaded" in alone.json()["error"]["message"]
    assert 30 <= int(alone.headers["retry-after"]) <= 40
    assert bench.asked(bench.first) == 3  # it said when: it was not asked again
    await bench.nothing_is_open()


async def test_one_that_hangs_hurts_nobody_else(bench: Bench) -> None:
    bench.first.script.extend([Stall()] * 30)
    hanging = [asyncio.create_task(bench.whole()) for _ in range(30)]
    await bench.first.until(lambda server: server.stalled == 30)
    body = {"model": "spare", "messages": HELLO}
    answer = await bench.served.http.post(f"{bench.served.openai}/chat/completions", json=body)
    assert answer.json()["model"] == "spare"
    bench.first.release()
    assert {(await one).status_code for one in hanging} == {200}


# -- the client leaves ------------------------------------------------------------------------------------------------

FACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HELLO}),
    "several": ("/v1/chat/completions", {"messages": HELLO, "n": 2}),
    "completions": ("/v1/completions", {"prompt": "Hello"}),
    "responses": ("/v1/responses", {"input": "Hello"}),
    "messages": ("/v1/messages", {"messages": HELLO, "max_tokens": 9}),
    "Ollama's chat": ("/api/chat", {"messages": HELLO}),
    "Ollama's generate": ("/api/generate", {"prompt": "Hello"}),
}


@pytest.mark.parametrize("stalled", [Stall(), Stall(2)], ids=["before the first token", "in the middle"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("path", "body"), FACES.values(), ids=FACES)
async def test_who_leaves_takes_the_upstream_along(
    bench: Bench, path: str, body: dict[str, Any], streamed: bool, stalled: Stall
) -> None:
    wanted = body.get("n", 1)
    bench.first.script.extend([stalled] * wanted)
    data = json.dumps({"model": "gpt-5-nano", "stream": streamed, **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(data)}\r\n\r\n".encode()
    async with Connection.to(bench.served.port) as client:
        await client.send(head + data)
        await bench.first.until(lambda server: server.stalled == wanted)
        client.leave()
        await bench.first.until(lambda server: server.disconnects == wanted)
    assert (await bench.newest())["error"] == "cancelled"
    await bench.nothing_is_open()
