"""Which local models fit the memory that is free now: the arithmetic of `fit`, for this machine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.kernel.machine import Machine
from engine.kernel.world import World
from engine.llm.fit import Fit, fit
from engine.llm.model import Model


@dataclass(frozen=True, slots=True)
class Fits:
    world: World

    async def one(self, model: Model, context: int = 0) -> tuple[Fit, Machine]:
        """Whether a model fits with so many tokens of context, and what was found of the machine."""
        here = await self.world.memory()
        return fit(model, here, context), here

    async def all(self, models: Iterable[Model]) -> Mapping[str, Fit]:
        """Those of the local ones, by id; the machine is looked at once."""
        here = await self.world.memory()
        return {model.id: fit(model, here) for model in models if model.local}
