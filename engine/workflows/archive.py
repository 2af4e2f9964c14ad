"""Retention: the histories of tokens that ended long ago are folded into one event each, and the last one.

The chain is kept: the event that stands for the others has the hash of the last of them, and a seal over its content
(`engine.workflows.chain.archived`). A history that does not fit its chain is left as it is: folding it would make the
damage look whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.kernel.errors import Conflict, InvalidInput, StoreCorrupt
from engine.kernel.world import World
from engine.nets.token import Event, Status, Token
from engine.store.ports import Ledger, TokenQuery
from engine.workflows import chain

Keep = Callable[[Sequence[tuple[Token, Sequence[Event]]]], None]
"""Told of tokens and of the events that are about to be folded; what it writes must be on disk when it returns."""

_Work = tuple[Token, Sequence[Event], Event]
"""A token, its events that are folded, and the one that stands for them."""

_ENDED: tuple[Status, ...] = ("completed", "cancelled")
_PAGE = 200
_FEWEST = 2  # one event in the place of one saves nothing


@dataclass(frozen=True, slots=True)
class Archived:
    """What was done, or would be: `events` of `tokens` were folded. `damaged` are the tokens whose histories do not fit
    their chain, which were left alone."""

    tokens: int
    events: int
    damaged: tuple[str, ...]


class Archive:
    def __init__(self, ledger: Ledger, world: World) -> None:
        self._ledger, self._world = ledger, world

    async def fold(self, older_than: timedelta, *, dry_run: bool = False, keep: Keep | None = None) -> Archived:
        """Fold the histories of the tokens that were completed or cancelled and not touched since. Safe to do again,
        and to break off: each token is one transaction. Raises InvalidInput, and what `keep` raises."""
        if older_than < timedelta(0):
            raise InvalidInput("An age cannot be negative.", fix="Give a number of days from 0.")
        tokens = events = 0
        damaged = list[str]()
        async for page in self._ended(older_than):
            histories = await self._histories(page)
            damaged += [token.id for token in page if token.id not in histories]
            work, broken = await asyncio.to_thread(_plan, page, histories)
            damaged += broken
            if keep is not None and work and not dry_run:
                await asyncio.to_thread(keep, [(token, folded) for token, folded, _ in work])
            for _, folded, event in work:
                if not dry_run:
                    try:
                        await self._ledger.archive(event)
                    except Conflict:  # it was folded meanwhile
                        continue
                tokens += 1
                events += len(folded)
        return Archived(tokens, events, tuple(damaged))

    async def _histories(self, page: Sequence[Token]) -> Mapping[str, Sequence[Event]]:
        """Without those that cannot be read."""
        try:
            return await self._ledger.histories([token.id for token in page])
        except StoreCorrupt:
            if len(page) == 1:
                return {}
            half = len(page) // 2
            return {**await self._histories(page[:half]), **await self._histories(page[half:])}

    async def _ended(self, older_than: timedelta) -> AsyncIterator[Sequence[Token]]:
        before = self._world.now() - older_than
        for status in _ENDED:
            last = None
            while page := await self._ledger.tokens(
                TokenQuery(status=status, updated_before=before, first=_PAGE, before=last)
            ):
                yield page
                last = page[-1].id


def _plan(page: Sequence[Token], histories: Mapping[str, Sequence[Event]]) -> tuple[list[_Work], list[str]]:
    """What is to be folded, and the tokens whose histories do not fit their chain."""
    work, broken = list[_Work](), list[str]()
    for token in page:
        history = histories.get(token.id)
        if history is None:
            continue
        if chain.first_break(token, history) is not None:
            broken.append(token.id)
        elif len(history) > _FEWEST:
            work.append((token, history[:-1], chain.archived(token, history, token.version - 1)))
    return work, broken
