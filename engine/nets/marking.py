"""Markings: how many tokens are where. Pure.

A marking is a mapping from place to a count above zero; places without tokens are not in it.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from engine.nets.model import Arc, Mode

Marking: TypeAlias = Mapping[str, int]

NOWHERE = "nowhere"


def moved(marking: Marking, mode: Mode) -> dict[str, int]:
    """What `mode` makes of `marking`: inputs are taken, resets emptied, outputs put, in this order.

    The caller has seen that the mode is enabled.
    """
    transition = mode.transition
    after = dict(marking)
    for arc in mode.inputs:
        left = after[arc.place] - arc.weight
        assert left >= 0, f"{mode.name} is not enabled"
        if left:
            after[arc.place] = left
        else:
            del after[arc.place]
    for place in transition.resets:
        after.pop(place, None)
    for arc in transition.outputs:
        after[arc.place] = after.get(arc.place, 0) + arc.weight
    return after


def lacking(marking: Marking, arcs: Iterable[Arc]) -> list[Arc]:
    """Those of `arcs` whose place has fewer tokens than their weight."""
    return [arc for arc in arcs if marking.get(arc.place, 0) < arc.weight]


def enabled(marking: Marking, mode: Mode) -> bool:
    """Whether the places let `mode` fire; guards are not looked at."""
    for arc in mode.inputs:
        if marking.get(arc.place, 0) < arc.weight:
            return False
    for arc in mode.transition.reads:
        if marking.get(arc.place, 0) < arc.weight:
            return False
    return not any(marking.get(arc.place, 0) >= arc.weight for arc in mode.transition.inhibitors)


def in_words(marking: Marking, order: Iterable[str]) -> str:
    """The state as people read it: the marked places in the order of the net, joined by ` + `, `3×` before a place with
    three tokens."""
    parts = [place if marking[place] == 1 else f"{marking[place]}×{place}" for place in order if place in marking]
    return " + ".join(parts) or NOWHERE
