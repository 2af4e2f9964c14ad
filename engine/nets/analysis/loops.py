"""How a run that never ends goes on: into a loop, and once round it. Pure."""

from array import array
from collections import deque
from collections.abc import Callable

from engine.nets.analysis.components import components
from engine.nets.analysis.states import StateSpace

Steps = list[tuple[int, int]]
"""(mode, state) in order."""


def round_trip(space: StateSpace, state: int) -> tuple[Steps, int]:
    """The nearest loop to `state`, from which one goes on for ever: the steps into it and once round it, and how many
    of them are the loop. One without guards is taken before all others."""
    free = _looped(space, state, lambda mode: not space.moves[mode].guarded)
    found = free or _looped(space, state, lambda mode: True)
    assert found is not None, "it comes to an end"
    return found


def _looped(space: StateSpace, state: int, may_take: Callable[[int], bool]) -> tuple[Steps, int] | None:
    order, came = [state], {state: (state, -1)}
    rows: list[list[tuple[int, int]]] = []
    for one in order:  # grows
        row = [
            (space.labels[edge], space.targets[edge])
            for edge in range(space.starts[one], space.starts[one + 1])
            if may_take(space.labels[edge])
        ]
        rows.append(row)
        for mode, after in row:
            if after not in came:
                came[after] = (one, mode)
                order.append(after)
    number = {one: n for n, one in enumerate(order)}
    starts, targets = array("Q", [0]), array("I")
    for row in rows:
        targets.extend(number[after] for _, after in row)
        starts.append(len(targets))
    graph = components(len(order), starts, targets)
    for n, one in enumerate(order):
        inside = {order[member] for member in graph.members(graph.of[n])}
        if len(inside) > 1 or any(after == one for _, after in rows[n]):
            lead: Steps = []
            at = one
            while at != state:
                before, mode = came[at]
                lead.append((mode, at))
                at = before
            turn = _round(rows, number, one, inside)
            return lead[::-1] + turn, len(turn)
    return None


def _round(rows: list[list[tuple[int, int]]], number: dict[int, int], first: int, inside: set[int]) -> Steps:
    """A shortest way from `first` back to it, through states of `inside`, which all lead to each other."""
    came: dict[int, tuple[int, int]] = {}
    waiting = deque([first])
    while first not in came:
        one = waiting.popleft()
        for mode, after in rows[number[one]]:
            if after in inside and after not in came:
                came[after] = (one, mode)
                waiting.append(after)
    steps: Steps = []
    at = first
    while not steps or at != first:
        before, mode = came[at]
        steps.append((mode, at))
        at = before
    return steps[::-1]
