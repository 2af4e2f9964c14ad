"""From layers and tracks to cells: where every box, wire, head and weight is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from engine.nets.picture.graph import DrawnArc, DrawnPlace, DrawnTransition
from engine.nets.picture.routing import Routing, routed
from engine.nets.picture.sketch import Channels, Layers, Node, Port, Wire

Cell = tuple[int, int]  # column, row
_Point = tuple[int, int]  # along, across
_WAYS = {(0, -1): (27, 3), (1, 0): (9, 1), (0, 1): (3, 27), (-1, 0): (1, 9)}  # out of a cell, and back from the next
_TURNED = {">": "v", "<": "^"}


@dataclass(frozen=True, slots=True)
class Box:
    """A place or a transition: `width` by `rows` cells from its upper left `corner`."""

    element: DrawnPlace | DrawnTransition
    corner: Cell
    width: int
    rows: int
    bare: bool  # a label on its wire, without brackets


@dataclass(frozen=True)
class Layout:
    """Where everything goes. It knows no tokens, so a firing never moves the picture.

    A wire runs from the edge of one box to the edge of the other, both included. Heads are `>`, `<`, `v` and `^` for
    the way they point, `o` for an inhibitor and `x` for a reset. Boxes come in the order in which the picture reads.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: Mapping[DrawnArc, tuple[Cell, ...]]
    heads: Mapping[Cell, str]
    weights: Mapping[Cell, str]  # where the text begins

    @cached_property
    def runs(self) -> Mapping[DrawnArc, tuple[Cell, ...]]:
        """The cells of each wire between its boxes."""
        return {arc: path[1:-1] for arc, path in self.wires.items()}

    @cached_property
    def arcs_at(self) -> Mapping[Cell, tuple[DrawnArc, ...]]:
        """The arcs that run through each cell."""
        found: defaultdict[Cell, list[DrawnArc]] = defaultdict(list)
        for arc, run in self.runs.items():
            for at in run:
                found[at].append(arc)
        return {at: tuple(arcs) for at, arcs in found.items()}

    @cached_property
    def ways(self) -> Mapping[Cell, int]:
        """The ways in which wires lead from each cell, as `ways_of` adds them up."""
        return ways_of(self.wires.values())


@dataclass(frozen=True, slots=True)
class _Rulers:
    """Where layers and channels lie along. `pitch` is from track to track: a cell is half as wide as it is high."""

    down: bool
    routings: Sequence[Routing]
    box_at: list[int] = field(default_factory=list)
    track_at: list[int] = field(default_factory=list)

    @property
    def pitch(self) -> int:
        return 1 if self.down else 2

    def cell(self, along: int, across: int) -> Cell:
        return (across, along) if self.down else (along, across)

    def length(self, node: Node) -> int:
        return 1 if self.down else node.width

    def stub(self, port: Port) -> int:
        """Cells that a port needs between its box and the channel, for its head and its weight."""
        return int(bool(port.head or port.tag)) if self.down else bool(port.head) + len(port.tag)

    def edge(self, port: Port) -> _Point:
        """The cell of the box that a wire touches."""
        return self.box_at[port.node.layer] + (self.length(port.node) - 1 if port.side else 0), port.across

    def head(self, sign: str) -> str:
        return _TURNED.get(sign, sign) if self.down else sign


def ways_of(paths: Iterable[Sequence[Cell]]) -> dict[Cell, int]:
    """The ways in which `paths` lead from each of their cells, as a sum: 27 up, 9 right, 3 down, 1 left."""
    taken = set()
    for path in paths:
        for here, there in pairwise(path):
            out, back = _WAYS[there[0] - here[0], there[1] - here[1]]
            taken.add((here, out))
            taken.add((there, back))
    ways: defaultdict[Cell, int] = defaultdict(int)
    for at, way in taken:
        ways[at] += way
    return ways


