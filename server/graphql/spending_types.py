"""Providers, requests, costs and budgets as GraphQL types.

Money that clients of the original system know is a Float, as they expect; where it must be exact there is a Decimal
beside it.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Self

import strawberry
from strawberry.scalars import JSON

from engine.kernel.machine import Machine
from engine.llm import spending
from engine.llm.bench import Bench
from engine.llm.budgets import Standing, dollars
from engine.llm.fit import Fit
from engine.llm.health import Health
from engine.llm.model import ProviderStatus
from engine.llm.spending import Report
from engine.store.ports import RequestRecord, SpendSums
from server.graphql.machine_types import ModelType
from server.graphql.running_types import PageInfoType
from server.graphql.scalars import json_text, timestamp
from server.graphql.words import enum


class CostBy(Enum):
    DAY = "day"
    MODEL = "model"
    PROVIDER = "provider"
    APP = "app"
    WORKFLOW = "workflow"


enum(
    CostBy,
    "What costs are added up by.",
    ("By day of UTC.", "By model.", "By provider.", "By who asked.", "By the workflow it was asked for."),
)


class CostEventType(Enum):
    COST_INCURRED = "cost_incurred"
    BUDGET_WARNING = "warning"
    BUDGET_EXHAUSTED = "exhausted"


enum(
    CostEventType,
    "What happened to the money.",
    ("A request ended.", "A budget came to its warning.", "A budget came to its limit."),
)


@strawberry.type(name="ProviderHealth", description="How a provider is, from its last answers.")
class ProviderHealthType:
    is_healthy: bool = strawberry.field(description="Whether it can be asked now.")
    last_check: str | None = strawberry.field(description="When a model of it was last asked.")
    error_rate: float = strawberry.field(description="Of its last 100 requests, from 0 to 1.")
    average_latency_ms: int | None = strawberry.field(description="To the first token, over these requests.")
    consecutive_failures: int = strawberry.field(description="Since its last good answer.")
    last_error: str | None = strawberry.field(description="What stands in the way, or the code of the last error.")

    @classmethod
    def of(cls, status: ProviderStatus, newest: Sequence[RequestRecord]) -> Self:
        failures = [bool(record.error and record.error != "cancelled") for record in newest]
        waits = [record.ttft_s for record in newest if record.ttft_s is not None]
        return cls(
            is_healthy=status.state == "up",
            last_check=timestamp(newest[0].at) if newest else None,
            error_rate=sum(failures) / len(failures) if failures else 0.0,
            average_latency_ms=round(1000 * sum(waits) / len(waits)) if waits else None,
            consecutive_failures=failures.index(False) if False in failures else len(failures),
            last_error=status.why or next((record.error for record in newest if record.error), None) or None,
        )


@strawberry.type(name="LlmProvider", description="Something that answers chat or embeddings.")
class LlmProviderType:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="For people.")
    provider_type: str = strawberry.field(description="The same as its id.")
    base_url: str = strawberry.field(description="Where it is asked.")
    state: str = strawberry.field(description="up, down, or off: not set up.")
    local: bool = strawberry.field(description="Whether prompts stay on this machine.")
    fix: str = strawberry.field(description="What to do when it is not up.")
    models: list[ModelType] = strawberry.field(description="What it has.")
    health_status: ProviderHealthType = strawberry.field(description="How it is.")
    restart: list[str] = strawberry.field(
        description="After `configureLlmProvider`: what counts only from the next start on, or not before something "
        "else is done."
    )

    @classmethod
    def of(
        cls, status: ProviderStatus, newest: Sequence[RequestRecord], health: Health, restart: Sequence[str] = ()
    ) -> Self:
        return cls(
            id=strawberry.ID(status.id),
            name=status.title,
            provider_type=status.id,
            base_url=status.address,
            state=status.state,
            local=status.local,
            fix=status.fix,
            models=[ModelType.of(model, health.speed(model)) for model in status.models],
            health_status=ProviderHealthType.of(status, newest),
            restart=list(restart),
        )


@strawberry.type(name="TokenUsage", description="Tokens of a request, and what they cost.")
class TokenUsageType:
    prompt_tokens: int = strawberry.field(description="All of the prompt, cached or not.")
    completion_tokens: int = strawberry.field(description="Of the answer.")
    total_tokens: int = strawberry.field(description="Both.")
    cache_read_tokens: int = strawberry.field(description="Of the prompt, read from a cache.")
    cache_write_tokens: int = strawberry.field(description="Of the prompt, written to a cache.")
    counted: bool = strawberry.field(description="Whether the provider counted them; else they are estimated.")
    estimated_cost: float | None = strawberry.field(description="US dollars; null when it is not known.")

    @classmethod
    def of(cls, record: RequestRecord) -> Self:
        usage = record.usage
        return cls(
            prompt_tokens=usage.prompt,
            completion_tokens=usage.output,
            total_tokens=usage.total,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            counted=usage.counted,
            estimated_cost=_float(record.cost_usd),
        )


@strawberry.type(name="LlmRequest", description="A request to a model, as it ended.")
class RequestType:
    id: strawberry.ID = strawberry.field(description="Its id; `/v1/routes/{id}` has its decision.")
    at: str = strawberry.field(description="When it ended.")
    face: str = strawberry.field(description="Where it came in.")
    app: str = strawberry.field(description="Who asked.")
    user_agent: str = strawberry.field(description="How that called itself.")
    asked: str = strawberry.field(description="The model that was asked for.")
    provider: str = strawberry.field(description="Who answered.")
    model: str = strawberry.field(description="The model that answered.")
    key: str = strawberry.field(description="The label of the key, where one was used.")
    workflow_id: str | None = strawberry.field(description="The workflow it was asked for.")
    token_id: str | None = strawberry.field(description="The token it was asked for.")
    usage: TokenUsageType = strawberry.field(description="Tokens and cost.")
    cost_usd: Decimal | None = strawberry.field(description="US dollars, exactly; null when it is not known.")
    reference_usd: Decimal | None = strawberry.field(description="What the reference model would have cost.")
    price: JSON | None = strawberry.field(description="What was charged for a million tokens, and where that is from.")
    ttft_s: float | None = strawberry.field(description="Seconds to the first token.")
    duration_s: float = strawberry.field(description="Seconds in all.")
    tokens_per_s: float | None = strawberry.field(description="After the first one.")
    attempts: int = strawberry.field(description="How many models were asked.")
    retries: int = strawberry.field(description="How often one was asked again.")
    error: str | None = strawberry.field(description="The code of what went wrong.")
    warnings: list[str] = strawberry.field(description="What was noticed.")
    decision: JSON = strawberry.field(description="Why it went where it went.")

    @classmethod
    def of(cls, record: RequestRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            at=timestamp(record.at),
            face=record.face,
            app=record.app,
            user_agent=record.agent,
            asked=record.asked,
            provider=record.provider,
            model=record.model,
            key=record.key,
            workflow_id=record.workflow or None,
            token_id=record.token or None,
            usage=TokenUsageType.of(record),
            cost_usd=record.cost_usd,
            reference_usd=record.reference_usd,
            price=None if record.price is None else JSON(dict(record.price)),
            ttft_s=record.ttft_s,
            duration_s=record.duration_s,
            tokens_per_s=record.tokens_per_s,
            attempts=record.attempts,
            retries=record.retries,
            error=record.error or None,
            warnings=list(record.warnings),
            decision=JSON(dict(record.decision)),
        )


@strawberry.type(name="LlmRequestEdge", description="A request in a page.")
class RequestEdgeType:
    cursor: str = strawberry.field(description="Its place in the order.")
    node: RequestType = strawberry.field(description="The request.")


@strawberry.type(name="LlmRequestConnection", description="A page of requests, newest first.")
class RequestConnectionType:
    edges: list[RequestEdgeType] = strawberry.field(description="The requests with their cursors.")
    nodes: list[RequestType] = strawberry.field(description="The requests alone.")
    page_info: PageInfoType = strawberry.field(description="Where the page ends.")

    @classmethod
    def of(cls, found: Sequence[RequestRecord], wanted: int) -> Self:
        nodes = [RequestType.of(record) for record in found[:wanted]]
        return cls(
            edges=[RequestEdgeType(cursor=str(node.id), node=node) for node in nodes],
            nodes=nodes,
            page_info=PageInfoType(has_next_page=len(found) > wanted, end_cursor=str(nodes[-1].id) if nodes else None),
        )


@strawberry.type(name="CostSums", description="What some requests came to.")
class CostSumsType:
    name: str = strawberry.field(description="The day, model, provider, app or workflow.")
    requests: int = strawberry.field(description="How many.")
    failed: int = strawberry.field(description="Of these, those that ended in an error.")
    unpriced: int = strawberry.field(description="Those whose cost is not known: it is not in the sums.")
    uncounted: int = strawberry.field(description="Those whose tokens were estimated.")
    input_tokens: float = strawberry.field(description="Of prompts, not cached.")
    cache_read_tokens: float = strawberry.field(description="Of prompts, read from a cache.")
    cache_write_tokens: float = strawberry.field(description="Of prompts, written to a cache.")
    output_tokens: float = strawberry.field(description="Of answers.")
    total_tokens: float = strawberry.field(description="All of these.")
    cost_usd: Decimal = strawberry.field(description="US dollars, exactly.")
    saved_usd: Decimal = strawberry.field(description="What the reference model would have cost more.")

    @classmethod
    def of(cls, name: str, sums: SpendSums) -> Self:
        return cls(
            name=name,
            requests=sums.requests,
            failed=sums.failed,
            unpriced=sums.unpriced,
            uncounted=sums.uncounted,
            input_tokens=sums.input,
            cache_read_tokens=sums.cache_read,
            cache_write_tokens=sums.cache_write,
            output_tokens=sums.output,
            total_tokens=sums.tokens,
            cost_usd=sums.cost_usd,
            saved_usd=spending.saved(sums),
        )


@strawberry.type(name="CostAnalytics", description="What was spent in a period.")
class CostAnalyticsType:
    total_cost: float = strawberry.field(description="US dollars, without the requests whose cost is not known.")
    total_tokens: float = strawberry.field(description="Of all requests.")
    average_cost_per_token: float = strawberry.field(description="US dollars; 0 without tokens.")
    provider_breakdown: JSON = strawberry.field(description="US dollars by provider.")
    model_breakdown: JSON = strawberry.field(description="US dollars by provider/model.")
    daily_costs: JSON = strawberry.field(description="US dollars by day of UTC.")
    period_start: str = strawberry.field(description="The first day.")
    period_end: str = strawberry.field(description="The last day.")
    total: CostSumsType = strawberry.field(description="All of it, exactly.")
    groups: list[CostSumsType] = strawberry.field(description="By what `by` says; the dearest first, days in order.")
    reference: str = strawberry.field(description="The model that costs are compared with.")

    @classmethod
    def of(cls, asked: Report, days: Report, models: Report, providers: Report) -> Self:
        total = asked.total
        last = max(asked.since, asked.until.fromordinal(asked.until.toordinal() - 1))
        return cls(
            total_cost=float(total.cost_usd),
            total_tokens=total.tokens,
            average_cost_per_token=float(total.cost_usd / total.tokens) if total.tokens else 0.0,
            provider_breakdown=_breakdown(providers),
            model_breakdown=_breakdown(models),
            daily_costs=_breakdown(days),
            period_start=asked.since.isoformat(),
            period_end=last.isoformat(),
            total=CostSumsType.of("total", total),
            groups=[CostSumsType.of(name, sums) for name, sums in asked.groups],
            reference=asked.reference,
        )


@strawberry.type(name="BudgetStatus", description="How a budget stands in its period.")
class BudgetStatusType:
    budget_id: str = strawberry.field(description="Its scope and period.")
    limit: float | None = strawberry.field(description="US dollars; null when no budget is set.")
    used: float = strawberry.field(description="US dollars, without the requests whose cost is not known.")
    percentage_used: float = strawberry.field(description="0 to 100, and more when it went over.")
    is_exhausted: bool = strawberry.field(description="Whether requests that cost are refused.")
    is_warning: bool = strawberry.field(description="Whether it has come to its warning.")
    remaining: float | None = strawberry.field(description="US dollars.")
    message: str = strawberry.field(description="For people.")
    period: str | None = strawberry.field(description="day, week, month or year.")
    app: str | None = strawberry.field(description="Whose requests it is for; null for all.")
    workflow: str | None = strawberry.field(description="The workflow it is for; null for all.")
    warning_threshold: float | None = strawberry.field(description="The part of the limit at which it warns.")
    held: float = strawberry.field(description="What the requests that run now are thought to cost.")
    unpriced: int = strawberry.field(description="Requests in the period whose cost is not known.")
    resets: str | None = strawberry.field(description="The day on which it begins anew.")

    @classmethod
    def of(cls, found: Standing) -> Self:
        budget = found.budget
        return cls(
            budget_id=budget.id,
            limit=float(budget.limit),
            used=float(found.used),
            percentage_used=float(100 * found.part),
            is_exhausted=found.state == "exhausted",
            is_warning=found.state != "healthy",
            remaining=float(found.remaining),
            message=found.message,
            period=budget.period,
            app=budget.app or None,
            workflow=budget.workflow or None,
            warning_threshold=float(budget.warn_at),
            held=float(found.held),
            unpriced=found.unpriced,
            resets=found.until.isoformat(),
        )

    @classmethod
    def none(cls, spent: SpendSums) -> Self:
        """Without a budget: what this month came to."""
        return cls(
            budget_id="default",
            limit=None,
            used=float(spent.cost_usd),
            percentage_used=0.0,
            is_exhausted=False,
            is_warning=False,
            remaining=None,
            message=f"No budget is set. {dollars(spent.cost_usd)} was spent this month.",
            period=None,
            app=None,
            workflow=None,
            warning_threshold=None,
            held=0.0,
            unpriced=spent.unpriced,
            resets=None,
        )


@strawberry.type(name="CostUpdate", description="A request that ended, or a budget that came to an edge.")
class CostUpdateType:
    event_type: CostEventType = strawberry.field(description="Which of these.")
    user_id: str | None = strawberry.field(description="Whose request it was: the app.")
    project_id: str | None = strawberry.field(description="What it was for: the workflow.")
    request_id: str | None = strawberry.field(description="The request.")
    cost_delta: float | None = strawberry.field(description="US dollars of the request; null when it is not known.")
    total_cost: float = strawberry.field(description="US dollars of today.")
    budget: BudgetStatusType | None = strawberry.field(description="The budget, where it is about one.")
    timestamp: str = strawberry.field(description="When.")
    provider: str | None = strawberry.field(description="Who answered.")
    model: str | None = strawberry.field(description="The model.")
    token_usage: TokenUsageType | None = strawberry.field(description="Its tokens.")

    @strawberry.field(description="The request, or the budget.")
    def id(self) -> str:
        return self.request_id or (self.budget.budget_id if self.budget else "")

    @strawberry.field(description="The same as `costDelta`.")
    def cost(self) -> float | None:
        return self.cost_delta

    @strawberry.field(description="USD.")
    def currency(self) -> str:
        return "USD"

    @strawberry.field(description="For people.")
    def description(self) -> str:
        if self.budget:
            return self.budget.message
        cost = "not known" if self.cost_delta is None else dollars(Decimal(str(self.cost_delta)))
        return f"{self.provider}/{self.model}: {cost}"

    @strawberry.field(description="Provider, model and request, for programs.")
    def details(self) -> JSON:
        return self._facts()

    @strawberry.field(description="The same as `details`.")
    def metadata(self) -> JSON:
        return self._facts()

    def as_text(self) -> str:
        """The update as the original system's server wrote it."""
        if self.budget:
            return json_text(
                {
                    "type": "budget_warning",
                    "user_id": self.user_id,
                    "percentage_used": self.budget.percentage_used,
                    "message": self.budget.message,
                }
            )
        return json_text(
            {
                "type": "cost_update",
                "user_id": self.user_id,
                "cost_delta": self.cost_delta,
                "total_cost": self.total_cost,
                "timestamp": self.timestamp,
            }
        )

    def _facts(self) -> JSON:
        facts = {"provider": self.provider, "model": self.model, "requestId": self.request_id}
        return JSON({name: value for name, value in facts.items() if value})


