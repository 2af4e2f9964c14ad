"""Requests that come at once begin a few at a time, in their order, and what else there is to do goes in between."""

import asyncio

from server.turns import Turns


async def test_some_begin_in_a_turn_and_others_get_a_turn_of_the_loop_in_between() -> None:
    turns, seen = Turns(2), list[str]()

    async def begin(number: int) -> None:
        await turns.mine()
        seen.append(str(number))

    async def work() -> None:
        for _ in range(8):
            seen.append("-")
            await asyncio.sleep(0)

    await asyncio.gather(*(begin(number) for number in range(6)), work())
    order = "".join(seen)
    assert order.replace("-", "") == "012345"
    assert all(len(together) <= 2 for together in order.split("-"))
    assert order.index("5") < len(order.rstrip("-"))


async def test_one_alone_does_not_wait() -> None:
    turns = Turns(1)
    for _ in range(3):
        waiting = asyncio.ensure_future(turns.mine())
        await asyncio.sleep(0)
        assert waiting.done()
        await asyncio.sleep(0)


async def test_who_has_left_takes_no_turn() -> None:
    turns = Turns(1)
    first, gone, last = (asyncio.ensure_future(turns.mine()) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(first, last)
    assert gone.cancelled()
