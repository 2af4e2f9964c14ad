"""Tokens that run: rolled back, cancelled, forked, tried, in batches, by the clock, inside others. On each store."""

import asyncio
from datetime import timedelta

import pytest

from engine.doctor import _dead_jobs
from engine.jobs.runner import Runner
from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidInput, InvalidWorkflow, NotEnabled, NotFound, TooLarge
from engine.store.ports import TokenQuery
from engine.workflows.clockwork import Clockwork
from engine.workflows.events import Notice
from engine.workflows.service import Fire, NewToken
from tests.support import APPROVAL, FORK

WAITING = {
    "name": "Waiting",
    "places": [{"id": "open", "timeoutSeconds": 30, "notify": True}, "answered", "given_up"],
    "transitions": [
        {"id": "answer", "fromStates": ["open"], "toState": "answered"},
        {"id": "give_up", "fromStates": ["open"], "toState": "given_up", "timer": {"afterSeconds": 60}},
    ],
}
AROUND = {
    "name": "Around",
    "places": ["start", "checked", "left"],
    "transitions": [
        {"id": "check", "fromStates": ["start"], "toState": "checked", "subWorkflow": "approval_v1"},
        {"id": "leave", "fromStates": ["start"], "toState": "left"},
    ],
}


@pytest.fixture
def runner(workflows, store, clock):
    handlers = Clockwork(workflows, store.jobs)
    return Runner(store.jobs, handlers.handlers, workflows.bus, clock.world)


@pytest.fixture
async def token(workflows):
    await workflows.create(APPROVAL)
    made = await workflows.create_token("approval_v1", caller=PROGRAM, data={"title": "Q3"})
    return await workflows.fire(made.id, "submit", caller=PROGRAM, data={"score": 90})


async def kinds(workflows, token_id):
    return [event.kind for event in await workflows.history(token_id)]


# -- back, away, aside ------------------------------------------------------------------------------------------------


async def test_a_token_goes_back_to_any_version_and_nothing_is_deleted(workflows, token):
    await workflows.fire(token.id, "approve", caller=PROGRAM)
    back = await workflows.roll_back(token.id, 1, caller=PROGRAM, reason="wrong file")
    assert (back.marking, back.data, back.version, back.status) == ({"draft": 1}, {"title": "Q3"}, 4, "active")
    last = (await workflows.history(token.id))[-1]
    assert (last.kind, last.reason, last.detail, last.before) == (
        "rolled_back",
        "wrong file",
        {"to": 1},
        {"approved": 1},
    )
    again = await workflows.roll_back(token.id, 3, caller=PROGRAM)
    assert (again.marking, again.data["score"], again.status) == ({"approved": 1}, 90, "completed")
    assert await workflows.damages() == []


@pytest.mark.parametrize("version", [0, 2, 7, -1])
async def test_it_goes_back_only_to_what_was(workflows, token, version):
    with pytest.raises(InvalidInput, match="cannot be rolled back"):
        await workflows.roll_back(token.id, version, caller=PROGRAM)
    assert (await workflows.token(token.id)).version == 2


async def test_a_cancelled_token_stands_still_until_it_is_rolled_back(workflows, token):
    gone = await workflows.cancel(token.id, caller=PROGRAM, reason="no need")
    assert (gone.status, gone.marking) == ("cancelled", {})
    with pytest.raises(NotEnabled):
        await workflows.fire(token.id, "approve", caller=PROGRAM)
    with pytest.raises(InvalidInput, match="already"):
        await workflows.cancel(token.id, caller=PROGRAM)
    assert [t.id for t in await workflows.tokens(TokenQuery(status="cancelled"))] == [token.id]
    assert (await workflows.roll_back(token.id, 2, caller=PROGRAM)).marking == {"review": 1}


async def test_a_fork_begins_where_the_other_one_is(workflows, token):
    twin = await workflows.fork(token.id, caller=PROGRAM, idempotency_key="k")
    assert (twin.marking, twin.data, twin.version) == (token.marking, token.data, 1)
    assert (await workflows.history(twin.id))[0].detail == {"forkOf": token.id, "version": 2}
    assert (await workflows.fork(token.id, caller=PROGRAM, idempotency_key="k")).id == twin.id


