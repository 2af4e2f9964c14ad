"""How candidates are weighed. Pure: each score is a sum of named parts, which its reasons show."""

from collections.abc import Callable, Mapping, Sequence

from engine.llm.catalog import named
from engine.llm.model import Model
from engine.llm.routing.estimates import cheapness, cost_usd, parameters, quickness, seconds
from engine.llm.routing.model import Candidate, Needs, Policy, Standing

PRIOR_WEIGHT = 20.0  # how many thumbs the prior is worth

_MIXES: Mapping[str, Mapping[str, float]] = {
    "chat": {"instructions": 0.4, "reasoning": 0.3, "language": 0.3},
    "coding": {"coding": 1.0},
    "coding with tools": {"coding": 0.5, "agentic": 0.5},
    "analysis": {"reasoning": 0.5, "data": 0.25, "math": 0.25},
    "creative": {"instructions": 0.6, "language": 0.4},
}
"""Which skills a task takes."""


def quality_of(task: str, tools: bool, standing: Standing) -> float | None:
    """From 0 to 1, for a task: the skills that it takes, moved by the user's thumbs; None when nothing is known."""
    mix = _MIXES["coding with tools" if task == "coding" and tools else task]
    known = {skill: weight for skill, weight in mix.items() if skill in standing.skills}
    prior = None
    if known:
        prior = sum(weight * standing.skills[skill] for skill, weight in known.items()) / sum(known.values())
    thumbs, count = standing.votes.get(task, (0.0, 0))
    if not count:
        return prior
    return (PRIOR_WEIGHT * (0.3 if prior is None else prior) + thumbs) / (PRIOR_WEIGHT + count)


def weighed(
    needs: Needs, policy: Policy, models: Sequence[Model], standing_of: Callable[[Model], Standing]
) -> list[Candidate]:
    """All of `models`, best first. Those that do not reach the policy's floor of quality come after the others; the
    demonstration model comes last."""
    scored = [_scored(needs, policy, model, standing_of(model)) for model in models]
    floor = policy.floor + policy.steeper * needs.difficulty
    best = max((one.quality or 0.0 for one in scored), default=0.0)

    def place(one: Candidate) -> tuple[bool, bool, bool, float, float]:
        without = needs.tools and "tools" not in one.model.abilities
        low = floor > 0 and one.quality is not None and one.quality < min(floor, best)
        return one.model.tiny, without, low, -one.score, -(one.quality or 0.0)

    ranked = sorted(scored, key=place)
    return [
        one if one.quality is None or one.quality >= floor or one.model.tiny else _below(one, floor) for one in ranked
    ]


def in_order(names: Sequence[str], models: Sequence[Model], candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates in the order in which a route names them."""
    places = {model.id: place for place, name in reversed(list(enumerate(names))) for model in named(name, models)}
    return sorted(candidates, key=lambda one: places.get(one.model.id, len(names)))


def _scored(needs: Needs, policy: Policy, model: Model, standing: Standing) -> Candidate:
    quality = quality_of(policy.task or needs.task, needs.tools, standing)
    if model.tiny:
        return Candidate(model, 0.0, ("tiny demonstration model, taken when nothing else is there",), quality)
    weights, total = policy.weights, policy.weights.total + policy.weights.local
    dollars, takes = cost_usd(needs, model), seconds(needs, model, standing)
    task, same = policy.task or needs.task, model.id == needs.same_model
    parts: list[tuple[float, float, str]] = [
        (weights.quality, 0.3 if quality is None else quality, _quality_words(task, quality, standing)),
        (weights.cost, 0.3 if dollars is None else cheapness(dollars), _cost_words(model, dollars)),
        (weights.latency, quickness(takes), _time_words(model, takes, standing)),
        (weights.reliability, standing.speed.success, _success_words(standing)),
        (weights.stickiness, float(same), "answered before" if same else ""),
        (weights.load, 1 / (1 + standing.busy), f"{standing.busy} requests under way" if weights.load else ""),
    ]
    score = sum(weight * value for weight, value, _ in parts) / total
    reasons = [f"{words} {weight * value / total:+.2f}" for weight, value, words in parts if weight and words]
    if model.local:
        score += weights.local / total
        reasons.insert(0, "stays on this machine" + (f" {weights.local / total:+.2f}" if weights.local else ""))
    favour = next((value for name, value in policy.favour.items() if list(named(name, [model]))), 0.0)
    if favour:
        score += favour
        reasons.insert(0, f"favoured by {policy.name} {favour:+.2f}")
    return Candidate(model, min(1.0, score), tuple(reasons), quality, dollars, takes)


def _below(one: Candidate, floor: float) -> Candidate:
    words = f"its quality of {one.quality:.2f} is under the {floor:.2f} that this prompt should have"
    return Candidate(one.model, one.score, (*one.reasons, words), one.quality, one.cost_usd, one.seconds)


def _quality_words(task: str, quality: float | None, standing: Standing) -> str:
    if quality is None:
        return "quality unknown"
    return f"quality {quality:.2f} for {task}" + (f" ({standing.source})" if standing.source else "")


def _success_words(standing: Standing) -> str:
    if not standing.speed.observations:
        return "nothing known against it"
    return f"{standing.speed.success:.0%} of its answers came"


def _cost_words(model: Model, dollars: float | None) -> str:
    if dollars is None:
        return "price unknown"
    return f"about ${dollars:.5f}" if dollars else "free"


def _time_words(model: Model, takes: float, standing: Standing) -> str:
    how = "measured" if standing.speed.ttft_s is not None else "guessed"
    size = f", {parameters(model):g} billion parameters" if model.local and parameters(model) else ""
    cold = ", not in memory" if model.local and not model.loaded and model.size_bytes else ""
    return f"about {takes:.1f} s ({how}{size}{cold})"
