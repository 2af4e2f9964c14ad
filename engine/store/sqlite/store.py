"""The SQLite store: one file, four parts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.kernel.errors import StoreUnavailable
from engine.store.sqlite.database import Database
from engine.store.sqlite.journal import SqliteJournal
from engine.store.sqlite.shelf import SqliteShelf

if TYPE_CHECKING:
    from engine.store.sqlite.jobs import SqliteJobs
    from engine.store.sqlite.ledger import SqliteLedger


class SqliteStore:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = SqliteShelf(database)
        self.journal = SqliteJournal(database)
        self.address = f"sqlite:///{database.path}"

    @cached_property
    def ledger(self) -> "SqliteLedger":
        from engine.store.sqlite.ledger import SqliteLedger  # it knows nets, and answers of models need none

        return SqliteLedger(self.database)

    @cached_property
    def jobs(self) -> "SqliteJobs":
        from engine.store.sqlite.jobs import SqliteJobs

        return SqliteJobs(self.database)

    @classmethod
    async def open(cls, path: Path, now: datetime) -> "SqliteStore":
        """See `Database.open` for the errors."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The folder {path.parent} cannot be made.",
                why=f"{error.strerror}.",
                fix="Name another with --data-dir.",
                details={"path": str(path)},
            ) from None
        return cls(await Database.open(path, now))

    def announce(self, addresses: Mapping[str, str]) -> None:
        self.database.holder.announce(addresses)

    async def check(self) -> Sequence[str]:
        return await self.database.check()

    async def close(self) -> None:
        self.journal.flush()
        await self.database.close()
