"""/v1/chat/completions over sockets: the order of a stream, errors before and in it, and clients that leave."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.kernel.bus import Missed
from engine.llm.books import RequestEnded
from engine.store.ports import RequestRecord
from server.protocol import Limits
from tests.servers.loopback import PATIENCE_S, BreakWith, Drop, EndEarly, Raw, Stall, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Served, events, served, sse
from tests.support import turns_of_the_loop

BODY = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = {**BODY, "stream": True}


async def streamed(app: Served, **more: Any) -> tuple[httpx.Response, list[str]]:
    async with app.http.stream("POST", f"{app.openai}/chat/completions", json={**STREAM, **more}) as response:
        return response, await sse(response)


async def next_record(app: Served, changes: Any) -> RequestRecord:
    async with asyncio.timeout(PATIENCE_S):
        async for change in changes:
            assert not isinstance(change, Missed)
            record: RequestRecord = change.record
            return record
    raise AssertionError


async def test_a_whole_answer(app: Served) -> None:
    answer = await app.chat()
    body = answer.json()
    assert answer.status_code == 200
    assert body["choices"][0]["message"]["content"] == "You said: Hello"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert (body["model"], answer.headers["x-cb-model"], answer.headers["x-cb-provider"]) == (
        "gpt-5-nano",
        "gpt-5-nano",
        "openai",
    )
    assert answer.headers["x-cb-attempts"] == "1"
    assert float(answer.headers["x-cb-overhead-ms"]) >= 0
    route = await app.http.get(f"{app.openai}/routes/{answer.headers['x-cb-route']}")
    assert route.json()["model"] == "gpt-5-nano"
    assert route.json()["usage"]["total_tokens"] == body["usage"]["total_tokens"]


async def test_a_stream_comes_in_openais_order(app: Served) -> None:
    response, lines = await streamed(app, stream_options={"include_usage": True})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-cb-model"] == "gpt-5-nano"
    *chunks, counted, done = events(lines)
    assert done == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["delta"] for chunk in chunks[1:-1]] == [
        {"content": "You "},
        {"content": "said: "},
        {"content": "Hello"},
    ]
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert counted["choices"] == []
    assert counted["usage"]["completion_tokens"] == 3
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in [*chunks, counted]}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


async def test_usage_comes_only_when_asked_for(app: Served) -> None:
    _, lines = await streamed(app)
    assert all("usage" not in chunk for chunk in events(lines)[:-1])


async def test_tool_calls_come_in_pieces_under_their_index(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda _: Reply(tool_calls=[("look", '{"at": 1}'), ("take", '{"what": "it"}')])
    _, lines = await streamed(app, tools=[{"type": "function", "function": {"name": "look"}}])
    calls: dict[int, list[Mapping[str, Any]]] = {0: [], 1: []}
    for chunk in events(lines)[:-1]:
        for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
            calls[call["index"]].append(call)
    for index, (name, arguments) in enumerate([("look", {"at": 1}), ("take", {"what": "it"})]):
        first, *rest = calls[index]
        assert (first["id"], first["type"], first["function"]["name"]) == (f"call_{index}", "function", name)
        assert all("id" not in call and "name" not in call["function"] for call in rest)
        assert json.loads("".join(call["function"]["arguments"] for call in calls[index])) == arguments
    assert events(lines)[-2]["choices"][0]["finish_reason"] == "tool_calls"
    whole = (await app.chat()).json()["choices"][0]
    assert [call["function"]["name"] for call in whole["message"]["tool_calls"]] == ["look", "take"]


async def test_unknown_fields_reach_an_upstream_that_speaks_openai(app: Served, upstream: ScriptedOpenAI) -> None:
    await app.chat(metadata={"a": "b"}, circuit_breaker={"task_type": "coding"})
    sent = next(request.body for request in upstream.requests if request.path.endswith("/chat/completions"))
    assert sent["metadata"] == {"a": "b"}
    assert "circuit_breaker" not in sent


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_stream_has_a_status(app: Served, upstream: ScriptedOpenAI, stream: bool) -> None:
    answer = await app.chat(model="gtp-5-nano", stream=stream)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("model_not_found", "model", "invalid_request_error")
    assert "gpt-5-nano" in error["message"]
    upstream.script.append(Status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))
    refused = await app.chat(stream=stream)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert "sk-test" not in refused.text


async def test_when_to_come_back_is_passed_on(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.extend([Status(429, headers={"retry-after": "70"})] * 5)
    answer = await app.chat()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "70")
    assert answer.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    "fault",
    [
        BreakWith("overloaded", 2),
        Drop(2),
        EndEarly(2),
        Raw((b'data: {"error": {"message": "x"}}\n\n',), "text/event-stream"),
    ],
    ids=["error", "cut", "early", "at once"],
)
async def test_an_error_in_the_stream_ends_it_without_done(app: Served, upstream: ScriptedOpenAI, fault: Any) -> None:
    upstream.script.extend([fault] * 5)
    with app.engine.bus.subscribe(RequestEnded) as changes:
        response, lines = await streamed(app)
        record = await next_record(app, changes)
    assert record.error
    if response.status_code != 200:  # it failed before the first chunk
        assert isinstance(fault, Raw)
        return
    found = events(lines)
    assert "[DONE]" not in found
    assert found[-1]["error"]["message"]
    assert found[-1]["choices"][0]["finish_reason"] == "error"
    assert record.error == found[-1]["error"]["code"]


async def test_a_bug_in_the_stream_is_hidden_and_said(
    app: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("server.openai.wire.delta_of", broken)
    _, lines = await streamed(app)
    last = events(lines)[-1]
    assert last["error"]["code"] == "internal"
    assert "secret detail" not in json.dumps(last)
    assert "secret detail" in caplog.text


async def test_comments_keep_a_client_waiting_while_a_model_loads(upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Stall())
    limits = Limits(headers_s=0.01, keep_alive_s=0.01)
    async with (
        served(upstream, limits=limits) as app,
        app.http.stream("POST", f"{app.openai}/chat/completions", json=STREAM) as response,
    ):
        assert response.status_code == 200
        assert "x-cb-model" not in response.headers  # nobody knew yet
        lines = response.aiter_lines()
        comments = [line async for line in _first(lines, 5) if line]
        upstream.release()
        rest = [line async for line in lines if line]
    assert comments[0] == ": waiting for the model"
    assert all(line.startswith(":") for line in comments)
    found = events(rest)
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert found[-1] == "[DONE]"


async def test_comments_keep_a_client_waiting_for_several_answers(upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Stall())
    limits = Limits(headers_s=0.01, keep_alive_s=0.01)
    async with (
        served(upstream, limits=limits) as app,
        app.http.stream("POST", f"{app.openai}/chat/completions", json={**STREAM, "n": 2}) as response,
    ):
        lines = response.aiter_lines()
        comments = [line async for line in _first(lines, 5) if line]
        upstream.release()
        rest = [line async for line in lines if line]
    assert comments[0] == ": waiting for the model"
    assert all(line.startswith(":") for line in comments)
    found = events(rest)
    assert {chunk["choices"][0]["index"] for chunk in found[:-1]} == {0, 1}
    assert found[-1] == "[DONE]"


async def test_one_of_several_answers_that_fails_after_the_comments_closes_the_others(
    upstream: ScriptedOpenAI,
) -> None:
    upstream.script += [Stall(after=2), Stall()]
    limits = Limits(headers_s=0.01, keep_alive_s=0.01)
    async with (
        served(upstream, limits=limits) as app,
        app.http.stream("POST", f"{app.openai}/chat/completions", json={**STREAM, "n": 2}) as response,
    ):
        lines = response.aiter_lines()
        assert [line async for line in _first(lines, 1)] == [": waiting for the model"]
        await upstream.until(lambda server: server.stalled == 2)
        upstream.models.clear()
        upstream.release()
        rest = [line async for line in lines if line.startswith("data")]
        (only,) = events(rest)
        assert only["error"]["message"]
        await turns_of_the_loop(lambda: app.engine.llm.health.under_way() == {})


async def test_an_error_after_the_comments_is_said_in_the_stream(upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Stall())
    limits = Limits(headers_s=0.01, keep_alive_s=0.01)
    async with (
        served(upstream, limits=limits) as app,
        app.http.stream("POST", f"{app.openai}/chat/completions", json=STREAM) as response,
    ):
        lines = response.aiter_lines()
        assert [line async for line in _first(lines, 1)] == [": waiting for the model"]
        upstream.models.clear()  # it is not there any more when the upstream comes to it
        upstream.release()
        rest = [line async for line in lines if line]
    (only,) = events(rest)
    assert only["error"]["message"]
    assert only["choices"][0]["finish_reason"] == "error"


async def _first(lines: Any, count: int) -> Any:
    async for line in lines:
        yield line
        count -= 1
        if not count:
            return


# -- clients that leave -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_before_the_first_chunk_closes_the_upstream(
    app: Served, upstream: ScriptedOpenAI, stream: bool
) -> None:
    upstream.script.append(Stall())
    with app.engine.bus.subscribe(RequestEnded) as changes:
        asking = asyncio.create_task(app.chat(stream=stream))
        await upstream.until(lambda server: server.stalled == 1)
        assert upstream.disconnects == 0
        asking.cancel()
        await upstream.until(lambda server: server.disconnects == 1)
        record = await next_record(app, changes)
    assert (record.error, record.model) == ("cancelled", "gpt-5-nano")
    assert await app.engine.llm.request(record.id) == record


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_in_the_middle_closes_the_upstream_and_the_cost_is_written(
    app: Served, upstream: ScriptedOpenAI, stream: bool
) -> None:
    upstream.script.append(Stall(after=3))
    with app.engine.bus.subscribe(RequestEnded) as changes:
        if stream:
            async with app.http.stream("POST", f"{app.openai}/chat/completions", json=STREAM) as response:
                assert [line async for line in _first(response.aiter_lines(), 1)]
                await upstream.until(lambda server: server.stalled == 1)
        else:
            asking = asyncio.create_task(app.chat())
            await upstream.until(lambda server: server.stalled == 1)
            asking.cancel()
        await upstream.until(lambda server: server.disconnects == 1)
        record = await next_record(app, changes)
    assert record.error == "cancelled"
    assert record.usage.output > 0
    assert not record.usage.counted
    assert await app.engine.llm.request(record.id) == record


async def test_many_streams_at_once_do_not_mix(app: Served, upstream: ScriptedOpenAI) -> None:
    async def one(number: int) -> str:
        _, lines = await streamed(app, messages=[{"role": "user", "content": f"number {number}"}])
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in events(lines)[:-1])

    assert await asyncio.gather(*map(one, range(30))) == [f"You said: number {number}" for number in range(30)]
    assert upstream.disconnects == 0


# -- several answers --------------------------------------------------------------------------------------------------


async def test_one_of_several_answers_that_breaks_off_closes_the_others(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.extend([Stall(2), BreakWith({"error": {"message": "no", "type": "server_error"}}, after=3)])
    answer = await app.chat(n=2)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_unavailable")
    await upstream.until(lambda server: server.disconnects >= 1)  # the one that broke may be closed before its end too
    assert app.engine.llm.health.under_way() == {}


async def test_several_answers_cost_what_all_of_them_cost(app: Served) -> None:
    one, two = await app.chat(), await app.chat(n=2)
    assert float(two.headers["x-cb-cost-usd"]) == pytest.approx(2 * float(one.headers["x-cb-cost-usd"])) != 0


async def test_one_of_several_prompts_that_is_refused_closes_the_others(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.extend([Stall(2), Status(400)])
    body = {"model": "gpt-5-nano", "prompt": ["a", "b"]}
    answer = await app.http.post(f"{app.openai}/completions", json=body)
    assert answer.status_code == 400
    await upstream.until(lambda server: server.disconnects == 1)
    assert app.engine.llm.health.under_way() == {}


# -- who asks ---------------------------------------------------------------------------------------------------------


async def test_who_calls_itself_what_is_no_text_is_written_down_too(upstream: ScriptedOpenAI, tmp_path: Path) -> None:
    environ = {"CIRCUIT_BREAKER_STORE": f"sqlite:///{tmp_path}/test.db"}
    async with served(upstream, environ=environ) as app:
        for _ in range(2):
            answer = await app.http.post(
                f"{app.openai}/chat/completions", json=BODY, headers={"user-agent": b"caf\xe9\xff/1.0"}
            )
            route = await app.http.get(f"{app.openai}/routes/{answer.headers['x-cb-route']}")
            assert route.status_code == 200
        (newest, _) = await app.engine.llm.requests()
        assert newest.app == "caf??/1.0"
