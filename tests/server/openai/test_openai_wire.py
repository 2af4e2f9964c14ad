"""Requests as they come and answers as they go: what is understood, what is refused and how it is named."""

import asyncio
import base64
import struct
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engine.kernel.errors import InvalidInput
from engine.llm.answering import Answer, Completion
from engine.llm.messages import (
    ChatMessage,
    Chunk,
    Embeddings,
    Finished,
    Image,
    Preferences,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model, ProviderStatus
from engine.llm.routing import Decision, Needs
from engine.llm.routing.policies import BUILT_IN
from server.anthropic.wire import MessagesRequest
from server.bodies import read
from server.openai import wire
from server.openai.wire import ChatCompletionRequest, EmbeddingsRequest

HELLO = [{"role": "user", "content": "Hello"}]


def chat(**body: Any) -> Any:
    return read(ChatCompletionRequest, {"model": "m", "messages": HELLO, **body}).request()


# -- in ---------------------------------------------------------------------------------------------------------------


def test_a_conversation_with_everything() -> None:
    request = chat(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "system", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "kind."}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "image_url", "image_url": "https://example.org/x.png"},
            ]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "function", "name": "old", "content": "42"},
        ]
    )  # fmt: skip
    developer, system, user, assistant, tool, refusal, function = request.messages
    assert (developer.role, developer.text) == ("system", "Be brief.")
    assert system.text == "And kind."
    assert user.parts == (Text("What is it?"), Image("data:image/png;base64,AA=="), Image("https://example.org/x.png"))
    assert request.has_images
    assert assistant.tool_calls == (ToolCall("call_1", "look", '{"at":1}'),)
    assert assistant.parts == ()
    assert (tool.role, tool.tool_call_id, tool.text) == ("tool", "call_1", "a cat")
    assert refusal.text == "No."
    assert (function.role, function.name) == ("tool", "old")


def test_sampling_and_what_is_not_known_is_kept() -> None:
    request = chat(
        temperature=0.5,
        top_p=1,
        max_tokens=5,
        stop="x",
        seed=7,
        user="me",
        logit_bias={"1": 2},
        tools=[{"type": "function"}],
    )
    assert (request.sampling.temperature, request.sampling.max_tokens, request.sampling.stop) == (0.5, 5, ("x",))
    assert request.tools == ({"type": "function"},)
    assert request.extra == {"user": "me", "logit_bias": {"1": 2}}


def test_the_newer_name_of_a_limit_wins() -> None:
    assert chat(max_tokens=5, max_completion_tokens=9).sampling.max_tokens == 9
    assert chat(max_completion_tokens=9).sampling.max_tokens == 9
    assert chat(stop=["a", "b"]).sampling.stop == ("a", "b")


def test_null_is_the_same_as_absent() -> None:
    """Clients in typed languages send every field."""
    names = "stream stream_options temperature top_p max_tokens max_completion_tokens stop seed n response_format tools"
    nothing = dict.fromkeys([*names.split(), "tool_choice", "circuit_breaker"])
    message = {"role": "user", "content": "Hello", "name": None, "tool_calls": None, "tool_call_id": None}
    assert chat(messages=[message], **nothing) == chat()
    asked = read(ChatCompletionRequest, {"model": "m", "messages": HELLO, "stream_options": {"include_usage": None}})
    assert not asked.wants_usage


