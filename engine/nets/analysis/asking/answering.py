"""Answers to questions, over the state space. Pure.

Each part of a question is decided for all states at once, bottom up (Clarke, Emerson & Sistla 1986). Where the space
was not searched to its end each part has two answers, what is certain and what may be: they meet where it does not
matter what lies beyond. A run that gets stuck, or comes to its end, ends there; EG is of runs that end too.
"""

import operator
from collections import deque
from collections.abc import Callable
from functools import cached_property

from engine.nets.analysis.asking.model import (
    Always,
    Answer,
    Compared,
    Enabled,
    Joined,
    Named,
    Negated,
    Next,
    Question,
    Until,
    Verdict,
)
from engine.nets.analysis.asking.parsing import parse
from engine.nets.analysis.components import Numbers
from engine.nets.analysis.evidence import Evidence
from engine.nets.analysis.model import FindingCode, Severity, Step
from engine.nets.analysis.packing import Packed
from engine.nets.analysis.states import KeepGoing, StateSpace, explore
from engine.nets.model import Net

MOST_STATES = 200_000

Marks = bytearray
"""One byte a state: 1 where something holds."""
Both = tuple[Marks, Marks]
"""Where it holds for certain, and where it may."""

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def ask(net: Net, question: str, *, most_states: int = MOST_STATES, keep_going: KeepGoing = lambda: True) -> Answer:
    """Answer `question` (the words are in `asking.parsing`) about all runs of `net`, guards taken as "may".

    Raises InvalidInput for a question that cannot be read.
    """
    asked = parse(question, net)
    space = explore(net, most_states, keep_going)
    return _Labels(space).answer(asked)


