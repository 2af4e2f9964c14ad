"""The same models through each face: OpenAI's responses and completions, and Anthropic's messages, with their own
clients."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import openai
import pytest

from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Process

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = [{"role": "user", "content": "Hello"}]


def weather(body: Mapping[str, Any]) -> Reply:
    """Calls the tool it is offered, twice, and then says what came back."""
    given = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if given:
        return Reply(f"It is {' and '.join(given)}.")
    return Reply(
        "Let me see.", "I need the weather", [("weather", '{"city": "Bonn"}'), ("weather", '{"city": "Rome"}')]
    )


@pytest.fixture
def claude(process: Process, behaving: None) -> Iterator[anthropic.Anthropic]:
    address = process.openai.removesuffix("/v1")
    with anthropic.Anthropic(base_url=address, api_key="unused", max_retries=0) as found:
        yield found


# -- OpenAI: responses ------------------------------------------------------------------------------------------------


def test_a_response_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="gpt-5-nano", input="Hello", instructions="Be brief")
    assert (whole.output_text, whole.status, whole.model) == ("You said: Hello", "completed", "gpt-5-nano")
    assert whole.usage
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(model="gpt-5-nano", input="Hello", instructions="Be brief") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))  # type: ignore[union-attr]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


def test_a_response_with_tools_goes_round(client: openai.OpenAI, upstream: ScriptedOpenAI) -> None:
    upstream.reply = weather
    tool: Any = {"type": "function", "name": "weather", "parameters": SCHEMA}
    said: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]}]
    with client.responses.stream(model="gpt-5-nano", input=said, tools=[tool]) as stream:
        first = stream.get_final_response()
    kinds = [item.type for item in first.output]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Bonn", "Rome"]
    said += [item.model_dump(exclude_none=True) for item in first.output]
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    last = client.responses.create(model="gpt-5-nano", input=said, tools=[tool])
    assert last.output_text == "It is sunny and sunny."
    asked = upstream.requests[-1].body["messages"]
    assert [message["role"] for message in asked] == ["user", "assistant", "tool", "tool"]


def test_a_response_that_was_cut_is_incomplete_and_memory_is_refused(
    client: openai.OpenAI, upstream: ScriptedOpenAI
) -> None:
    upstream.reply = lambda _: Reply("and so", finish="length")
    cut = client.responses.create(model="gpt-5-nano", input="Hello", max_output_tokens=2)
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    with pytest.raises(openai.BadRequestError, match="previous_response_id") as caught:
        client.responses.create(model="gpt-5-nano", input="Hello", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"


def test_a_responses_body_at_chat_completions_is_understood(client: openai.OpenAI) -> None:
    answer = client.post("/chat/completions", body={"model": "gpt-5-nano", "input": "Hello"}, cast_to=object)
    assert answer["choices"][0]["message"]["content"] == "You said: Hello"  # type: ignore[index]


# -- OpenAI: completions and several choices --------------------------------------------------------------------------


def test_completions_whole_several_and_streamed(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="gpt-5-nano", prompt=["One", "Two"], echo=True)
    assert [choice.text for choice in whole.choices] == ["OneYou said: One", "TwoYou said: Two"]
    stream = client.completions.create(
        model="gpt-5-nano", prompt="One", stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "You said: One"
    assert chunks[-1].usage
    with pytest.raises(openai.BadRequestError, match="not text"):
        client.completions.create(model="gpt-5-nano", prompt=[1, 2, 3])


def test_several_choices(client: openai.OpenAI, upstream: ScriptedOpenAI) -> None:
    numbers = iter(range(100))
    upstream.reply = lambda _: Reply(f"Answer {next(numbers)}")
    whole = client.chat.completions.create(model="gpt-5-nano", messages=HELLO, n=3)  # type: ignore[arg-type]
    assert sorted(str(choice.message.content) for choice in whole.choices) == ["Answer 0", "Answer 1", "Answer 2"]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts = {0: "", 1: ""}
    stream = client.chat.completions.create(
        model="gpt-5-nano", messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}  # type: ignore[arg-type]
    )  # fmt: skip
    usage = None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert sorted(texts.values()) == ["Answer 3", "Answer 4"]
    assert usage


# -- Anthropic: messages ----------------------------------------------------------------------------------------------


def test_a_message_and_its_stream_say_the_same(claude: anthropic.Anthropic) -> None:
    ask: dict[str, Any] = {"model": "gpt-5-nano", "max_tokens": 50, "messages": HELLO, "system": "Be brief"}
    whole = claude.messages.create(**ask)
    assert (whole.content[0].text, whole.stop_reason) == ("You said: Hello", "end_turn")  # type: ignore[union-attr]
    with claude.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert (text, final.content[0].text) == ("You said: Hello", "You said: Hello")  # type: ignore[union-attr]
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    assert claude.messages.count_tokens(model="gpt-5-nano", messages=HELLO).input_tokens > 0  # type: ignore[arg-type]


def test_a_message_with_tools_goes_round(claude: anthropic.Anthropic, upstream: ScriptedOpenAI) -> None:
    upstream.reply = weather
    tool: Any = {"name": "weather", "input_schema": SCHEMA}
    said: list[Any] = [{"role": "user", "content": "Weather?"}]
    with claude.messages.stream(model="gpt-5-nano", max_tokens=90, messages=said, tools=[tool]) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    assert [block.type for block in first.content] == ["thinking", "text", "tool_use", "tool_use"]
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Bonn"}, {"city": "Rome"}]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    said += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    last = claude.messages.create(model="gpt-5-nano", max_tokens=90, messages=said, tools=[tool])
    assert last.content[0].text == "It is sunny and sunny."  # type: ignore[union-attr]


def test_a_tool_that_gave_nothing_is_a_result_too(claude: anthropic.Anthropic, upstream: ScriptedOpenAI) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    for nothing in (None, [], ""):
        result = {"type": "tool_result", "tool_use_id": "t1", "content": nothing}
        said: list[Any] = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        claude.messages.create(model="gpt-5-nano", max_tokens=5, messages=[*HELLO, *said])
        assert upstream.requests[-1].body["messages"][-1]["role"] == "tool"
    said[-1]["content"][0]["content"] = 7
    with pytest.raises(anthropic.BadRequestError, match="content"):
        claude.messages.create(model="gpt-5-nano", max_tokens=5, messages=[*HELLO, *said])


def test_errors_are_of_the_types_that_anthropics_clients_catch(
    claude: anthropic.Anthropic, upstream: ScriptedOpenAI
) -> None:
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="gpt-5-nan", max_tokens=5, messages=HELLO)  # type: ignore[arg-type]
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        claude.messages.create(model="gpt-5-nano", max_tokens=5, messages=[{"role": "robot", "content": ""}])  # type: ignore[typeddict-item]
