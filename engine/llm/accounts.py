"""The use cases of money: what was spent, budgets, and the log of requests.

`check` is called before a model is asked, `release` and `ended` when its request is stored. In between what it is
thought to cost is held, so that many that start at once do not each find the same money left.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.errors import InvalidInput, NotFound
from engine.kernel.world import World
from engine.llm import budgets, spending
from engine.llm.budgets import Budget, Standing
from engine.llm.messages import ChatRequest
from engine.llm.model import Price
from engine.llm.spending import By, Report
from engine.store.ports import Journal, RequestQuery, RequestRecord, Shelf

_KIND = "budget"
MOST_BUDGETS = 1_000
MOST_ON_A_PAGE = 1_000
FORGET_EVERY_S = 6 * 3_600.0

log = logging.getLogger("llm")


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """Published when a request takes a budget over its warning or its limit."""

    standing: Standing


@dataclass(eq=False, slots=True)
class Hold:
    """What a request that runs is thought to cost. `warnings` are of budgets that come to their end."""

    app: str
    workflow: str
    estimate: Decimal
    warnings: tuple[str, ...] = ()


def content_of(request: ChatRequest, said: Sequence[str]) -> Mapping[str, Any]:
    """What was said in a request, to be kept where the user wants that: texts, not pictures."""
    messages = [{"role": message.role, "text": message.text} for message in request.messages]
    return {"messages": messages, "answer": "".join(said)}


class Accounts:
    """`reference` gives the model that costs are compared with, and its price."""

    def __init__(
        self,
        shelf: Shelf,
        journal: Journal,
        bus: Bus,
        world: World,
        *,
        reference: Callable[[], tuple[str, Price | None]] = lambda: ("", None),
        keeps_content: bool = False,
        keeps_days: int = 0,
    ) -> None:
        self._shelf, self._journal, self._bus, self._world = shelf, journal, bus, world
        self._reference, self.keeps_content, self._keeps_days = reference, keeps_content, keeps_days
        self._budgets: dict[str, Budget] | None = None
        self._holds: set[Hold] = set()
        self._checking = asyncio.Lock()

    # Around a request

    async def check(self, caller: Caller, estimate: Decimal | None) -> Hold:
        """Hold what a request is thought to cost; None is unknown. `release` lets go of it.

        Raises BudgetExceeded.
        """
        hold = Hold(caller.who, caller.workflow, estimate or Decimal(0))
        if self._budgets is not None and not self._budgets:
            self._holds.add(hold)
            return hold
        async with self._checking:
            if estimate is None or estimate:
                found = await self.standings(app=hold.app, workflow=hold.workflow)
                for one in found:
                    if error := budgets.refusal(one, estimate):
                        raise error
                hold.warnings = tuple(one.message for one in found if one.state != "healthy")
            self._holds.add(hold)
        return hold

    def release(self, hold: Hold | None) -> None:
        """Let go of what was held, once what it did cost is stored."""
        if hold is not None:
            self._holds.discard(hold)

    async def ended(self, record: RequestRecord) -> None:
        """A request is over and its record is stored: say so where that brought a budget to its warning or its end."""
        if record.cost_usd:
            for one in await self.standings(app=record.app, workflow=record.workflow):
                before = one.used - record.cost_usd
                limit = one.budget.limit
                if any(before < edge <= one.used for edge in (limit, limit * one.budget.warn_at)):
                    self._bus.publish([BudgetReached(one)])

    @property
    def reference_price(self) -> Price | None:
        return self._reference()[1]

    # Budgets

    @property
    def has_budgets(self) -> bool:
        """Whether there are any, as far as they were looked at."""
        return bool(self._budgets)

    async def budgets(self) -> Sequence[Budget]:
        if self._budgets is None:
            found = await self._shelf.list(_KIND, limit=MOST_BUDGETS)
            self._budgets = {id: budgets.from_json(body) for id, body in found}
        return [self._budgets[id] for id in sorted(self._budgets)]

    async def set(self, budget: Budget) -> Standing:
        """Store a budget; one of the same scope and period is replaced."""
        known = {one.id for one in await self.budgets()}
        if budget.id not in known and len(known) >= MOST_BUDGETS:
            raise InvalidInput(f"There are {MOST_BUDGETS:,} budgets.", fix="Remove one first.")
        await self._shelf.put(_KIND, budget.id, budgets.as_json(budget))
        assert self._budgets is not None
        self._budgets[budget.id] = budget
        return await self._standing(budget)

    async def remove(self, id: str) -> None:
        """Raises NotFound."""
        known = {one.id for one in await self.budgets()}
        if id not in known:
            raise NotFound.named("budget", id, known, fix="`circuit-breaker spend budget list` lists them.")
        await self._shelf.delete(_KIND, id)
        assert self._budgets is not None
        self._budgets.pop(id, None)

    async def standings(self, *, app: str | None = None, workflow: str | None = None) -> Sequence[Standing]:
        """How all budgets stand, or those that a request of an app for a workflow falls under."""
        wanted = [
            budget
            for budget in await self.budgets()
            if (app is None and workflow is None) or budget.covers(app or "", workflow or "")
        ]
        return [await self._standing(budget) for budget in wanted]

    async def _standing(self, budget: Budget) -> Standing:
        # The holds are taken before what was spent is read: a request that ends in between counts twice, never not.
        held = sum((hold.estimate for hold in self._holds if budget.covers(hold.app, hold.workflow)), Decimal(0))
        today = self._world.now().date()
        rows = await self._journal.sums(
            *budgets.window(budget.period, today), app=budget.app or None, workflow=budget.workflow or None
        )
        return budgets.standing(budget, (sums for _, sums in rows), held, today)

    # What was spent

    async def report(
        self,
        by: By,
        *,
        since: date | None = None,
        until: date | None = None,
        app: str | None = None,
        workflow: str | None = None,
    ) -> Report:
        """What was spent from `since` (the last 30 days) up to, and not including, `until` (tomorrow)."""
        today = self._world.now().date()
        end = until or today + timedelta(days=1)
        begin = since or end - timedelta(days=30)
        if begin > end:
            raise InvalidInput(f"{begin} is after {end}.", fix="Give days in their order.", details={"path": "since"})
        rows = await self._journal.sums(begin, end, app=app, workflow=workflow)
        return spending.report(rows, by, begin, end, self._reference()[0])

    async def requests(self, query: RequestQuery) -> Sequence[RequestRecord]:
        """A page of the log, newest first. Raises InvalidInput."""
        if not 1 <= query.first <= MOST_ON_A_PAGE:
            raise InvalidInput(
                f"{query.first} is no size for a page.",
                fix=f"Ask for 1 to {MOST_ON_A_PAGE:,}.",
                details={"path": "first"},
            )
        return await self._journal.requests(query)

    async def content(self, request_id: str) -> Mapping[str, Any] | None:
        return await self._journal.content(request_id)

    async def every(self, since: datetime | None = None) -> AsyncIterator[RequestRecord]:
        """The requests of the log, oldest first."""
        async for record in self._journal.every():
            if since is None or record.at >= since:
                yield record

    # Retention

    async def run(self) -> None:
        """Forget old requests now and then, until cancelled."""
        while True:
            await self.forget()
            await asyncio.sleep(FORGET_EVERY_S)

    async def forget(self) -> int:
        """Remove the requests that are older than the settings keep them; the sums stay. How many."""
        if not self._keeps_days:
            return 0
        gone = await self._journal.forget(self._world.now() - timedelta(days=self._keeps_days))
        if gone:
            log.info("old requests removed", extra={"facts": {"requests": gone, "days": self._keeps_days}})
        return gone
