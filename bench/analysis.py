"""How fast workflows are verified: the state space, whole reports, and nets too large to search.

python bench/analysis.py [--json]

pm4py (AGPL, never a dependency) is measured beside it when it is there: uv run --with pm4py python bench/analysis.py
"""

import argparse
import json
import random
import sys
import time
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.nets.analysis.states import explore
from engine.nets.analysis.verdicts import analyse
from engine.nets.model import Arc, Net, Place, Transition


def _way(name: str, takes: list[str], puts: list[str]) -> Transition:
    return Transition(name, inputs=tuple(map(Arc, takes)), outputs=tuple(map(Arc, puts)))


def _net(ways: list[Transition], initial: dict[str, int], final: tuple[str, ...] = ()) -> Net:
    places = dict.fromkeys([*initial, *(arc.place for way in ways for arc in (*way.inputs, *way.outputs))])
    return Net(tuple(map(Place, places)), tuple(ways), initial, frozenset(final))


def kanban(size: int) -> Net:
    """Ciardo & Tilgner (1996): 16 places, 16 transitions, 58,400 states for three cards."""
    ways, initial = [], {f"k{n}": size for n in range(1, 5)}
    for n in range(1, 5):
        ways += [_way(f"redo{n}", [f"m{n}"], [f"b{n}"]), _way(f"back{n}", [f"b{n}"], [f"m{n}"])]
        ways += [_way(f"ok{n}", [f"m{n}"], [f"o{n}"])]
    ways += [_way("in", ["k1"], ["m1"]), _way("out", ["o4"], ["k4"])]
    ways += [_way("s1", ["o1", "k2", "k3"], ["k1", "m2", "m3"]), _way("s2", ["o2", "o3", "k4"], ["k2", "k3", "m4"])]
    return _net(ways, initial)


def split(branches: int, length: int, tail: int = 0) -> Net:
    """A split into so many branches of so many steps each, a join, and a line of steps after it."""
    ways = [_way("split", ["start"], [f"b{n}_0" for n in range(branches)])]
    for n in range(branches):
        ways += [_way(f"t{n}_{k}", [f"b{n}_{k}"], [f"b{n}_{k + 1}"]) for k in range(length)]
    ways.append(_way("join", [f"b{n}_{length}" for n in range(branches)], ["l0"]))
    ways += [_way(f"l{k}", [f"l{k}"], [f"l{k + 1}"]) for k in range(tail)]
    return _net(ways, {"start": 1}, (f"l{tail}",))


def philosophers(count: int) -> Net:
    ways, initial = [], {}
    for n in range(count):
        initial |= {f"fork{n}": 1, f"think{n}": 1}
        ways += [
            _way(f"left{n}", [f"think{n}", f"fork{n}"], [f"has{n}"]),
            _way(f"right{n}", [f"has{n}", f"fork{(n + 1) % count}"], [f"eat{n}"]),
            _way(f"done{n}", [f"eat{n}"], [f"think{n}", f"fork{n}", f"fork{(n + 1) % count}"]),
        ]
    return _net(ways, initial)


def workflow(seed: int, nodes: int = 30) -> Net:
    """A process tree of about so many places and transitions; every second one with an arc that leads elsewhere."""
    chance = random.Random(seed)
    ways = [_way("t0", ["start"], ["end"])]
    count = 0
    while len(ways) + len(_net(ways, {"start": 1}).places) < nodes:
        count += 1
        at = chance.randrange(len(ways))
        way = ways.pop(at)
        takes, puts = [arc.place for arc in way.inputs], [arc.place for arc in way.outputs]
        kind = chance.choice(["sequence", "choice", "parallel", "loop"])
        middle, other = f"p{count}", f"q{count}"
        if kind == "sequence":
            ways += [_way(f"a{count}", takes, [middle]), _way(f"b{count}", [middle], puts)]
        elif kind == "choice":
            ways += [_way(f"a{count}", takes, puts), _way(f"b{count}", takes, puts)]
        elif kind == "parallel":
            ways += [_way(f"a{count}", takes, [middle, other]), _way(f"b{count}", [middle, other], puts)]
        else:
            ways += [_way(f"a{count}", takes, [middle]), _way(f"b{count}", [middle], puts)]
            ways += [_way(f"c{count}", [middle], [other]), _way(f"d{count}", [other], [middle])]
    net = _net(ways, {"start": 1}, ("end",))
    if seed % 2:
        way = ways[chance.randrange(len(ways))]
        ways[ways.index(way)] = _way(way.id, [arc.place for arc in way.inputs], [chance.choice(net.place_ids)])
        net = Net(net.places, tuple(ways), net.initial, net.final)
    return net


