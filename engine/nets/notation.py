"""Workflows as JSON, in and out: the same fields as `WorkflowInput` in GraphQL, in both dialects of the words.

`states` or `places`; `fromStates`/`toState`, `from_places`/`to_place`, or `inputs`/`outputs`; every name also in snake
case. What is read is a `Definition`; whether its parts fit together is for `engine.nets.structure` to say.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.model import Arc, Net, Place, Timer, Transition
from engine.rules import notation as rules
from engine.rules.expression import parse
from engine.rules.model import And, Rule

MOST_PLACES = 10_000
MOST_TRANSITIONS = 20_000
MOST_CHARACTERS = 200  # of an id or a name
MOST_WEIGHT = 10**9
MOST_SECONDS = 100 * 366 * 86_400

_WORKFLOW = [
    "id",
    "name",
    "description",
    "states",
    "places",
    "placeSettings",
    "indexes",
    "initialState",
    "initialPlace",
    "initialMarking",
    "finalPlaces",
    "finalStates",
    "transitions",
    "metadata",
    "strict",
]
_PLACE = ["id", "name", "description", "metadata", "timeoutSeconds", "notify"]
_TRANSITION = [
    "id",
    "name",
    "description",
    "fromStates",
    "toState",
    "fromPlaces",
    "toPlace",
    "inputs",
    "outputs",
    "reads",
    "inhibitors",
    "resets",
    "conditions",
    "rule",
    "automatic",
    "priority",
    "timer",
    "subWorkflow",
    "metadata",
]
_TIMER = ["afterSeconds", "at"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow as its author wrote it; `id` is empty when the store shall choose one."""

    name: str
    net: Net
    id: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()


def read(source: object) -> Definition:
    """The definition in JSON `source`.

    Raises InvalidInput whose `details.path` names the field, with the nearest right name for an unknown one.
    """
    fields = _Fields(source, "", _WORKFLOW)
    places = tuple(_with_settings(fields, tuple(_places(fields))))
    transitions = tuple(_transitions(fields))
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
        indexes=fields.names("indexes") or (),
        net=Net(places, transitions, initial, frozenset(final)),
    )


def write(definition: Definition) -> dict[str, Any]:
    """The JSON of a definition, in camel case; `read` gives the same definition back."""
    net = definition.net
    out: dict[str, Any] = {"id": definition.id, "name": definition.name, "description": definition.description}
    out["places"] = [_without_empty(_place_json(place)) for place in net.places]
    out["initialMarking"] = [{"place": place, "tokens": count} for place, count in net.initial.items()]
    out["transitions"] = [_without_empty(_transition_json(transition)) for transition in net.transitions]
    out["indexes"] = list(definition.indexes)
    out["metadata"] = dict(definition.metadata)
    final = [place.id for place in net.places if place.id in net.final]
    return _without_empty(out) | {"finalPlaces": final + sorted(net.final.difference(final))}