async def test_what_if_says_what_would_become_of_it_and_changes_nothing(workflows, token):
    steps = [Fire(token.id, "reject"), Fire(token.id, "rework", {"note": "x"}), Fire(token.id, "approve")]
    tried = await workflows.what_if(token.id, steps, caller=PROGRAM)
    assert [dict(one.marking) for one in tried.tokens] == [{"review": 1}, {"rejected": 1}, {"draft": 1}]
    assert isinstance(tried.error, NotEnabled)
    assert tried.tokens[-1].data["note"] == "x"
    assert await workflows.token(token.id) == token


# -- batches ----------------------------------------------------------------------------------------------------------


async def test_a_batch_is_created_whole_or_not_at_all(workflows):
    await workflows.create(FORK)
    made = await workflows.create_tokens([NewToken("fork_v1", {"n": n}) for n in range(50)], caller=PROGRAM)
    assert len({token.id for token in made}) == 50
    assert await workflows.counts("fork_v1") == {"start": 50}
    with pytest.raises(NotFound) as caught:
        await workflows.create_tokens([NewToken("fork_v1"), NewToken("fork_v1", initial_place="x")], caller=PROGRAM)
    assert caught.value.details["index"] == 1
    assert await workflows.counts("fork_v1") == {"start": 50}
    with pytest.raises(TooLarge):
        await workflows.create_tokens([], caller=PROGRAM)


async def test_a_batch_of_firings_tells_the_outcome_of_each_and_keeps_the_order_of_a_token(workflows, token):
    other = await workflows.create_token("approval_v1", caller=PROGRAM)
    wanted = [
        Fire(token.id, "reject"),
        Fire(other.id, "approve"),
        Fire(token.id, "rework"),
        Fire(other.id, "submit"),
        Fire("nobody", "x"),
    ]
    outcomes = await workflows.fire_all(wanted, caller=PROGRAM)
    assert isinstance(outcomes[1], NotEnabled)
    assert isinstance(outcomes[4], NotFound)
    assert [dict(outcomes[n].marking) for n in (0, 2, 3)] == [{"rejected": 1}, {"draft": 1}, {"review": 1}]


# -- by the clock -----------------------------------------------------------------------------------------------------


async def test_a_timer_fires_once_when_its_time_has_come(workflows, runner, clock):
    await workflows.create(WAITING)
    token = await workflows.create_token("waiting_v1", caller=PROGRAM)
    clock.move(59)
    await runner.run_due()
    assert await kinds(workflows, token.id) == ["created", "overdue"]
    clock.move(1)
    await asyncio.gather(runner.run_due(), runner.run_due())
    moved = await workflows.token(token.id)
    assert (moved.marking, moved.version) == ({"given_up": 1}, 3)
    assert (await workflows.history(token.id))[-1].actor == "timer"
    clock.move(-86_400)
    assert await runner.run_due() == 0


async def test_a_timer_that_was_overtaken_does_nothing(workflows, runner, clock, store):
    await workflows.create(WAITING)
    token = await workflows.create_token("waiting_v1", caller=PROGRAM)
    assert len((await store.jobs.of([token.id]))[token.id]) == 2
    await workflows.fire(token.id, "answer", caller=PROGRAM)
    assert (await store.jobs.of([token.id]))[token.id] == []
    clock.move(3_600)
    await runner.run_due()
    assert (await workflows.token(token.id)).marking == {"answered": 1}


async def test_a_timer_read_before_its_token_moved_on_is_not_done(workflows, runner, clock, store):
    await workflows.create(WAITING)
    token = await workflows.create_token("waiting_v1", caller=PROGRAM)
    clock.move(60)
    (*_, timer) = await store.jobs.due(clock.at, 10)
    await workflows.fire(token.id, "answer", caller=PROGRAM)
    await runner._run(timer)
    assert (await workflows.token(token.id)).marking == {"answered": 1}


