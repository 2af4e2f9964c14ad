"""`/v1/responses`: the items of a stream stand in its last event where their own events said that they are."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from engine.llm.answering import Answer, gathered
from engine.llm.messages import (
    Chunk,
    Finished,
    ReasoningDelta,
    Signature,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.routing import Candidate, Decision, Needs
from server.openai.responses import ResponsesRequest, Shape
from tests.support import model

SIGNED = Signature("anthropic", "s3al")
CALL = ToolCallDelta(0, "call_1", "f", "{}")
SAID = {
    "text": [TextDelta("a"), TextDelta("b")],
    "text around reasoning": [TextDelta("a"), ReasoningDelta("hm"), TextDelta("b")],
    "two thoughts": [ReasoningDelta("hm", SIGNED), ReasoningDelta("", SIGNED, redacted=True), TextDelta("a")],
    "a thought and one that is hidden": [ReasoningDelta("hm"), ReasoningDelta("", SIGNED, redacted=True)],
    "a thought alone": [ReasoningDelta("hm")],
    "a thought with its seal alone": [ReasoningDelta("hm"), ReasoningDelta("", SIGNED)],
    "a call": [CALL],
    "a call after nothing": [TextDelta(""), CALL],
    "a call after words and thoughts": [TextDelta("a"), ReasoningDelta("hm"), TextDelta("b"), CALL],
    "nothing": [],
    "an empty word": [TextDelta("")],
}
WORDS_AFTER_A_CALL: list[Chunk] = [TextDelta("a"), CALL, TextDelta("b")]


async def streamed(chunks: list[Chunk]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The items as their events gave them, and as the last event has them."""
    done: dict[int, dict[str, Any]] = {}
    events = [orjson.loads(one.partition(b"data: ")[2]) async for one in shape().events(answer(chunks))]
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    for event in events:
        if event["type"] == "response.output_item.done":
            done[event["output_index"]] = event["item"]
        elif "item_id" in event:
            assert event["item_id"].endswith(f"_{event['output_index']}")
    assert added == sorted(done) == list(range(len(done)))
    assert events[-1]["type"] == "response.completed"
    return [done[place] for place in sorted(done)], events[-1]["response"]["output"]


def shape() -> Shape:
    return Shape(ResponsesRequest(model="m", input="hi"), 0, "id")


def answer(chunks: list[Chunk]) -> Answer:
    async def said() -> AsyncGenerator[Chunk, None]:
        for chunk in ended(chunks):
            yield chunk

    small = model("a", "m")
    decision = Decision("m", "", (Candidate(small, 1.0, ()),), (), Needs("m", 1, 1))
    return Answer("id", decision, small, 0, 1, 0.0, said())


def ended(chunks: list[Chunk]) -> list[Chunk]:
    return [*chunks, Finished("stop", Usage(1, output=1))]


@pytest.mark.parametrize("chunks", [*SAID.values(), WORDS_AFTER_A_CALL], ids=[*SAID, "words after a call"])
async def test_the_items_of_a_stream_are_those_of_its_end(chunks: list[Chunk]) -> None:
    items, last = await streamed(chunks)
    assert last == items
    assert len(items) > 0


@pytest.mark.parametrize("chunks", SAID.values(), ids=SAID)
async def test_a_whole_answer_has_the_items_of_a_stream(chunks: list[Chunk]) -> None:
    items, _ = await streamed(chunks)
    assert shape().whole(answer(chunks), gathered(ended(chunks)))["output"] == items
