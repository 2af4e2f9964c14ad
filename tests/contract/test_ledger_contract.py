"""What every ledger must do, on each kind of store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.jobs.model import Job
from engine.kernel.errors import Conflict, InvalidInput, NotFound
from engine.nets import notation
from engine.nets.token import Event, Token
from engine.store.ports import Change, Once, TokenQuery
from engine.workflows import chain
from tests.support import APPROVAL, NOON, RING


@pytest.fixture
def ledger(store):
    return store.ledger


@pytest.fixture
async def approval(ledger):
    return await ledger.add_workflow(notation.read(APPROVAL), NOON)


def born(id="t1", workflow="approval_v1", place="draft", data=None, metadata=None):
    """A new token and its first event, sealed."""
    token = Token(id, workflow, {place: 1}, data or {}, metadata or {}, 1, NOON, NOON)
    event = Event(id, 1, "created", token.marking, NOON, data=data, actor="me")
    event = chain.seal(event, chain.origin(token))
    return replace(token, head=event.hash), [event]


def moved(token, place, transition="submit", data=None):
    at = token.updated_at + timedelta(seconds=1)
    event = Event(token.id, token.version + 1, "fired", {place: 1}, at, token.marking, transition, None, data, "me")
    event = chain.seal(event, token.head)
    whole = {**token.data, **(data or {})}
    return replace(token, marking={place: 1}, data=whole, version=event.sequence, updated_at=at, head=event.hash), [
        event
    ]


async def add(ledger, token, events, once=None):
    (stored,) = await ledger.add([Change(token, events, once)])
    return stored


async def commit(ledger, token, events, once=None):
    return await ledger.commit(Change(token, events, once))


# -- workflows --------------------------------------------------------------------------------------------------------


async def test_a_workflow_comes_back_as_it_was(ledger, approval):
    assert (approval.id, approval.slug, approval.version, approval.created_at) == ("approval_v1", "approval", 1, NOON)
    assert await ledger.workflow("approval_v1") == approval
    assert (await ledger.workflow("approval_v1")).definition == notation.read(APPROVAL)


async def test_the_same_content_is_the_same_workflow_and_other_content_the_next_version(ledger, approval):
    assert await ledger.add_workflow(notation.read(APPROVAL), NOON + timedelta(1)) == approval
    other = await ledger.add_workflow(notation.read({**APPROVAL, "description": "new"}), NOON)
    assert (other.id, other.version) == ("approval_v2", 2)


async def test_a_chosen_id_is_kept_and_not_given_twice(ledger):
    mine = await ledger.add_workflow(notation.read({**APPROVAL, "id": "mine"}), NOON)
    assert mine.id == "mine"
    assert await ledger.add_workflow(notation.read({**APPROVAL, "id": "mine"}), NOON) == mine
    with pytest.raises(Conflict, match="mine is taken"):
        await ledger.add_workflow(notation.read({**RING, "id": "mine"}), NOON)


async def test_an_id_that_somebody_chose_is_stepped_over(ledger):
    await ledger.add_workflow(notation.read({**RING, "id": "approval_v1"}), NOON)
    assert (await ledger.add_workflow(notation.read(APPROVAL), NOON)).id == "approval_v2"


async def test_many_at_once_get_versions_of_their_own(ledger):
    definitions = [notation.read({**RING, "description": f"{n}"}) for n in range(10)]
    found = await asyncio.gather(*(ledger.add_workflow(one, NOON) for one in definitions))
    assert sorted(one.version for one in found) == list(range(1, 11))


async def test_workflows_are_listed_in_the_order_they_came_whatever_the_clock_did(ledger):
    for number, name in enumerate(["Zeta", "Alpha", "Mid"]):
        await ledger.add_workflow(notation.read({**RING, "name": name}), NOON - timedelta(seconds=number))
    assert [one.name for one in await ledger.workflows()] == ["Zeta", "Alpha", "Mid"]


async def test_an_unknown_workflow_comes_with_the_nearest(ledger, approval):
    with pytest.raises(NotFound) as caught:
        await ledger.workflow("aproval_v1")
    assert caught.value.details["nearest"] == ["approval_v1"]


# -- tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_comes_back_as_it_was(ledger, approval):
    token, events = born(data={"score": 1, "deep": {"ü": [None, 1.5]}}, metadata={"by": "me"})
    assert await add(ledger, token, events) == token
    assert await ledger.token("t1") == token
    assert await ledger.histories(["t1", "nobody"]) == {"t1": events, "nobody": type(events)()} or (
        list((await ledger.histories(["t1"]))["t1"]) == events
    )


async def test_a_firing_moves_the_token_and_adds_to_its_history(ledger, approval):
    token, first = born()
    await add(ledger, token, first)
    after, second = moved(token, "review", data={"score": 90})
    assert await commit(ledger, after, second) == after
    assert await ledger.token("t1") == after
    assert list((await ledger.histories(["t1"]))["t1"]) == [*first, *second]


async def test_of_two_firings_from_one_version_the_second_is_told(ledger, approval):
    token, first = born()
    await add(ledger, token, first)
    await commit(ledger, *moved(token, "review"))
    with pytest.raises(Conflict, match="at version 2, in review, not at version 1") as caught:
        await commit(ledger, *moved(token, "draft"))
    assert caught.value.details["current"] == {"version": 2, "state": "review"}
    assert (await ledger.token("t1")).version == 2
    assert len((await ledger.histories(["t1"]))["t1"]) == 2


async def test_of_many_at_once_one_wins(ledger, approval):
    token, first = born()
    await add(ledger, token, first)
    outcomes = await asyncio.gather(
        *(commit(ledger, *moved(token, place)) for place in ["review", "draft"] * 10), return_exceptions=True
    )
    assert sum(isinstance(one, Token) for one in outcomes) == 1
    assert sum(isinstance(one, Conflict) for one in outcomes) == 19


async def test_of_several_changes_each_has_its_own_outcome(ledger, approval):
    for id in ("t1", "t2", "t3", "t4"):
        await add(ledger, *born(id))
    await commit(ledger, *moved(await ledger.token("t2"), "review"))
    stale, lost = moved(born("t2")[0], "review"), moved(born("x")[0], "review")
    keyed = moved(await ledger.token("t3"), "review")
    changes = [
        Change(*moved(await ledger.token("t1"), "review")),
        Change(*stale),
        Change(*lost),
        Change(*keyed, Once("key", b"a" * 32)),
    ]
    outcomes = await ledger.commit_all(changes)
    assert [type(one) for one in outcomes] == [Token, Conflict, NotFound, Token]
    assert await ids(ledger.tokens(TokenQuery(state="review"))) == ["t3", "t2", "t1"]
    assert await ledger.counts("approval_v1") == {"draft": 1, "review": 3}
    assert [len(events) for events in (await ledger.histories(["t1", "t2", "t3", "t4"])).values()] == [2, 2, 2, 1]
    assert await ledger.commit_all([changes[3]]) == [keyed[0]]  # again under its key
    assert (await ledger.token("t3")).version == 2


async def test_what_is_not_there_is_not_found(ledger, approval):
    for asked in (ledger.token("x"), commit(ledger, *moved(born("x")[0], "review")), ledger.workflow("x")):
        with pytest.raises(NotFound):
            await asked
    with pytest.raises(NotFound, match="workflow 'w9'"):
        await add(ledger, *born(workflow="w9"))


@pytest.mark.parametrize("data", [{"a": "\ud800"}, {"a": 2**70}, {"a": object()}])
async def test_what_json_cannot_hold_is_refused_and_nothing_is_stored(ledger, approval, data):
    token, events = born()
    with pytest.raises(InvalidInput):
        await add(ledger, replace(token, data=data), events)
    with pytest.raises(NotFound):
        await ledger.token("t1")
    assert await ledger.counts("approval_v1") == {}


async def test_a_definition_that_json_cannot_hold_is_refused(ledger):
    with pytest.raises(InvalidInput):
        await ledger.add_workflow(notation.read({**APPROVAL, "metadata": {"big": 2**70}}), NOON)
    assert await ledger.workflows() == []


# -- lists and counts -------------------------------------------------------------------------------------------------


@pytest.fixture
async def ten(ledger, approval):
    await ledger.add_workflow(notation.read(RING), NOON)
    for number in range(10):
        ring = number % 5 == 0
        token, events = born(f"t{number}", "ring_v1" if ring else "approval_v1", "left" if ring else "draft")
        await add(ledger, token, events)
        if number in (1, 2, 3):
            await commit(ledger, *moved(token, "review"))


async def ids(found):
    return [token.id for token in await found]


async def test_tokens_are_listed_newest_first_by_workflow_and_state(ledger, ten):
    assert await ids(ledger.tokens(TokenQuery())) == [f"t{number}" for number in range(9, -1, -1)]
    assert await ids(ledger.tokens(TokenQuery(workflow="ring_v1"))) == ["t5", "t0"]
    assert await ids(ledger.tokens(TokenQuery(state="review"))) == ["t3", "t2", "t1"]
    assert await ids(ledger.tokens(TokenQuery(workflow="approval_v1", state="draft", first=2))) == ["t9", "t8"]
    assert await ids(ledger.tokens(TokenQuery(workflow="x"))) == []


@pytest.mark.parametrize("size", [1, 3, 10, 50])
async def test_pages_together_are_the_whole(ledger, ten, size):
    found, after = [], None
    while page := await ids(ledger.tokens(TokenQuery(first=size, before=after))):
        assert len(page) <= size
        found += page
        after = page[-1]
    assert found == await ids(ledger.tokens(TokenQuery()))


async def test_counts_are_those_of_the_tokens(ledger, ten):
    assert await ledger.counts("approval_v1") == {"draft": 5, "review": 3}
    assert await ledger.counts("ring_v1") == {"left": 2}
    assert await ledger.counts("x") == {}


async def test_counts_follow_a_token_and_forget_what_is_empty(ledger, approval):
    token, events = born()
    await add(ledger, token, events)
    for place in ("review", "draft", "draft", "review"):
        token, events = moved(token, place)
        await commit(ledger, token, events)
        assert await ledger.counts("approval_v1") == {place: 1}


async def test_every_token_comes_with_its_history(ledger, ten):
    found = [(token.id, len(events)) async for token, events in ledger.every_token()]
    assert sorted(found) == [(f"t{number}", 2 if number in (1, 2, 3) else 1) for number in range(10)]


async def test_more_tokens_than_a_page_are_all_looked_at(ledger, approval):
    await asyncio.gather(*(add(ledger, *born(f"t{number:04}")) for number in range(450)))
    assert len([1 async for _ in ledger.every_token()]) == 450
    assert len(await ledger.histories([f"t{number:04}" for number in range(1200)])) == 1200


# -- archiving --------------------------------------------------------------------------------------------------------


async def walked(ledger, id="t1", moves=("review", "draft", "review")):
    """A token that has moved, with its events as they are stored."""
    token, events = born(id, data={"n": 1})
    await add(ledger, token, events)
    for number, place in enumerate(moves):
        token, events = moved(token, place, data={"n": number})
        await commit(ledger, token, events)
    return token, (await ledger.histories([id]))[id]


async def test_an_archived_event_takes_the_place_of_those_it_stands_for(ledger, approval):
    await add(ledger, *born("t0"))
    token, events = await walked(ledger)
    assert await ledger.archive(chain.archived(token, events, 3)) == 3
    left = (await ledger.histories(["t1"]))["t1"]
    assert [(one.kind, one.sequence, one.position) for one in left] == [("archived", 3, 4), ("fired", 4, 5)]
    assert left[0] == chain.archived(token, events, 3)
    assert left[1] == events[3]
    assert chain.first_break(token, left) is None
    assert [one.position for one in await ledger.events(0)] == [1, 4, 5]
    assert [one.position for one in await ledger.events(4)] == [5]
    assert await ledger.last_position() == 5
    assert await ledger.token("t1") == token
    assert await ledger.counts("approval_v1") == {"draft": 1, "review": 1}


async def test_what_was_archived_is_archived_further_and_moves_on(ledger, approval):
    token, events = await walked(ledger)
    await ledger.archive(chain.archived(token, events, 2))
    left = (await ledger.histories(["t1"]))["t1"]
    assert await ledger.archive(chain.archived(token, left, 3)) == 2
    moved_on, more = moved(token, "draft")
    await commit(ledger, moved_on, more)
    left = (await ledger.histories(["t1"]))["t1"]
    assert [(one.sequence, one.position) for one in left] == [(3, 3), (4, 4), (5, 5)]
    assert left[0].detail["events"] == 3
    assert chain.first_break(moved_on, left) is None


async def test_only_what_is_there_is_archived_and_never_the_last_event(ledger, approval):
    token, events = await walked(ledger)
    whole = chain.archived(token, events, 4)
    other = replace(chain.archived(token, events, 3), hash=events[1].hash)
    for event in (whole, other, replace(whole, sequence=9)):
        with pytest.raises(Conflict, match="cannot be archived"):
            await ledger.archive(event)
    with pytest.raises(NotFound):
        await ledger.archive(replace(whole, token="t2"))
    assert (await ledger.histories(["t1"]))["t1"] == events
    assert await ledger.archive(chain.archived(token, events, 3)) == 3  # control


# -- of another store -------------------------------------------------------------------------------------------------


async def test_a_workflow_of_another_store_keeps_its_id_version_and_time(ledger, approval):
    other = replace(approval, id="theirs", slug="theirs", version=7, created_at=NOON + timedelta(1))
    assert await ledger.put_workflow(other) is True
    assert await ledger.put_workflow(other) is False
    assert await ledger.workflow("theirs") == other
    assert await ledger.put_workflow(approval) is False


async def test_a_workflow_of_another_store_takes_nobodys_place(ledger, approval):
    ring = await ledger.add_workflow(notation.read(RING), NOON)
    for clash in (replace(ring, id="approval_v1"), replace(ring, id="x"), replace(approval, id="x")):
        with pytest.raises(Conflict, match=f"The workflow {clash.id} is not the"):
            await ledger.put_workflow(clash)
    assert [one.id for one in await ledger.workflows()] == ["approval_v1", "ring_v1"]


async def test_a_token_of_another_store_comes_with_its_whole_history_and_jobs(ledger, approval, store):
    token, events = born("t1")
    for place in ("review", "draft"):
        token, more = moved(token, place)
        events += more
    job = Job("t1", "timer", "x", NOON, 3, {"a": 1}, 2, "broke", "dead")
    await ledger.add([Change(token, events, jobs=[job])])
    assert await ledger.token("t1") == token
    assert list((await ledger.histories(["t1"]))["t1"]) == events
    assert (await store.jobs.of(["t1"]))["t1"] == [job]
    assert await ledger.counts("approval_v1") == {"draft": 1}


# -- once -------------------------------------------------------------------------------------------------------------

KEY = Once("key", b"a" * 32)


async def test_a_repeated_creation_gives_the_token_that_is_there(ledger, approval):
    await add(ledger, *born("t1"), KEY)
    assert (await add(ledger, *born("t2"), KEY)).id == "t1"
    assert await ids(ledger.tokens(TokenQuery())) == ["t1"]
    await add(ledger, *born("t3"))  # control: without the key there are two
    assert await ids(ledger.tokens(TokenQuery())) == ["t3", "t1"]


async def test_a_repeated_firing_gives_the_token_as_it_is_now(ledger, approval):
    token, events = born()
    await add(ledger, token, events)
    assert await ledger.replayed(KEY) is None
    second, events = moved(token, "review")
    await commit(ledger, second, events, KEY)
    third, more = moved(second, "draft")
    await commit(ledger, third, more)
    assert await commit(ledger, second, events, KEY) == third
    assert await ledger.replayed(KEY) == third
    assert len((await ledger.histories(["t1"]))["t1"]) == 3


async def test_a_key_stands_for_one_request(ledger, approval):
    await add(ledger, *born("t1"), KEY)
    other = Once("key", b"b" * 32)
    for asked in (add(ledger, *born("t2"), other), ledger.replayed(other)):
        with pytest.raises(Conflict, match="another request"):
            await asked
    assert await ids(ledger.tokens(TokenQuery())) == ["t1"]


async def test_a_key_of_a_firing_that_failed_is_free(ledger, approval):
    token, events = born()
    await add(ledger, token, events)
    await commit(ledger, *moved(token, "review"))
    with pytest.raises(Conflict):
        await commit(ledger, *moved(token, "draft"), KEY)
    assert await ledger.replayed(KEY) is None


async def test_the_same_key_many_times_at_once_acts_once(ledger, approval):
    found = await asyncio.gather(*(add(ledger, *born(f"t{number}"), KEY) for number in range(20)))
    assert len({token.id for token in found}) == 1
    assert len(await ledger.tokens(TokenQuery())) == 1


async def test_a_key_that_comes_twice_in_a_batch_makes_one_token(ledger, approval):
    once = Once("k", b"1" * 32)
    (first, events), (second, others) = born("t1"), born("t2")
    stored = await ledger.add([Change(first, events, once), Change(second, others, once)])
    assert [token.id for token in stored] == ["t1", "t1"]
    assert await ids(ledger.tokens(TokenQuery())) == ["t1"]
    (third, more), (fourth, rest) = born("t3"), born("t4")
    with pytest.raises(Conflict, match="used for another request"):
        await ledger.add([Change(third, more, Once("x", b"1" * 32)), Change(fourth, rest, Once("x", b"2" * 32))])
    assert await ids(ledger.tokens(TokenQuery())) == ["t1"]
