"""Providers, requests, costs and budgets: queries, mutations and subscriptions; a part of `operations`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Annotated

import strawberry

from engine.kernel.errors import InvalidInput, NotFound, shown
from engine.llm.accounts import BudgetReached
from engine.llm.bench import TOKENS, bench
from engine.llm.books import RequestEnded
from engine.llm.budgets import budget_of, window
from engine.llm.catalog import named
from engine.llm.model import Model, ProviderStatus
from engine.llm.service import FIRST_ROUND_S
from engine.llm.spending import By
from engine.nets.moments import moment_of
from engine.providing import configure
from engine.store.ports import RequestQuery
from server.graphql.context import Ask
from server.graphql.finishing import Finishing
from server.graphql.inputs import check_page
from server.graphql.machine_types import ModelType
from server.graphql.scalars import timestamp
from server.graphql.spending_types import (
    BudgetInput,
    BudgetStatusType,
    CostAnalyticsInput,
    CostAnalyticsType,
    CostBy,
    CostEventType,
    CostUpdateType,
    LlmProviderConfigInput,
    LlmProviderType,
    ModelBenchType,
    ModelFitType,
    RequestConnectionType,
    RequestFilter,
    RequestType,
    TokenUsageType,
)
from server.graphql.words import about

_NEWEST = 100
_MOST_BENCHED = 1_000
_Model = Annotated[str, about("A model: provider/name, or its name.")]
_App = Annotated[str | None, about("Only what this app's requests fall under.")]
_Workflow = Annotated[str | None, about("Only what requests for this workflow fall under.")]
_User = Annotated[str | None, about("Another name for `app`.")]
_Project = Annotated[str | None, about("Another name for `workflow`.")]


@strawberry.type
class SpendingQueries:
    @strawberry.field(description="All providers, also those that are down or not set up.")
    async def llm_providers(self, info: Ask) -> list[LlmProviderType]:
        engine = info.context.engine
        await engine.llm.discovery.first_round(FIRST_ROUND_S)
        return [await _provider(info, status) for status in engine.llm.catalog.providers.values()]

    @strawberry.field(description="One provider; null when there is none of that id.")
    async def llm_provider(self, info: Ask, id: Annotated[str, about("Its id.")]) -> LlmProviderType | None:
        await info.context.engine.llm.discovery.first_round(FIRST_ROUND_S)
        status = info.context.engine.llm.catalog.providers.get(id)
        return await _provider(info, status) if status else None

    @strawberry.field(description="One model; null when there is none of that name.")
    async def model(self, info: Ask, id: _Model) -> ModelType | None:
        llm = info.context.engine.llm
        await llm.discovery.first_round(FIRST_ROUND_S)
        found = next(named(id, llm.catalog.models), None)
        return ModelType.of(found, llm.health.speed(found)) if found else None

    @strawberry.field(description="Whether a local model fits the memory of this machine.")
    async def model_fit(
        self,
        info: Ask,
        model: _Model,
        context: Annotated[int | None, about("With so many tokens of context; what it would be given without.")] = None,
    ) -> ModelFitType:
        if context is not None and context < 1:
            raise InvalidInput(f"{context} is no context.", fix="Give tokens.", details={"path": "context"})
        found, here = await info.context.engine.fits.one(await _model(info, model), context or 0)
        return ModelFitType.of(found, here)

    @strawberry.field(description="A page of the log of requests, newest first.")
    async def requests(
        self,
        info: Ask,
        filter: Annotated[RequestFilter | None, about("Which ones.")] = None,
        first: Annotated[int, about("How many: 1 to 500.")] = 50,
        after: Annotated[str | None, about("`endCursor` of the page before.")] = None,
    ) -> RequestConnectionType:
        check_page(first)
        wanted = filter or RequestFilter()
        query = RequestQuery(
            provider=wanted.provider,
            model=wanted.model,
            app=wanted.app,
            workflow=wanted.workflow_id,
            failed=wanted.failed,
            since=_moment(wanted.since, "since"),
            until=_moment(wanted.until, "until"),
            first=first + 1,
            before=after,
        )
        return RequestConnectionType.of(await info.context.engine.accounts.requests(query), first)

    @strawberry.field(description="One request of the log; null when there is none.")
    async def request(self, info: Ask, id: Annotated[str, about("The id of a request.")]) -> RequestType | None:
        found = await info.context.engine.llm.request(id)
        return RequestType.of(found) if found else None

    @strawberry.field(description="What was spent: the last 30 days, or the days that are asked for.")
    async def cost_analytics(
        self,
        info: Ask,
        input: Annotated[CostAnalyticsInput | None, about("Which days, and whose costs.")] = None,
        by: Annotated[CostBy, about("What `groups` are by.")] = CostBy.DAY,
    ) -> CostAnalyticsType:
        wanted = input or CostAnalyticsInput()
        accounts = info.context.engine.accounts
        last = _day(wanted.end_date, "endDate")
        ways: tuple[By, ...] = (by.value, "day", "model", "provider")
        asked, days, models, providers = [
            await accounts.report(
                way,
                since=_day(wanted.start_date, "startDate"),
                until=None if last is None else last + timedelta(days=1),
                app=wanted.app or wanted.user_id,
                workflow=wanted.workflow or wanted.project_id,
            )
            for way in ways
        ]
        return CostAnalyticsType.of(asked, days, models, providers)

    @strawberry.field(
        description="The budget that is nearest to its end, of all or of those that something falls under."
    )
    async def budget_status(
        self,
        info: Ask,
        app: _App = None,
        workflow: _Workflow = None,
        user_id: _User = None,
        project_id: _Project = None,
    ) -> BudgetStatusType:
        accounts = info.context.engine.accounts
        found = await accounts.standings(app=app or user_id, workflow=workflow or project_id)
        if found:
            return BudgetStatusType.of(max(found, key=lambda one: one.part))
        since, until = window("month", info.context.engine.world.now().date())
        spent = await accounts.report(
            "day", since=since, until=until, app=app or user_id, workflow=workflow or project_id
        )
        return BudgetStatusType.none(spent.total)

    @strawberry.field(description="All budgets, and how they stand.")
    async def budgets(self, info: Ask) -> list[BudgetStatusType]:
        return [BudgetStatusType.of(one) for one in await info.context.engine.accounts.standings()]


@strawberry.type
class SpendingMutations:
    @strawberry.mutation(
        description="Set a budget; requests that would go over it are refused.", extensions=[Finishing()]
    )
    async def set_budget(self, info: Ask, input: Annotated[BudgetInput, about("The budget.")]) -> BudgetStatusType:
        budget = budget_of(
            input.period,
            input.limit,
            app=input.app or input.user_id or "",
            workflow=input.workflow or input.project_id or "",
            warn_at=input.warning_threshold,
        )
        return BudgetStatusType.of(await info.context.engine.accounts.set(budget))

    @strawberry.mutation(
        description="Set the address of a provider, which is written into the settings file, its key, or both.",
        extensions=[Finishing()],
    )
    async def configure_llm_provider(
        self, info: Ask, input: Annotated[LlmProviderConfigInput, about("What is to be set.")]
    ) -> LlmProviderType:
        engine = info.context.engine
        done = await configure(
            engine.loaded,
            engine.provider_keys,
            input.provider_type.casefold(),
            address=input.base_url or "",
            key=input.api_key or "",
        )
        off = ProviderStatus(done.provider, done.provider.title(), "off", done.address, fix="Start the program anew.")
        return await _provider(info, engine.llm.catalog.providers.get(done.provider, off), done.restart)

    @strawberry.mutation(description="Remove a budget.", extensions=[Finishing()])
    async def remove_budget(self, info: Ask, id: Annotated[str, about("Its `budgetId`.")]) -> bool:
        await info.context.engine.accounts.remove(id)
        return True

    @strawberry.mutation(
        description="Ask a model a short prompt and measure it. It costs what a request costs.",
        extensions=[Finishing()],
    )
    async def bench_model(
        self, info: Ask, model: _Model, tokens: Annotated[int, about("Of the answer, at most.")] = TOKENS
    ) -> ModelBenchType:
        if not 1 <= tokens <= _MOST_BENCHED:
            raise InvalidInput(f"{tokens} tokens are not taken.", fix="Ask for 1 to 1,000.", details={"path": "tokens"})
        found = await _model(info, model)
        return ModelBenchType.of(await bench(info.context.engine.llm, found.id, info.context.caller, tokens=tokens))


@strawberry.type
class SpendingSubscriptions:
    @strawberry.subscription(description="Requests as they end, with their costs, and budgets that come to an edge.")
    async def cost_updates(
        self,
        info: Ask,
        app: Annotated[str | None, about("Only those of this app.")] = None,
        user_id: _User = None,
    ) -> AsyncGenerator[CostUpdateType, None]:
        async with aclosing(_updates(info, app or user_id)) as updates:
            async for update in updates:
                yield update

    @strawberry.subscription(
        description="`costUpdates` as JSON texts, for clients of the original system; they select nothing of "
        "`costUpdates`, which then is this."
    )
    async def cost_updates_text(
        self,
        info: Ask,
        app: Annotated[str | None, about("Only those of this app.")] = None,
        user_id: _User = None,
    ) -> AsyncGenerator[str, None]:
        async with aclosing(_updates(info, app or user_id)) as updates:
            async for update in updates:
                yield update.as_text()


async def _updates(info: Ask, wanted: str | None) -> AsyncGenerator[CostUpdateType, None]:
    engine = info.context.engine
    with engine.bus.subscribe(RequestEnded, BudgetReached) as happened:
        async for event in happened:
            if not isinstance(event, RequestEnded | BudgetReached):
                continue  # missed some: each update has the sum of the day, and `requests` leaves none out
            whose = event.record.app if isinstance(event, RequestEnded) else event.standing.budget.app or wanted
            if wanted in (None, whose):
                yield _update(event, float(await engine.llm.spent_today()), engine.world.now())


async def _provider(info: Ask, status: ProviderStatus, restart: Sequence[str] = ()) -> LlmProviderType:
    engine = info.context.engine
    newest = await engine.accounts.requests(RequestQuery(provider=status.id, first=_NEWEST))
    return LlmProviderType.of(status, newest, engine.llm.health, restart)


def _update(event: RequestEnded | BudgetReached, today: float, now: datetime) -> CostUpdateType:
    if isinstance(event, BudgetReached):
        budget = event.standing.budget
        return CostUpdateType(
            event_type=CostEventType(event.standing.state),
            user_id=budget.app or None,
            project_id=budget.workflow or None,
            request_id=None,
            cost_delta=None,
            total_cost=today,
            budget=BudgetStatusType.of(event.standing),
            timestamp=timestamp(now),
            provider=None,
            model=None,
            token_usage=None,
        )
    record = event.record
    return CostUpdateType(
        event_type=CostEventType.COST_INCURRED,
        user_id=record.app,
        project_id=record.workflow or None,
        request_id=record.id,
        cost_delta=None if record.cost_usd is None else float(record.cost_usd),
        total_cost=today,
        budget=None,
        timestamp=timestamp(record.at),
        provider=record.provider,
        model=record.model,
        token_usage=TokenUsageType.of(record),
    )


async def _model(info: Ask, name: str) -> Model:
    """Raises NotFound with the nearest names."""
    llm = info.context.engine.llm
    await llm.discovery.first_round(FIRST_ROUND_S)
    models = llm.catalog.models
    found = next(named(name, models), None)
    if found is None:
        raise NotFound.named("model", name, [one.id for one in models], fix="`circuit-breaker models list` has them.")
    return found


def _day(text: str | None, path: str) -> date | None:
    """A day, or the one that a moment is in."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else moment_of(text).date()
    except ValueError:
        raise InvalidInput(
            f"{shown(text)} is no day.", fix="Write it as 2026-11-25.", details={"path": f"input.{path}"}
        ) from None


def _moment(text: str | None, path: str) -> datetime | None:
    if text is None:
        return None
    try:
        return moment_of(text)
    except ValueError:
        raise InvalidInput(
            f"{shown(text)} is no moment.", fix="Write it as 2026-11-25T12:00:00Z.", details={"path": f"filter.{path}"}
        ) from None
