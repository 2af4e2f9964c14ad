"""`/v1/messages`: Anthropic's API over all models, so that clients which speak only that can use any."""

from dataclasses import dataclass
from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from engine.engine import Engine
from engine.llm.counting import prompt_tokens
from engine.llm.messages import ChatRequest, Preferences
from server.anthropic import wire
from server.anthropic.wire import MessagesRequest
from server.bodies import Extension, read
from server.edge import Face, json_body, json_response
from server.protocol import Limits
from server.streaming import SSE, Form, caller_of, headers_of, stream, whole


@dataclass(frozen=True, slots=True)
class AnthropicRoutes:
    engine: Engine
    limits: Limits = Limits()

    def blueprint(self) -> Blueprint:
        found = Face("anthropic", url_prefix="/v1/messages")
        found.add_route(self.messages, "/", methods=["POST"], strict_slashes=False)
        found.add_route(self.count, "/count_tokens", methods=["POST"])
        return found

    async def messages(self, request: Request) -> HTTPResponse | None:
        body = json_body(request)
        asked = read(MessagesRequest, body)
        wanted = _request(asked, body, request)
        opening = self.engine.llm.chat(wanted, caller_of(request, "anthropic"))
        if asked.stream:
            guess = prompt_tokens(wanted)
            form = Form(SSE, wire.PING, lambda answer: wire.events(answer, guess), wire.failure)
            await stream(request, opening, form, self.limits)
            return None
        answer, completion = await whole(opening)
        return json_response(wire.message_json(answer, completion), headers=headers_of(answer, completion.notes))

    async def count(self, request: Request) -> HTTPResponse:
        """About how many tokens a prompt has: a guess on the safe side, and marked as one."""
        body = json_body(request)
        wanted = _request(read(MessagesRequest, body), body, request)
        return json_response({"input_tokens": prompt_tokens(wanted)}, headers={"x-cb-estimated": "true"})


def _request(asked: MessagesRequest, body: dict[str, Any], request: Request) -> ChatRequest:
    wishes = body.get("circuit_breaker")
    preferences = read(Extension, wishes).preferences() if isinstance(wishes, dict) else Preferences()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return asked.request(body, headers, preferences)
