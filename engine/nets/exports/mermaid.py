"""Mermaid (mermaid.js.org, version 11): `stateDiagram-v2` for state machines, a flowchart for all other nets.

Names from outside are only ever put into quotes, with what could end them or begin markup written as entity codes.
"""

import re
from collections.abc import Iterator

from engine.nets.model import Mode, Net, merged
from engine.nets.notation.definition import Definition


def mermaid(definition: Definition) -> str:
    """`definition` as a Mermaid diagram."""
    net = definition.net
    lines = _state_diagram(net) if _is_state_machine(net) else _flowchart(net)
    return "\n".join(lines) + "\n"


def _is_state_machine(net: Net) -> bool:
    """One token that goes from place to place: a diagram of states says all there is."""
    return list(net.initial.values()) == [1] and all(
        [arc.weight for arc in mode.inputs] == [1]
        and [arc.weight for arc in mode.transition.outputs] == [1]
        and not (mode.transition.reads or mode.transition.inhibitors or mode.transition.resets)
        for mode in net.modes
    )


def _state_diagram(net: Net) -> Iterator[str]:
    names = {place.id: f"s{number}" for number, place in enumerate(net.places)}
    yield "stateDiagram-v2"
    for place in net.places:
        yield f'    state "{_safe(place.label or place.id)}" as {names[place.id]}'
    for place_id in net.initial:
        yield f"    [*] --> {names[place_id]}"
    for mode in net.modes:
        ends = f"{names[mode.inputs[0].place]} --> {names[mode.transition.outputs[0].place]}"
        yield f"    {ends} : {_safe(_told(mode))}"
    for place in net.places:
        if place.id in net.final:
            yield f"    {names[place.id]} --> [*]"


def _flowchart(net: Net) -> Iterator[str]:
    names = {place.id: f"p{number}" for number, place in enumerate(net.places)}
    yield "flowchart LR"
    for place in net.places:
        tokens = net.initial.get(place.id, 0)
        text = (place.label or place.id) + (" " + ("●" if tokens == 1 else f"●×{tokens}") if tokens else "")
        left, right = ("(((", ")))") if place.id in net.final else ("((", "))")
        yield f'    {names[place.id]}{left}"{_safe(text)}"{right}'
    for number, mode in enumerate(net.modes):
        name = f"t{number}"
        yield f'    {name}["{_safe(_told(mode))}"]'
        for arc in mode.inputs:
            yield f"    {names[arc.place]} -->{_weight(arc.weight)} {name}"
        for arc in mode.transition.reads:
            yield f'    {names[arc.place]} <-.->|"{"reads" if arc.weight == 1 else f"reads {arc.weight}"}"| {name}'
        for arc in mode.transition.inhibitors:
            yield f"    {names[arc.place]} --o{_weight(arc.weight)} {name}"
        for place_id in mode.transition.resets:
            yield f'    {names[place_id]} --x|"empties"| {name}'
        for arc in merged(mode.transition.outputs):
            yield f"    {name} -->{_weight(arc.weight)} {names[arc.place]}"


def _told(mode: Mode) -> str:
    transition = mode.transition
    text = transition.label or transition.id
    return f"{text} [{' && '.join(transition.conditions)}]" if transition.conditions else text


def _weight(weight: int) -> str:
    return f'|"{weight}"|' if weight != 1 else ""


def _safe(text: str) -> str:
    """Letters, digits and a few signs as they are, the rest as entity codes: `#35;` is #."""
    return re.sub(r"[^\w .,()/+×●-]", lambda match: f"#{ord(match[0])};", " ".join(text.split()))
