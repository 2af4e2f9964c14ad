"""Retention: what is folded, what is left alone, and that the chain still tells damage."""

import sqlite3
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidInput
from engine.store.ports import TokenQuery
from engine.workflows import archive as room
from engine.workflows import chain
from engine.workflows.archive import Archive, Archived
from engine.workflows.reports import Analytics
from tests.support import APPROVAL

MONTH = timedelta(days=30)


@pytest.fixture
def archive(store, clock):
    return Archive(store.ledger, clock.world)


async def approved(workflows, score=90):
    token = await workflows.create_token("approval_v1", caller=PROGRAM, data={"score": score}, metadata={"team": "ä"})
    for transition in ("submit", "reject", "rework", "submit", "approve"):
        token = await workflows.fire(token.id, transition, caller=PROGRAM, data={transition: 1}, reason="so")
    return token


@pytest.fixture
async def old(workflows, clock):
    """Approved, cancelled, and still waiting for a month; then one that was approved just now."""
    await workflows.create(APPROVAL)
    done = await approved(workflows)
    gone = await workflows.create_token("approval_v1", caller=PROGRAM)
    await workflows.fire(gone.id, "submit", caller=PROGRAM)
    gone = await workflows.cancel(gone.id, caller=PROGRAM)
    waits = await workflows.create_token("approval_v1", caller=PROGRAM)
    await workflows.fire(waits.id, "submit", caller=PROGRAM)
    await workflows.fire(waits.id, "rework", caller=PROGRAM)
    clock.move(31 * 86_400)
    fresh = await approved(workflows)
    clock.move(1)
    return done, gone, waits, fresh


async def kinds(workflows, token):
    return [(event.kind, event.sequence) for event in await workflows.history(token.id)]


async def test_what_ended_long_ago_is_folded_and_nothing_else(archive, workflows, old):
    done, gone, waits, fresh = old
    assert await archive.fold(MONTH) == Archived(2, 7, ())
    assert await kinds(workflows, done) == [("archived", 5), ("fired", 6)]
    assert await kinds(workflows, gone) == [("archived", 2), ("cancelled", 3)]
    assert len(await kinds(workflows, waits)) == 3
    assert len(await kinds(workflows, fresh)) == 6
    assert await workflows.damages() == []
    assert [await workflows.token(one.id) for one in old[:2]] == [done, gone]
    assert await archive.fold(MONTH) == Archived(0, 0, ())  # there is nothing left to do
    assert await archive.fold(timedelta(0)) == Archived(1, 5, ())  # control: the fresh one is folded when age is none


async def test_a_dry_run_says_the_same_and_does_nothing(archive, workflows, old):
    told = list[int]()
    assert await archive.fold(MONTH, dry_run=True, keep=lambda _: told.append(1)) == Archived(2, 7, ())
    assert len(await kinds(workflows, old[0])) == 6
    assert told == []
    with pytest.raises(InvalidInput, match="negative"):
        await archive.fold(-MONTH)


async def test_what_is_folded_is_kept_elsewhere_first(archive, workflows, old):
    kept = dict[str, list[int]]()

    def keep(some):
        kept.update({token.id: [event.sequence for event in events] for token, events in some})

    await archive.fold(MONTH, keep=keep)
    assert kept == {old[0].id: [1, 2, 3, 4, 5], old[1].id: [1, 2]}


async def test_what_could_not_be_kept_is_not_folded(archive, workflows, old):
    def full(_):
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        await archive.fold(MONTH, keep=full)
    assert len(await kinds(workflows, old[0])) == 6


async def test_more_than_a_page_is_folded(archive, workflows, clock, monkeypatch):
    monkeypatch.setattr(room, "_PAGE", 2)
    await workflows.create(APPROVAL)
    for _ in range(5):
        await approved(workflows)
    assert await archive.fold(timedelta(0)) == Archived(0, 0, ())  # not touched before now
    clock.move(1)
    assert await archive.fold(timedelta(0)) == Archived(5, 25, ())
    assert await workflows.damages() == []


async def test_a_folded_version_cannot_be_gone_back_to_and_a_left_one_can(archive, workflows, old):
    done = old[0]
    await archive.fold(MONTH)
    for version in (0, 1, 4):
        with pytest.raises(InvalidInput, match=f"rolled back to version {version}") as caught:
            await workflows.roll_back(done.id, version, caller=PROGRAM)
        assert "begins with 5; what was before was archived" in caught.value.why
        assert caught.value.details["first"] == 5
    back = await workflows.roll_back(done.id, 5, caller=PROGRAM)
    assert (back.marking, back.status) == ({"review": 1}, "active")
    assert back.data == {"score": 90, "submit": 1, "reject": 1, "rework": 1}
    assert await workflows.damages() == []


async def test_figures_and_logs_begin_with_what_was_left(archive, store, clock, workflows, old):
    analytics = Analytics(store.ledger, clock.world)
    before = await analytics.report("approval_v1")
    await archive.fold(MONTH)
    report = await analytics.report("approval_v1")
    assert (before.archived, report.archived, before.events - report.events) == (0, 2, 5)
    assert report.cycle == before.cycle  # creation and end are still known
    assert (report.tokens, report.completed, report.cancelled) == (4, 2, 1)
    log = await analytics.log("approval_v1", "jsonl")
    assert log.count('"kind":"archived","activity":"archived"') == 2
    assert (await analytics.conform("approval_v1", log)).cases == 3


