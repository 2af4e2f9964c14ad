"""OpenAI's streams and answers as ours (API reference, "The chat completion chunk object", 2026-08), with what
compatible servers are known to do differently."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from engine.kernel.world import World
from engine.llm.counting import prompt_tokens
from engine.llm.dialects.openai import signature_in
from engine.llm.dialects.openai_runs import Run
from engine.llm.framing import Event
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.wire import Wire


def is_done(event: Event | Run) -> bool:
    return isinstance(event, Event) and len(event.data) < 20 and event.data.strip() == "[DONE]"


async def completion(
    events: AsyncGenerator[Event | Run, None], wire: Wire, request: ChatRequest, model: str, world: World
) -> AsyncGenerator[Chunk, None]:
    """The chunks in a stream of `chat.completion.chunk` events.

    Only a finish_reason finishes a stream: after `[DONE]` or the end without one, ProviderUnavailable is raised.
    """
    reading = _Reading(model, world)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Run):
                yield reading.run(event)
                continue
            if is_done(event):
                yield reading.finished(request, wire)
                reading.over = True
                continue
            for chunk in reading.chunks(wire.object_in(event.data, model=model)):
                yield chunk
            if reading.failed:
                raise wire.broken("It ended its answer with an error.", model=model)
    if not reading.over:
        yield reading.finished(request, wire)


class _Reading:
    """One answer as it comes in."""

    def __init__(self, model: str, world: World) -> None:
        self._model, self._world = model, world
        self._cost: Decimal | None = None
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._written = 0
        self._asked: list[str] = []  # the upstream's id of each tool call, "" when it gave none
        self._places: dict[int, int] = {}  # the upstream's index of a tool call to ours
        self.failed = False
        self.over = False

    def chunks(self, data: Mapping[str, Any]) -> Iterator[Chunk]:
        if data.get("usage"):
            self._usage, self._cost = usage_in(data) or self._usage, cost_in(data) or self._cost
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict):
                yield from self._deltas(delta, logprobs_in(choice))
            elif isinstance(text := choice.get("text"), str) and text:  # of a completion
                self._written += len(text.encode("utf-8", "replace"))
                yield TextDelta(text)
            reason = choice.get("finish_reason")
            if reason in _FAILURES:
                self.failed = True
            elif isinstance(reason, str) and reason:
                self._reason = _REASONS.get(reason, "stop")

    def run(self, run: Run) -> TextDelta:
        self._written += len(run.text.encode("utf-8", "replace"))
        return TextDelta(run.text, raw=run.raw)

    def finished(self, request: ChatRequest, wire: Wire) -> Finished:
        if self._reason is None:
            raise wire.broken("The stream ended before the answer did.", model=self._model)
        reason: FinishReason = "tool_calls" if self._asked and self._reason == "stop" else self._reason
        guess = Usage(input=prompt_tokens(request), output=(self._written + 2) // 3, counted=False)
        return Finished(reason, self._usage or guess, self._cost)

    def _deltas(self, delta: Mapping[str, Any], logprobs: tuple[Mapping[str, Any], ...]) -> Iterator[Chunk]:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            self._written += len(reasoning.encode("utf-8", "replace"))
            yield ReasoningDelta(reasoning)
        text = delta.get("content") or delta.get("refusal")
        if isinstance(text, str) and text:
            self._written += len(text.encode("utf-8", "replace"))
            yield TextDelta(text, logprobs)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                yield from self._call(call)

    def _call(self, call: Mapping[str, Any]) -> Iterator[ToolCallDelta]:
        """One piece of a tool call. Some servers give no index, or 0 to every call: then a new id is a new call."""
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        id, name, arguments = (_text(one) for one in (call.get("id"), function.get("name"), function.get("arguments")))
        place = call.get("index")
        if id and id in self._asked:
            index = self._asked.index(id)
        elif isinstance(place, int):
            index = self._places.get(place, -1)
            index = -1 if index >= 0 and id and self._asked[index] else index
        else:
            index = -1 if id or name else len(self._asked) - 1
        if index < 0:
            index = len(self._asked)
            self._asked.append(id)
            if isinstance(place, int):
                self._places[place] = index
            signature = signature_in(call.get("extra_content"))
            yield ToolCallDelta(index, id or f"call_{self._world.new_id()}", name, arguments, signature)
        elif arguments:
            yield ToolCallDelta(index, arguments=arguments)
        self._written += len(arguments)


_FAILURES = ("error", "insufficient_system_resource")  # of OpenRouter and of DeepSeek: it ended, and is not whole
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def usage_in(data: Any) -> Usage | None:
    """The usage of an answer as disjoint counts: OpenAI counts cached tokens as part of the prompt.

    `cache_write_tokens` is OpenRouter's, `prompt_cache_hit_tokens` DeepSeek's.
    """
    usage = data.get("usage") if isinstance(data, dict) else None
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt = max(0, usage["prompt_tokens"])
    read = min(prompt, _count(details.get("cached_tokens")) or _count(usage.get("prompt_cache_hit_tokens")))
    write = min(prompt - read, _count(details.get("cache_write_tokens")))
    output, thought = _count(usage.get("completion_tokens")), usage.get("completion_tokens_details")
    reasoning = _count(thought.get("reasoning_tokens")) if isinstance(thought, dict) else 0
    return Usage(prompt - read - write, read, write, output, reasoning=min(output, reasoning))


def cost_in(data: Mapping[str, Any]) -> Decimal | None:
    """What the upstream says that it charged, in US dollars (OpenRouter, "Usage accounting", 2026-08)."""
    usage = data.get("usage")
    cost = usage.get("cost") if isinstance(usage, dict) else None
    return Decimal(str(cost)) if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0 else None


def logprobs_in(choice: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    told = choice.get("logprobs")
    rows = told.get("content") if isinstance(told, dict) else None
    return tuple(row for row in rows if isinstance(row, Mapping)) if isinstance(rows, list) else ()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def vectors_in(answer: Any, count: int) -> tuple[tuple[float, ...], ...] | None:
    """The vectors of an `/embeddings` answer in the order of the inputs; None unless there is one for each."""
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    found: dict[int, tuple[float, ...]] = {}
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        vector = row.get("embedding") if isinstance(row, Mapping) else None
        if not isinstance(vector, list) or not vector or not all(isinstance(one, int | float) for one in vector):
            return None
        index = row.get("index", place)
        found[index if isinstance(index, int) else place] = tuple(map(float, vector))
    return tuple(found[index] for index in range(count)) if found.keys() == set(range(count)) else None
