"""From where an end is reached when guards may say no: how far the option to complete hangs on the data. Pure.

Guards *leave no gap* when any data passes at least one of them (`engine.rules.exhaustive`). Both sets are least fixed
points, so that a way on that only leads round in a loop does not count.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from engine.nets.analysis.states import StateSpace

LeaveNoGap: TypeAlias = Callable[[Iterable[int]], bool]


def certain(space: StateSpace, ends: Iterable[int], leave_no_gap: LeaveNoGap) -> bytearray:
    """For each state 1 when data cannot keep it from an end: it is one; a step without a guard leads to such a state;
    or several guarded ones do that leave no gap. `space` is complete."""

    def wins(row: set[int], good: set[int]) -> bool:
        return leave_no_gap(good)

    return _winning(space, ends, wins)


def open_to_all(space: StateSpace, ends: Iterable[int], leave_no_gap: LeaveNoGap) -> bytearray:
    """The same where guards that leave no gap may take any of their steps: what is left is a choice that comes again,
    as "try again" beside "give up", and no guard has to say yes without another that stands in for it."""

    def wins(row: set[int], good: set[int]) -> bool:
        return leave_no_gap({mode for mode in row if space.moves[mode].guarded})

    return _winning(space, ends, wins)


def _winning(space: StateSpace, ends: Iterable[int], wins: Callable[[set[int], set[int]], bool]) -> bytearray:
    """`wins(modes, good)`: whether a state with so many ways on has won when the `good` ones, all guarded, have."""
    bounds, before = space.before
    won = bytearray(len(space))
    waiting = list(ends)
    for state in waiting:
        won[state] = 1
    while waiting:
        state = waiting.pop()
        for one in before[bounds[state] : bounds[state + 1]]:
            if won[one]:
                continue
            edges = range(space.starts[one], space.starts[one + 1])
            good = {space.labels[edge] for edge in edges if won[space.targets[edge]]}
            guarded = all(space.moves[mode].guarded for mode in good)
            if not guarded or wins({space.labels[edge] for edge in edges}, good):
                won[one] = 1
                waiting.append(one)
    return won
