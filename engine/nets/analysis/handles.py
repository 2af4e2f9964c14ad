"""Handles: two ways that part at a choice and meet where both are needed, or the other way round. Pure.

A net is well-handled when no place and transition are joined by two paths that have nothing else in common (van der
Aalst 1998, definition 12; Esparza & Silva 1990). From a place to a transition, one of the two may wait for ever for the
other; from a transition to a place, each of the two brings a token of its own. A handle is a hint where to look and no
fault in itself: other parts of the net may keep the two ways in step. Only inputs and outputs are looked at.

Two paths that have nothing in common are found as a flow of two through nodes that let one pass (Menger).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.nets.analysis.packing import Move

MOST_HANDLES = 20
_MOST_WORK = 200_000  # looks at nodes, about a tenth of a second

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Handles:
    """Pairs of paths that begin and end at the same two nodes. Places are numbered as in the net, modes after them.
    `complete`: there are no others."""

    pairs: tuple[tuple[Path, Path], ...]
    complete: bool


def handles(moves: Sequence[Move], places: int) -> Handles:
    ways: list[list[int]] = [[] for _ in range(places + len(moves))]
    comers = [0] * len(ways)
    for move in moves:
        node = places + move.mode
        for place, _ in move.takes:
            ways[place].append(node)
        ways[node] += [place for place, _ in move.puts]
        comers[node] = len(move.takes)
        for place, _ in move.puts:
            comers[place] += 1
    joins = [node for node, count in enumerate(comers) if count > 1]
    found: list[tuple[Path, Path]] = []
    work = 0
    for start, out in enumerate(ways):
        for end in joins if len(out) > 1 else ():
            if (start < places) != (end < places):
                if len(found) == MOST_HANDLES or work > _MOST_WORK:
                    return Handles(tuple(found), complete=False)
                work += len(ways)
                found += _two_paths(ways, start, end)
    return Handles(tuple(found), complete=True)


def _two_paths(ways: Sequence[Sequence[int]], start: int, end: int) -> Iterator[tuple[Path, Path]]:
    """Two paths from `start` to `end` with no other node in common, if there are any."""
    first = _shortest(ways, start, end)
    changes = _augmented(ways, first) if first else None
    if changes is None:
        return
    after: dict[int, list[int]] = {}
    for a, b in sorted({*pairwise(first)} ^ changes):
        after.setdefault(a, []).append(b)
    one, other = (_followed(after, start, way, end) for way in after[start])
    yield one, other


def _shortest(ways: Sequence[Sequence[int]], start: int, end: int) -> Path:
    """A shortest path, empty when there is none."""
    before = {start: start}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for way in ways[node]:
            if way not in before:
                before[way] = node
                waiting.append(way)
        if end in before:
            path = [end]
            while path[-1] != start:
                path.append(before[path[-1]])
            return tuple(reversed(path))
    return ()


def _augmented(ways: Sequence[Sequence[int]], path: Path) -> set[tuple[int, int]] | None:
    """The steps to add to `path`, or to take from it, so that it becomes two; None when it cannot.

    A node of the path that is come to from beside it can only be left backwards along the path, and after that also
    in any other way: the path will then go around.
    """
    start, end = path[0], path[-1]
    earlier = {b: a for a, b in pairwise(path[:-1])}
    came: dict[tuple[int, bool], tuple[int, bool]] = {(start, True): (start, True)}
    waiting = deque([(start, True)])
    while waiting:
        node, free = here = waiting.popleft()
        steps: list[tuple[int, bool]] = [(earlier[node], True)] if node in earlier else []
        if free:
            taken = _next(path, node)
            steps += [(way, way not in earlier) for way in ways[node] if way != start and way != taken]
        for there in steps:
            if there not in came:
                came[there] = here
                waiting.append(there)
        if (end, True) in came:
            return _changes(came, (end, True), {*pairwise(path)})
    return None


def _next(path: Path, node: int) -> int | None:
    return path[path.index(node) + 1] if node in path[:-1] else None


def _changes(
    came: dict[tuple[int, bool], tuple[int, bool]], at: tuple[int, bool], flow: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    changes: set[tuple[int, int]] = set()
    while came[at] != at:
        before = came[at]
        back = (at[0], before[0]) in flow
        changes.add((at[0], before[0]) if back else (before[0], at[0]))
        at = before
    return changes


def _followed(after: dict[int, list[int]], start: int, way: int, end: int) -> Path:
    path = [start, way]
    while path[-1] != end:
        path.append(after[path[-1]][0])
    return tuple(path)
