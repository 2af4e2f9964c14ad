"""A net as a list: one line per transition, for where no picture fits. `● draft ── submit ──▶ review`"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.nets.picture.canvas import Ink, Picture, Role, Scene, dots
from engine.nets.picture.graph import DrawnArc, DrawnPlace, DrawnTransition, Element, Graph
from engine.nets.picture.lettering import cells_of, fitted, legible

WIDEST_NAME, NARROWEST_NAME = 32, 3
_WIRES = 6  # two cells of wire, one more and its head, and a blank at both ends
_SIGNS = {"read": "┄", "inhibitor": "○", "reset": "⊗"}

_Text = tuple[str, Role, Sequence[Element]]


@dataclass(frozen=True, slots=True)
class _Rail:
    """What stands left of, on and right of the wire of one transition. A place without arcs has a line of its own."""

    sources: Sequence[_Text]
    transition: DrawnTransition | None = None
    label: str = ""
    targets: Sequence[_Text] = ()
    taken: tuple[DrawnArc, ...] = ()
    given: tuple[DrawnArc, ...] = ()


def rails(graph: Graph, scene: Scene, width: int, *, ascii: bool = False) -> Picture:
    """The list at one moment. Names shrink to fit `width`, but not below three cells."""
    for name_width in range(WIDEST_NAME, NARROWEST_NAME - 1, -1):
        lines = _lines(graph, scene, name_width)
        left = max((_width(line.sources) for line in lines), default=0)
        middle = max((cells_of(line.label) for line in lines), default=0)
        right = max((_width(line.targets) for line in lines), default=0)
        total = left + middle + right + _WIRES
        if total <= width:
            break
    ink = Ink(scene, ascii)
    for y, line in enumerate(lines):
        _paint(ink, y, line, left, middle)
    return ink.picture(total, len(lines), _order(lines), {})


def _lines(graph: Graph, scene: Scene, name_width: int) -> list[_Rail]:
    tied = {arc.place for arc in graph.arcs}
    lonely = [_Rail([*_place(place, scene, name_width)]) for place in graph.places if place.id not in tied]
    return [*(_rail(graph, transition, scene, name_width) for transition in graph.transitions), *lonely]


def _rail(graph: Graph, transition: DrawnTransition, scene: Scene, name_width: int) -> _Rail:
    arcs = graph.arcs_of.get(transition.mode, ())
    name = fitted(legible(transition.name), name_width)
    taken = tuple(arc for arc in arcs if arc.kind != "output")
    given = tuple(arc for arc in arcs if arc.kind == "output")
    return _Rail(
        sources=_side(graph, taken, scene, name_width),
        transition=transition,
        label=f"[{name}]" if transition.mode in scene.enabled else f" {name} ",
        targets=_side(graph, given, scene, name_width),
        taken=taken,
        given=given,
    )


def _side(graph: Graph, arcs: Sequence[DrawnArc], scene: Scene, name_width: int) -> list[_Text]:
    """The places at one end of a transition, `· ` where there is none."""
    texts: list[_Text] = []
    for arc in arcs:
        if texts:
            texts.append((" + ", "wire", ()))
        if sign := _SIGNS.get(arc.kind, "") + (f"{arc.weight}×" if arc.weight > 1 else ""):
            texts.append((sign, "weight", (arc,)))
        texts += _place(graph.place_of[arc.place], scene, name_width)
    return texts or [("·", "wire", ())]


def _place(place: DrawnPlace, scene: Scene, name_width: int) -> Iterable[_Text]:
    if tokens := dots(scene.tokens.get(place.id, 0), followed=scene.focus == place.id):
        yield tokens + " ", "token", (place,)
    yield fitted(legible(place.name), name_width), "place", (place,)


def _paint(ink: Ink, y: int, line: _Rail, left: int, middle: int) -> None:
    """The label stands in the middle of its wire, and all wires of the list begin and end in the same columns."""
    _put(ink, 0, y, line.sources)
    if line.transition:
        own = (line.transition,)
        wire = "━" if line.transition.mode in ink.scene.enabled else "─"
        spare = middle - cells_of(line.label)
        x = ink.put((left, y), " " + wire * (2 + spare // 2), "wire", line.taken or own)
        x = ink.put((x, y), line.label, "transition", own)
        x = ink.put((x, y), wire * (1 + spare - spare // 2), "wire", line.given or own)
        x = ink.put((x, y), "▶ ", "head", line.given or own)
        _put(ink, x, y, line.targets)


def _put(ink: Ink, x: int, y: int, texts: Sequence[_Text]) -> None:
    for text, role, elements in texts:
        x = ink.put((x, y), text, role, elements)


def _width(texts: Sequence[_Text]) -> int:
    return sum(cells_of(text) for text, _, _ in texts)


def _order(lines: Iterable[_Rail]) -> Iterable[DrawnPlace | DrawnTransition]:
    """Places and transitions as the list is read; a place that comes again is the same one."""
    read: dict[DrawnPlace | DrawnTransition, None] = {}
    for line in lines:
        owners = [elements[0] for _, _, elements in line.sources if elements]
        read.update((element, None) for element in owners if isinstance(element, DrawnPlace))
        if line.transition:
            read[line.transition] = None
        owners = [elements[0] for _, _, elements in line.targets if elements]
        read.update((element, None) for element in owners if isinstance(element, DrawnPlace))
    return read
