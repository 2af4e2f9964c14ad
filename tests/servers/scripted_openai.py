"""An OpenAI-compatible server that says what it is told to, in OpenAI's wire format (API reference, 2026-08).

    with ScriptedOpenAI(reply=lambda body: Reply("Hello", finish="stop")) as server:
        server.script.append(Status(429, headers={"retry-after": "7"}))
        ... base_url=server.url + "/v1" ...

`requests` and `disconnects` record what came. Only POST requests take behaviours from the script.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Answer, Behaviour, BreakWith, LoopbackServer, Raw, Received, Stall, Status, words


@dataclass(frozen=True)
class Reply:
    """What the model says. `tool_calls` are (name, arguments as JSON text); `usage` replaces the counted one."""

    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[tuple[str, str]] = ()
    finish: str = "stop"
    usage: Mapping[str, Any] | None = None
    head: Sequence[Mapping[str, Any]] = field(default=())  # chunks to send first, as they are


def echo(body: Mapping[str, Any]) -> Reply:
    said = [message.get("content") for message in body["messages"]]
    return Reply(f"You said: {str(said[-1])[:200]}")


class ScriptedOpenAI(LoopbackServer):
    def __init__(
        self,
        models: Sequence[str | Mapping[str, Any]] = ("gpt-5-nano", "text-embedding-3-small"),
        *,
        key: str = "",
        reply: Callable[[Mapping[str, Any]], Reply] = echo,
    ) -> None:
        super().__init__()
        self.models, self.key, self.reply = list(models), key, reply

    async def answer(self, request: Received, answer: Answer) -> None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            said = f"Incorrect API key provided: {request.headers.get('authorization', '').removeprefix('Bearer ')}."
            return await answer.whole(_error(said, "invalid_request_error", "invalid_api_key"), 401)
        path = request.path.partition("?")[0].removeprefix("/v1").rstrip("/")
        fault = self.scripted() if request.method == "POST" else None
        if isinstance(fault, Status):
            body = fault.body if fault.body is not None else _error("The server had an error", "server_error", None)
            return await answer.whole(body, fault.code, fault.headers)
        if fault == Stall():
            await answer.stall()
        match request.method, path:
            case "GET", "/models":
                return await answer.whole({"object": "list", "data": [_row(model) for model in self.models]})
            case "POST", "/chat/completions":
                return await self._chat(request.body, answer, fault)
            case "POST", "/completions":
                return await self._complete(request.body, answer, fault)
            case "POST", "/responses":
                return await self._respond(request.body, answer, fault)
            case "POST", "/embeddings":
                return await self._embeddings(request.body, answer, fault)
        return await answer.whole(b"404 page not found", 404)

    async def _chat(self, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None) -> None:
        if not self._has(body["model"]):
            said = f"The model `{body['model']}` does not exist or you do not have access to it."
            return await answer.whole(_error(said, "invalid_request_error", "model_not_found"), 404)
        reply = self.reply(body)
        usage = reply.usage or _usage(json.dumps(body["messages"]), reply.text)
        if not body.get("stream"):
            return await answer.whole(_completion(body["model"], reply, usage))
        chunks = [*reply.head, *_chunks(body["model"], reply)]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**_CHUNK, "model": body["model"], "choices": [], "usage": usage})
        data = [_event(chunk) for chunk in chunks] + [b"data: [DONE]\n\n"]
        broken = b""
        if isinstance(fault, BreakWith):
            said = fault.error
            broken = _event(said if isinstance(said, dict) else _error(said, "server_error", None))
        kind = fault.content_type if isinstance(fault, Raw) else "text/event-stream; charset=utf-8"
        return await answer.stream(data, kind, fault, broken)

    async def _complete(self, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None) -> None:
        reply = self.reply({**body, "messages": [{"content": body["prompt"]}]})

        def chunk(text: str, finish: str | None) -> Mapping[str, Any]:
            choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
            return {"id": "cmpl-1", "object": "text_completion", "model": body["model"], "choices": [choice]}

        rows = [*(chunk(piece, None) for piece in words(reply.text)), chunk("", reply.finish)]
        rows.append({**rows[-1], "choices": [], "usage": _usage(body["prompt"], reply.text)})
        await answer.stream([*map(_event, rows), b"data: [DONE]\n\n"], "text/event-stream", fault)

    async def _respond(self, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None) -> None:
        """Responses, streamed (API reference, "Streaming events")."""
        said = [part["text"] for item in body["input"] for part in item.get("content", []) if "text" in part]
        reply = self.reply({**body, "messages": [{"content": text} for text in said]})
        rows: list[dict[str, Any]] = [{"type": "response.created", "response": {"status": "in_progress"}}]
        if reply.reasoning:
            rows.append({"type": "response.reasoning_summary_text.delta", "delta": reply.reasoning})
            item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "s3aled"}
            rows.append({"type": "response.output_item.done", "item": item})
        rows += [{"type": "response.output_text.delta", "delta": piece} for piece in words(reply.text)]
        for index, (name, arguments) in enumerate(reply.tool_calls):
            item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": name}
            rows.append({"type": "response.output_item.added", "item": item})
            delta = {"item_id": f"fc_{index}", "delta": arguments}
            rows.append({"type": "response.function_call_arguments.delta", **delta})
        usage = {
            "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3},
        }  # fmt: skip
        ends = {"length": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}}
        whole = {**ends.get(reply.finish, {"status": "completed"}), "usage": usage}
        rows.append({"type": f"response.{whole['status']}", "response": whole})
        broken = b""
        if isinstance(fault, BreakWith):
            failed = {
                "type": "response.failed",
                "response": {"error": {"code": "server_error", "message": fault.error}},
            }
            broken = _event(failed)
        await answer.stream([_event(row) for row in rows], "text/event-stream", fault, broken)

    async def _embeddings(self, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None) -> None:
        if isinstance(fault, Raw):
            return await answer.stream([], fault.content_type, fault)
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        rows = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(inputs)]
        tokens = sum(len(str(text).split()) for text in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # The standard does not promise an order.
        return await answer.whole({"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage})

    def _has(self, name: str) -> bool:
        return any(_row(model).get("id") == name for model in self.models)


_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000}


def vector(text: object) -> list[float]:
    """A vector that depends on the text, or the token ids, only."""
    return [byte / 255 - 0.5 for byte in hashlib.sha256(str(text).encode()).digest()]


def _row(model: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": model, "object": "model", "created": 1, "owned_by": "test"} if isinstance(model, str) else model


def _error(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _event(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _usage(prompt: str, text: str) -> dict[str, Any]:
    counts = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
    return {**counts, "total_tokens": sum(counts.values()), "prompt_tokens_details": {"cached_tokens": 0}}


def _chunks(model: str, reply: Reply) -> list[Mapping[str, Any]]:
    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> Mapping[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**_CHUNK, "model": model, "choices": [choice]}

    chunks = [chunk({"role": "assistant", "content": ""})]
    if reply.reasoning:
        chunks.append(chunk({"reasoning_content": reply.reasoning}))
    chunks += [chunk({"content": piece}) for piece in words(reply.text)]
    for index, (name, arguments) in enumerate(reply.tool_calls):
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        chunks.append(chunk({"tool_calls": [call]}))
        for piece in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
            chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    finish = "tool_calls" if reply.tool_calls else reply.finish
    return [*chunks, chunk({}, finish)]


def _completion(model: str, reply: Reply, usage: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(reply.tool_calls)
        ]
    finish = "tool_calls" if reply.tool_calls else reply.finish
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1760000000, "model": model}
    return {**whole, "choices": [choice], "usage": usage}
