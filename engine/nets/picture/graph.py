"""What a net picture draws: places, transitions and arcs, nothing that moves.

A picture draws the *modes* of a net. An any-of transition (`fromStates: [a, b]`) becomes one drawn transition per
source, each with a wire of its own, because one box with two inputs would say that it needs both.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from engine.nets.model import Mode, Net, merged

ArcKind = Literal["input", "output", "read", "inhibitor", "reset"]


@dataclass(frozen=True, slots=True)
class DrawnPlace:
    """`initial` is where the net starts, which the layout likes to know; the tokens of the moment are in a `Scene`."""

    id: str
    label: str = ""
    initial: int = 0
    final: bool = False

    @property
    def name(self) -> str:
        return self.label or self.id


@dataclass(frozen=True, slots=True)
class DrawnTransition:
    """One way to fire a transition. `mode` tells it from all others; `transition` and `source` are what to fire."""

    mode: str
    transition: str
    source: str | None = None
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.transition


@dataclass(frozen=True, slots=True)
class DrawnArc:
    """`output` goes from the transition to the place, every other kind from the place to the transition."""

    place: str
    mode: str
    kind: ArcKind = "input"
    weight: int = 1


Element = DrawnPlace | DrawnTransition | DrawnArc


@dataclass(frozen=True)
class Graph:
    """What to draw, in the order of the definition. The order breaks ties, so that a net looks the same every time."""

    places: tuple[DrawnPlace, ...] = ()
    transitions: tuple[DrawnTransition, ...] = ()
    arcs: tuple[DrawnArc, ...] = ()

    @cached_property
    def place_of(self) -> Mapping[str, DrawnPlace]:
        return {place.id: place for place in self.places}

    @cached_property
    def transition_of(self) -> Mapping[str, DrawnTransition]:
        """Drawn transitions by the name of their mode."""
        return {transition.mode: transition for transition in self.transitions}

    @cached_property
    def arcs_of(self) -> Mapping[str, tuple[DrawnArc, ...]]:
        """The arcs of each mode, in the order of the definition; a mode without arcs has none here."""
        found: defaultdict[str, list[DrawnArc]] = defaultdict(list)
        for arc in self.arcs:
            found[arc.mode].append(arc)
        return {mode: tuple(arcs) for mode, arcs in found.items()}


def graph_of(net: Net) -> Graph:
    """What to draw of `net`."""
    places = (DrawnPlace(p.id, p.label, net.initial.get(p.id, 0), p.id in net.final) for p in net.places)
    modes = {mode.name: mode for mode in net.modes}
    return Graph(
        places=tuple(places),
        transitions=tuple(
            DrawnTransition(name, mode.transition.id, mode.source, mode.transition.label)
            for name, mode in modes.items()
        ),
        arcs=tuple(dict.fromkeys(arc for mode in modes.values() for arc in _arcs(mode))),
    )


def _arcs(mode: Mode) -> Iterator[DrawnArc]:
    transition = mode.transition
    kinds: tuple[tuple[ArcKind, Iterator[tuple[str, int]]], ...] = (
        ("input", ((arc.place, arc.weight) for arc in merged(mode.inputs))),
        ("read", ((arc.place, arc.weight) for arc in transition.reads)),
        ("inhibitor", ((arc.place, arc.weight) for arc in transition.inhibitors)),
        ("reset", ((place, 1) for place in transition.resets)),
        ("output", ((arc.place, arc.weight) for arc in merged(transition.outputs))),
    )
    for kind, ends in kinds:
        for place, weight in ends:
            yield DrawnArc(place, mode.name, kind, weight)
