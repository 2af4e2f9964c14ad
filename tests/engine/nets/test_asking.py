"""Questions about the runs of a net, against an evaluation straight from the definitions."""

import random

import pytest

from engine.kernel.errors import InvalidInput
from engine.nets.analysis.asking.answering import ask
from engine.nets.analysis.asking.model import Verdict
from engine.nets.marking import enabled
from engine.nets.model import Arc, Net, Place, Transition
from tests.engine.nets.oracle import search
from tests.engine.nets.test_analysis import CAP, chain, counter, replay, some_net


def order(*, shortcut):
    """An order that is paid before it is shipped, unless there is a short cut; it may be asked back for ever."""

    def way(name, source, target):
        return Transition(name, inputs=(Arc(source),), outputs=(Arc(target),))

    ways = [
        way("pay", "new", "paid"),
        way("ship", "paid", "shipped"),
        way("ask", "new", "open"),
        way("back", "open", "new"),
    ]
    if shortcut:
        ways.append(way("rush", "open", "shipped"))
    places = tuple(map(Place, ("new", "open", "paid", "shipped")))
    return Net(places, tuple(ways), {"new": 1}, frozenset({"shipped"}))


@pytest.mark.parametrize(
    ("question", "paid_first", "with_shortcut"),
    [
        ("can shipped be reached", True, True),
        ("can shipped be reached without paid?", False, True),
        ("never shipped without paid", True, False),
        ("E[not paid U shipped]", False, True),
        ("always eventually shipped", False, False),
        ("AG EF final", True, True),
        ("always new + open + paid + shipped == 1", True, True),
        ("always paid <= 0", False, False),
        ("AG (deadlock implies shipped)", True, True),
        ("always not deadlock", True, True),
        ("EG (new or open)", True, True),
        ("A[new or open or paid U shipped]", False, False),
        ("enabled(pay) and EX paid and not AX paid", True, True),
    ],
)
def test_questions_of_users(question, paid_first, with_shortcut):
    for shortcut, wanted in ((False, paid_first), (True, with_shortcut)):
        answer = ask(order(shortcut=shortcut), question)
        assert answer.verdict is (Verdict.HOLDS if wanted else Verdict.FAILS)


def test_a_counter_example_is_shortest_and_replays():
    net = order(shortcut=True)
    answer = ask(net, "never shipped without paid")
    assert [step.transition for step in answer.trace] == [None, "ask", "rush"]
    assert replay(net, answer) == 2


def test_a_run_for_ever_comes_with_its_loop():
    answer = ask(order(shortcut=False), "eventually shipped")
    assert answer.trace[answer.loop].marking == answer.trace[-1].marking
    assert len(answer.trace) == 3


@pytest.mark.parametrize(
    ("question", "column", "near"),
    [
        ("can shiped be reached", 5, ["shipped"]),
        ("AG (new", 8, None),
        ("new and", 8, None),
        ("new ~ 1", 5, None),
        ("new 1", 5, None),
        ("enabled(pey)", 9, ["pay"]),
        ("", 1, None),
        ("(" * 60 + "new", 51, None),
    ],
)
def test_a_question_that_cannot_be_read_says_where(question, column, near):
    with pytest.raises(InvalidInput) as caught:
        ask(order(shortcut=False), question)
    assert caught.value.details["column"] == column
    if near:
        assert caught.value.details["nearest"] == near


def test_what_lies_beyond_the_budget_is_not_proven_and_what_was_seen_is():
    net = chain(50)
    assert ask(net, "can p50 be reached", most_states=10).verdict is Verdict.NOT_PROVEN
    assert ask(net, "can p5 be reached", most_states=10).verdict is Verdict.HOLDS
    assert ask(net, "always p5 == 0", most_states=10).verdict is Verdict.FAILS
    assert ask(net, "always p50 == 0", most_states=10).verdict is Verdict.NOT_PROVEN
    assert ask(net, "eventually p5", most_states=10).verdict is Verdict.HOLDS
    assert ask(net, "eventually p50").verdict is Verdict.HOLDS
    assert ask(counter(10**9), "EG a >= 1", keep_going=lambda: False).verdict is Verdict.NOT_PROVEN


# -- by the definitions -----------------------------------------------------------------------------------------------


def some_question(chance, places, depth):
    """A random question as (text, a function from a set of markings to those where it holds)."""
    if not depth or chance.random() < 0.2:
        place, count = chance.randrange(len(places)), chance.randint(0, 2)
        return f"{places[place]} >= {count}", lambda after: {m for m in after if m[place] >= count}
    one, holds = some_question(chance, places, depth - 1)
    kind = chance.choice(["not", "and", "EF", "AG", "AF", "EG", "EX", "AX", "EU", "AU"])
    if kind in ("and", "EU", "AU"):
        two, goal = some_question(chance, places, depth - 1)
        text = f"({one}) and ({two})" if kind == "and" else f"{kind[0]}[{one} U {two}]"
        return text, lambda after: naive(kind, after, holds(after), goal(after))
    return f"{kind} ({one})", lambda after: naive(kind, after, holds(after), set())


def naive(kind, after, one, two):
    """Fixed points by going round until nothing changes."""
    every = set(after)
    match kind:
        case "not":
            return every - one
        case "and":
            return one & two
        case "EX":
            return {m for m in every if after[m] & one}
        case "AX":
            return {m for m in every if after[m] <= one}
        case "EF":
            return naive("EU", after, every, one)
        case "AG":
            return every - naive("EF", after, every - one, set())
        case "AF":
            return naive("AU", after, every, one)
        case "EG":
            return every - naive("AF", after, every - one, set())
        case "EU" | "AU":
            found = set(two)
            while True:
                if kind == "EU":
                    more = {m for m in one - found if after[m] & found}
                else:
                    more = {m for m in one - found if after[m] and after[m] <= found}
                if not more:
                    return found
                found |= more
        case _:
            raise AssertionError(kind)


def test_answers_agree_with_fixed_points_and_their_runs_replay():
    asked = {Verdict.HOLDS: 0, Verdict.FAILS: 0}
    for seed in range(400):
        net, plain = some_net(seed, plain=False)
        space = search(plain, 100)
        if not space.whole:
            continue
        chance = random.Random(seed)
        after = {m: {reached for _, reached in out} for m, out in space.after.items()}
        for _ in range(5):
            text, holds = some_question(chance, net.place_ids, 3)
            answer = ask(net, text)
            wanted = plain.first in holds(after)
            assert (answer.verdict is Verdict.HOLDS) == wanted, (seed, text)
            asked[answer.verdict] += 1
            if answer.trace:
                replay(net, answer)
            cut = ask(net, text, most_states=max(1, len(space.distance) // 2))
            assert cut.verdict in (answer.verdict, Verdict.NOT_PROVEN), (seed, text)
    assert min(asked.values()) > 200


def test_deadlock_and_enabled_are_what_firing_says():
    for seed in range(100):
        net, plain = some_net(seed, plain=False)
        space = search(plain, CAP)
        if not space.whole:
            continue
        first = dict(net.initial)
        for transition in net.transitions:
            able = any(enabled(first, mode) for mode in net.modes_of[transition.id])
            assert (ask(net, f"enabled({transition.id})").verdict is Verdict.HOLDS) == able
