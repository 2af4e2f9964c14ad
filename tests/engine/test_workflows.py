"""The use cases of workflows, on each kind of store."""

import asyncio
from datetime import UTC, datetime

import pytest

from engine.kernel.caller import PROGRAM, Caller
from engine.kernel.errors import Conflict, InvalidInput, InvalidWorkflow, NotEnabled, NotFound, TooLarge
from engine.nets.analysis.verdicts import MOST_STATES
from engine.workflows.checking import MOST_DATA_BYTES, read_checked
from engine.workflows.events import TokenChanged, WorkflowAdded
from tests.support import APPROVAL, FORK, RING, turns_of_the_loop

DEADLOCKED = {
    "name": "Stuck",
    "places": ["a", "b", "end"],
    "transitions": [
        {"id": "t", "inputs": ["a"], "outputs": ["b"]},
        {"id": "u", "inputs": ["a", "b"], "outputs": ["end"]},
    ],
    "finalPlaces": ["end"],
}


@pytest.fixture
async def token(workflows):
    await workflows.create(APPROVAL)
    made = await workflows.create_token("approval_v1", caller=PROGRAM)
    return await workflows.fire(made.id, "submit", caller=PROGRAM)


# -- definitions ------------------------------------------------------------------------------------------------------


async def test_a_workflow_whose_parts_do_not_fit_is_refused_with_what_was_found(workflows):
    with pytest.raises(InvalidWorkflow, match="nothing was stored") as caught:
        await workflows.create({**APPROVAL, "initialState": "drafft"})
    assert caught.value.details["findings"][0]["places"] == ["drafft"]
    assert await workflows.all() == []


async def test_strict_refuses_what_can_get_stuck_and_otherwise_it_is_stored(workflows):
    with pytest.raises(InvalidWorkflow) as caught:
        await workflows.create(DEADLOCKED, strict=True)
    assert "DEADLOCK" in {found["code"] for found in caught.value.details["findings"]}
    assert (await workflows.create(DEADLOCKED)).id == "stuck_v1"


@pytest.mark.parametrize(
    "metadata", [{"x": float("nan")}, {"x": float("inf")}, {"x": 2**70}, {"x": "\ud800"}, {"x": datetime.now(UTC)}]
)
async def test_a_definition_that_would_not_come_back_is_refused(workflows, metadata):
    with pytest.raises(InvalidInput):
        await workflows.create({**APPROVAL, "metadata": metadata})
    with pytest.raises(InvalidInput):
        read_checked({**APPROVAL, "metadata": metadata})
    assert await workflows.all() == []


async def test_a_huge_definition_is_refused(workflows):
    with pytest.raises(TooLarge):
        await workflows.create({**APPROVAL, "metadata": {"x": "y" * 11_000_000}})


async def test_a_complete_analysis_is_kept_and_another_is_not(workflows):
    await workflows.create(APPROVAL)
    first = await workflows.analyse("approval_v1")
    assert first.sound
    assert await workflows.analyse("approval_v1") is first
    cut = await workflows.analyse("approval_v1", most_states=2)
    assert not cut.complete
    assert await workflows.analyse("approval_v1", most_states=2) is not cut
    assert await workflows.analyse("approval_v1", most_states=MOST_STATES) is first


async def test_an_analysis_ends_with_its_budget_of_time(workflows, clock):
    counter = {**RING, "places": ["left", "right"], "initialMarking": [{"place": "left", "tokens": 10**6}]}
    await workflows.create(counter)
    assert not (await workflows.analyse("ring_v1", timeout_s=0.0)).complete


# -- tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_begins_where_the_workflow_says_or_where_it_is_told(workflows):
    await workflows.create(APPROVAL)
    assert (await workflows.create_token("approval_v1", caller=PROGRAM)).marking == {"draft": 1}
    there = await workflows.create_token("approval_v1", caller=PROGRAM, initial_place="review")
    assert there.marking == {"review": 1}
    with pytest.raises(NotFound, match="Did you mean 'review'"):
        await workflows.create_token("approval_v1", caller=PROGRAM, initial_place="reviw")


async def test_a_history_says_who_did_what_and_when(workflows, clock):
    await workflows.create(APPROVAL)
    token = await workflows.create_token("approval_v1", caller=Caller("ann", "python"), data={"n": 1})
    clock.move(60)
    await workflows.fire(token.id, "submit", caller=Caller("bob", "graphql"), data={"score": 90})
    created, fired = await workflows.history(token.id)
    assert (created.kind, created.actor, created.data, created.before) == ("created", "ann", {"n": 1}, None)
    assert (fired.kind, fired.actor, fired.data, fired.source) == ("fired", "bob", {"score": 90}, "draft")
    assert (fired.at - created.at).total_seconds() == 60
    assert await workflows.damages() == []


