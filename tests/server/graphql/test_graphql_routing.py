"""Routes, decisions, votes, breakers, replays and setting up providers, over GraphQL."""

import tomllib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.engine import Engine
from engine.kernel.caller import PROGRAM
from engine.kernel.settings import load
from engine.kernel.world import World
from engine.llm.routing.policies import BUILT_IN
from server.graphql.context import Context
from server.graphql.schema import schema
from tests.servers.loopback import Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import NOWHERE, Served

MODELS = ["gpt-5-nano", "gpt-5.4", "text-embedding-3-small", "gpt-unheard-of"]
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 200}
DECISION = """id asked policy task taskWhy difficulty difficultyWhy promptTokens outputTokens needs model at error
  ranked { model score reasons quality costUsd seconds } rejected { model code reason }
  attempts { model error why key } notes { code text }"""
EXPLAIN = f"query($input: LlmChatCompletionInput!) {{ explainRoute(input: $input) {{ {DECISION} }} }}"
READ = f"query($id: String!) {{ decision(id: $id) {{ {DECISION} }} }}"
REPLAY = """query($policy: String!, $last: Int) { replayRoutes(policy: $policy, last: $last) {
  policy changed refused skipped cost { requests before after difference } seconds { requests before after difference }
  requests { id asked task difficulty before after changed reasons error costUsd estimatedUsd durationS estimatedS }
} }"""
CONFIGURE = """mutation($input: LlmProviderConfigInput!) { configureLlmProvider(input: $input) {
  id providerType name baseUrl state restart fix models { id } healthStatus { isHealthy lastCheck } } }"""


@pytest.fixture
def upstream(upstream: ScriptedOpenAI) -> ScriptedOpenAI:
    upstream.models = list(MODELS)
    upstream.reply = lambda body: Reply("Hi.", usage=USAGE)
    return upstream


def conversation(said: str = "Fix this function: def f(x): return x", model: str = "auto", **more: Any) -> Any:
    return {"model": model, "messages": [{"role": "user", "content": said}], **more}


async def asked(app: Served, model: str = "gpt-5-nano", said: str = "Hello") -> str:
    """The id of a request that is over."""
    query = "mutation($i: LlmChatCompletionInput!) { llmChatCompletion(input: $i) { id } }"
    id: str = (await app.data(query, i=conversation(said, model)))["llmChatCompletion"]["id"]
    return id


# -- decisions --------------------------------------------------------------------------------------------------------


async def test_a_dry_run_explains_and_asks_nobody(app: Served, upstream: ScriptedOpenAI) -> None:
    found = (await app.data(EXPLAIN, input=conversation()))["explainRoute"]
    assert (found["id"], found["model"], found["policy"], found["task"]) == (None, None, "auto", "coding")
    assert found["taskWhy"]
    assert any(sign.startswith("+0.25") for sign in found["difficultyWhy"])
    assert [one["model"] for one in found["ranked"]] != []
    assert all(one["reasons"] for one in found["ranked"])
    assert {"model": "openai/text-embedding-3-small", "code": "no_chat", "reason": "does not chat"} in found["rejected"]
    assert not [one for one in upstream.requests if one.method == "POST"]
    assert (await app.data("{ requests { nodes { id } } }"))["requests"]["nodes"] == []
    strict = conversation(circuitBreaker={"localOnly": True})
    assert await app.code(EXPLAIN, input=strict) == "no_model_fits"


async def test_it_decides_as_the_request_itself_would(app: Served) -> None:
    dry = (await app.data(EXPLAIN, input=conversation("Hello", "gpt-5-nano")))["explainRoute"]
    done = (await app.data(READ, id=await asked(app)))["decision"]
    assert done["model"] == dry["ranked"][0]["model"] == "openai/gpt-5-nano"
    assert [one["model"] for one in done["ranked"]] == [one["model"] for one in dry["ranked"]]
    assert done["needs"] == dry["needs"]
    assert done["at"]
    assert done["error"] is None


async def test_a_decision_names_what_failed_before(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Status(404, {"error": {"message": "no such model", "code": "model_not_found"}}))
    query = "mutation($i: LlmChatCompletionInput!) { llmChatCompletion(input: $i) { id } }"
    wishes = {"fallbackModels": ["gpt-5.4"]}
    id = (await app.data(query, i=conversation("Hello", "gpt-5-nano", circuitBreaker=wishes)))["llmChatCompletion"][
        "id"
    ]
    found = (await app.data(READ, id=id))["decision"]
    assert found["model"] == "openai/gpt-5.4"
    assert [one["model"] for one in found["attempts"]] == ["openai/gpt-5-nano"]
    assert "sk-test" not in str(found)
    assert (await app.data(READ, id="nobody"))["decision"] is None


