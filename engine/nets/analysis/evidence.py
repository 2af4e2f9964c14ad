"""Traces: the runs that show what a finding says. Pure.

Among all runs to the states in question the one with the fewest guarded steps is shown, and of those the shortest: when
it has no guarded step, the finding holds whatever the data.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from heapq import heappop, heappush

from engine.nets.analysis.model import Finding, FindingCode, Severity, Step
from engine.nets.analysis.states import StateSpace

Way = Sequence[tuple[int, int]]
"""The steps of a run from the start: (mode, state)."""


class Evidence:
    def __init__(self, space: StateSpace) -> None:
        self._space = space

    @cached_property
    def guarded(self) -> bool:
        """Whether any transition has a guard."""
        return any(move.guarded for move in self._space.moves)

    def best(self, states: Iterable[int]) -> int | None:
        """Of `states`, which are in the order they were found, the one with the best run to it."""
        if not self.guarded:
            return next(iter(states), None)
        return min(states, key=self.cost, default=None)

    def cost(self, state: int) -> tuple[int, int]:
        """Less for a better run: its guarded steps, then how far it is."""
        return self._best_runs[0][state] if self.guarded else (0, state)

    def way_to(self, state: int) -> Way:
        if not self.guarded:
            return self._space.way_to(state)
        steps: list[tuple[int, int]] = []
        while state:
            before, mode = self._before[state]
            steps.append((mode, state))
            state = before
        return steps[::-1]

    def finding(
        self, code: FindingCode, severity: Severity, message: str, way: Way, *, places: tuple[str, ...]
    ) -> Finding:
        """A finding with the run along `way`."""
        space = self._space
        passed = dict.fromkeys(space.net.modes[mode].transition.id for mode, _ in way)
        guarded = any(space.moves[mode].guarded for mode, _ in way)
        trace = (Step(space.marking(0)), *self.steps(way))
        return Finding(code, severity, message, places, tuple(passed), trace, guarded)

    def steps(self, way: Way) -> tuple[Step, ...]:
        modes = self._space.net.modes
        return tuple(
            Step(self._space.marking(state), modes[mode].transition.id, modes[mode].source) for mode, state in way
        )

    @cached_property
    def _best_runs(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """For each state (guarded steps, steps) of the best run, and (state before, mode) on it. Dijkstra (1959)."""
        space = self._space
        far = (len(space) + 1, 0)
        costs = [far] * len(space)
        before = [(0, 0)] * len(space)
        costs[0] = (0, 0)
        waiting = [(0, 0, 0)]
        while waiting:
            guards, steps, state = heappop(waiting)
            if costs[state] != (guards, steps) or state >= space.settled:
                continue
            for edge in range(space.starts[state], space.starts[state + 1]):
                mode, after = space.labels[edge], space.targets[edge]
                cost = (guards + space.moves[mode].guarded, steps + 1)
                if cost < costs[after]:
                    costs[after] = cost
                    before[after] = (state, mode)
                    heappush(waiting, (*cost, after))
        return costs, before

    @property
    def _before(self) -> list[tuple[int, int]]:
        return self._best_runs[1]