def traced(layers: Layers, channels: Channels, wires: Sequence[Wire], *, down: bool) -> Layout:
    """The layout of what `layers` holds."""
    rulers = _Rulers(down, [routed(channel) for channel in channels])
    end = _measure(rulers, layers)
    nodes = [node for layer in layers for node in layer]
    paths = {arc: path for wire in wires for arc, path in _paths(rulers, wire)}
    reached = [point[0 if down else 1] for path in paths.values() for point in path]
    breadth = 1 + max([-1, *(node.across + node.after for node in nodes), *reached])
    width, height = rulers.cell(end, breadth)
    ports = [port for node in nodes for side in node.ports for port in side]
    return Layout(
        width=width,
        height=height,
        boxes=tuple(_boxes(rulers, nodes)),
        wires=paths,
        heads={_head_at(rulers, port): rulers.head(port.head) for port in ports if port.head},
        weights={_tag_at(rulers, port): port.tag for port in ports if port.tag},
    )


def _measure(rulers: _Rulers, layers: Layers) -> int:
    """Set the rulers; returns where the last channel ends."""
    end, margin = 0, 0 if rulers.down else 1
    for k, routing in enumerate(rulers.routings):
        layer = layers[k] if k < len(layers) else []
        before = [port for node in layer for port in node.ports[0]]
        after = [port for node in layer for port in node.ports[1]]
        lead = max(map(rulers.stub, before), default=0)
        tracks = (routing.tracks - 1) * rulers.pitch + 1 if routing.tracks else 0
        rulers.track_at.append(end + (margin if k else 0))
        if k in (0, len(layers)):
            end += tracks + (margin if tracks else 0)
        elif rulers.down:  # an arrow may follow a box at once; any other head needs some wire to be seen
            end += max(tracks, 0 if lead and all(port.head in "<>" for port in before) else 1)
        else:
            end += tracks + 2 * margin
        if k < len(layers):
            rulers.box_at.append(end + lead)
            end += lead + max(map(rulers.length, layer), default=0) + max(map(rulers.stub, after), default=0)
    return end


def _boxes(rulers: _Rulers, nodes: Sequence[Node]) -> Iterator[Box]:
    for node in nodes:
        if node.element:
            overhang = (node.width - 1) // 2 if rulers.down else 0
            corner = rulers.cell(rulers.box_at[node.layer], node.across - overhang)
            yield Box(node.element, corner, node.width, 1 if rulers.down else node.after + 1, node.bare)


def _beside(rulers: _Rulers, port: Port) -> int:
    """The first cell outside of the box."""
    begin = rulers.box_at[port.node.layer]
    return begin + rulers.length(port.node) if port.side else begin - 1


def _head_at(rulers: _Rulers, port: Port) -> Cell:
    return rulers.cell(_beside(rulers, port), port.across)


def _tag_at(rulers: _Rulers, port: Port) -> Cell:
    """Left to right a weight stands on its wire, outside of the head; top down it stands beside it."""
    at = _beside(rulers, port)
    if rulers.down:
        return rulers.cell(at, port.across + 1)
    outward = bool(port.head) if port.side else 1 - bool(port.head) - len(port.tag)
    return rulers.cell(at + outward, port.across)


def _paths(rulers: _Rulers, wire: Wire) -> Iterator[tuple[DrawnArc, tuple[Cell, ...]]]:
    """The path of each arc of `wire`: a box on the wire ends the first and begins the second."""
    arcs = iter(wire.arcs)
    corners = [rulers.edge(wire.leave)]
    for leave, enter in wire.links:
        first_track = rulers.track_at[leave.channel]
        turns = rulers.routings[leave.channel].corners(leave, enter)
        corners += [(first_track + track * rulers.pitch, across) for track, across in turns]
        if enter.node.element:
            yield next(arcs), tuple(rulers.cell(*point) for point in _points([*corners, rulers.edge(enter)]))
            corners = [rulers.edge(port) for port in enter.node.ports[1 - enter.side][:1]]


def _points(corners: Sequence[_Point]) -> Iterator[_Point]:
    """Every point of a line that turns at `corners`."""
    yield corners[0]
    for (along, across), (to_along, to_across) in pairwise(corners):
        step_along = (to_along > along) - (to_along < along)
        step_across = (to_across > across) - (to_across < across)
        for step in range(1, abs(to_along - along) + abs(to_across - across) + 1):
            yield along + step * step_along, across + step * step_across