@strawberry.type(name="ModelFit", description="Whether a local model fits the memory of this machine: an estimate.")
class ModelFitType:
    model: str = strawberry.field(description="The model.")
    verdict: str = strawberry.field(description="graphics, memory, split, no, or unknown.")
    context: int = strawberry.field(description="The tokens of context that it was asked for.")
    weights_bytes: float = strawberry.field(description="Of the weights.")
    cache_bytes: float = strawberry.field(description="Of the keys and values of that context.")
    needed_bytes: float = strawberry.field(description="All of it, with room to compute.")
    free_bytes: float = strawberry.field(description="Free memory of the machine; 0 when it is not known.")
    free_graphics_bytes: float = strawberry.field(description="Free memory of its graphics cards.")
    most_context: int | None = strawberry.field(description="The longest context that fits.")
    reasons: list[str] = strawberry.field(description="The arithmetic, in words.")

    @classmethod
    def of(cls, found: Fit, machine: Machine) -> Self:
        return cls(
            model=found.model,
            verdict=found.verdict,
            context=found.context,
            weights_bytes=found.weights,
            cache_bytes=found.cache,
            needed_bytes=found.needed,
            free_bytes=machine.free,
            free_graphics_bytes=sum(card.free for card in machine.cards),
            most_context=found.most_context or None,
            reasons=list(found.reasons),
        )


