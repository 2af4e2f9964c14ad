"""Workflows as JSON, read: the same fields as `WorkflowInput` in GraphQL, in both dialects of the words.

`states` or `places`; `fromStates`/`toState`, `from_places`/`to_place`, or `inputs`/`outputs`; every name also in snake
case. What is read is a `Definition`; whether its parts fit together is for `engine.nets.structure` to say.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.kernel.errors import InvalidInput, shown
from engine.nets.model import Arc, Net, Place, Timer, Transition
from engine.nets.notation.definition import (
    MOST_CHARACTERS,
    MOST_CONDITIONS,
    MOST_INDEXES,
    MOST_PLACES,
    MOST_RULES,
    MOST_TRANSITIONS,
    MOST_WEIGHT,
    Definition,
)
from engine.nets.notation.fields import Fields, checked
from engine.nets.notation.words import PLACE, TIMER, TRANSITION, WORKFLOW
from engine.rules import notation as rules
from engine.rules.expression import MOST_CHARACTERS as MOST_RULE_CHARACTERS
from engine.rules.expression import parse
from engine.rules.model import And, Rule

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")


def read(source: object) -> Definition:
    """The definition in JSON `source`.

    Raises InvalidInput whose `details.path` names the field, with the nearest right name for an unknown one.
    """
    fields = Fields(source, "", WORKFLOW)
    places = tuple(_with_settings(fields, tuple(_places(fields))))
    named = named_rules(fields.mapping("rules"))
    transitions = tuple(_transitions(fields, named))
    initial = _initial(fields, places)
    final = fields.names("finalPlaces", "finalStates")
    if final is None:
        leaving = {arc.place for t in transitions for arc in t.inputs} | {s for t in transitions for s in t.sources}
        final = tuple(place.id for place in places if place.id not in leaving)
    return Definition(
        id=fields.text("id", default=""),
        name=fields.text("name"),
        description=fields.text("description", default="", limit=10_000),
        metadata=fields.mapping("metadata"),
        indexes=_indexes(fields),
        rules=fields.mapping("rules"),
        net=Net(places, transitions, initial, frozenset(final)),
    )


def _places(fields: Fields) -> Iterator[Place]:
    found = fields.sequence("states", "places", most=MOST_PLACES)
    if not found:
        raise InvalidInput(
            "The workflow has no places.",
            fix='Name them in `places` (or `states`): ["draft", "done"].',
            details={"path": "places"},
        )
    yield from _place_objects(found)


def _place_objects(found: Sequence[tuple[str, Any]]) -> Iterator[Place]:
    for path, item in found:
        if isinstance(item, str):
            yield Place(checked(item, path))
        else:
            place = Fields(item, path, PLACE)
            yield Place(
                place.text("id"),
                place.text("name", default=""),
                place.text("description", default="", limit=10_000),
                place.mapping("metadata"),
                place.seconds("timeoutSeconds"),
                place.flag("notify"),
            )


def _with_settings(fields: Fields, places: Sequence[Place]) -> Iterator[Place]:
    """The places, with what `placeSettings` says of them, and the further ones that it names."""
    settings = {place.id: place for place in _place_objects(fields.sequence("placeSettings", most=MOST_PLACES))}
    for place in places:
        yield settings.pop(place.id, place)
    yield from settings.values()


def _initial(fields: Fields, places: Sequence[Place]) -> dict[str, int]:
    marking = fields.sequence("initialMarking", most=MOST_PLACES)
    named = fields.text("initialState", "initialPlace", default="")
    if marking and named:
        raise InvalidInput(
            "initialMarking and an initial place are both given.",
            why="Each says where the tokens are at the beginning.",
            fix="Keep one.",
            details={"path": "initialMarking"},
        )
    if not marking:
        return {named or places[0].id: 1}
    initial: dict[str, int] = {}
    for path, item in marking:
        one = Fields(item, path, ["place", "tokens"])
        place = one.text("place")
        initial[place] = initial.get(place, 0) + one.count("tokens", least=0)
    return {place: count for place, count in initial.items() if count}


def _transitions(fields: Fields, named: Mapping[str, Rule]) -> Iterator[Transition]:
    for path, item in fields.sequence("transitions", most=MOST_TRANSITIONS):
        one = Fields(item, path, TRANSITION)
        sources = one.names("fromStates", "fromPlaces") or ()
        target = one.text("toState", "toPlace", default="")
        outputs = _arcs(one, "outputs")
        conditions = one.names("conditions", limit=MOST_RULE_CHARACTERS, most=MOST_CONDITIONS) or ()
        yield Transition(
            id=one.text("id"),
            label=one.text("name", default=""),
            description=one.text("description", default="", limit=10_000),
            sources=sources,
            inputs=_arcs(one, "inputs"),
            outputs=(Arc(target), *outputs) if target else outputs,
            reads=_arcs(one, "reads"),
            inhibitors=_arcs(one, "inhibitors"),
            resets=one.names("resets") or (),
            guard=_guard(one, conditions, named),
            conditions=conditions,
            automatic=one.flag("automatic"),
            priority=one.count("priority", least=-MOST_WEIGHT, default=0),
            timer=_timer(one),
            sub_workflow=one.text("subWorkflow", default=""),
            metadata=one.mapping("metadata"),
        )


def _timer(fields: Fields) -> Timer | None:
    given = fields.value("timer")
    if given is None:
        return None
    timer = Fields(given, fields.at("timer"), TIMER)
    after, at = timer.seconds("afterSeconds"), timer.text("at", default="")
    if (after is None) == (not at):
        raise InvalidInput(
            f"{fields.at('timer')} needs one of `afterSeconds` and `at`.",
            fix='Write {"afterSeconds": 3600}, or {"at": "due"} for the moment in the field `due` of the data.',
            details={"path": fields.at("timer")},
        )
    return Timer(after, at)


def _guard(fields: Fields, conditions: Sequence[str], named: Mapping[str, Rule]) -> Rule | None:
    found: list[Rule] = []
    for number, condition in enumerate(conditions):
        try:
            found.append(rule_of(condition, named))
        except InvalidInput as error:
            error.details["path"] = fields.at(f"conditions[{number}]")
            raise
    rule = fields.value("rule")
    if rule is not None:
        found.append(rules.read(rule, fields.at("rule")))
    return None if not found else found[0] if len(found) == 1 else And(tuple(found))


def named_rules(source: Mapping[str, Any]) -> dict[str, Rule]:
    """The rules of a workflow by name. Each is an expression, or a structured rule as JSON."""
    if len(source) > MOST_RULES:
        raise InvalidInput(
            f"The workflow has {len(source)} rules.", why=f"At most {MOST_RULES} are taken.", details={"path": "rules"}
        )
    found = {}
    for name, rule in source.items():
        path = f"rules.{name}"
        if not _NAME.fullmatch(name) or len(name) > MOST_CHARACTERS:
            raise InvalidInput(
                f"{shown(name)} is no name for a rule.",
                fix="Use letters, digits, _ and -, and a letter first.",
                details={"path": "rules"},
            )
        try:
            found[name] = parse(rule) if isinstance(rule, str) else rules.read(rule, path)
        except InvalidInput as error:
            error.details.setdefault("path", path)
            raise
    return found


def rule_of(condition: str, named: Mapping[str, Rule]) -> Rule:
    """What a condition means: the rule of that name, else the expression."""
    return named.get(condition.strip()) or parse(condition)


def _indexes(fields: Fields) -> tuple[str, ...]:
    found = fields.names("indexes", most=MOST_INDEXES) or ()
    for number, path in enumerate(found):
        if not _PATH.fullmatch(path) or path in found[:number]:
            problem = "is given twice" if path in found[:number] else "is no path of a field"
            raise InvalidInput(
                f"{shown(path)} {problem}.",
                fix="Name fields of the data as `customer` or `order.customer`, of the metadata as `metadata.team`.",
                details={"path": f"indexes[{number}]"},
            )
    return found


def _arcs(fields: Fields, key: str) -> tuple[Arc, ...]:
    arcs = []
    for path, item in fields.sequence(key, most=MOST_PLACES):
        if isinstance(item, str):
            arcs.append(Arc(checked(item, path)))
        else:
            one = Fields(item, path, ["place", "weight"])
            arcs.append(Arc(one.text("place"), one.count("weight", least=1, default=1)))
    return tuple(arcs)
