"""What must hold of every run of every net: laws are conserved, firing is a function, history gives the state, and the
clocks that go are those of what can wait."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.nets.analysis.invariants import invariants
from engine.nets.analysis.packing import moves_of
from engine.nets.effects import Arm, Disarm, clocks, possible
from engine.nets.firing import choose_mode, fire
from engine.nets.marking import enabled
from engine.nets.model import Arc, Net, Place, Timer, Transition
from engine.nets.token import Event, Token
from engine.workflows import chain
from tests.support import NOON

NAMES = ("a", "b", "c", "d")
arcs = st.lists(st.builds(Arc, st.sampled_from(NAMES), st.integers(1, 2)), max_size=2, unique_by=lambda arc: arc.place)


@st.composite
def nets(draw, *, resets=True):
    """Small nets with all kinds of arcs, some transitions with timers."""
    transitions = tuple(
        Transition(
            f"t{number}",
            sources=draw(st.sampled_from([(), (), ("a",), ("b", "c")])),
            inputs=tuple(draw(arcs)),
            outputs=tuple(draw(arcs)),
            reads=tuple(draw(arcs)) if draw(st.booleans()) else (),
            inhibitors=tuple(draw(arcs)) if draw(st.booleans()) else (),
            resets=(draw(st.sampled_from(NAMES)),) if resets and draw(st.integers(0, 3)) == 0 else (),
            timer=Timer(after_s=60.0) if draw(st.booleans()) else None,
        )
        for number in range(draw(st.integers(1, 4)))
    )
    initial = draw(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), min_size=1))
    return Net(tuple(map(Place, NAMES)), transitions, initial, frozenset("d"))


def walk(net, choices):
    """A run: at each step one of the modes that can fire. Gives the firings, the first of them the beginning."""
    token = Token("t", "w_v1", dict(net.initial), {}, {"by": "me"}, 1, NOON, NOON)
    first = chain.seal(Event("t", 1, "created", token.marking, NOON), chain.origin(token))
    token = token.with_head(first.hash)
    yield token, first, tuple(clocks(net, None, token, None))
    for number, choice in enumerate(choices):
        modes = [mode for mode in net.modes if enabled(token.marking, mode)]
        if not modes or sum(token.marking.values()) > 50:
            return
        mode, at = modes[choice % len(modes)], NOON + timedelta(seconds=number)
        fired = fire(net, token, mode, at, patch={"n": number, "even": None if number % 2 else 1}, actor="me")
        again = fire(net, token, mode, at, patch={"n": number, "even": None if number % 2 else 1}, actor="me")
        assert (fired.token, fired.events, fired.effects) == (again.token, again.events, again.effects)
        event = chain.seal(fired.events[0], token.head)
        token = fired.token.with_head(event.hash)
        yield token, event, fired.effects


choices = st.lists(st.integers(0, 20), max_size=12)


@given(nets(resets=False), choices)
def test_place_invariants_are_conserved(net, steps):
    laws = [law for law in invariants(net, moves_of(net)) if law.kind == "place"]
    for token, _, _ in walk(net, steps):
        for law in laws:
            assert sum(weight * token.marking.get(place, 0) for place, weight in law.weights.items()) == law.value


@given(nets(), choices)
def test_history_gives_the_state_and_a_change_of_it_is_seen(net, steps):
    run = list(walk(net, steps))
    token, events = run[-1][0], [event for _, event, _ in run]
    assert chain.first_break(token, events) is None
    for before, after in pairwise(events):
        assert (after.before, after.sequence) == (before.after, before.sequence + 1)
    for number, event in enumerate(events):
        forged = [*events[:number], event.with_hash(b"\0" * 32), *events[number + 1 :]]
        assert chain.first_break(token, forged) is not None
    assert len(events) == 1 or chain.first_break(token, events[:-1]) is not None


@given(nets(), choices)
def test_the_clocks_that_go_are_those_of_the_timed_transitions_that_are_possible(net, steps):
    going = {}
    for token, _, effects in walk(net, steps):
        for effect in effects:
            if isinstance(effect, Arm):
                going[effect.name] = effect.due
            elif isinstance(effect, Disarm):
                going.pop(effect.name, None)
        assert set(going) == {one.id for one in net.timed if possible(net, one, token.marking)}


@given(nets())
def test_the_first_source_that_can_is_taken(net):
    token = Token("t", "w", dict(net.initial), {}, {}, 1, NOON, NOON)
    for transition in net.transitions:
        able = [mode for mode in net.modes_of[transition.id] if enabled(token.marking, mode)]
        chosen = choose_mode(net, token, transition.id)
        assert chosen is (able or net.modes_of[transition.id])[0]
