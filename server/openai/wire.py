"""OpenAI's chat completions, models and embeddings on the wire (platform.openai.com, API reference, 2026-08).

Pydantic on the way in, plain dictionaries on the way out. Fields that are not known here are kept and passed on to
upstreams that speak OpenAI.
"""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.kernel.errors import InvalidInput
from engine.llm.answering import Completion
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    Image,
    Noted,
    Part,
    Preferences,
    ReasoningDelta,
    Role,
    Sampling,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model, ProviderStatus
from engine.llm.routing import Policy

MOST_MESSAGES = 10_000

M = TypeVar("M", bound=BaseModel)


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ImageUrl(_Loose):
    url: str


class TextPart(_Loose):
    type: Literal["text", "input_text"]
    text: str


class RefusalPart(_Loose):
    type: Literal["refusal"]
    refusal: str


class ImagePart(_Loose):
    type: Literal["image_url"]
    image_url: ImageUrl | str


class Function(_Loose):
    name: str
    arguments: str | None = ""


class Call(_Loose):
    id: str | None = ""
    function: Function


class Message(_Loose):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = ""
    name: str | None = ""


class StreamOptions(_Loose):
    include_usage: bool | None = False


class Extension(BaseModel):
    """The field `circuit_breaker` of a request."""

    model_config = ConfigDict(extra="ignore")

    routing_strategy: str | None = ""
    max_cost_per_1k_tokens: float | None = None
    task_type: str | None = ""
    fallback_models: list[str] | None = None


class ChatCompletionRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

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
    n: int | None = 1
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    circuit_breaker: Extension | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk that counts its tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def request(self) -> ChatRequest:
        """The request in our words. Raises InvalidInput for what cannot be done."""
        if self.n not in (None, 1):
            raise InvalidInput(
                "n is not 1.", why="One answer at a time is given.", fix="Ask n times.", details=_at("n")
            )
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        wishes = self.circuit_breaker or Extension()
        return ChatRequest(
            model=self.model,
            messages=tuple(map(_message, self.messages)),
            sampling=Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_completion_tokens or self.max_tokens,
                stop=tuple(stop),
                seed=self.seed,
                response_format=self.response_format,
            ),
            tools=tuple(self.tools or ()),
            tool_choice=self.tool_choice,
            preferences=Preferences(
                routing_strategy=wishes.routing_strategy or "",
                max_cost_per_1k_tokens=wishes.max_cost_per_1k_tokens,
                task_type=wishes.task_type or "",
                fallback_models=tuple(wishes.fallback_models or ()),
            ),
            extra=self.model_extra or {},
        )


class EmbeddingsRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=300)
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1)

    def request(self) -> EmbeddingRequest:
        """The request in our words. Raises InvalidInput for token ids, which mean something to one tokenizer only."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in inputs if isinstance(text, str)]
        if len(texts) != len(inputs):
            raise InvalidInput(
                "The input is token ids, not text.",
                why="They mean something to one tokenizer only.",
                fix="Send text; in LangChain set check_embedding_ctx_length=False.",
                details=_at("input"),
            )
        return EmbeddingRequest(self.model, tuple(texts), self.dimensions)


def read(kind: type[M], body: Mapping[str, Any]) -> M:
    """The request in `body`. Raises InvalidInput naming the first field that is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problems = [(_path(one["loc"], body, one["type"]), one["msg"]) for one in error.errors(include_url=False)]
        # of the branches of a union, the one that got furthest is the one that was meant
        path, why = max(problems, key=lambda problem: problem[0].count(".") + problem[0].count("["))
        raise InvalidInput(
            f"{path or 'The request'} is not right.", why=f"{why}.", fix="Correct it.", details=_at(path)
        ) from None


def _path(parts: Sequence[int | str], body: Any, kind: str) -> str:
    """Where in `body` it is: `messages[0].content`. Pydantic's own path also names the branches of unions."""
    path, here = "", body
    for number, part in enumerate(parts, 1):
        if isinstance(part, int) and isinstance(here, list):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(part, str) and isinstance(here, Mapping):
            if part not in here and not (kind == "missing" and number == len(parts)):
                continue
            path, here = f"{path}.{part}" if path else part, here.get(part)
    return path


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


def _message(message: Message) -> ChatMessage:
    content = message.content or []
    parts = (Text(content),) if isinstance(content, str) else tuple(map(_part, content))
    calls = tuple(
        ToolCall(call.id or "", call.function.name, call.function.arguments or "") for call in message.tool_calls or ()
    )
    return ChatMessage(_ROLES[message.role], parts, calls, message.tool_call_id or "", message.name or "")


def _part(part: TextPart | RefusalPart | ImagePart) -> Part:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
    return Image(part.image_url if isinstance(part.image_url, str) else part.image_url.url)


# -- out --------------------------------------------------------------------------------------------------------------


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
    }


def completion_json(id: str, created: int, model: Model, completion: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text or None, "refusal": None}
    if completion.reasoning:
        message["reasoning_content"] = completion.reasoning
    if completion.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in completion.tool_calls
        ]
    else:
        message["content"] = completion.text
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish}
    return {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion",
        "created": created,
        "model": model.name,
        "choices": [choice],
        "usage": usage_json(completion.usage),
    }


def delta_of(chunk: Chunk) -> tuple[dict[str, Any], str | None]:
    """The `delta` and the `finish_reason` of one chunk."""
    match chunk:
        case TextDelta(text, _):
            return {"content": text}, None
        case ReasoningDelta(text, _, _):
            return {"reasoning_content": text}, None
        case ToolCallDelta(index, id, name, arguments, _):
            call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
            if id or name:
                call |= {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            return {"tool_calls": [call]}, None
        case Noted():
            return {}, None
        case Finished():
            return {}, chunk.reason


def model_json(model: Model, id: str, created: int) -> dict[str, Any]:
    return {
        "id": id,
        "object": "model",
        "created": created,
        "owned_by": model.provider,
        "context_length": model.context or None,
        "capabilities": sorted(model.abilities),
        "local": model.local,
        "loaded": model.loaded,
        "size_bytes": model.size_bytes or None,
        "tiny": model.tiny,
    }


def virtual_json(name: str, about: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "circuit-breaker", "description": about}


def models_json(
    providers: Sequence[ProviderStatus], policies: Mapping[str, Policy], created: int
) -> list[dict[str, Any]]:
    """All models: the virtual ones, then the real ones under their names; a name that another provider has too comes
    with its provider before it."""
    rows = [virtual_json(name, policy.about, created) for name, policy in policies.items()]
    seen = set(policies)
    for status in providers:
        for model in status.models if status.state == "up" else ():
            id = model.id if model.name in seen else model.name
            seen.add(id)
            rows.append(model_json(model, id, created))
    return rows


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
