"""Runs jobs when they are due. One runner for a store; each kind of job has a handler.

A handler ends its job itself, in the transaction that stores its result (`Change.done`), so that what a job did counts
once however often it is tried. One that fails is tried again later (`engine.jobs.retry`).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from engine.jobs.model import Job
from engine.jobs.retry import after_failure
from engine.kernel.bus import Bus
from engine.kernel.errors import CircuitBreakerError
from engine.kernel.world import World
from engine.store.ports import JobQueue

Handler = Callable[[Job], Awaitable[None]]

_AT_ONCE = 200
_LONGEST_SLEEP_S = 30.0  # a clock that was set is noticed within
_log = logging.getLogger("circuit_breaker.jobs")


class JobsWaiting:
    """Published when a change has put jobs into the store: `due` is the first of them."""

    def __init__(self, due: datetime) -> None:
        self.due = due


class Runner:
    def __init__(self, queue: JobQueue, handlers: Mapping[str, Handler], bus: Bus, world: World) -> None:
        self._queue, self._handlers, self._bus, self._world = queue, handlers, bus, world

    async def run(self) -> None:
        """Run jobs as they come due, until it is cancelled."""
        with self._bus.subscribe(JobsWaiting, limit=1) as waiting:
            while True:
                waiting.take()
                try:
                    while await self.run_due():
                        pass
                    wait = await self._seconds_to_next()
                except CircuitBreakerError as error:
                    _log.warning("The jobs cannot be read: %s", error)
                    wait = _LONGEST_SLEEP_S
                await waiting.arrived(within_s=wait)

    async def run_due(self) -> int:
        """Run the jobs that are due now, each once. How many there were."""
        jobs = await self._queue.due(self._world.now(), _AT_ONCE)
        for job in jobs:
            await self._run(job)
        return len(jobs)

    async def _run(self, job: Job) -> None:
        handler = self._handlers.get(job.kind)
        try:
            if handler is None:
                raise LookupError(f"nothing runs jobs of the kind {job.kind}")
            await handler(job)
        except Exception as error:
            later = after_failure(job, str(error), self._world.now())
            _log.warning("The job %s of %s failed (%s of them): %s", job.kind, job.token, later.attempts, error)
            await self._queue.put_back(later)

    async def _seconds_to_next(self) -> float:
        next_due = await self._queue.next_due()
        if next_due is None:
            return _LONGEST_SLEEP_S
        return min(_LONGEST_SLEEP_S, max(0.0, (next_due - self._world.now()).total_seconds()))