class _Labels:
    def __init__(self, space: StateSpace) -> None:
        self._space = space
        self._count = len(space)
        self._known: dict[Question, Both] = {}

    def answer(self, asked: Question) -> Answer:
        certain, may = self._both(asked)
        seen = self._count
        if not certain[0] and may[0]:
            words = f"not proven: the first {seen:,} states do not decide it, and there are more"
            return Answer(Verdict.NOT_PROVEN, words, states=seen)
        holds = bool(certain[0])
        way, loop = self._run(asked, holds)
        trace: tuple[Step, ...] = ()
        guarded = False
        if way is not None:
            evidence = Evidence(self._space)
            found = evidence.finding(FindingCode.STRUCTURE, Severity.INFO, "", way, places=())
            trace, guarded = found.trace, found.depends_on_guards
        verdict = Verdict.HOLDS if holds else Verdict.FAILS
        return Answer(verdict, "it holds" if holds else "it does not hold", trace, loop, guarded, seen)

    # -- where it holds ---------------------------------------------------------------------------------------------

    def _both(self, asked: Question) -> Both:
        if asked not in self._known:
            self._known[asked] = self._labelled(asked)
        return self._known[asked]

    def _labelled(self, asked: Question) -> Both:
        match asked:
            case Negated(inner):
                certain, may = self._both(inner)
                return _not(may), _not(certain)
            case Joined(word, parts):
                found = [self._both(part) for part in parts]
                join = _all if word == "and" else _any
                return join([one for one, _ in found]), join([may for _, may in found])
            case Next(inner):
                certain, may = self._both(inner)
                return self._before(certain, 0), self._before(may, 1)
            case Until(hold, goal):
                (holds, may_hold), (goals, may_goal) = self._both(hold), self._both(goal)
                beyond = _all([may_hold, self._beyond])
                return self._backwards(holds, goals), self._backwards(may_hold, _any([may_goal, beyond]))
            case Always(inner):
                certain, may = self._both(inner)
                return self._staying(certain, 0), self._staying(may, 1)
            case _:
                marks = self._here(asked)
                return marks, marks

    def _here(self, asked: Compared | Enabled | Named) -> Marks:
        space, packing = self._space, self._space.packing
        match asked:
            case Compared(left, sign, right):
                at = {place: number for number, place in enumerate(space.net.place_ids)}
                fields = [(packing.shifts[at[place]], (1 << packing.bits[at[place]]) - 1, n) for place, n in left]
                compare = _COMPARE[sign]
                return Marks(
                    compare(sum((one >> shift & mask) * n for shift, mask, n in fields), right) for one in space.packed
                )
            case Enabled(transition):
                modes = [
                    Packed(move, packing)
                    for move in space.moves
                    if space.net.modes[move.mode].transition.id == transition
                ]
                return Marks(any(mode.enabled(one) for mode in modes) for one in space.packed)
            case Named(name):
                ends = {
                    packing.pack([(n, 1)]) for n, place in enumerate(space.net.place_ids) if place in space.net.final
                }
                if name == "true":
                    return Marks(b"\1" * self._count)
                if name == "final":
                    return Marks(one in ends for one in space.packed)
                able = _any([self._here(Enabled(one.id)) for one in space.net.transitions] or [Marks(self._count)])
                return Marks(not go and one not in ends for go, one in zip(able, space.packed, strict=True))

    @cached_property
    def _beyond(self) -> Marks:
        """The states whose ways on are not known."""
        settled = self._space.settled
        return Marks(settled) + Marks(b"\1" * (self._count - settled))

    def _row(self, state: int) -> Numbers:
        starts = self._space.starts
        return self._space.targets[starts[state] : starts[state + 1]]

    def _before(self, marks: Marks, beyond: int) -> Marks:
        settled = self._space.settled
        found = Marks(any(marks[after] for after in self._row(state)) for state in range(settled))
        return found + Marks([beyond]) * (self._count - settled)

    def _backwards(self, hold: Marks, goal: Marks) -> Marks:
        ends, sources = self._space.before
        found = Marks(goal)
        waiting = [state for state, marked in enumerate(goal) if marked]
        while waiting:
            state = waiting.pop()
            for before in sources[ends[state] : ends[state + 1]]:
                if hold[before] and not found[before]:
                    found[before] = 1
                    waiting.append(before)
        return found

    def _staying(self, marks: Marks, beyond: int) -> Marks:
        """Where some run stays within `marks` to its end or for ever: the greatest fixed point, by taking away the
        states that have lost their last way on."""
        ends, sources = self._space.before
        settled, starts = self._space.settled, self._space.starts
        found = Marks(marks)
        ways = [0] * self._count
        waiting = []
        for state in range(self._count):
            if not marks[state]:
                continue
            if state >= settled:
                ways[state] = beyond
            elif starts[state] == starts[state + 1]:
                ways[state] = 1  # a run may end here
            else:
                ways[state] = sum(marks[after] for after in self._row(state))
            if not ways[state]:
                found[state] = 0
                waiting.append(state)
        while waiting:
            state = waiting.pop()
            for before in sources[ends[state] : ends[state + 1]]:
                if found[before]:
                    ways[before] -= 1
                    if not ways[before]:
                        found[before] = 0
                        waiting.append(before)
        return found

    # -- runs that show it --------------------------------------------------------------------------------------------

    def _run(self, asked: Question, holds: bool) -> tuple[list[tuple[int, int]] | None, int | None]:
        while isinstance(asked, Negated):
            asked, holds = asked.inner, not holds
        if not holds:
            return None, None
        match asked:
            case Until(hold, goal):
                return self._to(self._both(hold)[0], self._both(goal)[0]), None
            case Next(inner):
                return self._to(Marks(b"\1") + Marks(self._count - 1), self._both(inner)[0], least=1), None
            case Always():
                return self._lasso(self._both(asked)[0])
            case _:
                return [], None

    def _to(self, hold: Marks, goal: Marks, *, least: int = 0) -> list[tuple[int, int]] | None:
        """A shortest run through `hold` to `goal`."""
        if goal[0] and not least:
            return []
        space = self._space
        before: dict[int, tuple[int, int]] = {}
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            if state >= space.settled or not hold[state]:
                continue
            for edge in range(space.starts[state], space.starts[state + 1]):
                after = space.targets[edge]
                if after in before:
                    continue
                before[after] = (state, space.labels[edge])
                if goal[after]:
                    return _back(before, after)
                waiting.append(after)
        return None

    def _lasso(self, inside: Marks) -> tuple[list[tuple[int, int]], int | None]:
        """A run that stays `inside` until it ends or comes back to where it was."""
        space = self._space
        way: list[tuple[int, int]] = []
        at, seen = 0, {0: 0}
        while True:
            edges = range(space.starts[at], space.starts[at + 1])
            edge = next((one for one in edges if inside[space.targets[one]]), None)
            if edge is None:
                return way, None
            at = space.targets[edge]
            way.append((space.labels[edge], at))
            if at in seen:
                return way, seen[at]
            seen[at] = len(way)


def _back(before: dict[int, tuple[int, int]], state: int) -> list[tuple[int, int]]:
    steps = []
    while True:
        source, mode = before[state]
        steps.append((mode, state))
        state = source
        if not state:
            return steps[::-1]


def _not(marks: Marks) -> Marks:
    return marks.translate(b"\1\0" + bytes(254))


def _all(found: list[Marks]) -> Marks:
    return Marks(map(min, *found)) if len(found) > 1 else found[0]


def _any(found: list[Marks]) -> Marks:
    return Marks(map(max, *found)) if len(found) > 1 else found[0]
