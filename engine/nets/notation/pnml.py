"""PNML, read: place/transition nets of ISO/IEC 15909-2 as other tools write them.

Nested pages and reference nodes are resolved; graphics and what other tools note for themselves are left. The dialects
for what the standard has no words for:

- kinds of arcs: `<arc type="inhibitor">` (TAPAAL's `tapnInhibitor` too), `<type value="inhibitor"/>` (PIPE, LoLA) and
  `<arctype><text>inhibitor</text></arctype>` (pm4py, ProM), likewise `reset` and `read` or `test`
- numbers: `<text>2</text>`, `<value>2</value>`, and PIPE's `Default,2`
- pm4py's `<finalmarkings>`; each may name one place

Our own notes (`engine.nets.exports.pnml`) give back what PNML cannot say: guards, timers, any-of sources.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.notation.definition import MOST_PLACES, MOST_TRANSITIONS, Definition, slug
from engine.nets.notation.marks import Mark, located
from engine.nets.notation.reading import read
from engine.nets.notation.xml_text import Document, Element, read_xml

TOOL: Final = "circuit-breaker"
_KINDS = {
    "normal": "normal",
    "arc": "normal",
    "pt": "normal",
    "default": "normal",
    "inhibitor": "inhibitor",
    "tapninhibitor": "inhibitor",
    "read": "read",
    "test": "read",
    "reset": "reset",
}
_COLOURED = ("symmetricnet", "hlcorestructure", "highlevelnet", "pt-hlpng")
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.I)


def read_pnml(text: str) -> Definition:
    """The net in `text`. Raises InvalidInput naming line, column and element; TooLarge."""
    document = read_xml(text)
    nets = list(document.root.all("net"))
    if document.root.tag != "pnml" or not nets:
        raise document.error(document.root, "holds no net.", fix="Give a PNML file: <pnml><net ...>.")
    if len(nets) > 1:
        raise document.error(nets[1], "is a second net.", fix="Keep one in a file.")
    if nets[0].attributes.get("type", "").rpartition("/")[2].lower() in _COLOURED:
        raise document.error(nets[0], "is a coloured net.", fix="Unfold it to a place/transition net first.")
    return _Reader(document, nets[0]).definition()


@dataclass(slots=True)
class _Transition:
    element: Element
    fields: dict[str, Any]
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    inhibitors: list[dict[str, Any]] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, document: Document, net: Element) -> None:
        self._document, self._net = document, net
        self._nodes: dict[str, Element] = {}  # by their ids in the file
        self._places: dict[str, dict[str, Any]] = {}
        self._transitions: dict[str, _Transition] = {}

    def definition(self) -> Definition:
        elements = list(_inside(self._net))
        self._find_nodes(elements)
        initial = [
            {"place": self._places[element.id]["id"], "tokens": tokens}
            for element in elements
            if element.tag == "place" and (tokens := self._tokens(element))
        ]
        for element in elements:
            if element.tag == "arc":
                self._add_arc(element)
        transitions = list(self._joined())
        notes = self._notes(self._net)
        name = _label(self._net) or self._net.id or "Net"
        source: dict[str, Any] = {"name": name, **notes, "places": list(self._places.values())}
        source["transitions"] = [fields for _, fields in transitions]
        source["initialMarking"] = initial or [{"place": self._beginning(), "tokens": 1}]
        final = self._final()
        if final is not None:
            source["finalPlaces"] = final
        places = [element for element in elements if element.tag == "place"]
        mark = Mark(
            self._document.offset(self._net),
            fields={
                "places": self._marks(places),
                "transitions": self._marks([element for element, _ in transitions]),
            },
        )
        try:
            return read(source)
        except InvalidInput as error:
            raise located(error, self._document.text, mark.find(str(error.details.get("path", ""))).at) from None

    def _marks(self, elements: list[Element]) -> Mark:
        """Of many elements only the first hundred: an offset in characters takes a look at the whole text."""
        offset = self._document.offset
        return Mark(offset(self._net), items=[Mark(offset(element)) for element in elements[:100]])

    def _find_nodes(self, elements: list[Element]) -> None:
        taken: dict[str, set[str]] = {"place": set(), "transition": set()}
        for element in elements:
            if element.tag == "arc":
                continue
            if not element.id or element.id in self._nodes:
                problem = "has an id that is taken." if element.id else "has no id."
                raise self._document.error(element, problem, fix="Give each node an id of its own.")
            self._nodes[element.id] = element
            if element.tag in taken:
                notes = self._notes(element)
                label = _label(element)
                used = taken[element.tag]
                identity = notes.get("id") or _readable(element.id, label, element.tag, used)
                used.add(identity)
                fields = {"id": identity, "name": "" if label == identity else label, **notes}
                if element.tag == "place":
                    self._places[element.id] = fields
                else:
                    self._transitions[element.id] = _Transition(element, fields)
        for tag, most, found in (
            ("places", MOST_PLACES, len(self._places)),
            ("transitions", MOST_TRANSITIONS, len(self._transitions)),
        ):
            if found > most:
                raise self._document.error(self._net, f"has {found} {tag}.", why=f"At most {most} are taken.")

    # -- arcs ---------------------------------------------------------------------------------------------------------

    def _add_arc(self, arc: Element) -> None:
        source, target = self._end(arc, "source"), self._end(arc, "target")
        kind, weight = self._kind(arc), self._weight(arc)
        forward = source.tag == "place"
        if source.tag == target.tag:
            raise self._document.error(arc, f"joins two {source.tag}s.", fix="An arc joins a place and a transition.")
        if kind == "inhibitor" and not forward:
            raise self._document.error(arc, "inhibits a place.", fix="An inhibitor arc goes to a transition.")
        if weight < 1:
            raise self._document.error(arc, f"has the weight {weight}.", fix="Give a whole number from 1.")
        place = self._places[(source if forward else target).id]["id"]
        transition = self._transitions[(target if forward else source).id]
        end = {"place": place, "weight": weight}
        match kind:
            case "inhibitor":
                transition.inhibitors.append(end)
            case "read":
                transition.reads.append(end)
            case "reset":
                transition.resets.append(place)
            case _:
                (transition.inputs if forward else transition.outputs).append(end)

    def _end(self, arc: Element, key: str) -> Element:
        """The node at one end, through reference nodes."""
        wanted, seen = arc.attributes.get(key, ""), set[str]()
        while True:
            node = self._nodes.get(wanted)
            if node is None or wanted in seen:
                close = nearest(wanted, self._nodes)
                problem = f"has the {key} {shown(wanted)}, which does not exist." if wanted else f"has no {key}."
                raise self._document.error(arc, problem, why=f"Did you mean {close[0]}?" if close else "")
            if node.tag in ("place", "transition"):
                return node
            seen.add(wanted)
            wanted = node.attributes.get("ref", "")

    def _kind(self, arc: Element) -> str:
        told = arc.attributes.get("type", "")
        for child in arc.all("type", "arctype"):
            told = child.attributes.get("value", "") or _value(child)
        kind = _KINDS.get(told.lower() or "normal")
        if kind is None and told.lower() == "timed":
            return "normal"  # TAPAAL's: the guards are in another element, the times are not looked at
        if kind is None:
            close = nearest(told, _KINDS)
            raise self._document.error(
                arc,
                f"is of the type {shown(told)}, which is not known here.",
                why=f"Did you mean {close[0]}?" if close else "",
                fix="Known are normal, inhibitor, read (or test) and reset.",
            )
        return kind

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _tokens(self, place: Element) -> int:
        return self._number(place, 0, "initialMarking")

    def _weight(self, arc: Element) -> int:
        """TAPAAL has it in an attribute, and the interval of the time in the inscription."""
        key = "weight" if "weight" in arc.attributes else "inscription"
        return self._number(arc, 1, key if not arc.first("inscription") else "inscription")

    def _number(self, element: Element, default: int, tag: str) -> int:
        child = element.first(tag)
        told = _value(child) if child else element.attributes.get(tag, "")
        classes = re.fullmatch(r"\w+,\s*(\d+)", told)  # PIPE's: a class of tokens, and how many
        told = classes[1] if classes else told
        if not told:
            return default
        if not re.fullmatch(r"\d{1,40}", told):
            raise self._document.error(child or element, f"is {shown(told, 40)}, which is no whole number.")
        return int(told)

    def _beginning(self) -> str:
        """Where a net without tokens begins: its one source place."""
        entered = {end["place"] for transition in self._transitions.values() for end in transition.outputs}
        sources = [fields["id"] for fields in self._places.values() if fields["id"] not in entered]
        if len(sources) != 1:
            raise self._document.error(
                self._net, "has no token at the beginning.", fix="Give a place an <initialMarking>."
            )
        return str(sources[0])

    def _final(self) -> list[str] | None:
        found = self._net.first("finalmarkings")
        if found is None:
            return None
        places = []
        for marking in found.all("marking"):
            marked = [one for one in marking.all("place") if _value(one) not in ("", "0")]
            if len(marked) != 1 or _value(marked[0]) != "1":
                raise self._document.error(
                    marking,
                    "is not one token on one place.",
                    fix="Let a last transition join the branches on one final place.",
                )
            place = self._places.get(marked[0].attributes.get("idref", ""))
            if place is None:
                raise self._document.error(marked[0], "is a place that does not exist.")
            places.append(str(place["id"]))
        return places

    # -- our own notes ------------------------------------------------------------------------------------------------

    def _notes(self, element: Element) -> dict[str, Any]:
        for child in element.all("toolspecific"):
            if child.attributes.get("tool") == TOOL:
                try:
                    notes = json.loads(child.text)
                except (ValueError, RecursionError):
                    notes = None
                if not isinstance(notes, dict):
                    raise self._document.error(child, "is not what was written.", fix="Take it out.")
                return notes
        return {}

    def _joined(self) -> Iterator[tuple[Element, dict[str, Any]]]:
        """The transitions; those that were the modes of one are one again, unless somebody has changed them."""
        modes: dict[str, list[tuple[_Transition, list[dict[str, Any]]]]] = {}
        for transition in self._transitions.values():
            source = transition.fields.get("source")
            rest = list(transition.inputs)
            if source and {"place": source, "weight": 1} in rest[-1:]:
                modes.setdefault(transition.fields["id"], []).append((transition, rest[:-1]))
        done: set[str] = set()
        for transition in self._transitions.values():
            identity, source = transition.fields["id"], transition.fields.pop("source", None)
            several = modes.get(identity, [])
            fields = transition.fields
            inputs, sources = transition.inputs, []
            if source and several and all(_same(several[0], mode) for mode in several):
                if identity in done:
                    continue
                inputs, sources = several[0][1], [mode.inputs[-1]["place"] for mode, _ in several]
            elif source:
                fields = {**fields, "id": f"{identity}_{len(done)}"}
            done.add(identity)
            yield (
                transition.element,
                fields
                | {"inputs": inputs, "outputs": transition.outputs, "fromStates": sources}
                | {"reads": transition.reads, "inhibitors": transition.inhibitors, "resets": transition.resets},
            )


def _same(one: tuple[_Transition, list[Any]], other: tuple[_Transition, list[Any]]) -> bool:
    a, b = one[0], other[0]
    return (one[1], a.outputs, a.reads, a.inhibitors, a.resets) == (
        other[1],
        b.outputs,
        b.reads,
        b.inhibitors,
        b.resets,
    )


def _inside(element: Element) -> Iterator[Element]:
    """The nodes and arcs of a net, on its pages and the pages of these."""
    for child in element.children:
        if child.tag == "page":
            yield from _inside(child)
        elif child.tag in ("place", "transition", "arc", "referencePlace", "referenceTransition"):
            yield child


def _value(element: Element) -> str:
    child = element.first("text", "value")
    return child.text if child else element.text


def _label(element: Element) -> str:
    child = element.first("name")
    label = _value(child) if child else element.attributes.get("name", "")
    return " ".join(label.split())[:200]


def _readable(identity: str, label: str, tag: str, taken: Mapping[str, Any] | set[str]) -> str:
    """The id that the file has; of one that is only a long number, as pm4py's are, what the name says."""
    if not _UUID.fullmatch(identity):
        return identity
    stem = slug(label) if label and not _UUID.fullmatch(label) else tag
    number, found = 1, stem
    while found in taken:
        number += 1
        found = f"{stem}_{number}"
    return found
