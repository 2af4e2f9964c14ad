"""The database: one connection that writes, with group commit, and some that read.

A write is a function of the connection, run inside a savepoint on the writer's thread. Callers that arrive while a
commit (an fsync) is under way share the next one: a whole group is one function on the thread, for each crossing costs
about as much as the commit. Writes of one kind that wait beside each other are done by one call of their function. A
caller is answered after COMMIT, so what was answered is on disk. A caller whose function fails undoes its own work
alone.
"""

import asyncio
import sqlite3
from asyncio import Future, Task
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import aiosqlite

from engine.kernel.errors import StoreCorrupt
from engine.store.sqlite.errors import closed, translate, translated
from engine.store.sqlite.holder import Holder
from engine.store.sqlite.migrations import STEPS

Item = TypeVar("Item")
T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]
Together: TypeAlias = Callable[[sqlite3.Connection, Sequence[Item]], Sequence[T | Exception]]
"""Writes of one kind: for each item what became of it, or the error with which nothing was written for it. When it
raises it is asked again for each item alone."""
Row = tuple[Any, ...]
Read = Callable[[str, Sequence[Any]], Awaitable[list[Row]]]

_READERS = 2
_MOST_IN_GROUP = 256
_CHECKPOINT_EVERY = 2_000  # writes
_BUSY_MS = 3_000  # how long another program's transaction is waited for
_OURS = {"workflows", "tokens", "events"}


