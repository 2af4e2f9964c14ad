"""Wires that pass layers: a bend in each of them, so that every link joins two neighbouring layers.

One bend of a wire is its box if it carries one. A lane, which runs back, also bends in both its end layers: that is
where it turns.
"""

from collections.abc import Sequence

from engine.nets.picture.sketch import Channels, Layers, Link, Node, Port, Wire

_LAST = float("inf")  # the rank of lanes: outside of everything else


def bent(wires: Sequence[Wire], layers: Layers, *, down: bool) -> Channels:
    """Put the bends of all wires into `layers`; returns the links of each channel."""
    channels: list[list[Link]] = [[] for _ in range(len(layers) + 1)]
    for wire in wires:
        _bend(wire, layers, down)
        for link in wire.links:
            channels[link[0].channel].append(link)
    return channels


def _bend(wire: Wire, layers: Layers, down: bool) -> None:
    first, last = wire.leave.node.layer, wire.enter.node.layer
    passed = range(first, last - 1, -1) if wire.back else range(first + 1, last)
    rank = _LAST if wire.back else wire.leave.node.rank
    chain = [Node(layer=layer, rank=rank) for layer in passed]
    wire.stops = [wire.leave]
    if chain:
        best = _box_at(wire, passed, layers, down)
        if wire.box:
            wire.box.layer, wire.box.rank = passed[best], rank
            chain[best] = wire.box
        for step, node in enumerate(chain):
            wire.stops += _through(wire, node, shows_way=step == best)
            layers[node.layer].append(node)
    wire.stops.append(wire.enter)


def _box_at(wire: Wire, passed: Sequence[int], layers: Layers, down: bool) -> int:
    """Which of the passed layers gets the box or the head: next to the start, or on a lane in the middle.

    Left to right, a lane's box prefers a layer that is as wide already, lest it make the picture wider.
    """
    if wire.box and not wire.back:
        return 0
    ends = wire.leave.node.layer + wire.enter.node.layer
    by_nearness = sorted(range(len(passed)), key=lambda step: abs(2 * passed[step] - ends))
    if wire.box and not down:
        for step in by_nearness:
            if max((node.width for node in layers[passed[step]]), default=0) >= wire.box.width:
                return step
    return by_nearness[0]


def _through(wire: Wire, node: Node, *, shows_way: bool) -> tuple[Port, Port]:
    """The ports by which `wire` comes to and leaves one of its bends.

    A bend that `shows_way` has an arrow head: on a lane because it runs against the way of reading, elsewhere between a
    fork and a join because nobody should follow the wire backwards.
    """
    into, out_of = (1, 0) if wire.back else (0, 1)
    arrow, dotted = "<" if wire.back else ">", wire.leave.dotted
    if node is wire.box:
        taken, given = wire.arcs[0].weight, wire.arcs[-1].weight
        pointed = arrow if wire.back and node.bare else ""
        return node.port(into, "" if node.bare else arrow, taken), node.port(out_of, pointed, given)
    needs_head = shows_way and not wire.box and (wire.back or wire.reach == 2)
    return node.port(into, arrow if needs_head else "", 1, dotted), node.port(out_of, "", 1, dotted)
