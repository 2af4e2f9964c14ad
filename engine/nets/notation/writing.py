"""Workflows as JSON, written."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.nets.model import Arc, Place, Timer, Transition
from engine.nets.notation.definition import Definition
from engine.nets.notation.reading import named_rules, rule_of
from engine.rules import notation as rules
from engine.rules.model import And, Rule


def write(definition: Definition) -> dict[str, Any]:
    """The JSON of a definition, in camel case; `read` gives the same definition back."""
    net, named = definition.net, named_rules(definition.rules)
    out: dict[str, Any] = {"id": definition.id, "name": definition.name, "description": definition.description}
    out["places"] = [_without_empty(_place_json(place)) for place in net.places]
    out["initialMarking"] = [{"place": place, "tokens": count} for place, count in net.initial.items()]
    out["transitions"] = [_without_empty(_transition_json(transition, named)) for transition in net.transitions]
    out["indexes"], out["rules"] = list(definition.indexes), dict(definition.rules)
    out["metadata"] = dict(definition.metadata)
    final = [place.id for place in net.places if place.id in net.final]
    return _without_empty(out) | {"finalPlaces": final + sorted(net.final.difference(final))}


def write_short(definition: Definition) -> dict[str, Any]:
    """The same for people: what says itself is left out, and a name alone stands for a place or an arc of weight 1."""
    source = write(definition)
    out: dict[str, Any] = {}
    for key, value in source.items():
        match key:
            case "places":
                out[key] = [place["id"] if len(place) == 1 else place for place in value]
            case "initialMarking" if [one["tokens"] for one in value] == [1]:
                out["initialState"] = value[0]["place"]
            case "transitions":
                out[key] = [_short(transition) for transition in value]
            case _:
                out[key] = value
    return out


def _short(transition: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in transition.items():
        if key in ("inputs", "outputs", "reads", "inhibitors"):
            ends = [arc["place"] if arc["weight"] == 1 else arc for arc in value]
            alone = key == "outputs" and len(ends) == 1 and isinstance(ends[0], str) and "fromStates" in transition
            out |= {"toState": ends[0]} if alone else {key: ends}
        else:
            out[key] = value
    return out


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "id": place.id,
        "name": place.label,
        "description": place.description,
        "metadata": dict(place.metadata),
        "timeoutSeconds": place.timeout_s,
        "notify": place.notify or None,
    }


def _transition_json(transition: Transition, named: Mapping[str, Rule]) -> dict[str, Any]:
    def arcs(found: Sequence[Arc]) -> list[dict[str, Any]]:
        return [{"place": arc.place, "weight": arc.weight} for arc in found]

    out: dict[str, Any] = {
        "id": transition.id,
        "name": transition.label,
        "description": transition.description,
        "fromStates": list(transition.sources),
        "inputs": arcs(transition.inputs),
        "outputs": arcs(transition.outputs),
        "reads": arcs(transition.reads),
        "inhibitors": arcs(transition.inhibitors),
        "resets": list(transition.resets),
        "conditions": list(transition.conditions),
        "automatic": transition.automatic or None,
        "priority": transition.priority or None,
        "timer": transition.timer and _timer_json(transition.timer),
        "subWorkflow": transition.sub_workflow,
        "metadata": dict(transition.metadata),
    }
    rest = _structured(transition, named)
    return out | {"rule": rules.write(rest)} if rest else out


def _timer_json(timer: Timer) -> dict[str, Any]:
    return {"at": timer.at} if timer.at else {"afterSeconds": timer.after_s}


def _structured(transition: Transition, named: Mapping[str, Rule]) -> Rule | None:
    """The part of the guard that was not written as conditions."""
    if not transition.conditions:
        return transition.guard
    parsed = tuple(rule_of(condition, named) for condition in transition.conditions)
    if transition.guard == (parsed[0] if len(parsed) == 1 else And(parsed)):
        return None
    assert isinstance(transition.guard, And)
    return transition.guard.rules[-1]


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in ("", [], {}, None)}
