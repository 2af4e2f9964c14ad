"""The facade: one object that has the services. What the workbench, the server and a Python program hold.

async with Engine.open() as engine:
    token = await engine.workflows.create_token("document_approval_v1", caller=PROGRAM)
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Self

from engine import bootstrap
from engine.kernel import folders
from engine.kernel.logs import Redactor
from engine.kernel.settings import Loaded, load
from engine.kernel.world import World
from engine.llm.ports import Provider

if TYPE_CHECKING:
    from engine.agents.service import Agents
    from engine.chats.service import Chats
    from engine.doctor import Doctor
    from engine.llm.fits import Fits
    from engine.rooms import Rooms
    from engine.workflows.migrations import Migrations
    from engine.workflows.reports import Analytics
    from engine.workflows.service import Workflows


class Engine:
    """The services, as attributes. Made by `Engine.open`."""

    workflows: "Workflows"
    migrations: "Migrations"
    analytics: "Analytics"
    chats: "Chats"
    agents: "Agents"
    fits: "Fits"
    doctor: "Doctor"

    def __init__(self, parts: bootstrap.Parts, stack: AsyncExitStack) -> None:
        self._parts, self._stack, self._furnishing, self._whole = parts, stack, asyncio.Lock(), False
        self.loaded, self.settings, self.data_dir = parts.loaded, parts.loaded.settings, parts.data_dir
        self.world, self.bus, self.store = parts.world, parts.bus, parts.store
        self.provider_keys, self.llm, self.library = parts.provider_keys, parts.llm, parts.library
        self.accounts = parts.accounts

    async def whole(self) -> None:
        """Add the rooms that answers of models do not need, if they are not there yet: workflows, chats, agents and
        the doctor. Raises StoreUnavailable and StoreCorrupt."""
        async with self._furnishing:
            if self._whole:
                return
            building = await asyncio.to_thread(import_module, "engine.rooms")
            rooms: Rooms = await self._stack.enter_async_context(building.furnished(self._parts))
            self.workflows, self.migrations, self.analytics = rooms.workflows, rooms.migrations, rooms.analytics
            self.chats, self.agents, self.fits, self.doctor = rooms.chats, rooms.agents, rooms.fits, rooms.doctor
            self._whole = True

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
        *,
        whole: bool = True,
    ) -> AsyncIterator[Self]:
        """Open the store, find the providers, and close all of it when the block is left.

        Without arguments: the user's settings, this machine's world. `providers` by their ids take the place of those
        that the settings name. One that is not `whole` has what answers of models need; see `Engine.whole`.
        Raises InvalidConfig, StoreUnavailable and StoreCorrupt.
        """
        world = world or World.real()
        loaded = loaded or load(folders.config_file(), folders.with_dotenv(world.environ), {})
        async with (
            bootstrap.build(loaded, world, redactor or Redactor(), providers) as parts,
            AsyncExitStack() as stack,
        ):
            engine = cls(parts, stack)
            if whole:
                await engine.whole()
            yield engine
