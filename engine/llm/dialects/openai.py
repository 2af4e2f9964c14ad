"""Our requests as OpenAI's chat completions (API reference, "Create chat completion", 2026-08). Pure."""

from collections.abc import Mapping
from typing import Any

from engine.llm.messages import ChatMessage, ChatRequest, File, Fill, Image, Part, Reasoning, Signature, Text, ToolCall


def chat_body(request: ChatRequest, model: str, *, most_field: str = "max_tokens") -> dict[str, Any]:
    """The body of a streamed chat completion; unknown fields of a client that speaks OpenAI too go along, known ones
    win over them."""
    sampling = request.sampling
    body: dict[str, Any] = {
        **(request.extra if request.protocol == "openai" else {}),
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    known = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        most_field: sampling.max_tokens,
        "stop": sampling.stop or None,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logprobs": True if sampling.top_logprobs is not None else None,
        "top_logprobs": sampling.top_logprobs or None,
        "reasoning_effort": sampling.reasoning_effort,
        "response_format": sampling.response_format,
        "tools": request.tools or None,
        "tool_choice": request.tool_choice if request.tools else None,
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
    }
    return body | {key: value for key, value in known.items() if value is not None}


def completion_body(request: ChatRequest, fill: Fill, model: str) -> dict[str, Any]:
    """The body of a streamed completion of a text (API reference, "Create completion", 2026-08)."""
    body = chat_body(request, model)
    for name in ("messages", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort"):
        body.pop(name, None)
    return body | {"prompt": fill.prompt} | ({"suffix": fill.suffix} if fill.suffix else {})


def _message(message: ChatMessage) -> dict[str, Any]:
    shown = [part for part in message.parts if not isinstance(part, Reasoning)]
    plain = all(isinstance(part, Text) for part in shown)
    content: Any = message.text if plain else [_part(part) for part in shown]
    out: dict[str, Any] = {"role": message.role, "content": content}
    if message.role == "tool":
        return out | {"tool_call_id": message.tool_call_id}
    if message.name:
        out["name"] = message.name
    if message.tool_calls:
        out["content"] = content or None
        out["tool_calls"] = [call_json(call) for call in message.tool_calls]
    return out


def call_json(call: ToolCall) -> dict[str, Any]:
    """A tool call as OpenAI has it; a signature stands under `extra_content`, as at Google's OpenAI endpoint."""
    row = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return row | ({"extra_content": signature_json(call.signature)} if call.signature else {})


def signature_json(signature: Signature) -> dict[str, Any]:
    return {signature.by: {"thought_signature" if signature.by == "google" else "signature": signature.value}}


def signature_in(extra: Any) -> Signature | None:
    """The signature in an `extra_content`, whoever made it."""
    for by, field in (("google", "thought_signature"), ("anthropic", "signature")):
        told = extra.get(by) if isinstance(extra, Mapping) else None
        value = told.get(field) if isinstance(told, Mapping) else None
        if isinstance(value, str) and value:
            return Signature(by, value)
    return None


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Image(url):
            return {"type": "image_url", "image_url": {"url": url}}
        case File(url, name) if part.media_type.startswith("audio/"):
            kind = part.media_type.removeprefix("audio/").removeprefix("x-")
            return {
                "type": "input_audio",
                "input_audio": {"data": url.partition(",")[2], "format": _SOUNDS.get(kind, kind)},
            }
        case File(url, name):
            return {"type": "file", "file": {"filename": name or "document", "file_data": url}}
        case Text(text) | Reasoning(text):
            return {"type": "text", "text": text}


_SOUNDS = {"mpeg": "mp3", "wave": "wav"}
