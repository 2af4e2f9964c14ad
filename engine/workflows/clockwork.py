"""Runs the jobs of workflows: timers, deadlines, and the tokens that run inside others."""

from collections.abc import Mapping

from engine.jobs.model import Job
from engine.jobs.runner import Handler
from engine.kernel.caller import Caller
from engine.kernel.errors import Conflict, NotEnabled, NotFound
from engine.nets import firing
from engine.nets.effects import moment
from engine.nets.token import Token
from engine.store.ports import JobQueue
from engine.workflows.model import Workflow
from engine.workflows.service import Workflows

TIMER = Caller("timer", "engine")
SUB_WORKFLOW = Caller("sub-workflow", "engine")


class Clockwork:
    def __init__(self, workflows: Workflows, jobs: JobQueue) -> None:
        self._workflows, self._jobs = workflows, jobs

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "timer": self._timer,
            "timeout": self._timeout,
            "ask": self._ask,
            "begin": self._begin,
            "abandon": self._abandon,
            "resume": self._resume,
        }

    async def _timer(self, job: Job) -> None:
        """Fire the transition whose time has come. One whose guard says no now waits until it is asked again (`_ask`),
        or for its next turn."""
        try:
            await self._workflows.fire(job.token, job.name, caller=TIMER, done=job)
        except (NotEnabled, NotFound):
            await self._jobs.finish(job)
        except Conflict:
            if await self._still_waits(job):
                raise

    async def _ask(self, job: Job) -> None:
        """Fire a transition whose time had come when its guard said no. One whose clock still goes has its turn yet."""
        token, workflow = await self._token(job.token)
        transition = workflow.net.transition_of.get(job.name)
        waiting = (await self._jobs.of([job.token]))[job.token]
        goes = any((one.kind, one.name) == ("timer", job.name) for one in waiting)
        if goes or transition is None or not transition.timer or moment(transition.timer, token) is None:
            await self._jobs.finish(job)
        else:
            await self._timer(job)

    async def _timeout(self, job: Job) -> None:
        """Write into the history of a token that it is overdue."""
        token, workflow = await self._token(job.token)
        if job.name not in token.marking or not await self._still_waits(job):
            await self._jobs.finish(job)
            return
        event = self._workflows.event(token, "overdue", TIMER, detail={"place": job.name})
        overdue = firing.changed(workflow.net, token, event, token.data)
        await self._workflows.commit(overdue, token.head, done=job)

    async def _begin(self, job: Job) -> None:
        """Create the token inside. It has the data of the one around it."""
        parent, _ = await self._token(job.token)
        child, transition = job.payload["child"], job.payload["transition"]
        if parent.running.get(transition) == child and not await self._exists(child):
            workflow = await self._workflows.workflow(job.payload["workflow"])
            inside = {"token": parent.id, "transition": transition, "source": job.payload["source"]}
            marking = workflow.net.initial
            born = self._workflows.born(
                child, workflow, marking, parent.data, {"parent": inside}, SUB_WORKFLOW, detail={"inside": parent.id}
            )
            await self._workflows.add(born)
        await self._jobs.finish(job)

    async def _abandon(self, job: Job) -> None:
        """Cancel the token inside one that has moved on without it."""
        child = job.payload["child"]
        if await self._exists(child) and (await self._workflows.token(child)).status == "active":
            await self._workflows.cancel(child, caller=SUB_WORKFLOW, reason=f"{job.token} went on without it")
        await self._jobs.finish(job)

    async def _resume(self, job: Job) -> None:
        """Fire the transition around a token that has come to its end, with its data; give it up when it was
        cancelled."""
        parent, workflow = await self._token(job.token)
        transition, child_id = job.payload["transition"], job.payload["child"]
        if parent.running.get(transition) != child_id:
            await self._jobs.finish(job)
            return
        child = await self._workflows.token(child_id)
        if child.status == "completed":
            source = child.metadata["parent"].get("source")
            await self._workflows.fire(
                parent.id, transition, caller=SUB_WORKFLOW, data=child.data, source=source, done=job
            )
            return
        event = self._workflows.event(
            parent, "abandoned", SUB_WORKFLOW, transition=transition, detail={"token": child_id}
        )
        given_up = firing.changed(workflow.net, parent, event, parent.data)
        await self._workflows.commit(given_up, parent.head, done=job)

    async def _still_waits(self, job: Job) -> bool:
        return any(
            one.key == job.key and one.sequence == job.sequence for one in (await self._jobs.of([job.token]))[job.token]
        )

    async def _token(self, token_id: str) -> tuple[Token, Workflow]:
        token = await self._workflows.token(token_id)
        return token, await self._workflows.workflow(token.workflow)

    async def _exists(self, token_id: str) -> bool:
        try:
            await self._workflows.token(token_id)
        except NotFound:
            return False
        return True
