"""The use cases of models: decide, ask, fail over before the first chunk, and write down what it came to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.errors import (
    CircuitBreakerError,
    Internal,
    InvalidInput,
    NotFound,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.accounts import Accounts
from engine.llm.answering import Answer
from engine.llm.attempts import Attempts, Target, Targets, worth_another
from engine.llm.books import Books, Run
from engine.llm.catalog import Catalog
from engine.llm.counting import prompt_tokens, tokens_in
from engine.llm.discovery import Discovery
from engine.llm.emulation import calls_read, described
from engine.llm.health import Health
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    Noted,
    TextDelta,
    Usage,
    bare,
)
from engine.llm.model import Model
from engine.llm.ports import ModelKeeper, Provider
from engine.llm.priors import Priors
from engine.llm.remembered import Remembered, too_much
from engine.llm.routing import Decision, Needs, Policy, choose, decide, decide_embedding
from engine.llm.routing.policies import BUILT_IN
from engine.llm.schemas import checked
from engine.llm.shared import Shared
from engine.llm.standings import Standings
from engine.llm.tool_loops import ToolLoops
from engine.llm.votes import Votes
from engine.store.ports import Journal, RequestRecord

FIRST_ROUND_S = 5.0
MOST_INPUTS = 2048  # of one embedding request


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that has begun."""

    target: Target
    first: Chunk
    stream: AsyncIterator[Chunk]
    notes: Sequence[Noted]  # what came before the first chunk