async def test_history_stays_in_order_when_the_clock_runs_backwards(workflows, clock, token):
    clock.move(-86_400)
    await workflows.fire(token.id, "reject", caller=PROGRAM)
    assert [event.sequence for event in await workflows.history(token.id)] == [1, 2, 3]
    assert await workflows.damages() == []


async def test_two_approvals_at_once_leave_one_event(workflows, token):
    outcomes = await asyncio.gather(
        *(workflows.fire(token.id, "approve", caller=PROGRAM, expected=2, data={"score": 90}) for _ in range(10)),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes].count(Conflict) == 9
    assert [event.transition for event in await workflows.history(token.id)] == [None, "submit", "approve"]


async def test_an_outdated_version_is_told_what_is_now(workflows, token):
    with pytest.raises(Conflict, match="at version 2, in review, not at version 1") as caught:
        await workflows.fire(token.id, "approve", caller=PROGRAM, expected=1)
    assert caught.value.details["current"] == {"version": 2, "state": "review"}


async def test_what_cannot_fire_leaves_no_trace(workflows, token):
    with pytest.raises(NotEnabled, match="score is missing"):
        await workflows.fire(token.id, "approve", caller=PROGRAM, data={"note": "x"})
    assert await workflows.token(token.id) == token
    assert len(await workflows.history(token.id)) == 2


async def test_what_is_available_is_what_fires(workflows, token):
    able = {one.transition.id: one.enabled for one in await workflows.available(token.id)}
    assert able == {"submit": False, "approve": False, "reject": True, "rework": True}
    await workflows.fire(token.id, "rework", caller=PROGRAM)
    assert await workflows.counts("approval_v1") == {"draft": 1}


async def test_a_fork_counts_as_one_state(workflows):
    await workflows.create(FORK)
    token = await workflows.create_token("fork_v1", caller=PROGRAM)
    await workflows.fire(token.id, "split", caller=PROGRAM)
    assert await workflows.counts("fork_v1") == {"a + b": 1}


# -- data -------------------------------------------------------------------------------------------------------------


def nested(depth):
    data: dict = {}
    for _ in range(depth):
        data = {"a": data}
    return data


BAD = [
    [],
    "x",
    3,
    False,
    {"x": float("nan")},
    {"x": [float("-inf")]},
    {"x": "\ud800"},
    {"x": 2**70},
    {1: 2},
    {"x": datetime.now(UTC)},
    {"x": object()},
    nested(250),
    nested(10_000),
    {"x": "y" * MOST_DATA_BYTES},
]


@pytest.mark.parametrize("bad", BAD, ids=[str(number) for number in range(len(BAD))])
async def test_data_that_would_not_come_back_is_refused_and_nothing_stored(workflows, token, bad):
    refused = (InvalidInput, TooLarge)
    with pytest.raises(refused) as caught:
        await workflows.create_token("approval_v1", caller=PROGRAM, data=bad, idempotency_key="k")
    assert caught.value.details["path"] == "data"
    with pytest.raises(refused):
        await workflows.create_token("approval_v1", caller=PROGRAM, metadata=bad)
    with pytest.raises(refused):
        await workflows.fire(token.id, "reject", caller=PROGRAM, data=bad, idempotency_key="k")
    assert await workflows.counts("approval_v1") == {"review": 1}
    assert await workflows.token(token.id) == token


@pytest.mark.parametrize("depth", range(235, 250))
async def test_data_as_deep_as_is_taken_can_be_fired_and_read(workflows, token, depth):
    try:
        made = await workflows.create_token("approval_v1", caller=PROGRAM, data=nested(depth), idempotency_key="k")
    except InvalidInput:
        return
    await workflows.fire(made.id, "submit", caller=PROGRAM, data={"b": nested(depth - 1)}, idempotency_key="l")
    assert len(await workflows.history(made.id)) == 2
    assert await workflows.damages() == []


async def test_data_may_not_grow_beyond_its_bound_bit_by_bit(workflows, token):
    await workflows.fire(token.id, "rework", caller=PROGRAM, data={"a": "x" * 600_000})
    with pytest.raises(TooLarge):
        await workflows.fire(token.id, "submit", caller=PROGRAM, data={"b": "x" * 600_000})
    assert (await workflows.token(token.id)).version == 3


