"""OpenAI's chat completions, models and embeddings on the wire (platform.openai.com, API reference, 2026-08).

Pydantic on the way in, plain dictionaries on the way out. Fields that are not known here are kept and passed on to
upstreams that speak OpenAI.
"""

import asyncio
import base64
import struct
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.kernel.errors import InvalidInput
from engine.llm.answering import Answer, Completion
from engine.llm.catalog import listed
from engine.llm.dialects.openai import call_json, signature_in, signature_json
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    File,
    Finished,
    Image,
    Noted,
    Part,
    Preferences,
    Reasoning,
    ReasoningDelta,
    Role,
    Sampling,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model, Price, ProviderStatus
from engine.llm.refusals import encoded
from engine.llm.routing import Policy
from engine.llm.token_ids import text_of
from engine.store.ports import RequestRecord
from server.bodies import Extension, Loose, Open
from server.openai import sse

MOST_MESSAGES = 10_000


class ImageUrl(Loose):
    url: str


class TextPart(Loose):
    type: Literal["text", "input_text", "output_text"]
    text: str
    cache_control: dict[str, Any] | None = None


class RefusalPart(Loose):
    type: Literal["refusal"]
    refusal: str


class ImagePart(Loose):
    type: Literal["image_url"]
    image_url: ImageUrl | str


class FileData(Loose):
    file_data: str | None = None
    filename: str | None = ""
    file_id: str | None = None


class FilePart(Loose):
    type: Literal["file"]
    file: FileData


class Sound(Loose):
    data: str
    format: str


class SoundPart(Loose):
    type: Literal["input_audio"]
    input_audio: Sound


class Function(Loose):
    name: str
    arguments: str | dict[str, Any] | None = ""


class Call(Loose):
    id: str | None = ""
    function: Function
    extra_content: dict[str, Any] | None = None


AnyPart = Annotated[TextPart | RefusalPart | ImagePart | FilePart | SoundPart, Field(discriminator="type")]


class Message(Loose):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[AnyPart] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = ""
    name: str | None = ""
    reasoning_content: str | None = None
    extra_content: dict[str, Any] | None = None


class StreamOptions(Loose):
    include_usage: bool | None = False


MOST_COPIES = 8
_NO_WISHES = Preferences()


