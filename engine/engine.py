"""The facade: one object that has the services. What the workbench, the server and a Python program hold.

async with Engine.open() as engine:
    token = await engine.workflows.create_token("document_approval_v1", caller=PROGRAM)
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from engine import bootstrap
from engine.kernel import folders
from engine.kernel.logs import Redactor
from engine.kernel.settings import Loaded, load
from engine.kernel.world import World
from engine.llm.ports import Provider


class Engine:
    """The services, as attributes. Made by `Engine.open`."""

    def __init__(self, parts: bootstrap.Parts) -> None:
        self.loaded, self.settings, self.data_dir = parts.loaded, parts.loaded.settings, parts.data_dir
        self.world, self.bus, self.store = parts.world, parts.bus, parts.store
        self.provider_keys, self.llm, self.library = parts.provider_keys, parts.llm, parts.library
        self.accounts, self.fits = parts.accounts, parts.fits
        self.workflows, self.migrations, self.analytics = parts.workflows, parts.migrations, parts.analytics
        self.chats, self.agents, self.doctor = parts.chats, parts.agents, parts.doctor

    def announce(self, addresses: Mapping[str, str | None]) -> None:
        """Say at which addresses this process serves, to other processes that want the same store."""
        self.store.announce({name: address for name, address in addresses.items() if address})

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        loaded: Loaded | None = None,
        world: World | None = None,
        redactor: Redactor | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the store, find the providers, and close all of it when the block is left.

        Without arguments: the user's settings, this machine's world. `providers` by their ids take the place of those
        that the settings name. Raises InvalidConfig, StoreUnavailable and
        StoreCorrupt.
        """
        world = world or World.real()
        loaded = loaded or load(folders.config_file(), folders.with_dotenv(world.environ), {})
        async with bootstrap.build(loaded, world, redactor or Redactor(), providers) as parts:
            yield cls(parts)
