"""Google's streams as ours ("GenerateContentResponse", v1beta, read 2026-08)."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from engine.kernel.world import World
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
from engine.llm.refusals import encoded
from engine.llm.wire import Wire

_FILTERED = ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE")


async def completion(
    events: AsyncGenerator[Event, None], wire: Wire, request: ChatRequest, model: str, world: World
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream of responses. There is no mark of its end but a finishReason, or a prompt that was
    blocked; without one, ProviderUnavailable is raised."""
    reading = _Reading(world)
    async with aclosing(events):
        async for event in events:
            for chunk in reading.chunks(wire.object_in(event.data, model=model)):
                yield chunk
    if reading.reason is None:
        raise wire.broken("The stream ended before the answer did.", model=model)
    yield reading.finished(request)


class _Reading:
    """One answer as it comes in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls = 0
        self._written = 0
        self._usage: Usage | None = None
        self.reason: FinishReason | None = None

    def chunks(self, data: Mapping[str, Any]) -> Iterator[Chunk]:
        self._usage = usage_in(data) or self._usage
        candidates = data.get("candidates")
        feedback = data.get("promptFeedback")
        if isinstance(feedback, Mapping) and feedback.get("blockReason"):
            self.reason = "content_filter"
        for candidate in candidates if isinstance(candidates, list) else ():
            if not isinstance(candidate, Mapping) or candidate.get("index", 0) != 0:
                continue
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, Mapping) else None
            rows = logprobs_in(candidate)
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, Mapping):
                    yield from self._part(part, rows)
                    rows = ()
            if isinstance(told := candidate.get("finishReason"), str):
                self.reason = reason_of(told)

    def finished(self, request: ChatRequest) -> Finished:
        assert self.reason is not None
        reason = "tool_calls" if self._calls and self.reason == "stop" else self.reason
        guess = Usage(prompt_tokens(request), output=self._written, counted=False)
        return Finished(reason, self._usage or guess)

    def _part(self, part: Mapping[str, Any], rows: tuple[Mapping[str, Any], ...]) -> Iterator[Chunk]:
        match part:
            case {"functionCall": {"name": str(name)} as call}:
                signature = part.get("thoughtSignature")
                signed = Signature("google", signature) if isinstance(signature, str) and signature else None
                id = call.get("id")
                id = id if isinstance(id, str) and id else f"call_{self._world.new_id()}"
                arguments = encoded(call.get("args") or {}).decode()
                self._written += tokens_in(arguments)
                yield ToolCallDelta(self._calls, id, name, arguments, signed)
                self._calls += 1
            case {"text": str(text)} if text:
                self._written += tokens_in(text)
                yield ReasoningDelta(text) if part.get("thought") is True else TextDelta(text, rows)
            case _:  # code that was run, and what may be added
                pass


def reason_of(told: str) -> FinishReason:
    if told == "MAX_TOKENS":
        return "length"
    return "content_filter" if told in _FILTERED or told.startswith("IMAGE_") else "stop"


def usage_in(data: Mapping[str, Any]) -> Usage | None:
    """Disjoint counts: what was cached is part of the prompt here, and thoughts are no part of the answer."""
    told = data.get("usageMetadata")
    if not isinstance(told, Mapping) or not isinstance(told.get("promptTokenCount"), int):
        return None
    prompt = _count(told, "promptTokenCount") + _count(told, "toolUsePromptTokenCount")
    read = min(prompt, _count(told, "cachedContentTokenCount"))
    return Usage(prompt - read, read, output=_count(told, "candidatesTokenCount") + _count(told, "thoughtsTokenCount"))


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def logprobs_in(candidate: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Rows as OpenAI has them, of `logprobsResult`."""
    told = candidate.get("logprobsResult")
    chosen, top = (
        (told.get("chosenCandidates"), told.get("topCandidates")) if isinstance(told, Mapping) else (None, None)
    )
    if not isinstance(chosen, list):
        return ()
    others = top if isinstance(top, list) else []
    return tuple(
        {**_row(one), "top_logprobs": [_row(other) for other in _candidates(others, place)]}
        for place, one in enumerate(chosen)
        if isinstance(one, Mapping)
    )


def _candidates(rows: list[Any], place: int) -> list[Any]:
    row = rows[place] if place < len(rows) else None
    found = row.get("candidates") if isinstance(row, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    token = str(one.get("token", ""))
    return {"token": token, "logprob": one.get("logProbability", 0.0), "bytes": list(token.encode("utf-8", "replace"))}
