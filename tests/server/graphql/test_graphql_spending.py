"""Providers, requests, costs and budgets over HTTP, with a real request in the log."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from engine.kernel.caller import Caller
from engine.llm.books import RequestEnded
from server.graphql.context import Context
from server.graphql.schema import schema
from tests.servers.loopback import PATIENCE_S
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Served
from tests.support import turns_of_the_loop

USAGE = {"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 8_000}}
COST = Decimal("0.00034")  # gpt-5-nano: 2,000 at 0.05, 8,000 cached at 0.005, 500 at 0.40 for a million
BUDGET = "budgetId limit used percentageUsed isExhausted isWarning remaining message"


@pytest.fixture
def upstream(upstream: ScriptedOpenAI) -> ScriptedOpenAI:
    upstream.reply = lambda body: Reply("Hi.", usage=USAGE)
    return upstream


async def asked(app: Served, **headers: str) -> None:
    """A chat that is over: its record is in the log."""
    with app.engine.bus.subscribe(RequestEnded) as ended:
        body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await app.http.post(f"{app.openai}/chat/completions", json=body, headers=headers)
        assert answer.status_code == httpx.codes.OK
        assert await ended.arrived(PATIENCE_S)


async def test_a_request_is_in_the_log_with_what_it_cost(app: Served) -> None:
    await asked(app, **{"user-agent": "aider/0.86 python"})
    found = await app.data(
        """{ requests(first: 1) { pageInfo { hasNextPage endCursor } edges { cursor } nodes {
          id at face app userAgent asked provider model key workflowId tokenId costUsd price ttftS durationS tokensPerS
          attempts retries error warnings decision referenceUsd
          usage { promptTokens completionTokens totalTokens cacheReadTokens cacheWriteTokens counted estimatedCost }
        } } }"""
    )
    (one,) = found["requests"]["nodes"]
    assert (one["app"], one["userAgent"], one["face"]) == ("aider/0.86", "aider/0.86 python", "openai")
    assert Decimal(one["costUsd"]) == COST
    assert (one["price"]["input"], one["price"]["cacheRead"], one["price"]["source"]) == (
        "0.05",
        "0.005",
        "genai-prices",
    )
    assert one["usage"]["cacheReadTokens"] == 8_000
    assert one["usage"]["promptTokens"] == 10_000
    assert Decimal(one["referenceUsd"]) > COST
    assert (one["attempts"], one["error"], one["workflowId"]) == (1, None, None)
    assert found["requests"]["pageInfo"] == {"hasNextPage": False, "endCursor": one["id"]}
    again = await app.data("query($id: String!) { request(id: $id) { model } }", id=one["id"])
    assert again["request"]["model"] == "gpt-5-nano"
    assert (await app.data('{ request(id: "no") { model } }'))["request"] is None


async def test_the_log_is_read_page_by_page_and_by_what_is_in_it(app: Served) -> None:
    for agent in ("a", "b", "a"):
        await asked(app, **{"user-agent": agent})
    page = """query($f: RequestFilter, $a: String) { requests(filter: $f, first: 2, after: $a) {
      nodes { app } pageInfo { hasNextPage endCursor } } }"""
    first = (await app.data(page))["requests"]
    assert [one["app"] for one in first["nodes"]] == ["a", "b"]
    assert first["pageInfo"]["hasNextPage"]
    rest = (await app.data(page, a=first["pageInfo"]["endCursor"]))["requests"]
    assert [one["app"] for one in rest["nodes"]] == ["a"]
    assert not rest["pageInfo"]["hasNextPage"]
    only = (await app.data(page, f={"app": "b", "failed": False, "since": "2026-01-01T00:00:00Z"}))["requests"]
    assert [one["app"] for one in only["nodes"]] == ["b"]
    assert (await app.data(page, f={"until": "2026-01-01T00:00:00Z"}))["requests"]["nodes"] == []
    assert await app.code(page, f={"since": "soon"}) == "invalid_input"
    assert await app.code("{ requests(first: 501) { nodes { id } } }") == "invalid_input"


async def test_costs_add_up_by_day_model_provider_and_app(app: Served) -> None:
    for agent in ("a", "b"):
        await asked(app, **{"user-agent": agent})
    query = """query($i: CostAnalyticsInput, $by: CostBy!) { costAnalytics(input: $i, by: $by) {
      totalCost totalTokens averageCostPerToken providerBreakdown modelBreakdown dailyCosts periodStart periodEnd
      reference total { requests unpriced costUsd savedUsd } groups { name requests costUsd cacheReadTokens } } }"""
    found = (await app.data(query, by="APP"))["costAnalytics"]
    assert found["totalCost"] == float(2 * COST)
    assert found["totalTokens"] == 21_000
    assert found["averageCostPerToken"] == pytest.approx(float(2 * COST) / 21_000)
    assert found["providerBreakdown"] == {"openai": float(2 * COST)}
    assert found["modelBreakdown"] == {"openai/gpt-5-nano": float(2 * COST)}
    assert found["dailyCosts"] == {found["periodEnd"]: float(2 * COST)}
    assert {(one["name"], Decimal(one["costUsd"])) for one in found["groups"]} == {("a", COST), ("b", COST)}
    assert found["reference"] == "openai/gpt-5.4"
    snake = """query($i: CostAnalyticsInput!) { costAnalytics(input: $i) { totalCost } }"""
    whose = {"user_id": "a", "start_date": found["periodStart"], "end_date": found["periodEnd"]}
    assert (await app.data(snake, i=whose))["costAnalytics"]["totalCost"] == float(COST)
    past = {"startDate": "2020-01-01", "endDate": "2020-01-31"}
    assert (await app.data(snake, i=past))["costAnalytics"]["totalCost"] == 0
    assert await app.code(snake, i={"startDate": "soon"}) == "invalid_input"


async def test_a_budget_is_set_warned_of_refused_with_and_removed(app: Served) -> None:
    none = (await app.data(f"{{ budgetStatus {{ {BUDGET} }} }}"))["budgetStatus"]
    assert (none["budgetId"], none["limit"], none["isExhausted"]) == ("default", None, False)
    mutation = f"mutation($i: BudgetInput!) {{ setBudget(input: $i) {{ {BUDGET} }} }}"
    await asked(app)
    told = {"limit": 0.0004, "period": "daily", "warningThreshold": 0.8}
    made = (await app.data(mutation, i=told))["setBudget"]
    assert (made["budgetId"], made["isWarning"], made["isExhausted"]) == ("all:day", True, False)
    assert made["percentageUsed"] == pytest.approx(85)
    assert made["remaining"] == pytest.approx(0.00006)
    body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}]}
    refused = await app.http.post(f"{app.openai}/chat/completions", json=body)
    assert refused.status_code == 402
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("budget_exceeded", "insufficient_quota")
    assert "all requests" in error["message"]
    await app.data(mutation, i={"limit": 5, "period": "monthly", "warning_threshold": 0.5, "project_id": "w"})
    listed = (await app.data("{ budgets { budgetId period workflow app warningThreshold resets held unpriced } }"))[
        "budgets"
    ]
    assert [(one["budgetId"], one["workflow"]) for one in listed] == [("all:day", None), ("workflow:w:month", "w")]
    assert await app.code(mutation, i={"limit": -1}) == "invalid_input"
    assert (await app.data('mutation { removeBudget(id: "all:day") }'))["removeBudget"] is True
    assert await app.code('mutation { removeBudget(id: "all:day") }') == "not_found"
    await asked(app)


async def test_providers_as_clients_of_the_original_ask_for_them(app: Served) -> None:
    await asked(app)
    found = await app.data(
        """{ llmProviders { id name providerType baseUrl state local fix
          models { id name maxTokens contextWindow costPerInputToken costPerOutputToken supportsStreaming
                   supportsFunctionCalling capabilities price { input output cacheRead cacheWrite tiers asOf source } }
          healthStatus { isHealthy lastCheck errorRate averageLatencyMs consecutiveFailures lastError } } }"""
    )
    by_id = {one["id"]: one for one in found["llmProviders"]}
    openai = by_id["openai"]
    assert openai["healthStatus"]["isHealthy"]
    assert openai["healthStatus"]["errorRate"] == 0
    assert openai["healthStatus"]["lastCheck"].endswith("Z")
    nano = next(one for one in openai["models"] if one["name"] == "gpt-5-nano")
    assert (nano["contextWindow"], nano["costPerInputToken"]) == (400_000, 5e-8)
    assert (nano["price"]["source"], nano["price"]["asOf"][:4]) == ("genai-prices", "2026")
    assert not by_id["ollama"]["healthStatus"]["isHealthy"]
    assert by_id["ollama"]["healthStatus"]["lastError"]


async def test_costs_are_followed_as_they_come(app: Served) -> None:
    query = "subscription { costUpdates { eventType costDelta totalCost provider model userId budget { budgetId } } }"
    await app.data('mutation { setBudget(input: {limit: 0.0004, period: "day"}) { budgetId } }')
    # Straight at the schema: what goes over the socket is in the tests of subscriptions.
    stream: Any = await schema.subscribe(query, context_value=Context(app.engine, Caller("x", "graphql")))
    heard: list[Any] = []

    async def listen() -> None:
        async for event in stream:
            assert not event.errors
            heard.append(event.data["costUpdates"])
            if len(heard) == 2:
                return

    listening = asyncio.create_task(listen())
    await turns_of_the_loop(lambda: any(RequestEnded in one._kinds for one in app.engine.bus.subscriptions))
    await asked(app, **{"user-agent": "a"})
    async with asyncio.timeout(PATIENCE_S):
        await listening
    by_kind = {one["eventType"]: one for one in heard}
    assert by_kind["BUDGET_WARNING"]["budget"] == {"budgetId": "all:day"}
    cost = by_kind["COST_INCURRED"]
    assert (cost["costDelta"], cost["totalCost"], cost["model"]) == (float(COST), float(COST), "gpt-5-nano")
    assert cost["userId"] == "a"


async def test_a_model_is_shown_measured_and_judged(app: Served) -> None:
    found = (await app.data('{ model(id: "openai/gpt-5-nano") { id released tokensPerS ttftS details } }'))["model"]
    assert found["id"] == "openai/gpt-5-nano"
    assert (await app.data('{ model(id: "nothing") { id } }'))["model"] is None
    bench = """mutation { benchModel(model: "gpt-5-nano", tokens: 20) {
      loadS meanTtftS meanTokensPerS request { app costUsd } } }"""
    measured = (await app.data(bench))["benchModel"]
    assert (measured["request"]["app"], Decimal(measured["request"]["costUsd"])) == ("bench", COST)
    assert measured["meanTtftS"] > 0
    assert (await app.data('{ model(id: "gpt-5-nano") { ttftS } }'))["model"]["ttftS"] == measured["meanTtftS"]
    fit = """query($m: String!, $c: Int) { modelFit(model: $m, context: $c) {
      model verdict reasons context neededBytes mostContext } }"""
    assert (await app.data(fit, m="gpt-5-nano"))["modelFit"]["verdict"] == "unknown"
    assert await app.code(fit, m="nothing") == "not_found"
    assert await app.code(fit, m="gpt-5-nano", c=0) == "invalid_input"
    assert await app.code('mutation { benchModel(model: "gpt-5-nano", tokens: 0) { loadS } }') == "invalid_input"