ESCALATING = {
    "name": "Escalating",
    "initialMarking": [{"place": "open", "tokens": 1}, {"place": "desk", "tokens": 1}],
    "finalPlaces": ["done"],
    "places": ["open", "desk", "escalated", "done"],
    "transitions": [
        {"id": "note", "inputs": ["desk"], "outputs": ["desk"]},
        {
            "id": "escalate",
            "inputs": ["open"],
            "outputs": ["escalated"],
            "timer": {"afterSeconds": 60},
            "conditions": ["urgent == true"],
        },
        {"id": "close", "inputs": ["desk", "escalated"], "outputs": ["done"]},
    ],
}


@pytest.fixture
async def escalating(workflows):
    await workflows.create(ESCALATING)
    return await workflows.create_token("escalating_v1", caller=PROGRAM, data={"urgent": False})


async def test_a_timer_whose_guard_said_no_fires_when_the_data_says_yes(workflows, runner, clock, store, escalating):
    clock.move(61)
    await runner.run_due()
    assert (await workflows.token(escalating.id)).marking == {"open": 1, "desk": 1}
    await workflows.fire(escalating.id, "note", caller=PROGRAM, data={"text": "still nothing"})
    assert await runner.run_due() == 0
    clock.move(3_600)
    await workflows.fire(escalating.id, "note", caller=PROGRAM, data={"urgent": True})
    assert await runner.run_due() == 1
    assert (await workflows.token(escalating.id)).marking == {"escalated": 1, "desk": 1}
    assert (await workflows.history(escalating.id))[-1].actor == "timer"
    assert (await store.jobs.of([escalating.id]))[escalating.id] == []


async def test_a_guard_that_says_yes_too_soon_does_not_hurry_its_timer(workflows, runner, clock, escalating):
    clock.move(30)
    await workflows.fire(escalating.id, "note", caller=PROGRAM, data={"urgent": True})
    await runner.run_due()
    assert (await workflows.token(escalating.id)).marking == {"open": 1, "desk": 1}
    clock.move(30)
    await runner.run_due()
    assert (await workflows.token(escalating.id)).marking == {"escalated": 1, "desk": 1}


async def test_a_guard_that_says_no_again_before_it_is_asked_keeps_its_timer(workflows, runner, clock, escalating):
    clock.move(61)
    await runner.run_due()
    for urgent in (True, False):
        await workflows.fire(escalating.id, "note", caller=PROGRAM, data={"urgent": urgent})
    await runner.run_due()
    assert (await workflows.token(escalating.id)).marking == {"open": 1, "desk": 1}
    await workflows.fire(escalating.id, "note", caller=PROGRAM, data={"urgent": True})
    await runner.run_due()
    assert (await workflows.token(escalating.id)).marking == {"escalated": 1, "desk": 1}


async def test_a_moment_that_is_not_in_the_data_is_never_come(workflows, runner, clock):
    moment = {**ESCALATING["transitions"][1], "timer": {"at": "deadline"}}
    await workflows.create({**ESCALATING, "transitions": [ESCALATING["transitions"][0], moment]})
    token = await workflows.create_token("escalating_v1", caller=PROGRAM)
    await workflows.fire(token.id, "note", caller=PROGRAM, data={"urgent": True})
    await runner.run_due()
    assert (await workflows.token(token.id)).marking == {"open": 1, "desk": 1}
    past = (clock.at - timedelta(days=1)).isoformat()
    await workflows.fire(token.id, "note", caller=PROGRAM, data={"deadline": past})
    await runner.run_due()
    assert (await workflows.token(token.id)).marking == {"escalated": 1, "desk": 1}


async def test_a_place_that_announces_its_tokens_is_heard(workflows, runner, clock):
    with workflows.bus.subscribe(Notice) as heard:
        await workflows.create(WAITING)
        await workflows.create_token("waiting_v1", caller=PROGRAM)
        clock.move(30)
        await runner.run_due()
        assert [(notice.place, notice.overdue) for notice in heard.take()] == [("open", False), ("open", True)]


