"""Pictures as people see them: which one a width gets, how labels are written, what a firing changes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.picture import (
    DrawnArc,
    DrawnPlace,
    DrawnTransition,
    Graph,
    Scene,
    draw,
    graph_of,
    lay_out,
    paint,
    plan,
)
from engine.nets.picture.lettering import cells_of, fitted, legible


def state_machine(*steps: tuple[str, str, str]) -> Net:
    """A net of (from, transition, to); it starts in the first place."""
    places = dict.fromkeys(place for start, _, end in steps for place in (start, end))
    transitions = (Transition(name, inputs=(Arc(start),), outputs=(Arc(end),)) for start, name, end in steps)
    return Net(tuple(map(Place, places)), tuple(transitions), {steps[0][0]: 1})


APPROVAL = replace(
    state_machine(
        ("draft", "submit", "review"),
        ("review", "approve", "approved"),
        ("review", "reject", "rejected"),
        ("rejected", "revise", "draft"),
    ),
    final=frozenset({"approved"}),
)
AT_DRAFT = Scene({"draft": 1}, frozenset({"submit"}))


def test_a_workflow_is_drawn_as_a_state_machine() -> None:
    assert str(draw(graph_of(APPROVAL), AT_DRAFT, 80)).split("\n") == [
        "┌─▶( ● draft )━━[submit]━━▶(  review  )─┬─ approve ──▶((  approved  ))",
        "│                                       │",
        "│                                       └─ reject ───▶(  rejected  )───┐",
        "│                                                                      │",
        "└─────────────────────────◀ revise ────────────────────────────────────┘",
    ]


def test_a_transition_from_any_of_two_places_has_a_wire_from_each() -> None:
    places = tuple(map(Place, ("draft", "review", "closed")))
    close = Transition("close", sources=("draft", "review"), outputs=(Arc("closed"),))
    submit = Transition("submit", inputs=(Arc("draft"),), outputs=(Arc("review"),))
    graph = graph_of(Net(places, (submit, close), {"draft": 1}))
    drawn = [t for t in graph.transitions if t.transition == "close"]
    assert [(t.mode, t.source) for t in drawn] == [("close@draft", "draft"), ("close@review", "review")]
    assert str(draw(graph, Scene({"draft": 1}, frozenset({"submit", "close@draft"})), 90)).split("\n") == [
        "( ● draft )━┳━[submit]━━▶(  review  )── close ─┐",
        "            ┃                                  │",
        "            ┗━[close]━━━━━━━━━━━━━━━━━━━━━━━━━━┷━▶(  closed  )",
    ]


def test_a_graph_keeps_weights_and_all_kinds_of_arcs() -> None:
    transition = Transition(
        "t",
        sources=("a", "b"),
        inputs=(Arc("a", 2),),
        outputs=(Arc("b"), Arc("b")),
        reads=(Arc("c", 3),),
        inhibitors=(Arc("d", 4),),
        resets=("a",),
    )
    graph = graph_of(Net(tuple(map(Place, "abcd")), (transition,), {"a": 1}, frozenset("b")))
    assert graph.places[:2] == (DrawnPlace("a", initial=1), DrawnPlace("b", final=True))
    assert graph.arcs_of["t@a"] == (
        DrawnArc("a", "t@a", "input", 3),
        DrawnArc("c", "t@a", "read", 3),
        DrawnArc("d", "t@a", "inhibitor", 4),
        DrawnArc("a", "t@a", "reset"),
        DrawnArc("b", "t@a", "output", 2),
    )
    assert [arc.place for arc in graph.arcs_of["t@b"] if arc.kind == "input"] == ["a", "b"]


def test_every_width_gets_a_picture_that_fits() -> None:
    graph = graph_of(APPROVAL)
    pictures = {width: draw(graph, AT_DRAFT, width) for width in range(21, 100)}
    assert {width: picture.width for width, picture in pictures.items() if picture.width > width} == {}
    assert "▶" in str(pictures[80])
    assert "▼" in str(pictures[50])


def test_where_no_picture_fits_there_is_a_list() -> None:
    graph = graph_of(APPROVAL)
    assert plan(graph, 20) is None
    assert str(draw(graph, AT_DRAFT, 20)).count("\n") == 3


def test_a_view_that_can_be_moved_gets_the_narrowest_picture() -> None:
    graph = graph_of(APPROVAL)
    narrowest = plan(graph, 20, limit=60)
    assert narrowest is not None
    assert narrowest.width == min(
        lay_out(graph, down=down, label_width=room).width for down in (True, False) for room in (24, 12, 8)
    )
    assert plan(graph, 20, limit=narrowest.width - 1) is None


def test_a_long_pipeline_runs_top_down() -> None:
    graph = graph_of(state_machine(*((f"stage {i}", f"step {i}", f"stage {i + 1}") for i in range(9))))
    picture = draw(graph, Scene(), 100)
    assert picture.width < 30
    assert str(picture).count("▼") == 9


def test_compact_pictures_are_smaller() -> None:
    names = ("waiting for the first review", "send it back to the author", "back with the author")
    graph = graph_of(state_machine(names, (names[0], "accept it as it is now", "accepted by the editor")))
    full, compact = draw(graph, Scene(), 200), draw(graph, Scene(), 200, compact=True)
    assert (full.width, full.height) > (compact.width, compact.height)
    assert full.height > compact.height


def test_a_firing_moves_tokens_and_nothing_else() -> None:
    layout = lay_out(graph_of(APPROVAL))
    before, after = (paint(layout, Scene({place: 1})) for place in ("draft", "review"))
    assert before.cells == after.cells
    assert [g.elements for g in before.glyphs.values() if g.char == "●"] == [(DrawnPlace("draft", initial=1),)]
    assert [g.elements for g in after.glyphs.values() if g.char == "●"] == [(DrawnPlace("review"),)]


@pytest.mark.parametrize(
    ("tokens", "shown"), [(0, "(  draft  )"), (1, "( ● draft )"), (2, "(●● draft )"), (12, "(●12 draft )")]
)
def test_tokens_are_dots_up_to_two_and_then_a_number(tokens: int, shown: str) -> None:
    assert shown.replace(" ", "") in str(draw(graph_of(APPROVAL), Scene({"draft": tokens}), 80)).replace(" ", "")


def test_the_followed_token_looks_different() -> None:
    assert "( ◉ draft )" in str(draw(graph_of(APPROVAL), replace(AT_DRAFT, focus="draft"), 80))


def test_places_and_transitions_come_in_the_order_of_reading() -> None:
    order = draw(graph_of(APPROVAL), AT_DRAFT, 80).order
    names = [element.name for element in order]
    assert sorted(names) == sorted(["draft", "submit", "review", "approve", "reject", "approved", "rejected", "revise"])
    assert names.index("draft") < names.index("submit") < names.index("review") < names.index("approved")


def test_an_empty_graph_is_an_empty_picture() -> None:
    picture = draw(Graph(), Scene(), 80)
    assert (picture.text, picture.order, picture.glyphs) == ("", (), {})


def test_places_and_transitions_without_arcs_are_drawn() -> None:
    graph = graph_of(Net((Place("here"),), (Transition("nothing"),), {}))
    assert "(  here  )" in str(draw(graph, Scene(), 80))
    assert "[ nothing ]" in str(draw(graph, Scene(), 80))


@pytest.mark.parametrize("width", [100, 45, 20])
def test_ascii_is_ascii(width: int) -> None:
    net = replace(APPROVAL, transitions=(*APPROVAL.transitions, Transition("reset", resets=("draft", "review"))))
    transition = Transition("check", reads=(Arc("review"),), inhibitors=(Arc("draft", 12),), outputs=(Arc("approved"),))
    graph = graph_of(replace(net, transitions=(*net.transitions, transition)))
    assert draw(graph, replace(AT_DRAFT, focus="draft"), width, ascii=True).text.isascii()


ODD_LABELS = [
    "草稿",
    "ёж",
    "e\u0301te\u0301",
    "a\u200bb",
    "tab\tand\nline",
    "🚀 launch",
    "👩‍🚀",
    "q\u0323",
    "",
    "\u202egnp.exe",
]


@pytest.mark.parametrize("label", ODD_LABELS)
@pytest.mark.parametrize("width", [80, 24])
def test_odd_labels_keep_the_columns(label: str, width: int) -> None:
    """Every line of the picture takes the same cells as with a plain label of the same width."""
    plain = "x" * cells_of(legible(label))
    odd, even = (
        replace(state_machine(("a", "t", "b")), places=(Place("a", text or "a"), Place("b"))) for text in (label, plain)
    )
    pictures = [draw(graph_of(net), AT_DRAFT, width) for net in (odd, even)]
    assert pictures[0].width == pictures[1].width
    for y in range(pictures[0].height):
        rows = ["".join(glyph.char for glyph in picture.row(y)) for picture in pictures]
        assert cells_of(rows[0]) == cells_of(rows[1]) == pictures[0].width


def test_no_label_can_break_or_turn_a_line() -> None:
    assert legible("a\nb\tc\x1b[31m\u202e d\u200d") == "a b c[31m d"
    assert legible("e\u0301") == "é"


@settings(max_examples=120, derandomize=True)
@given(st.text(), st.integers(1, 12))
def test_fitted_text_fits(text: str, room: int) -> None:
    text = legible(text)
    assert cells_of(fitted(text, room)) <= room
    assert fitted(text, cells_of(text)) == text


HASH_SEEDS = """
from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.picture import Scene, draw, graph_of
names = [f"p{i}" for i in range(14)]
transitions = [
    Transition(
        f"t{i}",
        inputs=(Arc(names[i * 5 % 14]), Arc(names[(i * 3 + 1) % 14])),
        outputs=(Arc(names[i * 7 % 14]),),
        resets=(names[i],),
    )
    for i in range(12)
]
print(draw(graph_of(Net(tuple(map(Place, names)), tuple(transitions), {"p0": 1})), Scene(), 400))
"""


def test_a_net_looks_the_same_in_every_process() -> None:
    """Sets and dicts must not decide anything by the hashes of strings, which differ from process to process."""
    root = Path(__file__).parents[3]
    pictures = {
        subprocess.run(
            [sys.executable, "-X", "utf8", "-c", HASH_SEEDS],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(pictures) == 1
    assert "⊗" in pictures.pop()


def test_elements_stay_apart_even_if_they_have_one_name() -> None:
    graph = graph_of(state_machine(("same", "same", "other")))
    picture = draw(graph, Scene(), 80)
    place, transition = graph.places[0], graph.transitions[0]
    assert isinstance(transition, DrawnTransition)
    assert not set(picture.cells[place]) & set(picture.cells[transition])
