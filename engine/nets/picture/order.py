"""In which order the nodes of a layer stand, so that few wires cross.

Barycentre sweeps both ways as in Sugiyama, Tagawa & Toda (1981), the best order kept, then swaps of neighbours while
they help. Ties go to the order in which lanes lie near the nodes they turn to, which puts lanes outside.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict

from engine.nets.picture.sketch import Channels, Layers, Node

SWEEPS = 10
SWAP_ROUNDS = 4
_SLOTS = 1 << 10  # more than a node has ports on one side
_FAR = 1 << 40


def ordered(layers: Layers, channels: Channels) -> None:
    """Sort every layer, and number its nodes."""
    neighbours = _neighbours(channels)
    for layer in layers:
        layer.sort(key=lambda node: node.rank)
        _number(layer)
    best, best_layers = _cost(channels), [layer[:] for layer in layers]
    for sweep in range(SWEEPS):
        _sweep(layers, neighbours, side=sweep % 2)
        if (cost := _cost(channels)) < best:
            best, best_layers = cost, [layer[:] for layer in layers]
    for layer, best_layer in zip(layers, best_layers, strict=True):
        layer[:] = best_layer
        _number(layer)
    for _ in range(SWAP_ROUNDS):
        swapped = [_swap_neighbours(layer, channels[k : k + 2]) for k, layer in enumerate(layers)]
        if not any(swapped):
            break


def _number(layer: list[Node]) -> None:
    for index, node in enumerate(layer):
        node.index = index


def _neighbours(channels: Channels) -> dict[tuple[Node, int], list[Node]]:
    """What each side of a node is linked to."""
    found: defaultdict[tuple[Node, int], list[Node]] = defaultdict(list)
    for channel in channels:
        for a, b in channel:
            found[a.node, a.side].append(b.node)
            found[b.node, b.side].append(a.node)
    return dict(found)


def _cost(channels: Channels) -> tuple[int, int]:
    """Crossings, then how far lanes lie from the nodes they turn to."""
    turns = (abs(a.node.index - b.node.index) for channel in channels for a, b in channel if a.side == b.side)
    return _crossings(channels), sum(turns)


def _crossings(channels: Channels) -> int:
    """Pairs of links that must cross: chords of a channel's border whose ends alternate.

    The border is one line of numbers: down along the layer before the channel, and up again along the one after it.
    """
    total = 0
    for channel in channels:
        chords = []
        for a, b in channel:
            start = a.node.index * _SLOTS + a.slot
            end = b.node.index * _SLOTS + b.slot
            start, end = start if a.side else _FAR - start, end if b.side else _FAR - end
            chords.append((start, -end) if start < end else (end, -start))
        chords.sort()
        open_ends: list[int] = []
        for start, end in chords:
            total += bisect_left(open_ends, -end) - bisect_right(open_ends, start)
            insort(open_ends, -end)
    return total


def _sweep(layers: Layers, neighbours: dict[tuple[Node, int], list[Node]], *, side: int) -> None:
    """Sort each layer by where its nodes' neighbours on one side stand, layer by layer away from that side."""
    sizes = [len(layer) for layer in layers]

    def barycentre(node: Node) -> float:
        others = neighbours.get((node, side), [node])
        # A lane wants to lie right after the node it turns to, hence a bit beyond the middle.
        stands = (o.index + (0.6 if o.layer == node.layer and o is not node else 0.5) for o in others)
        return sum(at / sizes[o.layer] for at, o in zip(stands, others, strict=True)) / len(others)

    for layer in reversed(layers) if side else layers:
        layer.sort(key=barycentre)
        _number(layer)


def _swap_neighbours(layer: list[Node], around: Channels) -> bool:
    """Swap neighbours where that saves crossings in the two channels `around` the layer; whether any did."""
    now, better = _crossings(around), False
    for i in range(len(layer) - 1):
        _swap(layer, i)
        then = _crossings(around)
        if then < now:
            now, better = then, True
        else:
            _swap(layer, i)
    return better


def _swap(layer: list[Node], i: int) -> None:
    layer[i], layer[i + 1] = layer[i + 1], layer[i]
    layer[i].index, layer[i + 1].index = i, i + 1
