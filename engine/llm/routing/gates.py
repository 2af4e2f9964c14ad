"""Gates: what a model cannot do, or may not do now. Pure; each has a code for programs and a reason for people."""

from collections.abc import Mapping

from engine.llm.model import Ability, Model
from engine.llm.routing.estimates import cost_usd, seconds
from engine.llm.routing.model import Needs, Policy, Rejected, Standing

CODES: Mapping[str, str] = {
    "no_chat": "does not chat",
    "no_tools": "cannot call tools",
    "no_vision": "cannot see images",
    "no_json": "cannot be held to JSON",
    "context_too_small": "the prompt does not fit its context",
    "local_only": "is not on this machine, and the prompt must stay",
    "over_cost_cap": "costs more than the limit for a thousand tokens",
    "over_budget": "would cost more than this request may",
    "too_slow": "takes longer than the limit",
    "no_memory": "does not fit the memory that is free",
    "breaker_open": "has failed and is left alone for now",
}


SURE, SURELY_TOO_LONG = 0.85, 0.7
"""Our guess of a prompt is on the safe side. Where there is a choice, what would only just fit is left out; a model
that is named is refused only what cannot fit, even at more than four bytes a token."""


def rejection(needs: Needs, policy: Policy | None, model: Model, standing: Standing) -> Rejected | None:
    """The first gate that `model` does not pass; None when it may answer. A model that is named, without a policy, is
    not kept out by how it does now: it is the one that is wanted."""
    abilities: list[tuple[Ability, bool]] = [
        ("chat", True),
        ("tools", needs.tools and not needs.emulate_tools),
        ("vision", needs.images),
        ("json", needs.schema),
    ]
    for ability, needed in abilities:
        if needed and ability not in model.abilities:
            return Rejected(model, f"no_{ability}", CODES[f"no_{ability}"])
    room = SURE * policy.room if policy else SURELY_TOO_LONG
    if model.context and needs.prompt_tokens * room > model.context:
        reason = f"the prompt takes about {needs.prompt_tokens:,} tokens of its {model.context:,}"
        return Rejected(model, "context_too_small", reason)
    if (needs.local_only or (policy and policy.local_only)) and not model.local:
        return Rejected(model, "local_only", CODES["local_only"])
    return _too_dear(needs, policy, model) or _not_now(needs, policy, model, standing)


def _too_dear(needs: Needs, policy: Policy | None, model: Model) -> Rejected | None:
    caps = _limits(needs.max_cost_per_1k_tokens, policy.max_cost_per_1k_tokens if policy else None)
    if caps and model.price is not None and (dollars := float(model.price.output) / 1000) > min(caps):
        return Rejected(model, "over_cost_cap", f"costs ${dollars:.4f} for 1,000 tokens")
    if needs.budget is not None:
        cost = cost_usd(needs, model)
        if cost is None and not model.local:
            return Rejected(model, "over_budget", "its price is not known, and this request has a budget")
        if cost is not None and cost > needs.budget:
            return Rejected(model, "over_budget", f"would cost about ${cost:.4f}")
    return None


def _limits(*told: float | None) -> list[float]:
    return [one for one in told if one is not None]


def _not_now(needs: Needs, policy: Policy | None, model: Model, standing: Standing) -> Rejected | None:
    limits = _limits(needs.max_latency_ms, policy.max_latency_ms if policy else None)
    if limits and standing.speed.ttft_s is not None:
        takes = seconds(needs, model, standing)
        if takes * 1000 > min(limits):
            return Rejected(model, "too_slow", f"took about {takes:.1f} s lately")
    if policy is None:
        return None
    if standing.no_memory and not model.loaded:
        return Rejected(model, "no_memory", standing.no_memory)
    if standing.blocked:
        return Rejected(model, "breaker_open", standing.blocked)
    return None