async def test_routes_are_the_virtual_models(app: Served) -> None:
    query = """{ routes { name about builtIn strategies task floor steeper models favour inOrder localOnly cache
      maxCostPer1kTokens maxLatencyMs weights { quality cost latency reliability stickiness load local } } }"""
    found = {one["name"]: one for one in (await app.data(query))["routes"]}
    assert list(found) == list(BUILT_IN)
    assert all(one["builtIn"] and one["about"] for one in found.values())
    assert found["cb:cost-optimal"]["strategies"] == ["cost_optimized"]
    assert found["cb:coding"]["task"] == "coding"
    assert found["cb:fastest"]["weights"]["latency"] == BUILT_IN["cb:fastest"].weights.latency


# -- votes and breakers -----------------------------------------------------------------------------------------------


async def test_a_vote_moves_the_quality_that_is_believed(app: Served) -> None:
    def quality(found: Any) -> float:
        return next(one["quality"] for one in found["ranked"] if one["model"] == "openai/gpt-5-nano")  # type: ignore[no-any-return]

    vote = "mutation($id: String!, $v: Vote!) { voteRoute(id: $id, vote: $v) }"
    before = quality((await app.data(EXPLAIN, input=conversation("Hello")))["explainRoute"])
    id = await asked(app)
    assert await app.data(vote, id=id, v="UP") == {"voteRoute": True}
    up = quality((await app.data(EXPLAIN, input=conversation("Hello")))["explainRoute"])
    await app.data(vote, id=id, v="DOWN")
    down = quality((await app.data(EXPLAIN, input=conversation("Hello")))["explainRoute"])
    await app.data(vote, id=id, v="NONE")
    assert down < before < up
    assert quality((await app.data(EXPLAIN, input=conversation("Hello")))["explainRoute"]) == before
    assert await app.code(vote, id="nobody", v="UP") == "not_found"


async def test_breakers_are_shown_without_the_key_and_closed(app: Served, upstream: ScriptedOpenAI) -> None:
    rows = "{ breakers { provider model key state failures secondsLeft why } }"
    reset = "mutation($p: String, $m: String) { resetBreakers(provider: $p, model: $m) }"
    assert (await app.data(rows))["breakers"] == []
    upstream.script.append(Status(401))
    await app.chat()
    (row,) = (await app.data(rows))["breakers"]
    assert (row["provider"], row["model"], row["state"], row["key"]) == ("openai", None, "open", "…6789")
    assert row["secondsLeft"] > 0
    assert row["why"]
    assert await app.code(reset, p="opena") == "not_found"
    assert await app.data(reset, p="ollama") == {"resetBreakers": 0}
    assert await app.data(reset) == {"resetBreakers": 1}
    assert (await app.data(rows))["breakers"] == []
    assert (await app.chat()).status_code == httpx.codes.OK


# -- what if ----------------------------------------------------------------------------------------------------------


async def test_a_replay_says_what_another_policy_would_have_cost(app: Served, upstream: ScriptedOpenAI) -> None:
    dear = await asked(app, "gpt-5.4")
    cheap = await asked(app, "gpt-5-nano")
    await app.http.post(f"{app.openai}/embeddings", json={"model": "text-embedding-3-small", "input": "x"})
    upstream.script.append(Status(400, {"error": {"message": "no"}}))
    await app.ask("mutation($i: LlmChatCompletionInput!) { llmChatCompletion(input: $i) { id } }",
                  i=conversation("Hello", "gpt-5.4"))  # fmt: skip
    posts = len([one for one in upstream.requests if one.method == "POST"])
    found = (await app.data(REPLAY, policy="gpt-5-nano"))["replayRoutes"]
    rows = {row["id"]: row for row in found["requests"]}
    assert (found["policy"], found["changed"], found["refused"], found["skipped"]) == ("gpt-5-nano", 2, 0, 1)
    assert (rows[dear]["before"], rows[dear]["after"], rows[dear]["changed"]) == (
        "openai/gpt-5.4", "openai/gpt-5-nano", True,
    )  # fmt: skip
    assert Decimal(rows[dear]["estimatedUsd"]) == Decimal("0.00013")  # 1,000 at 0.05 and 200 at 0.40 for a million
    assert (rows[cheap]["changed"], rows[cheap]["estimatedUsd"]) == (False, rows[cheap]["costUsd"])
    assert rows[cheap]["estimatedS"] == rows[cheap]["durationS"]
    cost = {name: Decimal(str(value)) for name, value in found["cost"].items()}
    assert cost["requests"] == 2  # what failed has no cost to compare
    assert cost["before"] == Decimal(rows[dear]["costUsd"]) + Decimal(rows[cheap]["costUsd"])
    assert cost["after"] == Decimal("0.00026")
    assert cost["difference"] == cost["before"] - cost["after"] > 0
    assert len([one for one in upstream.requests if one.method == "POST"]) == posts
    again = (await app.data(REPLAY, policy="cb:cost-optimal", last=1))["replayRoutes"]
    assert len(again["requests"]) == 1


