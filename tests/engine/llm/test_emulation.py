"""Tools in words: what is told to a model that has none, and what is read from its answer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import NoModelFits
from engine.llm.emulation import NOTE, calls_read, described
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Finished,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.service import Llm
from engine.store.memory.store import MemoryStore
from tests.support import ScriptedProvider, llm_of, model

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = '{"tool_calls": [{"name": "weather", "arguments": {"city": "Bonn"}}]}'
END = Finished("stop", Usage(1))


async def read(*pieces: str) -> list:
    async def stream():
        for piece in pieces:
            yield TextDelta(piece)
        yield END

    numbers = iter("123456789")
    return [chunk async for chunk in calls_read(stream(), (TOOL,), lambda: next(numbers))]


@given(st.lists(st.integers(0, len(CALL)), max_size=6))
async def test_a_call_is_found_however_it_is_split(places):
    cuts = [0, *sorted(places), len(CALL)]
    got = await read(*(CALL[a:b] for a, b in pairwise(cuts)))
    assert got == [NOTE, ToolCallDelta(0, "call_1", "weather", '{"city":"Bonn"}'), Finished("tool_calls", Usage(1))]


@pytest.mark.parametrize(
    "said", [f"```json\n{CALL}\n```", '{"name": "weather", "arguments": {"city": "Bonn"}}', f"  {CALL}"]
)
async def test_calls_are_found_as_models_write_them(said):
    assert (await read(said))[1] == ToolCallDelta(0, "call_1", "weather", '{"city":"Bonn"}')


@pytest.mark.parametrize(
    "said",
    ["Hello", '{"answer": 42}', '{"tool_calls": [{"name": "rm", "arguments": {}}]}', "{", "", "```py\nx\n```", "[1]"],
)
async def test_anything_else_comes_as_it_was_said(said):
    got = await read(*said)
    assert "".join(chunk.text for chunk in got if isinstance(chunk, TextDelta)) == said
    assert got[-1] == END


async def test_plain_words_are_not_held_back():
    got = await read("Hel", "lo")
    assert got == [NOTE, TextDelta("Hel"), TextDelta("lo"), END]


def test_what_is_told():
    turns = (
        ChatMessage.of("user", "Weather?"),
        ChatMessage("assistant", (), (ToolCall("c", "weather", '{"city":"Bonn"}'),)),
        ChatMessage("tool", (Text("sunny"),), tool_call_id="c"),
    )
    asked = described(ChatRequest("x", turns, tools=(TOOL,)))
    assert not asked.tools
    assert '"name":"weather"' in asked.messages[0].text
    assert [message.text for message in asked.messages[2:]] == [
        '{"tool_calls":[{"name":"weather","arguments":{"city":"Bonn"}}]}', "weather gave: sunny",
    ]  # fmt: skip
    forced = described(ChatRequest("x", turns, tools=(TOOL,), tool_choice="required"))
    assert forced.sampling.response_format
    assert "must call" in forced.messages[0].text
    none = described(ChatRequest("x", turns, tools=(TOOL,), tool_choice="none"))
    assert (none.messages, none.tools) == (turns, ())


WIDE = 123456789012345678901234567890


def test_whole_numbers_that_are_wider_than_64_bits_are_told():
    limited = {"name": "weather", "parameters": {"type": "object", "properties": {"id": {"maximum": WIDE}}}}
    turn = ChatMessage("assistant", (), (ToolCall("c", "weather", f'{{"id":{WIDE}}}'),))
    asked = described(ChatRequest("x", (turn,), tools=({"type": "function", "function": limited},)))
    assert f'"maximum": {WIDE}' in asked.messages[0].text
    assert str(WIDE) in asked.messages[1].text


async def test_whole_numbers_that_are_wider_than_64_bits_are_read():
    (_, call, _) = await read(CALL.replace('"Bonn"', str(WIDE)))
    assert call.arguments == f'{{"city": {WIDE}}}'


@pytest.mark.parametrize("said", [CALL.replace('"Bonn"', "NaN"), '{"tool_calls": ' + "[" * 100_000])
async def test_what_is_no_json_is_no_call(said):
    got = await read(said)
    assert "".join(chunk.text for chunk in got if isinstance(chunk, TextDelta)) == said


async def test_only_where_it_is_switched_on(bus, clock):
    store = MemoryStore()
    provider = ScriptedProvider("a", [model("a", "plain")], [[TextDelta(CALL), END]])
    refusing = await llm_of([provider], store.journal, bus, clock.world)
    ask = ChatRequest("plain", (ChatMessage.of("user", "Weather?"),), tools=(TOOL,))
    with pytest.raises(NoModelFits, match="cannot call tools"):
        await refusing.chat(ask, PROGRAM)
    world = clock.world
    willing = Llm({"a": provider}, refusing.catalog, refusing.discovery, store.journal, bus, world, emulate_tools=True)
    found = await willing.chat(ask, PROGRAM)
    whole = await found.whole()
    assert [call.name for call in whole.tool_calls] == ["weather"]
    assert whole.finish == "tool_calls"
    assert found.record.warnings == (NOTE.text,)
    assert provider.open == 0
