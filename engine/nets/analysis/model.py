"""What analysis says of a net: verdicts, and findings with evidence. Frozen data.

A verdict is True, False, or None for "not proven": never a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from engine.nets.analysis.structural import Structure
from engine.nets.marking import Marking


class FindingCode(StrEnum):
    DEADLOCK = "DEADLOCK"
    DEAD_TRANSITION = "DEAD_TRANSITION"
    UNBOUNDED = "UNBOUNDED"
    UNSAFE = "UNSAFE"
    LIVELOCK = "LIVELOCK"
    CANNOT_COMPLETE = "CANNOT_COMPLETE"
    IMPROPER_COMPLETION = "IMPROPER_COMPLETION"
    NOT_LIVE = "NOT_LIVE"
    STRUCTURE = "STRUCTURE"
    INCOMPLETE = "INCOMPLETE"


class Severity(StrEnum):
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trace: the marking, and the transition that led to it (none for the first step). `source` is the
    place it took from, for a transition with several."""

    marking: Marking
    transition: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a net. `trace` is a shortest run from the start that shows it; empty when none can.

    `depends_on_guards`: every run that shows it passes a guarded transition, so whether it can happen hangs on the
    data. The trace is then one with the fewest guarded steps.

    `onward`: how a livelock goes on after the trace, into a loop and once round it; `loop` is then the number of the
    step, of trace and onward together, to which it comes back at the end. `siphon`: places that can never be filled
    again, for which tokens of a deadlock wait; empty when that is not why.
    """

    code: FindingCode
    severity: Severity
    message: str
    places: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()
    trace: tuple[Step, ...] = ()
    depends_on_guards: bool = False
    onward: tuple[Step, ...] = ()
    loop: int | None = None
    siphon: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """A law of the net. `kind` is "place": the sum of the tokens, each place counted by its weight, is always `value`;
    or "transition": firing each mode as often as its weight leads back to where it began, and `value` is None."""

    kind: str
    weights: Mapping[str, int]
    value: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """The verdicts over the whole state space, guards taken as "may".

    `complete`: the space was searched to its end; `states` and `edges` are how much was seen. The words are those of
    van der Aalst (1998) for soundness and Murata (1989) for the rest: `bound` is the least k that no place exceeds,
    `live` of the net as it stands. Verdicts about completion are None for a net without final places.

    `home_states`: some marking can be reached from everywhere. `liveness` has Murata's level of each transition as far
    as it is known: 0 dead, 1 can fire, 3 can fire without end, 4 can always be made to fire again. `place_bounds` is
    the most tokens of each place as far as it is known. `by` says what decided a verdict: "state space", "reduction",
    "coverability", "stubborn sets", "siphons", "random walk" or "invariant"; such a verdict is as certain as one from
    the state space. `on_guards` names the verdicts that are true when guards say yes, and that some data may turn: from
    some marking an end, or a way on, hangs on what it holds.

    `deadlocks`: the kinds of deadlock that were found, one for each set of places in which it gets stuck, the nearest
    first; `every_deadlock` when there are no others. `structure` is worked out when it is looked at.
    """

    complete: bool
    states: int
    edges: int
    bounded: bool | None = None
    bound: int | None = None
    safe: bool | None = None
    live: bool | None = None
    reversible: bool | None = None
    deadlock_free: bool | None = None
    sound: bool | None = None
    option_to_complete: bool | None = None
    proper_completion: bool | None = None
    livelock_free: bool | None = None
    dead_transitions: tuple[str, ...] | None = None
    unbounded_places: tuple[str, ...] | None = None
    findings: tuple[Finding, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    home_states: bool | None = None
    liveness: Mapping[str, int] = field(default_factory=dict)
    place_bounds: Mapping[str, int] = field(default_factory=dict)
    net_class: tuple[str, ...] = ()
    by: Mapping[str, str] = field(default_factory=dict)
    deadlocks: tuple[Finding, ...] = ()
    every_deadlock: bool = False
    structure: Structure | None = None
    on_guards: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[Finding, ...]:
        """The findings, with the kinds of deadlock that are not among them after those that are."""
        stuck = [number for number, one in enumerate(self.findings) if one.code is FindingCode.DEADLOCK]
        known = {self.findings[number].places for number in stuck}
        others = (one for one in self.deadlocks if one.places not in known)
        after = stuck[-1] + 1 if stuck else len(self.findings)
        return (*self.findings[:after], *others, *self.findings[after:])
