"""`/api/*`: Ollama's API over all models, for clients that speak only that. Pulling and removing go to the Ollama that
is there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from sanic import Blueprint, HTTPResponse, Request

from engine.engine import Engine
from engine.kernel.errors import CircuitBreakerError, NotFound
from engine.llm.catalog import named
from engine.llm.model import Model
from engine.llm.ports import Progress
from server.bodies import read
from server.edge import Face, json_body, json_response
from server.ollama import wire
from server.ollama.wire import ChatAsked, EmbedAsked, GenerateAsked, ModelAsked
from server.protocol import Limits
from server.streaming import Form, caller_of, headers_of, known, stream, whole

FIRST_ROUND_S = 1.5


async def _steps(pulled: AsyncGenerator[Progress, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pulled) as steps:
        async for step in steps:
            sizes = {"digest": "all", "total": step.total, "completed": step.completed} if step.total else {}
            yield wire.line({"status": step.status, **sizes})


@dataclass(frozen=True, slots=True)
class OllamaRoutes:
    engine: Engine
    limits: Limits = Limits()

    def blueprint(self) -> Blueprint:
        found = Face("ollama", url_prefix="/api")
        found.add_route(self.version, "/version", methods=["GET", "HEAD"])
        found.add_route(self.tags, "/tags", methods=["GET", "HEAD"])
        found.add_route(self.ps, "/ps", methods=["GET", "HEAD"])
        found.add_route(self.show, "/show", methods=["POST"])
        found.add_route(self.chat, "/chat", methods=["POST"])
        found.add_route(self.generate, "/generate", methods=["POST"])
        found.add_route(self.embed, "/embed", methods=["POST"])
        found.add_route(self.embeddings, "/embeddings", methods=["POST"])
        found.add_route(self.pull, "/pull", methods=["POST"])
        found.add_route(self.delete, "/delete", methods=["DELETE"])
        found.add_route(self.copy, "/copy", methods=["POST"])
        return found

    async def version(self, request: Request) -> HTTPResponse:
        return json_response({"version": wire.VERSION})

    async def tags(self, request: Request) -> HTTPResponse:
        await self._found()
        llm = self.engine.llm
        rows = wire.tags_json(list(llm.catalog.providers.values()), llm.policies, self._now())
        return json_response({"models": rows})

    async def ps(self, request: Request) -> HTTPResponse:
        await self._found()
        return json_response({"models": wire.ps_json(self.engine.llm.catalog.models, self._now())})

    async def show(self, request: Request) -> HTTPResponse:
        name = read(ModelAsked, json_body(request)).named
        await self._found()
        llm = self.engine.llm
        if name in llm.policies:
            return json_response(wire.show_json(name, None, self._now()))
        model = self._model(name)
        if model.provider == "ollama":  # it knows more: its licence, its template
            return json_response(await llm.keeper().shown(model.name))
        return json_response(wire.show_json(name, model, self._now()))

    async def chat(self, request: Request) -> HTTPResponse | None:
        asked = read(ChatAsked, json_body(request))
        if not asked.messages:
            return await self._loaded(asked, chat=True)
        return await self._answer(request, asked, chat=True)

    async def generate(self, request: Request) -> HTTPResponse | None:
        asked = read(GenerateAsked, json_body(request))
        if not asked.prompt and not asked.suffix:
            return await self._loaded(asked, chat=False)
        return await self._answer(request, asked, chat=False)

    async def _answer(self, request: Request, asked: ChatAsked | GenerateAsked, *, chat: bool) -> HTTPResponse | None:
        opening = self.engine.llm.chat(asked.request(), caller_of(request, "ollama"))
        if asked.stream is not False:
            form = Form(
                wire.NDJSON,
                b"",  # a line without an answer would be read as one
                lambda answer: wire.lines(answer, self._now(), chat=chat),
                lambda error: wire.failure(error, chat=chat),
            )
            await stream(request, opening, form, self.limits)
            return None
        answer, completion = await whole(opening)
        return json_response(
            wire.whole_json(answer, completion, self._now(), chat=chat), headers=headers_of(answer, completion.notes)
        )

    async def _loaded(self, asked: ChatAsked | GenerateAsked, *, chat: bool) -> HTTPResponse:
        """Without a prompt: have the model in memory, or take it out with keep_alive 0."""
        await self._found()
        out = asked.keep_alive in (0, "0", "0s")
        model = None if asked.named in self.engine.llm.policies else self._model(asked.named)
        if model is not None and model.provider == "ollama":
            await self.engine.llm.keeper().load(model.name, "5m" if asked.keep_alive is None else asked.keep_alive)
            self.engine.llm.discovery.soon("ollama")
        said = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
        row = {"model": asked.named, "created_at": self._now().isoformat(), **said}
        return json_response(row | {"done": True, "done_reason": "unload" if out else "load"})

    async def embed(self, request: Request) -> HTTPResponse:
        found = await self.engine.llm.embed(
            read(EmbedAsked, json_body(request)).request(), caller_of(request, "ollama")
        )
        counts = {"total_duration": 0, "load_duration": 0, "prompt_eval_count": found.usage.prompt}
        return json_response({"model": found.model, "embeddings": found.vectors, **counts})

    async def embeddings(self, request: Request) -> HTTPResponse:
        found = await self.engine.llm.embed(
            read(EmbedAsked, json_body(request)).request(), caller_of(request, "ollama")
        )
        return json_response({"embedding": found.vectors[0]})

    async def pull(self, request: Request) -> HTTPResponse | None:
        asked = read(ModelAsked, json_body(request))
        keeper = self.engine.llm.keeper()
        if asked.stream is False:
            status = ""
            async with aclosing(keeper.pull(asked.named)) as steps:
                async for step in steps:
                    status = step.status
            self.engine.llm.discovery.soon("ollama")
            return json_response({"status": status})
        response = await request.respond(content_type=wire.NDJSON)
        try:
            async with aclosing(_steps(keeper.pull(asked.named))) as lines:
                async for line in lines:
                    await response.send(line)
        except CircuitBreakerError as error:
            await response.send(wire.line({"error": str(known(error, request))}))
        self.engine.llm.discovery.soon("ollama")
        await response.eof()
        return None

    async def delete(self, request: Request) -> HTTPResponse:
        await self.engine.llm.keeper().remove(read(ModelAsked, json_body(request)).named)
        self.engine.llm.discovery.soon("ollama")
        return json_response({})

    async def copy(self, request: Request) -> HTTPResponse:
        asked = read(ModelAsked, json_body(request))
        await self.engine.llm.keeper().copy(asked.source, asked.destination)
        self.engine.llm.discovery.soon("ollama")
        return json_response({})

    def _model(self, name: str) -> Model:
        models = self.engine.llm.catalog.models
        found = next(named(name, models), None)
        if found is None:
            raise NotFound.named("model", name, [model.name for model in models])
        return found

    async def _found(self) -> None:
        await self.engine.llm.discovery.first_round(FIRST_ROUND_S)

    def _now(self) -> datetime:
        return self.engine.world.now()
