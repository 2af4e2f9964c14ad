"""The bus: bounded, in order, and honest about what was missed."""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.bus import Bus, Missed
from tests.support import ended, turns_of_the_loop


async def drained(subscription, count):
    found = []
    async for event in subscription:
        found.append(event)
        if len(found) == count:
            break
    return found


async def test_each_subscriber_gets_its_kinds_in_order(bus):
    with bus.subscribe(int) as numbers, bus.subscribe(int, str) as both:
        bus.publish([1, "a", 2])
        assert await drained(numbers, 2) == [1, 2]
        assert await drained(both, 3) == [1, "a", 2]


async def test_one_that_is_too_slow_loses_the_oldest_and_is_told_how_many(bus):
    with bus.subscribe(int, limit=3) as slow, bus.subscribe(int, limit=100) as fast:
        bus.publish(range(10))
        assert await drained(slow, 4) == [Missed(7), 7, 8, 9]
        assert await drained(fast, 10) == list(range(10))


async def test_a_waiting_subscriber_wakes(bus):
    with bus.subscribe(int) as subscription:
        waiting = asyncio.create_task(drained(subscription, 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        bus.publish([5])
        assert await waiting == [5]


async def test_who_has_left_gets_nothing_and_holds_nothing(bus):
    with bus.subscribe(int) as gone:
        pass
    bus.publish([1])
    assert bus.subscriptions == []
    task = asyncio.create_task(drained(gone, 1))
    await turns_of_the_loop(lambda: True)
    assert not task.done()
    await ended(task)


async def test_taking_at_once_leaves_nothing(bus):
    with bus.subscribe(int) as subscription:
        bus.publish([1, 2])
        assert subscription.take() == [1, 2]
        assert subscription.take() == []


@given(st.integers(1, 5), st.lists(st.one_of(st.integers(1, 8), st.none()), max_size=12))
async def test_nothing_is_lost_without_being_counted(limit, steps):
    """Numbers are published in bursts; None reads once. What is read and what is missed is everything."""
    bus, published, seen, missed = Bus(), 0, [], 0
    with bus.subscribe(int, limit=limit) as subscription:
        reader = aiter(subscription)
        for step in [*steps, *[None] * (2 * limit + 2)]:
            if step is not None:
                bus.publish(range(published, published + step))
                published += step
            elif subscription._events or subscription._missed:
                event = await anext(reader)
                if isinstance(event, Missed):
                    missed += event.count
                else:
                    seen.append(event)
        assert len(subscription._events) == 0
    assert len(seen) + missed == published
    assert all(a < b for a, b in pairwise(seen))
