"""What findings bring with them: loops, kinds of deadlocks, guards that decide, runs that chance came upon."""

import random
from dataclasses import replace

import pytest

from engine.nets.analysis import notation
from engine.nets.analysis.guarded import certain, open_to_all
from engine.nets.analysis.model import FindingCode, Severity
from engine.nets.analysis.packing import Packing
from engine.nets.analysis.states import explore
from engine.nets.analysis.verdicts import MOST_DEADLOCKS, analyse
from engine.nets.analysis.walks import walks
from engine.nets.model import Arc, Net, Place, Transition
from engine.rules.evaluation import holds
from engine.rules.exhaustive import Coverage, exhaustive
from engine.rules.expression import parse
from tests.engine.nets.oracle import can, go, reachable, search
from tests.engine.nets.test_analysis import KNOWN, known_net, replay, some_net


def way(name, source, target, guard=None):
    return Transition(name, inputs=(Arc(source),), outputs=(Arc(target),), guard=guard and parse(guard))


def net_of(*ways, final="c", places="abcd"):
    return Net(tuple(map(Place, places)), ways, {"a": 1}, frozenset(final))


def of_code(found, code, severity=Severity.ERROR):
    return [one for one in found.findings if one.code is code and one.severity is severity]


def is_final(plain, marking):
    return sum(marking) == 1 and any(marking[place] for place in plain.final)


# -- loops ------------------------------------------------------------------------------------------------------------


def test_a_livelock_has_its_loop():
    net, _ = known_net(next(file for file in KNOWN if "livelock" in file.stem))
    (found,) = of_code(analyse(net), FindingCode.LIVELOCK)
    assert [step.transition for step in found.trace] == [None, "open", "escalate"]
    assert [step.transition for step in found.onward] == ["return_", "resend"]
    assert (found.loop, found.transitions) == (2, ("return_", "resend"))
    assert "goes round by return_ and resend" in found.message
    assert notation.write(analyse(net))["findings"][-1]["loop"] == 2


def test_a_livelock_may_be_a_way_off_its_loop():
    net = net_of(way("stop", "a", "c"), way("go", "a", "b"), way("on", "b", "d"), way("again", "d", "d"))
    (found,) = of_code(analyse(net), FindingCode.LIVELOCK)
    assert [step.transition for step in (*found.trace, *found.onward)] == [None, "go", "on", "again"]
    assert (found.loop, found.transitions) == (2, ("again",))


def test_a_loop_without_guards_is_shown_before_a_shorter_one_with():
    stop, go_on = way("stop", "a", "c"), way("go", "a", "b")
    there, back = way("there", "b", "d"), way("back", "d", "b")
    (free,) = of_code(analyse(net_of(stop, go_on, way("spin", "b", "b", "x > 1"), there, back)), FindingCode.LIVELOCK)
    assert (free.transitions, free.depends_on_guards) == (("there", "back"), False)
    (bound,) = of_code(analyse(net_of(stop, go_on, way("spin", "b", "b", "x > 1"))), FindingCode.LIVELOCK)
    assert (bound.transitions, bound.depends_on_guards) == (("spin",), True)


def test_loops_of_random_nets_can_be_walked_and_come_back():
    seen = longer = 0
    for seed in range(1_200):
        net, plain = some_net(seed, plain=False)
        if not search(plain, 200).whole:
            continue
        for found in of_code(analyse(net), FindingCode.LIVELOCK):
            seen += 1
            whole = (*found.trace, *found.onward)
            replay(net, replace(found, trace=whole))
            assert whole[-1].marking == whole[found.loop].marking, seed
            assert len(found.trace) - 1 <= found.loop < len(whole) - 1, seed
            turn = whole[found.loop + 1 :]
            assert len({str(step.marking) for step in turn}) == len(turn), seed
            assert set(found.transitions) == {step.transition for step in turn}, seed
            longer += len(found.trace) - 1 < found.loop
    assert seen > 30
    assert longer > 3


# -- kinds of deadlocks -----------------------------------------------------------------------------------------------


def test_every_kind_of_deadlock_is_there_with_a_shortest_run():
    kinds = 0
    for seed in range(700):
        net, plain = some_net(seed, plain=False)
        space = search(plain, 200)
        if not space.whole:
            continue
        wanted = {}
        for marking, out in space.after.items():
            if not out and not is_final(plain, marking):
                places = tuple(net.place_ids[place] for place, count in enumerate(marking) if count)
                wanted.setdefault(places, []).append(space.distance[marking])
        found = analyse(net)
        assert found.every_deadlock is (len(wanted) < MOST_DEADLOCKS), seed
        assert {one.places: replay(net, one) for one in found.deadlocks} == {p: min(d) for p, d in wanted.items()}, seed
        assert [len(one.trace) for one in found.deadlocks] == sorted(len(one.trace) for one in found.deadlocks), seed
        for one in found.deadlocks:
            others = len(wanted[one.places]) - 1
            assert (f"{others} more such" in one.message) is (others > 0), seed
        kinds += len(wanted)
    assert kinds > 150


