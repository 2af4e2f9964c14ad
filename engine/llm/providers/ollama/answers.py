"""What Ollama answers, in our words (docs/api.md, 2026-08). Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from engine.kernel.world import World
from engine.llm.messages import Chunk, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from engine.llm.refusals import encoded


def chunks_in(data: Mapping[str, Any], calls: int, world: World) -> Iterator[Chunk]:
    """The pieces in a line of a stream. `calls` is how many tool calls came before; they come whole, and the ids that
    are missing are made."""
    message = data.get("message", data)
    if not isinstance(message, Mapping):
        return
    if thinking := _text(message.get("thinking")):
        yield ReasoningDelta(thinking)
    if text := _text(message.get("content")) or _text(data.get("response")):
        rows = data.get("logprobs")
        yield TextDelta(text, tuple(row for row in rows if isinstance(row, Mapping)) if isinstance(rows, list) else ())
    asked = message.get("tool_calls")
    for call in asked if isinstance(asked, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            given = function.get("arguments")
            arguments = given if isinstance(given, str) else encoded(given or {}).decode()
            id = _text(call.get("id")) or f"call_{world.new_id()}"
            yield ToolCallDelta(calls, id, _text(function.get("name")), arguments)
            calls += 1


def is_last(line: bytes) -> bool:
    if b"true" not in line:  # most lines are not read twice
        return False
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(data, dict) and data.get("done") is True


def reason_of(data: Mapping[str, Any], calls: int) -> FinishReason:
    if data.get("done_reason") == "length":
        return "length"
    return "tool_calls" if calls else "stop"


def usage_of(data: Mapping[str, Any], guess: Usage) -> Usage:
    """Ollama leaves counts out that are zero or, for a cached prompt, unknown."""
    prompt, answer = _number(data.get("prompt_eval_count")), _number(data.get("eval_count"))
    if prompt:
        return Usage(input=prompt, output=answer or guess.output, counted=bool(answer or not guess.output))
    return guess if not answer else replace(guess, output=answer)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
