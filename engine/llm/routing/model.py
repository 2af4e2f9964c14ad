"""What routing decides with and what it decides, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from operator import attrgetter
from typing import Any

from engine.kernel.records import record
from engine.llm.health import Speed
from engine.llm.model import Model

TASKS = ("chat", "coding", "analysis", "creative")


@record
class Needs:
    """What a request asks of a model: all that routing looks at, and nothing of what it says.

    `task_why` and `difficulty_why` are the signals that were seen. `difficulty` is from 0 to 1. `output_tokens` is how
    many are expected. With `emulate_tools` a model without tools will do. `same_model` is the id of the model that must
    go on, inside a loop of tool calls.
    """

    asked: str
    prompt_tokens: int
    output_tokens: int
    tools: bool = False
    images: bool = False
    schema: bool = False
    task: str = "chat"
    task_why: tuple[str, ...] = ()
    difficulty: float = 0.0
    difficulty_why: tuple[str, ...] = ()
    strategy: str = ""
    fallbacks: tuple[str, ...] = ()
    max_cost_per_1k_tokens: float | None = None
    max_latency_ms: float | None = None
    budget: float | None = None
    local_only: bool = False
    emulate_tools: bool = False
    same_model: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything, so that the decision can be made again."""
        values = zip(_NEEDS, _values_of(self), strict=True)
        return {name: list(value) if type(value) is tuple else value for name, value in values}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Needs":
        known: dict[str, Any] = {name: body[name] for name in cls.__dataclass_fields__ if name in body}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known)


_NEEDS = tuple(Needs.__dataclass_fields__)
_values_of = attrgetter(*_NEEDS)


@record
class Standing:
    """What is known of a model beside what its provider says of it.

    `skills` are from 0 to 1, and `source` says where they are from. `votes` are the sum and the number of the user's
    own thumbs for each task. `blocked` and `no_memory` say why it cannot be asked now. `busy` is how many requests
    it has.
    """

    skills: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    votes: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    speed: Speed = Speed()
    blocked: str = ""
    no_memory: str = ""
    busy: int = 0


@record
class Weights:
    """What counts how much in a score; they need not add up to one. `local` is added for what stays here."""

    quality: float = 0.0
    cost: float = 0.0
    latency: float = 0.0
    reliability: float = 0.0
    stickiness: float = 0.0
    load: float = 0.0
    local: float = 0.0

    @property
    def total(self) -> float:
        return self.quality + self.cost + self.latency + self.reliability + self.stickiness + self.load or 1.0


@record
class Policy:
    """A virtual model: how the others are weighed.

    `task` is the one whose skills count, empty for the one that the request seems to be. A model must reach the quality
    `floor` plus `steeper` times the difficulty. `models` are the names that may be taken, in order of preference, all
    when there are none; `favour` gives some of them a larger share. Limits are like those of a request.
    """

    name: str
    about: str
    weights: Weights
    task: str = ""
    floor: float = 0.0
    steeper: float = 0.0
    room: float = 1.0
    models: tuple[str, ...] = ()
    favour: Mapping[str, float] = field(default_factory=dict)
    in_order: bool = False
    local_only: bool = False
    max_cost_per_1k_tokens: float | None = None
    max_latency_ms: float | None = None
    cache: bool = False


@record
class Candidate:
    """A model that may answer. `score` is from 0 to 1; `reasons` say what it is made of. `cost_usd` and `seconds` are
    estimates, None when unknown; `quality` is from 0 to 1."""

    model: Model
    score: float
    reasons: tuple[str, ...]
    quality: float | None = None
    cost_usd: float | None = None
    seconds: float | None = None


@record
class Rejected:
    """A model that may not. `code` is for programs: one of `gates.CODES`."""

    model: Model
    code: str
    reason: str


@record
class Decision:
    """Why a request goes where it goes: the candidates, best first, and the others with what stood against them."""

    asked: str
    policy: str
    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    needs: Needs

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """Everything; with `most`, so many of each list at the most, and how many were left out."""
        ranked, rejected = self.ranked[:most], self.rejected[:most]
        left = {"ranked": len(self.ranked) - len(ranked), "rejected": len(self.rejected) - len(rejected)}
        return {
            "asked": self.asked,
            "policy": self.policy,
            "needs": self.needs.as_json(),
            "ranked": [_candidate_json(one) for one in ranked],
            "rejected": rejected_json(rejected),
        } | ({"left_out": left} if any(left.values()) else {})


def _candidate_json(one: Candidate) -> dict[str, Any]:
    numbers = {"quality": one.quality, "cost_usd": one.cost_usd, "seconds": one.seconds}
    told = {name: float(f"{value:.4g}") for name, value in numbers.items() if value is not None}
    return {"model": one.model.id, "score": round(one.score, 3), "reasons": list(one.reasons), **told}


def rejected_json(rejected: Sequence[Rejected]) -> list[dict[str, str]]:
    return [{"model": one.model.id, "code": one.code, "reason": one.reason} for one in rejected]
