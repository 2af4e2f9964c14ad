"""What a firing asks for: clocks, automatic transitions, work inside."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.kernel.errors import Conflict, NotEnabled
from engine.nets import notation
from engine.nets.effects import Abandon, Arm, Begin, Disarm, clocks
from engine.nets.firing import changed, choose_mode, fire
from engine.nets.token import Event, Token
from tests.support import NOON

LATER = NOON + timedelta(minutes=5)


def net_of(transitions, places=("a", "b", "c", "d"), **fields):
    return notation.read({"name": "N", "places": list(places), "transitions": transitions, **fields}).net


def token_on(*places, data=None):
    return Token("t1", "n_v1", {place: places.count(place) for place in places}, data or {}, {}, 1, NOON, NOON)


def fired(net, token, name, patch=None, **more):
    return fire(net, token, choose_mode(net, token, name), LATER, patch=patch, actor="me", **more)


TIMED = net_of(
    [
        {"id": "go", "fromStates": ["a"], "toState": "b"},
        {"id": "remind", "fromStates": ["b"], "toState": "c", "timer": {"afterSeconds": 60}},
        {"id": "spin", "fromStates": ["b"], "toState": "b"},
        {"id": "add", "inputs": ["a"], "outputs": ["a", "b"]},
    ]
)


def test_a_clock_begins_when_its_transition_becomes_possible_and_ends_when_it_is_not():
    going = fired(TIMED, token_on("a"), "go")
    assert going.effects == (Arm("timer", "remind", LATER + timedelta(seconds=60)),)
    assert fired(TIMED, going.token, "remind").effects == (Disarm("timer", "remind"),)


def test_a_clock_goes_on_while_its_transition_stays_possible_and_begins_anew_when_it_was_not_in_between():
    assert fired(TIMED, token_on("a", "b"), "add").effects == ()
    assert fired(TIMED, token_on("b", "b"), "spin").effects == ()
    assert [type(effect) for effect in fired(TIMED, token_on("b"), "spin").effects] == [Arm]


def test_a_moment_in_the_data_is_watched_as_it_changes():
    net = net_of(
        [
            {"id": "set", "inputs": ["a"], "outputs": ["a"]},
            {"id": "due", "reads": ["a"], "inputs": ["b"], "outputs": ["c"], "timer": {"at": "when"}},
        ]
    )
    first = fired(net, token_on("a", "b"), "set", {"when": "2026-08-02T00:00:00+02:00"})
    assert [effect.due.isoformat() for effect in first.effects] == ["2026-08-01T22:00:00+00:00"]
    assert fired(net, first.token, "set").effects == first.effects, "the read place was empty in between"
    assert fired(net, first.token, "set", {"when": None}).effects == (Disarm("timer", "due"),)
    assert fired(net, token_on("a", "b"), "set", {"when": "tomorrow"}).effects == (Disarm("timer", "due"),)


def test_a_place_with_a_deadline_is_watched():
    net = notation.read(
        {
            "name": "N",
            "places": [{"id": "a"}, {"id": "b", "timeoutSeconds": 30}],
            "transitions": [
                {"id": "go", "fromStates": ["a"], "toState": "b"},
                {"id": "back", "fromStates": ["b"], "toState": "a"},
            ],
        }
    ).net
    going = fired(net, token_on("a"), "go")
    assert going.effects == (Arm("timeout", "b", LATER + timedelta(seconds=30)),)
    assert fired(net, going.token, "back").effects == (Disarm("timeout", "b"),)
    overdue = Event("t1", 3, "overdue", going.token.marking, LATER, going.token.marking, detail={"place": "b"})
    assert changed(net, going.token, overdue, {}).effects == (), "and the clock does not begin again"
    assert list(clocks(net, None, going.token, None)) == list(going.effects)


AUTOMATIC = net_of(
    [
        {"id": "go", "fromStates": ["a"], "toState": "b"},
        {"id": "low", "fromStates": ["b"], "toState": "c", "automatic": True},
        {"id": "high", "fromStates": ["b"], "toState": "d", "automatic": True, "priority": 1, "conditions": ["vip"]},
    ]
)


@pytest.mark.parametrize(("data", "end"), [({"vip": True}, "d"), ({}, "c")])
def test_the_most_urgent_automatic_transition_that_can_fires_at_once(data, end):
    firing = fired(AUTOMATIC, token_on("a"), "go", data)
    assert firing.token.marking == {end: 1}
    assert [(e.sequence, e.actor) for e in firing.events] == [(2, "me"), (3, "automatic")]
    assert (firing.token.version, firing.token.status) == (3, "completed")


def test_automatic_transitions_that_do_not_come_to_rest_are_refused():
    loop = [{"id": f"{x}{y}", "fromStates": [x], "toState": y, "automatic": True} for x, y in ("bc", "cb")]
    net = net_of([{"id": "go", "fromStates": ["a"], "toState": "b"}, *loop])
    with pytest.raises(Conflict, match="do not come to rest"):
        fired(net, token_on("a"), "go")


INSIDE = net_of(
    [
        {"id": "check", "fromStates": ["a"], "toState": "b", "subWorkflow": "child_v1"},
        {"id": "leave", "fromStates": ["a"], "toState": "c"},
    ]
)


def test_a_sub_workflow_is_begun_once_and_its_end_fires_the_transition():
    begun = fired(INSIDE, token_on("a"), "check")
    assert begun.effects == (Begin("check", "a", "child_v1", "t1.2"),)
    assert (begun.token.marking, begun.token.running, begun.events[0].kind) == ({"a": 1}, {"check": "t1.2"}, "started")
    with pytest.raises(NotEnabled, match="sub-workflow is at work"):
        fired(INSIDE, begun.token, "check")
    ended = fired(INSIDE, begun.token, "check", finished=True)
    assert (ended.token.marking, ended.token.running, ended.effects) == ({"b": 1}, {}, ())


def test_work_inside_is_abandoned_when_the_token_moves_on_without_it():
    begun = fired(INSIDE, token_on("a"), "check")
    left = fired(INSIDE, begun.token, "leave")
    assert left.effects == (Abandon("t1.2"),)
    assert left.token.running == {}


def test_a_cancelled_token_cannot_move_even_where_a_transition_takes_nothing():
    net = net_of([{"id": "make", "outputs": ["a"]}])
    cancelled = replace(token_on("a"), marking={}, status="cancelled")
    with pytest.raises(NotEnabled, match="was cancelled"):
        fired(net, cancelled, "make")
    assert fired(net, replace(cancelled, status="active"), "make").token.marking == {"a": 1}
