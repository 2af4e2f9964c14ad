"""Firing: what holds of every firing of every net."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import NotEnabled, NotFound
from engine.nets import notation
from engine.nets.firing import availability, choose_mode, fire, merged, obstacles
from engine.nets.marking import enabled, in_words
from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.token import Token
from engine.rules.expression import parse
from tests.support import APPROVAL, FORK, NOON

PLACES = ("p", "q", "r")
ARCS = st.lists(st.builds(Arc, st.sampled_from(PLACES), st.integers(1, 3)), max_size=3).map(tuple)
NAMES = st.lists(st.sampled_from(PLACES), max_size=2, unique=True).map(tuple)
MARKINGS = st.dictionaries(st.sampled_from(PLACES), st.integers(1, 4))
TRANSITIONS = st.builds(
    Transition, st.just("t"), sources=NAMES, inputs=ARCS, outputs=ARCS, reads=ARCS, inhibitors=ARCS, resets=NAMES
)


def net_of(*transitions, initial=None, places=PLACES, final=()):
    return Net(tuple(map(Place, places)), transitions, initial or {}, frozenset(final))


def token(marking, data=None, metadata=None):
    return Token("t1", "w", marking, data or {}, metadata or {}, 1, NOON, NOON)


def shot(net, before, transition, patch=None, source=None):
    return fire(net, before, choose_mode(net, before, transition, source), NOON, patch=patch, actor="me")


# -- places and arcs --------------------------------------------------------------------------------------------------


def by_the_book(transition, source, marking):
    """The definition, place by place: (enabled, marking after). Inputs given twice add up."""
    after, able = {}, True
    for place in PLACES:
        has = marking.get(place, 0)
        takes = sum(arc.weight for arc in transition.inputs if arc.place == place) + (source == place)
        reads = max((arc.weight for arc in transition.reads if arc.place == place), default=0)
        below = min((arc.weight for arc in transition.inhibitors if arc.place == place), default=10**9)
        puts = sum(arc.weight for arc in transition.outputs if arc.place == place)
        able &= max(takes, reads) <= has < below
        after[place] = (0 if place in transition.resets else has - takes) + puts
    return able, {place: count for place, count in after.items() if count}


@given(TRANSITIONS, MARKINGS)
def test_each_mode_fires_as_the_definition_says(transition, marking):
    net = net_of(transition)
    for mode in net.modes:
        able, after = by_the_book(transition, mode.source, marking)
        assert enabled(marking, mode) is able
        assert bool(obstacles(token(marking), mode, {})) is not able
        if able:
            firing = fire(net, token(marking), mode, NOON, patch=None, actor="me")
            assert firing.token.marking == after
        else:
            with pytest.raises(NotEnabled) as caught:
                fire(net, token(marking), mode, NOON, patch=None, actor="me")
            assert caught.value.details["blockers"]


@given(TRANSITIONS, MARKINGS, st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_weighted_counts_change_by_what_the_arcs_say(transition, marking, weights):
    """For every weighting of the places: what is there changes by what is put, less what is taken and emptied."""
    net, weight = net_of(transition), dict(zip(PLACES, weights, strict=True))

    def total(counts):
        return sum(weight[place] * count for place, count in counts.items())

    for mode in net.modes:
        if not enabled(marking, mode):
            continue
        after = fire(net, token(marking), mode, NOON, patch=None, actor="").token.marking
        left = {place: marking.get(place, 0) for place in PLACES}
        for arc in mode.inputs:
            left[arc.place] -= arc.weight
        lost = {place: left[place] for place in transition.resets}
        taken = sum(weight[arc.place] * arc.weight for arc in mode.inputs)
        put = sum(weight[arc.place] * arc.weight for arc in transition.outputs)
        assert total(after) == total(marking) - taken - total(lost) + put


@given(TRANSITIONS, MARKINGS)
def test_firing_changes_nothing_that_it_was_given_and_gives_the_same_again(transition, marking):
    net, before, kept = net_of(transition), token(marking), dict(marking)
    for mode in net.modes:
        if not enabled(marking, mode):
            continue
        assert fire(net, before, mode, NOON, patch={"a": 1}, actor="") == fire(
            net, before, mode, NOON, patch={"a": 1}, actor=""
        )
        assert marking == kept
        assert before.data == {}


@given(st.lists(TRANSITIONS, min_size=1, max_size=4), MARKINGS, st.data())
def test_replaying_the_history_gives_the_state(transitions, marking, data):
    named = tuple(replace(one, id=f"t{number}") for number, one in enumerate(transitions))
    net, now = net_of(*named), token(marking, {"n": 0, "keep": [1]})
    marking_seen, data_seen = dict(marking), dict(now.data)
    for step in range(8):
        able = [mode for mode in net.modes if enabled(now.marking, mode)]
        if not able:
            break
        mode = data.draw(st.sampled_from(able))
        patch = data.draw(
            st.none() | st.dictionaries(st.sampled_from("ab"), st.none() | st.integers() | st.just({"x": None, "y": 1}))
        )
        firing = fire(net, now, mode, NOON, patch=patch, actor="me")
        (event,) = firing.events
        assert (event.sequence, event.before, event.token) == (now.version + 1, marking_seen, "t1")
        assert (event.transition, event.source) == (mode.transition.id, mode.source)
        marking_seen, data_seen = dict(event.after), merged(data_seen, event.data or {})
        now = firing.token
        assert (now.marking, now.data, now.version) == (marking_seen, data_seen, step + 2)


def test_an_input_named_twice_needs_both_tokens():
    net = net_of(Transition("t", inputs=(Arc("p"), Arc("p")), outputs=(Arc("q"),)))
    with pytest.raises(NotEnabled, match="p has 1 of 2 tokens"):
        shot(net, token({"p": 1}), "t")
    assert shot(net, token({"p": 2}), "t").token.marking == {"q": 1}


def test_a_reset_empties_after_taking_and_before_putting():
    net = net_of(Transition("t", inputs=(Arc("p"),), outputs=(Arc("p", 2),), resets=("p", "q")))
    assert shot(net, token({"p": 5, "q": 3, "r": 1}), "t").token.marking == {"p": 2, "r": 1}


def test_a_reset_of_an_empty_place_does_nothing():
    net = net_of(Transition("t", inputs=(Arc("p"),), outputs=(Arc("q"),), resets=("r",)))
    assert shot(net, token({"p": 1}), "t").token.marking == {"q": 1}


def test_a_read_needs_and_leaves_the_tokens():
    net = net_of(Transition("t", inputs=(Arc("p"),), reads=(Arc("p", 2), Arc("q", 2))))
    assert shot(net, token({"p": 2, "q": 2}), "t").token.marking == {"p": 1, "q": 2}
    with pytest.raises(NotEnabled, match="q must hold 2 and has 1"):
        shot(net, token({"p": 2, "q": 1}), "t")


def test_an_inhibitor_looks_before_anything_is_taken():
    net = net_of(Transition("t", inputs=(Arc("p"),), inhibitors=(Arc("p", 2),)))
    assert shot(net, token({"p": 1}), "t").token.marking == {}
    with pytest.raises(NotEnabled, match="p must have fewer than 2 and has 2"):
        shot(net, token({"p": 2}), "t")


def test_a_fork_and_a_join():
    net = notation.read(FORK).net
    both = shot(net, token({"start": 1}), "split").token
    assert in_words(both.marking, net.place_ids) == "a + b"
    assert shot(net, both, "join").token.marking == {"end": 1}
    with pytest.raises(NotEnabled, match="b has 0 of 1 token"):
        shot(net, token({"a": 1}), "join")


# -- modes ------------------------------------------------------------------------------------------------------------


def test_any_of_takes_the_first_source_that_can_and_the_named_one_when_told():
    net = net_of(Transition("t", sources=("p", "q"), outputs=(Arc("r"),)))
    assert shot(net, token({"q": 1}), "t").events[0].source == "q"
    assert shot(net, token({"p": 1, "q": 1}), "t").events[0].source == "p"
    chosen = shot(net, token({"p": 1, "q": 1}), "t", source="q")
    assert chosen.events[0].source == "q"
    assert chosen.token.marking == {"p": 1, "r": 1}


def test_any_of_with_no_source_says_so_in_one_sentence():
    net = net_of(Transition("t", sources=("p", "q")))
    (one,) = availability(net, token({"r": 1}))
    assert one.blockers == ("it needs a token in p or q, and the token is in r",)
    assert not one.enabled


def test_of_several_modes_the_one_that_the_places_let_fire_speaks():
    net = net_of(Transition("t", sources=("p", "q"), guard=parse("ok")))
    (one,) = availability(net, token({"q": 1}))
    assert one.blockers == ("the guard says no: ok is missing",)


def test_unknown_names_come_with_the_nearest():
    net = net_of(Transition("approve", sources=("p", "q")))
    with pytest.raises(NotFound, match="Did you mean 'approve'"):
        choose_mode(net, token({}), "aprove")
    with pytest.raises(NotFound, match="source of approve 'x'"):
        choose_mode(net, token({}), "approve", "x")


def test_a_transition_without_any_of_has_no_source_to_name():
    net = net_of(Transition("t", inputs=(Arc("p"),)))
    with pytest.raises(NotFound):
        choose_mode(net, token({"p": 1}), "t", "p")


# -- guards and data --------------------------------------------------------------------------------------------------


def test_a_guard_sees_the_data_that_comes_with_the_firing():
    net = notation.read(APPROVAL).net
    with pytest.raises(NotEnabled, match="score is missing") as caught:
        shot(net, token({"review": 1}), "approve")
    assert caught.value.details["available"] == ["reject", "rework"]
    assert caught.value.details["state"] == "review"
    with pytest.raises(NotEnabled, match="score 70 ≤ 80"):
        shot(net, token({"review": 1}, {"score": 90}), "approve", {"score": 70})
    assert shot(net, token({"review": 1}), "approve", {"score": 80}).token.marking == {"approved": 1}


def test_a_guard_sees_metadata():
    net = net_of(Transition("t", inputs=(Arc("p"),), guard=parse('priority == "high"')))
    assert availability(net, token({"p": 1}, metadata={"priority": "high"}))[0].enabled
    assert not availability(net, token({"p": 1}, metadata={"priority": "low"}))[0].enabled


def test_where_nothing_can_fire_the_error_says_so():
    net = notation.read(APPROVAL).net
    with pytest.raises(NotEnabled, match="Nothing can fire any more"):
        shot(net, token({"approved": 1}), "submit")


# RFC 7396, appendix A: the cases whose target and patch are objects (others cannot come here).
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_rfc_7396_says(target, patch, result):
    assert merged(target, patch) == result


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


def by_the_rfc(target, patch):
    """MergePatch of RFC 7396, section 2, word for word."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = by_the_rfc(target.get(name), value)
        return target
    return patch


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_merging_agrees_with_the_rfcs_own_algorithm(target, patch):
    assert merged(target, patch) == by_the_rfc(target, patch)


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marking", "words"),
    [({"q": 1}, "q"), ({"r": 1, "p": 1}, "p + r"), ({"p": 3, "q": 1}, "3×p + q"), ({}, "nowhere")],
)
def test_a_state_is_said_in_the_order_of_the_net(marking, words):
    assert in_words(marking, PLACES) == words
