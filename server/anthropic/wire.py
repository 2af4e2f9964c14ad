"""Anthropic's messages on the wire, as its clients send and read them (API reference, "Messages" and "Streaming",
version 2023-06-01, read 2026-08).

What comes in is kept whole beside its translation: a model of Anthropic gets it as it was said, any other in our words.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import Field

from engine.kernel.errors import CircuitBreakerError, InvalidInput
from engine.llm.answering import Answer, Completion
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    File,
    Finished,
    FinishReason,
    Image,
    Noted,
    Part,
    Preferences,
    Reasoning,
    ReasoningDelta,
    Sampling,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.refusals import encoded
from server.bodies import Open
from server.errors import anthropic_body

REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
FORWARDED = ("anthropic-beta", "anthropic-version")
_OURS = "circuit_breaker"


class MessagesRequest(Open):
    model: str = Field(min_length=1, max_length=300)
    messages: list[dict[str, Any]] = Field(max_length=10_000)
    max_tokens: int | None = Field(None, ge=1)
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = False
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None

    def request(self, body: Mapping[str, Any], headers: Mapping[str, str], wishes: Preferences) -> ChatRequest:
        """The request in our words, with `body` as it came."""
        choice = self.tool_choice or {}
        return ChatRequest(
            model=self.model,
            messages=tuple(self._messages()),
            sampling=Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_tokens,
                stop=tuple(self.stop_sequences or ()),
                reasoning_effort=self._effort(),
                response_format=self._format(),
            ),
            tools=tuple(_tools(self.tools or ())),
            tool_choice=_choice(choice),
            parallel_tool_calls=False if choice.get("disable_parallel_tool_use") else None,
            preferences=wishes,
            extra={key: value for key, value in body.items() if key != _OURS},
            protocol="anthropic",
            headers={name: headers[name] for name in FORWARDED if headers.get(name, "").isascii() and name in headers},
        )

    def _messages(self) -> Iterator[ChatMessage]:
        if isinstance(self.system, str) and self.system:
            yield ChatMessage.of("system", self.system)
        elif isinstance(self.system, list):
            parts = tuple(Text(str(one.get("text", "")), "cache_control" in one) for one in self.system)
            yield ChatMessage("system", parts)
        for place, message in enumerate(self.messages):
            yield from _turn(message, f"messages[{place}]")

    def _effort(self) -> str | None:
        thinking = self.thinking or {}
        effort = (self.output_config or {}).get("effort")
        if thinking.get("type") == "disabled":
            return "none"
        if isinstance(effort, str):
            return effort
        budget = thinking.get("budget_tokens")
        if thinking.get("type") == "enabled" and isinstance(budget, int):
            return "low" if budget <= 4096 else "medium" if budget <= 12_000 else "high"
        return "medium" if thinking.get("type") == "adaptive" else None

    def _format(self) -> dict[str, Any] | None:
        form = (self.output_config or {}).get("format")
        if isinstance(form, Mapping) and isinstance(form.get("schema"), Mapping):
            return {"type": "json_schema", "json_schema": {"name": "answer", "schema": form["schema"]}}
        return None


# -- in ---------------------------------------------------------------------------------------------------------------


def _turn(message: Mapping[str, Any], path: str) -> Iterator[ChatMessage]:
    """The messages in one turn: what tools gave comes in the user's turn here, and is a message of its own with us."""
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise _wrong(f"{path}.role", "It is user or assistant.")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        raise _wrong(f"{path}.content", "It is a text or a list of blocks.")
    parts: list[Part] = []
    calls: list[ToolCall] = []
    for place, block in enumerate(blocks):
        match block:
            case {"type": "tool_result", "tool_use_id": str(id)}:
                given = block.get("content") or []
                inner = [{"type": "text", "text": given}] if isinstance(given, str) else given
                if not isinstance(inner, list):
                    raise _wrong(f"{path}.content[{place}].content", "It is a text or a list of blocks.")
                found = (_part(one, f"{path}.content[{place}]") for one in inner if isinstance(one, Mapping))
                yield ChatMessage("tool", tuple(part for part in found if part), tool_call_id=id)
            case {"type": "tool_use", "id": str(id), "name": str(name)}:
                calls.append(ToolCall(id, name, encoded(block.get("input") or {}).decode()))
            case Mapping():
                part = _part(block, f"{path}.content[{place}]")
                parts += [part] if part else []
            case _:
                raise _wrong(f"{path}.content[{place}]", "It is no block.")
    if parts or calls:
        yield ChatMessage(role, tuple(parts), tuple(calls))


def _part(block: Mapping[str, Any], path: str) -> Part | None:
    match block:
        case {"type": "text", "text": str(text)}:
            return Text(text, cache="cache_control" in block)
        case {"type": "image", "source": Mapping() as source}:
            return Image(_url(source, path))
        case {"type": "document", "source": Mapping() as source}:
            if source.get("type") == "text":
                return Text(str(source.get("data", "")))
            return File(_url(source, path), str(block.get("title") or ""))
        case {"type": "thinking"}:
            signature = block.get("signature")
            return Reasoning(str(block.get("thinking", "")), Signature("anthropic", signature) if signature else None)
        case {"type": "redacted_thinking", "data": str(data)}:
            return Reasoning("", Signature("anthropic", data), redacted=True)
        case {"type": str()}:
            return None  # what Anthropic's own tools left behind says nothing to other models
        case _:
            raise _wrong(path, "It is no block.")


