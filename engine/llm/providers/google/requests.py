"""Our requests as Google's generateContent ("Generating content", "Thought signatures", v1beta, read 2026-08). Pure."""

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from engine.llm.messages import ChatMessage, ChatRequest, File, Image, Noted, Part, Reasoning, Text, ToolCall
from engine.llm.providers.asking import Body
from engine.llm.providers.google.families import BUDGETS, Family, family_of
from engine.llm.refusals import encoded

SENTINEL = "skip_thought_signature_validator"
_JSON_ONLY = "Answer with one JSON object and nothing else."


def content_body(
    request: ChatRequest, model: str, refused: Sequence[str] = (), *, signed: bool = True, sentinel: bool = False
) -> Body:
    """The body of a request. `refused` are fields of `generationConfig` that the model is known not to take. Without
    `signed` no signatures go along; with `sentinel` the calls that lack theirs say that they do."""
    family = family_of(model)
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    body = Body({"contents": list(_turns(request.messages, names, signed, sentinel))})
    system = [{"text": part.text} for part in _system(request.messages)]
    config: dict[str, Any] = {}
    _sample(body, config, request)
    _tools(body, request)
    system += _form(body, config, request, family)
    _think(body, config, request, family)
    for name in refused:
        if name in config:
            del config[name]
            body.drop(name, f"{model} does not take it")
    if not body.fields["contents"]:  # instructions alone are a question
        body.fields["contents"] = [{"role": "user", "parts": system}]
    elif system:
        body.fields["systemInstruction"] = {"parts": system}
    if config:
        body.fields["generationConfig"] = config
    return body


def _sample(body: Body, config: dict[str, Any], request: ChatRequest) -> None:
    sampling = request.sampling
    known = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": request.extra.get("top_k"),
        "maxOutputTokens": sampling.max_tokens,
        "stopSequences": list(sampling.stop[:5]) or None,
        "seed": sampling.seed,
        "frequencyPenalty": sampling.frequency_penalty,
        "presencePenalty": sampling.presence_penalty,
        "responseLogprobs": True if sampling.top_logprobs is not None else None,
        "logprobs": sampling.top_logprobs or None,
    }
    config |= {key: value for key, value in known.items() if value is not None}
    if len(sampling.stop) > 5:
        body.notes.append(Noted("dropped", "Only five stop sequences are taken; the others were left out."))


def _tools(body: Body, request: ChatRequest) -> None:
    declared = [found for tool in request.tools if (found := _declaration(tool))]
    if not declared:
        return
    body.fields["tools"] = [{"functionDeclarations": declared}]
    choice = _choice(request.tool_choice)
    if choice:
        body.fields["toolConfig"] = {"functionCallingConfig": choice}
    if request.parallel_tool_calls is False:
        body.drop("parallel_tool_calls", "Google has no such parameter")


def _declaration(tool: Mapping[str, Any]) -> dict[str, Any] | None:
    match tool:
        case {"function": {"name": str(name)} as function}:
            out = {"name": name}
            if isinstance(said := function.get("description"), str):
                out["description"] = said
            schema = function.get("parameters")
            return out | ({"parametersJsonSchema": schema} if isinstance(schema, Mapping) and schema else {})
        case _:
            return None


def _choice(choice: Any) -> dict[str, Any] | None:
    match choice:
        case "auto":
            return {"mode": "AUTO"}
        case "required":
            return {"mode": "ANY"}
        case "none":
            return {"mode": "NONE"}
        case {"function": {"name": str(name)}}:
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case _:
            return None


def _form(body: Body, config: dict[str, Any], request: ChatRequest, family: Family) -> list[dict[str, Any]]:
    """JSON as the answer, natively where it can be; else in words, which are given back."""
    form = request.sampling.response_format or {}
    described = form.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if form.get("type") not in ("json_schema", "json_object"):
        return []
    if body.fields.get("tools") and not family.both:
        said = f" It must match this JSON schema: {encoded(schema).decode()}" if schema else ""
        body.notes.append(Noted("emulated", "JSON is asked for in words: this model has tools to call."))
        return [{"text": _JSON_ONLY + said}]
    config["responseMimeType"] = "application/json"
    if isinstance(schema, Mapping):
        config["responseJsonSchema"] = schema
    return []


