"""Markings: how many tokens are where. Pure.

A marking is a mapping from place to a count above zero; places without tokens are not in it.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from engine.nets.model import Arc, Mode, Net

Marking: TypeAlias = Mapping[str, int]

NOWHERE = "nowhere"


def moved(marking: Marking, mode: Mode) -> dict[str, int]:
    """What `mode` makes of `marking`: inputs are taken, resets emptied, outputs put, in this order.

    The caller has seen that the mode is enabled.
    """
    if mode.transition.resets:
        return _with_resets(marking, mode)
    after = {**marking}
    for place, change in mode.change:
        count = after.get(place, 0) + change
        assert count >= 0, f"{mode.name} is not enabled"
        if count:
            after[place] = count
        else:
            del after[place]
    return after


def _with_resets(marking: Marking, mode: Mode) -> dict[str, int]:
    left = {place: count for place, count in marking.items() if place not in mode.transition.resets}
    for arc in mode.inputs:
        if arc.place in left:
            left[arc.place] -= arc.weight
    for arc in mode.transition.outputs:
        left[arc.place] = left.get(arc.place, 0) + arc.weight
    return {place: count for place, count in left.items() if count}


def lacking(marking: Marking, arcs: Iterable[Arc]) -> list[Arc]:
    """Those of `arcs` whose place has fewer tokens than their weight."""
    return [arc for arc in arcs if marking.get(arc.place, 0) < arc.weight]


def enabled(marking: Marking, mode: Mode) -> bool:
    """Whether the places let `mode` fire; guards are not looked at."""
    for place, weight in mode.needs:
        if marking.get(place, 0) < weight:
            return False
    for place, weight in mode.forbids:  # noqa: SIM110 - a generator costs more than all the rest
        if marking.get(place, 0) >= weight:
            return False
    return True


def in_words(marking: Marking, order: Iterable[str]) -> str:
    """The state as people read it: the marked places in the order of the net, joined by ` + `, `3×` before a place with
    three tokens."""
    parts = [place if marking[place] == 1 else f"{marking[place]}×{place}" for place in order if place in marking]
    return " + ".join(parts) or NOWHERE


def state_of(net: Net, marking: Marking) -> str:
    """`in_words`, of a token of `net`; takes as long as the marking is, however large the net."""
    ranks = net.ranks
    known = [place for place in marking if place in ranks]
    if len(known) > 1:
        known.sort(key=ranks.__getitem__)
    return in_words(marking, known)