def test_preferences() -> None:
    wishes = {"routing_strategy": "cost_optimized", "max_cost_per_1k_tokens": 0.002, "task_type": "coding", "more": 1}
    found = chat(circuit_breaker={**wishes, "fallback_models": ["a"]}).preferences
    assert (found.routing_strategy, found.max_cost_per_1k_tokens, found.task_type) == (
        "cost_optimized",
        0.002,
        "coding",
    )
    assert found.fallback_models == ("a",)
    assert chat(circuit_breaker={"routing_strategy": None}).preferences == chat().preferences


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": "x" * 301}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{}]}, "messages[0].role"),
        ({"messages": [*HELLO, {"role": "wizard", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": {"text": "x"}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "function": {}}]}]},
         "messages[0].tool_calls[0].function.name"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a", 5]}, "stop[1]"),
        ({"tools": {}}, "tools"),
        ({"stream_options": {"include_usage": 5}}, "stream_options.include_usage"),
        ({"circuit_breaker": {"fallback_models": "x"}}, "circuit_breaker.fallback_models"),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        chat(**body)
    assert refused.value.details["path"] == param
    assert param in str(refused.value)


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        chat(messages=HELLO * 10_001)
    assert refused.value.details["path"] == "messages"
    assert len(chat(messages=HELLO * 10_000).messages) == 10_000


def embed(**body: Any) -> Any:
    return read(EmbeddingsRequest, {"model": "m", "input": "x", **body}).request()


def test_inputs_of_embeddings() -> None:
    assert embed().inputs == ("x",)
    assert embed(input=["a", "b"], dimensions=64, encoding_format=None, user="me").inputs == ("a", "b")
    assert embed(dimensions=64).dimensions == 64


@pytest.mark.parametrize("ids", [[15339, 1917, 0], [[15339, 1917, 0]]])
def test_token_ids_come_as_text_and_as_they_are(ids: Any) -> None:
    asked = embed(input=ids)
    assert (asked.inputs, asked.token_ids) == (("hello world!",), ((15339, 1917, 0),))
    assert embed(input=[[15339], [1917]]).inputs == ("hello", " world")


def test_half_a_character_is_left_out() -> None:
    snowman = [18107, 225, 225]  # three tokens of three bytes
    assert embed(input=[snowman, snowman[:2], [15339]]).inputs[2] == "hello"
    assert "\ufffd" not in "".join(embed(input=[snowman, snowman[:2]]).inputs)


@pytest.mark.parametrize("ids", [[100_300], [[15339], [-1]]])
def test_ids_that_there_are_not_are_refused_with_the_way_out(ids: Any) -> None:
    with pytest.raises(InvalidInput, match="check_embedding_ctx_length=False") as refused:
        embed(input=ids)
    assert refused.value.details["path"] == "input"


@pytest.mark.parametrize(
    ("body", "param"),
    [({"input": 5}, "input"), ({"input": [["a"]]}, "input[0][0]"), ({"encoding_format": "hex"}, "encoding_format")],
)
def test_wrong_inputs_are_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        embed(**body)
    assert refused.value.details["path"] == param


# -- out --------------------------------------------------------------------------------------------------------------


def test_a_completion() -> None:
    done = Completion(ChatMessage.of("assistant", "Hi"), "stop", Usage(3, 2, 0, 4))
    assert wire.completion_json("1", 5, Model("p", "m"), [wire.choice_json(0, done)], done.usage) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 4,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_a_completion_with_calls_has_no_content() -> None:
    said = ChatMessage("assistant", (Reasoning("hm"),), (ToolCall("c", "f", "{}"),))
    done = Completion(said, "tool_calls", Usage())
    message = wire.choice_json(0, done)["message"]
    assert message["content"] is None
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"] == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_deltas() -> None:
    assert wire.delta_of(TextDelta("a")) == ({"content": "a"}, None)
    assert wire.delta_of(ReasoningDelta("a")) == ({"reasoning_content": "a", "reasoning": "a"}, None)
    first = {"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert wire.delta_of(ToolCallDelta(1, "c", "f")) == ({"tool_calls": [first]}, None)
    later = {"index": 1, "function": {"arguments": '{"a'}}
    assert wire.delta_of(ToolCallDelta(1, arguments='{"a')) == ({"tool_calls": [later]}, None)
    assert wire.delta_of(Finished("length", Usage())) == ({}, "length")


def test_vectors_in_both_forms() -> None:
    found = Embeddings("m", ((0.5, -1.0), (2.0, 0.0)), Usage(3))
    plain = wire.embeddings_json(found, None)
    assert [row["embedding"] for row in plain["data"]] == [(0.5, -1.0), (2.0, 0.0)]
    packed = wire.embeddings_json(found, "base64")
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.0)
    assert plain["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_a_name_that_two_providers_have_is_listed_with_its_provider() -> None:
    providers = [
        ProviderStatus("a", "A", "up", models=(Model("a", "same"), Model("a", "auto"))),
        ProviderStatus("b", "B", "up", models=(Model("b", "same"),)),
        ProviderStatus("c", "C", "down", models=(Model("c", "gone"),)),
    ]
    rows = wire.models_json(providers, {"auto": BUILT_IN["auto"]}, 5)
    assert [row["id"] for row in rows] == ["auto", "same", "a/auto", "b/same", "gone"]
    assert [row["id"] for row in rows if not row.get("available", True)] == ["gone"]


async def test_a_bug_in_one_of_several_answers_ends_the_stream() -> None:
    async def broken() -> AsyncGenerator[Chunk, None]:
        yield TextDelta("a")
        raise RuntimeError("a bug")

    decision = Decision("auto", "auto", (), (), Needs("auto", 0, 0))
    answers = [Answer("1", decision, Model("p", "m"), 0, 1, 0.0, broken()) for _ in range(2)]

    async def read_on() -> None:
        async for _ in wire.merged_events(answers, {}, counted=False):
            pass

    with pytest.raises(RuntimeError):
        await asyncio.wait_for(read_on(), 5)


def test_a_header_that_is_no_ascii_does_not_go_along() -> None:
    asked = read(MessagesRequest, {"model": "m", "messages": HELLO})
    headers = {"anthropic-beta": "b\udcff", "anthropic-version": "2023-06-01"}
    assert asked.request({}, headers, Preferences()).headers == {"anthropic-version": "2023-06-01"}
