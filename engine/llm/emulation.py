"""Tools for models that have none: the functions are described in words, and calls are looked for in the answer. Pure.

Off unless the user switches it on (`routing.emulate_tools`): small models often get it wrong, and a client cannot see
that it was not the model's own way of calling. An answer that begins like a call is held back until it is whole; any
other is passed on as it comes.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.llm.messages import ChatMessage, ChatRequest, Chunk, Finished, Noted, Text, TextDelta, ToolCallDelta
from engine.llm.refusals import encoded

NOTE = Noted("emulated", "This model has no tools: they were described to it, and its calls read from its text.")

_HOW = """You can call functions. To call some, answer with nothing but JSON of this form:
{"tool_calls": [{"name": "NAME", "arguments": {...}}]}
What they give will be told to you. When no function is needed, answer in plain words.
The functions, with their parameters as JSON schemas:"""
_MUST = "You must call at least one of them now."


def described(request: ChatRequest) -> ChatRequest:
    """The request with its tools in words, and the calls and results of earlier turns as text."""
    if request.tool_choice == "none":
        return replace(request, tools=(), tool_choice=None)
    tools = list(_functions(request.tools))
    forced = _forced(request)
    if forced:
        tools = [tool for tool in tools if tool["name"] == forced] or tools
    must = bool(forced) or request.tool_choice == "required"
    lines = [_HOW, *(encoded(tool).decode() for tool in tools), *([_MUST] if must else [])]
    system = ChatMessage.of("system", "\n".join(lines))
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    messages = (system, *(_told(message, names) for message in request.messages))
    sampling = request.sampling
    if must and sampling.response_format is None:
        schema = {"name": "calls", "schema": _schema(tools)}
        sampling = replace(sampling, response_format={"type": "json_schema", "json_schema": schema})
    return replace(request, messages=messages, tools=(), tool_choice=None, sampling=sampling)


async def calls_read(
    stream: AsyncIterator[Chunk], tools: Sequence[Mapping[str, Any]], new_id: Callable[[], str]
) -> AsyncGenerator[Chunk, None]:
    """The stream with calls as calls. Closing it closes what it reads from."""
    names = {tool["name"] for tool in _functions(tools)}
    held: str | None = ""  # what may become a call; None when it is plain text
    try:
        yield NOTE
        async for chunk in stream:
            if isinstance(chunk, TextDelta) and held is not None:
                held += chunk.text
                if not _may_be_call(held):
                    yield TextDelta(held)
                    held = None
            elif isinstance(chunk, Finished):
                calls = list(_calls_in(held or "", names))
                for index, (name, arguments) in enumerate(calls):
                    yield ToolCallDelta(index, f"call_{new_id()}", name, arguments)
                if held and not calls:
                    yield TextDelta(held)
                yield replace(chunk, reason="tool_calls") if calls and chunk.reason == "stop" else chunk
            else:
                yield chunk
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _functions(tools: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for tool in tools:
        match tool:
            case {"function": {"name": str()} as function}:
                yield {key: function[key] for key in ("name", "description", "parameters") if key in function}
            case _:
                pass


def _forced(request: ChatRequest) -> str:
    match request.tool_choice:
        case {"function": {"name": str(name)}}:
            return name
        case _:
            return ""


def _schema(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    call = {
        "type": "object",
        "properties": {"name": {"enum": [tool["name"] for tool in tools]}, "arguments": {"type": "object"}},
        "required": ["name", "arguments"],
    }
    calls = {"type": "array", "items": call, "minItems": 1}
    return {"type": "object", "properties": {"tool_calls": calls}, "required": ["tool_calls"]}


def _told(message: ChatMessage, names: Mapping[str, str]) -> ChatMessage:
    if message.role == "tool":
        name = message.name or names.get(message.tool_call_id, "the function")
        return ChatMessage.of("user", f"{name} gave: {message.text}")
    if message.tool_calls:
        calls = [{"name": call.name, "arguments": _object(call.arguments)} for call in message.tool_calls]
        said = encoded({"tool_calls": calls}).decode()
        return ChatMessage(message.role, (*message.parts, Text(said)))
    return message


def _object(arguments: str) -> Any:
    try:
        return _parsed(arguments or "{}")
    except ValueError:
        return {"arguments": arguments}


def _parsed(text: str) -> Any:
    """JSON with its whole numbers as they are: orjson has none over 64 bits. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


def _may_be_call(text: str) -> bool:
    start = text.lstrip()
    return not start or any(start.startswith(sign) or sign.startswith(start) for sign in ("{", "```json", "```\n{"))


def _calls_in(text: str, names: set[str]) -> Iterator[tuple[str, str]]:
    """The calls of known functions in a whole answer; none when it is anything else."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        data = _parsed(bare)
    except ValueError:
        return
    rows = data.get("tool_calls", [data]) if isinstance(data, dict) else []
    found: list[tuple[str, str]] = []
    for row in rows if isinstance(rows, list) else ():
        match row:
            case {"name": str(name), "arguments": dict(arguments)} if name in names:
                found.append((name, encoded(arguments).decode()))
            case _:
                return
    yield from found
