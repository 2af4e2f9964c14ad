"""Ollama's HTTP API as its clients speak it (docs/api.md and api/types.go, 2026-08), over all models: what is virtual
or in the cloud looks like a model of Ollama's."""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from pydantic import Field

from engine.kernel.errors import CircuitBreakerError, InvalidInput
from engine.llm.answering import Answer, Completion, gathered
from engine.llm.catalog import listed
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    EmbeddingRequest,
    Fill,
    Finished,
    Image,
    Part,
    Preferences,
    Reasoning,
    ReasoningDelta,
    Sampling,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model, ProviderStatus
from engine.llm.refusals import encoded
from engine.llm.routing import Policy
from server.bodies import Extension, Loose
from server.errors import said

VERSION = "0.20.0"
"""What clients are told: VS Code, for one, wants a number from 0.6.4 on."""

NDJSON = "application/x-ndjson"
_CAPABILITIES = {
    "chat": "completion", "tools": "tools", "vision": "vision", "embedding": "embedding", "thinking": "thinking",
}  # fmt: skip


class _Asked(Loose):
    model: str = Field("", max_length=300)
    name: str = Field("", max_length=300)  # what it was called before, and what some clients still send
    stream: bool | None = True
    options: dict[str, Any] | None = None
    keep_alive: str | int | float | None = None
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    circuit_breaker: Extension | None = None

    @property
    def named(self) -> str:
        """Raises InvalidInput when no model is named."""
        if not (name := self.model or self.name):
            raise InvalidInput("No model is named.", fix='Send {"model": "..."}.', details={"path": "model"})
        return name

    def sampling(self) -> Sampling:
        options = self.options or {}
        stop = options.get("stop")
        most = options.get("num_predict")
        effort = {True: None, False: "none"}.get(self.think) if isinstance(self.think, bool) else self.think
        return Sampling(
            temperature=_number(options, "temperature"),
            top_p=_number(options, "top_p"),
            max_tokens=most if isinstance(most, int) and most > 0 else None,
            stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)) if isinstance(stop, list) else (),
            seed=options["seed"] if isinstance(options.get("seed"), int) else None,
            frequency_penalty=_number(options, "frequency_penalty"),
            presence_penalty=_number(options, "presence_penalty"),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            reasoning_effort=effort,
            response_format=_format(self.format),
        )

    def extra(self) -> dict[str, Any]:
        """What only Ollama has words for."""
        known = {"options": self.options, "keep_alive": self.keep_alive, "think": self.think}
        return {name: value for name, value in known.items() if value is not None}

    def preferences(self) -> Preferences:
        return (self.circuit_breaker or Extension()).preferences()


class _Function(Loose):
    name: str = ""
    arguments: dict[str, Any] | str | None = None


class _Call(Loose):
    id: str = ""
    function: _Function


class _Message(Loose):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = ""
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = ""
    tool_call_id: str | None = ""


class ChatAsked(_Asked):
    messages: list[_Message] = Field(default_factory=list, max_length=10_000)
    tools: list[dict[str, Any]] | None = None

    def request(self) -> ChatRequest:
        return ChatRequest(
            model=self.named,
            messages=tuple(_messages(self.messages)),
            sampling=self.sampling(),
            tools=tuple(self.tools or ()),
            preferences=self.preferences(),
            extra=self.extra(),
            protocol="ollama",
        )


class GenerateAsked(_Asked):
    prompt: str = ""
    suffix: str | None = None
    system: str | None = None
    images: list[str] | None = None
    raw: bool | None = False

    def request(self) -> ChatRequest:
        system = [ChatMessage.of("system", self.system)] if self.system else []
        pictures = tuple(map(_image, self.images or ()))
        # a text is gone on with as such only when it must be: models in the cloud can only chat
        fill = Fill(self.prompt, self.suffix or "", bool(self.raw)) if self.suffix or self.raw else None
        return ChatRequest(
            model=self.named,
            messages=(*system, ChatMessage("user", (Text(self.prompt), *pictures))),
            sampling=self.sampling(),
            fill=fill,
            preferences=self.preferences(),
            extra=self.extra(),
            protocol="ollama",
        )


