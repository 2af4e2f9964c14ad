"""Opening a file: what is refused, by whom it is held, how it is migrated; nothing refused is changed."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import StoreCorrupt, StoreUnavailable
from engine.store.sqlite import database as room
from engine.store.sqlite.database import Database
from engine.store.sqlite.holder import Holder, holder_of
from engine.store.sqlite.migrations import STEPS
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import Workflows
from tests.support import APPROVAL, NOON


@pytest.fixture
def file(tmp_path):
    return tmp_path / "test.db"


def other_program(code, *arguments):
    """Another process that runs `code`, says a line when it is ready, and ends when its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout
    assert process.stdout.readline().strip() == "ready"
    return process


def end(process):
    process.communicate(timeout=20)
    assert process.returncode == 0


# -- others -----------------------------------------------------------------------------------------------------------

HOLDS_A_TRANSACTION = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin exclusive")
print("ready", flush=True)
sys.stdin.read()
"""

IS_CIRCUIT_BREAKER = """
import sys
from pathlib import Path
from engine.store.sqlite.holder import Holder
holder = Holder(Path(sys.argv[1]))
holder.announce({"graphql": "http://127.0.0.1:4001"})
print("ready", flush=True)
sys.stdin.read()
holder.release()
"""


async def test_a_file_that_another_program_locks_is_given_up_within_the_deadline(file):
    made = await Database.open(file, NOON, busy_ms=20)
    await made.write(lambda connection: connection.execute("create table notes(n)"))
    process = other_program(HOLDS_A_TRANSACTION, file)
    try:
        with pytest.raises(StoreUnavailable, match="locked by another program"):
            await made.write(lambda connection: connection.execute("insert into notes values (1)"))
    finally:
        end(process)
    await made.write(lambda connection: connection.execute("insert into notes values (2)"))
    assert await made.read("select n from notes") == [(2,)]
    await made.close()


async def test_a_locked_file_is_not_opened(file):
    sqlite3.connect(file).close()
    process = other_program(HOLDS_A_TRANSACTION, file)
    try:
        with pytest.raises(StoreUnavailable, match="locked"):
            await Database.open(file, NOON, busy_ms=20)
    finally:
        end(process)
    await (await Database.open(file, NOON)).close()


async def test_a_second_circuit_breaker_is_told_who_has_it(file):
    process = other_program(IS_CIRCUIT_BREAKER, file)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await Database.open(file, NOON)
        assert f"process {process.pid}" in caught.value.what
        assert "http://127.0.0.1:4001" in caught.value.fix
        assert holder_of(file)["pid"] == process.pid
    finally:
        end(process)
    assert holder_of(file) == {}
    await (await Database.open(file, NOON)).close()


async def test_one_that_was_killed_holds_nothing(file):
    process = other_program(IS_CIRCUIT_BREAKER, file)
    process.kill()
    process.communicate(timeout=20)
    made = await Database.open(file, NOON)
    assert holder_of(file)["pid"] == os.getpid()
    await made.close()


async def test_a_database_that_could_not_be_opened_is_let_go(file):
    file.write_bytes(b"not a database" * 1000)
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            await Database.open(file, NOON)
    Holder(file).release()


# -- what is not ours -------------------------------------------------------------------------------------------------


def foreign(file, *statements):
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda file: file.write_bytes(b"GIF89a" + bytes(5000)), "not a database"),
        (lambda file: file.write_bytes(b"x" * 50), "not a database"),
        (lambda file: foreign(file, "create table mine(a)"), "another program"),
        (lambda file: foreign(file, "create table mine(a)", "pragma user_version=1"), "another program"),
        (
            lambda file: foreign(
                file, *(f"create table {name}(a)" for name in room._OURS), f"pragma user_version={len(STEPS) + 1}"
            ),
            "newer|knows versions up to",
        ),
    ],
)
async def test_what_is_not_ours_is_refused_and_not_a_byte_of_it_changed(file, make, says):
    make(file)
    before = file.read_bytes()
    with pytest.raises(StoreCorrupt, match=says) as caught:
        await Database.open(file, NOON)
    assert caught.value.fix
    assert file.read_bytes() == before
    assert not file.with_name(file.name + "-wal").exists()


async def test_an_empty_file_is_a_new_database(file):
    file.touch()
    await (await Database.open(file, NOON)).close()


async def test_a_damaged_page_is_said_when_it_is_met(file):
    store = await SqliteStore.open(file, NOON)
    for number in range(200):
        await store.shelf.put("note", f"{number}", {"text": "x" * 500})
    await store.close()
    pages = bytearray(file.read_bytes())
    for start in range(4096 * 24, len(pages) - 4096, 4096):
        pages[start : start + 200] = bytes(200)
    file.write_bytes(pages)
    store = await SqliteStore.open(file, NOON)
    with pytest.raises(StoreCorrupt, match="damaged"):
        await store.shelf.list("note")
    try:
        assert await store.check()
    except StoreCorrupt as error:
        assert "damaged" in error.what  # noqa: PT017 - SQLite may say it either way
    await store.close()


async def test_a_healthy_file_has_nothing_wrong(file):
    store = await SqliteStore.open(file, NOON)
    assert await store.check() == []
    await store.close()


@pytest.mark.parametrize("folder", ["/proc/circuit-breaker", "/proc/self"])
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc here")
async def test_a_folder_that_cannot_be_written_is_said(folder):
    """/proc takes no files, not even from root."""
    with pytest.raises(StoreUnavailable, match=r"folder .* cannot be") as caught:
        await SqliteStore.open(Path(folder) / "test.db", NOON)
    assert "--data-dir" in caught.value.fix


async def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        await SqliteStore.open(tmp_path / "file" / "test.db", NOON)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_is_said(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await SqliteStore.open(folder / "test.db", NOON)


# -- versions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def with_something(file):
    """A file with a workflow and a document in it."""
    store = await SqliteStore.open(file, NOON)
    await store.shelf.put("note", "1", {"a": 1})
    await store.close()
    return file


async def test_a_migration_keeps_a_copy_of_what_was(with_something, monkeypatch):
    monkeypatch.setattr(room, "STEPS", (*STEPS, ("create table extra(a)",)))
    store = await SqliteStore.open(with_something, NOON)
    assert await store.database.read("pragma user_version") == [(len(STEPS) + 1,)]
    assert await store.database.read("select count(*) from extra") == [(0,)]
    assert await store.shelf.get("note", "1") == {"a": 1}
    await store.close()
    copy = with_something.with_name(f"{with_something.name}.v{len(STEPS)}-20260801T120000.backup")
    with sqlite3.connect(copy) as old:
        assert old.execute("pragma user_version").fetchone() == (len(STEPS),)
        assert old.execute("select count(*) from documents").fetchone() == (1,)
    old.close()


async def test_a_migration_that_fails_changes_nothing(with_something, monkeypatch):
    monkeypatch.setattr(room, "STEPS", (*STEPS, ("create table extra(a)", "create nonsense")))
    with pytest.raises(StoreUnavailable):
        await SqliteStore.open(with_something, NOON)
    monkeypatch.undo()
    store = await SqliteStore.open(with_something, NOON)
    assert await store.database.read("select name from sqlite_schema where name = 'extra'") == []
    assert await store.shelf.get("note", "1") == {"a": 1}
    await store.close()


async def test_a_new_or_current_file_is_not_copied(with_something):
    await (await SqliteStore.open(with_something, NOON)).close()
    assert not list(with_something.parent.glob("*.backup"))


async def test_opening_again_gives_everything_back(file, bus, clock, workflows_on):
    store = await SqliteStore.open(file, NOON)
    workflows: Workflows = workflows_on(store)
    workflow = await workflows.create(APPROVAL)
    token = await workflows.create_token(workflow.id, caller=PROGRAM, data={"score": 90}, metadata={"by": "me"})
    clock.move(1)
    token = await workflows.fire(token.id, "submit", caller=PROGRAM, data={"note": "ü"}, idempotency_key="k")
    history, counts = await workflows.history(token.id), await workflows.counts(workflow.id)
    await store.close()

    store = await SqliteStore.open(file, NOON)
    again: Workflows = workflows_on(store)
    assert await again.all() == [workflow]
    assert await again.token(token.id) == token
    assert await again.history(token.id) == history
    assert await again.counts(workflow.id) == counts == {"review": 1}
    assert await again.damages() == []
    assert await again.fire(token.id, "submit", caller=PROGRAM, data={"note": "ü"}, idempotency_key="k") == token
    assert (await again.fire(token.id, "approve", caller=PROGRAM)).version == 3
    await store.close()


async def test_a_reader_that_is_still_reading_is_waited_for(file):
    made = await Database.open(file, NOON)
    slow = asyncio.create_task(
        made.read("with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) select max(i) from n")
    )
    await asyncio.sleep(0)
    await made.close()
    assert await slow == [(300_000,)]