async def test_a_token_that_was_migrated_is_folded_with_its_origin(archive, workflows, clock):
    from engine.workflows.migrations import Migrations

    await workflows.create(APPROVAL)
    token = await workflows.create_token("approval_v1", caller=PROGRAM, data={"score": 90}, metadata={"a": 1})
    for number in (2, 3):
        await workflows.create({**APPROVAL, "description": f"the {number}."})
        await Migrations(workflows).migrate(f"approval_v{number - 1}", f"approval_v{number}", {}, caller=PROGRAM)
    await workflows.fire(token.id, "submit", caller=PROGRAM)
    token = await workflows.fire(token.id, "approve", caller=PROGRAM)
    assert token.workflow == "approval_v3"
    history = await workflows.history(token.id)
    for upto in range(1, token.version):
        archived = chain.archived(token, history, upto)
        left = [archived, *history[upto:]]
        assert chain.first_break(token, left) is None
        assert archived.detail["workflow"] == "approval_v1"
        again = chain.archived(token, left, token.version - 1)
        assert chain.first_break(token, [again, history[-1]]) is None


async def test_a_damaged_history_is_left_as_it_is(sqlite, workflows_on, clock):
    workflows, archive = workflows_on(sqlite), Archive(sqlite.ledger, clock.world)
    await workflows.create(APPROVAL)
    tokens = [await approved(workflows) for _ in range(3)]
    clock.move(1)

    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("update events set actor = 'x' where token = ? and sequence = 2", (tokens[0].id,))
        connection.execute("update events set after = '{' where token = ? and sequence = 2", (tokens[1].id,))

    await sqlite.database.write(damage)
    found = await archive.fold(timedelta(0))
    assert (found.tokens, set(found.damaged)) == (1, {tokens[0].id, tokens[1].id})
    assert {one.token for one in await workflows.damages()} == {tokens[0].id, tokens[1].id}  # as visible as before


# -- damage afterwards ------------------------------------------------------------------------------------------------

COLUMNS = ("sequence", "kind", "after", "data", "at", "actor", "hash", "detail")


@pytest.fixture
async def folded(sqlite, workflows_on, clock):
    workflows = workflows_on(sqlite)
    await workflows.create(APPROVAL)
    token = await approved(workflows)
    clock.move(1)
    assert (await Archive(sqlite.ledger, clock.world).fold(timedelta(0))).tokens == 1
    return sqlite, workflows, token


async def put(store, column, value, token, table="events", key="token"):
    only = " and sequence < 6" if table == "events" and column != "sequence" else ""
    where = "sequence <> 6" if column == "sequence" else f"{key} = ?"

    def write(connection: sqlite3.Connection) -> None:
        cast = "?" if isinstance(value, int) or column in ("hash", "head") else "cast(? as text)"
        values = (value,) if column == "sequence" else (value, token.id)
        changed = connection.execute(f"update {table} set {column} = {cast} where {where}{only}", values)
        assert changed.rowcount == 1

    await store.database.write(write)


@settings(max_examples=150)
@given(data=st.data())
async def test_any_flipped_bit_of_an_archived_event_is_found(folded, data):
    store, workflows, token = folded
    row = (await store.database.read(f"select {', '.join(COLUMNS)} from events order by sequence"))[0]
    column = data.draw(st.sampled_from([name for name, value in zip(COLUMNS, row, strict=True) if value is not None]))
    value = row[COLUMNS.index(column)]
    if isinstance(value, int):
        flipped = value ^ (1 << data.draw(st.integers(0, 62)))
        if column == "sequence" and flipped == 6:
            return
    else:
        raw = bytearray(value if isinstance(value, bytes) else value.encode())
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        flipped = bytes(raw)
    await put(store, column, flipped, token)
    try:
        assert [one.token for one in await workflows.damages()] == [token.id], (column, value, flipped)
    finally:
        await put(store, column, value, token)
        assert await workflows.damages() == []


async def test_without_the_seal_a_changed_archive_would_pass(folded, monkeypatch):
    """The control: the hash alone is that of an event that is no longer there."""
    store, workflows, token = folded
    await put(store, "actor", b"somebody else", token)
    assert [one.token for one in await workflows.damages()] == [token.id]
    monkeypatch.setattr(chain, "archive_holds", lambda *_: True)
    assert await workflows.damages() == []


async def test_metadata_that_was_changed_after_archiving_is_seen(folded):
    store, workflows, token = folded
    await put(store, "metadata", b'{"team":"b"}', token, "tokens", "id")
    assert [one.token for one in await workflows.damages()] == [token.id]


async def test_an_archive_of_another_token_does_not_fit(store, workflows, clock):
    await workflows.create(APPROVAL)
    one, other = await approved(workflows), await approved(workflows)
    history = await workflows.history(one.id)
    theirs = chain.archived(other, await workflows.history(other.id), 5)
    assert chain.first_break(one, [chain.archived(one, history, 5), history[5]]) is None  # control
    assert chain.first_break(one, [theirs, history[5]]) == 5


async def test_pages_of_ended_tokens_are_found_by_status(store, workflows, old):
    assert len(await store.ledger.tokens(TokenQuery(status="completed"))) == 2
