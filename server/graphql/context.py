"""What resolvers are given."""

from collections.abc import Sequence

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from engine.engine import Engine
from engine.jobs.model import Job
from engine.kernel.caller import Caller
from engine.nets.token import Event


class Context:
    """One request's: the engine, who asks, and loaders that gather what many fields want into one read."""

    def __init__(self, engine: Engine, caller: Caller) -> None:
        self.engine, self.caller = engine, caller
        self.jobs: DataLoader[str, Sequence[Job]] = DataLoader(self._load_jobs, cache=False)
        self.histories: DataLoader[str, Sequence[Event]] = DataLoader(self._load_histories, cache=False)

    async def _load_histories(self, ids: list[str]) -> list[Sequence[Event]]:
        found = await self.engine.workflows.histories(ids)
        return [found[id] for id in ids]

    async def _load_jobs(self, ids: list[str]) -> list[Sequence[Job]]:
        found = await self.engine.workflows.jobs(ids)
        return [found[id] for id in ids]


Ask = Info[Context, None]
