"""Smaller nets with the same answer: liveness and boundedness survive, so soundness does. Pure.

A plain net is closed by a transition from each final place back to the start. When the closed net is live and bounded,
the net is sound (van der Aalst 1998, theorem 11; the proof needs no more than that extra tokens never hinder), and with
one final place also the other way round. Live and bounded nets are made smaller by the rules of Murata (1989, section
IV-A): series places and transitions become one, parallel ones too, self-loops go. Nodes with weights, reads or guards'
other modes are left as they are where a rule does not cover them; inhibitors and resets end the attempt.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from engine.nets.model import Arc, Net, Place, Transition

CLOSING = "@closing"


@dataclass(slots=True)
class _Graph:
    """Places and transitions by name with what is before and after them; only nodes with plain arcs are `loose`."""

    takes: dict[str, set[str]] = field(default_factory=dict)
    puts: dict[str, set[str]] = field(default_factory=dict)
    fills: dict[str, set[str]] = field(default_factory=dict)
    drains: dict[str, set[str]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    stiff_places: set[str] = field(default_factory=set)
    stiff: dict[str, Transition] = field(default_factory=dict)


def closed(net: Net) -> Net | None:
    """`net` with the ways back from its final places, one plain transition for each mode; None when it has inhibitors
    or resets, or a final place that does not exist."""
    if any(one.inhibitors or one.resets for one in net.transitions):
        return None
    start = tuple(Arc(place, count) for place, count in net.initial.items())
    ways = [
        Transition(mode.name, inputs=mode.inputs, outputs=mode.transition.outputs, reads=mode.transition.reads)
        for mode in net.modes
    ]
    ways += [Transition(f"{CLOSING} {place}", inputs=(Arc(place),), outputs=start) for place in sorted(net.final)]
    return replace(net, transitions=tuple(ways), final=frozenset())


def reduced(net: Net, keep_going: Callable[[], bool]) -> Net:
    """A net that is live and bounded exactly when `net`, which has neither inhibitors nor resets, is."""
    graph = _graph(net)
    rules = (_series, _parallel_places, _parallel_transitions, _loops)
    while keep_going():
        before = len(graph.takes) + len(graph.fills)
        for rule in rules:
            rule(graph)
        if len(graph.takes) + len(graph.fills) == before:
            break
    return _net(graph)


def _graph(net: Net) -> _Graph:
    graph = _Graph(tokens={place: net.initial.get(place, 0) for place in net.place_ids})
    for place in net.place_ids:
        graph.fills[place], graph.drains[place] = set(), set()
    for one in net.transitions:
        arcs = (*one.inputs, *one.outputs)
        twice = len({arc.place for arc in one.inputs}) < len(one.inputs)
        twice = twice or len({arc.place for arc in one.outputs}) < len(one.outputs)
        if one.reads or twice or any(arc.weight != 1 for arc in arcs):
            graph.stiff[one.id] = one
            graph.stiff_places.update(arc.place for arc in (*arcs, *one.reads))
            continue
        graph.takes[one.id], graph.puts[one.id] = set(), set()
        for arc in one.inputs:
            _link(graph.takes, graph.drains, one.id, arc.place)
        for arc in one.outputs:
            _link(graph.puts, graph.fills, one.id, arc.place)
    return graph


def _link(ways: dict[str, set[str]], back: dict[str, set[str]], transition: str, place: str) -> None:
    ways[transition].add(place)
    back[place].add(transition)


def _drop_transition(graph: _Graph, name: str) -> None:
    for place in graph.takes.pop(name):
        graph.drains[place].discard(name)
    for place in graph.puts.pop(name):
        graph.fills[place].discard(name)


def _drop_place(graph: _Graph, name: str) -> None:
    for transition in graph.fills.pop(name):
        graph.puts[transition].discard(name)
    for transition in graph.drains.pop(name):
        graph.takes[transition].discard(name)
    del graph.tokens[name]


def _only(names: Iterable[str]) -> str:
    (name,) = names
    return name


def _series(graph: _Graph) -> None:
    for place in list(graph.fills):
        if place in graph.stiff_places or place not in graph.fills:
            continue
        before, after = graph.fills[place], graph.drains[place]
        if len(after) != 1 or not before:
            continue
        way = _only(after)
        if graph.takes[way] != {place}:
            continue
        out = graph.puts[way]
        if len(out) == 1 and place not in out and _only(out) not in graph.stiff_places:
            _join_places(graph, place, way, _only(out))
        elif len(before) == 1 and way not in before and not graph.tokens[place]:
            _join_transitions(graph, place, _only(before), way)


def _join_places(graph: _Graph, place: str, way: str, into: str) -> None:
    """place -> way -> into, with no other way out of `place`: it may as well be `into`."""
    if graph.fills[place] & graph.fills[into]:
        return  # some transition would put two
    _drop_transition(graph, way)
    for transition in graph.fills[place]:
        _link(graph.puts, graph.fills, transition, into)
    graph.tokens[into] += graph.tokens[place]
    _drop_place(graph, place)


def _join_transitions(graph: _Graph, place: str, first: str, second: str) -> None:
    """first -> place -> second, and nothing else around `place`: they may as well fire at once."""
    rest = graph.puts[first] - {place}
    if rest & graph.puts[second]:
        return
    for out in list(graph.puts[second]):
        _link(graph.puts, graph.fills, first, out)
    _drop_transition(graph, second)
    _drop_place(graph, place)


def _parallel_places(graph: _Graph) -> None:
    """Of places between the same transitions, the one with the fewest tokens says when these can fire."""
    seen: dict[tuple[frozenset[str], frozenset[str]], str] = {}
    for place in sorted(graph.fills, key=lambda one: graph.tokens[one]):
        if place in graph.stiff_places or not graph.fills[place] or not graph.drains[place]:
            continue
        around = frozenset(graph.fills[place]), frozenset(graph.drains[place])
        if around in seen:
            _drop_place(graph, place)
        elif around[0] == around[1] and graph.tokens[place]:
            if all(len(graph.takes[one]) > 1 for one in around[0]):
                _drop_place(graph, place)  # never without a token, and each keeps another input
        else:
            seen[around] = place


def _parallel_transitions(graph: _Graph) -> None:
    seen: set[tuple[frozenset[str], frozenset[str]]] = set()
    for way in list(graph.takes):
        around = frozenset(graph.takes[way]), frozenset(graph.puts[way])
        if around in seen:
            _drop_transition(graph, way)
        seen.add(around)


def _loops(graph: _Graph) -> None:
    """A transition from one place back to it is live when another one fills that place again and again."""
    for way in list(graph.takes):
        places = graph.takes[way]
        if len(places) == 1 and places == graph.puts[way] and graph.fills[_only(places)] - {way}:
            _drop_transition(graph, way)


def _net(graph: _Graph) -> Net:
    ways = [
        Transition(
            name,
            inputs=tuple(Arc(place) for place in sorted(graph.takes[name])),
            outputs=tuple(Arc(place) for place in sorted(graph.puts[name])),
        )
        for name in graph.takes
    ]
    initial = {place: count for place, count in graph.tokens.items() if count}
    return Net(tuple(map(Place, graph.fills)), (*ways, *graph.stiff.values()), initial)
