"""Routing: which models may answer a request, in which order, and why. Pure.

Gates come first (can the model do this at all), then a policy orders what is left.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from engine.kernel.errors import ContextTooLong, InvalidInput, NoModelFits, NotFound, nearest
from engine.llm.catalog import named
from engine.llm.messages import ChatRequest
from engine.llm.model import Model
from engine.llm.retired import retired
from engine.llm.routing.gates import CODES, rejection
from engine.llm.routing.model import Candidate, Decision, Needs, Policy, Rejected, Standing, rejected_json
from engine.llm.routing.policies import BUILT_IN, BY_TASK, SPREAD, STRATEGIES
from engine.llm.routing.reading import needs_of
from engine.llm.routing.scoring import in_order, weighed

StandingOf = Callable[[Model], Standing]
Policies = Mapping[str, Policy]


def unknown(_: Model) -> Standing:
    return Standing()


def decide(
    request: ChatRequest,
    models: Sequence[Model],
    standing_of: StandingOf = unknown,
    policies: Policies = BUILT_IN,
    *,
    same_model: str = "",
    emulate_tools: bool = False,
    local_only: bool = False,
) -> Decision:
    """Order the models that may answer `request`; see `choose`. `local_only` holds for all requests."""
    needs = needs_of(request, same_model=same_model, emulate_tools=emulate_tools, local_only=local_only)
    return choose(needs, models, standing_of, policies)


def choose(
    needs: Needs, models: Sequence[Model], standing_of: StandingOf = unknown, policies: Policies = BUILT_IN
) -> Decision:
    """Order the models that may do what is needed.

    A virtual model (`auto`, `cb:...`, a route) or a strategy weighs all models; a model that is named goes first, then
    the request's fallbacks in their order, and no other. Inside a loop of tool calls the model that asked goes on.

    Raises NotFound with the nearest names, InvalidInput for an unknown strategy, ContextTooLong when nothing but the
    length of the prompt stands in the way, NoModelFits when all are rejected.
    """
    standing_of = _looked_up_once(standing_of)
    policy = policy_of(needs, policies)
    candidates = _all_of(policy, models) if policy else _chosen(needs, models, policies)
    verdicts = [(model, rejection(needs, policy, model, standing_of(model))) for model in candidates]
    rejected = [no for _, no in verdicts if no]
    left = [model for model, no in verdicts if not no]
    if not left and (resting := [no for no in rejected if no.code == "breaker_open"]):
        left = [no.model for no in resting]  # asking is how one learns that they are mended
        rejected = [no for no in rejected if no.code != "breaker_open"]
    if not left:
        raise _none_fits(needs, rejected, models)
    ranked = _ranked(needs, policy, left, models, standing_of)
    return Decision(needs.asked, policy.name if policy else "named", tuple(ranked), tuple(rejected), needs)


def decide_embedding(name: str, models: Sequence[Model], *, local_only: bool = False) -> Decision:
    """The same for embeddings: a named model, or with `auto` any that embeds, local ones first."""
    found = list(models) if name == "auto" else list(named(name, models))
    if not found:
        raise _unknown(name, models, BUILT_IN)
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
    if local_only:
        away = [model for model in able if not model.local]
        rejected += tuple(Rejected(model, "local_only", CODES["local_only"]) for model in away)
        able = [model for model in able if model.local]
    if not able:
        raise _none_fits(Needs(name, 0, 0, local_only=True), rejected, models)
    ranked = sorted(map(_near_first, able), key=lambda one: -one.score)
    return Decision(name, "auto" if name == "auto" else "named", tuple(ranked), rejected, Needs(name, 0, 0))


def policy_of(needs: Needs, policies: Policies = BUILT_IN) -> Policy | None:
    """The policy that is asked for, by the name of a virtual model or by a strategy; None for a named model."""
    if needs.strategy and needs.strategy not in STRATEGIES:
        raise InvalidInput(
            f"There is no routing strategy {needs.strategy!r}.",
            fix=f"Use one of {', '.join(STRATEGIES)}.",
            details={"path": "circuit_breaker.routing_strategy", "nearest": nearest(needs.strategy, STRATEGIES)},
        )
    if needs.asked in policies:
        return policies[needs.asked]
    name = STRATEGIES.get(needs.strategy, "")
    if name == SPREAD.name:
        return SPREAD
    return policies.get(BY_TASK[needs.task] if name == "task" else name)


def _looked_up_once(standing_of: StandingOf) -> StandingOf:
    """What is known of a model does not change within a decision."""
    known: dict[tuple[str, str], Standing] = {}

    def of(model: Model) -> Standing:
        key = model.provider, model.name
        if key not in known:
            known[key] = standing_of(model)
        return known[key]

    return of


# -- candidates -------------------------------------------------------------------------------------------------------


def _all_of(policy: Policy, models: Sequence[Model]) -> list[Model]:
    if not policy.models:
        return list(models)
    wanted = {model.id for name in policy.models for model in named(name, models)}
    return [model for model in models if model.id in wanted]


def _chosen(needs: Needs, models: Sequence[Model], policies: Policies) -> list[Model]:
    found = {model.id: model for model in sorted(named(needs.asked, models), key=lambda model: not model.local)}
    if not found and not any(list(named(name, models)) for name in needs.fallbacks):
        raise _unknown(needs.asked, models, policies)
    for fallback in needs.fallbacks:
        found |= {model.id: model for model in named(fallback, models) if model.id not in found}
    return list(found.values())


def _ranked(
    needs: Needs, policy: Policy | None, left: Sequence[Model], models: Sequence[Model], standing_of: StandingOf
) -> list[Candidate]:
    if policy is None:
        ranked = [_named(model) for model in left]
    else:
        ranked = weighed(needs, policy, left, standing_of)
        if policy.in_order:
            ranked = in_order(policy.models, models, ranked)
        first = {model.id for name in (needs.asked, *needs.fallbacks) for model in named(name, models)}
        ranked = [_wished(one) if one.model.id in first else one for one in ranked]
        ranked = in_order((needs.asked, *needs.fallbacks), models, ranked)
    return sorted(ranked, key=lambda one: one.model.id != needs.same_model)


def _wished(one: Candidate) -> Candidate:
    return Candidate(one.model, one.score, ("asked for by name", *one.reasons), one.quality, one.cost_usd, one.seconds)


def _named(model: Model) -> Candidate:
    return Candidate(model, 1.0, ("asked for by name", "stays on this machine" if model.local else "in the cloud"))


def _near_first(model: Model) -> Candidate:
    """For embeddings: what is here and in memory, before what is far away and costs."""
    parts = [(0.5, "stays on this machine")] if model.local else []
    parts += [(0.2, "in memory already")] if model.loaded else []
    free = model.price is not None and not model.price.input
    parts.append((0.3, "free") if free else (0.1, "price unknown" if model.price is None else "costs something"))
    return Candidate(model, sum(score for score, _ in parts), tuple(words for _, words in parts))


# -- errors -----------------------------------------------------------------------------------------------------------


def _unknown(name: str, models: Sequence[Model], policies: Policies) -> NotFound:
    if gone := retired(name, models):
        return gone
    known = [*policies, *(model.name for model in models), *(model.id for model in models)]
    fix = f"`auto` takes the best that is there; /v1/models lists them all.{_where_to_get(name, models)}"
    return NotFound.named("model", name, known, fix=fix)


_VENDORS = {"anthropic": r"claude", "openai": r"gpt-|chatgpt-|o\d|text-embedding-", "google": r"gemini"}


def _where_to_get(name: str, models: Sequence[Model]) -> str:
    """How a model that is not there could be had, by its name."""
    for provider, pattern in _VENDORS.items():
        if re.match(pattern, name) and not any(model.provider == provider for model in models):
            return f" It needs a key: `circuit-breaker keys set {provider}`."
    return f" `circuit-breaker models pull {name}` fetches it for Ollama." if ":" in name and "/" not in name else ""


def _none_fits(needs: Needs, rejected: Sequence[Rejected], models: Sequence[Model]) -> NoModelFits | ContextTooLong:
    able = [one for one in rejected if one.code not in ("no_chat", "no_tools", "no_vision", "no_json")]
    if able and all(one.code == "context_too_small" for one in able):
        return _too_long(needs, able, models)
    reasons = "; ".join(f"{one.model.name} {one.reason}" for one in rejected[:5])
    return NoModelFits(
        f"No model can answer this ({needs.asked})." if rejected else "There is no model.",
        why=f"{reasons}." if reasons else "No provider is up.",
        fix="Change the request, or add a model that can."
        if rejected
        else "Start Ollama, add a key, or run `circuit-breaker local setup`.",
        details={"rejected": rejected_json(rejected)},
    )


def _too_long(needs: Needs, rejected: Sequence[Rejected], models: Sequence[Model]) -> ContextTooLong:
    """By how much, and who would take it."""
    most = max(one.model.context for one in rejected)
    able = [one for one in models if not rejection(replace(needs, prompt_tokens=0), None, one, Standing())]
    fitting = [one.name for one in able if one.context >= needs.prompt_tokens and not one.tiny]
    largest = max(able or [one.model for one in rejected], key=lambda one: one.context)
    return ContextTooLong(
        f"The prompt does not fit {'any model' if len(rejected) > 1 else rejected[0].model.name}.",
        why=f"It takes about {needs.prompt_tokens:,} tokens, {needs.prompt_tokens - most:,} more than the {most:,}"
        " there are.",
        fix=f"Shorten the conversation, or use {' or '.join(fitting[:3])}."
        if fitting
        else f"Shorten the conversation: no model here takes as much; the largest is {largest.name}.",
        details={
            "prompt": needs.prompt_tokens,
            "context": most,
            "fitting": fitting[:10],
            "largest": largest.name,
            "rejected": rejected_json(rejected),
        },
    )


def _pick(names: Sequence[str]) -> str:
    return f"Use {' or '.join(names[:3])}." if names else "Pull one: `ollama pull nomic-embed-text`."
