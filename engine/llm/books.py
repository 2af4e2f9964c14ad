"""What is written down of a request: noted while it is under way, logged when it is over, and learned from."""

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal

from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.world import World
from engine.llm import prices
from engine.llm.accounts import Accounts, Hold, content_of
from engine.llm.answering import gathered
from engine.llm.attempts import Attempt, Target, attempts_json
from engine.llm.counting import CHARACTERS_PER_TOKEN, prompt_tokens
from engine.llm.health import Health
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Finished,
    Noted,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model
from engine.llm.ports import label_of
from engine.llm.routing import Decision
from engine.llm.tool_loops import ToolLoops
from engine.store.ports import Journal, RequestRecord

WARNINGS = ("dropped", "repaired", "emulated", "cut", "hedged", "mismatch")  # notes that belong into the log
MOST_KEPT = 100  # candidates, and as many rejected, of a decision in the log
MEASURED_TOKENS = 8  # an answer must have so many before its speed is believed


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """Published when a request is over, however it ended."""

    record: RequestRecord


@dataclass
class Run:
    """What is noted of a request while it is under way."""

    id: str
    caller: Caller
    request: ChatRequest | EmbeddingRequest
    decision: Decision
    started: float
    failed: list[Attempt] = field(default_factory=list)
    first: float | None = None
    characters: int = 0
    keeps: bool = False  # whether the answer is given again to the same request
    asked: int = 0
    retries: int = 0
    key: str = ""
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    tokens_per_s: float | None = None
    held_up_s: float = 0.0  # by who reads the answer
    holds: list[Hold] = field(default_factory=list)
    calls: list[ToolCallDelta] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)


class Books:
    """What is written down of all requests. `accounts` has the budgets; without it there are none."""

    def __init__(
        self,
        journal: Journal,
        bus: Bus,
        world: World,
        health: Health,
        loops: ToolLoops,
        accounts: Accounts | None,
    ) -> None:
        self._journal, self._bus, self._world = journal, bus, world
        self._health, self._loops, self._accounts = health, loops, accounts

    def note(self, run: Run, chunk: Chunk, model: Model) -> None:
        """A piece of the answer has come."""
        match chunk:
            case TextDelta(text) | ReasoningDelta(text):
                run.characters += len(text)
                if isinstance(chunk, TextDelta) and self._accounts and self._accounts.keeps_content:
                    run.said.append(text)
            case ToolCallDelta():
                run.characters += len(chunk.arguments)
                run.calls.append(chunk)
            case Noted():
                run.notes.append(chunk)
            case Finished():
                if run.calls:
                    self._loops.note(model.id, gathered(run.calls).tool_calls)
                run.usage, run.cost_usd = chunk.usage, chunk.cost_usd
                if not chunk.usage.total:
                    run.usage = self.guessed(run)

    def guessed(self, run: Run) -> Usage:
        """About what it took, where the upstream does not say."""
        prompt = prompt_tokens(run.request) if isinstance(run.request, ChatRequest) else 0
        return Usage(prompt, 0, 0, round(run.characters / CHARACTERS_PER_TOKEN), counted=False)

    def learn(self, run: Run, target: Target) -> None:
        """An answer is whole: how quick its model was."""
        self._health.succeeded(target.model, target.key)
        now, usage = self._world.monotonic(), run.usage or Usage()
        writing = now - (run.first or now) - run.held_up_s
        # who reads slower than it is written finds it ready: then there is nothing to measure
        measured = usage.output >= MEASURED_TOKENS and writing > 0 and run.held_up_s <= writing
        per_second = usage.output / writing if measured else None
        cold = target.model.local and not target.model.loaded  # loading is counted by itself
        first = None if run.first is None or run.failed or cold else run.first - run.started
        run.tokens_per_s = per_second
        self._health.learn(target.model, first, per_second)

    async def held(self, run: Run, model: Model, prompt: int, most_output: int | None) -> Hold | None:
        """Hold what asking `model` may cost. Raises BudgetExceeded."""
        if self._accounts is None:
            return None
        hold = await self._accounts.check(_tagged(run), prices.estimate(prompt, model.price, most_output))
        run.holds.append(hold)
        return hold

    def let_go(self, run: Run, hold: Hold | None) -> None:
        if self._accounts is not None and hold is not None:
            self._accounts.release(hold)
            run.holds.remove(hold)

    async def reached(self, record: RequestRecord) -> None:
        """Say it where a request has brought a budget to its warning or its end."""
        if self._accounts is not None and self._accounts.has_budgets:
            await asyncio.shield(self._accounts.ended(record))

    def end(self, run: Run, model: Model, error: str) -> RequestRecord:
        """Log a request that is over, however it ended; an empty `error` is a whole answer."""
        usage = run.usage or Usage(counted=False)
        now = self._world.monotonic()
        decision = run.decision.as_json(MOST_KEPT)
        if run.failed:
            decision["attempts"] = attempts_json(run.failed)
        if run.notes:
            decision["notes"] = [{"code": note.code, "text": note.text} for note in run.notes]
        caller, accounts = _tagged(run), self._accounts
        reference = accounts.reference_price if accounts and usage.total else None
        budgets = [warning for hold in run.holds for warning in hold.warnings]
        record = RequestRecord(
            id=run.id,
            at=self._world.now(),
            face=run.caller.face,
            asked=run.request.model,
            provider=model.provider,
            model=model.name,
            usage=usage,
            cost_usd=prices.cost(usage, model.price, run.cost_usd),
            ttft_s=None if run.first is None else run.first - run.started,
            duration_s=now - run.started,
            error=error,
            decision=decision,
            attempts=run.asked,
            retries=run.retries,
            key=label_of(run.key),
            app=caller.who,
            agent=caller.agent,
            workflow=caller.workflow,
            token=caller.token,
            price=prices.charged(usage, model.price, run.cost_usd),
            reference_usd=prices.cost(usage, reference),
            tokens_per_s=run.tokens_per_s,
            warnings=(
                *(note.text for note in run.notes if note.code in WARNINGS),
                *budgets,
            ),
        )
        content = None
        if accounts is not None and accounts.keeps_content and isinstance(run.request, ChatRequest):
            content = content_of(run.request, run.said)
        self._journal.record_soon(record, content)
        for hold in list(run.holds):
            self.let_go(run, hold)
        self._bus.publish([RequestEnded(record)])
        return record


def _tagged(run: Run) -> Caller:
    """Who asks, with what the request says of itself."""
    tags = run.request.preferences.tags if isinstance(run.request, ChatRequest) else {}
    caller = run.caller
    if not tags:
        return caller
    return replace(
        caller,
        app=tags.get("app", caller.app),
        workflow=tags.get("workflow", caller.workflow),
        token=tags.get("token", caller.token),
    )
