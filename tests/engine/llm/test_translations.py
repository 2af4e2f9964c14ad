"""There and back: an answer that is said back in the next turn is what was answered, in OpenAI's words and in Ollama's.
Anthropic's and Google's are beside their providers' tests."""

import asyncio
import json
from collections.abc import AsyncGenerator

from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.world import World
from engine.llm.answering import Completion, gathered
from engine.llm.dialects.openai import chat_body
from engine.llm.framing import Event
from engine.llm.messages import ChatMessage, ChatRequest, Reasoning, Signature, Text, ToolCall
from engine.llm.model import Model
from engine.llm.providers.ollama.answers import chunks_in
from engine.llm.providers.ollama.requests import chat_body as ollama_body
from engine.llm.providers.openai.answers import completion
from engine.llm.wire import Address, Wire

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
NAMES = st.text("abcXYZ019_-", min_size=1, max_size=12)
INPUTS = st.dictionaries(WORDS, st.one_of(st.integers(-(2**53), 2**53), WORDS, st.booleans()), max_size=3)
SIGNED = st.one_of(st.none(), st.builds(Signature, st.sampled_from(["google", "anthropic"]), NAMES))
CALLS = st.lists(st.tuples(NAMES, NAMES, INPUTS, SIGNED), max_size=3, unique_by=lambda one: one[0])
MODEL = Model("ollama", "qwen3:4b", frozenset({"chat", "tools", "thinking"}))


def said(text: str, calls: list, thoughts: str = "") -> ChatMessage:
    parts = (*((Reasoning(thoughts),) if thoughts else ()), *((Text(text),) if text else ()))
    return ChatMessage("assistant", parts, tuple(ToolCall(id, name, json.dumps(it), by) for id, name, it, by in calls))


@given(WORDS, CALLS, st.integers(1, 7))
def test_openai(text, calls, size):
    def body(message: ChatMessage) -> dict:
        return chat_body(ChatRequest("x", (message,)), "x")["messages"][0]

    first = body(said(text, calls))
    assert body(asyncio.run(read_as_openai(first, size)).message) == first


@given(WORDS, CALLS, WORDS, st.integers(1, 7))
def test_ollama(text, calls, thoughts, size):
    def body(message: ChatMessage) -> dict:
        return ollama_body(ChatRequest("x", (message,)), MODEL, {})["messages"][0]

    first = body(said(text, calls, thoughts))
    pieces = [{"message": {"thinking": one}} for one in cut(first.get("thinking", ""), size)]
    pieces += [{"message": {"content": one}} for one in cut(first["content"], size)]
    pieces += [{"message": {"tool_calls": [call]}} for call in first.get("tool_calls", ())]
    chunks, count = [], 0
    for piece in pieces:
        chunks += list(chunks_in(piece, count, World.real({})))
        count += "tool_calls" in piece["message"]
    assert body(gathered(chunks).message) == first


async def read_as_openai(message: dict, size: int) -> Completion:
    """What is read of a stream with this message in pieces of `size` characters."""
    deltas: list[dict] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": one} for one in cut(message["content"] or "", size)]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {**call["function"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": function}]})
        pieces = cut(call["function"]["arguments"], size)
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": one}}]} for one in pieces]
    wire = Wire(Address.parse("127.0.0.1:9"), provider="x", title="X", world=World.real({}))

    async def events() -> AsyncGenerator[Event, None]:
        for delta in deltas:
            yield Event(json.dumps({"choices": [{"index": 0, "delta": delta}]}))
        yield Event(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        yield Event("[DONE]")

    request = ChatRequest("x", ())
    return gathered([chunk async for chunk in completion(events(), wire, request, "x", World.real({}))])


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
