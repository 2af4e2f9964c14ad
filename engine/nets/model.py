"""What a net is made of. Frozen data, no behaviour beyond looking things up.

A net is a place/transition net with weights, read, inhibitor and reset arcs (Murata 1989; Christensen & Hansen 1993;
Dufourd et al. 1998), several ways to fire one transition (`modes`), and guards over a token's data.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.rules.compiled import Decision, decision
from engine.rules.model import Rule


@dataclass(frozen=True, slots=True)
class Place:
    """Where tokens can be. `label` is for people; `metadata` is the user's own.

    `timeout_s`: a token that stays longer than so many seconds is marked as overdue in its history. `notify`: whether
    a token that comes here, or is overdue here, is announced to the user.
    """

    id: str
    label: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Arc:
    """One end of a transition: `weight` tokens of `place`."""

    place: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Timer:
    """When a transition fires by itself: `after_s` seconds after the places began to let it fire, or at the moment
    (ISO 8601) that is in the data at the dotted path `at`. One of the two is given."""

    after_s: float | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """What moves tokens.

    `sources` is the any-of sugar (`fromStates: [a, b]`): each source is a mode of its own that takes one token from it,
    besides the `inputs` that every mode takes. Without sources there is one mode. `guard` must hold of the token's
    data; `conditions` is how the user wrote it.

    An `automatic` transition fires as soon as it can, one with a `timer` when its time has come. Where several could,
    the one with the highest `priority` goes first; priority never forbids. `sub_workflow` is the id of a workflow that
    runs inside: the transition fires when that one has come to an end.
    """

    id: str
    label: str = ""
    description: str = ""
    sources: tuple[str, ...] = ()
    inputs: tuple[Arc, ...] = ()
    outputs: tuple[Arc, ...] = ()
    reads: tuple[Arc, ...] = ()
    inhibitors: tuple[Arc, ...] = ()
    resets: tuple[str, ...] = ()
    guard: Rule | None = None
    conditions: tuple[str, ...] = ()
    automatic: bool = False
    priority: int = 0
    timer: Timer | None = None
    sub_workflow: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to fire a transition. `source` is None when the transition has no any-of sources.

    The rest is worked out once, for each firing asks it: `needs` are the least counts that must be there, `forbids`
    those that must not be reached, `change` what a firing adds to each place, but for resets. `allows` is the guard,
    ready to be asked; None without one.
    """

    transition: Transition
    source: str | None
    inputs: tuple[Arc, ...]
    needs: tuple[tuple[str, int], ...] = field(init=False, compare=False, repr=False)
    forbids: tuple[tuple[str, int], ...] = field(init=False, compare=False, repr=False)
    change: tuple[tuple[str, int], ...] = field(init=False, compare=False, repr=False)
    allows: Decision | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        transition = self.transition
        change = {arc.place: arc.weight for arc in merged(transition.outputs)}
        for arc in self.inputs:
            change[arc.place] = change.get(arc.place, 0) - arc.weight
        for name, value in (
            ("needs", tuple((arc.place, arc.weight) for arc in (*self.inputs, *transition.reads))),
            ("forbids", tuple((arc.place, arc.weight) for arc in transition.inhibitors)),
            ("change", tuple((place, count) for place, count in change.items() if count)),
            ("allows", decision(transition.guard) if transition.guard else None),
        ):
            object.__setattr__(self, name, value)  # it is frozen

    @property
    def name(self) -> str:
        return self.transition.id if self.source is None else f"{self.transition.id}@{self.source}"


@dataclass(frozen=True)
class Net:
    """Places and transitions in the order of their definition, the first marking, and the final places.

    `final` empty means that the net runs for ever.
    """

    places: tuple[Place, ...]
    transitions: tuple[Transition, ...]
    initial: Mapping[str, int]
    final: frozenset[str] = frozenset()

    @cached_property
    def place_ids(self) -> tuple[str, ...]:
        return tuple(place.id for place in self.places)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The places with their numbers in the order of the net."""
        return {name: number for number, name in enumerate(self.place_ids)}

    @cached_property
    def transition_of(self) -> Mapping[str, Transition]:
        return {transition.id: transition for transition in self.transitions}

    @cached_property
    def modes_of(self) -> Mapping[str, tuple[Mode, ...]]:
        """The modes of each transition, in the order of its sources."""
        return {transition.id: tuple(_modes(transition)) for transition in self.transitions}

    @cached_property
    def timed(self) -> tuple[Transition, ...]:
        """The transitions that fire when their time has come."""
        return tuple(transition for transition in self.transitions if transition.timer)

    @cached_property
    def watched(self) -> tuple[Place, ...]:
        """The places in which a token can be overdue."""
        return tuple(place for place in self.places if place.timeout_s is not None)

    @cached_property
    def announcing(self) -> tuple[str, ...]:
        """The places whose tokens are announced to the user."""
        return tuple(place.id for place in self.places if place.notify)

    @cached_property
    def automatic(self) -> tuple[Transition, ...]:
        """The transitions that fire as soon as they can, the most urgent first."""
        found = (transition for transition in self.transitions if transition.automatic)
        return tuple(sorted(found, key=lambda transition: -transition.priority))

    @cached_property
    def restless(self) -> bool:
        """Whether a firing may ask for more than the move itself."""
        return bool(self.timed or self.watched or self.automatic or any(t.sub_workflow for t in self.transitions))

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        return tuple(mode for transition in self.transitions for mode in self.modes_of[transition.id])


def _modes(transition: Transition) -> Iterator[Mode]:
    if not transition.sources:
        yield Mode(transition, None, merged(transition.inputs))
    for source in transition.sources:
        yield Mode(transition, source, merged((*transition.inputs, Arc(source))))


def merged(arcs: Iterable[Arc]) -> tuple[Arc, ...]:
    """Arcs with one entry per place, weights added up."""
    weights: dict[str, int] = {}
    for arc in arcs:
        weights[arc.place] = weights.get(arc.place, 0) + arc.weight
    return tuple(Arc(place, weight) for place, weight in weights.items())
