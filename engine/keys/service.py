"""The keys that people bring: environment first, then the keyring, then memory for this run.

A key belongs to a provider and to the scheme, host and port it was given for; it is sent nowhere else. What is stored
besides the keyring is a list of their names, so that they can be shown: never a key.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, cast
from urllib.parse import urlsplit

from engine.kernel.errors import InvalidInput, KeyringUnavailable, NotFound, shown
from engine.kernel.world import World
from engine.keys.environment import VARIABLES, keys_in
from engine.keys.memory import MemoryKeys
from engine.keys.ports import KeyStore
from engine.store.ports import Shelf

KEYRING_TIMEOUT_S = 20.0
_KIND = "key"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key: its last characters, never more. `where` is what keeps it."""

    provider: str
    origin: str
    where: str
    ending: str


class Keys:
    """`find_keyring` chooses the system's keyring, or raises; it is called when a key is first wanted."""

    def __init__(
        self,
        shelf: Shelf,
        world: World,
        find_keyring: Callable[[], KeyStore],
        learn: Callable[[list[str]], None],
        homes: Mapping[str, str],
        timeout_s: float = KEYRING_TIMEOUT_S,
        variables: Mapping[str, tuple[str, ...]] = VARIABLES,
    ) -> None:
        """`homes` is where each provider is asked: keys of the environment are sent there and nowhere else.
        `variables` are those of each provider."""
        self._timeout_s, self._variables = timeout_s, variables
        self._homes = {provider: origin_of(address) for provider, address in homes.items()}
        self._shelf, self._world, self._find, self._learn = shelf, world, find_keyring, learn
        self._keyring: KeyStore | None = None
        self._memory = MemoryKeys()
        self._lock = asyncio.Lock()
        self._known: dict[str, tuple[KeyInfo, str]] = {}
        for provider in variables:
            learn(list(self._in_environment(provider)))

    async def load(self) -> bool:
        """Fetch the keys that are stored; whether there are any. A keyring that does not answer leaves them out."""
        for name, body in await self._shelf.list(_KIND):
            provider, origin = str(body["provider"]), str(body["origin"])
            try:
                keyring = await self.keyring()
                secret = await self._ask(keyring.get, name)
            except KeyringUnavailable:
                break
            if secret is not None:
                self._keep(name, provider, origin, keyring.title, secret)
        return bool(self._known)

    def secrets(self, provider: str, address: str, owner: str = "") -> list[str]:
        """The keys for requests to `address`, best first. `owner` is an agent with a key of its own."""
        origin = origin_of(address)
        names = [name_of(provider, origin, owner), name_of(provider, origin)]
        stored = [self._known[name][1] for name in dict.fromkeys(names) if name in self._known]
        own, shared = (stored[:1], stored[1:]) if owner and names[0] in self._known else ([], stored)
        at_home = self._homes.get(provider) == origin
        return [*own, *(self._in_environment(provider) if at_home else ()), *shared]

    def has(self, provider: str, address: str, owner: str = "") -> bool:
        """Whether a key was given for exactly this provider, address and owner."""
        return name_of(provider, origin_of(address), owner) in self._known

    def known(self, addresses: Mapping[str, str]) -> list[KeyInfo]:
        """All keys, those of the environment first; `addresses` is where each provider is asked."""
        found = [
            KeyInfo(provider, origin_of(addresses.get(provider, "")), variable, _ending(secret))
            for provider in self._variables
            for secret, variable in self._in_environment(provider).items()
        ]
        return found + [info for info, _ in self._known.values()]

    async def set(self, provider: str, address: str, secret: str, owner: str = "") -> KeyInfo:
        """Keep a key for requests to `address`: in the keyring, else in memory for this run, as the answer says.

        Raises InvalidInput for something that is no key.
        """
        secret, origin = secret.strip(), origin_of(address)
        if not 4 <= len(secret) <= 10_000 or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise InvalidInput(
                f"That is no key for {provider}.",
                why="A key is one line of letters, digits and signs.",
                fix="Paste it again.",
            )
        self._learn([secret])
        name = name_of(provider, origin, owner)
        try:
            keyring: KeyStore = await self.keyring()
            await self._ask(keyring.set, name, secret)
            await self._shelf.put(_KIND, name, {"provider": provider, "origin": origin})
        except KeyringUnavailable:
            keyring = self._memory
            keyring.set(name, secret)
        return self._keep(name, provider, origin, keyring.title, secret)

    async def delete(self, provider: str, address: str, owner: str = "") -> None:
        """Forget a stored key. Raises NotFound, and KeyringUnavailable when the keyring has it and does not answer."""
        name = name_of(provider, origin_of(address), owner)
        stored = name in dict(await self._shelf.list(_KIND))
        if name not in self._known and not stored:
            variables = " or ".join(self._in_environment(provider).values())
            raise NotFound(
                f"There is no stored key for {provider}.",
                why=f"Its key comes from {variables}." if variables else "",
                fix="Unset the variable." if variables else "`circuit-breaker keys list` shows the keys.",
            )
        if stored:
            await self._ask((await self.keyring()).delete, name)
            await self._shelf.delete(_KIND, name)
        self._memory.delete(name)
        self._known.pop(name, None)

    def kept(self, provider: str, secret: str) -> tuple[str, str]:
        """Where a key is kept, and how it is replaced, for people; both empty for one that is not known."""
        if variable := self._in_environment(provider).get(secret):
            return f"from {variable}", f"Correct {variable}, and start again."
        stored = (info for info, kept in self._known.values() if info.provider == provider and kept == secret)
        replace = f"Replace it with `circuit-breaker keys set {provider}`."
        return next(((f"kept by {info.where}", replace) for info in stored), ("", ""))

    def _in_environment(self, provider: str) -> dict[str, str]:
        return keys_in(self._world.environ, provider, self._variables)

    async def keyring(self) -> KeyStore:
        """The system's keyring. Raises KeyringUnavailable."""
        async with self._lock:
            if self._keyring is None:
                self._keyring = await self._ask(self._find)
            return self._keyring

    async def _ask(self, call: Callable[..., T], *arguments: str) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await _on_thread(lambda: call(*arguments))
        except TimeoutError:
            raise KeyringUnavailable(
                "The keyring does not answer.",
                why=f"It did not within {self._timeout_s:g} seconds: it may be waiting for its password.",
                fix="Unlock it, and try again.",
            ) from None

    def _keep(self, name: str, provider: str, origin: str, where: str, secret: str) -> KeyInfo:
        info = KeyInfo(provider, origin, where, _ending(secret))
        self._learn([secret])
        self._known[name] = info, secret
        return info


async def _on_thread(call: Callable[[], T]) -> T:
    """The result of `call`, which may never come: a daemon's thread, so that one that waits for a password keeps nobody
    from quitting."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if answer.done():  # nobody waits any more
            return
        if error is None:
            answer.set_result(cast("T", result))
        else:
            answer.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    return await answer


@lru_cache(maxsize=256)
def origin_of(address: str) -> str:
    """Scheme, host and port of an address: what a key is bound to. Raises InvalidInput for what is no address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as error:
        raise InvalidInput(
            f"{shown(address)} is no address.", why=f"{error}.", fix="Write it like http://127.0.0.1:11434."
        ) from None
    return f"{parts.scheme}://{parts.hostname or ''}:{port}" if parts.scheme else ""


def name_of(provider: str, origin: str, owner: str = "") -> str:
    return f"{provider}@{origin}" + (f"#{owner}" if owner else "")


def _ending(secret: str) -> str:
    return "…" + secret[-4:] if len(secret) >= 12 else "…"
