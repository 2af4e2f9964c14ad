"""`/v1/*`: from the wire to the engine and back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sanic import Blueprint, HTTPResponse, Request

from engine.engine import Engine
from engine.kernel.caller import Caller
from engine.kernel.errors import CircuitBreakerError, NotFound
from engine.llm.answering import Answer
from engine.llm.messages import Finished
from server.edge import json_body, json_response
from server.errors import bug, openai_body
from server.openai import sse, wire
from server.openai.wire import ChatCompletionRequest, EmbeddingsRequest
from server.protocol import Limits

FIRST_ROUND_S = 1.5
log = logging.getLogger("server.openai")


@dataclass(frozen=True, slots=True)
class OpenAIRoutes:
    engine: Engine
    limits: Limits = Limits()

    def blueprint(self) -> Blueprint:
        found = Blueprint("openai", url_prefix="/v1")
        found.add_route(self.chat, "/chat/completions", methods=["POST"])
        found.add_route(self.embeddings, "/embeddings", methods=["POST"])
        found.add_route(self.models, "/models", methods=["GET", "HEAD"])
        found.add_route(self.model, "/models/<name:path>", methods=["GET", "HEAD"])
        found.add_route(self.explain, "/routes/explain", methods=["POST"])
        found.add_route(self.route, "/routes/<route:str>", methods=["GET", "HEAD"])
        return found

    async def chat(self, request: Request) -> HTTPResponse | None:
        asked = wire.read(ChatCompletionRequest, json_body(request))
        opening = asyncio.create_task(self.engine.llm.chat(asked.request(), _caller(request)))
        try:
            if asked.stream:
                await self._stream(request, asked, opening)
                return None
            answer = await opening
        except BaseException:
            await _abandon(opening)
            raise
        completion = await answer.whole()
        body = wire.completion_json(answer.id, self._now(), answer.model, completion)
        return json_response(body | {"circuit_breaker": _brief(answer)}, headers=_headers(answer))

    async def _stream(self, request: Request, asked: ChatCompletionRequest, opening: "asyncio.Task[Answer]") -> None:
        """Answer with server-sent events: a comment at once and while a model loads, then its chunks."""
        await asyncio.wait([opening], timeout=self.limits.headers_s)
        headers = _headers(opening.result()) if opening.done() else {}
        response = await request.respond(content_type=sse.CONTENT_TYPE, headers=sse.HEADERS | headers)
        if not opening.done():
            await response.send(sse.comment("waiting for the model"))
            while not opening.done():
                await asyncio.wait([opening], timeout=self.limits.keep_alive_s)
                await response.send(sse.comment("still waiting"))
        frame: dict[str, Any] = {}
        try:
            answer = await opening
            frame = {
                "id": f"chatcmpl-{answer.id}",
                "object": "chat.completion.chunk",
                "created": self._now(),
                "model": answer.model.name,
            }
            async with aclosing(_events(answer, frame, counted=asked.wants_usage)) as events:
                async for event in events:
                    await response.send(event)
        except Exception as error:  # the status is out: all that is left is to say it in the stream
            await response.send(sse.failure(openai_body(_known(error, request)), frame))
        await response.eof()

    async def embeddings(self, request: Request) -> HTTPResponse:
        asked = wire.read(EmbeddingsRequest, json_body(request))
        found = await self.engine.llm.embed(asked.request(), _caller(request))
        return json_response(wire.embeddings_json(found, asked.encoding_format))

    async def models(self, request: Request) -> HTTPResponse:
        return json_response({"object": "list", "data": await self._models()})

    async def model(self, request: Request, name: str) -> HTTPResponse:
        name, rows = unquote(name), await self._models()
        for row in rows:
            if name in (row["id"], f"{row['owned_by']}/{row['id']}"):
                return json_response(row)
        raise NotFound.named("model", name, [row["id"] for row in rows])

    async def _models(self) -> list[dict[str, Any]]:
        await self.engine.llm.discovery.first_round(FIRST_ROUND_S)
        providers = list(self.engine.llm.catalog.providers.values())
        return wire.models_json(providers, self.engine.llm.policies, self._now())

    async def explain(self, request: Request) -> HTTPResponse:
        asked = wire.read(ChatCompletionRequest, json_body(request))
        return json_response((await self.engine.llm.explain(asked.request())).as_json())

    async def route(self, request: Request, route: str) -> HTTPResponse:
        record = await self.engine.llm.request(route)
        if record is None:
            raise NotFound.named("route", route, ())
        return json_response(
            {
                "id": record.id,
                "at": record.at.isoformat(),
                "asked": record.asked,
                "model": record.model,
                "provider": record.provider,
                "usage": wire.usage_json(record.usage) | {"counted": record.usage.counted},
                "cost_usd": None if record.cost_usd is None else str(record.cost_usd),
                "ttft_s": record.ttft_s,
                "duration_s": record.duration_s,
                "error": record.error or None,
                "decision": record.decision,
            }
        )

    def _now(self) -> int:
        return int(self.engine.world.now().timestamp())


def _caller(request: Request) -> Caller:
    return Caller(request.headers.get("user-agent", "").split(" ")[0][:80] or "program", "openai")


async def _events(answer: Answer, frame: Mapping[str, Any], *, counted: bool) -> AsyncGenerator[bytes, None]:
    """The answer as events, in OpenAI's order: role, content, finish, usage when it is `counted`, [DONE]."""
    rest: dict[str, Any] = {"usage": None} if counted else {}
    usage = None
    async with aclosing(answer.chunks) as chunks:
        yield sse.chunk(frame, {"role": "assistant", "content": ""}, None, rest)
        async for chunk in chunks:
            if isinstance(chunk, Finished):
                usage = chunk.usage
                rest = rest | {"circuit_breaker": _brief(answer)}
            yield sse.chunk(frame, *wire.delta_of(chunk), rest)
    if counted and usage is not None:
        yield sse.data({**frame, "choices": [], "usage": wire.usage_json(usage)})
    yield sse.DONE


def _known(error: Exception, request: Request) -> CircuitBreakerError:
    if isinstance(error, CircuitBreakerError):
        return error
    log.error("a bug", exc_info=error)
    return bug(request.ctx.id)


def _headers(answer: Answer) -> dict[str, str]:
    cost = answer.record.cost_usd if answer.record else None
    return {
        "x-cb-model": answer.model.name.encode("ascii", "replace").decode(),
        "x-cb-provider": answer.model.provider,
        "x-cb-route": answer.id,
        "x-cb-attempts": str(answer.attempts),
        "x-cb-overhead-ms": f"{answer.overhead_s * 1000:.2f}",
    } | ({} if cost is None else {"x-cb-cost-usd": f"{cost:f}"})


def _brief(answer: Answer) -> Mapping[str, Any]:
    """The decision in a few words; `/v1/routes/{id}` has it in full."""
    chosen = answer.decision.ranked[answer.place]
    return {
        "route": answer.id,
        "provider": answer.model.provider,
        "policy": answer.decision.policy,
        "reasons": list(chosen.reasons),
        "attempts": answer.attempts,
    }


async def _abandon(opening: "asyncio.Task[Answer]") -> None:
    """Give up a request that may or may not have begun to be answered."""
    opening.cancel()
    with suppress(asyncio.CancelledError, CircuitBreakerError):
        answer = await opening
        await answer.chunks.aclose()