def _url(source: Mapping[str, Any], path: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(media), "data": str(data)}:
            return f"data:{media};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
        case _:
            raise _wrong(f"{path}.source", "It is base64 or a url; files are not kept here.")


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for tool in tools:
        if isinstance(tool.get("input_schema"), Mapping) and isinstance(tool.get("name"), str):
            function = {"name": tool["name"], "parameters": tool["input_schema"]}
            if isinstance(tool.get("description"), str):
                function["description"] = tool["description"]
            yield {"type": "function", "function": function}


def _choice(choice: Mapping[str, Any]) -> Any:
    match choice:
        case {"type": "any"}:
            return "required"
        case {"type": "tool", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "auto" | "none" as word}:
            return word
        case _:
            return None


def _wrong(path: str, why: str) -> InvalidInput:
    return InvalidInput(f"{path} is not right.", why=why, fix="Correct it.", details={"path": path})


# -- out --------------------------------------------------------------------------------------------------------------


def message_json(answer: Answer, completion: Completion) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in completion.message.parts:
        if isinstance(part, Reasoning):
            content.append(_thinking(part))
        elif isinstance(part, Text) and part.text:
            content.append({"type": "text", "text": part.text})
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _object(call.arguments)}
        for call in completion.tool_calls
    ]
    reason = "stop_sequence" if completion.stopped_by else REASONS[completion.finish]
    return _message(answer) | {
        "content": content,
        "stop_reason": reason,
        "stop_sequence": completion.stopped_by or None,
        "usage": usage_json(completion.usage),
    }


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model.name,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _thinking(part: Reasoning) -> dict[str, Any]:
    signature = part.signature.value if part.signature and part.signature.by == "anthropic" else ""
    if part.redacted and signature:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": part.text, "signature": signature}


def _object(arguments: str) -> Any:
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"arguments": arguments}


def usage_json(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(body: Mapping[str, Any]) -> bytes:
    return b"event: " + str(body["type"]).encode() + b"\ndata: " + orjson.dumps(body, default=str) + b"\n\n"


def failure(error: CircuitBreakerError) -> bytes:
    return event(anthropic_body(error))


async def events(answer: Answer, guess: int) -> AsyncGenerator[bytes, None]:
    """The answer as events. `guess` is about how many tokens the prompt has, which is told before they are counted."""
    start = _message(answer) | {"usage": usage_json(Usage(input=guess, output=1))}
    yield event({"type": "message_start", "message": start})
    blocks = _Blocks()
    async with aclosing(answer.chunks) as chunks:
        async for chunk in chunks:
            for body in blocks.take(chunk):
                yield event(body)
            if isinstance(chunk, Finished):
                for body in blocks.close():
                    yield event(body)
                reason = "stop_sequence" if chunk.stopped_by else REASONS[chunk.reason]
                delta = {"stop_reason": reason, "stop_sequence": chunk.stopped_by or None}
                yield event({"type": "message_delta", "delta": delta, "usage": usage_json(chunk.usage)})
    yield event({"type": "message_stop"})


@dataclass
class _Blocks:
    """The blocks of a stream, one open at a time. Pieces of a call that is not open any more are kept until its end,
    as calls may come interleaved from other providers."""

    _index: int = -1
    _kind: str = ""
    _call: int = -1
    _late: dict[int, list[ToolCallDelta]] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)

    def take(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        match chunk:
            case TextDelta(text):
                yield from self._open("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
            case ReasoningDelta(_, signature, redacted) if redacted:
                data = signature.value if signature else ""
                yield from self._begin("redacted", {"type": "redacted_thinking", "data": data})
            case ReasoningDelta(text, signature):
                yield from self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                if text:
                    yield self._delta({"type": "thinking_delta", "thinking": text})
                if signature and signature.by == "anthropic":
                    yield self._delta({"type": "signature_delta", "signature": signature.value})
                    yield from self._shut()
            case ToolCallDelta(index):
                if self._kind == "tool" and index != self._call:
                    self._late.setdefault(index, []).append(chunk)
                else:
                    yield from self._tool(chunk)
            case Noted() | Finished():
                pass

    def close(self) -> Iterator[dict[str, Any]]:
        yield from self._shut()
        for pieces in self._late.values():
            for piece in pieces:
                yield from self._tool(piece)
            yield from self._shut()

    def _tool(self, piece: ToolCallDelta) -> Iterator[dict[str, Any]]:
        if piece.index not in self._begun:
            self._begun.add(piece.index)
            block = {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}}
            yield from self._begin("tool", block)
            self._call = piece.index
        if piece.arguments:
            yield self._delta({"type": "input_json_delta", "partial_json": piece.arguments})

    def _open(self, kind: str, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self._kind != kind:
            yield from self._begin(kind, block)

    def _begin(self, kind: str, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        yield from self._shut()
        self._index += 1
        self._kind = kind
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _shut(self) -> Iterator[dict[str, Any]]:
        if self._kind:
            yield {"type": "content_block_stop", "index": self._index}
            self._kind = ""
