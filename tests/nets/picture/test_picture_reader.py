"""What must hold of every drawn net: a reader who follows the characters finds exactly the arcs of the net.

The reader here knows nothing of layout or routing. It sees characters and where the boxes are, takes `┼` for a
crossing, goes through an arrow head only the way it points, and takes every branch of a tee.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.picture import (
    Cell,
    DrawnPlace,
    DrawnTransition,
    Graph,
    Layout,
    Picture,
    Scene,
    graph_of,
    lay_out,
    paint,
)

WAYS = {"UP": (0, -1), "RIGHT": (1, 0), "DOWN": (0, 1), "LEFT": (-1, 0)}
OPPOSITE = {"UP": "DOWN", "DOWN": "UP", "LEFT": "RIGHT", "RIGHT": "LEFT"}
POINTS = {"▶": "RIGHT", "◀": "LEFT", "▼": "DOWN", "▲": "UP"}

Box = DrawnPlace | DrawnTransition
Found = tuple[Box, Box, str]  # from, to, and the head it ends in: "" for a bare label on the wire


def arms(char: str) -> frozenset[str]:
    """The ways a wire character leads, by its Unicode name."""
    words = set(unicodedata.name(char).split())
    both = ({"LEFT", "RIGHT"} if "HORIZONTAL" in words else set()) | ({"UP", "DOWN"} if "VERTICAL" in words else set())
    return frozenset(both | words & set(WAYS))


def beyond(at: Cell, way: str) -> Cell:
    return at[0] + WAYS[way][0], at[1] + WAYS[way][1]


class Reader:
    """Follows the wires of a picture from every side of every box."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.boxes = {
            at: glyph.elements[0]
            for at, glyph in picture.glyphs.items()
            if glyph.role in ("place", "transition", "token")
        }
        self.found: set[Found] = set()

    def read(self) -> set[Found]:
        for at, box in self.boxes.items():
            for way in WAYS:
                if self.touches(beyond(at, way), way):
                    self.follow(box, beyond(at, way), way, set())
        return self.found

    def touches(self, at: Cell, way: str) -> bool:
        """Whether a wire leaves a box here, going `way`."""
        glyph = self.picture.glyphs.get(at)
        if glyph is None or at in self.boxes:
            return False
        if glyph.role == "wire":
            return OPPOSITE[way] in arms(glyph.char)
        if glyph.role == "head":
            return POINTS.get(glyph.char) == way
        on_its_wire = any(at in self.picture.cells[element] for element in glyph.elements)
        return glyph.role == "weight" and way in ("LEFT", "RIGHT") and on_its_wire

    def follow(self, start: Box, at: Cell, way: str, seen: set[tuple[Cell, str]]) -> None:
        head = ""
        while (at, way) not in seen:
            seen.add((at, way))
            if at in self.boxes:
                if self.boxes[at] is not start or head:
                    self.found.add((start, self.boxes[at], head))
                return
            glyph = self.picture.glyphs[at]
            if glyph.role == "head" and POINTS.get(glyph.char, way) != way:
                return
            if glyph.role != "weight":
                head = "" if glyph.role == "wire" else glyph.char if glyph.char in "○⊗" else "▶"
            way, *branches = self.ways_on(at, way)
            for branch in branches:
                self.follow(start, beyond(at, branch), branch, seen)
            at = beyond(at, way)

    def ways_on(self, at: Cell, way: str) -> list[str]:
        glyph = self.picture.glyphs[at]
        if glyph.role != "wire":
            return [way]
        leads = arms(glyph.char)
        assert OPPOSITE[way] in leads, f"a wire breaks off at {at}:\n{self.picture}"
        return [way] if len(leads) == 4 else sorted(leads - {OPPOSITE[way]})


def found_in(picture: Picture) -> set[Found]:
    """The arcs a reader finds. Between two places or two transitions there is none: a label without a head ends it."""
    return {
        (start, end, head)
        for start, end, head in Reader(picture).read()
        if type(start) is not type(end) and (head or isinstance(start, DrawnPlace))
    }


