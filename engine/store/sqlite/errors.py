"""SQLite's errors in our words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.kernel.errors import CircuitBreakerError, InvalidInput, StoreCorrupt, StoreUnavailable

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StoreUnavailable or StoreCorrupt for whatever SQLite raises inside, InvalidInput for a text that it cannot
    take."""
    try:
        yield
    except (sqlite3.Error, UnicodeEncodeError) as error:
        raise translate(error, path) from error


def closed(path: Path) -> StoreUnavailable:
    return StoreUnavailable(
        f"The database {path} is closed.", why="The program is ending.", details={"path": str(path)}
    )


def translate(error: Exception, path: Path) -> CircuitBreakerError:
    if isinstance(error, UnicodeEncodeError):
        return InvalidInput("A text is not valid Unicode.", why=f"{error}.", fix="Change it.")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    details = {"path": str(path), "sqlite": getattr(error, "sqlite_errorname", "")}
    if code == sqlite3.SQLITE_NOTADB:
        return StoreCorrupt(
            f"{path} is not a database.",
            why="Its first bytes are those of another kind of file.",
            fix="Move it away, or name another file with --store sqlite:///PATH. It was not changed.",
            details=details,
        )
    if code in _DAMAGED or "decode to UTF-8" in str(error):
        return StoreCorrupt(
            f"The database {path} is damaged.",
            why=f"SQLite says: {error}.",
            fix="Restore it from a backup; `circuit-breaker doctor` says how far the damage goes.",
            details=details,
        )
    if code in _BUSY:
        return StoreUnavailable(
            f"The database {path} is locked by another program.",
            why="It holds a transaction open.",
            fix="Close that program, or name another file with --store sqlite:///PATH.",
            details=details,
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreUnavailable(
            f"There is no space left to write {path}.",
            why="The disk is full.",
            fix="Free some space; nothing that was answered is lost.",
            details=details,
        )
    return StoreUnavailable(
        f"The database {path} cannot be used.",
        why=f"SQLite says: {error}.",
        fix="Check that the folder exists and may be written, or name another with --data-dir.",
        details=details,
    )
