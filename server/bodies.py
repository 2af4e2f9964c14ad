"""Reading what clients send: checked once, here at the edge, and what is wrong is named. Shared by the faces."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.kernel.errors import InvalidInput
from engine.llm.messages import Preferences

M = TypeVar("M", bound=BaseModel)


class Asked(BaseModel):
    """What a client sends. Pydantic works a class out when it is first read: a start reads none of them."""

    model_config = ConfigDict(defer_build=True)


class Loose(Asked):
    model_config = ConfigDict(extra="ignore")


class Open(Asked):
    """One whose unknown fields are kept."""

    model_config = ConfigDict(extra="allow")


class BudgetConstraint(Loose):
    per_request_limit: float | None = Field(None, ge=0)


class Extension(Loose):
    """The field `circuit_breaker` of a request."""

    routing_strategy: str | None = ""
    max_cost_per_1k_tokens: float | None = Field(default=None, ge=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    task_type: str | None = ""
    fallback_models: list[str] | None = None
    budget: float | None = Field(default=None, ge=0)
    budget_constraint: BudgetConstraint | None = None
    local_only: bool | None = False
    cache: bool | None = False
    hedge_ms: float | None = Field(default=None, gt=0)
    deadline_ms: float | None = Field(default=None, gt=0)
    tags: dict[str, str] | None = None

    def preferences(self) -> Preferences:
        limit = self.budget_constraint.per_request_limit if self.budget_constraint else None
        return Preferences(
            routing_strategy=self.routing_strategy or "",
            max_cost_per_1k_tokens=self.max_cost_per_1k_tokens,
            max_latency_ms=self.max_latency_ms,
            task_type=self.task_type or "",
            fallback_models=tuple(self.fallback_models or ()),
            budget=self.budget if self.budget is not None else limit,
            local_only=bool(self.local_only),
            cache=bool(self.cache),
            hedge_ms=self.hedge_ms,
            deadline_ms=self.deadline_ms,
            tags=self.tags or {},
        )


def read(kind: type[M], body: Mapping[str, Any]) -> M:
    """The request in `body`. Raises InvalidInput naming the first field that is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problems = [(_path(one["loc"], body, one["type"]), one["msg"]) for one in error.errors(include_url=False)]
        # of the branches of a union, the one that got furthest is the one that was meant
        path, why = max(problems, key=lambda problem: problem[0].count(".") + problem[0].count("["))
        raise InvalidInput(
            f"{path or 'The request'} is not right.", why=f"{why}.", fix="Correct it.", details={"path": path}
        ) from None


def _path(parts: Sequence[int | str], body: Any, kind: str) -> str:
    """Where in `body` it is: `messages[0].content`. Pydantic's own path also names the branches of unions."""
    path, here = "", body
    for number, part in enumerate(parts, 1):
        if isinstance(part, int) and isinstance(here, list):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(part, str) and isinstance(here, Mapping):
            if part not in here and not (kind == "missing" and number == len(parts)):
                continue
            path, here = f"{path}.{part}" if path else part, here.get(part)
    return path