class Database:
    """An open database file. Made by `Database.open`; `close` must be awaited."""

    def __init__(self, path: Path, holder: Holder, writer: aiosqlite.Connection) -> None:
        self.path, self.holder = path, holder
        self._writer = writer
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._readers: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._task: Task[None] | None = None
        self._closed = False
        self.commits = 0

    @classmethod
    async def open(cls, path: Path, now: datetime, *, busy_ms: int = _BUSY_MS) -> "Database":
        """Open or create the file, bring its schema up to date (after a copy of what was there, dated `now`), and take
        it for this process.

        Raises StoreUnavailable when it is held, locked or cannot be written, StoreCorrupt when it is damaged, made by a
        newer version, or no database.
        """
        holder = Holder(path)
        writer: aiosqlite.Connection | None = None
        readers: list[aiosqlite.Connection] = []
        try:
            with translated(path):
                writer = await _connect(path, busy_ms)
                database = cls(path, holder, writer)
                await database._on_writer(lambda connection: recognise(connection, path))
                await _prepare(writer)
                await database._on_writer(lambda connection: _migrate(connection, path, now))
                for _ in range(_READERS):
                    reader = await _connect(path, busy_ms)
                    readers.append(reader)
                    await _prepare(reader, read_only=True)
                    database._readers.put_nowait(reader)
        except BaseException:
            for connection in (*readers, writer):
                if connection is not None:
                    await connection.close()
            holder.release()
            raise
        database._task = asyncio.create_task(database._commit_groups(), name="sqlite-writer")
        return database

    async def write(self, function: Write[T]) -> T:
        """Run `function` in the next group and give its result when it is on disk.

        A caller that is cancelled while waiting does not undo the commit.
        """
        return await self.write_together(_alone, function)

    def write_together(self, write: Together[Item, T], item: Item) -> Future[T]:
        """The same, for one of many alike: `write` is called with those that wait beside each other."""
        if self._closed:
            raise closed(self.path)
        answer: Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, item, answer))
        self._arrived.set()
        return answer

    async def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, from a connection that never waits for the writer."""
        async with self._reader() as connection:
            return cast("list[Row]", await connection.execute_fetchall(statement, parameters))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Read]:
        """A way to read that sees one and the same moment each time."""
        async with self._reader() as connection:

            async def read(statement: str, parameters: Sequence[Any]) -> list[Row]:
                return cast("list[Row]", await connection.execute_fetchall(statement, parameters))

            await connection.execute_fetchall("begin")
            try:
                yield read
            finally:
                await connection.execute_fetchall("rollback")

    async def check(self) -> list[str]:
        """What SQLite finds wrong in the file; empty when it is healthy."""
        rows = await self.read("pragma quick_check")
        return [str(row[0]) for row in rows if row[0] != "ok"]

    async def close(self) -> None:
        """Finish what is queued and what is being read, fold the log into the file, and let go of it."""
        if self._closed:
            return
        self._closed = True
        self._arrived.set()
        if self._task:
            with suppress(asyncio.CancelledError):
                await self._task
        for _ in range(_READERS):
            await (await self._readers.get()).close()
        with suppress(sqlite3.Error):
            await self._on_writer(lambda connection: connection.execute("pragma wal_checkpoint(truncate)").fetchall())
        await self._writer.close()
        self.holder.release()

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        if self._closed:
            raise closed(self.path)
        connection = await self._readers.get()
        try:
            with translated(self.path):
                yield connection
        finally:
            self._readers.put_nowait(connection)

    async def _on_writer(self, function: Write[T]) -> T:
        # aiosqlite has no public way to run a whole function on its thread; `_execute` is what all its methods use.
        return cast("T", await self._writer._execute(function, self._writer._conn))  # type: ignore[no-untyped-call]

    async def _commit_groups(self) -> None:
        since_checkpoint = 0
        while self._waiting or not self._closed:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_IN_GROUP))]
            await self._commit(group)
            since_checkpoint += len(group)
            if since_checkpoint >= _CHECKPOINT_EVERY:
                since_checkpoint = 0
                with suppress(sqlite3.Error):
                    await self._on_writer(
                        lambda connection: connection.execute("pragma wal_checkpoint(passive)").fetchall()
                    )

    async def _commit(self, group: Sequence["_Waiting"]) -> None:
        """Run one group and answer each of its callers."""
        try:
            outcomes = await self._on_writer(partial(_run_group, group=group))
            self.commits += 1
        except sqlite3.Error as error:
            outcomes = [error] * len(group)
        for (_, _, answer), outcome in zip(group, outcomes, strict=True):
            if answer.done():
                continue  # its caller has left
            if isinstance(outcome, Exception):
                foreign = isinstance(outcome, sqlite3.Error | UnicodeEncodeError)
                answer.set_exception(translate(outcome, self.path) if foreign else outcome)
            else:
                answer.set_result(outcome)


_Waiting: TypeAlias = tuple[Together[Any, Any], Any, Future[Any]]


def _alone(connection: sqlite3.Connection, functions: Sequence[Write[T]]) -> list[T]:
    """Writes that have nothing in common."""
    return [function(connection) for function in functions]


def _run_group(connection: sqlite3.Connection, group: Sequence[_Waiting]) -> list[Any]:
    """Do all of it in one transaction; what fails is the outcome of its own write."""
    outcomes: list[Any] = []
    connection.execute("begin immediate")
    try:
        for write, neighbours in groupby(group, key=itemgetter(0)):
            items = [item for _, item, _ in neighbours]
            found = None if write is _alone else _attempt(connection, write, items)
            if found is None or isinstance(found, Exception):
                for item in items:
                    one = _attempt(connection, write, [item])
                    outcomes += [one] if isinstance(one, Exception) else one
            else:
                outcomes += found
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
    return outcomes


def _attempt(
    connection: sqlite3.Connection, write: Together[Item, T], items: Sequence[Item]
) -> Sequence[Any] | Exception:
    """What `write` gives for `items`, or the error that it raised, with its work undone."""
    connection.execute("savepoint one")
    try:
        return write(connection, items)
    except Exception as error:
        if not connection.in_transaction:  # SQLite gave up the whole transaction: no space, I/O error
            raise
        connection.execute("rollback to one")
        return error
    finally:
        if connection.in_transaction:
            connection.execute("release one")


def _connect(path: Path, busy_ms: int) -> aiosqlite.Connection:
    return aiosqlite.connect(path, timeout=busy_ms / 1000, isolation_level=None, cached_statements=256)


async def _prepare(connection: aiosqlite.Connection, *, read_only: bool = False) -> None:
    for pragma in (
        "journal_mode=wal",
        "synchronous=full",
        "wal_autocheckpoint=0",  # only the writer checkpoints, between groups
        "foreign_keys=on",
        "trusted_schema=off",
        "temp_store=memory",
        *(("query_only=on",) if read_only else ()),
    ):
        # fetchall: an unread row would keep a statement open, and the next savepoint would fail
        await connection.execute_fetchall(f"pragma {pragma}")


def recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not ours to use. Only reads: a file that is refused is not changed."""
    (version,) = connection.execute("pragma user_version").fetchone()
    tables = {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}
    if tables and not (version and tables >= _OURS):
        raise StoreCorrupt(
            f"{path} is a database of another program.",
            why="It has tables that are not ours.",
            fix="Name another file with --store sqlite:///PATH. It was not changed.",
            details={"path": str(path)},
        )
    if version > len(STEPS):
        raise StoreCorrupt(
            f"The database {path} is of version {version}; this program knows versions up to {len(STEPS)}.",
            why="A newer Circuit Breaker wrote it.",
            fix="Update Circuit Breaker, or name another file with --store sqlite:///PATH. It was not changed.",
            details={"path": str(path), "version": version, "known": len(STEPS)},
        )


def _migrate(connection: sqlite3.Connection, path: Path, now: datetime) -> None:
    """Take the steps that are missing, each in one transaction with its number."""
    (version,) = connection.execute("pragma user_version").fetchone()
    if 0 < version < len(STEPS):
        _copy(connection, path.with_name(f"{path.name}.v{version}-{now:%Y%m%dT%H%M%S}.backup"))
    for number in range(version, len(STEPS)):
        connection.execute("begin immediate")
        try:
            for statement in STEPS[number]:
                if callable(statement):
                    statement(connection)
                else:
                    connection.execute(statement)
            connection.execute(f"pragma user_version={number + 1}")
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise


def _copy(connection: sqlite3.Connection, path: Path) -> None:
    target = sqlite3.connect(path)
    try:
        connection.backup(target)
    finally:
        target.close()