async def test_rolling_back_sets_the_clocks_anew(workflows, runner, clock, store):
    await workflows.create(WAITING)
    token = await workflows.create_token("waiting_v1", caller=PROGRAM)
    clock.move(1_000)
    await workflows.fire(token.id, "answer", caller=PROGRAM)
    await workflows.roll_back(token.id, 1, caller=PROGRAM)
    assert [job.due - clock.at for job in (await store.jobs.of([token.id]))[token.id]] == [
        timedelta(seconds=30),
        timedelta(seconds=60),
    ]


async def test_a_job_that_fails_is_tried_again_later_and_in_the_end_left(workflows, clock, store):
    await workflows.create(WAITING)
    await workflows.create_token("waiting_v1", caller=PROGRAM)
    runner = Runner(store.jobs, {}, workflows.bus, clock.world)
    for _ in range(8):
        clock.move(600)
        await runner.run_due()
    assert await runner.run_due() == 0
    assert [(job.attempts, job.state) for job in await store.jobs.dead()] == [(8, "dead")] * 2
    assert "nothing runs jobs of the kind" in (await store.jobs.dead())[0].error
    check = _dead_jobs(await store.jobs.dead())
    assert (check.state, "failed 8 times" in check.says) == ("problem", True)


# -- inside -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def around(workflows, runner):
    await workflows.create(APPROVAL)
    await workflows.create(AROUND)
    token = await workflows.create_token("around_v1", caller=PROGRAM, data={"score": 90})
    token = await workflows.fire(token.id, "check", caller=PROGRAM)
    await runner.run_due()
    return token


async def test_a_transition_fires_when_the_workflow_inside_has_ended(workflows, runner, around):
    child = around.running["check"]
    await workflows.fire(child, "submit", caller=PROGRAM, data={"by": "ada"})
    await workflows.fire(child, "approve", caller=PROGRAM)
    await runner.run_due()
    ended = await workflows.token(around.id)
    assert (ended.marking, ended.running, ended.data["by"]) == ({"checked": 1}, {}, "ada")
    assert await runner.run_due() == 0


async def test_the_workflow_inside_is_cancelled_when_its_token_leaves(workflows, runner, around):
    await workflows.fire(around.id, "leave", caller=PROGRAM)
    await runner.run_due()
    assert (await workflows.token(around.running["check"])).status == "cancelled"
    while await runner.run_due():
        pass
    assert (await workflows.token(around.id)).marking == {"left": 1}


async def test_a_workflow_inside_that_is_cancelled_lets_its_transition_be_begun_again(workflows, runner, around):
    await workflows.cancel(around.running["check"], caller=PROGRAM)
    await runner.run_due()
    assert await kinds(workflows, around.id) == ["created", "started", "abandoned"]
    again = await workflows.fire(around.id, "check", caller=PROGRAM)
    assert again.running["check"] != around.running["check"]


async def test_nobody_ends_the_work_of_a_token_by_claiming_to_be_inside(workflows, runner, around):
    forged = {"parent": {"token": around.id, "transition": "check"}}
    claim = await workflows.create_token("approval_v1", caller=PROGRAM, metadata=forged, initial_place="approved")
    await workflows.cancel(claim.id, caller=PROGRAM)
    await runner.run_due()
    assert (await workflows.token(around.id)) == around


async def test_a_sub_workflow_must_be_there(workflows):
    with pytest.raises(InvalidWorkflow, match="is not there"):
        await workflows.create(AROUND)


# -- following --------------------------------------------------------------------------------------------------------


async def test_events_are_followed_without_a_gap_or_a_double(workflows, token):
    async def first(count, after):
        found = []
        async for event in workflows.follow(after):
            found.append((event.position, event.kind))
            if len(found) == count:
                break
        return found

    assert await first(2, 0) == [(1, "created"), (2, "fired")]
    following = asyncio.create_task(first(3, 1))
    for transition in ("reject", "rework"):
        await workflows.fire(token.id, transition, caller=PROGRAM)
    assert await following == [(2, "fired"), (3, "fired"), (4, "fired")]
