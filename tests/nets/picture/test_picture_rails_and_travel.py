"""The list that stands in for a picture, and the way of a token through both."""

from itertools import pairwise

from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.picture import Scene, draw, graph_of, lay_out, paint, rails, travel

PLACES = tuple(map(Place, ("draft", "review", "approved", "rejected")))
STEPS = (
    ("draft", "submit", "review"),
    ("review", "approve", "approved"),
    ("review", "reject", "rejected"),
    ("rejected", "revise", "draft"),
)
TRANSITIONS = tuple(Transition(name, inputs=(Arc(start),), outputs=(Arc(end),)) for start, name, end in STEPS)
APPROVAL = graph_of(Net(PLACES, TRANSITIONS, {"draft": 1}))
AT_DRAFT = Scene({"draft": 1}, frozenset({"submit"}))


def test_rails_are_one_line_per_transition() -> None:
    assert rails(APPROVAL, AT_DRAFT, 60).text.split("\n") == [
        "● draft  ━━[submit]━━▶ review",
        "review   ── approve ─▶ approved",
        "review   ── reject ──▶ rejected",
        "rejected ── revise ──▶ ● draft",
    ]


def test_rails_say_weights_and_kinds_and_show_lonely_places() -> None:
    check = Transition(
        "check",
        inputs=(Arc("a", 2),),
        reads=(Arc("b"),),
        inhibitors=(Arc("c", 3),),
        resets=("d",),
        outputs=(Arc("a"), Arc("b", 4)),
    )
    tick = Transition("tick")
    graph = graph_of(Net((*map(Place, "abcd"), Place("e", "alone")), (check, tick), {}))
    assert rails(
        graph,
        Scene({"e": 3}),
        80,
    ).text.split("\n") == [
        "2×a + ┄b + ○3×c + ⊗d ── check ─▶ a + 4×b",
        "·                    ── tick ──▶ ·",
        "●3 alone",
    ]


def test_rails_shrink_their_names() -> None:
    long = graph_of(
        Net(
            (Place("waiting for somebody"), Place("somebody has come")),
            (Transition("arrive", inputs=(Arc("waiting for somebody"),), outputs=(Arc("somebody has come"),)),),
            {},
        )
    )
    for width in (60, 40, 20):
        assert rails(long, Scene(), width).width <= width
    assert rails(long, Scene(), 5).text == "wa… ── ar… ─▶ so…"


def test_every_part_of_a_rail_is_somebodys() -> None:
    picture = rails(APPROVAL, AT_DRAFT, 60)
    submit, draft = APPROVAL.transitions[0], APPROVAL.places[0]
    assert picture.order[:3] == (draft, submit, APPROVAL.places[1])
    assert {picture.glyphs[cell].char for cell in picture.cells[submit]} >= set("[submit]")
    assert {row for _, row in picture.cells[draft]} == {0, 3}
    assert picture.cells[APPROVAL.arcs_of["submit"][0]]


def test_a_token_travels_from_place_to_place() -> None:
    """Back along a lane, from one neighbouring cell to the next, and in one cell at a time."""
    picture = paint(lay_out(APPROVAL), AT_DRAFT)
    for down in (False, True):
        picture = paint(lay_out(APPROVAL, down=down), AT_DRAFT)
        way = [next(iter(frame)) for frame in travel(APPROVAL, picture, APPROVAL.transitions[3])]
        steps = [abs(x - to_x) + abs(y - to_y) for (x, y), (to_x, to_y) in pairwise(way)]
        assert steps == [1] * len(steps)
        assert way[0] not in picture.cells[APPROVAL.places[3]]


def test_tokens_of_a_join_arrive_together_and_those_of_a_fork_leave_together() -> None:
    both = Transition("both", inputs=(Arc("a"), Arc("b")), outputs=(Arc("c"), Arc("d")), reads=(Arc("e"),))
    graph = graph_of(Net(tuple(map(Place, "abcde")), (both,), {"a": 1, "b": 1}))
    picture = draw(graph, Scene(), 80)
    frames = travel(graph, picture, graph.transitions[0])
    assert len(frames[0]) == 2
    assert len(frames[-1]) == 2
    arcs = {arc.kind + arc.place: set(picture.cells[arc]) for arc in graph.arcs}
    assert frames[0] & arcs["inputa"]
    assert frames[0] & arcs["inputb"]
    assert not any(frame & (arcs["reade"] - arcs["inputa"] - arcs["inputb"]) for frame in frames)


def test_a_token_travels_along_its_rail() -> None:
    picture = rails(APPROVAL, AT_DRAFT, 40)
    way = [cell for frame in travel(APPROVAL, picture, APPROVAL.transitions[1]) for cell in frame]
    assert {row for _, row in way} == {1}
    assert way == sorted(way)
    assert len(way) > 5


def test_a_travelling_token_keeps_the_columns_of_wide_letters() -> None:
    graph = graph_of(
        Net((Place("a"), Place("b")), (Transition("t", "提交", inputs=(Arc("a"),), outputs=(Arc("b"),)),), {"a": 1})
    )
    picture = draw(graph, Scene(), 80)
    left, right = next((x, x + 1) for x in range(picture.width) if picture.glyphs[x, 0].char == "提")
    on_left = "".join(glyph.char for glyph in picture.row(0, [(left, 0)]))
    on_right = "".join(glyph.char for glyph in picture.row(0, [(right, 0)]))
    assert "◉ 交" in on_left
    assert " ◉交" in on_right
