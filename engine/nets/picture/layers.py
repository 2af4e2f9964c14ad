"""Which nodes stand in which layer, and which wires run back.

The first steps of Sugiyama, Tagawa & Toda (1981), with one difference: an arc that closes a loop is not reversed. It
becomes a *lane* that leaves and enters on the same sides as all others and turns in the outer channels, so that one way
stays the way to read.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from engine.nets.picture.graph import DrawnPlace
from engine.nets.picture.sketch import Layers, Node, Sketch, Wire

_Leaving = Mapping[Node, Sequence[Wire]]


def layered(sketch: Sketch) -> Layers:
    """The nodes in layers. Marks the wires that run back."""
    leaving: defaultdict[Node, list[Wire]] = defaultdict(list)
    for wire in sketch.wires:
        leaving[wire.leave.node].append(wire)
    marked = [node for node in sketch.nodes if isinstance(node.element, DrawnPlace) and node.element.initial]
    _return_to(marked, sketch, leaving)
    flow = _walked(marked, sketch, leaving)
    _assign(flow, sketch.wires)
    while onward := [w for w in sketch.wires if w.back and w.leave.node.layer < w.enter.node.layer]:
        # Two marked places can each lead to the other, and then a wire was marked that need not run back.
        for wire in onward:
            wire.back = False
        flow.sort(key=lambda node: node.layer)
        _assign(flow, sketch.wires)
    return _stacked(flow)


def _return_to(marked: Sequence[Node], sketch: Sketch, leaving: _Leaving) -> None:
    """Let wires run back that return to a marked place from something the place leads to.

    So resources (locks, free slots) stand at the start, instead of chaining everything behind them.
    """
    for place in marked:
        beyond = {place: None}
        waiting = [place]
        while waiting:
            found = [w.enter.node for w in leaving[waiting.pop()] if w.enter.node not in beyond]
            beyond.update(dict.fromkeys(found))
            waiting += found
        for wire in sketch.wires:
            wire.back |= wire.enter.node is place and wire.leave.node in beyond


def _walked(marked: Sequence[Node], sketch: Sketch, leaving: _Leaving) -> list[Node]:
    """The nodes so that all wires but those that run back lead onwards; a depth-first walk finds the other loops."""
    entered = {wire.enter.node for wire in sketch.wires if not wire.back}
    roots = [*marked, *(node for node in sketch.nodes if node not in entered), *sketch.nodes]
    on_path: dict[Node, bool] = {}
    finished: list[Node] = []
    for root in roots:
        if root not in on_path:
            _walk(root, leaving, on_path, finished)
    return finished[::-1]


def _walk(root: Node, leaving: _Leaving, on_path: dict[Node, bool], finished: list[Node]) -> None:
    """Visit what `root` leads to. Without recursion: a net may be longer than Python's stack is deep."""
    trail = [(root, iter(leaving[root]))]
    while trail:
        node, rest = trail[-1]
        if node not in on_path:
            on_path[node], node.rank = True, len(on_path)
        for wire in rest:
            wire.back |= on_path.get(wire.enter.node, False)
            if not wire.back and wire.enter.node not in on_path:
                trail.append((wire.enter.node, iter(leaving[wire.enter.node])))
                break
        else:
            on_path[node] = False
            finished.append(node)
            trail.pop()


def _assign(flow: Sequence[Node], wires: Sequence[Wire]) -> None:
    """Longest path from the start; then what has more ways out than in moves up to what it feeds."""
    coming: defaultdict[Node, list[Wire]] = defaultdict(list)
    going: defaultdict[Node, list[Wire]] = defaultdict(list)
    for wire in wires:
        if not wire.back:
            coming[wire.enter.node].append(wire)
            going[wire.leave.node].append(wire)
    for node in flow:
        node.layer = max((w.leave.node.layer + w.reach for w in coming[node]), default=0)
    for node in reversed(flow):
        if len(going[node]) > len(coming[node]):
            node.layer = min(w.enter.node.layer - w.reach for w in going[node])


def _stacked(flow: Sequence[Node]) -> Layers:
    first = min((node.layer for node in flow), default=0)
    last = max((node.layer for node in flow), default=0)
    layers: Layers = [[] for _ in range(last - first + 1)]
    for node in flow:
        node.layer -= first
        layers[node.layer].append(node)
    return layers
