"""PNML, written: the grammar of ISO/IEC 15909-2 for place/transition nets.

A net with inputs and outputs only is valid there. Read, inhibitor and reset arcs say what they are in two dialects:
`<type value="..."/>`, the commonest, and pm4py's `<arctype>`, without which it takes them for inputs. Each mode of an
any-of transition is a transition of its own, since that is what it means. What PNML has no words for (ids that XML
cannot have, guards, timers, metadata, final places) is noted as JSON in `<toolspecific tool="circuit-breaker">`, which
other tools leave alone and `engine.nets.notation.pnml` reads back.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from engine.nets.model import Mode, merged
from engine.nets.notation.definition import Definition
from engine.nets.notation.pnml import TOOL
from engine.nets.notation.writing import write

_NAMESPACE = "http://www.pnml.org/version-2009/grammar/pnml"
_TYPE = "http://www.pnml.org/version-2009/grammar/ptnet"
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ARCS = ("fromStates", "inputs", "outputs", "reads", "inhibitors", "resets")


def pnml(definition: Definition) -> str:
    """`definition` as a PNML document."""
    return "\n".join(_lines(definition)) + "\n"


def _lines(definition: Definition) -> Iterator[str]:
    net, ids = definition.net, _Ids()
    source = write(definition)
    of_net = {
        key: value for key, value in source.items() if key not in ("name", "places", "transitions", "initialMarking")
    }
    place_ids = {place.id: ids.take(place.id, "p") for place in net.places}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<pnml xmlns="{_NAMESPACE}">'
    yield f'  <net id="{ids.take("net", "n")}" type="{_TYPE}">'
    yield f"    <name><text>{_text(definition.name)}</text></name>"
    if definition.name != " ".join(definition.name.split()):
        of_net["name"] = definition.name
    yield from _noted(of_net, "    ")
    yield f'    <page id="{ids.take("page", "n")}">'
    for place, fields in zip(net.places, source["places"], strict=True):
        identity = place_ids[place.id]
        yield f'      <place id="{identity}">'
        yield f"        <name><text>{_text(place.label or place.id)}</text></name>"
        if tokens := net.initial.get(place.id):
            yield f"        <initialMarking><text>{tokens}</text></initialMarking>"
        yield from _noted(_notes(fields, identity, place.label), "        ")
        yield "      </place>"
    for transition, fields in zip(net.transitions, source.get("transitions", ()), strict=True):
        for mode in net.modes_of[transition.id]:
            identity = ids.take(mode.name.replace("@", "."), "t")
            notes = _notes({k: v for k, v in fields.items() if k not in _ARCS}, identity, transition.label)
            if mode.source is not None:
                notes |= {"id": transition.id, "source": mode.source}
            yield f'      <transition id="{identity}">'
            yield f"        <name><text>{_text(transition.label or transition.id)}</text></name>"
            yield from _noted(notes, "        ")
            yield "      </transition>"
            yield from _arcs(mode, identity, place_ids, ids)
    yield "    </page>"
    yield "  </net>"
    yield "</pnml>"


def _notes(fields: Mapping[str, Any], identity: str, label: str) -> dict[str, Any]:
    """What the element itself does not say."""
    notes = {key: value for key, value in fields.items() if key not in ("id", "name")}
    if fields["id"] != identity:
        notes["id"] = fields["id"]
    shown = label or fields["id"]
    read_back = "" if (name := " ".join(shown.split())[:200]) == fields["id"] else name
    if read_back != label:
        notes["name"] = label
    return notes


def _noted(notes: Mapping[str, Any], indent: str) -> Iterator[str]:
    if notes:
        written = escape(json.dumps(notes))
        yield f'{indent}<toolspecific tool="{TOOL}" version="1">{written}</toolspecific>'


def _arcs(mode: Mode, identity: str, place_ids: Mapping[str, str], ids: "_Ids") -> Iterator[str]:
    transition = mode.transition
    rest = merged(transition.inputs)
    taken = [(arc.place, arc.weight, "") for arc in rest]
    if mode.source is not None:
        taken.append((mode.source, 1, ""))
    taken += [(arc.place, arc.weight, "read") for arc in transition.reads]
    taken += [(arc.place, arc.weight, "inhibitor") for arc in transition.inhibitors]
    taken += [(place, 1, "reset") for place in transition.resets]
    for place, weight, kind in taken:
        yield _arc(ids.arc(), place_ids[place], identity, weight, kind)
    for arc in merged(transition.outputs):
        yield _arc(ids.arc(), identity, place_ids[arc.place], arc.weight, "")


def _arc(identity: str, source: str, target: str, weight: int, kind: str) -> str:
    inside = f"<inscription><text>{weight}</text></inscription>" if weight != 1 else ""
    inside += f'<type value="{kind}"/><arctype><text>{kind}</text></arctype>' if kind else ""
    ends = f"<arc id={quoteattr(identity)} source={quoteattr(source)} target={quoteattr(target)}"
    return f"      {ends}>{inside}</arc>" if inside else f"      {ends}/>"


def _text(text: str) -> str:
    return escape(text)


class _Ids:
    """Ids of XML: letters, digits, dots and dashes, each once in the document."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._count = 0

    def take(self, wanted: str, kind: str) -> str:
        identity = wanted if _ID.fullmatch(wanted) else ""
        while not identity or identity in self._taken:
            self._count += 1
            identity = f"{kind}.{self._count}"
        self._taken.add(identity)
        return identity

    def arc(self) -> str:
        self._count += 1
        return self.take(f"arc.{self._count}", "arc")
