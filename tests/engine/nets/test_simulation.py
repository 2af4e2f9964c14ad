"""Simulation against queues whose figures are known."""

import pytest

from engine.nets.chance import uniform_numbers
from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.simulation import Behaviour, Exponential, Fixed, Uniform, simulate


def line(*names):
    places = tuple(Place(f"p{n}") for n in range(len(names) + 1))
    ways = tuple(Transition(name, inputs=(Arc(f"p{n}"),), outputs=(Arc(f"p{n + 1}"),)) for n, name in enumerate(names))
    return Net(places, ways, {"p0": 1}, frozenset({f"p{len(names)}"}))


def test_one_server_waits_as_queueing_theory_says():
    """M/M/1 with half the load: the mean time in the system is 1 / (mu - lambda) = 20 s."""
    found = simulate(
        line("serve"),
        {"serve": Behaviour(Exponential(10.0), capacity=1)},
        cases=20_000,
        arrival=Exponential(20.0),
        seed=7,
    )
    assert found.finished == 20_000
    assert found.cycle_mean_s == pytest.approx(20.0, rel=0.1)
    assert abs(found.cycle_mean_s - 20.0) < 3 * found.cycle_mean_within_s
    assert found.throughput_per_s == pytest.approx(1 / 20, rel=0.05)
    assert found.cycle_p50_s < found.cycle_mean_s < found.cycle_p95_s


def test_fixed_times_add_up_and_a_join_waits_for_the_slower_branch():
    places = tuple(map(Place, ("start", "a", "b", "a2", "b2", "end")))
    ways = (
        Transition("split", inputs=(Arc("start"),), outputs=(Arc("a"), Arc("b"))),
        Transition("fast", inputs=(Arc("a"),), outputs=(Arc("a2"),)),
        Transition("slow", inputs=(Arc("b"),), outputs=(Arc("b2"),)),
        Transition("join", inputs=(Arc("a2"), Arc("b2")), outputs=(Arc("end"),)),
    )
    net = Net(places, ways, {"start": 1}, frozenset({"end"}))
    behaviours = {"fast": Behaviour(Fixed(2.0)), "slow": Behaviour(Fixed(5.0)), "join": Behaviour(Fixed(1.0))}
    found = simulate(net, behaviours, cases=50, arrival=Fixed(100.0))
    assert (found.cycle_p50_s, found.cycle_p95_s) == (6.0, 6.0)
    assert found.bottleneck == "a2"
    assert {one.place: one.mean_s for one in found.places}["a2"] == 3.0


def test_the_slowest_server_is_the_bottleneck():
    behaviours = {"quick": Behaviour(Uniform(1.0, 3.0), capacity=1), "slow": Behaviour(Fixed(9.0), capacity=1)}
    found = simulate(line("quick", "slow"), behaviours, cases=500, arrival=Exponential(10.0), seed=3)
    assert found.bottleneck == "p1"
    swapped = {"quick": behaviours["slow"], "slow": behaviours["quick"]}
    assert simulate(line("quick", "slow"), swapped, cases=500, arrival=Exponential(10.0), seed=3).bottleneck == "p0"


def test_the_same_seed_gives_the_same_figures_and_another_one_others():
    def run(seed):
        return simulate(line("a", "b"), {"a": Behaviour(Exponential(5.0), capacity=2)}, cases=200, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)
    draw = uniform_numbers(5)
    numbers = [draw() for _ in range(10_000)]
    assert 0 <= min(numbers) < max(numbers) < 1
    assert sum(numbers) / len(numbers) == pytest.approx(0.5, abs=0.02)


def test_choices_follow_their_weights_and_what_gets_stuck_is_counted():
    ways = (
        Transition("good", inputs=(Arc("start"),), outputs=(Arc("end"),)),
        Transition("bad", inputs=(Arc("start"),), outputs=(Arc("pit"),)),
    )
    net = Net(tuple(map(Place, ("start", "pit", "end"))), ways, {"start": 1}, frozenset({"end"}))
    found = simulate(net, {"good": Behaviour(weight=3.0)}, cases=4_000, seed=1)
    assert found.stuck == pytest.approx(1_000, rel=0.1)
    assert found.finished + found.stuck == 4_000


def test_a_case_that_never_ends_is_stopped_by_the_budget():
    loop = Transition("again", inputs=(Arc("a"),), outputs=(Arc("a"),))
    found = simulate(Net((Place("a"),), (loop,), {"a": 1}), {}, cases=3, most_steps=500)
    assert (found.finished, found.open_cases, found.steps) == (0, 3, 500)
    asked = []
    simulate(
        Net((Place("a"),), (loop,), {"a": 1}),
        {},
        cases=1,
        most_steps=10**9,
        keep_going=lambda: asked.append(1) or False,
    )
    assert len(asked) == 1
