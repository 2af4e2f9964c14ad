"""Routing: which models may answer a request, in which order, and why. Pure.

Gates come first (can the model do this at all), then a policy orders what is left. Each score is a sum of a few named
parts, so that it can be read and argued with: a rule of thumb, not a measure of quality.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.kernel.errors import InvalidInput, NoModelFits, NotFound, nearest
from engine.llm.catalog import named
from engine.llm.messages import ChatRequest
from engine.llm.model import Ability, Model

CHARACTERS_PER_TOKEN = 3.6

STRATEGIES: Mapping[str, str] = {
    "cost_optimized": "cb:cost-optimal",
    "performance_first": "auto",
    "load_balanced": "auto",
    "failover_chain": "auto",
    "task_specific": "auto",
    "model_specific": "",
}
"""What the request extension calls a strategy, and the policy it stands for; empty keeps to the named model."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer. `score` is from 0 to 1; `reasons` say what it is made of."""

    model: Model
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A model that may not. `code` is for programs: no_chat, no_tools, no_vision, context_too_small, over_cost_cap."""

    model: Model
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a request goes where it goes: the candidates, best first, and the others with what stood against them."""

    asked: str
    policy: str
    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "policy": self.policy,
            "ranked": [
                {"model": one.model.id, "score": round(one.score, 3), "reasons": list(one.reasons)}
                for one in self.ranked
            ],
            "rejected": [{"model": one.model.id, "code": one.code, "reason": one.reason} for one in self.rejected],
        }


def decide(request: ChatRequest, models: Sequence[Model]) -> Decision:
    """Order the models that may answer `request`.

    A virtual model (`auto`, `cb:...`) or a strategy weighs all models; a model that is named goes first, then the
    request's fallbacks in their order, and no other.

    Raises NotFound with the nearest names, InvalidInput for an unknown strategy, NoModelFits when all are rejected.
    """
    policy = policy_of(request)
    if policy:
        candidates, first = list(models), {model.id for model in named(request.model, models)}
    else:
        candidates, first = _chosen(request, models), set[str]()
    rejected = [no for model in candidates if (no := _rejection(request, model))]
    refused = {one.model.id for one in rejected}
    left = [model for model in candidates if model.id not in refused]
    ranked = [_named(model) for model in left] if not policy else _weighed(POLICIES[policy], left, first)
    if not ranked:
        raise _none_fits(request, rejected)
    return Decision(request.model, policy or "named", tuple(ranked), tuple(rejected))


def decide_embedding(name: str, models: Sequence[Model]) -> Decision:
    """The same for embeddings: a named model, or with `auto` any that embeds, local ones first."""
    found = list(models) if name == "auto" else list(named(name, models))
    if not found:
        raise _unknown(name, models)
    able = [model for model in found if "embedding" in model.abilities]
    rejected = tuple(
        Rejected(model, "no_embedding", "does not make embeddings")
        for model in found
        if "embedding" not in model.abilities
    )
    if not able:
        raise InvalidInput(
            f"{name} does not make embeddings.",
            fix=_pick([m.name for m in models if "embedding" in m.abilities]),
            details={"path": "model"},
        )
    ranked = sorted((_local_first(model) for model in able), key=lambda one: -one.score)
    return Decision(name, "auto" if name == "auto" else "named", tuple(ranked), rejected)


def policy_of(request: ChatRequest) -> str:
    """The policy that a request asks for; empty for a named model."""
    strategy = request.preferences.routing_strategy
    if strategy and strategy not in STRATEGIES:
        raise InvalidInput(
            f"There is no routing strategy {strategy!r}.",
            fix=f"Use one of {', '.join(STRATEGIES)}.",
            details={"path": "circuit_breaker.routing_strategy", "nearest": nearest(strategy, STRATEGIES)},
        )
    if request.model in POLICIES:
        return request.model
    return STRATEGIES.get(strategy, "")


# -- gates ------------------------------------------------------------------------------------------------------------


def _chosen(request: ChatRequest, models: Sequence[Model]) -> list[Model]:
    found = {model.id: model for model in sorted(named(request.model, models), key=lambda model: not model.local)}
    for fallback in request.preferences.fallback_models:
        found |= {model.id: model for model in named(fallback, models)}
    if not found:
        raise _unknown(request.model, models)
    return list(found.values())


def _rejection(request: ChatRequest, model: Model) -> Rejected | None:
    needs: list[tuple[Ability, bool, str]] = [
        ("chat", True, "does not chat"),
        ("tools", bool(request.tools), "cannot call tools"),
        ("vision", request.has_images, "cannot see images"),
    ]
    for ability, needed, reason in needs:
        if needed and ability not in model.abilities:
            return Rejected(model, f"no_{ability}", reason)
    tokens = estimated_tokens(request)
    if model.context and tokens > model.context:
        reason = f"the prompt takes about {tokens:,} tokens of its {model.context:,}"
        return Rejected(model, "context_too_small", reason)
    cap = request.preferences.max_cost_per_1k_tokens
    if cap is not None and model.price is not None and float(model.price.output) / 1000 > cap:
        return Rejected(model, "over_cost_cap", f"costs ${float(model.price.output) / 1000:.4f} for 1,000 tokens")
    return None


