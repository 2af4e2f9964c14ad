"""Invariants, levels of liveness, guards, and nets that ask too much."""

from dataclasses import replace

import pytest

from engine.nets.analysis import notation
from engine.nets.analysis.model import FindingCode, Severity
from engine.nets.analysis.states import explore
from engine.nets.analysis.verdicts import analyse
from engine.nets.model import Arc, Net, Place, Transition
from engine.rules.expression import parse
from tests.engine.nets.oracle import reachable, search
from tests.engine.nets.test_analysis import CAP, KNOWN, chain, counter, known_net, replay, some_net


def way(name, source, target, guard=None):
    return Transition(name, inputs=(Arc(source),), outputs=(Arc(target),), guard=guard and parse(guard))


def net_of(*ways, final="c", places="abcd"):
    return Net(tuple(map(Place, places)), ways, {"a": 1}, frozenset(final))


# -- invariants -------------------------------------------------------------------------------------------------------


def test_the_laws_of_the_document_approval_are_in_words():
    net, _ = known_net(next(file for file in KNOWN if "document_approval" in file.stem))
    laws = [law.words for law in analyse(net).invariants if law.kind == "place"]
    assert laws == ["draft + review + approved + rejected is always 1"]


def test_place_invariants_hold_in_every_reachable_marking():
    seen = 0
    for seed in range(600):
        net, plain = some_net(seed, plain=False)
        space = search(plain, CAP)
        for law in analyse(net, most_states=200).invariants:
            if law.kind == "place":
                seen += 1
                weights = [law.weights.get(place, 0) for place in net.place_ids]
                for marking in space.distance:
                    assert sum(w * m for w, m in zip(weights, marking, strict=True)) == law.value, seed
    assert seen > 80


def test_transition_invariants_change_nothing():
    seen = 0
    for seed in range(300):
        net, _ = some_net(seed, plain=False)
        modes = {mode.name: mode for mode in net.modes}
        for law in analyse(net, most_states=200).invariants:
            if law.kind == "transition":
                seen += 1
                change = dict.fromkeys(net.place_ids, 0)
                for name, times in law.weights.items():
                    for arc in modes[name].inputs:
                        change[arc.place] -= times * arc.weight
                    for arc in modes[name].transition.outputs:
                        change[arc.place] += times * arc.weight
                assert not any(change.values()), seed
    assert seen > 30


def test_no_law_goes_through_a_reset():
    over = way("over", "a", "b")
    assert any(law.kind == "place" for law in analyse(net_of(over, places="ab", final="b")).invariants)
    emptied = replace(over, resets=("b",))
    assert not any(law.kind == "place" for law in analyse(net_of(emptied, places="ab", final="b")).invariants)


# -- levels -----------------------------------------------------------------------------------------------------------


def test_levels_of_liveness_and_home_states_agree_with_brute_force():
    for seed in range(300):
        net, plain = some_net(seed, plain=False)
        space = search(plain, 150)
        if not space.whole:
            continue
        found = analyse(net)
        ways = {marking: reachable(space, marking) for marking in space.distance}
        fired = {m: {name for one in reached for name, _ in space.after[one]} for m, reached in ways.items()}
        assert found.home_states == bool(set.intersection(*ways.values())), seed
        for transition in net.transitions:
            name = transition.id
            if all(name in names for names in fired.values()):
                level = 4
            elif any(name == label and m in ways[after] for m, out in space.after.items() for label, after in out):
                level = 3
            else:
                level = int(name in fired[plain.first])
            assert found.liveness[name] == level, (seed, name)


# -- guards -----------------------------------------------------------------------------------------------------------


def deadlocks(net, severity):
    return [one for one in analyse(net).findings if one.code is FindingCode.DEADLOCK and one.severity is severity]


def test_a_finding_with_a_longer_run_past_no_guard_does_not_hang_on_one():
    short, long = way("short", "a", "b", "x > 1"), (way("one", "a", "d"), way("two", "d", "b"))
    (stuck,) = deadlocks(net_of(short, *long, way("end", "a", "c")), Severity.ERROR)
    assert not stuck.depends_on_guards
    assert [step.transition for step in stuck.trace] == [None, "one", "two"]
    (stuck,) = deadlocks(net_of(short, way("end", "a", "c")), Severity.ERROR)
    assert stuck.depends_on_guards
    assert [step.transition for step in stuck.trace] == [None, "short"]


