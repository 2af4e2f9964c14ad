"""An analysis as JSON: the fields of `Analysis` in GraphQL, in camel case."""

from collections.abc import Mapping
from typing import Any

from engine.nets.analysis.model import Analysis, Finding, Invariant, Step
from engine.nets.analysis.structural import Structure


def write(found: Analysis) -> dict[str, Any]:
    return {
        "complete": found.complete,
        "states": found.states if found.complete else None,
        "edges": found.edges if found.complete else None,
        "bounded": found.bounded,
        "bound": found.bound,
        "safe": found.safe,
        "live": found.live,
        "reversible": found.reversible,
        "deadlockFree": found.deadlock_free,
        "sound": found.sound,
        "optionToComplete": found.option_to_complete,
        "properCompletion": found.proper_completion,
        "livelockFree": found.livelock_free,
        "deadTransitions": None if found.dead_transitions is None else list(found.dead_transitions),
        "unboundedPlaces": None if found.unbounded_places is None else list(found.unbounded_places),
        "homeStates": found.home_states,
        "liveness": dict(found.liveness),
        "placeBounds": dict(found.place_bounds),
        "netClass": list(found.net_class),
        "by": dict(found.by),
        "onGuards": list(found.on_guards),
        "invariants": [_invariant(one) for one in found.invariants],
        "findings": [_finding(finding) for finding in found.findings],
        "deadlocks": [_finding(finding) for finding in found.deadlocks],
        "everyDeadlock": found.every_deadlock,
        "structure": None if found.structure is None else _structure(found.structure),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": str(finding.code),
        "severity": str(finding.severity),
        "message": finding.message,
        "places": list(finding.places),
        "transitions": list(finding.transitions),
        "trace": [step(one) for one in finding.trace],
        "dependsOnGuards": finding.depends_on_guards,
        "onward": [step(one) for one in finding.onward],
        "loop": finding.loop,
        "siphon": list(finding.siphon),
    }


def _structure(found: Structure) -> dict[str, Any]:
    return {
        "wellHandled": found.well_handled,
        "handles": [
            {
                "start": one.start,
                "end": one.end,
                "first": list(one.first),
                "second": list(one.second),
                "words": one.words,
            }
            for one in found.handles
        ],
        "everyHandle": found.every_handle,
        "siphons": [list(one) for one in found.siphons.sets],
        "everySiphon": found.siphons.complete,
        "traps": [list(one) for one in found.traps.sets],
        "everyTrap": found.traps.complete,
    }


def step(one: Step) -> dict[str, Any]:
    return {"transition": one.transition, "source": one.source, "marking": _marking(one.marking)}


def _invariant(one: Invariant) -> dict[str, Any]:
    return {"kind": one.kind, "weights": dict(one.weights), "value": one.value, "words": one.words}


def _marking(marking: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"place": place, "tokens": count} for place, count in marking.items()]
