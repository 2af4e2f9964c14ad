"""One piece of work for all who want the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Work(Generic[T]):
    task: "asyncio.Task[T]"
    waiting: int = 0


@dataclass
class Shared(Generic[T]):
    _running: dict[Hashable, _Work[T]] = field(default_factory=dict)

    async def get(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, or of the one that runs under the same key. It is cancelled when nobody waits for it
        any more."""
        found = self._running.get(key)
        if found is None:
            found = self._running[key] = _Work(asyncio.ensure_future(_awaited(work)))
            found.task.add_done_callback(lambda task: self._forget(key, task))
        found.waiting += 1
        try:
            return await asyncio.shield(found.task)
        finally:
            found.waiting -= 1
            if not found.waiting and not found.task.done():
                self._forget(key, found.task)  # who comes now begins anew
                found.task.cancel()
                await asyncio.wait([found.task])

    def _forget(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        if (found := self._running.get(key)) is not None and found.task is task:
            del self._running[key]


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
