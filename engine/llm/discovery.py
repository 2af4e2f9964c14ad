"""Finding providers and their models: at the start, and when they come and go later.

One task per provider asks it again and again: one that is down and near every two seconds, so that Ollama is seen soon
after it starts; others now and then, and sooner while they do not answer. A failure keeps the models that were known,
marked as down.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from engine.kernel.errors import CircuitBreakerError, ProviderAuth
from engine.llm.catalog import Catalog
from engine.llm.model import ProviderStatus
from engine.llm.ports import Provider

log = logging.getLogger("llm")
LOCAL_DOWN_S, LOCAL_UP_S, FAR_DOWN_S, FAR_S = 2.0, 10.0, 60.0, 600.0
DEADLINE_S = 10.0


class Discovery:
    came_up: Callable[[str], object]
    """Is told of a provider that answers again."""

    def __init__(self, providers: Mapping[str, Provider], catalog: Catalog) -> None:
        self._providers, self._catalog, self.came_up = providers, catalog, lambda _: None
        self._seen = {id: asyncio.Event() for id in providers}
        self._all_seen = False
        self._again = {id: asyncio.Event() for id in providers}

    async def run(self) -> None:
        """Watch all providers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for id in self._providers:
                group.create_task(self._watch(id), name=f"discover {id}")

    async def first_round(self, within_s: float) -> None:
        """Wait until each provider was asked once, but no longer than `within_s`."""
        if self._all_seen:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for seen in self._seen.values():
                    await seen.wait()
                self._all_seen = True

    def soon(self, provider: str) -> None:
        """Ask a provider again now: its key or its models have changed."""
        if provider in self._again:
            self._again[provider].set()

    async def refresh(self, id: str) -> ProviderStatus:
        """Ask one provider what it has, and tell the catalog."""
        provider = self._providers[id]
        known = self._catalog.providers.get(id)
        status = ProviderStatus(id, provider.title, "down", provider.address, provider.local)
        try:
            async with asyncio.timeout(DEADLINE_S):
                status = replace(status, state="up", models=await provider.models())
        except TimeoutError:
            status = replace(status, why=f"It did not answer within {DEADLINE_S:.0f} seconds.", fix="Try again.")
        except CircuitBreakerError as error:
            why = " ".join(part for part in (error.what, error.why) if part)
            status = replace(status, state="off" if isinstance(error, ProviderAuth) else "down", why=why, fix=error.fix)
        except Exception:  # a bug in one provider must not end the watch over the others
            log.exception("a bug", extra={"facts": {"provider": id}})
            status = replace(status, why="Something went wrong that should not have.", fix="The log has it.")
        if status.state == "down" and known:
            status = replace(status, models=known.models)
        self._catalog.update(status)
        if status.state == "up" and known and known.state != "up":
            self.came_up(id)
        self._seen[id].set()
        return status

    async def _watch(self, id: str) -> None:
        while True:
            self._again[id].clear()
            status = await self.refresh(id)
            near, far = (LOCAL_UP_S, FAR_S) if status.state == "up" else (LOCAL_DOWN_S, FAR_DOWN_S)
            pause = near if status.local else FAR_S if status.state == "off" else far
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._again[id].wait()
