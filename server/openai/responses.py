"""`/v1/responses` without its memory: OpenAI's newer form, which some agents speak alone (API reference, "Responses"
and "Streaming events", 2026-08).

Nothing is stored: `previous_response_id` is refused, and what a later turn needs, thoughts with their signatures too,
goes to the client and comes back from it as `encrypted_content`.
"""

import base64
import binascii
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from engine.kernel.errors import CircuitBreakerError, InvalidInput
from engine.llm.answering import Answer, Completion, gathered
from engine.llm.dialects.openai import chat_body
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    File,
    Finished,
    Image,
    Part,
    Reasoning,
    ReasoningDelta,
    Role,
    Sampling,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from server.bodies import Extension, Loose, read
from server.errors import openai_body
from server.openai import sse
from server.streaming import brief

MOST_ITEMS = 10_000


class ResponsesRequest(Loose):
    model: str = Field(min_length=1, max_length=300)
    input: str | list[dict[str, Any]] = Field("", max_length=20_000_000)
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20)
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    stream: bool | None = False
    store: bool | None = False
    previous_response_id: str | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    circuit_breaker: Extension | None = None

    def request(self) -> ChatRequest:
        """The request in our words. Raises InvalidInput for what needs a memory."""
        if self.previous_response_id:
            raise InvalidInput(
                "previous_response_id cannot be followed.",
                why="Nothing of earlier answers is kept here.",
                fix="Send the whole conversation as input.",
                details={"path": "previous_response_id"},
            )
        messages = [ChatMessage.of("system", self.instructions)] if self.instructions else []
        messages += [ChatMessage.of("user", self.input)] if isinstance(self.input, str) else _messages(self.input)
        effort = (self.reasoning or {}).get("effort")
        return ChatRequest(
            model=self.model,
            messages=tuple(messages),
            sampling=Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_output_tokens,
                reasoning_effort=effort if isinstance(effort, str) else None,
                response_format=_format((self.text or {}).get("format")),
            ),
            tools=tuple(_tools(self.tools or ())),
            tool_choice=_choice(self.tool_choice),
            parallel_tool_calls=self.parallel_tool_calls,
            preferences=(self.circuit_breaker or Extension()).preferences(),
        )


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body of this form that was sent to `/v1/chat/completions`, in that form."""
    asked = read(ResponsesRequest, {**body, "stream": False})
    request = asked.request()
    from_openai = {key: value for key, value in body.items() if key not in _ONLY_HERE}
    translated = chat_body(request, asked.model)
    for name in ("stream", "stream_options"):
        translated.pop(name, None)
    return {**from_openai, **translated}


_ONLY_HERE = {
    "input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens", "store", "include",
    "truncation",
}  # fmt: skip
"""Fields that the older form does not know, and refuses, or has under another name."""


# -- in ---------------------------------------------------------------------------------------------------------------


def _messages(items: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    """The turns in a list of items: calls and thoughts belong to the assistant's turn that they stand in."""
    if len(items) > MOST_ITEMS:
        raise _wrong("input", f"There are more than {MOST_ITEMS:,} items.")
    out: list[ChatMessage] = []
    for place, item in enumerate(items):
        match item:
            case {"type": "function_call_output" | "custom_tool_call_output", "call_id": str(id)}:
                out.append(ChatMessage("tool", tuple(_parts(item.get("output"), place)), tool_call_id=id))
            case {"type": "function_call", "call_id": str(id), "name": str(name)}:
                arguments = item.get("arguments")
                call = ToolCall(id, name, arguments if isinstance(arguments, str) else "", _unsealed(item))
                _to_assistant(out, calls=(call,))
            case {"type": "reasoning"}:
                _to_assistant(out, parts=tuple(_thoughts(item)))
            case {"role": "user" | "system" | "developer" as role}:
                ours: Role = "user" if role == "user" else "system"
                out.append(ChatMessage(ours, tuple(_parts(item.get("content"), place))))
            case {"role": "assistant"}:
                _to_assistant(out, parts=tuple(_parts(item.get("content"), place)))
            case {"type": "item_reference"}:
                raise _wrong(f"input[{place}]", "It refers to an item that was kept; nothing is kept here.")
            case {"type": str()}:
                continue  # a tool that runs at OpenAI: its traces say nothing to other models
            case _:
                raise _wrong(f"input[{place}]", "It is no item of a conversation.")
    return out


def _to_assistant(out: list[ChatMessage], parts: tuple[Part, ...] = (), calls: tuple[ToolCall, ...] = ()) -> None:
    if out and out[-1].role == "assistant":
        last = out.pop()
        parts, calls = last.parts + parts, last.tool_calls + calls
    out.append(ChatMessage("assistant", parts, calls))


def _parts(content: Any, place: int) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
                yield Text(text)
            case {"type": "refusal", "refusal": str(text)}:
                yield Text(text)
            case {"type": "input_image", "image_url": str(url)}:
                yield Image(url)
            case {"type": "input_file", "file_data": str(data)}:
                name = part.get("filename")
                url = data if data.startswith("data:") else f"data:application/pdf;base64,{data}"
                yield File(url, name if isinstance(name, str) else "")
            case _:
                kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
                raise _wrong(f"input[{place}].content", f"A part of the kind {kind!r} is not taken.")


