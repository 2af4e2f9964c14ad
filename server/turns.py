"""Turns: how many requests begin in one turn of the loop.

A request takes a hundred times as long to begin as a piece of an answer takes to pass on. When many come at once, those
that are being answered would wait for all of them to have begun; so some begin, what has come meanwhile is passed on,
and then some more begin.
"""

import asyncio
from collections import deque


class Turns:
    """`most` begin in one turn."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._counting = False

    async def mine(self) -> None:
        """Wait for one's turn, in the order of asking."""
        loop = asyncio.get_running_loop()
        if not self._counting:
            self._counting = True
            loop.call_soon(self._next)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self) -> None:
        self._left = self._most
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # who has left needs none
                turn.set_result(None)
                self._left -= 1
        self._counting = bool(self._waiting)
        if self._counting:
            asyncio.get_running_loop().call_soon(self._next)
