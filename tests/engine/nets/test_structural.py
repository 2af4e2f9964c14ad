"""Siphons, traps and handles, beside brute force over all sets of places and all paths."""

from dataclasses import replace
from itertools import combinations

import pytest

from engine.nets.analysis import siphons
from engine.nets.analysis.handles import handles
from engine.nets.analysis.packing import moves_of
from engine.nets.analysis.structural import Structure
from engine.nets.analysis.verdicts import analyse
from engine.nets.model import Arc, Net, Place, Transition
from tests.engine.nets.oracle import can, search
from tests.engine.nets.test_analysis import KNOWN, known_net, some_net


def way(name, takes, puts, **more):
    return Transition(name, inputs=tuple(map(Arc, takes)), outputs=tuple(map(Arc, puts)), **more)


def net_of(*ways, first=("a",), final=()):
    places = dict.fromkeys([*first, *(arc.place for one in ways for arc in (*one.inputs, *one.outputs))])
    return Net(tuple(map(Place, places)), ways, dict.fromkeys(first, 1), frozenset(final))


# -- siphons and traps ------------------------------------------------------------------------------------------------


def minimal_sets(plain, fits):
    found = []
    for size in range(1, plain.places + 1):
        for one in map(set, combinations(range(plain.places), size)):
            if fits(one) and not any(other <= one for other in found):
                found.append(one)
    return {tuple(sorted(one)) for one in found}


def is_siphon(plain):
    return lambda inside: all(
        inside & {*needs, *takes} for _, needs, takes, _, _, puts in plain.steps if inside & puts.keys()
    )


def is_trap(plain):
    return lambda inside: all(
        inside & puts.keys() for _, _, takes, _, resets, puts in plain.steps if inside & {*takes, *resets}
    )


def test_all_minimal_siphons_and_traps_are_those_of_brute_force():
    seen = 0
    for seed in range(400):
        net, plain = some_net(seed, plain=seed % 3 == 0)
        moves = moves_of(net)
        for family, fits in ((siphons.siphons, is_siphon(plain)), (siphons.traps, is_trap(plain))):
            found = family(moves, len(net.places))
            assert found.complete, seed
            assert set(found.sets) == minimal_sets(plain, fits), seed
            assert len(set(found.sets)) == len(found.sets), seed
            seen += len(found.sets)
    assert seen > 1_000


def test_a_siphon_stays_empty_and_a_trap_stays_marked():
    emptied = kept = 0
    for seed in range(200):
        net, plain = some_net(seed, plain=False)
        space = search(plain, 200)
        moves, places = moves_of(net), len(net.places)
        for siphon in siphons.siphons(moves, places).sets:
            for marking, out in space.after.items():
                if not any(marking[place] for place in siphon):
                    emptied += 1
                    assert not any(after[place] for _, after in out for place in siphon), seed
        for trap in siphons.traps(moves, places).sets:
            for marking, out in space.after.items():
                if any(marking[place] for place in trap):
                    kept += 1
                    assert all(any(after[place] for place in trap) for _, after in out), seed
    assert min(emptied, kept) > 1_000


def test_places_that_can_never_be_filled_again_are_a_reason_for_a_dead_marking():
    reasons = 0
    for seed in range(500):
        net, plain = some_net(seed, plain=seed % 3 == 0)
        space, moves = search(plain, 200), moves_of(net)
        rules = siphons.siphon_rules(moves)
        for marking, out in space.after.items():
            if out:
                continue
            reason = set(siphons.never_filled(rules, moves, marking))
            if reason:
                reasons += 1
                assert is_siphon(plain)(reason), seed
                assert not any(marking[place] for place in reason), seed
                waits = [{*step[1], *step[2]} for step in plain.steps if not can(step, marking)]
                assert any(one & reason and any(marking[place] for place in one) for one in waits), seed
    assert reasons > 50


def test_where_every_siphon_has_a_marked_trap_nothing_gets_stuck():
    proven = 0
    for seed in range(2_500):
        net, plain = some_net(seed, plain=seed % 2 == 0)
        if siphons.never_stuck(moves_of(net), plain.first):
            proven += 1
            space = search(plain, 300)
            assert all(space.after.values()), seed
    assert proven > 20