def slug(name: str) -> str:
    """The part of an id that comes from a name: `Document Approval` gives `document_approval`."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:80] or "workflow"


# -- reading ----------------------------------------------------------------------------------------------------------


def _places(fields: "_Fields") -> Iterator[Place]:
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
            yield Place(_checked(item, path))
        else:
            place = _Fields(item, path, _PLACE)
            yield Place(
                place.text("id"),
                place.text("name", default=""),
                place.text("description", default="", limit=10_000),
                place.mapping("metadata"),
                place.seconds("timeoutSeconds"),
                place.flag("notify"),
            )


def _with_settings(fields: "_Fields", places: Sequence[Place]) -> Iterator[Place]:
    """The places, with what `placeSettings` says of them and the further ones that it names."""
    settings = {place.id: place for place in _place_objects(fields.sequence("placeSettings", most=MOST_PLACES))}
    for place in places:
        yield settings.pop(place.id, place)
    yield from settings.values()


def _initial(fields: "_Fields", places: Sequence[Place]) -> dict[str, int]:
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
        one = _Fields(item, path, ["place", "tokens"])
        place = one.text("place")
        initial[place] = initial.get(place, 0) + one.count("tokens", least=0)
    return {place: count for place, count in initial.items() if count}


def _transitions(fields: "_Fields") -> Iterator[Transition]:
    for path, item in fields.sequence("transitions", most=MOST_TRANSITIONS):
        one = _Fields(item, path, _TRANSITION)
        sources = one.names("fromStates", "fromPlaces") or ()
        target = one.text("toState", "toPlace", default="")
        outputs = _arcs(one, "outputs")
        conditions = one.names("conditions", limit=4_000) or ()
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
            guard=_guard(one, conditions),
            conditions=conditions,
            automatic=one.flag("automatic"),
            priority=one.count("priority", least=-MOST_WEIGHT, default=0),
            timer=_timer(one),
            sub_workflow=one.text("subWorkflow", default=""),
            metadata=one.mapping("metadata"),
        )


def _timer(fields: "_Fields") -> Timer | None:
    given = fields.value("timer")
    if given is None:
        return None
    timer = _Fields(given, fields.at("timer"), _TIMER)
    after, at = timer.seconds("afterSeconds"), timer.text("at", default="")
    if (after is None) == (not at):
        raise InvalidInput(
            f"{fields.at('timer')} needs one of `afterSeconds` and `at`.",
            fix='Write {"afterSeconds": 3600}, or {"at": "due"} for the moment in the field `due` of the data.',
            details={"path": fields.at("timer")},
        )
    return Timer(after, at)


def _guard(fields: "_Fields", conditions: Sequence[str]) -> Rule | None:
    found: list[Rule] = []
    for number, condition in enumerate(conditions):
        try:
            found.append(parse(condition))
        except InvalidInput as error:
            error.details["path"] = fields.at(f"conditions[{number}]")
            raise
    rule = fields.value("rule")
    if rule is not None:
        found.append(rules.read(rule, fields.at("rule")))
    return None if not found else found[0] if len(found) == 1 else And(tuple(found))


def _arcs(fields: "_Fields", key: str) -> tuple[Arc, ...]:
    arcs = []
    for path, item in fields.sequence(key, most=MOST_PLACES):
        if isinstance(item, str):
            arcs.append(Arc(_checked(item, path)))
        else:
            one = _Fields(item, path, ["place", "weight"])
            arcs.append(Arc(one.text("place"), one.count("weight", least=1, default=1)))
    return tuple(arcs)


class _Fields:
    """One object of the source: looks up fields by any of their names, in camel or snake case."""

    def __init__(self, source: object, path: str, known: Sequence[str]) -> None:
        self._path = path
        if not isinstance(source, Mapping):
            raise InvalidInput(f"{path or 'The workflow'} is not an object.", details={"path": path})
        self._values: dict[str, Any] = {}
        for name, value in source.items():
            key = _camel(str(name))
            if key in self._values:
                raise InvalidInput(
                    f"{self.at(key)} is given twice, in camel and in snake case.",
                    fix="Keep one.",
                    details={"path": self.at(key)},
                )
            self._values[key] = value
            if key not in known:
                close = nearest(key, known)
                raise InvalidInput(
                    f"{self.at(key)} is not a field that is known here.",
                    why=f"Did you mean {close[0]}?" if close else "",
                    fix=f"Known are {', '.join(known)}.",
                    details={"path": self.at(key), "nearest": close},
                )

    def at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def value(self, *keys: str) -> Any:
        given = [key for key in keys if self._values.get(key) is not None]
        if len(given) > 1:
            raise InvalidInput(
                f"{self.at(given[0])} and {given[1]} are both given.",
                why="They are two words for one thing.",
                fix="Keep one.",
                details={"path": self.at(given[1])},
            )
        return self._values[given[0]] if given else None

    def text(self, *keys: str, default: str | None = None, limit: int = MOST_CHARACTERS) -> str:
        value = self.value(*keys)
        if default is not None and (value is None or value == ""):
            return default
        if value is None:
            raise InvalidInput(f"{self.at(keys[0])} is missing.", fix="Add it.", details={"path": self.at(keys[0])})
        return _checked(value, self.at(keys[0]), limit)

    def count(self, key: str, *, least: int, default: int | None = None) -> int:
        value = self.value(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_WEIGHT:
            raise InvalidInput(
                f"{self.at(key)} is {shown(str(value), 40)}.",
                fix=f"Give a whole number from {least} to {MOST_WEIGHT}.",
                details={"path": self.at(key)},
            )
        return value

    def seconds(self, key: str) -> float | None:
        """A time span, or None when it is not given."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
            raise InvalidInput(
                f"{self.at(key)} is {shown(str(value), 40)}.",
                fix="Give a number of seconds, from 0 to a hundred years.",
                details={"path": self.at(key)},
            )
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            raise InvalidInput(
                f"{self.at(key)} is {shown(str(value), 40)}.",
                fix="Give true or false.",
                details={"path": self.at(key)},
            )
        return bool(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.value(key)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidInput(f"{self.at(key)} is not an object.", details={"path": self.at(key)})
        return value or {}

    def sequence(self, *keys: str, most: int) -> list[tuple[str, Any]]:
        """The items of a list with the path of each."""
        value = self.value(*keys)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise InvalidInput(f"{self.at(keys[0])} is not a list.", details={"path": self.at(keys[0])})
        if len(value) > most:
            raise InvalidInput(
                f"{self.at(keys[0])} has {len(value)} items.",
                why=f"At most {most} are taken.",
                fix="Cut the workflow into smaller ones.",
                details={"path": self.at(keys[0])},
            )
        return [(f"{self.at(keys[0])}[{number}]", item) for number, item in enumerate(value)]

    def names(self, *keys: str, limit: int = MOST_CHARACTERS) -> tuple[str, ...] | None:
        """A list of names, or None when it is not given; one name alone is taken as a list of one."""
        value = self.value(*keys)
        if value is None:
            return None
        if isinstance(value, str):
            return (_checked(value, self.at(keys[0]), limit),)
        return tuple(_checked(item, path, limit) for path, item in self.sequence(*keys, most=MOST_PLACES))


def _checked(value: object, path: str, limit: int = MOST_CHARACTERS) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{path} is not a text.", fix="Give a text.", details={"path": path})
    if not value.strip() or len(value) > limit:
        problem = "is empty" if not value.strip() else f"has {len(value)} characters"
        raise InvalidInput(f"{path} {problem}.", fix=f"Give 1 to {limit} characters.", details={"path": path})
    if not value.isprintable() and limit == MOST_CHARACTERS:
        raise InvalidInput(f"{path} {shown(value)} has characters that cannot be shown.", details={"path": path})
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{path} is not valid Unicode.", why=str(error), details={"path": path}) from None
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


# -- writing ----------------------------------------------------------------------------------------------------------


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "id": place.id,
        "name": place.label,
        "description": place.description,
        "metadata": dict(place.metadata),
        "timeoutSeconds": place.timeout_s,
        "notify": place.notify or None,
    }


def _transition_json(transition: Transition) -> dict[str, Any]:
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
    rest = _structured(transition)
    return out | {"rule": rules.write(rest)} if rest else out


def _timer_json(timer: Timer) -> dict[str, Any]:
    return {"at": timer.at} if timer.at else {"afterSeconds": timer.after_s}


def _structured(transition: Transition) -> Rule | None:
    """The part of the guard that was not written as conditions."""
    if not transition.conditions:
        return transition.guard
    parsed = tuple(parse(condition) for condition in transition.conditions)
    if transition.guard == (parsed[0] if len(parsed) == 1 else And(parsed)):
        return None
    assert isinstance(transition.guard, And)
    return transition.guard.rules[-1]


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in ("", [], {}, None)}