@strawberry.type(name="ModelBench", description="What a short prompt took.")
class ModelBenchType:
    request: RequestType = strawberry.field(description="The request, as it is in the log.")
    load_s: float | None = strawberry.field(description="Seconds until it was in memory; null when it was there.")
    mean_ttft_s: float | None = strawberry.field(description="Seconds to the first token, over all its requests.")
    mean_tokens_per_s: float | None = strawberry.field(description="Tokens a second, over all its requests.")

    @classmethod
    def of(cls, found: Bench) -> Self:
        return cls(
            request=RequestType.of(found.record),
            load_s=found.load_s,
            mean_ttft_s=found.speed.ttft_s,
            mean_tokens_per_s=found.speed.tokens_per_s,
        )


@strawberry.input(description="Which period, and whose costs.")
class CostAnalyticsInput:
    start_date: str | None = strawberry.field(default=None, description="The first day, like 2026-11-01.")
    end_date: str | None = strawberry.field(default=None, description="The last day; today without it.")
    app: str | None = strawberry.field(default=None, description="Only the requests of this app.")
    workflow: str | None = strawberry.field(default=None, description="Only those for this workflow.")
    user_id: str | None = strawberry.field(default=None, description="Another name for `app`.")
    project_id: str | None = strawberry.field(default=None, description="Another name for `workflow`.")


