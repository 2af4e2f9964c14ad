"""A picture in the making: nodes, the ports where wires meet them, and wires. What the steps of the layout work on.

`along` is the way the picture reads (left to right or top down) and `across` the other axis, so that one code serves
both. Nodes stand in layers; channel k lies before layer k, and the last channel after the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.nets.picture.graph import DrawnArc, DrawnPlace, DrawnTransition, Graph
from engine.nets.picture.lettering import cells_of, legible

TOKEN_ROOM = 4  # "●12 ", or the blanks that keep a firing from moving the picture
HEADS = {"input": ">", "read": ">", "inhibitor": "o", "reset": "x"}


@dataclass(slots=True, eq=False)
class Port:
    """Where wires meet a node. Wires of one kind and weight share a port, and so one arrow head and one trunk."""

    node: Node
    side: int  # 0 looks towards the first layer, 1 towards the last
    slot: int  # which of the ports of its side
    head: str = ""
    weight: int = 1
    dotted: bool = False
    wires: int = 0
    offset: int = 0

    @property
    def across(self) -> int:
        return self.node.across + self.offset

    @property
    def channel(self) -> int:
        return self.node.layer + self.side

    @property
    def tag(self) -> str:
        return f"×{self.weight}" if self.weight > 1 else ""


@dataclass(slots=True, eq=False)
class Node:
    """A place, a transition, or (element None) a bend: the point where a wire passes a layer.

    `rank` is when the walk through the net came to it; `before` and `after` are how far it reaches across from its own
    coordinate.
    """

    element: DrawnPlace | DrawnTransition | None = None
    width: int = 0
    bare: bool = False  # a label on its wire, without brackets
    layer: int = 0
    rank: float = 0.0
    index: int = 0
    across: int = 0
    before: int = 0
    after: int = 0
    ports: tuple[list[Port], list[Port]] = field(default_factory=lambda: ([], []))

    def port(self, side: int, head: str = "", weight: int = 1, dotted: bool = False) -> Port:
        """The port for a wire of this kind, which now has one wire more."""
        for port in self.ports[side]:
            if (port.head, port.weight, port.dotted) == (head, weight, dotted):
                break
        else:
            port = Port(self, side, len(self.ports[side]), head, weight, dotted)
            self.ports[side].append(port)
        port.wires += 1
        return port


@dataclass(slots=True, eq=False)
class Wire:
    """An arc; or both arcs of a transition with one input and one output, which then is a `box` on its wire."""

    arcs: tuple[DrawnArc, ...]
    leave: Port
    enter: Port
    box: Node | None = None
    back: bool = False  # runs against the way of reading, because it closes a loop
    stops: list[Port] = field(default_factory=list)  # leave, enter, leave, enter, ...

    @property
    def reach(self) -> int:
        """How many layers it must span: one more where it carries a box or needs a head between fork and join."""
        return 2 if self.box or (self.leave.wires > 1 and self.enter.wires > 1) else 1

    @property
    def links(self) -> list[Link]:
        return list(zip(self.stops[::2], self.stops[1::2], strict=True))


Link = tuple[Port, Port]  # two ports that are joined inside one channel
Layers = list[list[Node]]
Channels = Sequence[Sequence[Link]]


@dataclass(frozen=True, slots=True)
class Sketch:
    """All nodes that have places of their own, and all wires, in the order of the graph."""

    nodes: list[Node]
    wires: list[Wire]


def sketched(graph: Graph, *, merge: bool, label_width: int) -> Sketch:
    """Nodes and wires of `graph`. With `merge`, boxes on wires are bare labels: the state-machine view."""
    places = {place.id: Node(place, _place_width(place, label_width)) for place in graph.places}
    sketch = Sketch(list(places.values()), [])
    for transition in graph.transitions:
        arcs = graph.arcs_of.get(transition.mode, ())
        room = min(cells_of(legible(transition.name)), label_width) + 2
        if sorted(arc.kind for arc in arcs) == ["input", "output"]:
            box = Node(transition, room if merge else room + 2, bare=merge)
            sketch.wires.append(_labelled_wire(arcs, places, box))
        else:
            box = Node(transition, room + 2)
            sketch.nodes.append(box)
            sketch.wires.extend(_plain_wire(arc, places[arc.place], box) for arc in arcs)
    return sketch


def _place_width(place: DrawnPlace, label_width: int) -> int:
    brackets = 4 if place.final else 2
    return min(cells_of(legible(place.name)), label_width) + brackets + TOKEN_ROOM


def _labelled_wire(arcs: Sequence[DrawnArc], places: dict[str, Node], box: Node) -> Wire:
    taken, given = sorted(arcs, key=lambda arc: arc.kind)
    return Wire((taken, given), places[taken.place].port(1), places[given.place].port(0, ">"), box)


def _plain_wire(arc: DrawnArc, place: Node, box: Node) -> Wire:
    if arc.kind == "output":
        return Wire((arc,), box.port(1, "", arc.weight), place.port(0, ">"))
    dotted = arc.kind == "read"
    return Wire((arc,), place.port(1, "", 1, dotted), box.port(0, HEADS[arc.kind], arc.weight, dotted))
