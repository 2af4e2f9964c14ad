"""BPMN 2.0 (ISO/IEC 19510), read: the common core of process models, as a workflow.

The translation is that of Dijkman, Dumas & Ouyang (2008), with fewer places: a token waits *before* a task, in a place
of the task's name; what happens is the transition. So

- a task, of any kind, is a transition; a call activity one with a sub-workflow
- an exclusive gateway is a place, each of its flows a transition: by itself when conditions decide, else by hand
- a parallel gateway is a transition that joins and forks
- an event-based gateway is a place that the events after it wait in
- an end event is a final place; one that terminates empties all places first
- an embedded sub-process becomes a part of the workflow
- a boundary event is another way out of the place before its task, after a time if it is a timer

A process that several ends can reach at once completes in BPMN with the last token; here the analysis says that it
does so improperly. Lanes, data, texts and pictures are left. What would need another meaning than these is refused,
with the line of the element and what to draw instead.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.notation.conditions import condition_of
from engine.nets.notation.definition import Definition, slug
from engine.nets.notation.durations import seconds_of
from engine.nets.notation.marks import Mark, located
from engine.nets.notation.reading import read
from engine.nets.notation.xml_text import Document, Element, read_xml
from engine.rules.expression import parse

_TASKS = ("task", "userTask", "manualTask", "serviceTask", "scriptTask", "sendTask", "receiveTask", "businessRuleTask")
_GATEWAYS = ("exclusiveGateway", "parallelGateway", "eventBasedGateway")
_EVENTS = ("startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent")
_NODES: Final = (*_TASKS, *_GATEWAYS, *_EVENTS, "callActivity", "subProcess")
_LEFT = {
    *("laneSet", "dataObject", "dataObjectReference", "dataStoreReference", "textAnnotation", "association"),
    *("group", "documentation", "extensionElements", "property", "ioSpecification", "ioBinding", "auditing"),
    *("monitoring", "incoming", "outgoing", "dataInputAssociation", "dataOutputAssociation", "sequenceFlow"),
    *("resourceRole", "potentialOwner", "humanPerformer", "performer", "correlationSubscription", "supports"),
}
_INSTEAD = {
    "inclusiveGateway": "Draw which combinations there are with exclusive and parallel gateways.",
    "complexGateway": "Draw it with exclusive and parallel gateways.",
    "transaction": "Draw a sub-process, and what undoes it as tasks.",
    "adHocSubProcess": "Draw the order of its tasks.",
    "eventSubProcess": "Draw a boundary event at the sub-process.",
    "choreographyTask": "Draw the process of one participant.",
    "multiInstanceLoopCharacteristics": "Draw the instances side by side, or as a loop.",
    "standardLoopCharacteristics": "Draw the loop with an exclusive gateway.",
    "compensateEventDefinition": "Draw what undoes a task as a task.",
    "linkEventDefinition": "Draw the flow from one link to the other.",
    "cancelEventDefinition": "Draw a boundary event of another kind.",
}

_WAITING = {  # what to call a place before what has no name
    "endEvent": "end",
    "startEvent": "start",
    "parallelGateway": "to_fork",
    "exclusiveGateway": "choice",
    "eventBasedGateway": "waiting",
}


def read_bpmn(text: str) -> Definition:
    """The process in `text`, as a workflow. Raises InvalidInput naming line, column and element; TooLarge."""
    document = read_xml(text)
    if document.root.tag != "definitions":
        raise document.error(document.root, "holds no BPMN.", fix="Give a BPMN 2.0 file: <definitions><process ...>.")
    processes = [one for one in document.root.all("process") if any(child.tag in _NODES for child in one.children)]
    if not processes:
        raise document.error(document.root, "has no process with elements in it.")
    if len(processes) > 1:
        raise document.error(processes[1], "is a second process.", fix="Keep one of them in a file.")
    return _Translation(document, processes[0]).definition()


@dataclass(slots=True)
class _Node:
    element: Element
    scope: "_Node | None"  # the sub-process around it
    incoming: list["_Flow"] = field(default_factory=list)
    outgoing: list["_Flow"] = field(default_factory=list)
    boundaries: list["_Node"] = field(default_factory=list)
    inside: list["_Node"] = field(default_factory=list)
    place: str = ""  # where a token waits before it

    @property
    def tag(self) -> str:
        return self.element.tag

    @property
    def name(self) -> str:
        return " ".join(self.element.attributes.get("name", "").split())[:200]

    @property
    def event(self) -> str:
        """message, timer, ...; empty when there is none."""
        definition = self.definition
        return definition.tag.removesuffix("EventDefinition") if definition else ""

    @property
    def definition(self) -> Element | None:
        return next((child for child in self.element.children if child.tag.endswith("EventDefinition")), None)

    @property
    def joins(self) -> bool:
        return self.tag == "parallelGateway" and len(self.incoming) > 1


@dataclass(slots=True)
class _Flow:
    element: Element
    source: _Node
    target: _Node
    place: str = ""  # its own one, where its target joins


class _Translation:
    def __init__(self, document: Document, process: Element) -> None:
        self._document, self._process = document, process
        self._nodes: dict[str, _Node] = {}
        self._places: dict[str, dict[str, Any]] = {}
        self._place_at: list[Element] = []
        self._transitions: list[tuple[Element, dict[str, Any]]] = []
        self._taken: dict[str, set[str]] = {"place": set(), "transition": set()}
        self._within: defaultdict[int, list[str]] = defaultdict(list)  # the places of each sub-process, by identity
        self._final: list[str] = []

    def definition(self) -> Definition:
        top = self._collect(self._process, None)
        self._connect(self._process)
        initial = self._start(top, None)
        for node in self._nodes.values():
            self._check(node)
        for node in self._nodes.values():
            self._translate(node)
        self._terminate()
        name = " ".join(self._process.attributes.get("name", "").split()) or self._process.id or "Process"
        source = {
            "name": name[:200],
            "places": list(self._places.values()),
            "initialState": initial,
            "finalPlaces": list(dict.fromkeys(self._final)),
            "transitions": [fields for _, fields in self._transitions],
        }
        offset = self._document.offset
        mark = Mark(
            offset(self._process),
            fields={
                "places": Mark(0, items=[Mark(offset(one)) for one in self._place_at[:100]]),
                "transitions": Mark(0, items=[Mark(offset(one)) for one, _ in self._transitions[:100]]),
            },
        )
        try:
            return read(source)
        except InvalidInput as error:
            raise located(error, self._document.text, mark.find(str(error.details.get("path", ""))).at) from None

    # -- the model ----------------------------------------------------------------------------------------------------

    def _collect(self, scope: Element, around: _Node | None) -> list[_Node]:
        """The nodes of a process or sub-process, checked; those inside of it too."""
        found = []
        for element in scope.children:
            if element.tag not in _NODES:
                if element.tag in _LEFT or (scope.tag == "subProcess" and element.tag.endswith("LoopCharacteristics")):
                    continue
                raise self._refused(element, element.tag)
            node = _Node(element, around)
            if not element.id or element.id in self._nodes:
                problem = "has an id that is taken." if element.id else "has no id."
                raise self._document.error(element, problem, fix="Give each element an id of its own.")
            for child in element.children:
                if child.tag in _INSTEAD:
                    raise self._refused(element, child.tag)
            if element.attributes.get("triggeredByEvent") == "true":
                raise self._refused(element, "eventSubProcess")
            self._nodes[element.id] = node
            found.append(node)
            if element.tag == "subProcess":
                node.inside = self._collect(element, node)
        return found

    def _refused(self, element: Element, what: str) -> InvalidInput:
        known = (*_NODES, *_INSTEAD)
        close = nearest(what, known) if what not in known else []
        return self._document.error(
            element,
            f"cannot be translated: {what} is not supported." if what in _INSTEAD else f"is not known here: {what}.",
            why=f"Did you mean {close[0]}?" if close else "",
            fix=_INSTEAD.get(what, f"Known are {', '.join(_NODES)}."),
        )

    def _connect(self, scope: Element) -> None:
        for element in scope.children:
            if element.tag == "subProcess":
                self._connect(element)
            elif element.tag == "boundaryEvent":
                self._attach(element)
            elif element.tag == "sequenceFlow":
                flow = _Flow(element, self._end(element, "sourceRef"), self._end(element, "targetRef"))
                if flow.source.scope is not flow.target.scope:
                    raise self._document.error(element, "crosses the border of a sub-process.")
                flow.source.outgoing.append(flow)
                flow.target.incoming.append(flow)

    def _end(self, flow: Element, key: str) -> _Node:
        wanted = flow.attributes.get(key, "")
        node = self._nodes.get(wanted)
        if node is None:
            close = nearest(wanted, self._nodes)
            raise self._document.error(
                flow,
                f"has the {key} {shown(wanted)}, which does not exist.",
                why=f"Did you mean {close[0]}?" if close else "",
            )
        return node

    def _attach(self, element: Element) -> None:
        node = self._nodes[element.id]
        host = self._end(element, "attachedToRef")
        if element.attributes.get("cancelActivity", "true") == "false":
            raise self._document.error(
                element,
                "does not interrupt its task, which is not supported.",
                fix="Draw it interrupting, or a parallel branch that waits.",
            )
        host.boundaries.append(node)

    def _check(self, node: _Node) -> None:
        """What each kind of node must have, where the translation relies on it."""
        error = self._document.error
        starts, ends = node.tag in ("startEvent", "boundaryEvent"), node.tag == "endEvent"
        if not node.incoming and not starts:
            raise error(node.element, "has no incoming flow.", fix="Draw the flow that leads to it.")
        if not node.outgoing and not ends:
            raise error(node.element, "has no outgoing flow.", fix="Draw the flow to what follows, or to an end event.")
        if node.tag not in ("exclusiveGateway",):
            for flow in node.outgoing:
                if self._condition(flow) is not None or node.element.attributes.get("default") == flow.element.id:
                    raise error(
                        flow.element,
                        f"has a condition and leaves a {node.tag}.",
                        fix="Draw an exclusive gateway after it, and its conditions there.",
                    )
        if node.tag == "eventBasedGateway":
            for flow in node.outgoing:
                if flow.target.tag not in ("intermediateCatchEvent", "receiveTask") or len(flow.target.incoming) > 1:
                    raise error(
                        flow.element,
                        "leads from an event-based gateway to what is no event of its own.",
                        fix="Let it lead to a catch event that nothing else leads to.",
                    )

    # -- places -------------------------------------------------------------------------------------------------------

    def _new_place(self, stem: str, label: str, element: Element, scope: _Node | None) -> str:
        identity = self._unique(stem, "place")
        self._places[identity] = {"id": identity} | ({"name": label} if label and label != identity else {})
        self._place_at.append(element)
        while scope is not None:
            self._within[id(scope)].append(identity)
            scope = scope.scope
        return identity

    def _unique(self, stem: str, kind: str) -> str:
        taken, number, found = self._taken[kind], 1, stem
        while found in taken:
            number += 1
            found = f"{stem}_{number}"
        taken.add(found)
        return found

    def _start(self, nodes: list[_Node], scope: _Node | None) -> str:
        """Where a process or sub-process begins."""
        starts = [node for node in nodes if node.tag == "startEvent"]
        if not starts:
            around = scope.element if scope else self._process
            raise self._document.error(around, "has no start event.", fix="Draw where it begins.")
        for node in starts:
            if not node.outgoing:
                raise self._document.error(node.element, "has no outgoing flow.", fix="Draw what comes first.")
        first = starts[0]
        if len(starts) == 1 and len(first.outgoing) == 1 and not first.event:
            return self._flow_place(first.outgoing[0])
        place = self._new_place(_stem(first, "start") if len(starts) == 1 else "start", "", first.element, scope)
        for node in starts:
            self._fire(node, [place], [self._flow_place(flow) for flow in node.outgoing], any_of=False)
        return place

    def _flow_place(self, flow: _Flow) -> str:
        """Where a token is that has gone along `flow`."""
        if not flow.target.joins:
            return self._before(flow.target)
        if not flow.place:
            stem = f"{_stem(flow.source, flow.source.tag)}_done"
            flow.place = self._new_place(stem, "", flow.element, flow.target.scope)
        return flow.place

    def _before(self, node: _Node, through: tuple[_Node, ...] = ()) -> str:
        """Where a token waits before `node`, however it came."""
        if any(node is one for one in through):
            raise self._document.error(node.element, "is part of a loop of gateways with nothing in it.")
        if not node.place:
            node.place = self._found_before(node, (*through, node))
        return node.place

    def _found_before(self, node: _Node, through: tuple[_Node, ...]) -> str:
        if node.tag == "exclusiveGateway" and len(node.outgoing) == 1 and self._condition(node.outgoing[0]) is None:
            flow = node.outgoing[0]  # it only merges
            return self._flow_place(flow) if flow.target.joins else self._before(flow.target, through)
        if node.incoming and all(flow.source.tag == "eventBasedGateway" for flow in node.incoming):
            return self._before(node.incoming[0].source, through)
        if node.tag == "subProcess" and not node.boundaries:
            return self._start(node.inside, node)
        if node.tag == "endEvent" and node.scope is not None and node.event in ("", "message", "signal"):
            return self._after(node.scope)
        return self._new_place(_stem(node, _WAITING.get(node.tag, node.tag)), node.name, node.element, node.scope)

    def _after(self, sub: _Node) -> str:
        """Where the end of a sub-process puts its token."""
        if not sub.boundaries and len(sub.outgoing) == 1:
            return self._flow_place(sub.outgoing[0])
        key = f"{sub.element.id}/after"
        if key not in self._taken:
            self._taken[key] = {self._new_place(f"{_stem(sub, 'sub')}_done", "", sub.element, sub)}
        return next(iter(self._taken[key]))

    def _active(self, sub: _Node) -> str:
        """Marked while a sub-process with boundary events is inside."""
        key = f"{sub.element.id}/active"
        if key not in self._taken:
            self._taken[key] = {self._new_place(f"{_stem(sub, 'sub')}_active", "", sub.element, sub.scope)}
        return next(iter(self._taken[key]))

    # -- transitions --------------------------------------------------------------------------------------------------

    def _translate(self, node: _Node) -> None:
        outputs = [self._flow_place(flow) for flow in node.outgoing] if node.tag != "exclusiveGateway" else []
        match node.tag:
            case "startEvent" | "eventBasedGateway":
                pass
            case "exclusiveGateway":
                self._choose(node)
            case "parallelGateway":
                inputs = [self._flow_place(flow) for flow in node.incoming] if node.joins else [self._before(node)]
                self._fire(node, inputs, outputs, any_of=False, automatic=True)
            case "endEvent":
                self._finish(node)
            case "subProcess":
                self._enter_and_leave(node, outputs)
            case "boundaryEvent":
                pass
            case _:
                self._fire(node, [self._before(node)], outputs, any_of=True)
        for boundary in node.boundaries:
            self._interrupt(node, boundary)

    def _fire(
        self, node: _Node, inputs: list[str], outputs: list[str], *, any_of: bool, stem: str = "", **fields: Any
    ) -> None:
        """One transition for `node`."""
        out: dict[str, Any] = {"id": self._unique(stem or _stem(node, _verb(node)), "transition")}
        if node.name and node.name != out["id"] and not stem:
            out["name"] = node.name
        out |= {"fromStates": inputs} if any_of else {"inputs": inputs}
        out |= {"outputs": outputs} | fields
        metadata: dict[str, Any] = {"bpmn": node.tag}
        if node.event == "timer":
            out["timer"] = self._timer(node)
        elif node.event:
            metadata["event"] = node.event
        elif node.tag == "intermediateThrowEvent":
            out["automatic"] = True
        if node.tag == "callActivity":
            called = node.element.attributes.get("calledElement", "") or _called(node.element)
            if not called:
                raise self._document.error(node.element, "does not say what it calls.", fix="Set calledElement.")
            out["subWorkflow"] = called
        if node.element.id not in (out["id"], node.name):
            metadata["bpmnId"] = node.element.id
        out["metadata"] = metadata
        self._transitions.append((node.element, out))

    def _timer(self, node: _Node) -> dict[str, Any]:
        definition = node.definition
        assert definition is not None
        for child in definition.children:
            if child.tag == "timeDuration":
                seconds = seconds_of(child.text)
                if seconds is None:
                    raise self._document.error(
                        child,
                        f"is {shown(child.text, 40)}, which is no duration of ISO 8601.",
                        fix="Write it as PT15M, PT2H or P3D.",
                    )
                return {"afterSeconds": seconds}
            if child.tag == "timeDate" and (path := condition_of(child.text)).replace(".", "").isidentifier():
                return {"at": path}
            raise self._document.error(
                child,
                f"is {shown(child.text, 40)}, which cannot be translated.",
                fix="Use a timeDuration such as PT2H, or a timeDate that names a field: ${due}.",
            )
        raise self._document.error(definition, "says no time.", fix="Give it a timeDuration such as PT2H.")

    def _condition(self, flow: _Flow) -> str | None:
        element = flow.element.first("conditionExpression")
        return condition_of(element.text) if element is not None and element.text else None

    def _choose(self, node: _Node) -> None:
        """A transition for each flow that leaves an exclusive gateway."""
        if len(node.outgoing) == 1 and self._condition(node.outgoing[0]) is None:
            return
        default = node.element.attributes.get("default", "")
        given = {flow.element.id: self._condition(flow) for flow in node.outgoing}
        decided = all(condition is not None or identity == default for identity, condition in given.items())
        others = [condition for identity, condition in given.items() if condition is not None and identity != default]
        for flow in node.outgoing:
            condition = given[flow.element.id]
            if flow.element.id == default:
                condition = " && ".join(f"!({one})" for one in others) or None
            self._check_condition(flow, condition)
            name = " ".join(flow.element.attributes.get("name", "").split())[:200]
            stem = slug(name) if name else f"{_stem(node, 'choose')}_{_stem(flow.target, flow.target.tag)}"
            fields: dict[str, Any] = {"id": self._unique(stem[:100], "transition")}
            fields |= {"fromStates": [self._before(node)], "outputs": [self._flow_place(flow)]}
            fields |= {"name": name} if name and name != fields["id"] else {}
            fields |= {"conditions": [condition]} if condition else {}
            fields |= {"automatic": True} if decided else {}
            fields["metadata"] = {"bpmn": node.tag, "bpmnId": flow.element.id}
            self._transitions.append((flow.element, fields))

    def _check_condition(self, flow: _Flow, condition: str | None) -> None:
        if condition is None:
            return
        try:
            parse(condition)
        except InvalidInput as error:
            element = flow.element.first("conditionExpression") or flow.element
            told = self._document.error(
                element, "cannot be translated.", why=f"{error.what} {error.why}", fix=error.fix
            )
            raise told from None

    def _finish(self, node: _Node) -> None:
        """An end event: its place is final, or the end of its sub-process."""
        place = self._before(node)
        final = node.scope is None
        if node.event in ("", "terminate", "error") and final:
            self._final.append(place)
        elif final:
            done = self._new_place(f"{place}_done", "", node.element, None)
            self._fire(node, [place], [done], any_of=True, automatic=True)
            self._final.append(done)
        elif node.event == "terminate":
            self._fire(node, [place], [self._after(node.scope)], any_of=True, automatic=True)  # type: ignore[arg-type]
        elif node.event == "error":
            self._throw(node, place)
        elif node.event not in ("", "message", "signal"):
            raise self._document.error(
                node.element,
                f"ends a sub-process with {node.event}, which is not supported.",
                fix="Use a plain end event.",
            )

    def _throw(self, node: _Node, place: str) -> None:
        """An error inside of a sub-process goes the way of its boundary event."""
        assert node.scope is not None
        catching = next((one for one in node.scope.boundaries if one.event == "error"), None)
        if catching is None:
            raise self._document.error(
                node.element, "throws an error that nothing catches.", fix="Draw an error event at the sub-process."
            )
        outputs = [self._flow_place(flow) for flow in catching.outgoing]
        self._fire(node, [place, self._active(node.scope)], outputs, any_of=False, automatic=True, emptied=node.scope)

    def _enter_and_leave(self, node: _Node, outputs: list[str]) -> None:
        active = [self._active(node)] if node.boundaries else []
        stem = _stem(node, "sub")
        if node.boundaries:
            inner = self._start(node.inside, node)
            before = self._before(node)
            self._fire(node, [before], [inner, *active], any_of=False, stem=f"{stem}_enter", automatic=True)
        if node.boundaries or len(node.outgoing) != 1:
            after = [self._after(node), *active]
            self._fire(node, after, outputs, any_of=False, stem=f"{stem}_leave", automatic=True)

    def _interrupt(self, host: _Node, boundary: _Node) -> None:
        outputs = [self._flow_place(flow) for flow in boundary.outgoing]
        if not boundary.event:
            raise self._document.error(boundary.element, "says no event.", fix="Make it a timer or a message event.")
        if host.tag != "subProcess":
            self._fire(boundary, [self._before(host)], outputs, any_of=True)
        elif boundary.event != "error":  # an error is thrown by the end event inside
            self._fire(boundary, [self._active(host)], outputs, any_of=False, emptied=host)

    def _terminate(self) -> None:
        """Fill in which places are emptied, now that all are known."""
        for _, fields in self._transitions:
            scope = fields.pop("emptied", None)
            if scope is not None:
                taken = fields.get("inputs", [])
                fields["resets"] = [place for place in self._within[id(scope)] if place not in taken]
        for node in self._nodes.values():
            if node.event != "terminate":
                continue
            if node.scope is None:
                place, done = self._before(node), self._new_place(f"{self._before(node)}_done", "", node.element, None)
                others = [one for one in self._places if one not in (place, done)]
                self._fire(node, [place], [done], any_of=True, automatic=True, resets=others)
                self._final[self._final.index(place)] = done
            else:
                keep = {self._before(node), self._after(node.scope)}
                element = node.element
                for at, fields in self._transitions:
                    if at is element:
                        fields["resets"] = [one for one in self._within[id(node.scope)] if one not in keep]


def _stem(node: _Node, kind: str) -> str:
    return slug(node.name) if node.name and slug(node.name) != "workflow" else _snake(kind)


def _snake(kind: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind)


def _verb(node: _Node) -> str:
    """A name for what has none in the model."""
    if node.event:
        return f"{node.event}_{'sent' if node.tag in ('intermediateThrowEvent', 'endEvent') else 'received'}"
    return {"parallelGateway": "join" if node.joins else "fork", "startEvent": "start"}.get(node.tag, node.tag)


def _called(element: Element) -> str:
    """Camunda 8 notes what is called among its extensions."""
    for extensions in element.all("extensionElements"):
        for child in extensions.all("calledElement"):
            return child.attributes.get("processId", "")
    return ""
