"""The rooms that no answer of a model needs: workflows with what runs on them, chats, agents, the doctor.

They are built on what `engine.bootstrap` has built, by itself: to load them takes as long as to load all the rest
(docs/decisions/lazy-start.md).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from engine.agents.service import Agents
from engine.bootstrap import Parts
from engine.chats.service import Chats
from engine.doctor import Doctor
from engine.jobs.runner import Runner
from engine.kernel import assets
from engine.kernel.tasks import ended
from engine.llm.fits import Fits
from engine.workflows.clockwork import Clockwork
from engine.workflows.migrations import Migrations
from engine.workflows.reports import Analytics
from engine.workflows.service import Workflows


@dataclass(frozen=True, slots=True)
class Rooms:
    workflows: Workflows
    migrations: Migrations
    analytics: Analytics
    chats: Chats
    agents: Agents
    fits: Fits
    doctor: Doctor


@asynccontextmanager
async def furnished(parts: Parts) -> AsyncIterator[Rooms]:
    """The rooms, with the example workflows in the store; their jobs run until the block is left.

    Raises StoreUnavailable and StoreCorrupt.
    """
    store, world, llm = parts.store, parts.world, parts.llm
    workflows = Workflows(store.ledger, parts.bus, world, store.jobs)
    await _load_examples(workflows)
    runner = Runner(store.jobs, Clockwork(workflows, store.jobs).handlers, parts.bus, world)
    running = asyncio.create_task(runner.run(), name="jobs")
    try:
        yield Rooms(
            workflows=workflows,
            migrations=Migrations(workflows),
            analytics=Analytics(store.ledger, world),
            chats=Chats(store.shelf, llm, world),
            agents=Agents(store.shelf, parts.keys, llm.catalog, parts.addresses, world),
            fits=Fits(world),
            doctor=Doctor(store, parts.keys, llm.catalog, llm.discovery, workflows, parts.loaded, parts.library),
        )
    finally:
        await ended(running)


async def _load_examples(workflows: Workflows) -> None:
    """The example workflows are there from the first start; they are stored once."""
    for file in sorted((assets.folder() / "workflows").glob("*.json")):
        await workflows.create(orjson.loads(file.read_bytes()))
