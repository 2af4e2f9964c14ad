"""Tokens of OAuth: fetched when one is wanted, kept until shortly before they end, once for all who wait."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.wire import Wire

BEFORE_S = 300.0  # so long before its end a token is replaced
WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Issued:
    token: str
    lasts_s: float = 0.0  # not told: good for this once


Issue = Callable[[], Awaitable[Issued]]
"""Gets a new token. Raises ProviderAuth, and what a wire raises."""


class Tokens:
    def __init__(self, issue: Issue, world: World) -> None:
        self._issue, self._world = issue, world
        self._token, self._until = "", 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """A token that is good for some minutes. Raises what its issue raises."""
        async with self._lock:
            if not self._token or self._world.monotonic() >= self._until:
                issued = await self._issue()
                self._token = issued.token
                self._until = self._world.monotonic() + max(0.0, issued.lasts_s - BEFORE_S)
            return self._token

    def forget(self) -> None:
        """It was refused: the next one that wants a token gets a new one."""
        self._token = ""


async def granted(
    wire: Wire, form: Mapping[str, str], *, no: str, fix: str, public: Collection[str] = ("grant_type",)
) -> Issued:
    """The token that a token service gives for a form (RFC 6749, 5). `no` and `fix` are what is said when it gives
    none; the values of the form but for the `public` ones are kept out of that."""
    try:
        return issued_in(await wire.post_form("", form, public=public, within_s=WITHIN_S), wire)
    except (ProviderAuth, ProviderRejected) as error:
        raise ProviderAuth(no, why=error.why, fix=fix, details=error.details) from None


def issued_in(answer: Any, wire: Wire) -> Issued:
    """Raises ProviderUnavailable when there is no token in an answer."""
    token, seconds = (answer.get(name) for name in ("access_token", "expires_in")) if answer else (None, None)
    if not isinstance(token, str) or not token:
        raise wire.broken("It gave no token.")
    return Issued(token, float(seconds) if isinstance(seconds, int | float) else 0.0)
