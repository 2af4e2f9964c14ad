"""Analysis against nets with known verdicts, and against brute force."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from engine.nets.analysis.model import FindingCode, Severity
from engine.nets.analysis.verdicts import analyse
from engine.nets.firing import fire
from engine.nets.marking import enabled
from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.token import Token
from engine.rules.model import FieldExists
from tests.engine.nets.oracle import Plain, search, verdicts
from tests.support import NOON

KNOWN = sorted((Path(__file__).parents[2] / "nets_known").glob("*.json"))
CAP = 400


def arcs(pairs):
    return tuple(Arc(place, weight) for place, weight in pairs)


def known_net(file):
    source = json.loads(file.read_text())
    transitions = tuple(
        Transition(
            one["id"],
            inputs=arcs(one["in"]),
            outputs=arcs(one["out"]),
            reads=arcs(one["read"]),
            inhibitors=arcs(one["inhibit"]),
            resets=tuple(one["reset"]),
        )
        for one in source["transitions"]
    )
    initial = {place["id"]: place["initial"] for place in source["places"] if place["initial"]}
    places = tuple(Place(place["id"]) for place in source["places"])
    return Net(places, transitions, initial, frozenset(source["final"] or ())), source["verdicts"]


def replay(net, finding):
    """Play a trace through firing, and see the same markings."""
    first, *steps = finding.trace
    assert first.marking == net.initial
    token = Token("t", "w", dict(net.initial), {}, {}, 1, NOON, NOON)
    for step in steps:
        (mode,) = [one for one in net.modes_of[step.transition] if one.source == step.source]
        unguarded = replace(mode, transition=replace(mode.transition, guard=None))
        token = fire(net, token, unguarded, NOON, patch=None, actor="").token
        assert token.marking == step.marking
    return len(steps)


# -- known nets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
def test_known_nets_get_their_verdicts(file):
    net, wanted = known_net(file)
    found = analyse(net)
    said = {
        "deadlock": None if found.deadlock_free is None else not found.deadlock_free,
        "livelock": None if found.livelock_free is None else not found.livelock_free,
        "dead_transitions": None if found.dead_transitions is None else list(found.dead_transitions),
        "states": found.states if found.complete else None,
        "edges": found.edges if found.complete else None,
        **{
            key: getattr(found, key)
            for key in ("bounded", "bound", "safe", "live", "reversible", "sound")
            if wanted[key] is not None
        },
        **{key: getattr(found, key) for key in ("option_to_complete", "proper_completion")},
    }
    for key, verdict in said.items():
        if wanted[key] is None or (not found.complete and verdict is None):
            continue  # not defined for this net, or honestly not proven
        assert verdict == wanted[key], key
    if found.complete:
        assert all(said[key] is not None for key in said if wanted[key] is not None)


SHORTEST = {
    "deadlock": FindingCode.DEADLOCK,
    "unsafe": FindingCode.UNSAFE,
    "improper": FindingCode.IMPROPER_COMPLETION,
    "cannot_complete": FindingCode.CANNOT_COMPLETE,
    "livelock": FindingCode.LIVELOCK,
}


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
def test_traces_of_known_nets_are_shortest_and_replay(file):
    net, wanted = known_net(file)
    found = {finding.code: finding for finding in analyse(net).findings}
    for finding in found.values():
        if finding.trace:
            replay(net, finding)
    for key, steps in wanted["shortest"].items():
        if key in SHORTEST and SHORTEST[key] in found:
            assert replay(net, found[SHORTEST[key]]) == steps, key


def test_there_are_twelve_known_nets():
    assert len(KNOWN) == 12


# -- brute force ------------------------------------------------------------------------------------------------------


def some_net(seed, *, plain):
    """A small random net of the product, and the same one for the oracle."""
    chance = random.Random(seed)
    places = [f"p{number}" for number in range(chance.randint(2, 5))]

    def some(most, weight):
        chosen = chance.sample(places, chance.randint(0, min(most, len(places))))
        return {place: chance.choice([1, 1, 1, weight]) for place in chosen}

    transitions, steps = [], []
    for number in range(chance.randint(2, 6)):
        takes, puts = some(2, 2) or {chance.choice(places): 1}, some(2, 2)
        reads, below, resets = ({}, {}, ()) if plain else (some(1, 2), some(1, 3), tuple(some(1, 1)))
        if plain or chance.random() < 0.5:
            reads, below, resets = {}, {}, ()
        name = f"t{number}"
        sources = tuple(chance.sample(places, 2)) if chance.random() < 0.2 else ()
        transitions.append(
            Transition(
                name,
                sources=sources,
                inputs=arcs(takes.items()),
                outputs=arcs(puts.items()),
                reads=arcs(reads.items()),
                inhibitors=arcs(below.items()),
                resets=resets,
            )
        )
        index = places.index
        for source in sources or (None,):
            all_takes = {index(place): weight for place, weight in takes.items()}
            if source is not None:
                all_takes[index(source)] = all_takes.get(index(source), 0) + 1
            steps.append(
                (
                    name,
                    {index(place): weight for place, weight in reads.items()},
                    all_takes,
                    {index(place): weight for place, weight in below.items()},
                    tuple(map(index, resets)),
                    {index(place): weight for place, weight in puts.items()},
                )
            )
    initial = some(2, 3) or {places[0]: 1}
    final = tuple(chance.sample(places, 1)) if chance.random() < 0.7 else ()
    net = Net(tuple(map(Place, places)), tuple(transitions), initial, frozenset(final))
    first = tuple(initial.get(place, 0) for place in places)
    return net, Plain(len(places), steps, first, tuple(map(places.index, final)))


@pytest.mark.parametrize("block", range(14))
def test_verdicts_and_traces_agree_with_brute_force(block):
    decided = 0
    for seed in range(block * 75, block * 75 + 75):
        net, plain = some_net(seed, plain=False)
        space = search(plain, CAP)
        found = analyse(net, most_states=20_000)
        if not space.whole:
            assert found.states >= CAP or found.bounded is False, seed
            continue
        decided += 1
        wanted = verdicts(plain, space)
        shortest = wanted.pop("shortest")
        assert (found.complete, found.bounded) == (True, True), seed
        for key, verdict in wanted.items():
            said = set(found.dead_transitions) if key == "dead_transitions" else getattr(found, key)
            assert said == verdict, (seed, key)
        by_code = {one.code: one for one in found.findings if one.trace and one.code is not FindingCode.STRUCTURE}
        assert {str(code) for code in by_code} == {code for code, steps in shortest.items() if steps is not None}, seed
        for code, finding in by_code.items():
            assert replay(net, finding) == shortest[code], (seed, code)
    assert decided > 30


def test_growth_is_seen_in_every_plain_net_that_grows_and_its_trace_can_be_repeated():
    grown = 0
    for seed in range(200):
        net, plain = some_net(seed, plain=True)
        found = analyse(net, most_states=3_000)
        assert found.bounded is search(plain, 1_000).whole, seed
        for finding in found.findings:
            if finding.code is not FindingCode.UNBOUNDED:
                continue
            grown += 1
            replay(net, finding)
            place, last = finding.places[0], finding.trace[-1].marking
            covered = [
                number
                for number, step in enumerate(finding.trace[:-1])
                if all(last.get(one, 0) >= count for one, count in step.marking.items())
                and last[place] > step.marking.get(place, 0)
            ]
            assert covered, seed
            assert repeats(net, finding.trace, covered[-1], place), seed
    assert grown > 30


def repeats(net, trace, start, place):
    """Whether the steps after `start` can be fired twenty times more, `place` growing each time."""
    marking = dict(trace[-1].marking)
    for _ in range(20):
        before = marking.get(place, 0)
        for step in trace[start + 1 :]:
            (mode,) = [one for one in net.modes_of[step.transition] if one.source == step.source]
            if not enabled(marking, mode):
                return False
            token = Token("t", "w", marking, {}, {}, 1, NOON, NOON)
            marking = dict(fire(net, token, mode, NOON, patch=None, actor="").token.marking)
        if marking.get(place, 0) <= before:
            return False
    return True


def test_growth_that_is_said_with_resets_and_inhibitors_is_real():
    seen = 0
    for seed in range(250):
        net, plain = some_net(seed, plain=False)
        found = analyse(net, most_states=2_000)
        if found.bounded is False:
            seen += 1
            assert not search(plain, 1_000).whole, seed
    assert seen > 10


# -- what else is promised --------------------------------------------------------------------------------------------


def chain(length):
    places = tuple(Place(f"p{number}") for number in range(length + 1))
    steps = tuple(
        Transition(f"t{number}", inputs=(Arc(f"p{number}"),), outputs=(Arc(f"p{number + 1}"),))
        for number in range(length)
    )
    return Net(places, steps, {"p0": 1}, frozenset({f"p{length}"}))


def test_a_budget_of_states_ends_the_search_and_says_so():
    net = chain(50)
    emptied = replace(net.transitions[0], resets=("p50",))  # no reduction goes through a reset
    found = analyse(replace(net, transitions=(emptied, *net.transitions[1:])), most_states=10)
    assert not found.complete
    assert (found.sound, found.live, found.dead_transitions, found.bound) == (None, None, None, None)
    assert [finding.code for finding in found.findings] == [FindingCode.INCOMPLETE]
    assert analyse(chain(50)).sound


def test_a_search_that_is_told_to_stop_stops_and_claims_nothing():
    asked = []

    def keep_going():
        asked.append(1)
        return len(asked) < 3

    found = analyse(counter(100_000), keep_going=keep_going)
    assert len(asked) == 3
    assert not found.complete
    assert found.states < 5_000


def counter(tokens):
    """Moves tokens one by one: as many states as tokens, each a step deeper."""
    step = Transition("t", inputs=(Arc("a"),), outputs=(Arc("b"),))
    return Net((Place("a"), Place("b")), (step,), {"a": tokens}, frozenset())


def test_a_deep_net_is_searched_to_its_end():
    found = analyse(counter(20_000))
    assert found.complete
    assert found.states == 20_001


def test_a_long_chain_overflows_nothing():
    assert analyse(chain(1_200)).sound


def test_a_net_that_is_unsafe_from_the_start_says_so():
    found = analyse(counter(2))
    (unsafe,) = [finding for finding in found.findings if finding.code is FindingCode.UNSAFE]
    assert len(unsafe.trace) == 1


def test_an_unbounded_plain_net_is_not_sound_and_with_resets_it_may_be():
    def grows(**more):
        loop = Transition("loop", inputs=(Arc("a"),), outputs=(Arc("a"), Arc("b")))
        stop = Transition("stop", inputs=(Arc("a"),), outputs=(Arc("end"),), **more)
        return Net(tuple(map(Place, ("a", "b", "end"))), (loop, stop), {"a": 1}, frozenset({"end"}))

    assert analyse(grows()).sound is False
    assert analyse(grows(resets=("b",))).sound is None


def test_a_net_for_ever_has_no_verdicts_about_completion():
    ring = (
        Transition("over", inputs=(Arc("a"),), outputs=(Arc("b"),)),
        Transition("back", inputs=(Arc("b"),), outputs=(Arc("a"),)),
    )
    found = analyse(Net((Place("a"), Place("b")), ring, {"a": 1}))
    assert (found.sound, found.option_to_complete, found.proper_completion, found.livelock_free) == (None,) * 4
    assert (found.live, found.reversible, found.deadlock_free, found.findings) == (True, True, True, ())


def test_a_finding_says_whether_it_hangs_on_a_guard():
    def trap(guard):
        t = Transition("t", inputs=(Arc("a"),), outputs=(Arc("b"),), guard=guard)
        end = Transition("end", inputs=(Arc("a"),), outputs=(Arc("c"),))
        return Net(tuple(map(Place, "abc")), (t, end), {"a": 1}, frozenset("c"))

    for guard, depends in ((None, False), (FieldExists("x"), True)):
        (deadlock,) = [one for one in analyse(trap(guard)).findings if one.code is FindingCode.DEADLOCK]
        assert deadlock.depends_on_guards is depends


def test_a_dead_mode_is_a_remark_and_a_dead_transition_an_error():
    t = Transition("t", sources=("a", "x"), outputs=(Arc("b"),))
    dead = Transition("dead", inputs=(Arc("x"),), outputs=(Arc("b"),))
    found = analyse(Net(tuple(map(Place, "abx")), (t, dead), {"a": 1}, frozenset("b")))
    said = {(finding.transitions, finding.severity): finding.message for finding in found.findings}
    assert said[("t",), Severity.INFO] == "t can never fire from x."
    assert said[("dead",), Severity.ERROR] == "dead can never fire."
    assert found.dead_transitions == ("dead",)


def test_the_oracle_can_disagree():
    """The control: a wrong net for the oracle gives other verdicts."""
    net, plain = some_net(19, plain=True)
    found = analyse(net)
    broken = Plain(plain.places, plain.steps[1:], plain.first, plain.final)
    assert verdicts(plain, search(plain, CAP))["edges"] == found.edges > 0
    assert verdicts(broken, search(broken, CAP))["edges"] != found.edges
