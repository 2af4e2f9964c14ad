"""Models that come with the program: a tiny one to chat with, or a GGUF file of the user's, and one for embeddings.

Each runs in a child process that is started when it is first used, and again when it has died. Chat speaks to
llama.cpp's server in OpenAI's form; embeddings go over the child's stdin and stdout.
"""

import asyncio
import base64
import sys
from array import array
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.kernel.errors import ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable
from engine.kernel.world import World
from engine.llm.dialects.openai import chat_body
from engine.llm.dialects.openai_runs import Runs
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Usage
from engine.llm.model import FREE, Model
from engine.llm.providers.embedded import chat_worker, embedding_worker
from engine.llm.providers.embedded.child import Child, ChildFailed
from engine.llm.providers.embedded.parts import EMBEDDING_NAME, SETUP, ChatPart, Parts, find_parts
from engine.llm.providers.openai.answers import completion, is_done
from engine.llm.wire import LOCAL, Address, Deadlines, Wire, bearer

DIMENSIONS = 384
_BATCH = 32
_ANSWER_S = 60.0
_DEATH_S = 1.0


@dataclass(frozen=True, slots=True)
class _Server:
    child: Child
    wire: Wire
    part: ChatPart


class EmbeddedProvider:
    """`logs` is a folder for the children's stderr. `gguf` is the user's model, taken instead of the tiny one;
    `most_context` caps its window, in tokens, and `ready_s` is how long it may take to load. `workers` are the files
    that the children run, for chat and for embeddings; none takes those that come with the program."""

    id = "embedded"
    title = "Embedded models"
    address = "a child process, started when it is used"
    local = True

    def __init__(
        self,
        world: World,
        logs: Path,
        *,
        gguf: Path | None = None,
        most_context: int = 4096,
        ready_s: float = 120.0,
        deadlines: Deadlines = LOCAL,
        workers: tuple[Path, Path] | None = None,
    ) -> None:
        self._world, self._logs, self._gguf, self._deadlines = world, logs, gguf, deadlines
        self._chatting, self._embedding = workers or (Path(chat_worker.__file__), Path(embedding_worker.__file__))
        self._most_context, self._ready_s = most_context, ready_s
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()  # one question to the embedding child at a time
        self._asked = 0
        self._server: _Server | None = None
        self._embedder: Child | None = None
        self._does_not_load = ""

    async def parts(self) -> Parts:
        """What is installed and can be used, and what is missing and why. Costs some milliseconds of disk."""
        parts = await asyncio.to_thread(find_parts, self._gguf)
        if not self._does_not_load:
            return parts
        return replace(parts, chat=None, missing=(self._does_not_load, *parts.missing))

    def keys(self) -> Sequence[str]:
        return ("",)

    async def models(self) -> tuple[Model, ...]:
        """Raises ProviderUnavailable, with what to do, when no part is there."""
        parts = await self.parts()
        models = [self._chat_model(parts.chat)] if parts.chat is not None else []
        if parts.embedding:
            models.append(self._embedding_model())
        if not models:
            raise self._absent("There are no embedded models.", parts)
        return tuple(models)

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        self._must_take(request, model)
        final = False
        while True:
            server = await self._running_server(model)
            try:
                async with aclosing(self._chat(request, server, model)) as chunks:
                    async for chunk in chunks:
                        final = True  # what was given cannot be taken back
                        yield chunk
                return
            except ProviderUnavailable:
                if final or not await server.child.ended(within_s=_DEATH_S):
                    raise
                final = True

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        if request.dimensions not in (None, DIMENSIONS):
            details = {"provider": self.id, "model": model.name}
            raise ProviderRejected(f"{model.name} gives {DIMENSIONS} dimensions and no others.", details=details)
        vectors: list[tuple[float, ...]] = []
        tokens = 0
        async with self._turn:
            for start in range(0, len(request.inputs), _BATCH):
                answer = await self._embedded(request.inputs[start : start + _BATCH], model)
                vectors += map(_vector, answer["vectors"])
                tokens += int(answer["tokens"])
        return Embeddings(model.name, tuple(vectors), Usage(input=tokens))

    async def close(self) -> None:
        async with self._starting:
            server, embedder = self._server, self._embedder
            self._server = self._embedder = None
        if server is not None:
            await server.wire.close()
        children = (server.child if server is not None else None, embedder)
        await asyncio.gather(*(child.stop() for child in children if child is not None))

    # Chat

    def _chat_model(self, part: ChatPart) -> Model:
        running = self._server is not None and self._server.child.alive and self._server.part.path == part.path
        return Model(
            provider=self.id,
            name=part.name,
            abilities=frozenset({"chat", "json"}),
            context=self._context(part),
            size_bytes=part.facts.size_bytes,
            price=FREE,
            local=True,
            loaded=running,
            tiny=part.tiny,
            details={"family": part.facts.architecture, "parameter_size": part.facts.size_label, "format": "gguf"},
        )

    def _context(self, part: ChatPart) -> int:
        """The tiny model could have 8,192 tokens; half of it keeps its memory under 300 MB."""
        return min(part.facts.context or self._most_context, self._most_context)

    def _must_take(self, request: ChatRequest, model: Model) -> None:
        lack = "tools" if request.tools else "pictures" if request.has_images else ""
        if lack:
            raise ProviderRejected(
                f"{model.name} has no {lack}.",
                why="The embedded models take and give text only.",
                fix="Use another model for this.",
                details={"provider": self.id, "model": model.name},
            )

    async def _chat(self, request: ChatRequest, server: _Server, model: Model) -> AsyncGenerator[Chunk, None]:
        body = chat_body(request, "local")
        events = server.wire.framed("/v1/chat/completions", body, Runs(), model=model.name, last=is_done)
        async with aclosing(completion(events, server.wire, request, model.name, self._world)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _running_server(self, model: Model) -> _Server:
        async with self._starting:
            if self._server is not None and self._server.child.alive:
                return self._server
            if self._server is not None:
                await self._server.wire.close()
                self._server = None
            parts = await self.parts()
            if parts.chat is None:
                raise self._absent(f"{model.name} cannot run.", parts)
            arguments = [str(parts.chat.path.absolute()), "--context", str(self._context(parts.chat))]
            child = await self._started(self._chatting, arguments, model)
            self._server = _Server(child, self._wire_to(child), parts.chat)
            return self._server

    def _wire_to(self, child: Child) -> Wire:
        return Wire(
            Address.parse(str(child.ready.get("url"))),
            provider=self.id,
            title=self.title,
            world=self._world,
            authorize=lambda _: bearer(child.key),
            deadlines=self._deadlines,
            unreachable_fix=f"Try again; its log is {self._logs / _log_of(self._chatting)}.",
        )

    # Embeddings

    def _embedding_model(self) -> Model:
        return Model(
            provider=self.id,
            name=EMBEDDING_NAME,
            abilities=frozenset({"embedding"}),
            context=512,
            price=FREE,
            local=True,
            loaded=self._embedder is not None and self._embedder.alive,
            details={"family": "bert", "dimensions": DIMENSIONS, "longer": "averaged over windows"},
        )

    async def _embedded(self, texts: Sequence[str], model: Model) -> Mapping[str, Any]:
        """The child's answer for one batch; asked a second time when the child has died."""
        final = False
        while True:
            child = await self._running_embedder(model)
            self._asked += 1
            try:
                await child.tell({"id": self._asked, "texts": list(texts)}, within_s=_ANSWER_S)
                answer = await child.line(within_s=_ANSWER_S)
                while answer.get("id") != self._asked:  # of someone who did not wait
                    answer = await child.line(within_s=_ANSWER_S)
            except ChildFailed as failure:
                await child.stop(at_once=True)
                if final or failure.late:
                    raise self._failed(failure, self._embedding, model) from None
                final = True
                continue
            if "error" in answer:
                details = {"provider": self.id, "model": model.name}
                raise ProviderUnavailable(f"{model.name} failed.", why=str(answer["error"])[:500], details=details)
            return answer

    async def _running_embedder(self, model: Model) -> Child:
        async with self._starting:
            if self._embedder is None or not self._embedder.alive:
                parts = await self.parts()
                if not parts.embedding:
                    raise self._absent(f"{model.name} cannot run.", parts)
                self._embedder = await self._started(self._embedding, [], model)
            return self._embedder

    # Children

    async def _started(self, worker: Path, arguments: Sequence[str], model: Model) -> Child:
        log = self._logs / _log_of(worker)
        try:
            return await Child.start(worker, arguments, world=self._world, log=log, within_s=self._ready_s)
        except ChildFailed as failure:
            if failure.kind == "import" and worker == self._chatting:
                self._does_not_load = f"The engine of the embedded models does not load: {failure.why}."
            raise self._failed(failure, worker, model) from None

    def _failed(self, failure: ChildFailed, worker: Path, model: Model) -> ProviderError:
        kind = ProviderTimeout if failure.late else ProviderUnavailable
        fix = f"{SETUP} Then start the program again." if failure.kind == "import" else ""
        return kind(
            f"{model.name} does not run.",
            why=failure.why,
            fix=fix or f"Look into its log, {self._logs / _log_of(worker)}.",
            details={"provider": self.id, "model": model.name},
        )

    def _absent(self, what: str, parts: Parts) -> ProviderUnavailable:
        return ProviderUnavailable(what, why=" ".join(parts.missing), fix=parts.fix, details={"provider": self.id})


def _log_of(worker: Path) -> str:
    return f"{worker.stem}.log"


def _vector(text: str) -> tuple[float, ...]:
    """A vector from base64 of little-endian float32."""
    numbers = array("f", base64.b64decode(text))
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
