"""Group commit: shared, fair, and not undone by anybody who leaves."""

import asyncio
import sqlite3
import threading

import pytest

from engine.kernel.errors import InvalidInput, StoreUnavailable
from engine.store.sqlite.database import Database
from tests.support import NOON


@pytest.fixture
async def notes(database):
    """A database with a table to write in."""
    database.parent.mkdir()
    made = await Database.open(database, NOON)
    await made.write(lambda connection: connection.execute("create table notes(n integer primary key, t text)"))
    yield made
    await made.close()


def add(number, text=""):
    def write(connection):
        connection.execute("insert into notes values (?, ?)", (number, text))
        return number

    return write


async def numbers(notes):
    return [number for (number,) in await notes.read("select n from notes order by n")]


class Held:
    """The writer's thread, held inside a write until it is let go."""

    def __init__(self, notes):
        self._notes, self._go, self.running = notes, threading.Event(), threading.Event()

    async def __aenter__(self):
        def wait(_):
            self.running.set()
            assert self._go.wait(20)

        self._task = asyncio.create_task(self._notes.write(wait))
        await asyncio.to_thread(self.running.wait, 20)
        return self

    async def __aexit__(self, *_):
        self._go.set()
        await self._task


async def test_callers_at_once_share_a_commit(notes):
    before = notes.commits
    async with Held(notes):
        waiting = [asyncio.create_task(notes.write(add(number))) for number in range(100)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == list(range(100))
    assert notes.commits - before == 2  # the one that was held, and one for all the others
    assert await numbers(notes) == list(range(100))


async def test_one_after_the_other_each_has_a_commit_of_its_own(notes):
    before = notes.commits
    for number in range(5):
        await notes.write(add(number))
    assert notes.commits - before == 5


async def test_one_that_fails_undoes_its_own_work_alone(notes):
    def half(connection):
        connection.execute("insert into notes values (50, '')")
        raise InvalidInput("no")

    async with Held(notes):
        writes = [add(1), half, add(2), add(1), add(3, "\ud800"), add(4)]
        waiting = asyncio.gather(*map(notes.write, writes), return_exceptions=True)
        await asyncio.sleep(0)
    outcomes = await waiting
    assert [type(one) for one in outcomes] == [int, InvalidInput, int, StoreUnavailable, InvalidInput, int]
    assert await numbers(notes) == [1, 2, 4]


async def test_a_caller_that_leaves_does_not_undo_its_commit_nor_anothers(notes):
    async with Held(notes):
        leaving = asyncio.create_task(notes.write(add(1)))
        staying = asyncio.create_task(notes.write(add(2)))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        assert leaving.cancelled()
    assert await staying == 2
    assert await numbers(notes) == [1, 2]


async def test_what_was_answered_is_seen_by_every_reader(notes):
    for number in range(20):
        await notes.write(add(number))
        assert number in await numbers(notes)


async def test_reading_does_not_wait_for_the_writer(notes):
    await notes.write(add(1))
    async with Held(notes):
        assert await numbers(notes) == [1]


async def test_a_snapshot_sees_one_moment(notes):
    await notes.write(add(1))
    async with notes.snapshot() as read:
        assert await read("select n from notes", ()) == [(1,)]
        await notes.write(add(2))
        assert await read("select n from notes", ()) == [(1,)]
    assert await numbers(notes) == [1, 2]  # the control: outside, the next read sees it


async def test_readers_cannot_write(notes):
    with pytest.raises(StoreUnavailable, match="readonly"):
        await notes.read("insert into notes values (1, '')")


async def test_closing_finishes_what_was_asked(notes, database):
    waiting = [asyncio.create_task(notes.write(add(number))) for number in range(50)]
    await asyncio.sleep(0)
    await notes.close()
    await asyncio.gather(*waiting)
    with sqlite3.connect(database) as other:
        assert other.execute("select count(*) from notes").fetchone() == (50,)
    other.close()


async def test_after_closing_nobody_waits_for_ever(notes):
    await notes.close()
    await notes.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await notes.write(add(1))
    with pytest.raises(StoreUnavailable, match="closed"):
        await notes.read("select 1")


async def test_closing_folds_the_log_into_the_file_and_leaves_nothing_beside_it(notes, database):
    await notes.write(add(1, "x" * 100_000))
    wal = database.with_name(database.name + "-wal")
    assert wal.stat().st_size > 100_000
    await notes.close()
    assert not wal.exists()
    assert sorted(one.name for one in database.parent.iterdir()) == [database.name, f"{database.name}.lock"]


async def test_the_log_does_not_grow_for_ever(notes, database, monkeypatch):
    monkeypatch.setattr("engine.store.sqlite.database._CHECKPOINT_EVERY", 10)
    for number in range(200):
        await notes.write(add(number, "x" * 10_000))
    assert database.with_name(database.name + "-wal").stat().st_size < 1_000_000


async def test_no_space_is_said_nothing_is_half_done_and_it_recovers(notes):
    def limit(connection, pages):
        connection.execute(f"pragma max_page_count={pages}").fetchall()

    (pages,) = (await notes.read("pragma page_count"))[0]
    await notes._on_writer(lambda connection: limit(connection, pages + 5))
    with pytest.raises(StoreUnavailable, match="no space left"):
        await notes.write(add(1, "x" * 1_000_000))
    assert await numbers(notes) == []
    await notes.write(add(2))
    await notes._on_writer(lambda connection: limit(connection, 100_000))
    await notes.write(add(1, "x" * 1_000_000))
    assert await numbers(notes) == [1, 2]
