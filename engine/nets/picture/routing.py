"""Wires inside one channel: who takes which track.

Here the layers stand left and right, and the channel lies between them. All wires of one port are one bundle: a trunk
on a track, with a stub in each row where it leaves. Two rules make the drawing unambiguous:

- trunks share a cell only where they cross at right angles, so `┼` is always a crossing;
- no cell has four ways out of one trunk, so a fork is always a tee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

LEFT, RIGHT = 0, 1
Stub = tuple[int, int]  # LEFT or RIGHT, and the row


class End(Protocol):
    """An end of a wire. One with `side` 1 belongs to the layer left of the channel, with 0 to the one right of it."""

    side: int

    @property
    def across(self) -> int: ...


@dataclass(slots=True, eq=False)
class Trunk:
    """`rows` are where it is reached from the left and from the right; `joints` are stubs where another trunk goes on.

    A trunk that was cut goes on to the right in the one that was cut off it.
    """

    rows: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    joints: dict[Stub, Trunk] = field(default_factory=dict)
    track: int = 0

    @property
    def low(self) -> int:
        return min(self.rows[LEFT] | self.rows[RIGHT])

    @property
    def high(self) -> int:
        return max(self.rows[LEFT] | self.rows[RIGHT])

    def goes_on_in(self, other: Trunk) -> bool:
        return any(side == RIGHT and joined is other for (side, _), joined in self.joints.items())

    def must_precede(self, other: Trunk) -> bool:
        """Whether this one needs an earlier track: it goes on in the other, or both have stubs in one row."""
        if other in self.joints.values():
            return self.goes_on_in(other)
        return not self.rows[LEFT].isdisjoint(other.rows[RIGHT])

    def ends_at(self, stub: Stub) -> bool:
        """Whether `stub` leaves the bundle here, and does not lead to a trunk that was cut off."""
        side, row = stub
        return stub not in self.joints and row in self.rows[side]


Bundle = list[Trunk]
Tracks = Sequence[tuple[int, int]]  # corners: the track, and the row


@dataclass(frozen=True, slots=True)
class Routing:
    """The trunks of every end, and how many tracks they take."""

    bundles: Mapping[End, Bundle]
    tracks: int

    def corners(self, start: End, goal: End) -> Tracks:
        """Where the wire from `start` to `goal` turns."""
        leaves, enters = (1 - start.side, start.across), (1 - goal.side, goal.across)
        bundle = self.bundles[start]
        first = next(trunk for trunk in bundle if trunk.ends_at(leaves))
        return _corners(first, leaves[1], enters, None) or ()


def _corners(trunk: Trunk, row: int, goal: Stub, came_from: Trunk | None) -> list[tuple[int, int]] | None:
    """Corners from `row` of `trunk` to `goal`; None where it cannot be reached. The trunks of a bundle are a tree."""
    if trunk.ends_at(goal):
        return [(trunk.track, row), (trunk.track, goal[1])]
    for (_, at), other in trunk.joints.items():
        if other is not came_from and (rest := _corners(other, at, goal, trunk)):
            return [(trunk.track, row), (trunk.track, at), *rest]
    return None


def routed(wires: Sequence[tuple[End, End]]) -> Routing:
    """Give the wires of one channel their tracks."""
    bundle_of = _bundled(wires)
    bundles = list({id(bundle): bundle for bundle in bundle_of.values()}.values())
    taken = {row for bundle in bundles for rows in bundle[0].rows for row in rows}
    for bundle in bundles:
        _split_crosses(bundle)
    waiting = [trunk for bundle in bundles for trunk in bundle if trunk.low < trunk.high]
    placed: list[Trunk] = []
    while waiting:
        ready = [one for one in waiting if not any(other.must_precede(one) for other in waiting if other is not one)]
        if ready:
            best = min(ready, key=lambda trunk: _preference(trunk, waiting))
            best.track = _first_free_track(best, placed)
            waiting.remove(best)
            placed.append(best)
        else:
            waiting.append(_open_circle(waiting, bundles, taken))
    return Routing(bundle_of, max((trunk.track + 1 for trunk in placed), default=0))


def _bundled(wires: Sequence[tuple[End, End]]) -> dict[End, Bundle]:
    """Wires that share an end, or an end with one that does, are one bundle; it starts as one trunk."""
    bundle_of: dict[End, Bundle] = {}
    for wire in wires:
        bundle = next((bundle_of[end] for end in wire if end in bundle_of), [Trunk()])
        for end in wire:
            bundle_of[end] = bundle
            bundle[0].rows[1 - end.side].add(end.across)
    return bundle_of


def _split_crosses(bundle: Bundle) -> None:
    """Cut trunks that have a stub to both sides in one row amid their length: two tees, where one would be a cross."""
    for trunk in bundle:  # which grows meanwhile
        crosses = [row for row in trunk.rows[LEFT] & trunk.rows[RIGHT] if trunk.low < row < trunk.high]
        if crosses:
            row = min(crosses)
            upper = {(side, at) for side in (LEFT, RIGHT) for at in trunk.rows[side] if at + side <= row}
            bundle.append(_cut(trunk, row, upper))


def _open_circle(waiting: Sequence[Trunk], bundles: Sequence[Bundle], taken: set[int]) -> Trunk:
    """Every waiting trunk waits for another: cut one in two, joined along a row that nobody else uses.

    Returns the part that was cut off. The row is as near to the middle of the trunk as can be.
    """
    loose = next(t for t in waiting if t.rows[LEFT] and not any(other.goes_on_in(t) for other in waiting))
    free = (row for row in range(max(taken) + 2) if row not in taken)
    row = min(free, key=lambda row: abs(2 * row - loose.low - loose.high))
    taken.add(row)
    rest = _cut(loose, row, {(LEFT, at) for at in loose.rows[LEFT]})
    next(bundle for bundle in bundles if loose in bundle).append(rest)
    return rest


def _cut(trunk: Trunk, row: int, kept: set[Stub]) -> Trunk:
    """Move the stubs that are not `kept` to a new trunk after this one, joined to it along `row`."""
    rest = Trunk()
    for side, rows in enumerate(trunk.rows):
        rest.rows[side].update(at for at in rows if (side, at) not in kept)
        rows -= rest.rows[side]
    for (side, at), other in list(trunk.joints.items()):
        if (side, at) not in kept:
            rest.joints[side, at] = trunk.joints.pop((side, at))
            other.joints[1 - side, at] = rest
    trunk.rows[RIGHT].add(row)
    rest.rows[LEFT].add(row)
    trunk.joints[RIGHT, row], rest.joints[LEFT, row] = rest, trunk
    return rest


def _preference(trunk: Trunk, waiting: Sequence[Trunk]) -> int:
    """How many crossings it costs to take the next track, less what it would cost to leave it to the others."""
    others = [other for other in waiting if other is not trunk]
    return sum(_crossings(trunk, other) - _crossings(other, trunk) for other in others)


def _crossings(earlier: Trunk, later: Trunk) -> int:
    """How often two trunks cross if `earlier` takes the earlier track."""
    stubs_right, stubs_left = earlier.rows[RIGHT], later.rows[LEFT]
    return sum(later.low < row < later.high for row in stubs_right) + sum(
        earlier.low < row < earlier.high for row in stubs_left
    )


def _first_free_track(trunk: Trunk, placed: Sequence[Trunk]) -> int:
    """After all it shares a row with."""
    return 1 + max((o.track for o in placed if o.low <= trunk.high and trunk.low <= o.high), default=-1)
