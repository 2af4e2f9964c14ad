"""What is done to a database without the services: copies of it are made and put back.

The command line's, beside `engine.engine`: none of it needs a provider, a key or a running job.
"""

import asyncio
from pathlib import Path

from engine import bootstrap
from engine.bootstrap import Copied, Restored
from engine.kernel.settings import Loaded
from engine.kernel.world import World

__all__ = ["Copied", "Restored", "Upkeep"]


class Upkeep:
    def __init__(self, loaded: Loaded, world: World) -> None:
        self._loaded, self._world = loaded, world

    @property
    def database(self) -> Path:
        """The file that the settings name. Raises InvalidInput when they name a store that is no file."""
        return bootstrap.database_file(self._loaded.settings)

    async def back_up(self, file: Path, *, force: bool = False) -> Copied:
        """See `engine.store.sqlite.copies.back_up`."""
        return await asyncio.to_thread(bootstrap.back_up, self.database, file, force=force)

    async def restore(self, file: Path) -> Restored:
        """See `engine.store.sqlite.copies.restore`."""
        return await asyncio.to_thread(bootstrap.restore, file, self.database, self._world.now())
