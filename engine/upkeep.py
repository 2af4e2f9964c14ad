"""What is done to a database without the services: copies of it, everything in it as text, and retention.

The command line's, beside `engine.engine`: none of it needs a provider, a key or a running job.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from engine import bootstrap
from engine.bootstrap import copies
from engine.kernel.errors import InvalidInput
from engine.kernel.settings import Loaded
from engine.kernel.world import World
from engine.nets.token import Event, Token
from engine.store import exchange
from engine.store.exchange import Exchanged
from engine.workflows.archive import Archive, Archived
from engine.workflows.logs import jsonl

__all__ = ["Archived", "Copied", "Exchanged", "Restored", "Upkeep"]

Copied: TypeAlias = copies.Copied
Restored: TypeAlias = copies.Restored


class Upkeep:
    def __init__(self, loaded: Loaded, world: World) -> None:
        self._loaded, self._world = loaded, world

    @property
    def database(self) -> Path:
        """The file that the settings name. Raises InvalidInput when they name a store that is no file."""
        return bootstrap.database_file(self._loaded.settings)

    async def back_up(self, file: Path, *, force: bool = False) -> Copied:
        """See `engine.store.sqlite.copies.back_up`."""
        return await asyncio.to_thread(copies.back_up, self.database, file, force=force)

    async def restore(self, file: Path) -> Restored:
        """See `engine.store.sqlite.copies.restore`."""
        return await asyncio.to_thread(copies.restore, file, self.database, self._world.now())

    async def export(self, file: Path, *, force: bool = False) -> Exchanged:
        """Write everything into `file` as JSON Lines (`engine.store.exchange`). The database may be in use: what is
        written is a copy of one moment. Raises as `back_up`."""
        copies.must_be_free(file, force=force)
        found = Exchanged()
        with copies.beside(file) as temporary, TemporaryDirectory(dir=file.parent) as folder:
            copy = Path(folder) / "copy.db"
            await asyncio.to_thread(copies.back_up, self.database, copy)
            async with bootstrap.open_file(copy, self._world) as store:
                with copies.writing(file), temporary.open("wb") as out:
                    async for line in exchange.export(store, self._world.now(), found):
                        out.write(line)
            copies.put(temporary, file)
        return found

    async def import_(self, file: Path) -> Exchanged:
        """Store what `export` wrote; all of it is checked first. Raises InvalidInput with the line, Conflict for what
        is here and not the same, StoreUnavailable when a process has the database."""
        with _lines_of(file) as lines:
            await asyncio.to_thread(exchange.look_through, lines)
        async with bootstrap.open_file(self.database, self._world) as store:
            with _lines_of(file) as lines:
                return await exchange.import_(store, lines)

    async def archive(self, older_than: timedelta, *, export: Path | None = None, dry_run: bool = False) -> Archived:
        """Fold old histories (`engine.workflows.archive`), after their events were written to `export` as JSON Lines.
        Raises Conflict when that file is there, StoreUnavailable when a process has the database."""
        if export is not None:
            copies.must_be_free(export, force=False)

        def keep(some: Sequence[tuple[Token, Sequence[Event]]]) -> None:
            assert export is not None
            with copies.writing(export), export.open("a", encoding="utf-8") as out:
                out.writelines(jsonl.write(some))
                out.flush()
                os.fsync(out.fileno())

        async with bootstrap.open_file(self.database, self._world) as store:
            archive = Archive(store.ledger, self._world)
            return await archive.fold(older_than, dry_run=dry_run, keep=keep if export else None)


@contextmanager
def _lines_of(file: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file, none much longer than is taken."""
    try:
        opened = file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read.", why=f"{error.strerror}.") from None
    with opened:
        yield iter(lambda: opened.readline(exchange.MOST_LINE_BYTES + 1), b"")
