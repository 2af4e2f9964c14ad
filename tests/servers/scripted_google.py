"""A server that speaks Google's generateContent ("Gemini API reference", v1beta, read 2026-08), and Vertex AI's too.

    with ScriptedGoogle(reply=lambda body: Reply("Hello")) as server:
        server.script.append(Status(429, error(429, "RESOURCE_EXHAUSTED", "slow down", retry="12s")))
        ... GOOGLE_BASE_URL=server.url ...

It refuses what the real one refuses: a key in the address, fields that schemas may not have, calls without their
signatures when `signed`. Only POST requests take behaviours from the script.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.loopback import Answer, BreakWith, LoopbackServer, Raw, Received, Stall, Status, words
from tests.servers.scripted_anthropic import Reply as ClaudeReply
from tests.servers.scripted_anthropic import ScriptedAnthropic, event, events_of, problem_with

USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17}


@dataclass(frozen=True)
class Reply:
    """What the model says. `tool_calls` are (name, arguments); each has a signature when the server is `signed`."""

    text: str = ""
    thoughts: str = ""
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    finish: str = "STOP"
    usage: Mapping[str, Any] | None = None
    blocked: str = ""


def echo(body: Mapping[str, Any]) -> Reply:
    parts = body["contents"][-1]["parts"]
    return Reply(f"You said: {next((part['text'] for part in parts if 'text' in part), '')[:200]}")


def error(code: int, status: str, message: str, *, retry: str = "", reason: str = "") -> dict[str, Any]:
    details: list[dict[str, str]] = []
    if reason:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})
    if retry:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry})
    return {"error": {"code": code, "message": message, "status": status, "details": details}}


class ScriptedGoogle(LoopbackServer):
    """With `token` it is Vertex AI: that is the bearer token it takes, and Claude answers there too."""

    def __init__(
        self,
        models: Sequence[str | Mapping[str, Any]] = ("gemini-2.5-flash", "gemini-3.5-flash", "gemini-embedding-001"),
        *,
        key: str = "",
        token: str = "",
        signed: bool = False,
        page: int = 2,
        reply: Callable[[Mapping[str, Any]], Reply] = echo,
        claude: Callable[[Mapping[str, Any]], ClaudeReply] | None = None,
    ) -> None:
        super().__init__()
        self.models, self.key, self.token, self.signed, self.page = list(models), key, token, signed, page
        self.reply = reply
        self.claude = claude or ScriptedAnthropic().reply

    async def answer(self, request: Received, answer: Answer) -> None:
        path, _, query = request.path.partition("?")
        if path == "/token":
            return await answer.whole({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return await answer.whole([error(401, "UNAUTHENTICATED", "Request had invalid credentials.")], 401)
        if self.key and request.headers.get("x-goog-api-key") != self.key:
            said = "API key not valid. Please pass a valid API key."
            return await answer.whole(error(400, "INVALID_ARGUMENT", said, reason="API_KEY_INVALID"), 400)
        fault = self.scripted() if request.method == "POST" else None
        if isinstance(fault, Status):
            body = fault.body if fault.body is not None else error(500, "INTERNAL", "An internal error has occurred.")
            return await answer.whole(body, fault.code, fault.headers)
        if fault == Stall():
            await answer.stall()
        model, _, method = path.rpartition("/")[2].partition(":")
        if request.method == "GET" and path == "/v1beta/models":
            return await answer.whole(self._page(query))
        if not any(_row(one)["name"] == f"models/{model}" for one in self.models):
            said = f"models/{model} is not found for API version v1beta."
            return await answer.whole(error(404, "NOT_FOUND", said), 404)
        kind = fault.content_type if isinstance(fault, Raw) else "text/event-stream"
        match method:
            case "streamGenerateContent" if query == "alt=sse":
                if wrong := self._problem(request.body):
                    return await answer.whole(error(400, "INVALID_ARGUMENT", wrong), 400)
                broken = b""
                if isinstance(fault, BreakWith):
                    said = fault.error
                    broken = _event(said if isinstance(said, dict) else error(500, "INTERNAL", said))
                chunks = [_event(one) for one in self._chunks(self.reply(request.body))]
                return await answer.stream(chunks, kind, fault, broken)
            case "streamRawPredict":
                if "model" in request.body or request.body.get("anthropic_version") != "vertex-2023-10-16":
                    return await answer.whole(error(400, "INVALID_ARGUMENT", "anthropic_version: required"), 400)
                if wrong := problem_with({**request.body, "model": model}):
                    said_ = {"type": "error", "error": {"type": "invalid_request_error", "message": wrong}}
                    return await answer.whole(said_, 400)
                broken = event(fault.error) if isinstance(fault, BreakWith) else b""
                data = [event(one) for one in events_of(model, self.claude(request.body))]
                return await answer.stream(data, kind, fault, broken)
            case "batchEmbedContents":
                texts = [one["content"]["parts"][0]["text"] for one in request.body["requests"]]
                return await answer.whole({"embeddings": [{"values": vector(text)} for text in texts]})
            case "predict":
                rows = [
                    {"embeddings": {"values": vector(one["content"]), "statistics": {"token_count": 3}}}
                    for one in request.body["instances"]
                ]
                return await answer.whole({"predictions": rows})
        return await answer.whole(b"404 page not found", 404)

    def _page(self, query: str) -> dict[str, Any]:
        start = int(query.partition("pageToken=p")[2] or 0)
        rows = [_row(model) for model in self.models[start : start + self.page]]
        more = {"nextPageToken": f"p{start + self.page}"} if start + self.page < len(self.models) else {}
        return {"models": rows, **more}

    def _problem(self, body: Mapping[str, Any]) -> str:
        """What the real one would refuse, in its words."""
        for place, turn in enumerate(body["contents"]):
            if not turn["parts"] or turn["role"] not in ("user", "model"):
                return f"GenerateContentRequest.contents[{place}].parts: contents.parts must not be empty."
            calls = [part for part in turn["parts"] if "functionCall" in part]
            after = body["contents"][place + 1]["parts"] if place + 1 < len(body["contents"]) else []
            given = [part for part in after if "functionResponse" in part]
            if after and len(calls) != len(given):
                return "Please ensure that the number of function response parts is equal to the number of calls."
            signature = calls[0].get("thoughtSignature") if calls else "skip"
            if self.signed and signature is None:
                return f"Function call is missing a thought_signature in functionCall parts, position {place}."
            if self.signed and not str(signature).startswith(("sig-", "skip")):
                return "Corrupted thought signature."
        for tool in body.get("tools", ()):
            if any("parameters" in one and "$defs" in one["parameters"] for one in tool["functionDeclarations"]):
                return 'Invalid JSON payload received. Unknown name "$defs" at parameters.'
        return ""

    def _chunks(self, reply: Reply) -> list[dict[str, Any]]:
        if reply.blocked:
            return [{"promptFeedback": {"blockReason": reply.blocked}, "usageMetadata": {"promptTokenCount": 12}}]
        parts = [{"text": piece, "thought": True} for piece in words(reply.thoughts)]
        parts += [{"text": piece} for piece in words(reply.text)]
        for number, (name, given) in enumerate(reply.tool_calls):
            signature = {"thoughtSignature": f"sig-{number}"} if self.signed and number == 0 else {}
            parts.append({"functionCall": {"name": name, "args": given}, **signature})
        chunks = [_chunk([part]) for part in parts]
        end = _chunk([{"text": ""}])
        end["candidates"][0]["finishReason"] = reply.finish
        return [*chunks, {**end, "usageMetadata": USAGE if reply.usage is None else reply.usage}]


def _chunk(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}], "responseId": "r1"}


def vector(text: str) -> list[float]:
    """A vector that depends on the text only."""
    return [byte / 255 - 0.5 for byte in hashlib.sha256(text.encode()).digest()]


def _row(model: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(model, Mapping):
        return model
    methods = ["embedContent"] if "embedding" in model else ["generateContent", "countTokens"]
    limits = {"inputTokenLimit": 1048576, "outputTokenLimit": 65536}
    return {"name": f"models/{model}", "displayName": model.title(), "supportedGenerationMethods": methods, **limits}


def _event(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()
