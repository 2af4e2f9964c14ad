"""The bus: what happened in the engine, for whoever wants to see it.

Publishing never waits: each subscriber has a bounded queue, and one that falls behind loses its oldest events and is
told how many. Nothing that must happen hangs on the bus; what must not be lost is committed before it is published.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Missed:
    """Comes in place of `count` events that a subscriber was too slow for."""

    count: int


class Subscription(Generic[E]):
    """A bounded queue of events of some kinds. Iterate over it; leave the `with` block to end it."""

    def __init__(self, bus: "Bus", kinds: tuple[type[E], ...], limit: int) -> None:
        self._bus, self._kinds = bus, kinds
        self._events: deque[E] = deque(maxlen=limit)
        self._missed = 0
        self._arrived = asyncio.Event()

    def __enter__(self) -> "Subscription[E]":
        self._bus.subscriptions.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.subscriptions.remove(self)

    def put(self, event: object) -> None:
        if isinstance(event, self._kinds):
            self._missed += len(self._events) == self._events.maxlen
            self._events.append(event)
            self._arrived.set()

    def take(self) -> list[E]:
        """What is waiting, at once."""
        taken = list(self._events)
        self._events.clear()
        return taken

    async def arrived(self, within_s: float) -> bool:
        """Wait until something is waiting, at most so many seconds. Whether there is."""
        if not self._events:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), within_s)
        return bool(self._events)

    async def __aiter__(self) -> AsyncIterator[E | Missed]:
        while True:
            if self._missed:
                missed, self._missed = self._missed, 0
                yield Missed(missed)
            elif self._events:
                yield self._events.popleft()
            else:
                self._arrived.clear()
                await self._arrived.wait()


class Bus:
    def __init__(self) -> None:
        self.subscriptions: list[Subscription[Any]] = []

    def publish(self, events: Iterable[object]) -> None:
        for event in events:
            for subscription in self.subscriptions:
                subscription.put(event)

    def subscribe(self, *kinds: type[E], limit: int = 1024) -> Subscription[E]:
        """Events of `kinds` from now on, at most `limit` of them waiting."""
        return Subscription(self, kinds, limit)