def test_more_kinds_than_are_told_apart_are_cut_off_and_that_is_said():
    many = MOST_DEADLOCKS + 5
    places = [f"p{number}" for number in range(many)]
    ways = tuple(way(f"t{number}", "a", place) for number, place in enumerate(places))
    found = analyse(Net(tuple(map(Place, ("a", *places))), ways, {"a": 1}, frozenset()))
    assert (len(found.deadlocks), found.every_deadlock) == (MOST_DEADLOCKS, False)


# -- guards -----------------------------------------------------------------------------------------------------------

GUARDS = ["x < 1", "x >= 1", "x > 2", "x <= 2", "x == 1", "x != 1", "x < 2 && x > 0", None, None]
ALL_DATA = [{"x": x} for x in (-1, 0, 0.5, 1, 1.5, 2, 3)]
"""A value of each kind that the guards tell apart."""


def guarded_net(seed):
    net, plain = some_net(seed, plain=seed % 2 == 0)
    chance = random.Random(seed)
    guards = {one.id: chance.choice(GUARDS) for one in net.transitions}
    ways = tuple(replace(one, guard=(guard := guards[one.id]) and parse(guard)) for one in net.transitions)
    return replace(net, transitions=ways), plain


def sure(net, plain, space):
    """The markings from which an end is reached, whatever the data says at each step: a game against the data."""
    guard_of = {one.id: one.guard for one in net.transitions}
    won = {marking for marking in space.distance if is_final(plain, marking)}
    while True:
        more = {
            marking
            for marking, out in space.after.items()
            if marking not in won
            and all(
                any(after in won and (guard_of[name] is None or holds(guard_of[name], data, {})) for name, after in out)
                for data in ALL_DATA
            )
        }
        if not more:
            return won
        won |= more


def no_gap(net):
    def leave_no_gap(modes):
        return exhaustive([net.modes[mode].transition.guard for mode in modes]) is not Coverage.NO

    return leave_no_gap


def test_where_an_end_is_certain_is_what_the_game_against_the_data_says():
    certainly = hanging = 0
    for seed in range(900):
        net, plain = guarded_net(seed)
        oracle = search(plain, 80)
        if not (oracle.whole and plain.final):
            continue
        space = explore(net, 1_000)
        ends = [state for state in range(len(space)) if is_final(plain, space.tokens(state))]
        won, fair = certain(space, ends, no_gap(net)), open_to_all(space, ends, no_gap(net))
        wanted = sure(net, plain, oracle)
        assert {space.tokens(state) for state, fine in enumerate(won) if fine} == wanted, seed
        for state in range(len(space)):
            may = any(is_final(plain, one) for one in reachable(oracle, space.tokens(state)))
            assert won[state] <= fair[state] <= may, seed
            certainly += won[state]
            hanging += may and not won[state]
        found = analyse(net)
        if found.option_to_complete:
            assert ("option_to_complete" in found.on_guards) is (len(wanted) < len(space)), seed
            assert ("sound" in found.on_guards) <= bool(found.sound), seed
    assert min(certainly, hanging) > 60


def hangs(*ways):
    return of_code(analyse(net_of(*ways)), FindingCode.CANNOT_COMPLETE, Severity.INFO)


def test_an_end_that_one_guard_must_let_pass_is_a_note():
    back = (way("reject", "a", "b"), way("again", "b", "a"))
    (note,) = hangs(*back, way("approve", "a", "c", "x > 1"))
    assert (note.transitions, note.depends_on_guards, len(note.trace)) == (("approve",), True, 1)
    assert not hangs(*back, way("approve", "a", "c"))
    found = analyse(net_of(*back, way("approve", "a", "c", "x > 1"), places="abc"))
    assert (found.sound, found.option_to_complete, found.deadlock_free) == (True, True, True)
    assert found.on_guards == ("option_to_complete", "sound")


def test_trying_again_beside_giving_up_is_no_note_and_still_hangs_on_the_data():
    tries = (way("retry", "a", "b", "n < 3"), way("back", "b", "a"), way("stop", "a", "c", "n >= 3"))
    assert not hangs(*tries)
    assert analyse(net_of(*tries, places="abc")).on_guards == ("option_to_complete", "sound")
    ways = (way("low", "a", "c", "n < 3"), way("high", "a", "c", "n >= 3"))
    assert analyse(net_of(*ways, places="ac")).on_guards == ()


def test_a_gap_is_one_warning_and_turns_the_verdicts():
    gap = net_of(way("low", "a", "c", "x < 5"), way("high", "a", "c", "x > 5"), places="ac")
    found = analyse(gap)
    assert found.on_guards == ("deadlock_free", "option_to_complete", "sound")
    assert [one.code for one in found.findings] == [FindingCode.DEADLOCK]


# -- random walks -----------------------------------------------------------------------------------------------------


