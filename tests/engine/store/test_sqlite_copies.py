"""Copies of the database: whole, of one moment, never over something, and put back without losing what was there."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import Conflict, InvalidInput, NotFound, StoreCorrupt, StoreUnavailable
from engine.store.sqlite import copies
from engine.store.sqlite.copies import back_up, look_at, restore
from engine.store.sqlite.holder import Holder
from engine.store.sqlite.migrations import STEPS
from engine.store.sqlite.store import SqliteStore
from tests.support import APPROVAL, NOON, RING


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copies" / "a.backup"


@pytest.fixture
async def live(database, workflows_on, copy):
    """An open store with a token in it, its service, and a folder for copies."""
    copy.parent.mkdir()
    store = await SqliteStore.open(database, NOON)
    workflows = workflows_on(store)
    await workflows.create(APPROVAL)
    await workflows.create_token("approval_v1", caller=PROGRAM, data={"n": 1})
    yield store, workflows
    await store.close()


async def states(database, workflows_on):
    """The states of the tokens in a file, and whether it is whole."""
    store = await SqliteStore.open(database, NOON)
    workflows = workflows_on(store)
    assert await workflows.damages() == []
    assert await store.check() == []
    counts = await workflows.counts("approval_v1")
    await store.close()
    return counts


# -- taking one -------------------------------------------------------------------------------------------------------


async def test_a_copy_of_a_database_in_use_has_what_was_answered(live, database, copy, workflows_on):
    _, workflows = live
    made = await asyncio.to_thread(back_up, database, copy)
    assert (made.file, made.workflows, made.tokens, made.events) == (copy, 1, 1, 1)
    assert (made.version, made.size_bytes) == (len(STEPS), copy.stat().st_size)
    await workflows.create_token("approval_v1", caller=PROGRAM)  # it goes on, and the copy stays what it was
    assert await states(copy, workflows_on) == {"draft": 1}
    assert await workflows.counts("approval_v1") == {"draft": 2}


async def test_copies_under_load_are_each_of_one_moment(live, database, copy, workflows_on):
    _, workflows = live
    await workflows.create(RING)
    token = await workflows.create_token("ring_v1", caller=PROGRAM)

    async def move():
        for _ in range(60):
            await workflows.fire(token.id, "over", caller=PROGRAM)
            await workflows.fire(token.id, "back", caller=PROGRAM)

    moving, taken = asyncio.create_task(move()), 0
    while not moving.done():
        await asyncio.to_thread(back_up, database, copy, force=True)
        assert await states(copy, workflows_on) == {"draft": 1}
        taken += 1
    await moving
    assert taken > 1


async def test_a_copy_is_one_file_that_nobody_else_may_read(live, database, copy):
    back_up(database, copy)
    assert os.listdir(copy.parent) == [copy.name]
    assert copy.stat().st_mode & 0o077 == 0


async def test_a_copy_beside_another_process_that_has_the_database(database, copy, tmp_path, workflows_on):
    code = """
import asyncio, sys
from pathlib import Path
from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.world import World
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import Workflows
from tests.support import APPROVAL, NOON
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), NOON)
    workflows = Workflows(store.ledger, Bus(), World.real())
    await workflows.create(APPROVAL)
    await workflows.create_token("approval_v1", caller=PROGRAM)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await workflows.create_token("approval_v1", caller=PROGRAM)
    await store.close()
