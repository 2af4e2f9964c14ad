"""Anthropic's streams as ours ("Streaming Messages", API version 2023-06-01, read 2026-08)."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from engine.llm.counting import prompt_tokens, tokens_in
from engine.llm.framing import Event
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    Finished,
    FinishReason,
    ReasoningDelta,
    Signature,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.wire import Wire

REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def is_last(event: Event) -> bool:
    """Some proxies leave the names of events out."""
    if event.name != "message" or '"message_stop"' not in event.data:
        return event.name == "message_stop"
    try:
        data = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(data, dict) and data.get("type") == "message_stop"


async def completion(
    events: AsyncGenerator[Event, None], wire: Wire, request: ChatRequest, model: str, *, in_tool: bool
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream of messages events. `in_tool`: the answer is what a tool would be given.

    Raises ProviderUnavailable when it ends without `message_stop`, and what an `error` event says.
    """
    reading = _Reading(in_tool)
    async with aclosing(events):
        async for event in events:
            data = wire.object_in(event.data, model=model)
            if data.get("type") == "error":
                raise wire.refusal(None, data, model=model)
            if data.get("type") == "message_stop" and reading.reason is not None:
                yield reading.finished(request)
                return
            for chunk in reading.chunks(data):
                yield chunk
    raise wire.broken("The stream ended before the answer did.", model=model)


class _Reading:
    """One answer as it comes in."""

    def __init__(self, in_tool: bool) -> None:
        self._in_tool = in_tool
        self._tools: dict[int, int] = {}  # the number of a block to that of its tool call
        self._counts: dict[str, int] = {}
        self._written = 0
        self._stopped_by = ""
        self.reason: FinishReason | None = None

    def chunks(self, data: Mapping[str, Any]) -> Iterator[Chunk]:
        match data:
            case {"type": "message_start", "message": Mapping() as message}:
                self._count(message.get("usage"))
            case {"type": "content_block_start", "index": int(index), "content_block": Mapping() as block}:
                yield from self._begun(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": Mapping() as delta}:
                yield from self._delta(index, delta)
            case {"type": "message_delta"}:
                self._count(data.get("usage"))
                self._ended(data.get("delta"))
            case _:  # pings, and what may be added
                pass

    def finished(self, request: ChatRequest) -> Finished:
        assert self.reason is not None
        counts = self._counts
        if not counts:
            usage = Usage(prompt_tokens(request), output=self._written, counted=False)
        else:
            usage = Usage(
                counts.get("input_tokens", 0),
                counts.get("cache_read_input_tokens", 0),
                counts.get("cache_creation_input_tokens", 0),
                counts.get("output_tokens", 0),
            )
        return Finished(self.reason, usage, stopped_by=self._stopped_by)

    def _begun(self, index: int, block: Mapping[str, Any]) -> Iterator[Chunk]:
        match block:
            case {"type": "tool_use", "id": str(id), "name": str(name)} if not self._in_tool:
                self._tools[index] = len(self._tools)
                yield ToolCallDelta(self._tools[index], id, name)
            case {"type": "redacted_thinking", "data": str(data)}:
                yield ReasoningDelta("", Signature("anthropic", data), redacted=True)
            case {"type": "text", "text": str(text)} if text:
                yield TextDelta(text)
            case _:
                pass

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        match delta:
            case {"type": "text_delta", "text": str(text)} if text and not self._in_tool:
                self._written += tokens_in(text)
                yield TextDelta(text)
            case {"type": "thinking_delta", "thinking": str(text)} if text:
                self._written += tokens_in(text)
                yield ReasoningDelta(text)
            case {"type": "signature_delta", "signature": str(signature)}:
                yield ReasoningDelta("", Signature("anthropic", signature))
            case {"type": "input_json_delta", "partial_json": str(text)} if text:
                self._written += tokens_in(text)
                if self._in_tool:
                    yield TextDelta(text)
                elif index in self._tools:
                    yield ToolCallDelta(self._tools[index], arguments=text)
            case _:
                pass

    def _ended(self, delta: Any) -> None:
        match delta:
            case {"stop_reason": str(reason)}:
                found = REASONS.get(reason, "stop")
                self.reason = "stop" if found == "tool_calls" and self._in_tool else found
                by = delta.get("stop_sequence")
                self._stopped_by = by if isinstance(by, str) else ""
            case _:
                pass

    def _count(self, usage: Any) -> None:
        """Counts are cumulative; the last one of each name is right."""
        if isinstance(usage, Mapping):
            self._counts |= {
                key: value for key, value in usage.items() if isinstance(value, int) and not isinstance(value, bool)
            }