class Llm:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        catalog: Catalog,
        discovery: Discovery,
        journal: Journal,
        bus: Bus,
        world: World,
        policies: Mapping[str, Policy] = BUILT_IN,
        skills: Callable[[], Priors] = Priors,
        votes: Votes | None = None,
        accounts: Accounts | None = None,
        *,
        emulate_tools: bool = False,
        local_only: bool = False,
    ) -> None:
        """`policies` are the virtual models. `skills` gives what is known of how good models are, when first wanted;
        `votes` keeps what the user thinks of them. `accounts` has the budgets; without it there are none.
        With `emulate_tools` models without tools are asked to call them in words; with `local_only` no prompt leaves
        this machine."""
        self._providers, self.catalog, self.discovery = providers, catalog, discovery
        self._journal, self._bus, self._world = journal, bus, world
        self.policies, self.health = policies, Health(world)
        discovery.came_up = self.health.reset
        self._votes = votes
        self._emulate_tools, self._local_only = emulate_tools, local_only
        self._standings = Standings(
            self.health, skills, lambda model: providers[model.provider].keys(), votes.sums if votes else {}
        )
        self._loops, self._remembered, self._embedding = ToolLoops(), Remembered(), Shared[Embeddings]()
        self._books = Books(journal, bus, world, self.health, self._loops, accounts)

    async def look_at_machine(self) -> None:
        """See how much memory there is, so that models which can never fit are passed over."""
        self._standings.machine = await self._world.memory()

    async def explain(self, request: ChatRequest) -> Decision:
        """Decide without asking anybody. Raises what `routing.decide` raises."""
        await self.discovery.first_round(FIRST_ROUND_S)
        return self.decide(request)

    def decide(self, request: ChatRequest) -> Decision:
        """Decide with what is known of the models now. Raises what `routing.decide` raises."""
        _checked(request)
        same = self._loops.model_of(request)
        try:
            return decide(
                request,
                self.catalog.models,
                self._standings.of,
                self.policies,
                same_model=same,
                emulate_tools=self._emulate_tools,
                local_only=self._local_only,
            )
        except NotFound:
            if status := self.catalog.down(request.model):
                details = {"provider": status.id, "model": request.model}
                what = f"{request.model} is one of {status.title}, which is down."
                raise ProviderUnavailable(what, why=status.why, fix=status.fix, details=details) from None
            raise

    def replay(self, record: RequestRecord, policy: str) -> Decision | None:
        """What `policy` would have decided for a request of the log, with the models of today; None when the log has
        not kept what it needed. Raises what `routing.choose` raises."""
        kept = record.decision.get("needs")
        if not isinstance(kept, Mapping):
            return None
        needs = replace(Needs.from_json(kept), asked=policy, strategy="", fallbacks=(), same_model="")
        return choose(needs, self.catalog.models, self._standings.of, self.policies)

    async def chat(self, request: ChatRequest, caller: Caller) -> Answer:
        """Ask the best model; when it fails before its first chunk, with another key, and then the next one.

        Returns when the first chunk is there. Raises what `routing.decide` raises, and the last provider's error.
        """
        started = self._world.monotonic()
        decision = await self.explain(request)
        run = Run(self._world.new_id(), caller, request, decision, started)
        policy = self.policies.get(decision.policy)
        run.keeps = request.preferences.cache or (policy is not None and policy.cache)
        if run.keeps and (found := self._remembered.get(request)):
            return await self._again(run, *found)
        asking = self._loops.restored(request)
        targets = Targets(decision, self._providers, self.health)
        attempts = Attempts(
            targets, self.health, self._world, lambda target: self._open(run, target, asking), run.failed
        )
        overhead = self._world.monotonic() - started
        hedge_ms, deadline_ms = request.preferences.hedge_ms, request.preferences.deadline_ms
        until = None if not deadline_ms else _loop_time() + deadline_ms / 1000
        try:
            async with _deadline(until):
                opened = await (self._raced(attempts, hedge_ms) if hedge_ms else attempts.first())
        except CircuitBreakerError as error:
            self._books.end(run, _asked_last(run, attempts, decision), error.code)
            raise
        except asyncio.CancelledError:
            self._books.end(run, _asked_last(run, attempts, decision), "cancelled")
            raise
        except Exception:
            self._books.end(run, _asked_last(run, attempts, decision), Internal.code)
            raise
        run.first = self._world.monotonic()
        run.notes += opened.notes
        target = attempts.last = opened.target  # of two that were asked, the one that answers
        _asked_last(run, attempts, decision)
        answer = Answer(run.id, decision, target.model, target.place, attempts.asked, overhead, _nothing())
        answer.chunks = self._relay(answer, run, opened, until)
        await anext(answer.chunks)  # begun: closing it ends the request, whether or not somebody reads it
        return answer

    async def _open(self, run: Run, target: Target, request: ChatRequest) -> _Opened:
        """Ask one target and wait for its first chunk. Raises BudgetExceeded when it may not be asked."""
        hold = await self._books.held(run, target.model, prompt_tokens(request), request.sampling.max_tokens)
        asked, provider = request.for_model(target.model.name), self._providers[target.model.provider]
        stream: AsyncIterator[Chunk]
        if request.tools and "tools" not in target.model.abilities:
            spoken = provider.chat(described(asked), target.model, target.key)
            stream = calls_read(spoken, request.tools, self._world.new_id)
        else:
            stream = provider.chat(asked, target.model, target.key)
        if request.sampling.wants_json:
            stream = checked(stream, request.sampling.response_format)
        notes: list[Noted] = []
        try:
            async for chunk in stream:
                if isinstance(chunk, Noted):
                    notes.append(chunk)
                    continue
                return _Opened(target, chunk, stream, notes)
            raise ProviderError(f"{target.model.id} gave no answer.", details={"model": target.model.id})
        except BaseException:
            self._books.let_go(run, hold)
            await _closed(stream)
            raise

    async def _raced(self, attempts: "Attempts[_Opened]", hedge_ms: float) -> _Opened:
        """The first target that begins. A second one is asked when none has begun by `hedge_ms`, and the slower of the
        two is given up. When both fail, it raises the error that no other target could have made good,
        or else the last."""
        runners: list[asyncio.Future[_Opened]] = [asyncio.ensure_future(attempts.first())]
        waking = asyncio.ensure_future(self._world.sleep(hedge_ms / 1000))
        try:
            either: list[asyncio.Future[Any]] = [*runners, waking]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not any(one.done() for one in runners) and not attempts.targets.exhausted():
                runners.append(asyncio.ensure_future(attempts.first()))
            pending, problems = set(runners), list[BaseException]()
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for one in [runner for runner in runners if runner in done]:
                    problem = one.exception()
                    if problem is None:
                        opened = one.result()
                        slower = [_given_up(other) for other in attempts.asking if other != opened.target]
                        await self._give_up(runners, but=one)
                        return replace(opened, notes=(*opened.notes, *slower))
                    problems.append(problem)
            raise next((one for one in problems if not worth_another(one)), problems[-1])
        except BaseException:
            await self._give_up(runners)  # the winner too, when who waits for it leaves now
            raise
        finally:
            waking.cancel()

    async def _give_up(
        self, runners: list[asyncio.Future[_Opened]], but: asyncio.Future[_Opened] | None = None
    ) -> None:
        """Close what was opened, or is about to be, and take it out of `runners`."""
        losers = [one for one in runners if one is not but]
        for one in losers:
            one.cancel()
        for one, result in zip(losers, await asyncio.gather(*losers, return_exceptions=True), strict=True):
            runners.remove(one)
            if isinstance(result, _Opened):
                self.health.ended(result.target.model, result.target.key)
                await _closed(result.stream)

    async def _relay(
        self, answer: Answer, run: Run, opened: _Opened, until: float | None
    ) -> AsyncGenerator[Chunk, None]:
        """Pass chunks on; close the upstream and write the record however it ends. The first step only begins."""
        error, target, kept = "cancelled", opened.target, list[Chunk]()
        try:
            yield opened.first  # taken by `chat`
            for note in run.notes:
                yield note
            run.held_up_s = self._world.monotonic() - (run.first or 0.0)
            chunk: Chunk | None = opened.first
            while chunk is not None:
                self._books.note(run, chunk, target.model)
                if isinstance(chunk, Finished):
                    error = ""
                if run.keeps:
                    kept.append(bare(chunk))
                    if too_much(len(kept), run.characters):
                        run.keeps = False
                        kept.clear()
                at = self._world.monotonic()
                yield chunk
                run.held_up_s += self._world.monotonic() - at
                if until is None:
                    chunk = await anext(opened.stream, None)
                    continue
                async with _deadline(until):
                    chunk = await anext(opened.stream, None)
        except Exception as problem:
            error = problem.code if isinstance(problem, CircuitBreakerError) else Internal.code
            # what a client has no more time for is no failure of the model
            if isinstance(problem, ProviderError) and (until is None or _loop_time() < until):
                self.health.failed(target.model, target.key, problem)
            raise
        finally:
            try:
                await _closed(opened.stream)
            finally:  # also when cancelled meanwhile
                self.health.ended(target.model, target.key)
                if run.usage is None:
                    run.usage = self._books.guessed(run)
                if not error:
                    self._books.learn(run, target)
                    if run.keeps and isinstance(run.request, ChatRequest):
                        self._remembered.put(run.request, target.model, tuple(kept))
                answer.record = self._books.end(run, target.model, error)
            await self._books.reached(answer.record)

    async def _again(self, run: Run, model: Model, chunks: Sequence[Chunk]) -> Answer:
        """The answer that the same request had before; it costs nothing."""
        run.notes.append(Noted("remembered", "The same request was answered before."))
        run.first = self._world.monotonic()
        answer = Answer(run.id, run.decision, model, 0, 0, run.first - run.started, _nothing())

        async def replay() -> AsyncGenerator[Chunk, None]:
            error = "cancelled"
            try:
                yield run.notes[0]
                for chunk in [run.notes[0], *chunks]:
                    if isinstance(chunk, Finished):
                        error, chunk = "", replace(chunk, usage=Usage(), cost_usd=Decimal(0))
                    if isinstance(chunk, TextDelta):
                        self._books.note(run, chunk, model)
                    yield chunk
            finally:
                run.usage, run.cost_usd = Usage(), Decimal(0)
                answer.record = self._books.end(run, model, error)
                await self._books.reached(answer.record)

        answer.chunks = replay()
        await anext(answer.chunks)
        return answer

    async def embed(self, request: EmbeddingRequest, caller: Caller) -> Embeddings:
        """Vectors for texts. Requests that are the same and under way are one. Raises NotFound, InvalidInput for a
        model that does not embed or no inputs, and what the provider raises."""
        if not request.inputs or len(request.inputs) > MOST_INPUTS or not all(request.inputs):
            raise InvalidInput(
                "There is nothing to embed." if not all(request.inputs) or not request.inputs else "Too many inputs.",
                fix=f"Give 1 to {MOST_INPUTS} texts that are not empty.",
                details={"path": "input"},
            )
        return await self._embedding.get((request, caller), lambda: self._embed(request, caller))

    async def _embed(self, request: EmbeddingRequest, caller: Caller) -> Embeddings:
        started = self._world.monotonic()
        await self.discovery.first_round(FIRST_ROUND_S)
        decision = decide_embedding(request.model, self.catalog.models, local_only=self._local_only)
        # another model's vectors mean something else: only its own keys may stand in for one another
        decision = replace(decision, ranked=decision.ranked[:1])
        run = Run(self._world.new_id(), caller, request, decision, started)
        model = decision.ranked[0].model

        async def ask(target: Target) -> Embeddings:
            hold = await self._books.held(run, model, sum(map(tokens_in, request.inputs)), 0)
            try:
                found = await self._providers[model.provider].embed(request, model, target.key)
            except BaseException:
                self._books.let_go(run, hold)
                raise
            self.health.ended(model, target.key)
            self.health.succeeded(model, target.key)
            return found

        targets = Targets(decision, self._providers, self.health)
        attempts = Attempts(targets, self.health, self._world, ask, run.failed)
        error = "cancelled"
        try:
            found = await attempts.first()
            error, run.usage = "", found.usage
            return found
        except Exception as problem:
            error = problem.code if isinstance(problem, CircuitBreakerError) else Internal.code
            raise
        finally:
            _asked_last(run, attempts, decision)
            await self._books.reached(self._books.end(run, model, error))

    async def test(self, provider: str) -> Sequence[Model]:
        """Ask a provider with the key it has now. Raises NotFound, and what the provider raises."""
        models = await self.provider(provider).models()
        self.health.reset(provider)
        self.discovery.soon(provider)
        return models

    def keeper(self, id: str = "ollama") -> ModelKeeper:
        """The provider with that id, if it keeps models on a disk. Raises NotFound, and InvalidInput for another."""
        found = self.provider(id)
        if not isinstance(found, ModelKeeper):
            raise InvalidInput(
                f"{found.title} keeps no models that could be fetched or removed.",
                fix="Ollama does.",
                details={"path": "provider"},
            )
        return found

    def provider(self, id: str) -> Provider:
        if id not in self._providers:
            raise NotFound.named("provider", id, self._providers)
        return self._providers[id]

    async def requests(self, limit: int = 50) -> Sequence[RequestRecord]:
        """The newest requests, newest first."""
        return await self._journal.recent(limit)

    async def request(self, id: str) -> RequestRecord | None:
        return await self._journal.request(id)

    async def vote(self, request_id: str, vote: int) -> None:
        """What the user thinks of an answer: 1, -1, or 0 to take it back. Raises NotFound."""
        if self._votes is not None:
            await self._votes.cast(await self.request(request_id), request_id, vote)

    async def spent_today(self) -> Decimal:
        """What today (UTC) cost so far, of what has a known price, in US dollars."""
        return (await self._journal.spend(self._world.now().date())).cost_usd