asyncio.run(main())
"""
    copy.parent.mkdir()
    process = subprocess.Popen(  # noqa: ASYNC220 - what is waited for here is the other process
        [sys.executable, "-c", code, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    assert back_up(database, copy).tokens == 1
    with pytest.raises(StoreUnavailable, match=f"in use by another Circuit Breaker .process {process.pid}"):
        restore(copy, database, NOON)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert await states(copy, workflows_on) == {"draft": 1}
    assert await states(database, workflows_on) == {"draft": 2}  # the copy disturbed nothing
    assert restore(copy, database, NOON).copy.tokens == 1  # control: with nobody there it is put back
    assert await states(database, workflows_on) == {"draft": 1}


async def test_what_is_there_is_not_overwritten_unless_it_is_said(live, database, copy):
    copy.write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        back_up(database, copy)
    assert copy.read_text() == "mine"
    assert back_up(database, copy, force=True).tokens == 1  # control


async def test_the_database_is_no_place_for_its_copy(live, database, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(database)
    for file in (database, link):
        with pytest.raises(InvalidInput, match="the database itself"):
            back_up(database, file, force=True)
        with pytest.raises(InvalidInput, match="the database itself"):
            restore(file, database, NOON)
    with pytest.raises(InvalidInput, match="is a folder"):
        back_up(database, tmp_path, force=True)


async def test_a_copy_that_cannot_be_written_leaves_nothing(live, database, copy, tmp_path):
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        back_up(database, tmp_path / "nowhere" / "a.backup")
    copy.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies.os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="cannot be written") as caught:
            back_up(database, copy, force=True)
    assert "No space left" in caught.value.why
    assert os.listdir(copy.parent) == [copy.name]
    assert copy.read_text() == "old"


async def test_a_damaged_database_gives_no_copy(live, database, copy):
    store, _ = live
    for number in range(200):
        await store.shelf.put("note", f"{number}", {"text": "x" * 500})
    await store.close()
    damage(database)
    with pytest.raises(StoreCorrupt, match="damaged"):
        back_up(database, copy)
    assert os.listdir(copy.parent) == []


def damage(file):
    """Zero parts of many pages."""
    pages = bytearray(file.read_bytes())
    for start in range(4096 * 12, len(pages) - 4096, 4096):
        pages[start : start + 200] = bytes(200)
    file.write_bytes(pages)


def test_what_is_not_there_cannot_be_copied_or_put_back(database, copy):
    with pytest.raises(NotFound, match="no database at"):
        back_up(database, copy)
    with pytest.raises(NotFound, match="no backup at"):
        restore(copy, database, NOON)
    assert not database.parent.exists()


# -- putting it back --------------------------------------------------------------------------------------------------


async def test_what_was_there_is_kept_and_can_be_put_back_too(live, database, copy, workflows_on):
    store, workflows = live
    back_up(database, copy)
    await workflows.create_token("approval_v1", caller=PROGRAM)
    await store.close()
    done = restore(copy, database, NOON)
    assert done.kept == database.with_name(f"{database.name}.20260801T120000.backup")
    assert await states(database, workflows_on) == {"draft": 1}
    again = restore(done.kept, database, NOON)
    assert again.kept not in (None, done.kept)
    assert await states(database, workflows_on) == {"draft": 2}
    assert copy.exists()


async def test_a_log_that_was_not_folded_in_goes_with_what_was_kept(live, database, copy, workflows_on):
    """After a kill the log beside the file has what was answered last: it belongs to the old file, not to the new."""
    store, workflows = live
    back_up(database, copy)
    await workflows.create_token("approval_v1", caller=PROGRAM)
    killed = {side: database.with_name(database.name + side).read_bytes() for side in ("", "-wal")}
    await store.close()
    for side, content in killed.items():
        database.with_name(database.name + side).write_bytes(content)
    kept = restore(copy, database, NOON).kept
    assert kept is not None
    assert await states(database, workflows_on) == {"draft": 1}
    assert await states(kept, workflows_on) == {"draft": 2}


async def test_a_database_beyond_repair_is_kept_as_it_is(live, database, copy, workflows_on):
    store, _ = live
    back_up(database, copy)
    await store.close()
    database.write_bytes(b"no database" * 1000)
    database.with_name(database.name + "-wal").write_bytes(b"no log")
    kept = restore(copy, database, NOON).kept
    assert kept is not None
    assert kept.read_bytes() == b"no database" * 1000
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"no log"
    assert await states(database, workflows_on) == {"draft": 1}


async def test_a_copy_is_put_where_there_was_nothing(live, database, copy, tmp_path, workflows_on):
    back_up(database, copy)
    elsewhere = tmp_path / "new" / "folder" / "b.db"
    assert restore(copy, elsewhere, NOON).kept is None
    assert await states(elsewhere, workflows_on) == {"draft": 1}


async def test_a_database_that_is_held_is_not_replaced(live, database, copy):
    store, _ = live
    back_up(database, copy)
    before = database.read_bytes()
    with pytest.raises(StoreUnavailable, match="in use by another"):
        restore(copy, database, NOON)
    assert database.read_bytes() == before
    await store.close()
    restore(copy, database, NOON)  # control
    Holder(database).release()  # it is let go


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda file: file.write_bytes(b"GIF89a" + bytes(5000)), "not a database"),
        (lambda file: file.write_bytes(b""), "empty database"),
        (lambda file: execute(file, "create table mine(a)"), "another program"),
        (lambda file: execute(file, f"pragma user_version={len(STEPS) + 1}"), "knows versions up to"),
        (lambda file: file.write_bytes(file.read_bytes()[:-8192]), "damaged"),
        (damage, "damaged"),
    ],
)
async def test_what_is_no_healthy_copy_of_ours_changes_nothing(live, database, copy, make, says):
    store, _ = live
    for number in range(200):
        await store.shelf.put("note", f"{number}", {"text": "x" * 500})
    back_up(database, copy)
    await store.close()
    if says == "another program":
        copy.unlink()
    make(copy)
    before = database.read_bytes()
    with pytest.raises(StoreCorrupt, match=says) as caught:
        restore(copy, database, NOON)
    assert str(copy) in caught.value.what
    assert database.read_bytes() == before
    assert not list(database.parent.glob("*.backup"))
    assert not list(database.parent.glob(".*.part*"))


def execute(file, statement):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
        connection.commit()


async def test_a_copy_of_an_older_version_is_brought_up_to_date_when_it_is_opened(database, copy):
    copy.parent.mkdir()
    with closing(sqlite3.connect(copy)) as connection:
        for statement in STEPS[0]:
            connection.execute(statement)
        connection.execute("pragma user_version=1")
        connection.commit()
    assert look_at(copy).version == 1
    restore(copy, database, NOON)
    store = await SqliteStore.open(database, NOON)
    assert await store.database.read("pragma user_version") == [(len(STEPS),)]
    await store.close()