async def test_what_is_not_known_is_in_no_sum(app: Served) -> None:
    await asked(app, "gpt-5-nano")
    found = (await app.data(REPLAY, policy="gpt-unheard-of"))["replayRoutes"]
    assert found["requests"][0]["estimatedUsd"] is None
    assert found["cost"]["requests"] == 0
    assert found["seconds"]["requests"] == 1


async def test_a_policy_that_takes_none_is_said_with_the_reason(app: Served) -> None:
    await asked(app, "gpt-5-nano")
    found = (await app.data(REPLAY, policy="text-embedding-3-small"))["replayRoutes"]
    assert (found["refused"], found["changed"], found["requests"][0]["after"]) == (1, 0, None)
    assert found["requests"][0]["reasons"][0]
    assert await app.code(REPLAY, policy="cb:cheapest") == "not_found"
    assert await app.code(REPLAY, policy="auto", last=501) == "invalid_input"
    assert await app.code(REPLAY, policy="auto", last=5_000_000) == "too_large"


# -- setting up -------------------------------------------------------------------------------------------------------


class Bare:
    """An engine on a settings file, asked without sockets."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self.engine, self.file = engine, file

    async def ask(self, **given: Any) -> Any:
        result = await schema.execute(CONFIGURE, {"input": given}, Context(self.engine, PROGRAM))
        if result.errors:
            return result.errors[0].extensions
        assert result.data
        return result.data["configureLlmProvider"]

    @property
    def written(self) -> Any:
        return tomllib.loads(self.file.read_text()) if self.file.exists() else {}


@pytest.fixture
async def bare(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bare]:
    file = tmp_path / "config.toml"
    file.write_text(f'# mine\n[providers.ollama]\nurl = "{NOWHERE}"\n')
    environ = {"CIRCUIT_BREAKER_EMBEDDED": "0", "CIRCUIT_BREAKER_STORE": "memory://"}
    world = World.real(environ | getattr(request, "param", {}))
    async with Engine.open(load(file, world.environ, {}), world) as engine:
        yield Bare(engine, file)


async def test_an_address_goes_into_the_settings_file_and_counts_after_a_restart(bare: Bare) -> None:
    found = await bare.ask(
        providerType="openai", name="OpenAI", baseUrl="http://127.0.0.1:9999/v1/", apiKeyId="k", models=[]
    )
    assert found["id"] == found["providerType"] == "openai"
    assert "after a restart" in found["restart"][0]
    assert bare.written["providers"]["openai"] == {"url": "http://127.0.0.1:9999/v1"}
    assert "# mine" in bare.file.read_text()
    same = await bare.ask(provider_type="ollama", base_url=NOWHERE)
    assert same["restart"] == []


async def test_a_key_is_bound_to_the_address_it_comes_with_and_never_given_back(bare: Bare) -> None:
    secret = "sk-planted-0123456789"
    found = await bare.ask(providerType="custom", baseUrl="http://127.0.0.1:9999", apiKey=secret)
    assert secret not in str(found)
    assert secret not in bare.file.read_text()
    assert bare.engine.provider_keys._keys.secrets("custom", "http://127.0.0.1:9999") == [secret]
    assert bare.engine.provider_keys._keys.secrets("custom", "http://127.0.0.1:1") == []


@pytest.mark.parametrize("bare", [{"OPENAI_BASE_URL": NOWHERE}], indirect=True)
async def test_a_variable_that_goes_before_the_file_is_named(bare: Bare) -> None:
    found = await bare.ask(providerType="openai", baseUrl="http://127.0.0.1:9999/v1")
    assert "OPENAI_BASE_URL" in found["restart"][0]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"providerType": "openai"}, "invalid_input"),
        ({"providerType": "openia", "baseUrl": "http://x"}, "not_found"),
        ({"providerType": "openia", "apiKey": "sk-x"}, "not_found"),
        ({"providerType": "openai", "baseUrl": "not an address"}, "invalid_input"),
    ],
)
async def test_what_cannot_be_set_up_changes_nothing(bare: Bare, given: Any, code: str) -> None:
    before = bare.file.read_text()
    assert (await bare.ask(**given))["code"] == code
    assert bare.file.read_text() == before


async def test_one_provider_is_found_by_its_id(app: Served) -> None:
    query = "query($id: String!) { llmProvider(id: $id) { id name state models { name maxTokens } } }"
    assert (await app.data(query, id="openai"))["llmProvider"]["state"] == "up"
    assert (await app.data(query, id="nobody"))["llmProvider"] is None
