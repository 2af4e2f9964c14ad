"""Random walks: a cheap look beyond what was searched. Pure; the same for the same seed.

A walk that meets something wrong is a real run that shows it; walks that meet nothing prove nothing. What is found is
made shorter as far as that goes: turns that lead back are left out, then stretches, half of it first and single steps
at last, as long as what is left can still fire and ends in something as wrong (Zeller & Hildebrandt 2002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.nets.analysis.packing import Move, Packed, Packing
from engine.nets.analysis.states import KeepGoing
from engine.nets.chance import uniform_numbers

LONGEST = 2_000  # steps of one walk
_MOST_WORK = 400_000  # looks at moves, about a quarter of a second
_MOST_SHORTENING = 200_000  # steps fired again

Wrong = Callable[[int, bool], bool]
"""Whether a packed marking, and whether nothing can fire in it, is what is looked for."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A run from the first marking: the modes it fires, and the packed markings after each."""

    modes: tuple[int, ...]
    markings: tuple[int, ...]


def walks(
    moves: Sequence[Move],
    packing: Packing,
    first: int,
    wanted: dict[str, Wrong],
    keep_going: KeepGoing,
    *,
    seed: int = 0,
    most_work: int = _MOST_WORK,
) -> dict[str, Walk]:
    """For each of `wanted` that some walk comes to, a run to it. A walk ends where nothing can fire, where a field is
    full, or after `LONGEST` steps."""
    draw = uniform_numbers(seed)
    packed = [Packed(move, packing) for move in moves]
    found: dict[str, Walk] = {}
    work = 0
    while moves and work < most_work and len(found) < len(wanted) and keep_going():
        marking, modes, markings = first, list[int](), list[int]()
        while len(modes) <= LONGEST and work < most_work and not marking & packing.guards:
            able = [move for move in packed if move.enabled(marking)]
            work += len(packed)
            for name, wrong in wanted.items():
                if name not in found and wrong(marking, not able):
                    found[name] = _shorter(Walk(tuple(modes), tuple(markings)), packed, packing, first, wrong)
            if not able:
                break
            move = able[int(draw() * len(able))]
            marking = move.fired(marking)
            modes.append(move.mode)
            markings.append(marking)
    return found


def _shorter(walk: Walk, packed: Sequence[Packed], packing: Packing, first: int, wrong: Wrong) -> Walk:
    best = _without_turns(walk, first)
    work, length = 0, max(1, len(best.modes) // 2)
    while best.modes and work < _MOST_SHORTENING:
        at, before = 0, len(best.modes)
        while at < len(best.modes) and work < _MOST_SHORTENING:
            tried = _replayed((*best.modes[:at], *best.modes[at + length :]), packed, packing, first)
            work += len(best.modes)
            if tried is not None and _ends(tried, packed, first, wrong):
                best = _without_turns(tried, first)
            else:
                at += length
        if length == 1 and len(best.modes) == before:
            break
        length = max(1, length // 2)
    return best


def _without_turns(walk: Walk, first: int) -> Walk:
    """`walk` without the steps between two times in the same marking."""
    modes: list[int] = []
    path = [first]
    where = {first: 0}
    for mode, marking in zip(walk.modes, walk.markings, strict=True):
        if marking in where:
            back = where[marking]
            for left in path[back + 1 :]:
                del where[left]
            del modes[back:], path[back + 1 :]
        else:
            where[marking] = len(path)
            modes.append(mode)
            path.append(marking)
    return Walk(tuple(modes), tuple(path[1:]))


def _replayed(modes: Sequence[int], packed: Sequence[Packed], packing: Packing, first: int) -> Walk | None:
    markings, marking = [], first
    for mode in modes:
        if not packed[mode].enabled(marking):
            return None
        marking = packed[mode].fired(marking)
        if marking & packing.guards:
            return None
        markings.append(marking)
    return Walk(tuple(modes), tuple(markings))


def _ends(walk: Walk, packed: Sequence[Packed], first: int, wrong: Wrong) -> bool:
    last = walk.markings[-1] if walk.markings else first
    return wrong(last, not any(move.enabled(last) for move in packed))
