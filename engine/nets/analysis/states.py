"""The state space: every marking that can be reached, guards taken as "may". The ground truth of the analysis.

Searched breadth first, so that the way back along the parents is a shortest trace. Where a marking covers one of its
ancestors and the steps between can be repeated for ever, the net is unbounded and the search ends soon after: the
witness holds with all kinds of arcs when some growing place is not reset, and none is inhibited, by those steps.

Markings are packed integers, edges lie in flat arrays (compressed sparse rows): about 200 bytes a state.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from engine.nets.analysis.components import Numbers
from engine.nets.analysis.packing import Move, Packed, Packing, moves_of
from engine.nets.model import Net

KeepGoing = Callable[[], bool]
"""Asked every thousand states whether there is time left."""

MOST_BYTES = 1 << 30
_ASK_EVERY = 1024
_BEYOND = 2_000  # states still searched after growth was seen, for what else there is to find
_CHECKED = 4_096  # states that are all compared with their ancestors; later ones now and then
_FEW_MODES = 60  # up to here it is fastest to try every mode in every state


@dataclass(slots=True)
class _Slots:
    """The arrays of a state space."""

    packed: list[int] = field(default_factory=list)
    starts: Numbers = field(default_factory=lambda: array("Q", [0]))
    labels: Numbers = field(default_factory=lambda: array("I"))
    targets: Numbers = field(default_factory=lambda: array("I"))
    parents: Numbers = field(default_factory=lambda: array("I"))
    via: Numbers = field(default_factory=lambda: array("I"))


@dataclass
class StateSpace:
    """States by number, 0 the first. The edges of `state` are those from `starts[state]` to `starts[state + 1]` in
    `labels` (modes, numbered as in `Net.modes`) and `targets` (states); only the first `settled` states have edges.

    `complete`: all states were found. `unbounded` is the state at which growth without end was seen, with the places
    that grow. `stopped`: `keep_going` said no.
    """

    net: Net
    moves: tuple[Move, ...]
    packing: Packing
    packed: list[int]
    starts: Numbers
    labels: Numbers
    targets: Numbers
    parents: Numbers
    via: Numbers
    complete: bool = False
    unbounded: tuple[int, tuple[int, ...]] | None = None
    stopped: bool = False

    @property
    def settled(self) -> int:
        return len(self.starts) - 1

    def __len__(self) -> int:
        return len(self.packed)

    @cached_property
    def peaks(self) -> tuple[int, ...]:
        """The most tokens seen on each place."""
        peaks = []
        for shift, bits in zip(self.packing.shifts, self.packing.bits, strict=True):
            mask = ((1 << bits) - 1) << shift
            if bits == 1 or not self._seen >> shift & mask >> shift & ~1:
                peaks.append(self._seen >> shift & 1)
            else:
                peaks.append(max([one & mask for one in self.packed]) >> shift)
        return tuple(peaks)

    @cached_property
    def _seen(self) -> int:
        seen = 0
        for one in self.packed:
            seen |= one
        return seen

    @cached_property
    def before(self) -> tuple[Numbers, Numbers]:
        """Who leads to each state, in rows: where the row of each begins, and the states."""
        bounds = array("Q", bytes(8 * (len(self) + 1)))
        for after in self.targets:
            bounds[after + 1] += 1
        for state in range(len(self)):
            bounds[state + 1] += bounds[state]
        free = bounds[:]
        sources = array("I", bytes(4 * len(self.targets)))
        for state in range(self.settled):
            for after in self.targets[self.starts[state] : self.starts[state + 1]]:
                sources[free[after]] = state
                free[after] += 1
        return bounds, sources

    def tokens(self, state: int) -> tuple[int, ...]:
        return self.packing.unpack(self.packed[state])

    def marking(self, state: int) -> dict[str, int]:
        return {place: count for place, count in zip(self.net.place_ids, self.tokens(state), strict=True) if count}

    def way_to(self, state: int) -> list[tuple[int, int]]:
        """The steps of a shortest run to `state`: (mode, state), in order."""
        steps = []
        while state:
            steps.append((self.via[state], state))
            state = self.parents[state]
        return steps[::-1]


def explore(
    net: Net, most_states: int, keep_going: KeepGoing = lambda: True, *, most_bytes: int = MOST_BYTES
) -> StateSpace:
    """Search all markings reachable from the first, up to `most_states`, about `most_bytes`, and as long as
    `keep_going()`."""
    moves = moves_of(net)
    least = [1] * len(net.place_ids)
    first = [(number, net.initial.get(place, 0)) for number, place in enumerate(net.place_ids)]
    for place, count in first:
        least[place] = max(least[place], count.bit_length())
    for move in moves:
        for place, count in (*move.needs, *move.below, *move.puts):
            least[place] = max(least[place], count.bit_length())
    spare = 1
    while True:
        packing = Packing(least, spare)
        search = _Search(net, moves, packing, packing.pack(first), most_states, most_bytes, keep_going)
        full = search.run()
        if full is None:
            return search.space
        for place in full:
            if packing.bits[place] > spare:
                least[place] *= 2
            else:
                spare = max(spare, 2 * packing.bits[place] + 1)


class _Search:
    """One run with fields of a given width."""

    def __init__(
        self,
        net: Net,
        moves: tuple[Move, ...],
        packing: Packing,
        first: int,
        most_states: int,
        most_bytes: int,
        keep_going: KeepGoing,
    ) -> None:
        slots = _Slots([first], parents=array("I", [0]), via=array("I", [0]))
        self.space = StateSpace(
            net, moves, packing, slots.packed, slots.starts, slots.labels, slots.targets, slots.parents, slots.via
        )
        self._bytes = 170 + packing.size // 7
        self._most_bytes = most_bytes
        self._most = max(1, min(most_states, most_bytes // self._bytes))
        self._keep_going = keep_going
        self._ask_every = max(1, _ASK_EVERY // (1 + packing.size // 2_000))
        self._first = first
        self._ways = _Neighbours(self.space) if self._many else None
        self._unseen = packing.values & ~first
        self._can_grow = any(
            sum(count for _, count in move.puts) > sum(count for _, count in move.takes) for move in moves
        )

    @property
    def _many(self) -> bool:
        return len(self.space.moves) > _FEW_MODES

    def run(self) -> tuple[int, ...] | None:
        """Search; the places that did not fit, when there were some."""
        space, guards = self.space, self.space.packing.guards
        states, parents, via = space.packed, space.parents, space.via
        labels, targets, starts = space.labels, space.targets, space.starts
        number = {self._first: 0}
        ways = self._ways
        plain, other = ([], []) if self._many else self._split()
        found: int | None
        for state, marking in enumerate(states):  # grows
            if state % self._ask_every == 0 and not self._go_on(state):
                return None
            if ways is not None:
                steps = ways.steps(state, marking)
            else:
                held = marking | guards
                steps = [(mode, marking + delta) for needs, delta, mode in plain if (held - needs) & guards == guards]
                if other:
                    steps += [(move.mode, move.fired(marking)) for move in other if move.enabled(marking)]
            for mode, after in steps:
                found = number.get(after)
                if found is None:
                    if after & guards:
                        return self._full(after)
                    found = len(states)
                    if found >= self._most:
                        self._drop_open_row()
                        return None
                    number[after] = found
                    states.append(after)
                    parents.append(state)
                    via.append(mode)
                    if self._can_grow and (found < _CHECKED or after & self._unseen or not found & 255):
                        self._look_for_growth(found, after)
                labels.append(mode)
                targets.append(found)
            starts.append(len(targets))
        space.complete = True
        return None

    def _split(self) -> tuple[list[tuple[int, int, int]], list[Packed]]:
        moves = [Packed(move, self.space.packing) for move in self.space.moves]
        return [(one.needs, one.delta, one.mode) for one in moves if one.plain], [one for one in moves if not one.plain]

    def _go_on(self, state: int) -> bool:
        space = self.space
        used = len(space) * self._bytes + 8 * len(space.targets) + (self._ways.bytes if self._ways else 0)
        space.stopped = not self._keep_going()
        return used < self._most_bytes and not space.stopped

    def _full(self, after: int) -> tuple[int, ...]:
        packing = self.space.packing
        return tuple(
            place
            for place, (shift, bits) in enumerate(zip(packing.shifts, packing.bits, strict=True))
            if after >> shift + bits & 1
        )

    def _drop_open_row(self) -> None:
        end = self.space.starts[-1]
        del self.space.labels[end:]
        del self.space.targets[end:]

    def _look_for_growth(self, state: int, after: int) -> None:
        self._unseen &= ~after
        if self.space.unbounded:
            return
        growing = self._grows(state, after)
        if growing:
            self.space.unbounded = state, growing
            self._most = min(self._most, state + _BEYOND)

    def _grows(self, state: int, after: int) -> tuple[int, ...]:
        """The places that grow without end when the steps from some ancestor to `state` are repeated."""
        space, guards = self.space, self.space.packing.guards
        held = after | guards
        at = state
        while at:
            at = space.parents[at]
            if (held - space.packed[at]) & guards == guards:
                growing = self._growing(at, state)
                if growing:
                    return growing
        return ()

    def _growing(self, ancestor: int, state: int) -> tuple[int, ...]:
        space = self.space
        before, after = space.tokens(ancestor), space.tokens(state)
        more = [place for place, (b, a) in enumerate(zip(before, after, strict=True)) if b < a]
        inhibited: set[int] = set()
        reset: set[int] = set()
        while state != ancestor:
            move = space.moves[space.via[state]]
            inhibited.update(place for place, _ in move.below)
            reset.update(move.empties)
            state = space.parents[state]
        if inhibited.intersection(more):
            return ()
        return tuple(place for place in more if place not in reset)


class _Neighbours:
    """The steps of a state from those of its parent: only the modes near what the last step changed are tried."""

    def __init__(self, space: StateSpace) -> None:
        self._space = space
        self._packed: dict[int, Packed] = {}
        self._near: dict[int, tuple[frozenset[int], tuple[int, ...]]] = {}
        self._watchers: list[list[int]] = [[] for _ in space.packing.bits]
        self._always: list[int] = []
        for move in space.moves:
            watched = {place for place, _ in (*move.needs, *move.below)}
            for place in watched:
                self._watchers[place].append(move.mode)
            if not move.needs:
                self._always.append(move.mode)

    @property
    def bytes(self) -> int:
        """About how much the moves that were met take."""
        return len(self._packed) * (300 + 5 * self._space.packing.size // 8)

    def steps(self, state: int, marking: int) -> list[tuple[int, int]]:
        space, packed = self._space, self._packed
        if state:
            via, parent = space.via[state], space.parents[state]
            near = self._near.get(via)
            if near is None:
                near = self._near[via] = self._changed_by(via)
            members, order = near
            row = space.labels[space.starts[parent] : space.starts[parent + 1]]
            modes = [mode for mode in row if mode not in members]
            tried: tuple[int, ...] | list[int] = order
        else:
            modes, tried = [], self._first(marking)
        guards = space.packing.guards
        held = marking | guards
        for mode in tried:
            move = packed.get(mode)
            if move is None:
                move = packed[mode] = Packed(space.moves[mode], space.packing)
            if (held - move.needs) & guards == guards and (move.plain or move.enabled(marking)):
                modes.append(mode)
        return [(mode, packed[mode].fired(marking)) for mode in modes]

    def _first(self, marking: int) -> list[int]:
        """The modes that may be enabled in the first marking."""
        tokens = self._space.packing.unpack(marking)
        near = {mode for place, count in enumerate(tokens) if count for mode in self._watchers[place]}
        return sorted(near.union(self._always))

    def _changed_by(self, mode: int) -> tuple[frozenset[int], tuple[int, ...]]:
        move = self._space.moves[mode]
        changes = dict.fromkeys(move.empties, 1)
        for counts, sign in ((move.takes, -1), (move.puts, 1)):
            for place, count in counts:
                if place not in move.empties:
                    changes[place] = changes.get(place, 0) + sign * count
        near = {watcher for place, change in changes.items() if change for watcher in self._watchers[place]}
        return frozenset(near), tuple(sorted(near))
