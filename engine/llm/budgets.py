"""Budgets: how much may be spent in a day, week, month or year, by all, by an app, or for a workflow. Pure.

A budget looks at what was spent, what runs now is thought to cost, and what the next request is thought to cost. At
`warn_at` of its limit it warns, and it refuses what would go over it. What is free is never refused; requests whose
price is unknown cannot be counted, which is said with every figure.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast, get_args

from engine.kernel.errors import BudgetExceeded, InvalidInput, shown
from engine.kernel.records import record
from engine.store.ports import SpendSums

Period = Literal["day", "week", "month", "year"]
State = Literal["healthy", "warning", "exhausted"]
PERIODS: tuple[Period, ...] = get_args(Period)
SPELLINGS: Mapping[str, Period] = {one: one for one in PERIODS} | {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
}
MOST_NAME = 200


@record
class Budget:
    """`limit` US dollars in each `period` of UTC; a week begins on Monday. Without `app` and `workflow` it is for all
    requests. `warn_at` is a part of the limit, from 0 to 1."""

    period: Period
    limit: Decimal
    app: str = ""
    workflow: str = ""
    warn_at: Decimal = Decimal("0.8")

    @property
    def id(self) -> str:
        """One budget for each scope and period: setting it again replaces it."""
        scope = [*(("app", self.app) if self.app else ()), *(("workflow", self.workflow) if self.workflow else ())]
        return ":".join([*(scope or ["all"]), self.period])

    @property
    def scope(self) -> str:
        """For people."""
        parts = [f"{kind} {name}" for kind, name in (("app", self.app), ("workflow", self.workflow)) if name]
        return " and ".join(parts) or "all requests"

    def covers(self, app: str, workflow: str) -> bool:
        return self.app in ("", app) and self.workflow in ("", workflow)


@record
class Standing:
    """How a budget stands in the period from `since` up to, and not including, `until`. `held` is what the requests
    that run now are thought to cost, `unpriced` how many had no known price."""

    budget: Budget
    used: Decimal
    held: Decimal
    unpriced: int
    since: date
    until: date

    @property
    def part(self) -> Decimal:
        """Of the limit; 1 for a limit of nothing."""
        return self.used / self.budget.limit if self.budget.limit else Decimal(1)

    @property
    def state(self) -> State:
        return "exhausted" if self.part >= 1 else "warning" if self.part >= self.budget.warn_at else "healthy"

    @property
    def remaining(self) -> Decimal:
        return max(Decimal(0), self.budget.limit - self.used)

    @property
    def message(self) -> str:
        limit, period = dollars(self.budget.limit), self.budget.period
        said = f"{self.state.capitalize()}: {dollars(self.used)} of {limit} used this {period} by {self.budget.scope}."
        if self.budget.period == "day":
            said = said.replace("this day", "today")
        if self.unpriced:
            some = "1 request has" if self.unpriced == 1 else f"{self.unpriced:,} requests have"
            said += f" {some} no known price and cannot be counted."
        return said


def window(period: Period, on: date) -> tuple[date, date]:
    """The first day of the period that `on` is in, and the first one after it."""
    match period:
        case "day":
            return on, on + timedelta(days=1)
        case "week":
            monday = on - timedelta(days=on.weekday())
            return monday, monday + timedelta(days=7)
        case "month":
            return on.replace(day=1), (on.replace(day=28) + timedelta(days=4)).replace(day=1)
        case "year":
            return on.replace(month=1, day=1), on.replace(year=on.year + 1, month=1, day=1)


def standing(budget: Budget, spent: Iterable[SpendSums], held: Decimal, on: date) -> Standing:
    sums = sum(spent, SpendSums())
    return Standing(budget, sums.cost_usd, held, sums.unpriced, *window(budget.period, on))


def refusal(found: Standing, estimate: Decimal | None) -> BudgetExceeded | None:
    """Why a request that is thought to cost `estimate` (None: nobody knows) may not be asked; None when it may."""
    budget = found.budget
    if estimate is not None and not estimate:
        return None
    spent = found.used + found.held
    if spent < budget.limit and spent + (estimate or 0) <= budget.limit:
        return None
    running = f", {dollars(found.held)} more is held by requests that run now" if found.held else ""
    wanted = "This one has no known price" if estimate is None else f"This one may cost {dollars(estimate)}"
    return BudgetExceeded(
        f"The budget of {dollars(budget.limit)} a {budget.period} for {budget.scope} does not allow this.",
        why=f"{dollars(found.used)} was spent since {found.since}{running}. {wanted}.",
        fix=f"Ask a local model, wait until {found.until}, or raise it: `circuit-breaker spend budget set`.",
        details={
            "budget": budget.id,
            "limitUsd": str(budget.limit),
            "usedUsd": str(found.used),
            "heldUsd": str(found.held),
            "estimateUsd": None if estimate is None else str(estimate),
            "until": found.until.isoformat(),
        },
    )


def dollars(amount: Decimal) -> str:
    """For people: cents from a cent on, and below that as many places as say something."""
    if not amount or amount >= Decimal("0.01"):
        return f"${amount:,.2f}"
    return f"${amount:.6f}".rstrip("0") if amount >= Decimal("0.000001") else "less than $0.000001"


def budget_of(
    period: str,
    limit: Decimal | float | str,
    *,
    app: str = "",
    workflow: str = "",
    warn_at: Decimal | float | str = "0.8",
) -> Budget:
    """A budget from what somebody wrote. Raises InvalidInput."""
    if period.casefold() not in SPELLINGS:
        raise InvalidInput(
            f"{shown(period)} is no period.", fix=f"Use one of {', '.join(PERIODS)}.", details={"path": "period"}
        )
    for path, name in (("app", app), ("workflow", workflow)):
        if len(name) > MOST_NAME or not name.isprintable() or ":" in name:
            raise InvalidInput(f"{shown(name)} is no name.", fix="Use letters and digits.", details={"path": path})
    amount, part = _number(limit, "limit"), _number(warn_at, "warnAt")
    if not 0 < amount < 10**9:
        raise InvalidInput(f"{amount} is no limit.", fix="Give US dollars, more than 0.", details={"path": "limit"})
    if not 0 < part <= 1:
        raise InvalidInput(
            f"{part} is no part of a limit.", fix="Give a number up to 1, like 0.8.", details={"path": "warnAt"}
        )
    return Budget(SPELLINGS[period.casefold()], amount, app, workflow, part)


def _number(value: Decimal | float | str, path: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidInput(f"{shown(str(value))} is no number.", details={"path": path})
    return number


def as_json(budget: Budget) -> Mapping[str, Any]:
    return {
        "period": budget.period,
        "limit": str(budget.limit),
        "app": budget.app,
        "workflow": budget.workflow,
        "warnAt": str(budget.warn_at),
    }


def from_json(body: Mapping[str, Any]) -> Budget:
    return Budget(
        cast("Period", body["period"]),
        Decimal(body["limit"]),
        body["app"],
        body["workflow"],
        Decimal(body["warnAt"]),
    )
