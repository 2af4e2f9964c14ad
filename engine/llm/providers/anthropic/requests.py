"""Our requests as Anthropic's messages (API reference, "Create a Message", version 2023-06-01, read 2026-08). Pure."""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import orjson

from engine.llm.messages import ChatMessage, ChatRequest, File, Image, Noted, Part, Reasoning, Text
from engine.llm.providers.anthropic.families import Family, family_of
from engine.llm.providers.asking import Body
from engine.llm.refusals import encoded

DEFAULT_OUTPUT = 8192
ANSWER_TOOL = "answer_in_json"
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 31_999}
_JSON_ONLY = "Answer with one JSON object and nothing else."


def messages_body(request: ChatRequest, model: str, refused: Sequence[str] = ()) -> Body:
    """The body of a streamed request. `refused` are fields that the model is known not to take.

    What a client said in Anthropic's own words goes on as it is.
    """
    family = family_of(model)
    if request.protocol == "anthropic":
        most = min(DEFAULT_OUTPUT, family.most_output)
        body = Body({"max_tokens": most, **request.extra, "model": model, "stream": True})
    else:
        if "output_config" in refused:
            family = replace(family, schema=False)  # the answer is held to its schema by a tool then
        body = _translated(request, model, family)
    for name in refused:
        if name in body.fields:
            body.drop(name, f"{model} does not take it")
    return body


def _translated(request: ChatRequest, model: str, family: Family) -> Body:
    body = Body(
        {
            "model": model,
            "max_tokens": request.sampling.max_tokens or min(DEFAULT_OUTPUT, family.most_output),
            "messages": turns(request.messages),
            "stream": True,
        }
    )
    said, system = body.fields["messages"], _system(request.messages)
    if not said:  # instructions alone are a question
        said.append({"role": "user", "content": system})
    elif system:
        body.fields["system"] = system
    if said[0]["role"] == "assistant":
        said.insert(0, {"role": "user", "content": [{"type": "text", "text": "…"}]})
        body.notes.append(Noted("emulated", "An empty turn was put first: a conversation begins with the user here."))
    _sample(body, request, family)
    _tools(body, request)
    _form(body, request, family)
    _think(body, request, family)
    return body


def _sample(body: Body, request: ChatRequest, family: Family) -> None:
    sampling = request.sampling
    known = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": request.extra.get("top_k")}
    for name, value in known.items():
        if value is not None and not family.samples:
            body.drop(name, "this model samples as it likes")
        elif value is not None:
            body.fields[name] = value
    if body.fields.get("temperature", 0) > 1:
        body.fields["temperature"] = 1.0
        body.notes.append(Noted("dropped", "temperature was lowered to 1, the highest there is."))
    if "temperature" in body.fields and "top_p" in body.fields and family.version > 4:
        body.drop("top_p", "this model takes it only without temperature")
    if stop := [text for text in sampling.stop if text.strip()]:
        body.fields["stop_sequences"] = stop
    if len(stop) < len(sampling.stop):
        body.drop("stop", "a stop sequence must not be white space")
    if isinstance(user := request.extra.get("user"), str):
        body.fields["metadata"] = {"user_id": user}
    for name in ("seed", "frequency_penalty", "presence_penalty", "top_logprobs"):
        if getattr(sampling, name) is not None:
            body.drop(name, "Anthropic has no such parameter")