class EmbedAsked(_Asked):
    input: str | list[str] = ""
    prompt: str = ""  # of the older /api/embeddings
    dimensions: int | None = Field(None, ge=1)

    def request(self) -> EmbeddingRequest:
        given = self.input or self.prompt
        inputs = (given,) if isinstance(given, str) else tuple(given)
        return EmbeddingRequest(self.named, inputs, self.dimensions)


class ModelAsked(_Asked):
    """For show, pull, delete and copy."""

    source: str = ""
    destination: str = ""


# -- in ---------------------------------------------------------------------------------------------------------------


def _messages(messages: Sequence[_Message]) -> Iterator[ChatMessage]:
    """Calls without ids get some, and results without ids that of the call they answer: the one of the same tool, or
    the next."""
    open_calls: list[ToolCall] = []
    for number, message in enumerate(messages):
        if message.role == "tool":
            named = [call for call in open_calls if call.name == message.tool_name] or open_calls
            id = message.tool_call_id or (named[0].id if named else "")
            open_calls = [call for call in open_calls if call.id != id]
            yield ChatMessage("tool", (Text(message.content or ""),), tool_call_id=id, name=message.tool_name or "")
            continue
        calls = tuple(
            ToolCall(call.id or f"call_{number}_{place}", call.function.name, _arguments(call.function.arguments))
            for place, call in enumerate(message.tool_calls or ())
        )
        open_calls += calls
        parts: list[Part] = [Reasoning(message.thinking)] if message.thinking else []
        parts += [Text(message.content)] if message.content else []
        parts += map(_image, message.images or ())
        yield ChatMessage(message.role, tuple(parts), calls)


def _arguments(given: Mapping[str, Any] | str | None) -> str:
    return given if isinstance(given, str) else encoded(given or {}).decode()


def _image(data: str) -> Image:
    """Ollama's pictures are bare base 64; their kind is told by how they begin."""
    if data.startswith("data:"):
        return Image(data)
    kinds = {"iVBOR": "png", "/9j/": "jpeg", "R0lG": "gif", "UklG": "webp"}
    kind = next((kind for start, kind in kinds.items() if data.startswith(start)), "png")
    return Image(f"data:image/{kind};base64,{data}")


def _format(form: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(form, Mapping):
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(form)}}
    return {"type": "json_object"} if form == "json" else None


def _number(options: Mapping[str, Any], name: str) -> float | None:
    value = options.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- out: models ------------------------------------------------------------------------------------------------------


def tags_json(
    providers: Sequence[ProviderStatus], policies: Mapping[str, Policy], now: datetime
) -> list[dict[str, Any]]:
    """All models: the virtual ones too, as they are chosen like any other."""
    rows = [tag_json(name, None, now) for name in policies]
    return rows + [tag_json(name, model, now) for name, model in listed(providers, policies)]


def tag_json(name: str, model: Model | None, now: datetime) -> dict[str, Any]:
    """A row of `/api/tags`. Clients want each field, and a digest that tells models apart. `model` None is virtual."""
    row = {
        "name": name,
        "model": name,
        "modified_at": _time(now),
        "size": model.size_bytes if model else 0,
        "digest": hashlib.sha256(name.encode("utf-8", "replace")).hexdigest(),
        "details": _details(model),
        "capabilities": capabilities(model),
    }
    if model is not None and not model.local:
        row |= {"remote_model": model.name, "remote_host": model.provider}
    return row


def _details(model: Model | None) -> dict[str, Any]:
    told = model.details if model else {}
    family = str(told.get("family") or (model.provider if model else "circuit-breaker"))
    return {
        "parent_model": "",
        "format": str(told.get("format") or ("gguf" if model and model.local else "")),
        "family": family,
        "families": [family],
        "parameter_size": str(told.get("parameter_size", "")),
        "quantization_level": str(told.get("quantization_level", "")),
    }


