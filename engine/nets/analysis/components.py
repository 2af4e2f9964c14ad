"""Strongly connected components, and what can be reached, over a graph in compressed sparse rows. Pure."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Numbers: TypeAlias = "array[int]"


@dataclass
class Components:
    """`of[state]` is the number of its component; a component's number is lower than those that lead to it.

    `order` has the states by component, `bounds` where in it each component begins, with the end at last.
    """

    of: list[int]
    order: list[int]
    bounds: list[int]
    starts: Sequence[int]
    targets: Sequence[int]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def members(self, component: int) -> list[int]:
        return self.order[self.bounds[component] : self.bounds[component + 1]]

    def row(self, state: int) -> Sequence[int]:
        return self.targets[self.starts[state] : self.starts[state + 1]] if state + 1 < len(self.starts) else ()

    @cached_property
    def bottoms(self) -> list[int]:
        """The components that are never left."""
        of, starts, targets = self.of, self.starts, self.targets
        left = bytearray(len(self))
        for state in range(len(starts) - 1):
            own = of[state]
            if not left[own]:
                for after in targets[starts[state] : starts[state + 1]]:
                    if of[after] != own:
                        left[own] = 1
                        break
        return [component for component in range(len(self)) if not left[component]]

    def reaching(self, goals: Iterable[int]) -> bytearray:
        """For each state 1 when one of `goals` can be reached from it, the goals included."""
        of, starts, targets = self.of, self.starts, self.targets
        good = bytearray(len(self))
        for state in goals:
            good[of[state]] = 1
        last = len(starts) - 1
        for component in range(len(self)):
            if good[component]:
                continue
            for state in self.order[self.bounds[component] : self.bounds[component + 1]]:
                if state < last and any(good[of[after]] for after in targets[starts[state] : starts[state + 1]]):
                    good[component] = 1
                    break
        return bytearray([good[component] for component in of])


def components(count: int, starts: Numbers, targets: Numbers) -> Components:
    """The components of a graph of `count` states. Tarjan (1972), without recursion."""
    order = [0] * count
    low = [0] * count
    component = [-1] * count
    closed: list[int] = []
    bounds = [0]
    open_states: list[int] = []
    clock = 0
    at = list(starts[:-1]) + [starts[-1]] * (count + 1 - len(starts))
    ends = [*starts[1:], *([starts[-1]] * (count + 1 - len(starts)))]
    for root in range(count):
        if order[root]:
            continue
        clock += 1
        order[root] = low[root] = clock
        open_states.append(root)
        trail = [root]
        while trail:
            state = trail[-1]
            position, end = at[state], ends[state]
            lowest = low[state]
            while position < end:
                after = targets[position]
                position += 1
                if not order[after]:
                    clock += 1
                    order[after] = low[after] = clock
                    open_states.append(after)
                    trail.append(after)
                    break
                if component[after] < 0 and low[after] < lowest:
                    lowest = low[after]
            else:
                trail.pop()
                if lowest == order[state]:
                    number = len(bounds) - 1
                    while True:
                        member = open_states.pop()
                        component[member] = number
                        closed.append(member)
                        if member == state:
                            break
                    bounds.append(len(closed))
                elif trail and lowest < low[trail[-1]]:
                    low[trail[-1]] = lowest
            at[state] = position
            low[state] = lowest
    return Components(component, closed, bounds, starts, targets)
