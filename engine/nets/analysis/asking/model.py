"""Questions about the runs of a net, as data: computation tree logic (Clarke & Emerson 1981) over markings."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from engine.nets.analysis.model import Step


@dataclass(frozen=True, slots=True)
class Compared:
    """A weighted sum of places beside a number: `left` has (place, weight); `sign` is one of < <= == != >= >."""

    left: tuple[tuple[str, int], ...]
    sign: str
    right: int


@dataclass(frozen=True, slots=True)
class Enabled:
    """The places let the transition fire."""

    transition: str


@dataclass(frozen=True, slots=True)
class Named:
    """`deadlock`, `final` or `true`."""

    name: str


@dataclass(frozen=True, slots=True)
class Negated:
    inner: "Question"


@dataclass(frozen=True, slots=True)
class Joined:
    """`word` is `and` or `or`."""

    word: str
    parts: tuple["Question", ...]


@dataclass(frozen=True, slots=True)
class Next:
    """EX: some next marking."""

    inner: "Question"


@dataclass(frozen=True, slots=True)
class Until:
    """E[hold U goal]: some run on which `hold` holds until `goal` does."""

    hold: "Question"
    goal: "Question"


@dataclass(frozen=True, slots=True)
class Always:
    """EG: some run, to its end or for ever, on which it holds all along."""

    inner: "Question"


Question: TypeAlias = Compared | Enabled | Named | Negated | Joined | Next | Until | Always


class Verdict(StrEnum):
    HOLDS = "HOLDS"
    FAILS = "FAILS"
    NOT_PROVEN = "NOT_PROVEN"


@dataclass(frozen=True, slots=True)
class Answer:
    """`trace` is a shortest run that shows why, a witness or a counter-example; empty when no one run can. `loop` is
    the number of the step to which the run comes back at its end, for runs that go on for ever.

    `depends_on_guards`: the run passes a guarded transition. `states` is how many markings were looked at."""

    verdict: Verdict
    words: str
    trace: tuple[Step, ...] = ()
    loop: int | None = None
    depends_on_guards: bool = False
    states: int = 0
