"""The hash chain: whatever is changed in a stored history is found."""

import asyncio
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import StoreCorrupt
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import Damage
from tests.support import APPROVAL, NOON

COLUMNS = ("token", "sequence", "kind", "transition", "source", "before", "after", "data", "at", "actor", "hash")


@pytest.fixture
async def stored(sqlite, workflows_on):
    """A store with three tokens and some history, and its service."""
    workflows = workflows_on(sqlite)
    await workflows.create(APPROVAL)
    for number in range(3):
        token = await workflows.create_token("approval_v1", caller=PROGRAM, data={"n": number, "t": "ä"})
        await workflows.fire(token.id, "submit", caller=PROGRAM, data={"score": 80 + number})
        await workflows.fire(token.id, "approve", caller=PROGRAM)
    return sqlite, workflows


async def change(store: SqliteStore, statement, *values):
    def write(connection: sqlite3.Connection) -> None:
        assert connection.execute(statement, values).rowcount == 1

    await store.database.write(write)


async def events(store):
    return await store.database.read(f"select {', '.join(COLUMNS)} from events order by token, sequence")


async def test_an_untouched_history_is_whole(stored):
    _, workflows = stored
    assert await workflows.damages() == []


@settings(max_examples=150)
@given(data=st.data())
async def test_any_flipped_bit_of_any_event_is_found(stored, data):
    store, workflows = stored
    rows = await events(store)
    row = data.draw(st.sampled_from(rows))
    column = data.draw(st.sampled_from([name for name, value in zip(COLUMNS, row, strict=True) if value is not None]))
    value = row[COLUMNS.index(column)]
    if isinstance(value, int):
        flipped, put = value ^ (1 << data.draw(st.integers(0, 62))), "?"
    else:
        raw = bytearray(value if isinstance(value, bytes) else value.encode())
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
        flipped, put = bytes(raw), "?" if isinstance(value, bytes) else "cast(? as text)"
    if column == "sequence" and any(other[:2] == (row[0], flipped) for other in rows):
        return  # the file itself does not take two events of one number
    update = f"update events set {column} = {put} where token = ? and sequence = ?"
    await change(store, update, flipped, row[0], row[1])
    try:
        found = await workflows.damages()
        assert [one.token for one in found] == [row[0]], (column, value, flipped)
        assert found[0].sequence <= row[1]
    finally:
        key = [flipped if column == name else old for name, old in (("token", row[0]), ("sequence", row[1]))]
        match = "cast(? as text)" if column == "token" else "?"
        back = f"update events set {column} = ? where token = {match} and sequence = ?"
        await change(store, back, value, *key)
        assert await workflows.damages() == []


async def test_an_event_that_was_taken_out_is_missed(stored):
    store, workflows = stored
    first = (await events(store))[0]
    for sequence in (1, 2, 3):
        rows = [one for one in await events(store) if one[:2] == (first[0], sequence)]
        await change(store, "delete from events where token = ? and sequence = ?", first[0], sequence)
        assert await workflows.damages() == [Damage(first[0], sequence)]
        marks = ", ".join("?" * len(COLUMNS))
        await change(store, f"insert into events({', '.join(COLUMNS)}) values ({marks})", *rows[0])
    assert await workflows.damages() == []


async def test_an_event_that_was_added_is_seen(stored):
    store, workflows = stored
    last = list((await events(store))[2])
    last[1] = 4
    await change(store, f"insert into events({', '.join(COLUMNS)}) values ({', '.join('?' * 11)})", *last)
    assert await workflows.damages() == [Damage(last[0], 4)]


async def test_a_history_of_another_token_does_not_fit(stored):
    store, workflows = stored
    rows = await events(store)
    one, other = rows[0][0], rows[3][0]
    for old, new in ((one, "x"), (other, one), ("x", other)):
        await store.database.write(
            lambda connection, old=old, new=new: connection.execute(
                "update events set token = ? where token = ?", (new, old)
            )
        )
    assert {found.token for found in await workflows.damages()} == {one, other}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("marking", '{"draft":1}'),
        ("data", '{"n":7}'),
        ("metadata", '{"a":1}'),
        ("version", 2),
        ("updated_at", 5),
        ("head", b"x"),
    ],
)
async def test_a_token_that_is_not_what_its_history_says_is_seen(stored, column, value):
    store, workflows = stored
    token = (await events(store))[0][0]
    await change(store, f"update tokens set {column} = ? where id = ?", value, token)
    assert [found.token for found in await workflows.damages()] == [token]


async def test_a_token_that_cannot_be_read_is_said(stored):
    store, workflows = stored
    token = (await events(store))[0][0]
    await change(store, "update tokens set data = '{' where id = ?", token)
    with pytest.raises(StoreCorrupt, match="in the database cannot be read"):
        await workflows.damages()


async def test_damage_met_while_working_is_said_as_such(database, workflows_on):
    store = await SqliteStore.open(database, NOON)
    workflows = workflows_on(store)
    await workflows.create(APPROVAL)
    token = await workflows.create_token("approval_v1", caller=PROGRAM)
    await change(store, "update events set after = '{' where token = ?", token.id)
    await change(store, "update workflows set definition = '{}'")
    with pytest.raises(StoreCorrupt):
        await workflows.history(token.id)
    await store.close()
    store = await SqliteStore.open(database, NOON)
    with pytest.raises(StoreCorrupt):
        await workflows_on(store).all()
    await store.close()


async def test_tokens_that_move_while_they_are_checked_are_whole(stored):
    """A history of one moment and a token of another would look like damage."""
    _, workflows = stored
    await workflows.create({**APPROVAL, "name": "Ring", "finalPlaces": []})
    token = await workflows.create_token("ring_v1", caller=PROGRAM)

    async def move():
        for _ in range(30):
            await workflows.fire(token.id, "submit", caller=PROGRAM)
            await workflows.fire(token.id, "rework", caller=PROGRAM)

    moving = asyncio.create_task(move())
    while not moving.done():
        assert await workflows.damages() == []
    await moving
