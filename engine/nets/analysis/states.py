"""The state space: every marking that can be reached, guards taken as "may". The ground truth of the analysis.

Searched breadth first, so that the way back along the parents is a shortest trace. Where a marking covers one of its
ancestors and the steps between can be repeated for ever, the net is unbounded and the search ends soon after: the
witness holds with all kinds of arcs when some growing place is not reset, and none is inhibited, by those steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.nets.model import Net

Tokens = tuple[int, ...]
"""A marking as counts, in the order of the net's places."""

KeepGoing = Callable[[], bool]
"""Asked every thousand states whether there is time left."""

_ASK_EVERY = 1024
_BEYOND = 2_000  # states still searched after growth was seen, for what else there is to find


@dataclass(frozen=True, slots=True)
class _Move:
    """A mode by the numbers of its places."""

    mode: int
    needs: tuple[tuple[int, int], ...]  # place, at least; for inputs and reads
    below: tuple[tuple[int, int], ...]  # place, fewer than
    takes: tuple[tuple[int, int], ...]
    empties: tuple[int, ...]
    puts: tuple[tuple[int, int], ...]

    def enabled(self, tokens: Tokens) -> bool:
        return all(tokens[place] >= weight for place, weight in self.needs) and all(
            tokens[place] < weight for place, weight in self.below
        )

    def fired(self, tokens: Tokens) -> Tokens:
        after = list(tokens)
        for place, weight in self.takes:
            after[place] -= weight
        for place in self.empties:
            after[place] = 0
        for place, weight in self.puts:
            after[place] += weight
        return tuple(after)


@dataclass(slots=True)
class StateSpace:
    """States by number, 0 the first. `edges[state]` are (mode, next state); modes are numbered as in `Net.modes`.

    `complete`: all states were found. `unbounded` is the state at which growth without end was seen, with the places
    that grow.
    """

    net: Net
    states: list[Tokens] = field(default_factory=list)
    edges: list[list[tuple[int, int]]] = field(default_factory=list)
    parents: list[tuple[int, int]] = field(default_factory=list)  # state, mode
    complete: bool = False
    unbounded: tuple[int, tuple[int, ...]] | None = None

    def way_to(self, state: int) -> list[tuple[int, int]]:
        """The steps of a shortest run to `state`: (mode, state), in order."""
        steps = []
        while state:
            parent, mode = self.parents[state]
            steps.append((mode, state))
            state = parent
        return steps[::-1]


def explore(net: Net, most_states: int, keep_going: KeepGoing) -> StateSpace:
    """Search all markings reachable from the first, up to `most_states` and as long as `keep_going()`."""
    moves = _moves(net)
    space = StateSpace(net)
    first = tuple(net.initial.get(place, 0) for place in net.place_ids)
    number = {first: 0}
    weights = [sum(first)]
    least = [weights[0]]  # the least weight on the way to each state
    space.states.append(first)
    space.parents.append((0, -1))
    for state, tokens in enumerate(space.states):  # grows
        if state % _ASK_EVERY == 0 and not keep_going():
            return space
        outgoing: list[tuple[int, int]] = []
        space.edges.append(outgoing)
        for move in moves:
            if not move.enabled(tokens):
                continue
            after = move.fired(tokens)
            found = number.get(after)
            if found is None:
                found = number[after] = len(space.states)
                space.states.append(after)
                space.parents.append((state, move.mode))
                weights.append(sum(after))
                least.append(min(least[state], weights[found]))
                heavier = weights[found] > least[found]  # than some ancestor; only then it can cover one
                if heavier and not space.unbounded and (growing := _grows(space, moves, weights, found)):
                    space.unbounded = found, growing
                    most_states = min(most_states, found + _BEYOND)
                if found >= most_states:
                    return space
            outgoing.append((move.mode, found))
    space.complete = True
    return space


def _moves(net: Net) -> list[_Move]:
    at = {place: number for number, place in enumerate(net.place_ids)}
    moves = []
    for number, mode in enumerate(net.modes):
        needs: dict[int, int] = {}
        for arc in (*mode.inputs, *mode.transition.reads):
            needs[at[arc.place]] = max(needs.get(at[arc.place], 0), arc.weight)
        takes = {at[arc.place]: 0 for arc in mode.inputs}
        for arc in mode.inputs:
            takes[at[arc.place]] += arc.weight
        for place, weight in takes.items():
            needs[place] = max(needs[place], weight)
        moves.append(
            _Move(
                number,
                tuple(needs.items()),
                tuple((at[arc.place], arc.weight) for arc in mode.transition.inhibitors),
                tuple(takes.items()),
                tuple(at[place] for place in mode.transition.resets),
                tuple((at[arc.place], arc.weight) for arc in mode.transition.outputs),
            )
        )
    return moves


def _grows(space: StateSpace, moves: list[_Move], weights: list[int], state: int) -> tuple[int, ...]:
    """The places that grow without end when the steps from some ancestor to `state` are repeated."""
    tokens = space.states[state]
    weight = weights[state]
    inhibited: set[int] = set()
    reset: set[int] = set()
    at = state
    while at:
        at, mode = space.parents[at]
        inhibited.update(place for place, _ in moves[mode].below)
        reset.update(moves[mode].empties)
        before = space.states[at]
        if weights[at] < weight and all(b <= a for b, a in zip(before, tokens, strict=True)):
            more = [place for place, (b, a) in enumerate(zip(before, tokens, strict=True)) if b < a]
            growing = tuple(place for place in more if place not in reset)
            if growing and not inhibited.intersection(more):
                return growing
    return ()
