"""Tokens of Google's OAuth: fetched when one is wanted, kept until shortly before they end, once for all who wait."""

import asyncio
from pathlib import Path

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.providers.vertex.credentials import Credentials, read_credentials
from engine.llm.wire import Address, Wire

BEFORE_S = 300.0  # so long before its end a token is replaced
_WITHIN_S = 20.0


class Tokens:
    """Tokens for the credentials in a file. `token_url` takes the place of the address in it."""

    def __init__(self, file: Path, world: World, title: str, token_url: str = "") -> None:
        self._file, self._world, self._title, self._token_url = file, world, title, token_url
        self._token, self._until = "", 0.0
        self._lock = asyncio.Lock()
        self._wire: Wire | None = None

    async def get(self) -> str:
        """A token that is good for some minutes. Raises ProviderAuth, and what a wire raises."""
        async with self._lock:
            if not self._token or self._world.monotonic() >= self._until:
                await self._fetch()
            return self._token

    def forget(self) -> None:
        """It was refused: the next one that wants a token gets a new one."""
        self._token = ""

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()

    async def _fetch(self) -> None:
        credentials = await asyncio.to_thread(read_credentials, self._file, self._token_url)
        form = await asyncio.to_thread(credentials.form, self._world.now())
        wire = self._to(credentials)
        try:
            answer = await wire.post_form("", form, within_s=_WITHIN_S)
        except ProviderRejected as error:
            fix = "Look whether the account is enabled, and its key still there."
            what = f"Google gave no token to {credentials.who}."
            raise ProviderAuth(what, why=error.why, fix=fix, details=error.details) from None
        token, seconds = (answer.get(name) for name in ("access_token", "expires_in")) if answer else (None, None)
        if not isinstance(token, str) or not token:
            raise wire.broken("It gave no token.")
        lasts = float(seconds) if isinstance(seconds, int | float) else 0.0
        self._token, self._until = token, self._world.monotonic() + max(0.0, lasts - BEFORE_S)

    def _to(self, credentials: Credentials) -> Wire:
        if self._wire is None:
            address = Address.parse(credentials.token_url)
            self._wire = Wire(
                address, provider="vertex", title=f"The token service of {self._title}", world=self._world
            )
        return self._wire
