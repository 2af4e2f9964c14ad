"""Our requests in Ollama's words (docs/api.md and server/routes.go, 2026-08). Pure, but for the window, which is the
provider's to choose."""

import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from engine.kernel.errors import ProviderRejected, shown
from engine.llm.messages import ChatMessage, ChatRequest, Fill, Image, Noted, Reasoning
from engine.llm.model import Model

ID = "ollama"
_OPTIONS = ("top_k", "min_p", "repeat_penalty", "num_ctx", "num_keep", "repeat_last_n", "typical_p", "mirostat")


def chat_body(request: ChatRequest, model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `/api/chat`. `options` hold the window, among others."""
    tools = [] if request.tool_choice == "none" else _chosen(request)
    body: dict[str, Any] = {
        "model": model.name,
        "messages": _messages(request.messages, model),
        **_common(request, model, options),
    }
    return body | ({"tools": tools} if tools else {})


def generate_body(request: ChatRequest, fill: Fill, model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `/api/generate`: to go on with a text, or to fill in what is missing before a suffix."""
    body = {"model": model.name, "prompt": fill.prompt, **_common(request, model, options)}
    return body | ({"suffix": fill.suffix} if fill.suffix else {}) | ({"raw": True} if fill.raw else {})


def _common(request: ChatRequest, model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    sampling = request.sampling
    known = {
        "format": _format(sampling.response_format),
        "think": _think(request, model),
        "keep_alive": request.extra.get("keep_alive"),
        "logprobs": True if sampling.top_logprobs is not None else None,
        "top_logprobs": sampling.top_logprobs or None,
    }
    fixed = {"stream": True, "truncate": False, "shift": False, "options": options}
    return fixed | {key: value for key, value in known.items() if value is not None}


def options_of(request: ChatRequest) -> dict[str, Any]:
    """How to generate, but for the window."""
    sampling, extra = request.sampling, request.extra
    given = extra.get("options")
    options: dict[str, Any] = {key: extra[key] for key in _OPTIONS if extra.get(key) is not None}
    options |= given if isinstance(given, Mapping) else {}
    known = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "num_predict": sampling.max_tokens,
        "stop": sampling.stop or None,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    return options | {key: value for key, value in known.items() if value is not None}


def notes_of(request: ChatRequest) -> Iterator[Noted]:
    """What of the request Ollama has no word for."""
    if request.tools and request.tool_choice == "required":
        yield Noted("dropped", "tool_choice was left out: Ollama has none; the model may answer without a tool.")
    if request.tools and request.parallel_tool_calls is False:
        yield Noted("dropped", "parallel_tool_calls was left out: Ollama has no such parameter.")


def _chosen(request: ChatRequest) -> list[Mapping[str, Any]]:
    """The tools to offer. Ollama has no tool_choice: a tool that is asked for by name is the only one offered."""
    name = _tool_name(request.tool_choice)
    named = [tool for tool in request.tools if name and _tool_name(tool) == name]
    return named or list(request.tools)


def _tool_name(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}}:
            return name
        case _:
            return ""


def _format(response_format: Mapping[str, Any] | None) -> Any:
    match (response_format or {}).get("type"):
        case "json_object":
            return "json"
        case "json_schema":
            described = (response_format or {}).get("json_schema")
            return described.get("schema", "json") if isinstance(described, Mapping) else "json"
        case _:
            return None


def _think(request: ChatRequest, model: Model) -> bool | str | None:
    """`think` as asked for, or from OpenAI's reasoning_effort. gpt-oss takes only levels, others only yes or no."""
    if "thinking" not in model.abilities:
        return None
    asked = request.extra.get("think")
    if isinstance(asked, bool | str):
        return asked
    effort = request.sampling.reasoning_effort
    if effort is None:
        return None
    if "gpt-oss" in model.name:
        return {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    return effort != "none"


def _messages(messages: tuple[ChatMessage, ...], model: Model) -> list[dict[str, Any]]:
    """Messages in Ollama's form. A tool's result carries the tool's name, which OpenAI's form gives only by the id."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    out = []
    for message in messages:
        row: dict[str, Any] = {"role": message.role, "content": message.text}
        if thoughts := "".join(part.text for part in message.parts if isinstance(part, Reasoning)):
            row["thinking"] = thoughts
        if images := [_image(part, model) for part in message.parts if isinstance(part, Image)]:
            row["images"] = images
        if message.tool_calls:
            row["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            row["tool_call_id"] = message.tool_call_id
            row["tool_name"] = message.name or names.get(message.tool_call_id, "")
        out.append(row)
    return out


def _arguments(text: str) -> Mapping[str, Any]:
    """Arguments as the object that Ollama wants; what a model wrote and is no object goes along as text."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"arguments": text}


def _image(image: Image, model: Model) -> str:
    """The base64 of a `data:` URL; Ollama fetches no pictures."""
    head, _, data = image.url.partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        try:
            binascii.a2b_base64(data.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            pass
        else:
            return data
    raise ProviderRejected(
        f"Ollama cannot take the picture {shown(image.url, 40)}.",
        why="It takes pictures only with the request, as `data:image/…;base64,…`.",
        fix="Send the picture itself, or use a model of another provider.",
        details={"provider": "ollama", "model": model.name},
    )