def wrongs(plain, packing):
    def tokens(marking):
        return packing.unpack(marking)

    return {
        "deadlock": lambda marking, dead: dead and not is_final(plain, tokens(marking)),
        "unsafe": lambda marking, dead: max(tokens(marking)) > 1,
        "improper": lambda marking, dead: (
            any(tokens(marking)[place] for place in plain.final) and not is_final(plain, tokens(marking))
        ),
    }


def test_what_walks_come_upon_is_real_and_short():
    met = dict.fromkeys(("deadlock", "unsafe", "improper"), 0)
    shortest = 0
    for seed in range(300):
        net, plain = some_net(seed, plain=False)
        space = search(plain, 300)
        if not space.whole:
            continue
        whole = explore(net, 1_000)
        packing = Packing([8] * len(net.places), 8)
        wanted = wrongs(plain, packing)
        found = walks(whole.moves, packing, packing.pack(enumerate(plain.first)), wanted, lambda: True, most_work=3_000)
        for name, walk in found.items():
            met[name] += 1
            marking = plain.first
            for mode, packed in zip(walk.modes, walk.markings, strict=True):
                assert can(plain.steps[mode], marking), (seed, name)
                marking = go(plain.steps[mode], marking)
                assert packing.unpack(packed) == marking, (seed, name)
            assert wanted[name](packing.pack(enumerate(marking)), not space.after[marking]), (seed, name)
            least = min(
                space.distance[one]
                for one, out in space.after.items()
                if wanted[name](packing.pack(enumerate(one)), not out)
            )
            assert len(walk.modes) >= least
            shortest += len(walk.modes) == least
    assert min(met.values()) > 40
    assert shortest > sum(met.values()) * 0.9


def test_the_same_seed_walks_the_same_way():
    net = far()
    packing = Packing([4] * len(net.places), 4)
    moves, first = explore(net, 10).moves, packing.pack([(0, 1)])

    def met(seed):
        seen = []
        walks(
            moves, packing, first, {"never": lambda marking, dead: seen.append(marking)}, lambda: True,
            seed=seed, most_work=2_000,
        )  # fmt: skip
        return seen

    assert met(1) == met(1) != met(2)


def far(**more):
    """Twelve branches of three steps, of which one may go wrong at its end; a reset that no reduction goes through."""
    ways = [Transition("split", inputs=(Arc("a"),), outputs=tuple(Arc(f"s{n}") for n in range(12)), resets=("x",))]
    for n in range(12):
        ways += [way(f"one{n}", f"s{n}", f"m{n}"), way(f"two{n}", f"m{n}", f"e{n}")]
    ways.append(Transition("join", inputs=tuple(Arc(f"e{n}") for n in range(12)), outputs=(Arc("end"),)))
    ways.append(Transition("wrong", inputs=tuple(Arc(f"e{n}") for n in range(6)), **more))
    names = dict.fromkeys(["a", "x", "end", *(arc.place for one in ways for arc in (*one.inputs, *one.outputs))])
    return Net(tuple(map(Place, names)), tuple(ways), {"a": 1}, frozenset({"end"}))


@pytest.mark.parametrize(
    ("puts", "code", "verdict", "other"),
    [
        ({"outputs": (Arc("end"),)}, FindingCode.IMPROPER_COMPLETION, "proper_completion", "safe"),
        ({"outputs": (Arc("x", 2),)}, FindingCode.UNSAFE, "safe", "proper_completion"),
    ],
)
def test_a_walk_finds_what_the_search_did_not_come_to_and_nothing_else_is_said(puts, code, verdict, other):
    net = far(**puts)
    found = analyse(net, most_states=200)
    assert not found.complete
    assert (getattr(found, verdict), found.by[verdict]) == (False, "random walk")
    (shown,) = [one for one in found.findings if one.code is code]
    assert replay(net, shown) == 14  # the split, six branches, and what goes wrong: none of it can be left out
    assert getattr(found, other) is None


def test_a_net_that_is_proven_by_its_siphons_never_gets_stuck():
    """A ring in which tokens go round: too many markings, and every siphon keeps a token."""
    ring = [way(f"t{n}", f"p{n}", f"p{(n + 1) % 12}") for n in range(12)]
    read = replace(ring[0], reads=(Arc("lamp"),))  # no marked graph any more
    back = replace(ring[1], resets=("bin",))
    places = (*(f"p{n}" for n in range(12)), "lamp", "bin")
    net = Net(tuple(map(Place, places)), (read, back, *ring[2:]), {"p0": 8, "lamp": 1}, frozenset())
    found = analyse(net, most_states=500)
    assert (found.complete, found.deadlock_free, found.by["deadlock_free"]) == (False, True, "siphons")
    assert (found.deadlocks, found.every_deadlock) == ((), True)
    dark = replace(net, initial={"p0": 8})
    stuck = analyse(dark, most_states=500)
    assert (stuck.complete, stuck.deadlock_free, len(stuck.deadlocks)) == (True, False, 1)
