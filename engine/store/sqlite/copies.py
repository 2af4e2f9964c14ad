"""Copies of the database: made while it is in use, and put back in its place.

A copy is made by SQLite's backup API in one step over a connection that only reads: it is of one moment, waits for no
writer and stops none, also when the writer is another process. It goes to a temporary name, is looked at, synced and
renamed, so that under its own name there is a whole copy or none.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from engine.kernel.errors import Conflict, InvalidInput, NotFound, StoreCorrupt, StoreUnavailable
from engine.kernel.records import record
from engine.store.sqlite.database import recognise
from engine.store.sqlite.errors import translated
from engine.store.sqlite.holder import Holder

_BUSY_S = 3.0
_SIDES = ("-wal", "-shm", "-journal")


@record
class Copied:
    """A copy that was made: what is in it. `version` is that of the schema."""

    file: Path
    size_bytes: int
    version: int
    workflows: int
    tokens: int
    events: int


@record
class Restored:
    """A copy that was put back; `kept` is where the database is that was there before, None when there was none."""

    copy: Copied
    kept: Path | None


def back_up(database: Path, file: Path, *, force: bool = False) -> Copied:
    """Copy the database into `file`; it may be in use.

    Raises NotFound when there is no database, Conflict when `file` is there and `force` is not given, StoreCorrupt when
    the database or its copy is damaged or none of ours, StoreUnavailable when the copy cannot be written.
    """
    _must_be_there(database, "database")
    if _same(database, file):
        raise InvalidInput(f"{file} is the database itself.", fix="Name another file.", details={"path": str(file)})
    must_be_free(file, force=force)
    with beside(file) as temporary:
        _copy(database, temporary)
        copied = look_at(temporary)
        put(temporary, file)
    return replace(copied, file=file)


def restore(file: Path, database: Path, now: datetime) -> Restored:
    """Put the copy in `file` in the place of the database, and keep what was there beside it, named for `now`.

    Raises NotFound when there is no such file, StoreCorrupt when it is damaged, of a newer version or none of ours,
    StoreUnavailable when a process has the database. Then nothing was changed.
    """
    _must_be_there(file, "backup")
    if _same(database, file):
        raise InvalidInput(f"{file} is the database itself.", fix="Name a backup of it.", details={"path": str(file)})
    copied = look_at(file)
    with writing(database):
        database.parent.mkdir(parents=True, exist_ok=True)
    holder = Holder(database)
    try:
        with beside(database) as temporary:
            _copy(file, temporary)
            look_at(temporary)
            kept = _keep(database, now) if database.exists() else None
            put(temporary, database)
    finally:
        holder.release()
    return Restored(copied, kept)


def look_at(file: Path) -> Copied:
    """What is in a file. Raises StoreCorrupt when it is damaged, of a newer version or none of ours."""
    with translated(file), closing(_reading(file)) as connection:
        recognise(connection, file)
        (version,) = connection.execute("pragma user_version").fetchone()
        if not version:
            raise StoreCorrupt(
                f"{file} is an empty database.", why="There are no tables in it.", details={"path": str(file)}
            )
        wrong = [str(row[0]) for row in connection.execute("pragma quick_check") if row[0] != "ok"]
        if wrong:
            raise StoreCorrupt(
                f"The database {file} is damaged.",
                why=f"SQLite says: {wrong[0]}.",
                fix="Take another backup. Nothing was changed.",
                details={"path": str(file), "problems": wrong[:20]},
            )
        counts = [
            connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("workflows", "tokens", "events")
        ]
    return Copied(file, file.stat().st_size, version, *counts)


def _copy(source: Path, target: Path) -> None:
    """All pages in one step: what is written meanwhile is not in it, and makes it not begin anew."""
    with translated(source), closing(_reading(source)) as reading:
        recognise(reading, source)
        with translated(target), closing(sqlite3.connect(target, isolation_level=None)) as writing:
            reading.backup(writing)
            writing.execute("pragma journal_mode=delete").fetchall()  # one file, without a log beside it


def _keep(database: Path, now: datetime) -> Path:
    """Set aside what is there under a dated name, with its log; the database itself stays until it is replaced."""
    kept = database.with_name(f"{database.name}.{now:%Y%m%dT%H%M%S}.backup")
    number = 1
    while kept.exists():
        number += 1
        kept = database.with_name(f"{database.name}.{now:%Y%m%dT%H%M%S}-{number}.backup")
    with suppress(StoreCorrupt, sqlite3.Error):
        look_at(database)  # SQLite would throw away the log of a file that it does not understand
        with closing(sqlite3.connect(database, timeout=_BUSY_S)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    with writing(kept):
        try:
            os.link(database, kept)
        except OSError:  # a file system without links
            shutil.copyfile(database, kept)
        for side in _SIDES:  # a log that was not folded in belongs to what was kept, and would damage what comes
            log = database.with_name(database.name + side)
            if log.exists():
                log.replace(kept.with_name(kept.name + side))
    return kept


def put(temporary: Path, file: Path) -> None:
    """Give a whole file its name, on disk."""
    with writing(file):
        _sync(temporary)
        temporary.replace(file)
        _sync(file.parent)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be opened there
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A name beside `file` for what is not whole yet; nothing is left there."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with writing(file):
            os.close(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        yield temporary
    finally:
        for side in ("", *_SIDES):
            with suppress(OSError):
                temporary.with_name(temporary.name + side).unlink(missing_ok=True)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"{file} cannot be written.",
            why=f"{error.strerror or error}.",
            fix="Check that the folder is there, may be written, and has space. Nothing was changed.",
            details={"path": str(file)},
        ) from None


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None)


def _must_be_there(file: Path, kind: str) -> None:
    if not file.is_file():
        raise NotFound(
            f"There is no {kind} at {file}.",
            fix="Name another with --data-dir or --store." if kind == "database" else "Check the name.",
            details={"path": str(file)},
        )


def must_be_free(file: Path, *, force: bool) -> None:
    """Raises InvalidInput for a folder; Conflict when there is something, and `force` is not given."""
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder.", fix="Name a file in it.", details={"path": str(file)})
    if file.exists() and not force:
        raise Conflict(
            f"{file} is there already.",
            why="It is not overwritten by itself.",
            fix="Name another file, or give --force.",
            details={"path": str(file)},
        )


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
