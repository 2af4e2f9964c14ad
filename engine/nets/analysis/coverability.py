"""Which places can fill without end, when the state space has no end. Pure.

Karp & Miller (1969) with "without end" as a number above all: a node that covers an ancestor has the growing places set
to it. A node that an earlier one covers is not followed; no node is taken away later, which is what made the shorter
tree of Finkel (1991) miss some. Only for nets in which more tokens never hinder: no inhibitors, no resets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from engine.nets.analysis.packing import Move

_MOST_NODES = 1_000
_MOST_WORK = 300_000  # comparisons of nodes, about a third of a second
Node = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cover:
    """`places` are those that can fill without end, `fired` the modes that can ever fire: all of them."""

    places: tuple[int, ...]
    fired: frozenset[int]


def cover(first: Sequence[int], moves: Sequence[Move], keep_going: Callable[[], bool]) -> Cover | None:
    """The coverability set in short; None when it is too large. No move has `below` or `empties`."""
    nodes: list[Node] = [tuple(first)]
    parents = [-1]
    fired: set[int] = set()
    work = 0
    for number, node in enumerate(nodes):  # grows
        if number % 64 == 0 and not keep_going():
            return None
        for move in moves:
            if any(node[place] < count for place, count in move.needs):
                continue
            fired.add(move.mode)
            after = list(node)
            for place, count in move.takes:
                after[place] -= count
            for place, count in move.puts:
                after[place] += count
            grown = _accelerated(after, nodes, parents, number)
            work += len(nodes)
            if any(all(a <= b for a, b in zip(grown, other, strict=True)) for other in reversed(nodes)):
                continue
            if len(nodes) >= _MOST_NODES or work > _MOST_WORK:
                return None
            nodes.append(grown)
            parents.append(number)
    places = tuple(place for place in range(len(first)) if any(node[place] == inf for node in nodes))
    return Cover(places, frozenset(fired))


def _accelerated(after: list[float], nodes: list[Node], parents: list[int], ancestor: int) -> Node:
    while ancestor >= 0:
        before = nodes[ancestor]
        if all(b <= a for b, a in zip(before, after, strict=True)):
            after = [inf if b < a else a for b, a in zip(before, after, strict=True)]
        ancestor = parents[ancestor]
    return tuple(after)
