"""Routing: gates, order and reasons. Pure: models in, a decision out."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import assets
from engine.kernel.errors import ContextTooLong, InvalidConfig, InvalidInput, NoModelFits, NotFound
from engine.llm.counting import prompt_tokens
from engine.llm.health import Speed
from engine.llm.messages import ChatMessage, ChatRequest, Image, Preferences, Sampling, Text
from engine.llm.model import FREE, Model, Price
from engine.llm.priors import Priors
from engine.llm.routing import Needs, Standing, choose, decide, decide_embedding
from engine.llm.routing.estimates import parameters
from engine.llm.routing.policies import BUILT_IN as POLICIES
from engine.llm.routing.policies import STRATEGIES, read_policies
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


JSON = model("ollama", "json:8b", abilities=frozenset({"chat", "json", "tools", "vision"}), context=100_000)
PRIORS = Priors(json.loads((assets.folder() / "models" / "quality.json").read_bytes()))


def standing(one):
    prior = PRIORS.of(one)
    return Standing(prior.skills, prior.source) if prior else Standing()


def at_the_gate(one):
    return Standing(
        speed=Speed(5.0, 1.0) if one == LARGE else Speed(),
        blocked="it failed" if one == EYES else "",
        no_memory="too large" if one == TINY else "",
    )


def ask(name="auto", text="Hi", **fields):
    return ChatRequest(name, (ChatMessage.of("user", text),), **fields)


def order(request, models=ALL):
    return [one.model.name for one in decide(request, models).ranked]


# -- order ------------------------------------------------------------------------------------------------------------


def test_auto_takes_what_is_here_before_what_is_far_and_the_tiny_one_last():
    found = order(ask())
    assert {found[0], found[1]} < {"qwen:32b", "llama3.2:3b", "llava:latest"}
    assert found[-1] == "smollm2"
    assert found.index("gpt-5-nano") < found.index("gpt-5")


@pytest.mark.parametrize(
    ("text", "task", "first"),
    [
        ("Hi", "chat", "llama3.2:3b"),
        ("Why is this slow?\n```py\ndef f(x):\n    ...\n```", "coding", "gpt-5-nano"),
        ("Write a poem about the sea.", "creative", "llama3.2:3b"),
    ],
)
def test_auto_gives_a_hard_prompt_to_one_that_is_good_enough(text, task, first):
    decision = decide(ask(text=text), [SMALL, CHEAP, TINY], standing)
    assert (decision.needs.task, decision.ranked[0].model.name) == (task, first)


def test_the_policies_of_a_task_take_the_best_at_it():
    assert decide(ask("cb:coding"), ALL, standing).ranked[0].model.name in ("gpt-5", "gpt-5-nano")
    assert decide(ask("cb:coding"), [SMALL, LARGE], standing).ranked[0].model == LARGE
    by_task = decide(ask("gpt-5-nano", preferences=Preferences("task_specific", task_type="coding")), ALL, standing)
    assert (by_task.policy, by_task.ranked[0].model) == ("cb:coding", CHEAP)


def test_the_fastest_goes_by_what_was_measured():
    quick = {CHEAP.id: Speed(0.2, 200.0), CLOUD.id: Speed(0.3, 20.0), SMALL.id: Speed(2.0, 10.0)}
    decision = decide(ask("cb:fastest"), [CLOUD, SMALL, CHEAP], lambda one: Standing(speed=quick[one.id]))
    assert [one.model for one in decision.ranked] == [CHEAP, SMALL, CLOUD] or decision.ranked[0].model == CHEAP
    assert "measured" in " ".join(decision.ranked[0].reasons)


def test_thumbs_move_the_prior():
    def liked(one):
        known = standing(one)
        return replace(known, votes={"chat": (40.0, 40)}) if one == SMALL else known

    assert decide(ask("cb:smart-chat"), [SMALL, LARGE], standing).ranked[0].model == LARGE
    assert decide(ask("cb:smart-chat"), [SMALL, LARGE], liked).ranked[0].model == SMALL


def test_who_waits_for_its_tools_goes_on():
    assert decide(ask(), ALL, standing, same_model=CLOUD.id).ranked[0].model == CLOUD


def test_load_is_spread():
    def busy(one):
        return Standing(busy=3 if one == CHEAP else 0)

    request = ask("gpt-4o", preferences=Preferences("load_balanced", fallback_models=()))
    with pytest.raises(NotFound):
        decide(ask("gpt-4o"), ALL)
    twin = replace(CHEAP, provider="azure")
    assert decide(request, [CHEAP, twin], busy).ranked[0].model == twin


# -- the user's own ---------------------------------------------------------------------------------------------------


def test_a_route_of_ones_own():
    routes = read_policies(
        {
            "cheap-code": {
                "like": "cb:coding",
                "models": ["gpt-5-nano", "llama3.2:3b"],
                "max_cost_per_1k_tokens": 0.001,
            },
            "mine": {"models": ["gpt-5", "qwen:32b"], "in_order": True},
            "home": {"local_only": True, "favour": {"llama3.2:3b": 0.5}},
        }
    )
    decision = decide(ask("cheap-code"), ALL, standing, routes)
    assert {one.model.name for one in decision.ranked} == {"gpt-5-nano", "llama3.2:3b"}
    assert [one.model.name for one in decide(ask("mine"), ALL, standing, routes).ranked] == ["gpt-5", "qwen:32b"]
    home = decide(ask("home"), ALL, standing, routes)
    assert home.ranked[0].model == SMALL
    assert {one.code for one in home.rejected if one.model in (CLOUD, CHEAP)} == {"local_only"}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"modles": []}, "routes.x.modles"),
        ({"like": "best"}, "routes.x.like"),
        ({"models": "gpt-5"}, "routes.x.models"),
        ({"weights": {"speed": 1}}, "routes.x.weights"),
        ({"favour": {"a": -1}}, "routes.x.favour"),
        ({"floor": "high"}, "routes.x.floor"),
        ({"in_order": 1}, "routes.x.in_order"),
        ({"task": "cooking"}, "routes.x.task"),
    ],
)
def test_a_route_that_is_not_right_says_where(table, path):
    with pytest.raises(InvalidConfig) as caught:
        read_policies({"x": table})
    assert caught.value.details["path"] == path
    assert caught.value.fix


def test_a_long_decision_is_kept_short_and_says_so():
    many = [replace(CHEAP, name=f"model-{number}") for number in range(300)]
    kept = decide(ask(), [*many, VECTORS]).as_json(100)
    assert (len(kept["ranked"]), len(kept["rejected"]), kept["left_out"]) == (100, 1, {"ranked": 200, "rejected": 0})
    assert "left_out" not in decide(ask(), ALL).as_json(100)


def test_a_decision_can_be_made_again_from_what_it_looked_at():
    decision = decide(ask(text="Fix this function", tools=({},)), ALL, standing)
    kept = Needs.from_json(json.loads(json.dumps(decision.as_json()))["needs"])
    assert kept == decision.needs
    assert choose(kept, ALL, standing) == decision
    assert choose(replace(kept, asked="cb:cost-optimal"), ALL, standing).policy == "cb:cost-optimal"


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


def test_each_candidate_says_why_in_numbers():
    first = decide(ask(), ALL, standing).ranked[0]
    assert first.reasons[0] == "stays on this machine +0.13"
    assert any(reason.startswith("free ") for reason in first.reasons)
    assert any("billion parameters" in reason for reason in first.reasons)
    assert any("price unknown" in reason for reason in decide(ask("auto"), [Model("x", "y")]).ranked[0].reasons)


# -- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "who", "code"),
    [
        (ask(), "nomic-embed-text", "no_chat"),
        (ask(tools=({"type": "function"},)), "llava:latest", "no_tools"),
        (ChatRequest("auto", (ChatMessage("user", (Text("x"), Image("data:..."))),)), "qwen:32b", "no_vision"),
        (ask(text="x" * 40_000), "llama3.2:3b", "context_too_small"),
        (ask(preferences=Preferences(max_cost_per_1k_tokens=0.001)), "gpt-5", "over_cost_cap"),
        (ask(preferences=Preferences(budget=0.0001)), "gpt-5", "over_budget"),
        (ask(preferences=Preferences(local_only=True)), "gpt-5", "local_only"),
        (ask(preferences=Preferences(max_latency_ms=500)), "qwen:32b", "too_slow"),
        (ask(sampling=Sampling(response_format={"type": "json_object"})), "gpt-5", "no_json"),
        (ask(), "llava:latest", "breaker_open"),
        (ask(), "smollm2", "no_memory"),
    ],
)
def test_who_cannot_do_it_is_rejected_with_a_reason(request_, who, code):
    decision = decide(request_, [*ALL, JSON], at_the_gate)
    rejected = {one.model.name: one for one in decision.rejected}
    assert rejected[who].code == code
    assert rejected[who].reason
    assert who not in [one.model.name for one in decision.ranked]


def test_when_nobody_fits_everyones_reason_is_told():
    with pytest.raises(NoModelFits, match="llava:latest cannot call tools") as caught:
        decide(ask(tools=({},)), [EYES, VECTORS])
    assert [one["code"] for one in caught.value.details["rejected"]] == ["no_tools", "no_chat"]


def test_a_prompt_that_is_too_long_for_all_says_by_how_much_and_who_is_the_largest():
    small, large = model("a", "small", context=1000), model("a", "large", context=4000)
    blind = model("a", "blind", context=8000)
    mute = model("a", "vectors", context=9000, abilities=frozenset({"embedding"}))
    small, large = (replace(one, abilities=frozenset({"chat", "tools"})) for one in (small, large))
    with pytest.raises(ContextTooLong) as caught:
        decide(ask(text="x" * 40_000, tools=({},)), [small, blind, large, mute])
    prompt = caught.value.details["prompt"]
    assert f"{prompt - 4000:,} more than the 4,000" in caught.value.why
    assert caught.value.fix.endswith("the largest is large.")
    told = caught.value.details
    assert (told["context"], told["largest"], told["fitting"]) == (4000, "large", [])
    assert {one["model"]: one["code"] for one in told["rejected"]} == {
        "a/small": "context_too_small",
        "a/large": "context_too_small",
    }


def test_a_prompt_that_is_too_long_for_the_named_model_says_who_would_take_it():
    able = frozenset({"chat", "tools"})
    small, large = (model("a", name, context=c, abilities=able) for name, c in (("small", 1000), ("large", 90_000)))
    blind = model("a", "blind", context=90_000, abilities=frozenset({"chat"}))
    with pytest.raises(ContextTooLong, match="or use large") as caught:
        decide(ask("small", text="x" * 40_000, tools=({},)), [small, blind, large])
    assert (caught.value.details["fitting"], caught.value.details["largest"]) == (["large"], "large")


def test_a_long_prompt_beside_another_reason_is_no_long_prompt():
    small, far = model("a", "small", context=1000), model("b", "far", local=False)
    wish = Preferences(local_only=True)
    with pytest.raises(NoModelFits) as caught:
        decide(ask(text="x" * 40_000, preferences=wish), [small, far])
    assert [one["code"] for one in caught.value.details["rejected"]] == ["context_too_small", "local_only"]


def test_without_any_model_the_error_says_how_to_get_one():
    with pytest.raises(NoModelFits, match=r"There is no model.*Start Ollama"):
        decide(ask(), [])


def test_an_unknown_model_comes_with_the_nearest():
    with pytest.raises(NotFound) as caught:
        decide(ask("gpt5-nano"), ALL)
    assert "gpt-5-nano" in caught.value.details["nearest"]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("claude-3-haiku-20240307", "keys set anthropic"),
        ("mistral:7b", "models pull mistral:7b"),
        ("gpt5-nano", "auto"),
    ],
)
def test_what_is_not_there_says_how_to_get_it(name, how):
    with pytest.raises(NotFound) as caught:
        decide(ask(name), ALL)
    assert how in caught.value.fix
    assert "keys set openai" not in caught.value.fix


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
    except (NoModelFits, NotFound, ContextTooLong):
        return
    ranked, rejected = ([one.model.id for one in found] for found in (decision.ranked, decision.rejected))
    assert len({*ranked, *rejected}) == len(ranked) + len(rejected)
    if name in POLICIES:
        assert {*ranked, *rejected} == {one.id for one in models}
        scores = [one.score for one in decision.ranked if one.quality is None]  # nobody is under a floor
        assert scores == sorted(scores, reverse=True)
    for one in decision.ranked:
        assert 0 <= one.score <= 1
        assert "chat" in one.model.abilities
        assert not tools or "tools" in one.model.abilities
        assert not one.model.context or prompt_tokens(request) * 0.7 <= one.model.context
    json.dumps(decision.as_json())
    assert decide(request, models) == decision


@given(MODELS)
def test_a_tiny_model_is_never_before_another(models):
    try:
        found = [one.model.tiny for one in decide(ask(), models).ranked]
    except (NoModelFits, ContextTooLong):
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