@strawberry.input(description="A budget. Setting one of the same scope and period replaces it.")
class BudgetInput:
    limit: float = strawberry.field(description="US dollars in each period.")
    period: str = strawberry.field(default="month", description="day, week, month or year; daily and so on as well.")
    warning_threshold: float = strawberry.field(default=0.8, description="The part of the limit at which it warns.")
    app: str | None = strawberry.field(default=None, description="Whose requests it is for; all without it.")
    workflow: str | None = strawberry.field(default=None, description="The workflow it is for; all without it.")
    user_id: str | None = strawberry.field(default=None, description="Another name for `app`.")
    project_id: str | None = strawberry.field(default=None, description="Another name for `workflow`.")


@strawberry.input(description="Where a provider is, its key, or both; what is left out stays as it is.")
class LlmProviderConfigInput:
    provider_type: str = strawberry.field(description="Its id: ollama, openai, anthropic, google, azure or custom.")
    base_url: str | None = strawberry.field(default=None, description="Its address, written into the settings file.")
    api_key: str | None = strawberry.field(default=None, description="Kept in the keyring; never given back.")
    name: str | None = strawberry.field(default=None, description="Not used: providers have their names.")
    api_key_id: str | None = strawberry.field(default=None, description="Not used: each provider has its own keys.")
    models: list[JSON] | None = strawberry.field(default=None, description="Not used: providers are asked.")


@strawberry.input(description="Which requests are wanted.")
class RequestFilter:
    provider: str | None = strawberry.field(default=None, description="Only those that this provider answered.")
    model: str | None = strawberry.field(default=None, description="Only those that this model answered.")
    app: str | None = strawberry.field(default=None, description="Only those of this app.")
    workflow_id: str | None = strawberry.field(default=None, description="Only those for this workflow.")
    failed: bool | None = strawberry.field(default=None, description="Only those that failed, or the others.")
    since: str | None = strawberry.field(default=None, description="Only those that ended at this moment or later.")
    until: str | None = strawberry.field(default=None, description="Only those that ended before this moment.")


def _breakdown(report: Report) -> JSON:
    return JSON({name: float(sums.cost_usd) for name, sums in report.groups})


def _float(money: Decimal | None) -> float | None:
    return None if money is None else float(money)