async def test_what_a_caller_does_with_its_data_afterwards_changes_nothing(workflows, token):
    data = {"list": [1]}
    made = await workflows.create_token("approval_v1", caller=PROGRAM, data=data)
    data["list"].append(2)
    assert (await workflows.token(made.id)).data == {"list": [1]}
    assert await workflows.damages() == []


async def test_tuples_become_lists(workflows, token):
    made = await workflows.create_token("approval_v1", caller=PROGRAM, data={"pair": (1, 2)})
    assert made.data == {"pair": [1, 2]}


@pytest.mark.parametrize("name", ["\ud800", "a\x00b", "'; drop table tokens; --", "x" * 100_000], ids=range(4))
async def test_strange_names_are_not_found_or_refused(workflows, token, name):
    for asked in (
        workflows.token(name),
        workflows.workflow(name),
        workflows.history(name),
        workflows.available(name),
        workflows.fire(name, "submit", caller=PROGRAM, idempotency_key="k"),
        workflows.fire(token.id, name, caller=PROGRAM),
        workflows.fire(token.id, "rework", source=name, caller=PROGRAM),
        workflows.create_token(name, caller=PROGRAM),
        workflows.create_token("approval_v1", initial_place=name, caller=PROGRAM),
    ):
        with pytest.raises((NotFound, InvalidInput)):
            await asked
    assert await workflows.token(token.id) == token


# -- once -------------------------------------------------------------------------------------------------------------


async def test_a_repeated_request_acts_once_and_is_published_once(workflows, bus):
    await workflows.create(APPROVAL)
    with bus.subscribe(TokenChanged) as changes:
        made = await asyncio.gather(
            *(workflows.create_token("approval_v1", caller=PROGRAM, idempotency_key="c") for _ in range(5))
        )
        token = made[0]
        assert {one.id for one in made} == {token.id}
        fired = [await workflows.fire(token.id, "submit", caller=PROGRAM, idempotency_key="f") for _ in range(3)]
        assert {one.version for one in fired} == {2}
        published = changes.take()
    assert [(change.token.id, change.events[0].kind) for change in published] == [
        (token.id, "created"),
        (token.id, "fired"),
    ]
    assert await workflows.counts("approval_v1") == {"review": 1}


async def test_a_key_stands_for_one_request(workflows, token):
    await workflows.fire(token.id, "rework", caller=PROGRAM, idempotency_key="k")
    with pytest.raises(Conflict, match="another request"):
        await workflows.fire(token.id, "submit", caller=PROGRAM, idempotency_key="k")
    with pytest.raises(Conflict, match="another request"):
        await workflows.create_token("approval_v1", caller=PROGRAM, idempotency_key="k")


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_a_size(workflows, token, key):
    with pytest.raises(InvalidInput, match="key is too long or empty"):
        await workflows.fire(token.id, "rework", caller=PROGRAM, idempotency_key=key)


# -- what is published ------------------------------------------------------------------------------------------------


async def test_what_happened_is_published_after_it_is_stored(workflows, bus):
    with bus.subscribe(WorkflowAdded, TokenChanged) as happened:
        workflow = await workflows.create(APPROVAL)
        token = await workflows.create_token(workflow.id, caller=PROGRAM)
        moved = await workflows.fire(token.id, "submit", caller=PROGRAM)
        with pytest.raises(NotEnabled):
            await workflows.fire(token.id, "submit", caller=PROGRAM)
        added, created, fired = happened.take()
    assert added == WorkflowAdded(workflow)
    assert created.token == token
    assert fired.token == moved
    assert [event.transition for event in fired.events] == ["submit"]


async def test_a_caller_that_leaves_does_not_undo_what_is_under_way(workflows, token):
    leaving = asyncio.create_task(workflows.fire(token.id, "reject", caller=PROGRAM))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    await turns_of_the_loop(leaving.done)
    version = (await workflows.token(token.id)).version
    history = await workflows.history(token.id)
    assert len(history) in (2, 3)
    assert version <= len(history)
    assert await workflows.damages() == []


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, -1, 1001])
async def test_a_page_has_a_size(workflows, first):
    with pytest.raises(InvalidInput):
        await workflows.tokens(first=first)


async def test_an_unknown_workflow_has_no_page(workflows):
    with pytest.raises(NotFound):
        await workflows.tokens(workflow="x")
