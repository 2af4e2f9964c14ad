"""Budgets: what they count, when they warn and refuse, and that many at once do not spend the same money twice."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM, Caller
from engine.kernel.errors import BudgetExceeded, InvalidInput, NotFound, ProviderAuth, ProviderUnavailable
from engine.llm import budgets
from engine.llm.accounts import Accounts, BudgetReached
from engine.llm.budgets import Budget, budget_of, refusal, standing, window
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    EmbeddingRequest,
    Finished,
    Preferences,
    TextDelta,
    Usage,
)
from engine.llm.model import Price
from engine.llm.service import Llm
from engine.store.memory.store import MemoryStore
from engine.store.ports import SpendSums
from tests.contract.test_journal_contract import record
from tests.support import NOON, Gate, ScriptedProvider, answer, llm_of, model

TODAY = NOON.date()
money = st.decimals(min_value=0, max_value=1000, places=4)


def spent(used, unpriced=0):
    return [SpendSums(1, cost_usd=Decimal(used), unpriced=unpriced)]


def stands(used, limit="10", held="0", **fields):
    return standing(Budget("day", Decimal(limit), **fields), spent(used), Decimal(held), TODAY)


# -- arithmetic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "first", "after"),
    [
        ("day", "2026-08-01", "2026-08-02"),
        ("week", "2026-07-27", "2026-08-03"),
        ("month", "2026-08-01", "2026-09-01"),
        ("year", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_period_is_of_the_calendar(period, first, after):
    assert window(period, TODAY) == (date.fromisoformat(first), date.fromisoformat(after))


@given(st.sampled_from(budgets.PERIODS), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_periods_follow_each_other_without_a_gap(period, on):
    first, after = window(period, on)
    assert first <= on < after
    assert window(period, after)[0] == after
    assert window(period, after - timedelta(days=1)) == (first, after)


@pytest.mark.parametrize(
    ("used", "state"),
    [("0", "healthy"), ("7.99", "healthy"), ("8", "warning"), ("9.99", "warning"), ("10", "exhausted")],
)
def test_it_warns_at_four_fifths_and_ends_at_the_limit(used, state):
    assert stands(used).state == state
    assert stands(used).message.startswith(state.capitalize())


@pytest.mark.parametrize(
    ("used", "held", "estimate", "refused"),
    [
        ("0", "0", "10", False),
        ("0", "0", "10.01", True),
        ("5", "4", "1", False),
        ("5", "4", "1.01", True),
        ("10", "0", "0.01", True),
        ("10", "0", "0", False),  # what is free is never refused
        ("99", "0", "0", False),
        ("9.99", "0", None, False),  # nobody knows what it costs: asked while something is left
        ("10", "0", None, True),
        ("5", "5", None, True),
    ],
)
def test_what_would_go_over_is_refused(used, held, estimate, refused):
    found = refusal(stands(used, held=held), None if estimate is None else Decimal(estimate))
    assert (found is not None) == refused
    if found:
        assert found.code == "budget_exceeded"
        assert (found.details["budget"], found.details["until"]) == ("all:day", "2026-08-02")
        assert all((found.what, found.why, found.fix))


@given(money, money, money, st.decimals(min_value="0.01", max_value=1000, places=4))
def test_nothing_that_is_let_through_goes_over_the_limit(used, held, estimate, limit):
    assume(estimate > 0)
    found = standing(Budget("day", limit), spent(used), held, TODAY)
    assert (refusal(found, estimate) is None) == (used + held < limit and used + held + estimate <= limit)


def test_requests_without_a_price_are_said():
    found = standing(Budget("day", Decimal(1)), spent("0.5", unpriced=1200), Decimal(0), TODAY)
    assert "1,200 requests have no known price" in found.message
    assert "no known price" not in stands("1").message


@pytest.mark.parametrize(
    ("budget", "app", "workflow", "covered"),
    [
        (Budget("day", Decimal(1)), "a", "w", True),
        (Budget("day", Decimal(1), "a"), "a", "w", True),
        (Budget("day", Decimal(1), "a"), "b", "", False),
        (Budget("day", Decimal(1), "", "w"), "a", "w", True),
        (Budget("day", Decimal(1), "a", "w"), "a", "v", False),
    ],
)
def test_a_budget_covers_what_it_names(budget, app, workflow, covered):
    assert budget.covers(app, workflow) == covered


def test_ids_tell_scopes_and_periods_apart():
    some = [budget_of(p, 1, app=a, workflow=w) for p in ("day", "month") for a in ("", "x") for w in ("", "x")]
    assert len({one.id for one in some}) == len(some)
    assert budget_of("daily", 5).id == budget_of("Day", 7).id == "all:day"
    assert [budgets.from_json(budgets.as_json(one)) for one in some] == some


@pytest.mark.parametrize(
    "given_",
    [
        {"period": "hour"},
        {"limit": 0},
        {"limit": -1},
        {"limit": "NaN"},
        {"limit": "many"},
        {"limit": 10**9},
        {"warn_at": 0},
        {"warn_at": 1.5},
        {"app": "a:b"},
        {"workflow": "x" * 201},
        {"app": "a\nb"},
    ],
)
def test_what_is_no_budget_is_refused(given_):
    with pytest.raises(InvalidInput):
        budget_of(**{"period": "day", "limit": 1, **given_})


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "$0.00"), ("1234.5", "$1,234.50"), ("0.01", "$0.01"), ("0.00012", "$0.00012"), ("0.0000001", "less than")],
)
def test_dollars_say_something(amount, shown):
    assert budgets.dollars(Decimal(amount)).startswith(shown)


# -- kept -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def accounts(store, bus, clock):
    return Accounts(store.shelf, store.journal, bus, clock.world)


async def test_budgets_are_kept_replaced_and_removed(accounts, store, bus, clock):
    await accounts.set(budget_of("day", 5))
    await accounts.set(budget_of("day", 7))
    await accounts.set(budget_of("month", 9, app="aider"))
    again = Accounts(store.shelf, store.journal, bus, clock.world)
    assert {one.id: one.limit for one in await again.budgets()} == {"all:day": 7, "app:aider:month": 9}
    await again.remove("all:day")
    with pytest.raises(NotFound, match="app:aider:month"):
        await again.remove("app:aider:mont")


async def test_a_budget_counts_its_period_and_its_scope_alone(accounts, store):
    await store.journal.record(record("1", "1", app="a"))
    await store.journal.record(record("2", "2", app="b", workflow="w"))
    await store.journal.record(record("3", "4", app="a", at=NOON - timedelta(days=1)))
    await store.journal.record(record("4", None, app="a"))
    for fields in ({}, {"app": "a"}, {"workflow": "w"}):
        await accounts.set(budget_of("day", 10, **fields))
    await accounts.set(budget_of("week", 10, app="a"))
    found = {one.budget.id: (one.used, one.unpriced) for one in await accounts.standings()}
    assert found == {"all:day": (3, 1), "app:a:day": (1, 1), "workflow:w:day": (2, 0), "app:a:week": (5, 1)}
    asked = [one.budget.id for one in await accounts.standings(app="b", workflow="")]
    assert asked == ["all:day"]


async def test_what_runs_is_held_until_it_is_released(accounts):
    await accounts.set(budget_of("day", 1))
    first = await accounts.check(PROGRAM, Decimal("0.7"))
    with pytest.raises(BudgetExceeded, match="held by requests that run now"):
        await accounts.check(PROGRAM, Decimal("0.7"))
    accounts.release(first)
    accounts.release(first)
    assert await accounts.check(PROGRAM, Decimal("0.7"))


async def test_of_many_at_once_only_so_many_go_as_there_is_money_for(accounts):
    await accounts.set(budget_of("day", 1))
    asking = (accounts.check(PROGRAM, Decimal("0.3")) for _ in range(10))
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in outcomes].count(BudgetExceeded) == 7


async def test_without_budgets_nothing_is_refused(accounts):
    assert await accounts.check(PROGRAM, Decimal(10**6))
    assert await accounts.check(PROGRAM, None)


# -- around requests --------------------------------------------------------------------------------------------------

PRICE = Price(Decimal(100_000), Decimal(100_000))  # ten cents a token
ASK = ChatRequest("large", (ChatMessage.of("user", "x" * 20),))


class Bench:
    def __init__(self, bus, clock):
        self.store = MemoryStore()
        self.accounts = Accounts(self.store.shelf, self.store.journal, bus, clock.world, keeps_content=True)
        self.near = ScriptedProvider("near", [model("near", "small")])
        self.far = ScriptedProvider("far", [model("far", "large", local=False, price=PRICE)], local=False)
        self.bus, self.clock = bus, clock

    async def open(self):
        made = await llm_of([self.near, self.far], self.store.journal, self.bus, self.clock.world)
        self.llm = Llm(
            {"near": self.near, "far": self.far},
            made.catalog,
            made.discovery,
            self.store.journal,
            self.bus,
            self.clock.world,
            accounts=self.accounts,
        )
        return self

    async def ask(self, request=ASK, caller=PROGRAM):
        return await (await self.llm.chat(request, caller)).whole()

    async def newest(self):
        return (await self.llm.requests(1))[0]


@pytest.fixture
async def bench(bus, clock):
    return await Bench(bus, clock).open()


async def test_an_exhausted_budget_refuses_before_anybody_is_asked(bench):
    await bench.accounts.set(budget_of("day", "0.5"))
    with pytest.raises(BudgetExceeded):
        await bench.ask()
    assert bench.far.asked == []
    found = await bench.newest()
    assert (found.error, found.cost_usd) == ("budget_exceeded", 0)
    await bench.ask(ChatRequest("small", ASK.messages))  # a free one goes on


async def test_a_free_model_takes_over_from_one_that_may_not_be_asked(bench):
    await bench.accounts.set(budget_of("day", "0.5"))
    auto = ChatRequest("large", ASK.messages, preferences=Preferences(fallback_models=("small",)))
    found = await bench.llm.chat(auto, PROGRAM)
    await found.whole()
    assert (found.model.id, bench.far.asked) == ("near/small", [])
    assert found.record.decision["attempts"][0]["error"] == "budget_exceeded"


async def test_a_budget_warns_once_at_each_edge(bench):
    await bench.accounts.set(budget_of("day", 1000, warn_at="0.8"))
    bench.far.scripts = [answer("x", usage=Usage(counted)) for counted in (7_000, 1_500, 1_000, 600)]
    with bench.bus.subscribe(BudgetReached) as reached:
        for expected in ([], ["warning"], [], ["exhausted"]):
            await bench.ask()
            assert [one.standing.state for one in reached.take()] == expected
    with pytest.raises(BudgetExceeded):
        await bench.ask()
    assert (await bench.llm.requests(2))[1].warnings[0].startswith("Warning: $950.00")


async def test_a_request_that_fails_or_is_left_lets_go_of_its_money(bench):
    await bench.accounts.set(budget_of("day", 100))
    gate = Gate()
    bench.far.scripts = [[TextDelta("x"), gate, Finished("stop", Usage(1))]]
    found = await bench.llm.chat(ASK, PROGRAM)
    assert (await bench.accounts.standings())[0].held > 0
    await found.chunks.aclose()
    (after,) = await bench.accounts.standings()
    assert (after.held, after.used) == (0, (await bench.newest()).cost_usd)


async def test_one_that_failed_holds_nothing_while_another_is_asked(bench):
    await bench.accounts.set(budget_of("day", 10_000))
    bench.far.known = (*bench.far.known, model("far", "larger", local=False, price=PRICE))
    await bench.llm.discovery.refresh("far")
    gate = Gate()
    bench.far.scripts = [[ProviderUnavailable("Gone.")], [gate, TextDelta("x"), Finished("stop", Usage(1))]]
    request = replace(ASK, preferences=Preferences(fallback_models=("larger",)))
    asking = asyncio.create_task(bench.llm.chat(request, PROGRAM))
    await gate.reached.wait()
    (during,) = await bench.accounts.standings()
    assert [one.model for one in bench.far.asked] == ["large", "larger"]
    assert len(bench.accounts._holds) == 1
    assert 0 < during.held < 100
    gate.opened.set()
    await (await asking).whole()
    assert bench.accounts._holds == set()


async def test_of_two_that_are_asked_at_once_neither_is_held_afterwards(bench):
    await bench.accounts.set(budget_of("day", 10_000))
    bench.far.known = (*bench.far.known, model("far", "larger", local=False, price=PRICE))
    await bench.llm.discovery.refresh("far")
    slow = Gate()
    bench.far.scripts = [[slow], answer("x", usage=Usage(1))]
    hurried = replace(ASK, preferences=Preferences(fallback_models=("larger",), hedge_ms=1.0))
    found = await bench.llm.chat(hurried, PROGRAM)
    await found.whole()
    assert found.model.name == "larger"
    assert bench.accounts._holds == set()


async def test_the_app_and_the_workflow_pay(bench):
    await bench.accounts.set(budget_of("day", 1, app="aider"))
    await bench.accounts.set(budget_of("day", 1, workflow="w"))
    for caller in (
        Caller("aider", "openai", agent="aider/0.86"),
        Caller("x", "python", app="aider"),
        Caller("x", "python", workflow="w"),
    ):
        with pytest.raises(BudgetExceeded):
            await bench.ask(caller=caller)
    for tags in ({"app": "aider"}, {"workflow": "w"}):
        with pytest.raises(BudgetExceeded):
            await bench.ask(replace(ASK, preferences=Preferences(tags=tags)))
    await bench.ask(caller=Caller("other", "openai", agent="other/1.0", token="t1"))
    found = await bench.newest()
    assert (found.app, found.agent, found.token) == ("other", "other/1.0", "t1")


async def test_embeddings_are_paid_for_too(bench):
    await bench.accounts.set(budget_of("day", "0.01"))
    bench.far.known = (model("far", "vectors", local=False, abilities=frozenset({"embedding"}), price=PRICE),)
    await bench.llm.discovery.refresh("far")
    with pytest.raises(BudgetExceeded):
        await bench.llm.embed(EmbeddingRequest("vectors", ("some text",)), PROGRAM)
    assert bench.far.embedded == []


async def test_the_record_has_the_price_as_charged_and_what_the_upstream_says_wins(bench):
    await bench.ask()
    assert (await bench.newest()).price == {
        "input": "100000",
        "cacheRead": "100000",
        "cacheWrite": "100000",
        "output": "100000",
        "source": "",
    }
    bench.far.scripts = [[TextDelta("x"), Finished("stop", Usage(10), Decimal("0.25"))]]
    await bench.ask()
    found = await bench.newest()
    assert (found.cost_usd, found.price) == (Decimal("0.25"), {"source": "what the provider says it charged"})


async def test_what_was_said_is_kept_where_that_is_wanted(bench, bus, clock):
    bench.far.scripts = [answer("Hel", "lo")]
    await bench.ask()
    said = await bench.accounts.content((await bench.newest()).id)
    assert said == {"messages": [{"role": "user", "text": "x" * 20}], "answer": "Hello"}
    bench.accounts.keeps_content = False
    await bench.ask()
    assert await bench.accounts.content((await bench.newest()).id) is None


async def test_what_was_said_again_from_memory_is_kept_too(bench):
    bench.far.scripts = [answer("Hel", "lo")]
    again = ChatRequest(ASK.model, ASK.messages, preferences=Preferences(cache=True))
    for _ in range(2):
        await bench.ask(again)
        assert (await bench.accounts.content((await bench.newest()).id))["answer"] == "Hello"
    assert len(bench.far.asked) == 1


async def test_savings_are_against_the_reference_model(bench):
    reference = Price(Decimal(10), Decimal(20))
    bench.accounts._reference = lambda: ("x/ref", reference)
    bench.near.scripts = [answer("x", usage=Usage(1_000_000, 0, 0, 500_000))]
    await bench.ask(ChatRequest("small", ASK.messages))
    found = await bench.accounts.report("model")
    assert found.reference == "x/ref"
    assert (found.total.reference_usd, found.total.compared_usd, found.total.cost_usd) == (20, 0, 0)


async def test_a_key_that_fails_to_embed_lets_go_of_its_money(bus, clock):
    class Far(ScriptedProvider):
        async def embed(self, request, model, key=""):
            if key == "bad-key-00000":
                raise ProviderAuth("no")
            return await super().embed(request, model, key)

    bench = Bench(bus, clock)
    large = model("far", "large", local=False, price=PRICE, abilities=frozenset({"embedding"}))
    bench.far = Far("far", [large], local=False)
    bench.far.held = ("bad-key-00000", "good-key-0000")
    await bench.open()
    await bench.accounts.set(budget_of("day", 1))
    found = await bench.llm.embed(EmbeddingRequest("large", ("x" * 20,)), PROGRAM)  # about seventy cents
    assert len(found.vectors) == 1
    assert [one["error"] for one in (await bench.newest()).decision["attempts"]] == ["provider_auth"]
