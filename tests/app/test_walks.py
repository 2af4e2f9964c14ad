"""Ways over a net, as data, and what is said of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screens import walks
from app.screens.workflow_words import state_of, what_happened
from engine.kernel.caller import WORKBENCH
from engine.nets.analysis.model import Step
from engine.nets.token import Event
from engine.workflows.service import Fire, Workflows
from tests.support import NOON

TRACE = [Step({"a": 1}), Step({"b": 1}, "go"), Step({"c": 1}, "on"), Step({"b": 1}, "round")]


def test_a_run_begins_at_its_beginning_and_stops_at_both_ends() -> None:
    walk = walks.run("about", TRACE)
    assert [walk.moved(-1).at, walk.moved(1).at, walk.moved(99).at] == [0, 1, 3]
    assert walk.moved(99).ended


def test_a_loop_goes_on_where_it_began() -> None:
    walk = walks.run("about", TRACE, loop=1).moved(3)
    assert walk.at == 3
    assert not walk.ended
    assert walk.moved(1).at == 2
    assert "↺ step 2" in walks.caption(walk, ("a", "b", "c"), False).plain


@given(st.lists(st.integers(-3, 3)), st.none() | st.integers(0, 5))
def test_one_always_stands_on_the_way(steps: list[int], loop: int | None) -> None:
    walk = walks.run("about", TRACE, loop)
    for step in steps:
        walk = walk.moved(step)
        assert 0 <= walk.at < len(walk.stops)


def test_the_caption_says_step_transition_and_marking() -> None:
    walk = walks.run("about", TRACE)
    assert "step 1 of 4  begins in a" in walks.caption(walk, ("a", "b", "c"), False).plain
    assert "▶ step 2 of 4  go → b" in walks.caption(walk.moved(1), ("a", "b", "c"), True).plain


async def test_a_history_has_the_data_of_each_version(workflows: Workflows) -> None:
    flow = await workflows.create(
        {"name": "Two", "places": ["a", "b"], "transitions": [{"id": "go", "fromStates": ["a"], "toState": "b"}]}
    )
    token = await workflows.create_token(flow.id, caller=WORKBENCH, data={"title": "Q3"})
    token = await workflows.fire(token.id, "go", caller=WORKBENCH, data={"title": "Q4", "score": 7})
    token = await workflows.roll_back(token.id, 1, caller=WORKBENCH)
    walk = walks.history(token, await workflows.history(token.id))
    assert walk.at == 2
    assert walk.ended
    assert [dict(stop.token.data) for stop in walk.stops if stop.token] == [
        {"title": "Q3"}, {"title": "Q4", "score": 7}, {"title": "Q3"},
    ]  # fmt: skip
    assert walks.enabled_at(walk, flow.net) == {"go@a"}
    assert walks.enabled_at(walk.moved(-2), flow.net) == frozenset()  # nothing fires in the past


async def test_a_trial_stands_on_its_last_step(workflows: Workflows) -> None:
    flow = await workflows.create(
        {"name": "Two", "places": ["a", "b"], "transitions": [{"id": "go", "fromStates": ["a"], "toState": "b"}]}
    )
    token = await workflows.create_token(flow.id, caller=WORKBENCH)
    steps = [Fire(token.id, "go"), Fire(token.id, "go")]
    walk = walks.trial(await workflows.what_if(token.id, steps, caller=WORKBENCH), steps)
    assert (walk.at, walk.steps) == (1, (steps[0],))  # the second one cannot fire
    assert not walk.outdated_by(1).outdated
    assert walk.outdated_by(2).outdated


PLACES = ("draft", "review")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event("t", 1, "created", {"draft": 1}, NOON), "created in draft"),
        (
            Event("t", 1, "created", {"draft": 1}, NOON, detail={"forkOf": "01ABCDEF", "version": 3}),
            "created in draft, forked from …ABCDEF v3",
        ),
        (Event("t", 2, "fired", {"review": 1}, NOON, {"draft": 1}, "submit"), "submit → review"),
        (Event("t", 3, "overdue", {"review": 1}, NOON, detail={"place": "review"}), "overdue in review"),
        (Event("t", 4, "rolled_back", {"draft": 1}, NOON, detail={"to": 1}), "rolled back to v1 → draft"),
        (Event("t", 5, "cancelled", {}, NOON), "cancelled"),
        (Event("t", 5, "started", {"draft": 1}, NOON, transition="build", detail={"workflow": "ci"}), "build began ci"),
        (Event("t", 5, "abandoned", {"draft": 1}, NOON, transition="build"), "the work inside build was given up"),
        (Event("t", 5, "migrated", {"old": 1}, NOON, detail={"from": "a", "to": "b"}), "migrated to b → old"),
        (
            Event("t", 5, "archived", {"draft": 1}, NOON, detail={"events": 5}),
            "5 earlier events were archived, in draft",
        ),
    ],
)  # fmt: skip
def test_events_in_words(event: Event, words: str) -> None:
    assert what_happened(event, PLACES) == words


def test_places_of_another_workflow_come_last() -> None:
    assert state_of({"old": 1, "review": 2}, PLACES) == "2×review + old"
