"""Where nodes stand across: straight wires first, then everything as near to its neighbours as there is room.

After Brandes & Köpf (2002): links that cross none taken before glue their nodes into blocks that move as one. The order
of the layers is then a partial order of blocks, which are packed by longest path and pulled towards their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low

from engine.nets.picture.sketch import Channels, Layers, Link, Node, Port

PULLS = 6
_FAR = 1 << 30  # further than any cell


def measured(layers: Layers, *, down: bool) -> None:
    """Spread the ports of each node, and say how far it reaches across."""
    for layer in layers:
        for node in layer:
            if down:
                _measure_down(node)
            else:
                for ports in node.ports:
                    _spread(ports, [1 for _ in ports])
                node.after = max(len(node.ports[0]), len(node.ports[1]), 1) - 1


def _measure_down(node: Node) -> None:
    """Top down, ports stand side by side and the box is centred over them."""
    for ports in node.ports:
        spread = _spread(ports, [2 + len(port.tag) for port in ports])
        middle = max(spread - 2, 0) // 2 if len(ports) > 1 else 0
        for port in ports:
            port.offset -= middle
    ports = [*node.ports[0], *node.ports[1]]
    left = min((port.offset for port in ports), default=0)
    right = max((port.offset + len(port.tag) for port in ports), default=0)
    node.before, node.after = max(-left, 0), max(right, 0)
    if node.element:
        node.width = max(node.width, 2 * max(node.before, node.after) + 3)
        node.before = max((node.width - 1) // 2, node.before)
        node.after = max(node.width // 2, node.after)


def _spread(ports: Sequence[Port], sizes: Iterable[int]) -> int:
    """Give each port its offset; returns what all take together."""
    at = 0
    for port, size in zip(ports, sizes, strict=True):
        port.offset, at = at, at + size
    return at


@dataclass(slots=True, eq=False)
class _Block:
    """Nodes on one straight line. `at` moves all of them; what is above and below keeps its distance."""

    nodes: list[Node]
    at: int = 0
    above: list[tuple[_Block, int]] = field(default_factory=list)
    below: list[tuple[_Block, int]] = field(default_factory=list)
    pulls: list[tuple[_Block, int]] = field(default_factory=list)  # where `at` would straighten a link to that block

    @property
    def lowest(self) -> int:
        return max((other.at + distance for other, distance in self.above), default=-_FAR)

    @property
    def highest(self) -> int:
        return min((other.at - distance for other, distance in self.below), default=_FAR)


def aligned(layers: Layers, channels: Channels, *, gap: int, down: bool) -> None:
    """Give every node its coordinate across, from 0; `gap` is the space between neighbours of one layer."""
    block_of = _glued(layers, channels)
    _keep_distance(layers, block_of, gap=gap, between_wires=1 if down else 0)
    _attract(channels, block_of)
    order = _pack(list(dict.fromkeys(block_of.values())))
    _relax(order, down=down)
    for node, block in block_of.items():
        node.across += block.at
    top = min((node.across - node.before for node in block_of), default=0)
    for node in block_of:
        node.across -= top


def _glued(layers: Layers, channels: Channels) -> dict[Node, _Block]:
    """Blocks along links that do not cross one another."""
    block_of = {node: _Block([node]) for layer in layers for node in layer}
    taken: list[list[tuple[int, int]]] = [[] for _ in channels]
    joined: set[tuple[Node, int]] = set()
    for channel, (a, b) in _by_urgency(channels):
        pair = (a.node.index, b.node.index)
        ends = {(a.node, 1), (b.node, 0)}
        if joined & ends or any((pair[0] - i) * (pair[1] - j) <= 0 for i, j in taken[channel]):
            continue
        taken[channel].append(pair)
        joined |= ends
        shift = a.across - b.across
        for node in block_of[b.node].nodes:
            node.across += shift
        block_of[a.node].nodes += block_of[b.node].nodes
        for node in block_of[b.node].nodes:
            block_of[node] = block_of[a.node]
    return block_of


def _by_urgency(channels: Channels) -> list[tuple[int, Link]]:
    """The links that could be straight, from the layer before to the one after: those between bends first."""
    crossing = [
        (k, (a, b) if a.side else (b, a)) for k, channel in enumerate(channels) for a, b in channel if a.side != b.side
    ]
    return sorted(crossing, key=lambda item: sum(port.node.element is not None for port in item[1]))


def _keep_distance(layers: Layers, block_of: dict[Node, _Block], *, gap: int, between_wires: int) -> None:
    for layer in layers:
        for upper, lower in pairwise(layer):
            room = gap if upper.element or lower.element else between_wires
            distance = upper.across + upper.after + 1 + room + lower.before - lower.across
            block_of[lower].above.append((block_of[upper], distance))
            block_of[upper].below.append((block_of[lower], distance))


def _attract(channels: Channels, block_of: dict[Node, _Block]) -> None:
    for a, b in (link for channel in channels for link in channel if link[0].side != link[1].side):
        one, other = block_of[a.node], block_of[b.node]
        if one is not other:
            one.pulls.append((other, b.across - a.across))
            other.pulls.append((one, a.across - b.across))


def _pack(blocks: Sequence[_Block]) -> list[_Block]:
    """Put every block as near to the top as those above allow; returns them so that each follows all above it."""
    missing = {block: len(block.above) for block in blocks}
    ready = [block for block in blocks if not block.above]
    order = []
    while ready:
        block = ready.pop()
        block.at = block.lowest if block.above else 0
        order.append(block)
        ready += _released(block, missing)
    return order


def _released(block: _Block, missing: dict[_Block, int]) -> Iterator[_Block]:
    """The blocks that waited for `block` alone."""
    for other, _ in block.below:
        missing[other] -= 1
        if not missing[other]:
            yield other


def _relax(order: Sequence[_Block], *, down: bool) -> None:
    """Pull blocks towards their neighbours, bottom up and top down in turn.

    Left to right the median wins, which keeps the main path on one row; top down the mean, which centres.
    """
    for sweep in range(PULLS):
        for block in order if sweep % 2 else reversed(order):
            if block.pulls:
                wishes = [other.at + offset for other, offset in block.pulls]
                goal = round(sum(wishes) / len(wishes)) if down else median_low(wishes)
                block.at = max(block.lowest, min(goal, block.highest))
