"""OpenAI's responses, for the models that answer nothing else: the coding and the `pro` ones (API reference,
"Responses" and "Streaming events", 2026-08). Nothing is stored there: thoughts come back sealed, and go along again.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from engine.llm.counting import prompt_tokens, tokens_in
from engine.llm.framing import Event
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    File,
    Finished,
    FinishReason,
    Image,
    Part,
    Reasoning,
    ReasoningDelta,
    Signature,
    Text,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.wire import Wire

SIGNER = "openai"


def responses_body(request: ChatRequest, model: str) -> dict[str, Any]:
    """The body of a streamed response."""
    sampling = request.sampling
    known = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_output_tokens": sampling.max_tokens,
        "reasoning": {"effort": sampling.reasoning_effort, "summary": "auto"} if sampling.reasoning_effort else None,
        "text": _format(sampling.response_format),
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _choice(request.tool_choice) if request.tools else None,
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
    }
    body = {
        "model": model,
        "input": [item for message in request.messages for item in _items(message)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    return body | {name: value for name, value in known.items() if value is not None}


def is_last(event: Event) -> bool:
    return any(f'"response.{end}"' in event.data for end in ("completed", "incomplete", "failed"))


async def response(
    events: AsyncGenerator[Event, None], wire: Wire, request: ChatRequest, model: str
) -> AsyncGenerator[Chunk, None]:
    """The chunks in a stream of response events. Raises ProviderUnavailable when it ends without its end."""
    calls: dict[str, int] = {}
    written = 0
    async with aclosing(events):
        async for event in events:
            if event.data.strip() == "[DONE]":
                continue
            data = wire.parsed(event.data, model=model)
            match data:
                case {"type": "response.output_text.delta" | "response.refusal.delta", "delta": str(text)} if text:
                    written += tokens_in(text)
                    yield TextDelta(text)
                case {"type": "response.reasoning_summary_text.delta", "delta": str(text)} if text:
                    written += tokens_in(text)
                    yield ReasoningDelta(text)
                case {"type": "response.output_item.added", "item": {"type": "function_call"} as item}:
                    calls[str(item.get("id"))] = len(calls)
                    yield ToolCallDelta(len(calls) - 1, str(item.get("call_id", "")), str(item.get("name", "")))
                case {"type": "response.function_call_arguments.delta", "item_id": str(id), "delta": str(text)}:
                    written += tokens_in(text)
                    if id in calls:
                        yield ToolCallDelta(calls[id], arguments=text)
                case {"type": "response.output_item.done", "item": {"type": "reasoning"} as item}:
                    if isinstance(sealed := item.get("encrypted_content"), str):
                        yield ReasoningDelta("", Signature(SIGNER, f"{item.get('id', '')}:{sealed}"))
                case {"type": "response.completed" | "response.incomplete", "response": Mapping() as whole}:
                    yield Finished(_reason(whole, bool(calls)), _usage(whole, request, written))
                    return
                case {"type": "response.failed", "response": {"error": Mapping() as error}}:
                    raise wire.refusal(None, {"error": error}, model=model)
                case {"type": "error"}:
                    raise wire.refusal(None, {"error": data.get("error", data)}, model=model)
                case _:
                    pass
    raise wire.broken("The stream ended before the answer did.", model=model)


def _items(message: ChatMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    said = "output_text" if message.role == "assistant" else "input_text"
    for part in message.parts:
        if isinstance(part, Reasoning) and part.signature and part.signature.by == SIGNER:
            id, _, sealed = part.signature.value.partition(":")
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            yield {"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed}
    content = [row for part in message.parts if (row := _part(part, said))]
    if content:
        yield {"role": "developer" if message.role == "system" else message.role, "content": content}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _part(part: Part, said: str) -> dict[str, Any] | None:
    match part:
        case Text(text):
            return {"type": said, "text": text}
        case Image(url):
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case File(url, name):
            return {"type": "input_file", "filename": name or "document", "file_data": url}
        case Reasoning():
            return None


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    return {"type": "function", **function} if isinstance(function, Mapping) else dict(tool)


def _choice(choice: Any) -> Any:
    match choice:
        case {"function": {"name": str(name)}}:
            return {"type": "function", "name": name}
        case _:
            return choice


def _format(form: Mapping[str, Any] | None) -> dict[str, Any] | None:
    match form:
        case {"type": "json_schema", "json_schema": Mapping() as schema}:
            return {"format": {"type": "json_schema", **schema}}
        case {"type": "json_object"}:
            return {"format": {"type": "json_object"}}
        case _:
            return None


def _reason(whole: Mapping[str, Any], calls: bool) -> FinishReason:
    match whole:
        case {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}:
            return "content_filter"
        case {"status": "incomplete"}:
            return "length"
        case _:
            return "tool_calls" if calls else "stop"


def _usage(whole: Mapping[str, Any], request: ChatRequest, written: int) -> Usage:
    usage = whole.get("usage")
    match usage:
        case {"input_tokens": int(prompt), "output_tokens": int(output)}:
            assert isinstance(usage, Mapping)
            read = min(prompt, _detail(usage, "input_tokens_details", "cached_tokens"))
            thought = min(output, _detail(usage, "output_tokens_details", "reasoning_tokens"))
            return Usage(prompt - read, read, 0, output, reasoning=thought)
        case _:
            return Usage(prompt_tokens(request), output=written, counted=False)


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    found = usage.get(group)
    value = found.get(name) if isinstance(found, Mapping) else None
    return value if isinstance(value, int) and value > 0 else 0