def estimated_tokens(request: ChatRequest) -> int:
    """About how many tokens the prompt takes, from its characters."""
    characters = sum(len(message.text) + 16 for message in request.messages)
    characters += sum(len(str(tool)) for tool in request.tools)
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


# -- policies ---------------------------------------------------------------------------------------------------------


def _local_first(model: Model) -> Candidate:
    """`auto`: what is here, loaded and of some size, before what is far away and costs."""
    if model.tiny:
        return Candidate(model, 0.0, ("tiny demonstration model, taken when nothing else is there",))
    parts: list[tuple[float, str]] = []
    if model.local:
        parts.append((0.45, "stays on this machine"))
    if model.loaded:
        parts.append((0.15, "in memory already"))
    parts.append(_price_part(model, 0.15))
    if billions := parameters(model):
        parts.append((min(0.15, 0.03 * math.log2(1 + billions)), f"{billions:g} billion parameters"))
    if "tools" in model.abilities:
        parts.append((0.05, "can call tools"))
    return _summed(model, parts)


def _cheapest(model: Model) -> Candidate:
    """`cb:cost-optimal`: the price decides; size breaks ties."""
    if model.tiny:
        return Candidate(model, 0.0, ("free, but a tiny demonstration model",))
    parts = [_price_part(model, 0.8)]
    if billions := parameters(model):
        parts.append((min(0.15, 0.03 * math.log2(1 + billions)), f"{billions:g} billion parameters"))
    return _summed(model, parts)


POLICIES: Mapping[str, Callable[[Model], Candidate]] = {"auto": _local_first, "cb:cost-optimal": _cheapest}
"""The virtual models: names that are a policy."""

ABOUT: Mapping[str, str] = {
    "auto": "local models first, then by price and size",
    "cb:cost-optimal": "the cheapest model that can do it",
}


def _weighed(policy: Callable[[Model], Candidate], models: Sequence[Model], first: set[str]) -> list[Candidate]:
    ranked = sorted((policy(model) for model in models), key=lambda one: (one.model.id not in first, -one.score))
    return [
        Candidate(c.model, c.score, ("asked for by name", *c.reasons)) if c.model.id in first else c for c in ranked
    ]


def _named(model: Model) -> Candidate:
    return Candidate(model, 1.0, ("asked for by name", "stays on this machine" if model.local else "in the cloud"))


def _price_part(model: Model, weight: float) -> tuple[float, str]:
    if model.price is None:
        return 0.3 * weight, "price unknown"
    dollars = float(model.price.input + model.price.output)
    if not dollars:
        return weight, "free"
    return weight / (1 + dollars), f"${dollars:g} for a million tokens in and out"


def _summed(model: Model, parts: Sequence[tuple[float, str]]) -> Candidate:
    return Candidate(model, min(1.0, sum(score for score, _ in parts)), tuple(f"{text}" for _, text in parts))


def parameters(model: Model) -> float:
    """Billions of parameters, as the provider says (`3.1B`, `137M`); 0 when it does not."""
    match = re.fullmatch(r"([\d.]+)\s*([BM])", str(model.details.get("parameter_size", "")).strip(), re.I)
    return float(match[1]) / (1 if match[2].upper() == "B" else 1000) if match else 0.0


# -- errors -----------------------------------------------------------------------------------------------------------


def _unknown(name: str, models: Sequence[Model]) -> NotFound:
    known = [*POLICIES, *(model.name for model in models), *(model.id for model in models)]
    return NotFound.named("model", name, known, fix="`auto` takes the best that is there; /v1/models lists them all.")


def _none_fits(request: ChatRequest, rejected: Sequence[Rejected]) -> NoModelFits:
    reasons = "; ".join(f"{one.model.name} {one.reason}" for one in rejected[:5])
    return NoModelFits(
        f"No model can answer this ({request.model})." if rejected else "There is no model.",
        why=f"{reasons}." if reasons else "No provider is up.",
        fix="Change the request, or add a model that can."
        if rejected
        else "Start Ollama, add a key, or run `circuit-breaker local setup`.",
        details={"rejected": [{"model": one.model.id, "code": one.code, "reason": one.reason} for one in rejected]},
    )


def _pick(names: Sequence[str]) -> str:
    return f"Use {' or '.join(names[:3])}." if names else "Pull one: `ollama pull nomic-embed-text`."
