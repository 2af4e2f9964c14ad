"""Documents about models, as clients of the original system send them: its schema check, its two SDKs, its examples."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.llm.books import RequestEnded
from engine.llm.budgets import budget_of
from tests.server.graphql.test_graphql_chatting import conversation
from tests.server.graphql.test_graphql_subscriptions import client
from tests.serving import Served

PROVIDER = "id name providerType baseUrl models { id name maxTokens } healthStatus { isHealthy lastCheck }"
BUDGET = "budgetId limit used percentageUsed isExhausted isWarning remaining message"
CHAT = """mutation($input: LlmchatCompletionInput!) { llmChatCompletion(input: $input) {
  id model choices { index message { role content } finishReason }
  usage { promptTokens completionTokens totalTokens } } }"""
CONFIG = {"providerType": "openai", "name": "OpenAI", "baseUrl": "", "apiKeyId": "key-1", "models": []}

DOCUMENTS: list[tuple[str, str, Mapping[str, Any]]] = [
    ("schema check", f"{{ llmProviders {{ {PROVIDER} }} }}", {}),
    ("schema check", "{ budgetStatus { budgetId limit used percentageUsed isExhausted remaining message } }", {}),
    (
        "schema file",
        """{ llmProviders { models { contextWindow costPerInputToken costPerOutputToken supportsStreaming
        supportsFunctionCalling capabilities }
        healthStatus { errorRate averageLatencyMs consecutiveFailures lastError } } }""",
        {},
    ),
    ("schema file", f'{{ llmProvider(id: "openai") {{ {PROVIDER} }} }}', {}),
    (
        "TypeScript",
        (
            "query($userId: String, $projectId: String) { budgetStatus(userId: $userId, projectId: $projectId) { "
            f"{BUDGET} }} }}"
        ),
        {"userId": "ada"},
    ),
    (
        "TypeScript",
        """query($input: CostAnalyticsInput!) { costAnalytics(input: $input) { totalCost totalTokens averageCostPerToken
        providerBreakdown modelBreakdown dailyCosts periodStart periodEnd } }""",
        {"input": {"userId": "ada", "startDate": "2026-01-01", "endDate": "2026-12-31"}},
    ),
    (
        "Rust",
        f"mutation($input: BudgetInput!) {{ setBudget(input: $input) {{ {BUDGET} }} }}",
        {
            "input": {
                "user_id": "ada",
                "project_id": None,
                "limit": 100.0,
                "period": "monthly",
                "warning_threshold": 0.8,
            }
        },
    ),
    ("TypeScript", CHAT, {"input": conversation(temperature=0.7, maxTokens=100)}),
    (
        "schema file",
        """mutation($input: LlmChatCompletionInput!) { llmChatCompletion(input: $input) { provider
        routingInfo { selectedProvider routingStrategy latencyMs retryCount fallbackUsed } usage { estimatedCost }
        choices { message { name } } } }""",
        {"input": conversation(stream=False, user="ada", projectId="p", frequencyPenalty=0.0, stop=["x"])},
    ),
]


@pytest.mark.parametrize(("whose", "document", "variables"), DOCUMENTS)
async def test_it_is_answered(app: Served, whose: str, document: str, variables: Mapping[str, Any]) -> None:
    answer = await app.ask(document, **variables)
    assert "errors" not in answer, (whose, answer)


async def test_a_field_that_there_is_not_would_be_seen(app: Served) -> None:
    assert "errors" in await app.ask("{ llmProviders { id nickname } }")


async def test_configuring_what_is_so_already_changes_nothing(app: Served) -> None:
    where = (await app.data('{ llmProvider(id: "openai") { baseUrl } }'))["llmProvider"]["baseUrl"]
    document = (
        f"mutation($input: LlmProviderConfigInput!) {{ configureLlmProvider(input: $input) {{ {PROVIDER} restart }} }}"
    )
    found = await app.data(document, input=CONFIG | {"baseUrl": where})
    assert found["configureLlmProvider"]["baseUrl"] == where
    assert found["configureLlmProvider"]["restart"] == []


@pytest.mark.parametrize(
    "fields",
    [
        "userId projectId cost timestamp details",
        "id userId cost currency description timestamp metadata",
        (
            "eventType userId projectId costDelta totalCost budget { budgetId } timestamp provider model "
            "tokenUsage { totalTokens }"
        ),
    ],
)
async def test_costs_are_followed_with_the_fields_of_each(app: Served, fields: str) -> None:
    async with client(app) as one:
        await one.subscribe("1", f"subscription {{ costUpdates {{ {fields} }} }}")
        while not any(RequestEnded in it._kinds for it in app.engine.bus.subscriptions):
            await one.say(type="ping")
            await one.hear()
        await app.chat()
        found = (await one.hear())["payload"]["data"]["costUpdates"]
    assert found["timestamp"]
    assert found.get("cost", 1) is not None
    assert found.get("currency", "USD") == "USD"
    assert "gpt-5-nano" in str(found)


async def test_a_stream_is_followed_with_the_fields_of_the_sdk(app: Served) -> None:
    async with client(app) as one:
        await one.subscribe(
            "1",
            "subscription($i: LlmChatCompletionInput) { llmStream(input: $i) { id content finished timestamp } }",
            i=conversation(),
        )
        first = (await one.hear())["payload"]["data"]["llmStream"]
    assert first["id"]
    assert first["finished"] is False


async def test_a_stream_that_nothing_is_selected_of_comes_as_texts(app: Served) -> None:
    """As the original system's own operation files have it: there the field was a string."""
    async with client(app) as one:
        document = "subscription($i: LlmChatCompletionInput) { llmStream(input: $i) }"
        await one.subscribe("1", document, i=conversation(model="gpt-5-nano"))
        found = []
        while (heard := await one.hear())["type"] == "next":
            found.append(json.loads(heard["payload"]["data"]["llmStream"]))
    assert heard["type"] == "complete"
    assert {one["type"] for one in found} == {"chunk"}
    assert {one["data"]["model"] for one in found} == {"gpt-5-nano"}
    first, *pieces, last = [one["data"]["choices"][0] for one in found]
    assert (first["delta"], first["finish_reason"]) == ({"role": "assistant", "content": ""}, None)
    assert "".join(piece["delta"]["content"] for piece in pieces).startswith("You said")
    assert (last["delta"], last["finish_reason"]) == ({}, "stop")


async def test_costs_that_nothing_is_selected_of_come_as_texts(app: Served) -> None:
    await app.engine.accounts.set(budget_of("day", "0.001", warn_at="0.0001"))
    async with client(app) as one:
        await one.subscribe("1", "subscription($of: String) { mine: costUpdates(userId: $of) }", of=None)
        while not any(RequestEnded in it._kinds for it in app.engine.bus.subscriptions):
            await one.say(type="ping")
            await one.hear()
        await app.chat()
        cost, budget = [json.loads((await one.hear())["payload"]["data"]["mine"]) for _ in range(2)]
    assert cost.keys() == {"type", "user_id", "cost_delta", "total_cost", "timestamp"}
    assert cost["type"] == "cost_update"
    assert budget.keys() == {"type", "user_id", "percentage_used", "message"}
    assert budget["type"] == "budget_warning"


async def test_only_what_was_a_string_may_be_asked_for_without_fields(app: Served) -> None:
    async with client(app) as one:
        await one.subscribe("1", "subscription { tokenUpdates }")
        heard = await one.hear()
    assert "must have a selection of subfields" in str(heard)