class ChatCompletionRequest(Open):
    model: str = Field(min_length=1, max_length=300)
    messages: list[Message] = Field(max_length=MOST_MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = Field(1, ge=1, le=MOST_COPIES)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: Any = None
    circuit_breaker: Extension | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk that counts its tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def copies(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    def request(self) -> ChatRequest:
        """The request in our words."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        tools = self.tools or [{"type": "function", "function": one} for one in self.functions or ()]
        choice = self.tool_choice if self.tools else self.function_call
        if isinstance(choice, dict) and "function" not in choice and "name" in choice:
            choice = {"type": "function", "function": {"name": choice["name"]}}
        return ChatRequest(
            model=self.model,
            messages=_with_call_ids([message_of(one) for one in self.messages]),
            sampling=Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_completion_tokens or self.max_tokens,
                stop=tuple(stop),
                seed=self.seed,
                frequency_penalty=self.frequency_penalty,
                presence_penalty=self.presence_penalty,
                top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
                reasoning_effort=self.reasoning_effort,
                response_format=self.response_format,
            ),
            tools=tuple(tools),
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls,
            preferences=self.circuit_breaker.preferences() if self.circuit_breaker else _NO_WISHES,
            extra=self.model_extra or {},
        )


class EmbeddingsRequest(Loose):
    model: str = Field(min_length=1, max_length=300)
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1)

    @property
    def token_ids(self) -> tuple[tuple[int, ...], ...]:
        """The inputs, when they were sent as token ids."""
        given = self.input if isinstance(self.input, list) else []
        if given and isinstance(given[0], int):
            return (tuple(one for one in given if isinstance(one, int)),)
        return tuple(tuple(one) for one in given if isinstance(one, list))

    def request(self) -> EmbeddingRequest:
        """The request in our words. Raises InvalidInput for token ids that are not of OpenAI's embeddings."""
        if ids := self.token_ids:
            return EmbeddingRequest(self.model, tuple(map(text_of, ids)), self.dimensions, ids)
        texts = (self.input,) if isinstance(self.input, str) else tuple(map(str, self.input))
        return EmbeddingRequest(self.model, texts, self.dimensions)


def _at(path: str) -> dict[str, Any]:
    return {"path": path}


_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def message_of(message: Message) -> ChatMessage:
    content = message.content or []
    parts: list[Part] = []
    if message.role == "assistant" and message.reasoning_content:
        parts.append(Reasoning(message.reasoning_content, signature_in(message.extra_content)))
    parts += [Text(content)] if isinstance(content, str) else [_part(part) for part in content]
    calls = tuple(map(_call, message.tool_calls or ()))
    return ChatMessage(_ROLES[message.role], tuple(parts), calls, message.tool_call_id or "", message.name or "")


def _with_call_ids(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Results that do not say which call they are of, as those of the old `function` role, get the last call's id."""
    out, last = [], ""
    for message in messages:
        if message.tool_calls:
            last = message.tool_calls[-1].id
        out.append(
            replace(message, tool_call_id=last) if message.role == "tool" and not message.tool_call_id else message
        )
    return tuple(out)


def _call(call: Call) -> ToolCall:
    given = call.function.arguments or ""
    arguments = given if isinstance(given, str) else encoded(given).decode()
    return ToolCall(call.id or "", call.function.name, arguments, signature_in(call.extra_content))


def _part(part: TextPart | RefusalPart | ImagePart | FilePart | SoundPart) -> Part:
    match part:
        case TextPart():
            return Text(part.text, cache=part.cache_control is not None)
        case RefusalPart():
            return Text(part.refusal)
        case SoundPart():
            return File(f"data:audio/{part.input_audio.format};base64,{part.input_audio.data}")
        case FilePart():
            if not part.file.file_data:
                raise InvalidInput(
                    "A file is named by an id.",
                    why="Nothing is uploaded here.",
                    fix="Send it as file_data, a data: URL.",
                    details=_at("messages"),
                )
            data = part.file.file_data
            url = data if data.startswith("data:") else f"data:application/pdf;base64,{data}"
            return File(url, part.file.filename or "")
    return Image(part.image_url if isinstance(part.image_url, str) else part.image_url.url)


# -- out --------------------------------------------------------------------------------------------------------------


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def sum_of(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(one.input for one in usages),
        sum(one.cache_read for one in usages),
        sum(one.cache_write for one in usages),
        sum(one.output for one in usages),
        all(one.counted for one in usages),
        sum(one.reasoning for one in usages),
    )


def completion_json(
    id: str, created: int, model: Model, choices: Sequence[Mapping[str, Any]], usage: Usage
) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion",
        "created": created,
        "model": model.name,
        "choices": choices,
        "usage": usage_json(usage),
    }


def choice_json(index: int, completion: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text, "refusal": None}
    if completion.reasoning:
        message["reasoning_content"] = message["reasoning"] = completion.reasoning
    signatures = [part.signature for part in completion.message.parts if isinstance(part, Reasoning) and part.signature]
    if signatures:
        message["extra_content"] = signature_json(signatures[0])
    if completion.tool_calls:
        message["content"] = completion.text or None
        message["tool_calls"] = [call_json(call) for call in completion.tool_calls]
    logprobs = {"content": list(completion.logprobs), "refusal": None} if completion.logprobs else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": completion.finish}


def delta_of(chunk: Chunk) -> tuple[dict[str, Any], str | None]:
    """The `delta` and the `finish_reason` of one chunk."""
    match chunk:
        case TextDelta():
            return {"content": chunk.text}, None
        case ReasoningDelta():
            delta = {"reasoning_content": chunk.text, "reasoning": chunk.text} if chunk.text else {}
            return delta | ({"extra_content": signature_json(chunk.signature)} if chunk.signature else {}), None
        case ToolCallDelta(index, id, name, arguments, signature):
            call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
            if id or name:
                call |= {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            return {"tool_calls": [call | ({"extra_content": signature_json(signature)} if signature else {})]}, None
        case Noted():
            return {}, None
        case Finished():
            return {}, chunk.reason


def logprobs_json(chunk: Chunk) -> dict[str, Any] | None:
    if isinstance(chunk, TextDelta) and chunk.logprobs:
        return {"content": list(chunk.logprobs), "refusal": None}
    return None


async def merged_events(
    answers: Sequence[Answer], frame: Mapping[str, Any], *, counted: bool
) -> AsyncGenerator[bytes, None]:
    """Several answers as the choices of one stream, each piece as it comes. Closing it closes all of them."""
    rest: dict[str, Any] = {"usage": None} if counted else {}
    pieces: asyncio.Queue[tuple[int, Chunk | Exception | None]] = asyncio.Queue(maxsize=len(answers))

    async def read(index: int) -> None:
        try:
            async with aclosing(answers[index].chunks) as chunks:
                async for chunk in chunks:
                    await pieces.put((index, chunk))
            await pieces.put((index, None))
        except Exception as error:  # a bug too: who reads on would wait for this one's end
            await pieces.put((index, error))

    readers = [asyncio.create_task(read(index)) for index in range(len(answers))]
    usages, left = list[Usage](), len(readers)
    try:
        for index in range(left):
            yield sse.chunk(frame, {"role": "assistant", "content": ""}, None, rest, index=index)
        while left:
            index, piece = await pieces.get()
            if piece is None:
                left -= 1
                continue
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, Finished):
                usages.append(piece.usage)
            if not isinstance(piece, Noted):
                yield sse.chunk(frame, *delta_of(piece), rest, index=index, logprobs=logprobs_json(piece))
        if counted:
            yield sse.data({**frame, "choices": [], "usage": usage_json(sum_of(usages))})
        yield sse.DONE
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


class VoteRequest(Loose):
    vote: Literal[-1, 0, 1]


def record_json(record: RequestRecord) -> dict[str, Any]:
    """A request of the log: what it came to, and the decision in full."""
    return {
        "id": record.id,
        "at": record.at.isoformat(),
        "asked": record.asked,
        "model": record.model,
        "provider": record.provider,
        "usage": usage_json(record.usage) | {"counted": record.usage.counted},
        "cost_usd": None if record.cost_usd is None else str(record.cost_usd),
        "ttft_s": record.ttft_s,
        "tokens_per_s": record.tokens_per_s,
        "duration_s": record.duration_s,
        "attempts": record.attempts,
        "retries": record.retries,
        "key": record.key or None,
        "warnings": list(record.warnings),
        "error": record.error or None,
        "decision": record.decision,
    }


def price_json(price: Price | None) -> dict[str, str] | None:
    """US dollars a token, as text, as OpenRouter has it; None is unknown."""
    if price is None:
        return None
    return {"prompt": f"{price.input / 1_000_000:f}", "completion": f"{price.output / 1_000_000:f}"}


def model_json(model: Model, id: str, created: int, *, up: bool = True) -> dict[str, Any]:
    """A row of `/v1/models`. One whose provider is not `up` is listed still: clients take a model that is gone for a
    while for one that is gone for good."""
    return {
        "id": id,
        "object": "model",
        "created": created,
        "owned_by": model.provider,
        "name": model.id,
        "context_length": model.context or None,
        "context_window": model.context or None,
        "max_output_tokens": model.most_output or None,
        "pricing": price_json(model.price),
        "capabilities": sorted(model.abilities),
        "local": model.local,
        "loaded": model.loaded,
        "size_bytes": model.size_bytes or None,
        "tiny": model.tiny,
        "available": up,
    }


def virtual_json(name: str, about: str, created: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "circuit-breaker",
        "name": name,
        "description": about,
    }


def models_json(
    providers: Sequence[ProviderStatus], policies: Mapping[str, Policy], created: int
) -> list[dict[str, Any]]:
    """All models: the virtual ones, then the real ones."""
    rows = [virtual_json(name, policy.about, created) for name, policy in policies.items()]
    down = {status.id for status in providers if status.state != "up"}
    real = listed(providers, policies)
    return rows + [model_json(model, id, created, up=model.provider not in down) for id, model in real]


def embeddings_json(found: Embeddings, encoding: str | None) -> dict[str, Any]:
    return {
        "object": "list",
        "model": found.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector) if encoding == "base64" else vector}
            for index, vector in enumerate(found.vectors)
        ],
        "usage": {"prompt_tokens": found.usage.prompt, "total_tokens": found.usage.total},
    }


def _encoded(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base 64, which OpenAI's SDKs ask for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
