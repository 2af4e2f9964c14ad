"""`/v1/*` as OpenAI has it: from the wire to the engine and back."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sanic import Blueprint, HTTPResponse, Request

from engine.engine import Engine
from engine.kernel.errors import InvalidInput, NotFound
from engine.llm.answering import Answer
from engine.llm.messages import Finished, Noted, TextDelta
from engine.llm.token_ids import vocabulary
from server.bodies import read
from server.edge import Face, json_body, json_response
from server.errors import openai_body
from server.openai import responses, sse, wire
from server.openai.completions import CompletionsRequest, completion_events, completions_json
from server.openai.responses import ResponsesRequest
from server.openai.wire import ChatCompletionRequest, EmbeddingsRequest
from server.protocol import Limits
from server.streaming import SSE, Form, abandon, all_whole, brief, caller_of, headers_of, stream, whole

FIRST_ROUND_S = 1.5


@dataclass(frozen=True, slots=True)
class OpenAIRoutes:
    engine: Engine
    limits: Limits = Limits()

    def blueprint(self) -> Blueprint:
        found = Face("openai", url_prefix="/v1")
        found.add_route(self.chat, "/chat/completions", methods=["POST"])
        found.add_route(self.completions, "/completions", methods=["POST"])
        found.add_route(self.responses, "/responses", methods=["POST"])
        found.add_route(self.embeddings, "/embeddings", methods=["POST"])
        found.add_route(self.models, "/models", methods=["GET", "HEAD"])
        found.add_route(self.model, "/models/<name:path>", methods=["GET", "HEAD"])
        found.add_route(self.explain, "/routes/explain", methods=["POST"])
        found.add_route(self.explain, "/route/explain", methods=["POST"], name="explain_one")
        found.add_route(self.route, "/routes/<route:str>", methods=["GET", "HEAD"])
        found.add_route(self.vote, "/routes/<route:str>/vote", methods=["POST"])
        return found

    async def chat(self, request: Request) -> HTTPResponse | None:
        body = json_body(request)
        if "input" in body and "messages" not in body:  # Cursor sends the newer form here, and reads this one
            asked = read(ChatCompletionRequest, responses.as_chat(body))
        else:
            asked = read(ChatCompletionRequest, body)
        if asked.copies > 1:
            return await self._several(request, asked)
        opening = self.engine.llm.chat(asked.request(), caller_of(request, "openai"))
        if asked.stream:
            frame = self._frame("chatcmpl", "chat.completion.chunk", asked.model)
            form = Form(
                SSE,
                sse.WAITING,
                lambda answer: _events(answer, _at(frame, answer, "chatcmpl"), counted=asked.wants_usage),
                lambda error: sse.failure(openai_body(error), frame),
            )
            await stream(request, opening, form, self.limits)
            return None
        answer, completion = await whole(opening)
        choices = [wire.choice_json(0, completion)]
        body = wire.completion_json(answer.id, self._now(), answer.model, choices, completion.usage)
        return json_response(body | {"circuit_breaker": brief(answer)}, headers=headers_of(answer, completion.notes))

    async def _several(self, request: Request, asked: ChatCompletionRequest) -> HTTPResponse | None:
        """`n` answers: each is asked for by itself, whatever the provider, and they come as the choices of one."""
        wanted, caller = asked.request(), caller_of(request, "openai")
        openings = [self.engine.llm.chat(wanted, caller) for _ in range(asked.copies)]
        if asked.stream:
            tasks = [asyncio.ensure_future(opening) for opening in openings]
            try:
                await self._stream_several(request, asked, tasks)
            finally:
                await abandon(*tasks)
            return None
        found = await all_whole(openings)
        answer, _ = found[0]
        choices = [wire.choice_json(index, one) for index, (_, one) in enumerate(found)]
        usage = wire.sum_of([one.usage for _, one in found])
        body = wire.completion_json(answer.id, self._now(), answer.model, choices, usage)
        headers = headers_of(answer, others=[one for one, _ in found[1:]])
        return json_response(body | {"circuit_breaker": brief(answer)}, headers=headers)

    async def _stream_several(
        self, request: Request, asked: ChatCompletionRequest, openings: "Sequence[asyncio.Future[Answer]]"
    ) -> None:
        frame = self._frame("chatcmpl", "chat.completion.chunk", asked.model)
        form = Form(
            SSE,
            sse.WAITING,
            lambda answer: wire.merged_events(
                [one.result() for one in openings], _at(frame, answer, "chatcmpl"), counted=asked.wants_usage
            ),
            lambda error: sse.failure(openai_body(error), frame),
        )
        await stream(request, _all_opened(openings), form, self.limits)

    async def completions(self, request: Request) -> HTTPResponse | None:
        asked = read(CompletionsRequest, json_body(request))
        wanted, caller = asked.requests(), caller_of(request, "openai")
        if asked.stream:
            if len(wanted) > 1:
                raise InvalidInput(
                    "Several prompts cannot be streamed.",
                    fix="Send one, or ask without stream.",
                    details={"path": "prompt"},
                )
            frame = self._frame("cmpl", "text_completion", asked.model)
            form = Form(
                SSE,
                sse.WAITING,
                lambda answer: completion_events(answer, _at(frame, answer, "cmpl"), counted=asked.wants_usage),
                lambda error: sse.failure(openai_body(error), frame),
            )
            await stream(request, self.engine.llm.chat(wanted[0], caller), form, self.limits)
            return None
        found = await all_whole(self.engine.llm.chat(one, caller) for one in wanted)
        answer, _ = found[0]
        body = completions_json(answer, self._now(), [one for _, one in found], asked.echoed)
        return json_response(body, headers=headers_of(answer, others=[one for one, _ in found[1:]]))

    async def responses(self, request: Request) -> HTTPResponse | None:
        asked = read(ResponsesRequest, json_body(request))
        opening = self.engine.llm.chat(asked.request(), caller_of(request, "openai"))
        shape = responses.Shape(asked, self._now(), self.engine.world.new_id())
        if asked.stream:
            form = Form(SSE, sse.WAITING, shape.events, shape.failure)
            await stream(request, opening, form, self.limits)
            return None
        answer, completion = await whole(opening)
        return json_response(shape.whole(answer, completion), headers=headers_of(answer, completion.notes))

    async def embeddings(self, request: Request) -> HTTPResponse:
        asked = read(EmbeddingsRequest, json_body(request))
        if asked.token_ids:
            await asyncio.to_thread(vocabulary)  # read once, and not in the loop
        found = await self.engine.llm.embed(asked.request(), caller_of(request, "openai"))
        return json_response(wire.embeddings_json(found, asked.encoding_format))

    async def models(self, request: Request) -> HTTPResponse:
        return json_response({"object": "list", "data": await self._models()})

    async def model(self, request: Request, name: str) -> HTTPResponse:
        name, rows = unquote(name).rstrip("/"), await self._models()
        if not name:
            return json_response({"object": "list", "data": rows})
        for row in rows:
            if name in (row["id"], f"{row['owned_by']}/{row['id']}"):
                return json_response(row)
        raise NotFound.named("model", name, [row["id"] for row in rows])

    async def _models(self) -> list[dict[str, Any]]:
        await self.engine.llm.discovery.first_round(FIRST_ROUND_S)
        providers = list(self.engine.llm.catalog.providers.values())
        return wire.models_json(providers, self.engine.llm.policies, self._now())

    async def explain(self, request: Request) -> HTTPResponse:
        asked = read(ChatCompletionRequest, json_body(request))
        return json_response((await self.engine.llm.explain(asked.request())).as_json())

    async def route(self, request: Request, route: str) -> HTTPResponse:
        record = await self.engine.llm.request(route)
        if record is None:
            raise NotFound.named("route", route, ())
        return json_response(wire.record_json(record))

    async def vote(self, request: Request, route: str) -> HTTPResponse:
        """What the user thinks of an answer: `{"vote": 1}` or -1; it counts in later decisions."""
        asked = read(wire.VoteRequest, json_body(request))
        await self.engine.llm.vote(route, asked.vote)
        return json_response({"id": route, "vote": asked.vote})

    def _frame(self, prefix: str, kind: str, model: str) -> dict[str, Any]:
        return {"id": f"{prefix}-pending", "object": kind, "created": self._now(), "model": model}

    def _now(self) -> int:
        return int(self.engine.world.now().timestamp())


def _at(frame: dict[str, Any], answer: Answer, prefix: str) -> dict[str, Any]:
    """The same frame, now that it is known who answers."""
    frame |= {"id": f"{prefix}-{answer.id}", "model": answer.model.name}
    return frame


async def _all_opened(openings: "Sequence[asyncio.Future[Answer]]") -> Answer:
    """The first of several answers, when all have begun."""
    return (await asyncio.gather(*openings))[0]


async def _events(answer: Answer, frame: Mapping[str, Any], *, counted: bool) -> AsyncGenerator[bytes, None]:
    """The answer as events, in OpenAI's order: role, content, finish, usage when it is `counted`, [DONE]."""
    rest: dict[str, Any] = {"usage": None} if counted else {}
    texts, end = sse.Texts(frame, rest), b""
    async with aclosing(answer.chunks) as chunks:
        begun = sse.chunk(frame, {"role": "assistant", "content": ""}, None, rest)  # goes with the first piece
        async for chunk in chunks:
            if isinstance(chunk, TextDelta) and chunk.raw:
                yield begun + texts(chunk.raw)
                begun = b""
                continue
            if isinstance(chunk, Noted):
                continue
            if isinstance(chunk, Finished):
                await asyncio.sleep(0)  # the pieces of others go first: an end is more to write down
                end = begun + sse.chunk(frame, *wire.delta_of(chunk), rest | {"circuit_breaker": brief(answer)})
                if counted:
                    end += sse.data({**frame, "choices": [], "usage": wire.usage_json(chunk.usage)})
                continue
            yield begun + sse.chunk(frame, *wire.delta_of(chunk), rest, logprobs=wire.logprobs_json(chunk))
            begun = b""
    yield end + sse.DONE