def _think(body: Body, config: dict[str, Any], request: ChatRequest, family: Family) -> None:
    effort = request.sampling.reasoning_effort
    if effort is None:
        return
    if not family.thinks:
        body.drop("reasoning_effort", "this model does not think")
    elif effort == "none" and not family.stops:
        body.drop("reasoning_effort", "this model always thinks")
    elif effort == "none":
        config["thinkingConfig"] = {"thinkingBudget": 0} if family.thinks == "budget" else {"thinkingLevel": "minimal"}
    elif family.thinks == "budget":
        budget = BUDGETS.get(effort, BUDGETS["medium"])
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": budget}
    else:
        level = {"minimal": "minimal" if family.stops else "low", "xhigh": "high", "max": "high"}.get(effort, effort)
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingLevel": level}


# -- messages ---------------------------------------------------------------------------------------------------------


def _system(messages: Sequence[ChatMessage]) -> Iterator[Text]:
    for message in messages:
        if message.role == "system":
            yield from (part for part in message.parts if isinstance(part, Text) and part.text)


def _turns(
    messages: Sequence[ChatMessage], names: Mapping[str, str], signed: bool, sentinel: bool
) -> Iterator[dict[str, Any]]:
    """The turns of user and model, one after the other: neighbours of one side are joined, and what tools gave stands
    in the order of the calls, which have no other mark here than their names."""
    turn: dict[str, Any] = {}
    order: dict[str, int] = {}
    for message in messages:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        if message.tool_calls:
            order = {call.id: place for place, call in enumerate(message.tool_calls)}
        parts = list(_parts(message, names, signed, sentinel))
        if not parts:
            continue
        if turn and turn["role"] == role:
            turn["parts"] += [(order.get(message.tool_call_id, 0), part) for part in parts]
            continue
        if turn:
            yield _settled(turn)
        turn = {"role": role, "parts": [(order.get(message.tool_call_id, 0), part) for part in parts]}
    if turn:
        yield _settled(turn)


def _settled(turn: dict[str, Any]) -> dict[str, Any]:
    def place(numbered: tuple[int, dict[str, Any]]) -> tuple[int, int]:
        number, part = numbered
        return (0, number) if "functionResponse" in part else (1, 0)

    parts = sorted(turn["parts"], key=place) if turn["role"] == "user" else turn["parts"]
    return {"role": turn["role"], "parts": [part for _, part in parts]}


def _parts(message: ChatMessage, names: Mapping[str, str], signed: bool, sentinel: bool) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        name = message.name or names.get(message.tool_call_id, "") or "tool"
        yield {"functionResponse": {"name": name, "response": _result(message.text)}}
        yield from (part_json(part) for part in message.parts if isinstance(part, Image | File))
        return
    yield from (part_json(part) for part in message.parts if not isinstance(part, Reasoning) and _says(part))
    for place, call in enumerate(message.tool_calls):
        row: dict[str, Any] = {"functionCall": {"name": call.name, "args": _arguments(call)}}
        if signed and call.signature is not None and call.signature.by == "google":
            row["thoughtSignature"] = call.signature.value
        elif sentinel and place == 0:
            row["thoughtSignature"] = SENTINEL
        yield row


def _says(part: Part) -> bool:
    return not isinstance(part, Text) or bool(part.text)


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    given = _json(call.arguments or "{}")
    return given if isinstance(given, dict) else {"arguments": call.arguments}


def _result(text: str) -> Mapping[str, Any]:
    """What a tool gave as the object that it must be."""
    given = _json(text)
    return given if isinstance(given, dict) else {"result": text if given is None else given}


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def part_json(part: Part) -> dict[str, Any]:
    match part:
        case Text(text) | Reasoning(text):
            return {"text": text}
        case Image(url) | File(url):
            head, _, data = url.removeprefix("data:").partition(",")
            if url.startswith("data:"):
                return {"inlineData": {"mimeType": head.partition(";")[0] or "application/octet-stream", "data": data}}
            kind = mimetypes.guess_type(url.partition("?")[0])[0] or "image/jpeg"
            return {"fileData": {"mimeType": kind, "fileUri": url}}
