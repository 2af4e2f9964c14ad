"""Token replay, checked by hand and against a recount, and what a deviation is called."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import TooLarge
from engine.nets import notation
from engine.workflows.conformance import conform, fitness
from engine.workflows.logs.model import Case, EventLog, Step
from engine.workflows.reports import Analytics
from tests.support import APPROVAL, FORK, RING


def net(source):
    return notation.read(source).net


def log(*traces):
    return EventLog(tuple(Case(f"c{number}", tuple(map(Step, trace))) for number, trace in enumerate(traces)))


def counted(found):
    return found.produced, found.consumed, found.missing, found.remaining


def test_a_log_that_fits_has_fitness_1():
    found = conform(net(APPROVAL), log(["submit", "approve"], ["submit", "reject", "rework", "submit", "approve"]))
    assert (found.fitness, found.fitting, found.cases, found.events, found.deviations) == (1.0, 2, 2, 7, ())
    assert counted(found) == (9, 9, 0, 0)


def test_what_was_left_out_is_missing_and_what_was_not_taken_remains():
    """`join` without `split`: the token on `start` remains, those on `a` and `b` are missing."""
    found = conform(net(FORK), log(["join"]))
    assert counted(found) == (2, 3, 2, 1)
    assert found.fitness == pytest.approx(0.5 * (1 - 2 / 3) + 0.5 * (1 - 1 / 2))
    assert {(one.kind, one.activity, one.place, one.times) for one in found.deviations} == {
        ("missing", "join", "a", 1),
        ("missing", "join", "b", 1),
        ("remaining", "", "start", 1),
    }


def test_a_case_that_did_not_end_lacks_its_end():
    found = conform(net(FORK), log(["split"], ["split", "join"]))
    assert counted(found) == (7, 6, 1, 2)
    kinds = [(one.kind, one.place, one.cases, one.examples) for one in found.deviations]
    assert ("unfinished", "", 1, ("c0",)) in kinds
    assert found.fitting == 1


def test_steps_that_the_workflow_does_not_know_are_named_and_not_counted():
    found = conform(net(FORK), log(["split", "lunch", "join"], ["lunch", "split", "join"]))
    assert found.fitness == 1.0
    assert found.fitting == 0
    (one,) = found.deviations
    assert (one.kind, one.activity, one.times, one.cases, one.examples) == ("unknown", "lunch", 2, 2, ("c0", "c1"))
    assert "lunch is not in the workflow" in one.words


def test_what_is_automatic_and_in_no_log_fires_unseen():
    parts = {
        "name": "Silent",
        "places": ["a", "b", "c", "d", "e"],
        "transitions": [
            {"id": "one", "inputs": ["a"], "outputs": ["b"]},
            {"id": "skip", "inputs": ["b"], "outputs": ["c"], "automatic": True},
            {"id": "two", "inputs": ["c"], "outputs": ["d"]},
            {"id": "end", "inputs": ["d"], "outputs": ["e"], "automatic": True},
        ],
    }
    assert conform(net(parts), log(["one", "two"])).fitness == 1.0
    told = conform(net(parts), log(["one", "two"], ["one", "skip", "two", "end"]))
    assert told.fitting == 1  # one case names them, so that they are no longer unseen
    for transition in parts["transitions"]:
        transition.pop("automatic", None)
    assert conform(net(parts), log(["one", "two"])).fitness < 1.0  # control


def test_names_stand_for_ids_and_modes_are_chosen_by_what_is_there():
    parts = {**APPROVAL, "transitions": [{**one, "name": one["id"].title()} for one in APPROVAL["transitions"]]}
    found = conform(net(parts), log(["Submit", "Reject", "Rework", "Submit", "Rework", "Submit", "Approve"]))
    assert found.fitting == 1


def test_reads_resets_weights_and_inhibitors():
    parts = {
        "name": "Arcs",
        "places": ["start", "stock", "gate", "done"],
        "initialMarking": [{"place": "start", "tokens": 1}, {"place": "stock", "tokens": 3}],
        "transitions": [
            {"id": "take", "inputs": [{"place": "stock", "weight": 2}], "reads": ["start"], "outputs": ["gate"]},
            {"id": "end", "inputs": ["start"], "inhibitors": ["gate"], "resets": ["stock"], "outputs": ["done"]},
            {"id": "clear", "inputs": ["gate"], "outputs": []},
        ],
        "finalPlaces": ["done"],
    }
    found = conform(net(parts), log(["take", "clear", "end"]))
    assert found.fitting == 1
    assert counted(found) == (4 + 2 + 0 + 1, 3 + 1 + 2 + 1, 0, 0)
    forbidden = conform(net(parts), log(["take", "end"]))
    assert ("inhibited", "end", "gate") in {(one.kind, one.activity, one.place) for one in forbidden.deviations}
    assert conform(net(parts), log(["take", "take", "clear", "clear", "end"])).missing == 1


def test_what_runs_for_ever_has_no_end_to_miss():
    found = conform(net({**RING, "finalPlaces": []}), log(["over"], ["over", "back", "over"]))
    assert (found.fitness, found.fitting) == (1.0, 2)


def test_nothing_is_judged_by_nothing():
    assert fitness(0, 0, 0, 0) == 1.0
    assert conform(net(FORK), EventLog(())).fitness == 1.0


TRACES = st.lists(st.lists(st.sampled_from(["submit", "approve", "reject", "rework", "x"]), max_size=8), max_size=8)


@settings(max_examples=200)
@given(TRACES)
def test_each_state_machine_log_agrees_with_a_recount(traces):
    """A recount for nets in which each transition takes one token and puts one: written for itself."""
    arcs = {"submit": (["draft"], "review"), "approve": (["review"], "approved"), "reject": (["review"], "rejected")}
    arcs["rework"] = (["review", "rejected"], "draft")
    p = c = m = r = 0
    for trace in traces:
        here = {"draft": 1}
        p += 1
        for step in trace:
            if step not in arcs:
                continue
            sources, target = arcs[step]
            source = next((one for one in sources if here.get(one)), None)
            if source is None:
                m += 1
            else:
                here[source] -= 1
            c += 1
            p += 1
            here[target] = here.get(target, 0) + 1
        c += 1
        if here.get("approved"):
            here["approved"] -= 1
        else:
            m += 1
        r += sum(here.values())
    found = conform(net(APPROVAL), log(*traces))
    assert counted(found) == (p, c, m, r)
    assert found.produced + found.missing == found.consumed + found.remaining
    assert 0.0 <= found.fitness <= 1.0
    assert (found.fitness == 1.0) == (m == r == 0)


async def test_what_the_engine_ran_fits_what_it_ran(store, workflows, clock):
    analytics = Analytics(store.ledger, clock.world)
    await workflows.create(APPROVAL)
    token = await workflows.create_token("approval_v1", caller=PROGRAM, data={"score": 90})
    for transition in ("submit", "reject", "rework", "submit", "approve"):
        clock.move(1)
        await workflows.fire(token.id, transition, caller=PROGRAM)
    for format in ("xes", "jsonl"):
        text = await analytics.log("approval_v1", format)
        found = await analytics.conform("approval_v1", text)
        assert (found.fitness, found.cases, found.events, found.deviations) == (1.0, 1, 5, ())
    await workflows.create({**FORK, "id": "fork"})
    assert (await analytics.conform("fork", text)).fitness < 1.0  # control


async def test_a_replay_that_takes_too_long_is_given_up(store, workflows, clock):
    analytics = Analytics(store.ledger, clock.world)
    await workflows.create(APPROVAL)
    text = "case,activity\n" + "a,submit\n" * 1000
    with pytest.raises(TooLarge, match="could not be replayed"):
        await analytics.conform("approval_v1", text, timeout_s=0.0)
    assert (await analytics.conform("approval_v1", text)).events == 1000  # control
