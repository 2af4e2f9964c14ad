"""What if: the requests of the log, decided again by another policy, and about what they would have come to.

A replay asks nobody. It decides with the models, prices and speeds of today; what it says of cost and time is an
estimate for the tokens that there really were, none of them cached and the model in memory. Where the policy takes the
model that answered, the figures of the log are taken.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from engine.kernel.errors import CircuitBreakerError, NotFound
from engine.llm import prices
from engine.llm.catalog import named
from engine.llm.messages import Usage
from engine.llm.routing import Candidate, Decision, Needs, Standing, estimates
from engine.llm.service import Llm
from engine.store.ports import RequestRecord

MOST = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """One request. `candidate` is what the policy would have asked first; without one, `why` says what stood against
    it. `cost_usd` and `seconds` are None when they are not known."""

    record: RequestRecord
    candidate: Candidate | None
    why: str = ""
    cost_usd: Decimal | None = None
    seconds: float | None = None

    @property
    def before(self) -> str:
        """The id of the model that was asked."""
        return f"{self.record.provider}/{self.record.model}"

    @property
    def changed(self) -> bool:
        return self.candidate is not None and self.candidate.model.id != self.before


@dataclass(frozen=True, slots=True)
class Sums:
    """What was, and what would have been, over the requests of which both are known."""

    requests: int
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Replay:
    """`skipped` is how many requests the log has not kept enough of (embeddings, and what older versions wrote)."""

    policy: str
    rows: tuple[Replayed, ...]
    skipped: int

    @property
    def answered(self) -> Sequence[Replayed]:
        """Those that were answered then, and would have been asked."""
        return [row for row in self.rows if row.candidate is not None and not row.record.error]

    @property
    def cost(self) -> Sums:
        """In US dollars."""
        known = [
            (row.record.cost_usd, row.cost_usd)
            for row in self.answered
            if row.record.cost_usd is not None and row.cost_usd is not None
        ]
        return Sums(len(known), sum((one for one, _ in known), Decimal(0)), sum((two for _, two in known), Decimal(0)))

    @property
    def seconds(self) -> Sums:
        known = [
            (Decimal(str(row.record.duration_s)), Decimal(str(row.seconds)))
            for row in self.answered
            if row.seconds is not None
        ]
        return Sums(len(known), sum((one for one, _ in known), Decimal(0)), sum((two for _, two in known), Decimal(0)))


async def replayed(llm: Llm, records: Sequence[RequestRecord], policy: str) -> Replay:
    """Decide each of `records` again as if `policy` had been asked for: a virtual model, or a model by its name.

    Raises NotFound when there is neither.
    """
    if policy not in llm.policies and not any(named(policy, llm.catalog.models)):
        known = [*llm.policies, *(model.id for model in llm.catalog.models)]
        raise NotFound.named("route or model", policy, known, fix="`circuit-breaker route list` has the routes.")
    rows: list[Replayed] = []
    for record in records:
        row = _row(llm, record, policy)
        rows += [row] if row else []
        await asyncio.sleep(0)  # others go on meanwhile
    return Replay(policy, tuple(rows), len(records) - len(rows))


def _row(llm: Llm, record: RequestRecord, policy: str) -> Replayed | None:
    kept = record.decision.get("needs")
    if not isinstance(kept, Mapping) or not kept.get("prompt_tokens"):
        return None
    try:
        decision = llm.replay(record, policy)
    except CircuitBreakerError as error:
        return Replayed(record, None, error.what)
    return None if decision is None else _estimated(llm, record, decision)


def _estimated(llm: Llm, record: RequestRecord, decision: Decision) -> Replayed:
    candidate = decision.ranked[0]
    model, usage = candidate.model, record.usage
    if model.id == f"{record.provider}/{record.model}":
        return Replayed(record, candidate, "", record.cost_usd, record.duration_s)
    needs: Needs = replace(decision.needs, output_tokens=usage.output)
    takes = estimates.seconds(needs, replace(model, loaded=True), Standing(speed=llm.health.speed(model)))
    return Replayed(
        record, candidate, "", prices.cost(Usage(input=usage.prompt, output=usage.output), model.price), takes
    )