def _thoughts(item: Mapping[str, Any]) -> Iterator[Reasoning]:
    summary = item.get("summary")
    texts = [one.get("text", "") for one in summary if isinstance(one, Mapping)] if isinstance(summary, list) else []
    signature = _unsealed(item)
    text = "".join(map(str, texts))
    if text or signature:
        yield Reasoning(text, signature, redacted=signature is not None and not text)


def _sealed(signature: Signature) -> str:
    return base64.b64encode(f"{signature.by}:{signature.value}".encode()).decode()


def _unsealed(item: Mapping[str, Any]) -> Signature | None:
    sealed = item.get("encrypted_content")
    if not isinstance(sealed, str):
        return None
    try:
        by, found, value = base64.b64decode(sealed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Signature(by, value) if found else None


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Functions; tools that run at OpenAI have no counterpart and are left out."""
    for tool in tools:
        if tool.get("type") == "function" and isinstance(tool.get("name"), str):
            yield {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _choice(choice: Any) -> Any:
    if isinstance(choice, Mapping) and choice.get("type") == "function" and "name" in choice:
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def _format(form: Any) -> dict[str, Any] | None:
    match form:
        case {"type": "json_schema"}:
            return {"type": "json_schema", "json_schema": {key: form[key] for key in form if key != "type"}}
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case _:
            return None


def _wrong(path: str, why: str) -> InvalidInput:
    return InvalidInput(f"{path} is not right.", why=why, fix="Correct it.", details={"path": path})


# -- out --------------------------------------------------------------------------------------------------------------


@dataclass
class Shape:
    """How one answer is written: whole, or as events."""

    asked: ResponsesRequest
    created: int
    id: str
    model: str = ""
    _number: int = -1
    _chunks: list[Chunk] = field(default_factory=list)

    def whole(self, answer: Answer, completion: Completion) -> dict[str, Any]:
        return self._ended(answer, completion, list(self._items(completion)))

    def _ended(self, answer: Answer, completion: Completion, output: list[dict[str, Any]]) -> dict[str, Any]:
        self.model = answer.model.name
        incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(completion.finish)
        return self._body(
            "incomplete" if incomplete else "completed",
            output=output,
            usage=_usage(completion.usage),
            incomplete_details={"reason": incomplete} if incomplete else None,
            circuit_breaker=brief(answer),
        )

    async def events(self, answer: Answer) -> AsyncGenerator[bytes, None]:
        self.model = answer.model.name
        yield self._event("response.created", response=self._body("in_progress"))
        yield self._event("response.in_progress", response=self._body("in_progress"))
        writing = _Writing(self)
        async with aclosing(answer.chunks) as chunks:
            async for chunk in chunks:
                self._chunks.append(chunk)
                for event in writing.take(chunk):
                    yield event
        for event in writing.close():
            yield event
        body = self._ended(answer, gathered(self._chunks), writing.items)
        yield self._event(f"response.{body['status']}", response=body)

    def failure(self, error: CircuitBreakerError) -> bytes:
        told = openai_body(error)
        body = self._body("failed", error={"code": told["code"], "message": told["message"]})
        return self._event("response.failed", response=body)

    def item_id(self, kind: str, place: int) -> str:
        return f"{kind}_{self.id}_{place}"

    def event(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return sse.event({"type": kind, "sequence_number": self._number, **fields})

    def _items(self, completion: Completion) -> Iterator[dict[str, Any]]:
        """As `_Writing` has them: in the order in which they came, and with a message if there is nothing else to
        act on."""
        parts, place = [part for part in completion.message.parts if not isinstance(part, Text) or part.text], 0
        if not completion.tool_calls and not any(isinstance(part, Text) for part in parts):
            parts.append(Text(""))
        for part in parts:
            if isinstance(part, Reasoning):
                yield reasoning_item(self.item_id("rs", place), part.text, part.signature)
                place += 1
            elif isinstance(part, Text):
                yield message_item(self.item_id("msg", place), part.text, "completed")
                place += 1
        for call in completion.tool_calls:
            yield call_item(self.item_id("fc", place), call, "completed")
            place += 1

    def _body(self, status: str, **fields: Any) -> dict[str, Any]:
        asked = self.asked
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "model": self.model or asked.model,
            "output": [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": (asked.reasoning or {}).get("effort"), "summary": None},
            "store": False,
            "temperature": asked.temperature,
            "text": asked.text or {"format": {"type": "text"}},
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "top_p": asked.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": asked.user,
            "metadata": asked.metadata or {},
            **fields,
        }


@dataclass
class _Writing:
    """The items of a stream: one is open at a time, but for calls, whose pieces may come in any order."""

    shape: Shape
    _place: int = 0
    _open: Literal["", "text", "reasoning"] = ""
    _text: str = ""
    _signature: Signature | None = None
    _calls: dict[int, tuple[int, ToolCall]] = field(default_factory=dict)
    _items: dict[int, dict[str, Any]] = field(default_factory=dict)
    _said: bool = False

    @property
    def items(self) -> list[dict[str, Any]]:
        """Those that are whole, at the places that the events gave them."""
        return [item for _, item in sorted(self._items.items())]

    def take(self, chunk: Chunk) -> Iterator[bytes]:
        match chunk:
            case TextDelta(text):
                if not text and self._open != "text":
                    return
                if self._open != "text":
                    yield from self._shut()
                    yield from self._begin_text()
                self._text += text
                yield self._at("response.output_text.delta", "msg", content_index=0, delta=text, logprobs=[])
            case ReasoningDelta(text, signature, redacted):
                if self._open != "reasoning" or redacted:
                    yield from self._shut()
                    yield from self._begin_reasoning()
                self._text += text
                self._signature = signature or self._signature
                if text:
                    yield self._at("response.reasoning_summary_text.delta", "rs", summary_index=0, delta=text)
                if signature:
                    yield from self._shut()
            case ToolCallDelta(index, id, name, arguments, signature):
                if index not in self._calls:
                    yield from self._shut()
                    call = ToolCall(id, name, "", signature)
                    self._calls[index] = self._place, call
                    item = call_item(self.shape.item_id("fc", self._place), call, "in_progress")
                    yield self.shape.event("response.output_item.added", output_index=self._place, item=item)
                    self._place += 1
                place, call = self._calls[index]
                self._calls[index] = place, ToolCall(call.id, call.name, call.arguments + arguments, call.signature)
                if arguments:
                    yield self.shape.event(
                        "response.function_call_arguments.delta",
                        item_id=self.shape.item_id("fc", place),
                        output_index=place,
                        delta=arguments,
                    )
            case Finished():
                pass
            case _:
                pass

    def close(self) -> Iterator[bytes]:
        yield from self._shut()
        if not self._said and not self._calls:
            yield from self._begin_text()  # an answer without a word has its message too
            yield from self._shut()
        for place, call in self._calls.values():
            id = self.shape.item_id("fc", place)
            yield self.shape.event(
                "response.function_call_arguments.done", item_id=id, output_index=place, arguments=call.arguments,
                name=call.name,
            )  # fmt: skip
            yield self._done(place, call_item(id, call, "completed"))

    def _begin_text(self) -> Iterator[bytes]:
        self._open, self._text, self._said = "text", "", True
        item = message_item(self.shape.item_id("msg", self._place), None, "in_progress")
        yield self.shape.event("response.output_item.added", output_index=self._place, item=item)
        yield self._at("response.content_part.added", "msg", content_index=0, part=_text_part(""))

    def _begin_reasoning(self) -> Iterator[bytes]:
        self._open, self._text, self._signature = "reasoning", "", None
        item = reasoning_item(self.shape.item_id("rs", self._place), "", None)
        yield self.shape.event("response.output_item.added", output_index=self._place, item=item)
        part = {"type": "summary_text", "text": ""}
        yield self._at("response.reasoning_summary_part.added", "rs", summary_index=0, part=part)

    def _shut(self) -> Iterator[bytes]:
        if self._open == "text":
            text = self._text
            yield self._at("response.output_text.done", "msg", content_index=0, text=text, logprobs=[])
            yield self._at("response.content_part.done", "msg", content_index=0, part=_text_part(text))
            item = message_item(self.shape.item_id("msg", self._place), text, "completed")
        elif self._open == "reasoning":
            part = {"type": "summary_text", "text": self._text}
            yield self._at("response.reasoning_summary_text.done", "rs", summary_index=0, text=self._text)
            yield self._at("response.reasoning_summary_part.done", "rs", summary_index=0, part=part)
            item = reasoning_item(self.shape.item_id("rs", self._place), self._text, self._signature)
        else:
            return
        yield self._done(self._place, item)
        self._open = ""
        self._place += 1

    def _done(self, place: int, item: dict[str, Any]) -> bytes:
        self._items[place] = item
        return self.shape.event("response.output_item.done", output_index=place, item=item)

    def _at(self, kind: str, item: str, **fields: Any) -> bytes:
        return self.shape.event(kind, item_id=self.shape.item_id(item, self._place), output_index=self._place, **fields)


def message_item(id: str, text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [_text_part(text)]
    return {"type": "message", "id": id, "status": status, "role": "assistant", "content": content}


def call_item(id: str, call: ToolCall, status: str) -> dict[str, Any]:
    item = {"type": "function_call", "id": id, "call_id": call.id, "name": call.name, "arguments": call.arguments}
    return item | {"status": status} | ({"encrypted_content": _sealed(call.signature)} if call.signature else {})


def reasoning_item(id: str, text: str, signature: Signature | None) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: dict[str, Any] = {"type": "reasoning", "id": id, "summary": summary}
    return item | ({"encrypted_content": _sealed(signature)} if signature else {})


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