def test_a_join_of_a_choice_says_what_it_waits_for():
    net = net_of(way("x", "a", "b"), way("y", "a", "c"), way("join", "bc", "d"), final=("d",))
    (stuck, other) = analyse(net).deadlocks
    assert (stuck.siphon, other.siphon) == (("a", "c"), ("a", "b"))
    assert "a and c can never be filled again" in stuck.message
    plain = net_of(way("x", "a", "b"), way("y", "a", "c"), final=("c",))
    (nothing,) = analyse(plain).deadlocks
    assert nothing.siphon == ()
    assert "never be filled" not in nothing.message


def test_too_many_siphons_are_cut_off_and_that_is_said():
    ways = [way(f"out{n}", "z", [f"a{n}", f"b{n}"]) for n in range(12)]
    ways += [way(f"in{n}", [f"a{n}", f"b{n}"], "z") for n in range(12)]  # 2^12: one of each pair, and z
    found = Structure(net_of(*ways, first=("z",))).siphons
    assert not found.complete
    assert 10 < len(found.sets) <= siphons.MOST_SETS
    assert all(len(one) == 13 for one in found.sets)
    ring = net_of(way("t", "a", "b"), way("u", "b", "a"))
    assert Structure(ring).siphons.sets == (("a", "b"),) == Structure(ring).traps.sets
    assert Structure(ring).siphons.complete


# -- handles ----------------------------------------------------------------------------------------------------------


def paths(ways, start, end, passed=()):
    for one in ways[start]:
        if one == end:
            yield frozenset(passed), (*passed, end)
        elif one not in passed and one not in (start, *passed):
            yield from paths(ways, one, end, (*passed, one))


def has_handle(plain, start, end):
    ways = {node: [] for node in range(plain.places + len(plain.steps))}
    for number, (_, _, takes, _, _, puts) in enumerate(plain.steps):
        for place in takes:
            ways[place].append(plain.places + number)
        ways[plain.places + number] += puts
    all_ways = [inner for inner, path in paths(ways, start, end) if start not in path]
    return any(not one & other for one, other in combinations(all_ways, 2))


def test_handles_are_those_of_all_elementary_paths():
    seen = well = 0
    for seed in range(250):
        net, plain = some_net(seed, plain=True)
        found = handles(moves_of(net), len(net.places))
        nodes = range(plain.places + len(plain.steps))
        wanted = {
            (start, end)
            for start in nodes
            for end in nodes
            if (start < plain.places) != (end < plain.places) and has_handle(plain, start, end)
        }
        said = {(one[0], one[-1]) for one, _ in found.pairs}
        assert said <= wanted if not found.complete else said == wanted, seed
        for one, other in found.pairs:
            assert (one[0], one[-1]) == (other[0], other[-1])
            assert one != other
            assert not set(one[1:-1]) & set(other[1:-1])
            assert len(set(one)) == len(one)
        seen += len(said)
        well += not wanted
    assert seen > 300
    assert well > 30


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
def test_what_the_known_nets_are_built_like(file):
    net, _ = known_net(file)
    found = Structure(net)
    assert found.siphons.complete
    assert found.traps.complete
    assert found.well_handled is (not found.handles)


def test_a_choice_that_is_joined_and_a_split_that_is_not_are_handles():
    choice = net_of(way("x", "a", "b"), way("y", "a", "c"), way("join", "bc", "d"))
    (handle,) = Structure(choice).handles
    assert (handle.start, handle.end) == ("a", "join")
    assert {handle.first, handle.second} == {("a", "x", "b", "join"), ("a", "y", "c", "join")}
    assert "wait for ever" in handle.words
    split = net_of(way("split", "a", "bc"), way("x", "b", "d"), way("y", "c", "d"))
    (handle,) = Structure(split).handles
    assert (handle.start, handle.end) == ("split", "d")
    assert "a token from each" in handle.words
    both = net_of(way("split", "a", "bc"), way("join", "bc", "d"))
    assert Structure(both).well_handled is True
    reread = net_of(way("x", "a", "b"), replace(way("y", "a", "c"), reads=(Arc("b"),)))
    assert Structure(reread).well_handled is True
