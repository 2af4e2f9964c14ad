"""Workflows in files: which format it is, and what is in it. Every error says line and column.

read_text(text, format)      a definition, from one of FORMATS
detect(filename, text)       the format of a file
locate(text, format, path)   the line and column of a field that an error names
"""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

from engine.kernel.errors import InvalidInput, TooLarge, nearest, shown
from engine.nets.model import Transition
from engine.nets.notation.bpmn import read_bpmn
from engine.nets.notation.definition import Definition
from engine.nets.notation.literals import read_literal
from engine.nets.notation.marks import MOST_VALUES, Mark, line_and_column, located, malformed, too_many_values
from engine.nets.notation.pnml import read_pnml
from engine.nets.notation.reading import read
from engine.nets.notation.yaml_text import read_yaml

Format: TypeAlias = Literal["json", "yaml", "graphql", "pnml", "bpmn"]
FORMATS: tuple[Format, ...] = get_args(Format)
MOST_TEXT = 10_000_000  # characters

_ENDINGS: dict[str, Format] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".graphql": "graphql",
    ".gql": "graphql",
    ".pnml": "pnml",
    ".bpmn": "bpmn",
}


def read_text(text: str, format: Format) -> Definition:
    """The definition in `text`.

    Raises InvalidInput, with `details.line` and `details.column` and, where there is one, `details.path`; also for an
    arc to a place that does not exist, with the nearest that does. TooLarge.
    """
    text = _checked(text)
    if format == "pnml":
        return read_pnml(text)
    if format == "bpmn":
        return read_bpmn(text)
    value, mark = _value(text, format)
    try:
        definition = read(value)
        for path, place in _unknown_places(definition, mark):
            known = definition.net.place_ids
            close = nearest(place, known)
            raise InvalidInput(
                f"{path} names the place {shown(place)}, which does not exist.",
                why=f"Did you mean {close[0]}?" if close else "",
                fix=f"Places are {', '.join(known[:20])}{', …' if len(known) > 20 else ''}.",
                details={"path": path, "nearest": close},
            )
    except InvalidInput as error:
        raise located(error, text, mark.find(str(error.details.get("path", ""))).at) from None
    return definition


def detect(filename: str, text: str) -> Format:
    """By the ending of the name, else by how the text begins. Raises InvalidInput when neither says."""
    start = text.lstrip("\ufeff \t\r\n")[:2000]
    for ending, format in _ENDINGS.items():
        if filename.lower().endswith(ending):
            return format
    if start.startswith("<"):
        if "<pnml" in start or ":pnml" in start:
            return "pnml"
        if "definitions" in start:
            return "bpmn"
        raise InvalidInput(
            f"{shown(filename)} is XML, but neither PNML nor BPMN.",
            why="Its first element is neither pnml nor definitions.",
            fix="Export the model as PNML or BPMN 2.0.",
        )
    if start.startswith("{"):
        return "json" if start[1:].lstrip()[:1] in ('"', "}") else "graphql"
    if start.startswith(("mutation", "query", "#")) and "createWorkflow" in text:
        return "graphql"
    if ":" in start:
        return "yaml"
    raise InvalidInput(
        f"{shown(filename)} is no workflow that is known here.",
        fix=f"Give a file of one of these kinds: {', '.join(_ENDINGS)}.",
    )


def locate(text: str, format: Format, path: str) -> tuple[int, int] | None:
    """The line and column, from 1, of the field that is named by `path`, as in `transitions[0].toState`; None for
    XML, whose errors bring their own."""
    if format in ("pnml", "bpmn"):
        return None
    text = _checked(text)
    return line_and_column(text, _value(text, format)[1].find(path).at)


def _value(text: str, format: Format) -> tuple[Any, Mark]:
    if format == "yaml":
        return read_yaml(text)
    return read_literal(text, "json" if format == "json" else "graphql")


def _checked(text: str) -> str:
    """The text, when it is not too long and has only whole characters."""
    if len(text) > MOST_TEXT:
        raise TooLarge(
            f"The text has {len(text):,} characters.",
            why=f"Up to {MOST_TEXT:,} are read.",
            fix="Cut the workflow into smaller ones.",
            details={"limit": MOST_TEXT},
        )
    if max(text.count(","), text.count("\n"), text.count("<") // 2) > MOST_VALUES:  # there are as many values, about
        raise too_many_values()
    text = text.removeprefix("\ufeff")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise malformed(text, error.start, "this is no valid Unicode.", fix="Save the file as UTF-8.") from None
    return text


def _unknown_places(definition: Definition, mark: Mark) -> Iterator[tuple[str, str]]:
    """The path and the name of each place that does not exist."""
    net, known = definition.net, set(definition.net.place_ids)
    for place in net.initial:
        if place not in known:
            yield "initialMarking" if mark.has("initialMarking") else "initialState", place
    for place in sorted(net.final - known):
        yield "finalPlaces", place
    for number, transition in enumerate(net.transitions):
        path = f"transitions[{number}]"
        for key, places in _ends(transition):
            if key == "outputs" and mark.find(path).has("toState"):
                first, *places = places
                if first not in known:
                    yield f"{path}.toState", first
            for at, place in enumerate(places):
                if place not in known:
                    yield f"{path}.{key}[{at}]", place


def _ends(transition: Transition) -> Iterator[tuple[str, list[str]]]:
    yield "fromStates", list(transition.sources)
    yield "inputs", [arc.place for arc in transition.inputs]
    yield "outputs", [arc.place for arc in transition.outputs]
    yield "reads", [arc.place for arc in transition.reads]
    yield "inhibitors", [arc.place for arc in transition.inhibitors]
    yield "resets", list(transition.resets)
