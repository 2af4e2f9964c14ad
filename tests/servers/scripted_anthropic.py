"""A server that speaks Anthropic's messages API (API reference, version 2023-06-01, read 2026-08).

    with ScriptedAnthropic(reply=lambda body: Reply("Hello")) as server:
        server.script.append(Status(529, overloaded()))
        ... ANTHROPIC_BASE_URL=server.url ...

It checks what the real one checks of a request: the version, the turns, the ids of tool results. Only POST requests
take behaviours from the script.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Answer, BreakWith, LoopbackServer, Raw, Received, Stall, Status, words


@dataclass(frozen=True)
class Reply:
    """What the model says: `blocks` are content blocks as they are in a whole message, before the text and the tool
    calls, which are (name, input)."""

    text: str = ""
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    blocks: Sequence[Mapping[str, Any]] = ()
    stop_reason: str = ""
    stop_sequence: str | None = None
    usage: Mapping[str, Any] = field(default_factory=lambda: {"input_tokens": 12, "output_tokens": 5})


def echo(body: Mapping[str, Any]) -> Reply:
    said = body["messages"][-1]["content"]
    text = said if isinstance(said, str) else next((one["text"] for one in said if one["type"] == "text"), "")
    return Reply(f"You said: {text[:200]}")


def error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def overloaded() -> dict[str, Any]:
    return error("overloaded_error", "Overloaded")


def thinking(text: str, signature: str = "sig-1") -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


class ScriptedAnthropic(LoopbackServer):
    def __init__(
        self,
        models: Sequence[str | Mapping[str, Any]] = ("claude-sonnet-4-5", "claude-opus-5"),
        *,
        key: str = "",
        reply: Callable[[Mapping[str, Any]], Reply] = echo,
    ) -> None:
        super().__init__()
        self.models, self.key, self.reply = list(models), key, reply

    async def answer(self, request: Received, answer: Answer) -> None:
        if self.key and request.headers.get("x-api-key") != self.key:
            return await answer.whole(error("authentication_error", "invalid x-api-key"), 401)
        if "anthropic-version" not in request.headers:
            said = "anthropic-version: header is required"
            return await answer.whole(error("invalid_request_error", said), 400)
        fault = self.scripted() if request.method == "POST" else None
        if isinstance(fault, Status):
            body = fault.body if fault.body is not None else error("api_error", "Internal server error")
            return await answer.whole(body, fault.code, fault.headers)
        if fault == Stall():
            await answer.stall()
        match request.method, request.path.partition("?")[0]:
            case "GET", "/v1/models":
                rows = [model if isinstance(model, Mapping) else row(model) for model in self.models]
                return await answer.whole({"data": rows, "has_more": False, "first_id": None, "last_id": None})
            case "POST", "/v1/messages":
                if wrong := problem_with(request.body):
                    return await answer.whole(error("invalid_request_error", wrong), 400)
                if not self._has(request.body["model"]):
                    return await answer.whole(error("not_found_error", f"model: {request.body['model']}"), 404)
                data = events_of(request.body["model"], self.reply(request.body))
                broken = b""
                if isinstance(fault, BreakWith):
                    said = fault.error
                    broken = event(said if isinstance(said, dict) else error("api_error", said))
                kind = fault.content_type if isinstance(fault, Raw) else "text/event-stream; charset=utf-8"
                return await answer.stream([event(one) for one in data], kind, fault, broken)
        return await answer.whole(error("not_found_error", "Not found"), 404)

    def _has(self, name: str) -> bool:
        return any((one if isinstance(one, str) else one.get("id")) == name for one in self.models)


def row(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name.title(), "created_at": "2026-01-01T00:00:00Z"}


def event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def events_of(model: str, reply: Reply) -> list[Mapping[str, Any]]:
    """A whole stream, with pings and an event of a type that is not known yet in between."""
    start = {k: v for k, v in reply.usage.items() if k != "output_tokens"} | {"output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    out: list[Mapping[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "usage": start}},
        {"type": "ping"},
        {"type": "something_new", "index": 0, "delta": {"text": "not for you"}},
    ]
    blocks = [*reply.blocks, *([{"type": "text", "text": reply.text}] if reply.text else [])]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}
        for number, (name, given) in enumerate(reply.tool_calls)
    ]
    out += block_events(blocks)
    reason = reply.stop_reason or ("tool_use" if reply.tool_calls else "end_turn")
    delta = {"stop_reason": reason, "stop_sequence": reply.stop_sequence}
    end = {"output_tokens": reply.usage["output_tokens"]} if "output_tokens" in reply.usage else {}
    return [*out, {"type": "message_delta", "delta": delta, "usage": end}, {"type": "message_stop"}]


def block_events(blocks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    out: list[Mapping[str, Any]] = []
    for index, block in enumerate(blocks):
        begun, deltas = _pieces(block)
        out.append({"type": "content_block_start", "index": index, "content_block": begun})
        out += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        out.append({"type": "content_block_stop", "index": index})
    return out


def _pieces(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": one} for one in words(text)]
        case {"type": "thinking"}:
            deltas = [{"type": "thinking_delta", "thinking": one} for one in words(block["thinking"])]
            signed = [{"type": "signature_delta", "signature": block["signature"]}]
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, *signed]
        case {"type": "tool_use", "input": Mapping() as given}:
            text = json.dumps(given) if given else ""
            parts = ["", text[: len(text) // 2], text[len(text) // 2 :]]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": one} for one in parts]
        case _:
            return block, []


def problem_with(body: Mapping[str, Any]) -> str:
    """What the real one would refuse, in its words."""
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return f"{name}: Field required"
    asked: list[str] = []
    for place, turn in enumerate(body["messages"]):
        blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        if not blocks or turn["role"] != ("user", "assistant")[place % 2]:
            return f"messages.{place}: roles must alternate, and content must not be empty"
        given = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if set(given) != set(asked) or [block["type"] for block in blocks[: len(given)]] != ["tool_result"] * len(
            given
        ):
            return (
                f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {asked}"
            )
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            if block["type"] == "text" and not block["text"]:
                return "messages: text content blocks must be non-empty"
            if not re.fullmatch(r"[a-zA-Z0-9_-]+", str(block.get("id", "x"))):
                return f"messages.{place}: id should match pattern '^[a-zA-Z0-9_-]+$'"
    thinks = body.get("thinking", {})
    if thinks.get("type") == "enabled" and not 1024 <= thinks["budget_tokens"] < body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`"
    if thinks.get("type") in ("enabled", "adaptive") and body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return "Thinking may not be enabled when tool_choice forces tool use."
    return ""