def meant_by(graph: Graph, *, merge: bool) -> set[Found]:
    """What the graph says, in the reader's words."""
    heads = {"input": "▶", "read": "▶", "output": "▶", "inhibitor": "○", "reset": "⊗"}
    arcs: set[Found] = set()
    for arc in graph.arcs:
        place, transition = graph.place_of[arc.place], graph.transition_of[arc.mode]
        bare = merge and sorted(other.kind for other in graph.arcs_of[arc.mode]) == ["input", "output"]
        if arc.kind == "output":
            arcs.add((transition, place, "▶"))
        else:
            arcs.add((place, transition, "" if bare else heads[arc.kind]))
    return arcs


def cells_of_boxes(layout: Layout) -> Iterator[Cell]:
    for box in layout.boxes:
        for row in range(box.rows):
            for column in range(box.width):
                yield box.corner[0] + column, box.corner[1] + row


def check(graph: Graph, *, merge: bool, down: bool, enabled: frozenset[str] = frozenset()) -> None:
    layout = lay_out(graph, merge=merge, down=down)
    picture = paint(layout, Scene({place.id: place.initial for place in graph.places}, enabled))
    found, meant = found_in(picture), meant_by(graph, merge=merge)
    assert found == meant, f"{found ^ meant}\n{picture}"
    check_cells(layout, picture)
    check_sharing(picture)


def check_cells(layout: Layout, picture: Picture) -> None:
    """Boxes, wires, heads and weights keep out of each other's cells, and everything is inside of the picture."""
    boxes = Counter(cells_of_boxes(layout))
    assert all(times == 1 for times in boxes.values()), f"two boxes overlap\n{picture}"
    assert all(0 <= x < layout.width and 0 <= y < layout.height for x, y in picture.glyphs)
    for path in layout.wires.values():
        assert not set(path[1:-1]) & set(boxes), f"a wire runs through a box\n{picture}"
    weights = {(x + i, y) for (x, y), text in layout.weights.items() for i in range(len(text))}
    assert not weights & (set(boxes) | set(layout.heads)), f"a weight hides something\n{picture}"


def check_sharing(picture: Picture) -> None:
    """Arcs that share a cell have an end in common, or cross there."""
    for at, glyph in picture.glyphs.items():
        if glyph.role == "wire":
            ends = [(element.place, element.mode) for element in glyph.elements]
            joined = all(place == ends[0][0] or mode == ends[0][1] for place, mode in ends)
            assert joined or len(arms(glyph.char)) == 4, f"strangers share {at}\n{picture}"


@st.composite
def nets(draw: st.DrawFn, most: int = 7) -> Net:
    """Any net: cycles, sources, sinks, self-loops, forks, joins, any-of, weights and all kinds of arcs."""
    names = [f"p{i}" for i in range(draw(st.integers(1, most)))]
    some = st.lists(st.sampled_from(names), max_size=3, unique=True)
    weight = st.sampled_from([1, 1, 2, 12])
    arcs = some.flatmap(lambda chosen: st.tuples(*(st.builds(Arc, st.just(name), weight) for name in chosen)))
    one = st.builds(Arc, st.sampled_from(names), weight).map(lambda arc: (arc,))
    labels = st.sampled_from(["", "go", "a long label"])
    transitions = []
    for i in range(draw(st.integers(0, most + 2))):
        kinds = {
            "wire": st.builds(Transition, st.just(f"t{i}"), labels, inputs=one, outputs=one),
            "any of": st.builds(Transition, st.just(f"t{i}"), labels, sources=some.map(tuple), outputs=one),
            "box": st.builds(
                Transition,
                st.just(f"t{i}"),
                labels,
                inputs=arcs,
                outputs=arcs,
                reads=arcs,
                inhibitors=arcs,
                resets=some.map(tuple),
            ),
        }
        transitions.append(draw(kinds[draw(st.sampled_from(["wire", "wire", "wire", "any of", "box", "box"]))]))
    initial = dict.fromkeys([names[0], *draw(some)], 1)
    return Net(tuple(map(Place, names)), tuple(transitions), initial, frozenset(draw(some)))


@settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(nets(), st.booleans(), st.booleans(), st.booleans())
def test_a_reader_finds_exactly_the_arcs(net: Net, merge: bool, down: bool, live: bool) -> None:
    graph = graph_of(net)
    check(graph, merge=merge, down=down, enabled=frozenset(mode.name for mode in net.modes[::2] if live))


def state_machine(*steps: tuple[str, str, str]) -> Net:
    """A net of (from, transition, to); it starts in the first place."""
    places = dict.fromkeys(place for start, _, end in steps for place in (start, end))
    transitions = (Transition(name, inputs=(Arc(start),), outputs=(Arc(end),)) for start, name, end in steps)
    return Net(tuple(map(Place, places)), tuple(transitions), {steps[0][0]: 1})


APPROVAL = graph_of(
    state_machine(
        ("draft", "submit", "review"),
        ("review", "approve", "approved"),
        ("review", "reject", "rejected"),
        ("rejected", "revise", "draft"),
    )
)


@pytest.mark.parametrize("at", [(0, 2), (40, 0), (68, 2), (27, 4)])
def test_the_reader_notices_a_broken_or_bent_wire(at: Cell) -> None:
    """The control: each of these pictures says something else than the net, and the reader must see it."""
    picture = paint(lay_out(APPROVAL), Scene())
    assert found_in(picture) == meant_by(APPROVAL, merge=True)
    char = "┌" if picture.glyphs[at].char != "┌" else "┘"
    broken = replace(picture, glyphs={**picture.glyphs, at: replace(picture.glyphs[at], char=char, role="wire")})
    with pytest.raises((AssertionError, KeyError)):
        assert found_in(broken) == meant_by(APPROVAL, merge=True)


def test_the_reader_notices_a_crossing_turned_into_a_tee() -> None:
    """Two wires that cross must not be read as one that forks."""
    pairs = {"x": "de", "y": "ef", "z": "fd"}  # a ring, which two layers cannot show without a crossing
    transitions = (
        Transition(name, inputs=(Arc(start),), outputs=tuple(map(Arc, ends)))
        for start, (name, ends) in zip("abc", pairs.items(), strict=True)
    )
    graph = graph_of(Net(tuple(map(Place, "abcdef")), tuple(transitions), dict.fromkeys("abc", 1)))
    check(graph, merge=True, down=False)
    picture = paint(lay_out(graph), Scene())
    at = next(at for at, glyph in picture.glyphs.items() if glyph.char == "┼")
    bent = replace(picture, glyphs={**picture.glyphs, at: replace(picture.glyphs[at], char="┤")})
    with pytest.raises(AssertionError, match="assert"):
        assert found_in(bent) == meant_by(graph, merge=True)


def test_the_reader_notices_a_join_where_any_of_was_meant() -> None:
    """`fromStates: [a, b]` drawn as one box with two inputs would say that both are needed."""
    places, out = tuple(map(Place, "abc")), (Arc("c"),)
    any_of = graph_of(Net(places, (Transition("t", sources=("a", "b"), outputs=out),), {"a": 1}))
    join = graph_of(Net(places, (Transition("t", inputs=(Arc("a"), Arc("b")), outputs=out),), {"a": 1}))
    check(any_of, merge=True, down=False)
    assert found_in(paint(lay_out(join), Scene())) != meant_by(any_of, merge=True)


def test_two_marked_places_that_lead_to_each_other_are_layered() -> None:
    """A wire back to the one may turn out to lead onwards once the other stands at the start."""
    net = state_machine(("s", "one", "u"), ("u", "two", "a"), ("a", "three", "b"), ("b", "four", "a"))
    check(graph_of(replace(net, initial={"a": 1, "b": 1})), merge=True, down=False)
    check(graph_of(replace(net, initial={"b": 1, "s": 1, "a": 1})), merge=False, down=True)
