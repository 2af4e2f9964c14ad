"""Routing: gates, order and reasons. Pure: models in, a decision out."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput, NoModelFits, NotFound
from engine.llm.messages import ChatMessage, ChatRequest, Image, Preferences, Text
from engine.llm.model import FREE, Model, Price
from engine.llm.routing import POLICIES, STRATEGIES, decide, decide_embedding, estimated_tokens, parameters
from tests.support import model

SMALL = model(
    "ollama", "llama3.2:3b", abilities=frozenset({"chat", "tools"}), context=8192, details={"parameter_size": "3.2B"}
)
LARGE = model(
    "ollama", "qwen:32b", abilities=frozenset({"chat", "tools"}), context=32768, details={"parameter_size": "32B"}
)
EYES = model("ollama", "llava:latest", abilities=frozenset({"chat", "vision"}))
CLOUD = Model("openai", "gpt-5", frozenset({"chat", "tools", "vision"}), 400_000, price=Price(Decimal(1), Decimal(10)))
CHEAP = Model(
    "openai", "gpt-5-nano", frozenset({"chat", "tools"}), 400_000, price=Price(Decimal("0.05"), Decimal("0.4"))
)
VECTORS = model("ollama", "nomic-embed-text", abilities=frozenset({"embedding"}))
TINY = model("embedded", "smollm2", abilities=frozenset({"chat"}), context=2048, tiny=True)
ALL = [TINY, CLOUD, VECTORS, SMALL, CHEAP, EYES, LARGE]


def ask(name="auto", text="Hi", **fields):
    return ChatRequest(name, (ChatMessage.of("user", text),), **fields)


def order(request, models=ALL):
    return [one.model.name for one in decide(request, models).ranked]


# -- order ------------------------------------------------------------------------------------------------------------


def test_auto_takes_what_is_here_before_what_is_far_and_the_tiny_one_last():
    found = order(ask())
    assert found[:2] == ["qwen:32b", "llama3.2:3b"]
    assert found[-1] == "smollm2"
    assert found.index("gpt-5-nano") < found.index("gpt-5")


def test_what_is_in_memory_goes_before_a_somewhat_larger_one():
    assert order(ask(), [LARGE, replace(SMALL, loaded=True)])[0] == "llama3.2:3b"


def test_the_cheapest_goes_by_price():
    assert order(ask("cb:cost-optimal"), [CLOUD, CHEAP, TINY]) == ["gpt-5-nano", "gpt-5", "smollm2"]


def test_a_named_model_is_the_only_one():
    assert order(ask("gpt-5")) == ["gpt-5"]
    assert order(ask("openai/gpt-5")) == ["gpt-5"]
    assert order(ask("llava")) == ["llava:latest"]


def test_fallbacks_follow_in_their_order():
    request = ask("gpt-5", preferences=Preferences(fallback_models=("qwen:32b", "gpt-5-nano", "gpt-5")))
    assert order(request) == ["gpt-5", "qwen:32b", "gpt-5-nano"]


def test_of_two_of_one_name_the_local_one_goes_first():
    far = Model("custom", "qwen:32b", price=FREE)
    decision = decide(ask("qwen:32b"), [far, LARGE])
    assert [one.model.provider for one in decision.ranked] == ["ollama", "custom"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_of_the_extension_is_understood(strategy):
    named = order(ask("gpt-5", preferences=Preferences(routing_strategy=strategy)))
    assert named[0] == "gpt-5"
    assert (len(named) == 1) is (strategy == "model_specific")


def test_each_candidate_says_why():
    decision = decide(ask(), ALL)
    assert decision.ranked[0].reasons == ("stays on this machine", "free", "32 billion parameters", "can call tools")
    assert all(one.reasons for one in decision.ranked)
    assert "price unknown" in decide(ask("auto"), [Model("x", "y")]).ranked[0].reasons


# -- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "who", "code"),
    [
        (ask(), "nomic-embed-text", "no_chat"),
        (ask(tools=({"type": "function"},)), "llava:latest", "no_tools"),
        (ChatRequest("auto", (ChatMessage("user", (Text("x"), Image("data:..."))),)), "qwen:32b", "no_vision"),
        (ask(text="x" * 40_000), "llama3.2:3b", "context_too_small"),
        (ask(preferences=Preferences(max_cost_per_1k_tokens=0.001)), "gpt-5", "over_cost_cap"),
    ],
)
def test_who_cannot_do_it_is_rejected_with_a_reason(request_, who, code):
    decision = decide(request_, ALL)
    rejected = {one.model.name: one for one in decision.rejected}
    assert rejected[who].code == code
    assert rejected[who].reason
    assert who not in [one.model.name for one in decision.ranked]


def test_when_nobody_fits_everyones_reason_is_told():
    with pytest.raises(NoModelFits, match="llava:latest cannot call tools") as caught:
        decide(ask(tools=({},)), [EYES, VECTORS])
    assert [one["code"] for one in caught.value.details["rejected"]] == ["no_tools", "no_chat"]


def test_without_any_model_the_error_says_how_to_get_one():
    with pytest.raises(NoModelFits, match=r"There is no model.*Start Ollama"):
        decide(ask(), [])


def test_an_unknown_model_comes_with_the_nearest():
    with pytest.raises(NotFound) as caught:
        decide(ask("gpt5-nano"), ALL)
    assert "gpt-5-nano" in caught.value.details["nearest"]


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InvalidInput, match="no routing strategy"):
        decide(ask(preferences=Preferences(routing_strategy="best")), ALL)


# -- what always holds ------------------------------------------------------------------------------------------------

MODELS = st.lists(
    st.builds(
        Model,
        st.sampled_from(["ollama", "openai", "custom"]),
        st.sampled_from(["a", "b", "c:latest", "d"]),
        st.frozensets(st.sampled_from(["chat", "tools", "vision", "embedding"])),
        st.sampled_from([0, 10, 10_000]),
        price=st.none() | st.just(FREE) | st.builds(Price, *[st.decimals(0, 100, places=2)] * 2),
        local=st.booleans(),
        loaded=st.booleans(),
        tiny=st.booleans(),
        details=st.sampled_from([{}, {"parameter_size": "3.1B"}, {"parameter_size": "137M"}, {"parameter_size": "?"}]),
    ),
    max_size=6,
    unique_by=lambda one: one.id,
)


@given(MODELS, st.sampled_from([*POLICIES, "a", "openai/b", "c", "zzz"]), st.booleans(), st.integers(0, 100))
def test_every_model_is_either_ranked_or_rejected_and_the_order_is_a_score(models, name, tools, length):
    request = ask(name, "x" * length, tools=({},) if tools else ())
    try:
        decision = decide(request, models)
    except (NoModelFits, NotFound):
        return
    ranked, rejected = ([one.model.id for one in found] for found in (decision.ranked, decision.rejected))
    assert len({*ranked, *rejected}) == len(ranked) + len(rejected)
    if name in POLICIES:
        assert {*ranked, *rejected} == {one.id for one in models}
        assert [one.score for one in decision.ranked] == sorted((one.score for one in decision.ranked), reverse=True)
    for one in decision.ranked:
        assert 0 <= one.score <= 1
        assert "chat" in one.model.abilities
        assert not tools or "tools" in one.model.abilities
        assert not one.model.context or estimated_tokens(request) <= one.model.context
    json.dumps(decision.as_json())
    assert decide(request, models) == decision


@given(MODELS)
def test_a_tiny_model_is_never_before_another(models):
    try:
        found = [one.model.tiny for one in decide(ask(), models).ranked]
    except NoModelFits:
        return
    assert found == sorted(found)


# -- embeddings -------------------------------------------------------------------------------------------------------


def test_auto_embeds_with_what_can():
    assert decide_embedding("auto", ALL).ranked[0].model == VECTORS


def test_a_model_that_does_not_embed_is_refused_with_one_that_does():
    with pytest.raises(InvalidInput, match=r"gpt-5 does not make embeddings.*nomic-embed-text"):
        decide_embedding("gpt-5", ALL)
    with pytest.raises(InvalidInput, match="ollama pull"):
        decide_embedding("gpt-5", [CLOUD])
    with pytest.raises(NotFound):
        decide_embedding("nomic-embed-txt", ALL)


@pytest.mark.parametrize(("said", "billions"), [("3.1B", 3.1), ("137M", 0.137), ("7 b", 7.0), ("", 0.0), ("many", 0.0)])
def test_sizes_are_read_as_providers_write_them(said, billions):
    assert parameters(model("x", "y", details={"parameter_size": said})) == billions