def test_guards_that_may_all_say_no_are_a_warning_and_change_no_verdict():
    gap = net_of(way("low", "a", "c", "x < 5"), way("high", "a", "c", "x > 5"), places="ac")
    (warning,) = deadlocks(gap, Severity.WARNING)
    assert (warning.depends_on_guards, warning.places, len(warning.trace)) == (True, ("a",), 1)
    assert (analyse(gap).deadlock_free, analyse(gap).sound) == (True, True)
    covered = net_of(way("low", "a", "c", "x < 5"), way("high", "a", "c", "x >= 5"), places="ac")
    assert not deadlocks(covered, Severity.WARNING)


@pytest.mark.parametrize(
    ("guards", "gap"),
    [
        (("x < 5", "x >= 5"), False),
        (("ok", "!ok"), False),
        (("has(x)", "!has(x)"), False),
        (("x < 1", "x >= 1 && y > 2", "y <= 2"), False),
        (('s.contains("a")', '!s.contains("a")'), False),
        (("a.b < 5", "a.b >= 5"), False),
        (("x < 5", "x > 5"), True),
        (('s == "a"', 's == "b"'), True),
        (('s.contains("a")', '!s.contains("b")'), True),
    ],
)
def test_guards_are_a_warning_exactly_where_they_leave_data_without_a_way(guards, gap):
    ways = [way(f"t{number}", "a", "c", guard) for number, guard in enumerate(guards)]
    assert bool(deadlocks(net_of(*ways, places="ac"), Severity.WARNING)) is gap


def test_two_sources_at_once_are_a_warning():
    split = Transition("split", inputs=(Arc("a"),), outputs=(Arc("b"), Arc("d")))
    merge = Transition("merge", sources=("b", "d"), outputs=(Arc("c"),))
    found = [one for one in analyse(net_of(split, merge)).findings if one.code is FindingCode.STRUCTURE]
    assert [(one.severity, one.places) for one in found] == [(Severity.WARNING, ("b", "d"))]
    assert replay(net_of(split, merge), found[0]) == 1
    choice = (way("left", "a", "b"), way("right", "a", "d"))
    assert not [one for one in analyse(net_of(*choice, merge)).findings if one.code is FindingCode.STRUCTURE]


# -- too much ---------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_places_are_answered_within_the_budget():
    found = analyse(chain(100_000), most_states=50)
    assert not found.complete
    assert found.states == 50


def test_huge_weights_cost_no_more_than_their_digits():
    huge = 10**30
    move = Transition("t", inputs=(Arc("a", huge),), outputs=(Arc("b", huge + 1),))
    found = analyse(Net((Place("a"), Place("b")), (move,), {"a": 3 * huge}))
    assert (found.complete, found.states, found.bound) == (True, 4, 3 * huge + 3)
    grows = Transition("g", inputs=(Arc("a"),), outputs=(Arc("a"), Arc("b", huge)))
    assert analyse(Net((Place("a"), Place("b")), (grows,), {"a": 1})).unbounded_places == ("b",)
    never = replace(move, inhibitors=(Arc("a", 0),))
    assert analyse(Net((Place("a"), Place("b")), (never,), {"a": huge})).dead_transitions == ("t",)


def test_memory_bounds_the_search():
    space = explore(counter(10_000), 10_000, most_bytes=100_000)
    assert not space.complete
    assert len(space) < 1_000
    assert explore(counter(10_000), 20_000).complete


def test_an_analysis_is_json_in_camel_case():
    found = notation.write(analyse(chain(2)))
    assert found["netClass"] == ["state machine", "marked graph", "free choice"]
    assert found["invariants"][0] == {
        "kind": "place",
        "weights": {"p0": 1, "p1": 1, "p2": 1},
        "value": 1,
        "words": "p0 + p1 + p2 is always 1",
    }
    assert found["by"]["sound"] == "state space"
