"""Asking models over GraphQL: the whole answer, and its pieces over WebSockets and server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from engine.llm.books import RequestEnded
from tests.server.graphql.test_graphql_subscriptions import Client, client
from tests.servers.loopback import PATIENCE_S, BreakWith, Stall, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Served

USAGE = {"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 8_000}}
COST = Decimal("0.00034")  # gpt-5-nano: 2,000 at 0.05, 8,000 cached at 0.005, 500 at 0.40 for a million
ASK = """mutation($input: LlmChatCompletionInput!) { llmChatCompletion(input: $input) {
  id model provider content reasoning finishReason costUsd route overheadMs
  toolCalls { id name arguments } notes { code text }
  choices { index finishReason message { role content name toolCalls { name } } }
  usage { promptTokens completionTokens totalTokens estimatedCost cacheReadTokens }
  routingInfo { selectedProvider routingStrategy latencyMs retryCount fallbackUsed }
  decision { id policy task model ranked { model reasons } attempts { model error } } } }"""
STREAM = """subscription($input: LlmChatCompletionInput, $of: String) { llmStream(input: $input, requestId: $of) {
  eventType requestId id model provider delta content token reasoning toolCall { index id name arguments } isComplete
  finished timestamp finishReason usage { totalTokens estimatedCost } costUsd error errorCode decision { policy } } }"""


def conversation(said: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5-nano", "messages": [{"role": "user", "content": said}], **more}


# -- whole ------------------------------------------------------------------------------------------------------------


async def test_an_answer_comes_whole_with_cost_and_decision(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda body: Reply("Hi there.", reasoning="A greeting.", usage=USAGE)
    found = (await app.data(ASK, input=conversation()))["llmChatCompletion"]
    assert (found["model"], found["provider"], found["content"]) == ("gpt-5-nano", "openai", "Hi there.")
    assert (found["reasoning"], found["finishReason"]) == ("A greeting.", "stop")
    assert Decimal(found["costUsd"]) == COST
    assert found["usage"] == {
        "promptTokens": 10_000, "completionTokens": 500, "totalTokens": 10_500, "estimatedCost": float(COST),
        "cacheReadTokens": 8_000,
    }  # fmt: skip
    (choice,) = found["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hi there.", "name": None, "toolCalls": []}
    assert found["routingInfo"]["selectedProvider"] == "openai"
    assert found["routingInfo"]["routingStrategy"] == "named"
    assert (found["routingInfo"]["retryCount"], found["routingInfo"]["fallbackUsed"]) == (0, False)
    assert found["decision"]["id"] == found["route"] == found["id"]
    assert found["decision"]["model"] == "openai/gpt-5-nano"
    kept = await app.data("query($id: String!) { request(id: $id) { model face } }", id=found["id"])
    assert kept["request"] == {"model": "gpt-5-nano", "face": "graphql"}


async def test_what_is_asked_comes_to_the_provider(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda body: Reply(tool_calls=[("weather", '{"city": "Oslo"}')])
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    asked = conversation(
        temperature=0.5,
        max_tokens=77,  # either case is taken
        topP=0.9,
        stop=["END"],
        seed=3,
        tools=[tool],
        toolChoice="auto",
        stream=True,
        messages=[
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Weather?", "images": ["data:image/png;base64,AA=="]},
            {"role": "assistant", "toolCalls": [{"id": "c1", "name": "weather", "arguments": "{}"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
    )
    found = (await app.data(ASK, input=asked))["llmChatCompletion"]
    assert found["finishReason"] == "tool_calls"
    assert found["toolCalls"] == [{"id": "call_0", "name": "weather", "arguments": '{"city": "Oslo"}'}]
    body = next(one.body for one in upstream.requests if one.path == "/v1/chat/completions")
    assert (body["top_p"], body["stop"], body["seed"]) == (0.9, ["END"], 3)
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["tools"][0]["function"]["name"] == "weather"
    assert [one["role"] for one in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png")
    assert body["messages"][2]["tool_calls"][0]["id"] == body["messages"][3]["tool_call_id"] == "c1"


async def test_wishes_and_whose_it_is_are_heeded(app: Served) -> None:
    asked = conversation(
        model="auto", user="invoices", projectId="wf_1", circuit_breaker={"task_type": "coding", "cache": True}
    )
    found = (await app.data(ASK, input=asked))["llmChatCompletion"]
    assert (found["decision"]["task"], found["decision"]["policy"]) == ("coding", "auto")
    kept = await app.data("query($id: String!) { request(id: $id) { app workflowId } }", id=found["id"])
    assert kept["request"] == {"app": "invoices", "workflowId": "wf_1"}
    again = (await app.data(ASK, input=asked))["llmChatCompletion"]
    assert [one["code"] for one in again["notes"]] == ["remembered"]
    over = conversation(model="auto", circuitBreaker={"budget": 0.0})
    assert await app.code(ASK, input=over) == "no_model_fits"


@pytest.mark.parametrize("name", ["LlmChatCompletionInput", "LlmchatCompletionInput"])
async def test_the_type_is_known_in_the_spellings_of_the_original(app: Served, name: str) -> None:
    answer = await app.data(ASK.replace("LlmChatCompletionInput", name), input=conversation())
    assert answer["llmChatCompletion"]["content"].startswith("You said")
    assert await app.code(ASK.replace("LlmChatCompletionInput", "LlmChatInput"), input=conversation()) == (
        "invalid_input"
    )


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (conversation(temperature=3), "temperature"),
        (conversation(maxTokens=0), "max_tokens"),
        (conversation(tools=["weather"]), "tools[0]"),
        (conversation(messages=[]), "messages"),
        (conversation(messages=[{"role": "boss", "content": "x"}]), "input.messages[0].role"),
        (conversation(circuitBreaker={"budget": -1.0}), "budget"),
    ],
)
async def test_what_is_wrong_is_named(app: Served, upstream: ScriptedOpenAI, asked: Any, path: str) -> None:
    error = (await app.ask(ASK, input=asked))["errors"][0]
    assert (error["extensions"]["code"], error["extensions"]["details"]["path"]) == ("invalid_input", path)
    assert not [one for one in upstream.requests if one.method == "POST"]


async def test_an_error_of_the_provider_keeps_its_code(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Status(401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    assert await app.code(ASK, input=conversation()) == "provider_auth"
    assert await app.code(ASK, input=conversation(model="gpt-6")) == "not_found"


async def test_a_client_that_leaves_ends_the_request(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Stall(after=2))
    with app.engine.bus.subscribe(RequestEnded) as ended:
        asking = asyncio.create_task(app.ask(ASK, input=conversation("one two three")))
        await upstream.until(lambda server: server.stalled == 1)
        asking.cancel()
        await upstream.until(lambda server: server.disconnects >= 1)
        assert await ended.arrived(PATIENCE_S)
        (event,) = ended.take()
    assert event.record.error == "cancelled"


# -- pieces -----------------------------------------------------------------------------------------------------------


async def heard(one: Client, id: str = "1") -> AsyncIterator[Any]:
    """The events of a subscription, to its end."""
    while (message := await one.hear())["type"] != "complete":
        assert message["id"] == id
        assert "errors" not in message["payload"], message
        yield message["payload"]["data"]["llmStream"]


async def test_an_answer_comes_in_pieces_over_a_websocket(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda body: Reply(
        "one two", reasoning="Hm.", tool_calls=[("weather", '{"city": 1}')], usage=USAGE
    )
    async with client(app) as one:
        await one.subscribe("1", STREAM, input=conversation())
        events = [event async for event in heard(one)]
    assert [event["eventType"] for event in events] == [
        "STREAM_START", "REASONING_DELTA", "CONTENT_DELTA", "CONTENT_DELTA",
        *["FUNCTION_CALL"] * (len(events) - 5), "STREAM_END",
    ]  # fmt: skip
    assert "".join(event["delta"] or "" for event in events) == "one two"
    assert all(event["delta"] == event["content"] == event["token"] for event in events)
    calls = [event["toolCall"] for event in events if event["toolCall"]]
    assert (calls[0]["id"], calls[0]["name"]) == ("call_0", "weather")
    assert "".join(call["arguments"] for call in calls) == '{"city": 1}'
    *before, last = events
    assert not any(event["isComplete"] or event["finished"] or event["usage"] for event in before)
    assert last["isComplete"]
    assert last["finished"]
    assert (last["finishReason"], last["usage"]["totalTokens"]) == ("tool_calls", 10_500)
    assert Decimal(last["costUsd"]) == COST
    assert last["decision"] == {"policy": "named"}
    assert len({event["requestId"] for event in events}) == 1
    assert last["requestId"] == last["id"]


async def test_the_same_comes_as_server_sent_events(app: Served) -> None:
    body = {"query": STREAM, "variables": {"input": conversation("a b")}}
    found, event = [], ""
    async with app.http.stream("POST", app.graphql, json=body, headers={"accept": "text/event-stream"}) as response:
        async for line in response.aiter_lines():
            event = line.removeprefix("event: ") if line.startswith("event: ") else event
            if line.startswith("data: ") and event == "next":
                found.append(json.loads(line.removeprefix("data: "))["data"]["llmStream"])
    assert "".join(one["delta"] or "" for one in found) == "You said: a b"
    assert found[-1]["eventType"] == "STREAM_END"


async def test_a_stream_that_breaks_says_so_as_its_last_event(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(BreakWith("the roof fell in", after=3))
    async with client(app) as one:
        await one.subscribe("1", STREAM, input=conversation("one two three"))
        events = [event async for event in heard(one)]
    assert events[-1]["eventType"] == "STREAM_ERROR"
    assert events[-1]["errorCode"].startswith("provider_")
    assert events[-1]["error"]
    assert not any(event["eventType"] == "STREAM_END" for event in events)


async def test_before_it_begins_an_error_is_an_error(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Status(401))
    async with client(app) as one:
        await one.subscribe("1", STREAM, input=conversation())
        message = await one.hear()
        assert message["payload"]["errors"][0]["extensions"]["code"] == "provider_auth"


@pytest.mark.parametrize("after", [None, 2], ids=["before the first chunk", "in the middle"])
@pytest.mark.parametrize("how", ["complete", "vanish"])
async def test_a_subscriber_that_leaves_closes_the_upstream(
    app: Served, upstream: ScriptedOpenAI, after: int | None, how: str
) -> None:
    upstream.script.append(Stall(after=after))
    with app.engine.bus.subscribe(RequestEnded) as ended:
        async with client(app) as one:
            await one.subscribe("1", STREAM, input=conversation("one two three"))
            await upstream.until(lambda server: server.stalled == 1)
            if how == "complete":
                await one.say(id="1", type="complete")
            else:
                one.socket.transport.abort()
            await upstream.until(lambda server: server.disconnects >= 1)
            assert await ended.arrived(PATIENCE_S)
            (event,) = ended.take()
    assert event.record.error == "cancelled"


async def test_a_reader_of_events_that_leaves_closes_the_upstream(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Stall(after=2))
    body = {"query": STREAM, "variables": {"input": conversation("one two three")}}
    with app.engine.bus.subscribe(RequestEnded) as ended:
        async with app.http.stream("POST", app.graphql, json=body, headers={"accept": "text/event-stream"}):
            await upstream.until(lambda server: server.stalled == 1)
        await upstream.until(lambda server: server.disconnects >= 1)
        assert await ended.arrived(PATIENCE_S)


async def test_a_request_that_is_over_has_an_end(app: Served) -> None:
    done = (await app.data(ASK, input=conversation()))["llmChatCompletion"]
    async with client(app) as one:
        await one.subscribe("1", STREAM, of=done["id"])
        (event,) = [event async for event in heard(one)]
        assert (event["eventType"], event["isComplete"]) == ("STREAM_END", True)
        assert event["usage"]["totalTokens"] == done["usage"]["totalTokens"]
        for id, code in (("nobody", "not_found"), (None, "invalid_input")):
            await one.subscribe("2", STREAM, of=id)
            message = await one.hear()
            assert message["payload"]["errors"][0]["extensions"]["code"] == code
            assert (await one.hear())["type"] == "complete"