def _tools(body: Body, request: ChatRequest) -> None:
    tools = [tool for one in request.tools if (tool := _tool(one))]
    if not tools:
        # a conversation in which tools were called must say what they are
        names = dict.fromkeys(call.name for message in request.messages for call in message.tool_calls)
        if names:
            body.fields["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
            body.fields["tool_choice"] = {"type": "none"}
        return
    body.fields["tools"] = tools
    choice = _choice(request.tool_choice)
    if request.parallel_tool_calls is False and request.tool_choice != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice:
        body.fields["tool_choice"] = choice


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return dict(tool) if tool.get("type") not in (None, "function") else {}
    schema = function.get("parameters")
    out = {"name": function["name"], "input_schema": schema or {"type": "object", "properties": {}}}
    if isinstance(function.get("description"), str):
        out["description"] = function["description"]
    if isinstance(mark := tool.get("cache_control"), Mapping):
        out["cache_control"] = dict(mark)
    return out


def _choice(choice: Any) -> dict[str, Any] | None:
    match choice:
        case "auto" | "none":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case {"function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
        case _:
            return None


def _form(body: Body, request: ChatRequest, family: Family) -> None:
    """JSON as the answer: a schema natively, or as the input of a tool that must be called; JSON without a schema only
    by saying so."""
    form = request.sampling.response_format or {}
    described = form.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if form.get("type") == "json_schema" and isinstance(schema, Mapping):
        if family.schema:
            body.fields["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        elif not body.fields.get("tools"):
            body.fields["tools"] = [{"name": ANSWER_TOOL, "description": "Gives the answer.", "input_schema": schema}]
            body.fields["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}
            body.in_tool = True
            body.notes.append(Noted("emulated", "The schema is that of a tool's input, which the model must give."))
        else:
            text = f"{_JSON_ONLY} It must match this JSON schema: {encoded(schema).decode()}"
            body.fields["system"] = [*body.fields.get("system", []), {"type": "text", "text": text}]
            body.notes.append(Noted("emulated", "The schema is asked for in words: this model has tools to call."))
    elif form.get("type") == "json_object":
        body.fields["system"] = [*body.fields.get("system", []), {"type": "text", "text": _JSON_ONLY}]
        body.notes.append(Noted("emulated", "JSON is asked for in words: Anthropic holds answers only to a schema."))


def _think(body: Body, request: ChatRequest, family: Family) -> None:
    effort = request.sampling.reasoning_effort
    if effort is None:
        return
    if not family.thinks:
        body.drop("reasoning_effort", "this model does not think")
        return
    if effort == "none":
        if family.thinks == "adaptive":
            body.fields["thinking"] = {"type": "disabled"}
        return
    if body.fields.get("tool_choice", {}).get("type") in ("any", "tool"):
        body.drop("reasoning_effort", "this model does not think when it is told which tool to call")
        return
    if family.thinks == "adaptive":
        body.fields["thinking"] = {"type": "adaptive"}
        level = {"minimal": "low", "xhigh": "max"}.get(effort, effort)
        body.fields["output_config"] = {**body.fields.get("output_config", {}), "effort": level}
        return
    if request.in_tool_loop and not _thought(body.fields["messages"]):
        body.drop("reasoning_effort", "the thoughts before its tool calls were lost, and it does not go on without")
        return
    budget = BUDGETS.get(effort, BUDGETS["medium"])
    body.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    body.fields["max_tokens"] = min(body.fields["max_tokens"] + budget, 2 * family.most_output)
    for name in ("temperature", "top_p", "top_k"):
        if name in body.fields:
            body.drop(name, "this model does not take it while it thinks")


def _thought(sent: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last turn of the assistant begins with its thoughts."""
    turns_ = (turn["content"] for turn in reversed(sent) if turn["role"] == "assistant")
    return any(content[0]["type"] in ("thinking", "redacted_thinking") for content in islice(turns_, 1))


# -- messages ---------------------------------------------------------------------------------------------------------


def _system(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    parts = (part for message in messages if message.role == "system" for part in message.parts)
    return [
        _marked({"type": "text", "text": part.text}, part) for part in parts if isinstance(part, Text) and part.text
    ]


def turns(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The turns of user and assistant, one after the other: neighbours of one side are joined, and what tools gave
    comes first in the user's turn."""
    out: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if not blocks:
            continue
        if out and out[-1]["role"] == role:
            content = out[-1]["content"] + blocks
            content.sort(key=lambda block: role == "user" and block["type"] != "tool_result")  # stable
            out[-1]["content"] = content
        else:
            out.append({"role": role, "content": blocks})
    return out


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    if message.role == "tool":
        content = [block for part in message.parts if (block := _block(part))]
        plain = content[0]["text"] if len(content) == 1 and content[0].keys() == {"type", "text"} else content
        return [{"type": "tool_result", "tool_use_id": tool_id(message.tool_call_id), "content": plain}]
    blocks = [block for part in message.parts if (block := _block(part))]
    for call in message.tool_calls:
        try:
            given = orjson.loads(call.arguments or "{}")
        except orjson.JSONDecodeError:
            given = None
        given = given if isinstance(given, dict) else {"arguments": call.arguments}
        blocks.append({"type": "tool_use", "id": tool_id(call.id), "name": call.name, "input": given})
    return blocks


def tool_id(id: str) -> str:
    """Ids are held to letters, digits, - and _ here; other providers make others."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", id) or "tool"


def _block(part: Part) -> dict[str, Any] | None:
    match part:
        case Text(text):
            return _marked({"type": "text", "text": text}, part) if text else None
        case Reasoning(text, signature, redacted):
            if signature is None or signature.by != "anthropic":
                return None  # thoughts of others, or without their signature, are refused
            if redacted:
                return {"type": "redacted_thinking", "data": signature.value}
            return {"type": "thinking", "thinking": text, "signature": signature.value}
        case Image(url):
            return {"type": "image", "source": source(url)}
        case File(url, name):
            block = {"type": "document", "source": _text_source(url) or source(url)}
            return block | ({"title": name} if name else {})


def source(url: str) -> dict[str, Any]:
    """Where a picture or a document comes from: a `data:` URL is its own bytes."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, _, data = url.removeprefix("data:").partition(",")
    media_type, _, _ = head.partition(";")
    return {"type": "base64", "media_type": media_type or "application/octet-stream", "data": data}


def _text_source(url: str) -> dict[str, Any] | None:
    """A document that is text, which is taken only as such."""
    found = source(url)
    if not str(found.get("media_type", "")).startswith("text/"):
        return None
    try:
        text = binascii.a2b_base64(found["data"]).decode()
    except ValueError:
        return None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _marked(block: dict[str, Any], part: Text) -> dict[str, Any]:
    return block | ({"cache_control": {"type": "ephemeral"}} if part.cache else {})