def _checked(request: ChatRequest) -> None:
    if not request.messages:
        raise InvalidInput(
            "There are no messages.",
            fix='Send at least one: {"role": "user", "content": "..."}.',
            details={"path": "messages"},
        )


def _given_up(slower: Target) -> Noted:
    cost = "" if slower.model.local else ", and what it took of the prompt is not in the cost"
    return Noted("hedged", f"{slower.model.id} was asked as well, and given up as the slower one{cost}.")


def _asked_last(run: Run, attempts: "Attempts[Any]", decision: Decision) -> Model:
    """The model that was asked last, with what it took to come to it noted."""
    run.asked, run.retries = attempts.asked, attempts.retries
    if attempts.last is None:
        return decision.ranked[0].model
    run.key = attempts.last.key
    return attempts.last.model


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class _deadline:  # noqa: N801 - used like a function
    """A block that must be left by a time of the loop; None gives all the time. Raises ProviderTimeout."""

    def __init__(self, until: float | None) -> None:
        self._timeout = None if until is None else asyncio.timeout_at(until)

    async def __aenter__(self) -> None:
        if self._timeout is not None:
            await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._timeout is None:
            return
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]
        except TimeoutError:
            raise ProviderTimeout(
                "The answer was not there in time.",
                why="The request's deadline has passed.",
                fix="Give it more time (`circuit_breaker.deadline_ms`), or use a faster model.",
            ) from None


async def _closed(stream: AsyncIterator[Chunk]) -> None:
    if isinstance(stream, AsyncGenerator):
        with suppress(CircuitBreakerError):
            await stream.aclose()


async def _nothing() -> AsyncGenerator[Chunk, None]:
    return
    yield
