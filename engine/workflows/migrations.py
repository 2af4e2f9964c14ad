"""Migrating live tokens: the plan first, then the tokens, each in a transaction of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from engine.kernel.caller import Caller
from engine.kernel.errors import Conflict, InvalidInput
from engine.nets import firing
from engine.nets.marking import Marking
from engine.nets.token import Token
from engine.store.ports import TokenQuery
from engine.workflows.migration import Acceptance, Plan, Step, plan
from engine.workflows.model import Workflow
from engine.workflows.service import Workflows

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done: `moved` tokens went over; `skipped` were refused by the plan, or moved on while it was carried
    out."""

    plan: Plan
    moved: int
    skipped: int


class Migrations:
    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows

    async def plan(self, source: str, target: str, places: Mapping[str, str]) -> Plan:
        """What a migration would do. Raises NotFound; InvalidInput when both are one workflow."""
        if source == target:
            raise InvalidInput("A workflow cannot be migrated to itself.", fix="Name another version of it.")
        old, new = await self._workflows.workflow(source), await self._workflows.workflow(target)
        markings = await self._workflows.ledger.markings(source)
        return await asyncio.to_thread(plan, (old.id, old.net), (new.id, new.net), markings, dict(places))

    async def migrate(
        self, source: str, target: str, places: Mapping[str, str], *, caller: Caller, reason: str = ""
    ) -> Migrated:
        """Carry out the plan: tokens whose markings it accepts go over, the others stay. Safe to do again: what went
        over is no longer in the source. Raises as `plan`."""
        planned = await self.plan(source, target, places)
        new = await self._workflows.workflow(target)
        moved = skipped = 0
        async for token in self._live(source):
            step = _step_of(planned, token.marking)
            if step is None:
                skipped += 1
                continue
            with suppress(Conflict):
                await self._move(token, new, step, places, caller, reason)
                moved += 1
                continue
            skipped += 1
        return Migrated(planned, moved, skipped)

    async def _move(
        self, token: Token, new: Workflow, step: Step, places: Mapping[str, str], caller: Caller, reason: str
    ) -> None:
        event = self._workflows.event(
            token, "migrated", caller, after=step.after, reason=reason,
            detail={"from": token.workflow, "to": new.id, "places": dict(places)},
        )  # fmt: skip
        over = replace(token, workflow=new.id)
        await self._workflows.commit(firing.changed(new.net, over, event, token.data), token.head)

    async def _live(self, workflow: str) -> AsyncIterator[Token]:
        before = None
        while page := await self._workflows.ledger.tokens(TokenQuery(workflow, first=_PAGE, before=before)):
            before = page[-1].id
            for token in page:
                if token.status != "cancelled":
                    yield token


def _step_of(planned: Plan, marking: Marking) -> Step | None:
    return next(
        (step for step in planned.steps if step.marking == marking and step.acceptance is not Acceptance.REFUSED), None
    )
