"""The use cases of models: decide, ask, fail over before the first chunk, and write down what it came to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.errors import (
    CircuitBreakerError,
    Internal,
    InvalidInput,
    NotFound,
    ProviderAuth,
    ProviderError,
    ProviderRejected,
)
from engine.kernel.world import World
from engine.llm.catalog import Catalog
from engine.llm.discovery import Discovery
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model
from engine.llm.ports import Provider
from engine.llm.routing import CHARACTERS_PER_TOKEN, Candidate, Decision, decide, decide_embedding, estimated_tokens
from engine.store.ports import Journal, RequestRecord

FIRST_ROUND_S = 5.0
MOST_INPUTS = 2048  # of one embedding request

log = logging.getLogger("llm")


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """Published when a request is over, however it ended."""

    record: RequestRecord


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish: FinishReason
    usage: Usage


@dataclass
class Answer:
    """A request that a model has begun to answer. Iterate over `chunks`, within `aclosing` to give up early.

    `attempts` is how many models were asked. `record` is there when it is over.
    """

    id: str
    decision: Decision
    model: Model
    attempts: int
    overhead_s: float
    chunks: AsyncGenerator[Chunk, None]
    record: RequestRecord | None = None

    async def whole(self) -> Completion:
        """Wait for the end. Raises what the provider raises."""
        text, reasoning, calls = [], [], dict[int, list[str]]()
        finished = Finished("stop", Usage())
        async with aclosing(self.chunks) as chunks:
            async for chunk in chunks:
                match chunk:
                    case TextDelta(piece):
                        text.append(piece)
                    case ReasoningDelta(piece):
                        reasoning.append(piece)
                    case ToolCallDelta(index, id, name, arguments):
                        call = calls.setdefault(index, ["", "", ""])
                        call[:] = call[0] or id, call[1] or name, call[2] + arguments
                    case Finished():
                        finished = chunk
        tools = tuple(ToolCall(*calls[index]) for index in sorted(calls))
        return Completion("".join(text), "".join(reasoning), tools, finished.reason, finished.usage)


@dataclass
class _Run:
    """What is noted of a request while it runs."""

    id: str
    caller: Caller
    asked: str
    decision: Decision
    started: float
    first: float | None = None
    characters: int = 0
    usage: Usage | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Llm:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        catalog: Catalog,
        discovery: Discovery,
        journal: Journal,
        bus: Bus,
        world: World,
    ) -> None:
        self._providers, self.catalog, self.discovery = providers, catalog, discovery
        self._journal, self._bus, self._world = journal, bus, world

    async def explain(self, request: ChatRequest) -> Decision:
        """Decide without asking anybody. Raises what `routing.decide` raises."""
        await self.discovery.first_round(FIRST_ROUND_S)
        return self.decide(request)

    def decide(self, request: ChatRequest) -> Decision:
        """Decide with what is known of the models now. Raises what `routing.decide` raises."""
        _checked(request)
        return decide(request, self.catalog.models)

    async def chat(self, request: ChatRequest, caller: Caller) -> Answer:
        """Ask the best model; when it fails before its first chunk, the next one.

        Returns when the first chunk is there. Raises what `routing.decide` raises, and the last provider's error.
        """
        started = self._world.monotonic()
        decision = await self.explain(request)
        run = _Run(self._world.new_id(), caller, request.model, decision, started)
        overhead = self._world.monotonic() - started
        attempts: list[dict[str, str]] = []
        for number, candidate in enumerate(decision.ranked, 1):
            model = candidate.model
            stream = self._providers[model.provider].chat(request.for_model(model.name), model)
            try:
                first = await anext(stream, None)
                if first is None:
                    raise ProviderError(f"{model.id} gave no answer.", details={"model": model.id})
            except CircuitBreakerError as error:
                attempts.append({"model": model.id, "error": error.code, "why": error.what})
                log.warning("a model failed", extra={"facts": {"id": run.id, "model": model.id, "error": error.code}})
                if number < len(decision.ranked) and _next_may_do_better(error):
                    continue
                await self._end(run, candidate, error.code, attempts)
                raise
            except asyncio.CancelledError:
                await asyncio.shield(self._end(run, candidate, "cancelled", attempts))
                raise
            run.first = self._world.monotonic()
            answer = Answer(run.id, decision, model, number, overhead, _nothing())
            answer.chunks = self._relay(answer, run, candidate, attempts, first, stream, request)
            await anext(answer.chunks)  # begun: closing it ends the request, whether or not somebody reads it
            return answer
        raise AssertionError("decide gives at least one candidate")

    async def _relay(
        self,
        answer: Answer,
        run: _Run,
        candidate: Candidate,
        attempts: list[dict[str, str]],
        first: Chunk,
        stream: AsyncIterator[Chunk],
        request: ChatRequest,
    ) -> AsyncGenerator[Chunk, None]:
        """Pass chunks on; close the upstream and write the record however it ends. The first step only begins."""
        error = "cancelled"
        try:
            yield first  # taken by `chat`
            chunk: Chunk | None = first
            while chunk is not None:
                _note(run, chunk, request)
                if isinstance(chunk, Finished):
                    error = ""
                yield chunk
                chunk = await anext(stream, None)
        except Exception as problem:
            error = problem.code if isinstance(problem, CircuitBreakerError) else Internal.code
            raise
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
            if run.usage is None:
                output = round(run.characters / CHARACTERS_PER_TOKEN)
                run.usage = Usage(estimated_tokens(request), 0, 0, output, counted=False)
            answer.record = await asyncio.shield(self._end(run, candidate, error, attempts))

    async def embed(self, request: EmbeddingRequest, caller: Caller) -> Embeddings:
        """Vectors for texts. Raises NotFound, InvalidInput for a model that does not embed or no inputs, and what the
        provider raises."""
        started = self._world.monotonic()
        if not request.inputs or len(request.inputs) > MOST_INPUTS or not all(request.inputs):
            raise InvalidInput(
                "There is nothing to embed." if not all(request.inputs) or not request.inputs else "Too many inputs.",
                fix=f"Give 1 to {MOST_INPUTS} texts that are not empty.",
                details={"path": "input"},
            )
        await self.discovery.first_round(FIRST_ROUND_S)
        decision = decide_embedding(request.model, self.catalog.models)
        run = _Run(self._world.new_id(), caller, request.model, decision, started)
        candidate = decision.ranked[0]
        error = "cancelled"
        try:
            found = await self._providers[candidate.model.provider].embed(request, candidate.model)
            error, run.usage = "", found.usage
            return found
        except Exception as problem:
            error = problem.code if isinstance(problem, CircuitBreakerError) else Internal.code
            raise
        finally:
            await asyncio.shield(self._end(run, candidate, error, []))

    async def test(self, provider: str) -> Sequence[Model]:
        """Ask a provider with the key it has now. Raises NotFound, and what the provider raises."""
        models = await self.provider(provider).models()
        self.discovery.soon(provider)
        return models

    def provider(self, id: str) -> Provider:
        if id not in self._providers:
            raise NotFound.named("provider", id, self._providers)
        return self._providers[id]

    async def requests(self, limit: int = 50) -> Sequence[RequestRecord]:
        """The newest requests, newest first."""
        return await self._journal.recent(limit)

    async def request(self, id: str) -> RequestRecord | None:
        return await self._journal.request(id)

    async def spent_today(self) -> Decimal:
        """What today (UTC) cost so far, of what has a known price, in US dollars."""
        return (await self._journal.spend(self._world.now().date())).cost_usd

    async def _end(self, run: _Run, candidate: Candidate, error: str, attempts: list[dict[str, str]]) -> RequestRecord:
        usage = run.usage or Usage(counted=False)
        now = self._world.monotonic()
        record = RequestRecord(
            id=run.id,
            at=self._world.now(),
            face=run.caller.face,
            asked=run.asked,
            provider=candidate.model.provider,
            model=candidate.model.name,
            usage=usage,
            cost_usd=cost_of(usage, candidate.model),
            ttft_s=None if run.first is None else run.first - run.started,
            duration_s=now - run.started,
            error=error,
            decision=run.decision.as_json() | ({"attempts": attempts} if attempts else {}),
        )
        await self._journal.record(record)
        self._bus.publish([RequestEnded(record)])
        return record


def cost_of(usage: Usage, model: Model) -> Decimal | None:
    """What a request cost in US dollars, or None when the price is unknown."""
    if model.price is None:
        return None
    return (usage.prompt * model.price.input + usage.output * model.price.output) / 1_000_000


def _checked(request: ChatRequest) -> None:
    if not request.messages:
        raise InvalidInput(
            "There are no messages.",
            fix='Send at least one: {"role": "user", "content": "..."}.',
            details={"path": "messages"},
        )


def _note(run: _Run, chunk: Chunk, request: ChatRequest) -> None:
    match chunk:
        case TextDelta(text) | ReasoningDelta(text):
            run.characters += len(text)
        case ToolCallDelta():
            run.characters += len(chunk.arguments)
        case Finished(_, usage):
            run.usage = usage
            if not usage.total:
                output = round(run.characters / CHARACTERS_PER_TOKEN)
                run.usage = Usage(estimated_tokens(request), 0, 0, output, counted=False)


def _next_may_do_better(error: CircuitBreakerError) -> bool:
    """Whether another model may answer what this one did not: not when the request itself was refused."""
    return isinstance(error, ProviderAuth) or not isinstance(error, ProviderRejected | InvalidInput)


async def _nothing() -> AsyncGenerator[Chunk, None]:
    return
    yield
