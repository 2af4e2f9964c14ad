"""What is decided without the state space agrees with what the state space says."""

import random

import pytest

from engine.nets.analysis.components import components
from engine.nets.analysis.coverability import cover
from engine.nets.analysis.model import FindingCode
from engine.nets.analysis.packing import Packing
from engine.nets.analysis.reduction import closed, reduced
from engine.nets.analysis.states import explore
from engine.nets.analysis.stubborn import search
from engine.nets.analysis.verdicts import analyse
from engine.nets.model import Arc, Net, Place, Transition
from tests.engine.nets.test_analysis import replay, some_net


def tree(chance, depth):
    """A random process tree as a sound net: sequences, choices, parallel parts and loops."""
    places, ways = ["start", "end"], []

    def place():
        places.append(f"p{len(places)}")
        return places[-1]

    def way(takes, puts):
        ways.append(Transition(f"t{len(ways)}", inputs=tuple(map(Arc, takes)), outputs=tuple(map(Arc, puts))))

    def grow(source, target, depth):
        kind = chance.choice(["seq", "xor", "and", "loop"]) if depth else "leaf"
        if kind == "leaf":
            way([source], [target])
        elif kind == "seq":
            middle = place()
            grow(source, middle, depth - 1)
            grow(middle, target, depth - 1)
        elif kind == "xor":
            grow(source, target, depth - 1)
            grow(source, target, depth - 1)
        elif kind == "and":
            pairs = [(place(), place()) for _ in range(chance.randint(2, 3))]
            way([source], [one for one, _ in pairs])
            for one, other in pairs:
                grow(one, other, depth - 1)
            way([other for _, other in pairs], [target])
        else:
            begin, done = place(), place()
            way([source], [begin])
            grow(begin, done, depth - 1)
            way([done], [begin])
            way([done], [target])

    grow("start", "end", depth)
    return Net(tuple(map(Place, places)), tuple(ways), {"start": 1}, frozenset({"end"}))


def mutated(chance, net):
    """The same with one arc that leads elsewhere."""
    number = chance.randrange(len(net.transitions))
    one = net.transitions[number]
    target = Arc(chance.choice(net.place_ids))
    changed = Transition(one.id, inputs=one.inputs, outputs=(*one.outputs[1:], target))
    ways = (*net.transitions[:number], changed, *net.transitions[number + 1 :])
    return Net(net.places, ways, net.initial, net.final)


def works(net):
    """Whether a net is live and bounded, by its state space; None when that is too large."""
    space = explore(net, 20_000)
    if space.unbounded:
        return False
    if not space.complete:
        return None
    graph = components(len(space), space.starts, space.targets)
    fired = [
        {space.labels[edge] for state in graph.members(one) for edge in range(*space.starts[state : state + 2])}
        for one in graph.bottoms
    ]
    return bool(space.moves) and all(len(one) == len(space.moves) for one in fired)


@pytest.mark.parametrize("seed", range(10))
def test_reductions_keep_soundness_of_process_trees_and_of_their_mutants(seed):
    chance = random.Random(seed)
    for _ in range(12):
        sound = tree(chance, 3)
        small = reduced(closed(sound), lambda: True)
        assert len(small.transitions) <= 2
        for net in (sound, mutated(chance, sound)):
            whole = closed(net)
            truth = works(whole)
            if truth is not None:
                assert works(reduced(whole, lambda: True)) == truth
                assert analyse(net).sound in (truth, None)
        assert analyse(sound, most_states=5).sound is not False


def test_reductions_keep_liveness_and_boundedness_of_random_nets():
    tried = 0
    for seed in range(400):
        net, _ = some_net(seed, plain=True)
        whole = closed(net)
        truth = works(whole)
        if truth is not None:
            tried += 1
            assert works(reduced(whole, lambda: True)) == truth, seed
    assert tried > 300


def test_stubborn_sets_keep_every_deadlock():
    smaller = dead_ends = 0
    for seed in range(500):
        net, _ = some_net(seed, plain=seed % 3 == 0)
        space = explore(net, 2_000)
        if not space.complete:
            continue
        packing = Packing([8] * len(net.places), 8)
        run = search(space.moves, packing, packing.pack(enumerate(space.tokens(0))), 3_000, lambda: True)
        assert run.complete, seed
        wanted = {space.tokens(state) for state in range(len(space)) if space.starts[state] == space.starts[state + 1]}
        assert {packing.unpack(run.packed[state]) for state in run.dead} == wanted, seed
        smaller += len(run.packed) < len(space)
        dead_ends += bool(wanted)
    assert smaller > 3
    assert dead_ends > 50


def test_coverability_names_every_place_that_grows():
    seen = 0
    for seed in range(300):
        net, _ = some_net(seed, plain=True)
        space = explore(net, 3_000)
        tree_of = cover(space.tokens(0), space.moves, lambda: True)
        if tree_of is None:
            continue
        seen += 1
        assert bool(tree_of.places) == (not space.complete), seed
        if space.unbounded:
            assert set(space.unbounded[1]) <= set(tree_of.places), seed
        assert set(space.labels) <= tree_of.fired, seed
    assert seen > 250


def test_a_split_of_thirty_is_proven_sound_without_its_two_to_the_thirty_states():
    parts = range(30)
    places = ["start", *(f"a{n}" for n in parts), *(f"b{n}" for n in parts), "end"]
    ways = [
        Transition("split", inputs=(Arc("start"),), outputs=tuple(Arc(f"a{n}") for n in parts)),
        *(Transition(f"do{n}", inputs=(Arc(f"a{n}"),), outputs=(Arc(f"b{n}"),)) for n in parts),
        Transition("join", inputs=tuple(Arc(f"b{n}") for n in parts), outputs=(Arc("end"),)),
    ]
    net = Net(tuple(map(Place, places)), tuple(ways), {"start": 1}, frozenset({"end"}))
    found = analyse(net, most_states=2_000)
    assert (found.complete, found.sound, found.deadlock_free, found.bounded) == (False, True, True, True)
    assert found.by["sound"] == "reduction"
    broken = Net(net.places, net.transitions[:-1], net.initial, net.final)
    lost = analyse(broken, most_states=2_000)
    assert (lost.sound, lost.deadlock_free) == (False, False)
    (stuck,) = [one for one in lost.findings if one.code is FindingCode.DEADLOCK]
    assert replay(broken, stuck) == 31
    assert (lost.deadlocks, lost.every_deadlock) == ((stuck,), False)
    assert (found.deadlocks, found.every_deadlock) == ((), True)
