"""The virtual models: names that are a policy. The weights are rules of thumb, tried on a small table of models and
prompts (docs/reference/routing.md); every part of a score is shown, so they can be argued with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.kernel.errors import InvalidConfig, nearest, shown
from engine.llm.routing.model import TASKS, Policy, Weights

DIALS = {"quality": 1.2, "balanced": 1.0, "saving": 0.6}
"""How much quality a hard prompt is worth: multiplies the floors."""

PREFER_LOCAL = 0.15

BUILT_IN: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            "auto", "what is good enough for the prompt, near and cheap before far and dear",
            Weights(cost=0.40, latency=0.25, reliability=0.20, stickiness=0.15, local=PREFER_LOCAL),
            floor=0.08, steeper=0.60,
        ),
        Policy(
            "cb:smart-chat", "the best conversation",
            Weights(0.60, 0.15, 0.10, 0.10, 0.05), task="chat",
        ),
        Policy(
            "cb:cost-optimal", "the cheapest model that can do it",
            Weights(0.05, 0.75, 0.10, 0.10, local=0.02), floor=0.08, steeper=0.35,
        ),
        Policy(
            "cb:fastest", "the quickest answer, by what was measured here",
            Weights(0.10, 0.05, 0.70, 0.15), floor=0.10,
        ),
        Policy(
            "cb:coding", "the best at code, and at using tools when there are any",
            Weights(0.60, 0.12, 0.10, 0.13, 0.05), task="coding",
        ),
        Policy(
            "cb:analysis", "the best at reasoning, numbers and long context",
            Weights(0.65, 0.12, 0.05, 0.13, 0.05), task="analysis", room=1.3,
        ),
        Policy(
            "cb:creative", "the best at writing",
            Weights(0.60, 0.15, 0.10, 0.10, 0.05), task="creative",
        ),
    )
}  # fmt: skip

SPREAD = Policy(
    "load_balanced", "spread over what is equally able, the least busy first",
    Weights(cost=0.10, latency=0.10, reliability=0.30, load=0.50, local=PREFER_LOCAL), floor=0.08, steeper=0.60,
)  # fmt: skip

STRATEGIES: Mapping[str, str] = {
    "cost_optimized": "cb:cost-optimal",
    "performance_first": "cb:fastest",
    "balanced": "auto",
    "reliability_first": "auto",
    "load_balanced": "load_balanced",
    "failover_chain": "auto",
    "task_specific": "task",
    "model_specific": "",
}
"""What the request extension calls a strategy, and the policy it stands for; empty keeps to the named model."""

BY_TASK: Mapping[str, str] = {
    "chat": "cb:smart-chat", "coding": "cb:coding", "analysis": "cb:analysis", "creative": "cb:creative",
}  # fmt: skip

_FIELDS = {
    "about", "like", "models", "weights", "favour", "in_order", "local_only", "floor", "steeper", "task",
    "max_cost_per_1k_tokens", "max_latency_ms", "cache",
}  # fmt: skip


def with_dial(policies: Mapping[str, Policy], dial: float) -> Mapping[str, Policy]:
    return {
        name: replace(policy, floor=policy.floor * dial, steeper=policy.steeper * dial)
        for name, policy in policies.items()
    }


def read_policies(routes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Policy]:
    """The built-in policies and the user's own (`[routes.NAME]` in the settings file).

    `like` names the policy to start from (`auto` when not said); the other fields change it. Raises InvalidConfig.
    """
    found = dict(BUILT_IN)
    for name, table in routes.items():
        found[name] = _read(name, table, found)
    return found


def _read(name: str, table: Mapping[str, Any], known: Mapping[str, Policy]) -> Policy:
    where = f"routes.{name}"
    for key in table:
        if key not in _FIELDS:
            raise _wrong(f"{where}.{key}", "is not known", f"Use {', '.join(sorted(_FIELDS))}.", nearest(key, _FIELDS))
    like = table.get("like", "auto")
    if like not in known:
        raise _wrong(f"{where}.like", f"is {shown(str(like))}", f"Use one of {', '.join(known)}.", [])
    base = known[like]
    weights = table.get("weights", {})
    names = Weights.__dataclass_fields__
    if not isinstance(weights, Mapping) or not all(key in names and _number(weights[key]) for key in weights):
        raise _wrong(f"{where}.weights", "is not right", f"Give numbers from 0 for {', '.join(names)}.", [])
    if weights:
        base = replace(base, weights=Weights(**{key: float(value) for key, value in weights.items()}))
    models = table.get("models", base.models)
    if isinstance(models, str) or not all(isinstance(one, str) and one for one in models):
        raise _wrong(f"{where}.models", "is no list of names", 'Write it like ["ollama/qwen3:8b", "gpt-5-mini"].', [])
    if (task := table.get("task", base.task)) not in ("", *TASKS):
        raise _wrong(f"{where}.task", f"is {shown(str(task))}", f"Use one of {', '.join(TASKS)}.", [])
    favour = table.get("favour", {})
    if not isinstance(favour, Mapping) or not all(_number(value) for value in favour.values()):
        raise _wrong(f"{where}.favour", "is not right", "Give a number from 0 for each model.", [])
    numbers: dict[str, Any] = {}
    for key in ("floor", "steeper", "max_cost_per_1k_tokens", "max_latency_ms"):
        if key in table and not _number(table[key]):
            raise _wrong(f"{where}.{key}", f"is {shown(str(table[key]))}", "Give a number from 0.", [])
        if key in table:
            numbers[key] = float(table[key])
    for key in ("in_order", "local_only", "cache"):
        if not isinstance(table.get(key, False), bool):
            raise _wrong(f"{where}.{key}", f"is {shown(str(table[key]))}", "Give true or false.", [])
    return replace(
        base,
        name=name,
        about=str(table.get("about", f"your own, like {like}")),
        models=tuple(models),
        favour={key: float(value) for key, value in favour.items()},
        task=task,
        in_order=table.get("in_order", base.in_order),
        local_only=table.get("local_only", base.local_only),
        cache=table.get("cache", base.cache),
        **numbers,
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _wrong(path: str, what: str, fix: str, close: list[str]) -> InvalidConfig:
    hint = f"Did you mean {close[0]}? " if close else ""
    return InvalidConfig(f"{path} {what}.", fix=f"{hint}{fix}", details={"path": path})