def searched(name: str, net: Net, found: dict[str, float]) -> None:
    started = time.perf_counter()
    space = explore(net, 1_000_000)
    took = time.perf_counter() - started
    found[f"{name}: states"] = len(space)
    found[f"{name}: states/s"] = len(space) / took
    found[f"{name}: edges/s"] = len(space.targets) / took
    del space
    tracemalloc.start()
    space = explore(net, 1_000_000)
    found[f"{name}: bytes/state"] = tracemalloc.get_traced_memory()[0] / len(space)
    tracemalloc.stop()


def reports(found: dict[str, float]) -> None:
    times = []
    for seed in range(200):
        net = workflow(seed)
        started = time.perf_counter()
        analyse(net)
        times.append((time.perf_counter() - started) * 1_000)
    cuts = quantiles(times, n=20)
    found["report of 30 nodes: p50 ms"], found["report of 30 nodes: p95 ms"] = cuts[9], cuts[18]


def large(name: str, net: Net, found: dict[str, float]) -> None:
    started = time.perf_counter()
    analysis = analyse(net)
    found[f"{name}: s"] = time.perf_counter() - started
    found[f"{name}: sound"] = -1 if analysis.sound is None else int(analysis.sound)
    found[f"{name}: deadlock free"] = -1 if analysis.deadlock_free is None else int(analysis.deadlock_free)


def beside_pm4py(found: dict[str, float]) -> None:
    """The reachability graph of the same net by pm4py, and soundness by its Woflan without the shortcut that calls
    interleaved routing unsound; and how much faster ours is."""
    graph: Any = import_module("pm4py.objects.petri_net.utils.reachability_graph")
    woflan: Any = import_module("pm4py.algo.analysis.woflan.algorithm")
    net = split(10, 1)
    theirs, first, _ = _of_pm4py(net)
    started = time.perf_counter()
    built = graph.construct_reachability_graph(theirs, first)
    rate = len(built.states) / (time.perf_counter() - started)
    started = time.perf_counter()
    ours = len(explore(net, 1_000_000)) / (time.perf_counter() - started)
    found["split of 10, pm4py: states/s"], found["split of 10, ours: states/s"] = rate, ours
    found["split of 10: ratio to pm4py"] = ours / rate
    whole = ("RETURN_ASAP_WHEN_NOT_SOUND", "PRINT_DIAGNOSTICS", "RETURN_DIAGNOSTICS")
    options = {getattr(woflan.Parameters, name): False for name in whole}
    times: list[tuple[float, float]] = []
    for seed in range(0, 40, 2):  # the sound ones
        net = workflow(seed)
        args = _of_pm4py(net)
        started = time.perf_counter()
        sound = woflan.apply(*args, parameters=options)
        between = time.perf_counter()
        assert analyse(net).sound == sound
        times.append((between - started, time.perf_counter() - between))
    theirs_ms, ours_ms = (median(one) * 1_000 for one in zip(*times, strict=True))
    found["sound workflow of 30 nodes, Woflan of pm4py: p50 ms"] = theirs_ms
    found["sound workflow of 30 nodes, our whole report: p50 ms"] = ours_ms
    found["sound workflow of 30 nodes: ratio to Woflan"] = theirs_ms / ours_ms


def _of_pm4py(net: Net) -> tuple[Any, Any, Any]:
    """A net of plain arcs as pm4py has it, with its first and its final marking."""
    objects: Any = import_module("pm4py.objects.petri_net.obj")
    arcs: Any = import_module("pm4py.objects.petri_net.utils.petri_utils")
    theirs = objects.PetriNet("bench")
    places = {place: objects.PetriNet.Place(place) for place in net.place_ids}
    theirs.places.update(places.values())
    for way in net.transitions:
        transition = objects.PetriNet.Transition(way.id, way.id)
        theirs.transitions.add(transition)
        for arc in way.inputs:
            arcs.add_arc_from_to(places[arc.place], transition, theirs)
        for arc in way.outputs:
            arcs.add_arc_from_to(transition, places[arc.place], theirs)
    final = objects.Marking({places[place]: 1 for place in net.final})
    return theirs, objects.Marking({places[place]: count for place, count in net.initial.items()}), final


def measured() -> dict[str, float]:
    found: dict[str, float] = {}
    searched("kanban 3", kanban(3), found)
    searched("split of 14", split(14, 1), found)
    searched("philosophers 11", philosophers(11), found)
    searched("workflow of 250 transitions", split(6, 6, 213), found)
    reports(found)
    large("split of 30 (10^9 states)", split(30, 1), found)
    large("split of 30 by 10 (10^31 states)", split(30, 10, 200), found)
    large("philosophers 30 (10^11 states)", philosophers(30), found)
    if find_spec("pm4py"):
        beside_pm4py(found)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    found = measured()
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:48} {value:14,.2f}")


if __name__ == "__main__":
    main()
