"""One process at a time has the database: SQLite 3.7.0 to 3.51.2 can lose a commit when two connections of different
processes write and checkpoint at the same instant (the WAL-reset bug), and the group commit relies on being alone.

The lock is on `NAME.lock`; who holds it stands in `NAME.holder`, a JSON file for people and for the command line, which
finds the running instance's address there.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from engine.kernel.errors import StoreUnavailable


class Holder:
    """The right to use a database file. Raises StoreUnavailable when another process has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(f"{path}.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            if not Path(
                self._lock.lock_file
            ).exists():  # filelock takes a file that cannot be made for one that is held
                raise _unwritable(path, OSError(errno.ENOENT, "No file can be made there")) from None
            raise _held(path, holder_of(path)) from None
        except (OSError, NotImplementedError) as error:  # NotImplementedError: a file system without locks
            raise _unwritable(path, error) from None
        try:
            self.announce({})
        except StoreUnavailable:
            self._lock.release()
            raise

    def announce(self, addresses: Mapping[str, str]) -> None:
        """Say at which addresses this process serves."""
        try:
            _card(self._path).write_bytes(orjson.dumps({"pid": os.getpid(), **addresses}))
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def release(self) -> None:
        with suppress(OSError):
            _card(self._path).unlink()
        self._lock.release()


def holder_of(path: Path) -> Mapping[str, Any]:
    """What the process that has the database says of itself: pid and addresses. Empty when there is none."""
    try:
        card = orjson.loads(_card(path).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return card if isinstance(card, dict) else {}


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".holder")


def _unwritable(path: Path, error: OSError | NotImplementedError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The folder {path.parent} cannot be written.",
        why=f"{getattr(error, 'strerror', None) or error}.",
        fix="Name another with --data-dir.",
        details={"path": str(path)},
    )


def _held(path: Path, card: Mapping[str, Any]) -> StoreUnavailable:
    address = card.get("graphql")
    return StoreUnavailable(
        f"The database {path} is in use by another Circuit Breaker"
        + (f" (process {card['pid']})." if "pid" in card else "."),
        why="Only one process at a time may write it.",
        fix=(f"Use its API at {address}, quit it, " if address else "Quit it, ")
        + "or work on another folder with --data-dir.",
        details={"path": str(path), **card},
    )
