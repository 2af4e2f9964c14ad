"""DOT, the language of Graphviz (graphviz.org/doc/info/lang.html): places as circles, transitions as boxes."""

from collections.abc import Iterator

from engine.nets.model import merged
from engine.nets.notation.definition import Definition


def dot(definition: Definition) -> str:
    """`definition` as a directed graph."""
    return "\n".join(_lines(definition)) + "\n"


def _lines(definition: Definition) -> Iterator[str]:
    net = definition.net
    names = {place.id: f"p{number}" for number, place in enumerate(net.places)}
    yield f"digraph {_quoted(definition.name)} {{"
    yield "  rankdir=LR;"
    yield '  node [fontname="sans-serif" fontsize=11];'
    yield '  edge [fontname="sans-serif" fontsize=9];'
    for place in net.places:
        tokens = net.initial.get(place.id, 0)
        label = (place.label or place.id) + ("\n" + ("●" if tokens == 1 else f"●×{tokens}") if tokens else "")
        shape = "doublecircle" if place.id in net.final else "circle"
        yield f"  {names[place.id]} [shape={shape} label={_quoted(label)}];"
    for number, mode in enumerate(net.modes):
        transition, name = mode.transition, f"t{number}"
        label = "\n".join([transition.label or transition.id, *(f"[{one}]" for one in transition.conditions)])
        yield f"  {name} [shape=box style=filled fillcolor=gray92 label={_quoted(label)}];"
        for arc in mode.inputs:
            yield f"  {names[arc.place]} -> {name}{_attributes(arc.weight)};"
        for arc in transition.reads:
            yield f"  {names[arc.place]} -> {name}{_attributes(arc.weight, 'style=dashed dir=both')};"
        for arc in transition.inhibitors:
            yield f"  {names[arc.place]} -> {name}{_attributes(arc.weight, 'arrowhead=odot')};"
        for place_id in transition.resets:
            yield f"  {names[place_id]} -> {name}{_attributes(1, 'style=dotted arrowhead=diamond')};"
        for arc in merged(transition.outputs):
            yield f"  {name} -> {names[arc.place]}{_attributes(arc.weight)};"
    yield "}"


def _attributes(weight: int, rest: str = "") -> str:
    parts = [f'label="{weight}"'] * (weight != 1) + [rest] * bool(rest)
    return f" [{' '.join(parts)}]" if parts else ""


def _quoted(text: str) -> str:
    r"""A quoted string: a backslash is one, `\n` begins a line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "") + '"'