def capabilities(model: Model | None) -> list[str]:
    if model is None:
        return ["completion", "tools", "vision", "thinking"]
    found = [_CAPABILITIES[one] for one in sorted(model.abilities) if one in _CAPABILITIES]
    return [*found, "insert"] if model.details.get("insert") else found


def show_json(name: str, model: Model | None, now: datetime) -> dict[str, Any]:
    details = _details(model)
    architecture, context = details["family"], model.context if model else 128_000
    info = {"general.architecture": architecture, "general.basename": name, f"{architecture}.context_length": context}
    return {
        "modelfile": f"# {name}, by Circuit Breaker",
        "parameters": f"num_ctx {context}" if context else "",
        "template": "{{ .Prompt }}",
        "details": details,
        "model_info": info,
        "capabilities": capabilities(model),
        "modified_at": _time(now),
    }


def ps_json(models: Sequence[Model], now: datetime) -> list[dict[str, Any]]:
    rows = []
    for model in models:
        if model.loaded:
            row = tag_json(model.name, model, now)
            window = model.details.get("window") or model.context
            later = _time(now + timedelta(minutes=5))
            rows.append(row | {"expires_at": later, "size_vram": 0, "context_length": window})
    return rows


def _time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


# -- out: answers -----------------------------------------------------------------------------------------------------


def line(body: Mapping[str, Any]) -> bytes:
    return orjson.dumps(body, default=str) + b"\n"


async def lines(answer: Answer, now: datetime, *, chat: bool) -> AsyncGenerator[bytes, None]:
    """The answer as NDJSON. Tool calls come whole, as Ollama's do, at the end; how long it took is known after it."""
    calls: list[ToolCallDelta] = []
    finished: Finished | None = None
    async with aclosing(answer.chunks) as chunks:
        async for chunk in chunks:
            match chunk:
                case TextDelta(text):
                    yield line(_row(answer, now, chat, text))
                case ReasoningDelta(text) if text:
                    yield line(_row(answer, now, chat, "", thinking=text))
                case ToolCallDelta():
                    calls.append(chunk)
                case Finished():
                    if calls and chat:
                        yield line(_row(answer, now, chat, "", calls=gathered(calls).tool_calls))
                    finished = chunk
                case _:
                    pass
    if finished is not None:
        yield line(_row(answer, now, chat, "") | _end(answer, finished.reason, finished.usage))


def whole_json(answer: Answer, completion: Completion, now: datetime, *, chat: bool) -> dict[str, Any]:
    row = _row(
        answer, now, chat, completion.text, thinking=completion.reasoning, calls=completion.tool_calls if chat else ()
    )
    return row | _end(answer, completion.finish, completion.usage)


def _row(
    answer: Answer, now: datetime, chat: bool, text: str, *, thinking: str = "", calls: Sequence[ToolCall] = ()
) -> dict[str, Any]:
    row: dict[str, Any] = {"model": answer.model.name, "created_at": _time(now)}
    said: dict[str, Any] = {"thinking": thinking} if thinking else {}
    if chat:
        said = {"role": "assistant", "content": text, **said}
        if calls:
            said["tool_calls"] = [_call_json(index, call) for index, call in enumerate(calls)]
        return row | {"message": said, "done": False}
    return row | {"response": text, **said, "done": False}


def _call_json(index: int, call: ToolCall) -> dict[str, Any]:
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    given = arguments if isinstance(arguments, dict) else {"arguments": call.arguments}
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": given}}


def _end(answer: Answer, reason: str, usage: Usage) -> dict[str, Any]:
    """How it ended; durations are in nanoseconds."""
    record = answer.record
    total = round((record.duration_s if record else 0.0) * 1e9)
    first = round((record.ttft_s or 0.0) * 1e9) if record else 0
    return {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
        "total_duration": total,
        "load_duration": 0,
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": first,
        "eval_count": usage.output,
        "eval_duration": max(0, total - first),
    }


def failure(error: CircuitBreakerError, *, chat: bool) -> bytes:
    """An error after the stream began. Some clients read `message` of every line first, so it is there too."""
    empty = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
    return line({"error": said(error, "ollama"), **empty, "done": False})
