"""The doctor: what was found, what is missing, and what to do about it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.jobs.model import Job
from engine.kernel.errors import CircuitBreakerError, KeyringUnavailable
from engine.kernel.settings import Loaded
from engine.keys.service import Keys
from engine.llm.catalog import Catalog
from engine.llm.discovery import Discovery
from engine.llm.library import Library
from engine.llm.model import ProviderStatus
from engine.store.ports import Store
from engine.workflows.service import Workflows

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `note`: not there, and nothing is broken by it."""

    id: str
    title: str
    state: State
    says: str
    fix: str = ""


class Doctor:
    def __init__(
        self,
        store: Store,
        keys: Keys,
        catalog: Catalog,
        discovery: Discovery,
        workflows: Workflows,
        loaded: Loaded,
        library: Library,
    ) -> None:
        self._store, self._keys, self._catalog, self._discovery = store, keys, catalog, discovery
        self._workflows, self._loaded, self._library = workflows, loaded, library

    async def quick(self) -> Sequence[Check]:
        """What is known already: providers, keys, store. Asks nobody."""
        return [*map(_provider, self._catalog.providers.values()), self._key_check(), self._nats()]

    async def report(self) -> Sequence[Check]:
        """Everything, also what takes a while: the keyring is opened, the file and all histories are read."""
        await self._discovery.first_round(5.0)
        checks = list(await self.quick())
        database = await self._database()
        return [*checks[:-1], await self._keyring(), *database, checks[-1], self._settings(), *self._model_data()]

    def _key_check(self) -> Check:
        known = self._keys.known({status.id: status.address for status in self._catalog.providers.values()})
        if not known:
            return Check("keys", "Keys", "note", "No API keys: only local models.", "circuit-breaker keys set openai")
        shown = ", ".join(f"{info.provider} {info.ending} ({info.where})" for info in known)
        return Check("keys", "Keys", "ok", shown)

    async def _keyring(self) -> Check:
        try:
            keyring = await self._keys.keyring()
        except KeyringUnavailable as error:
            says = f"{error.what} {error.why} Keys you enter live in memory for this run only."
            return Check("keyring", "Keyring", "note", says, error.fix)
        return Check("keyring", "Keyring", "ok", f"Keys are kept by {keyring.title}.")

    async def _database(self) -> Sequence[Check]:
        try:
            wrong = await self._store.check()
            damages = await self._workflows.damages() if not wrong else ()
        except CircuitBreakerError as error:
            return [Check("database", "Database", "problem", f"{error.what} {error.why}", error.fix)]
        fix = "Restore a backup."
        if wrong:
            return [Check("database", "Database", "problem", f"{self._store.address}: {wrong[0]}", fix)]
        if damages:
            first = damages[0]
            says = f"{len(damages)} histories do not fit their hash chain, first {first.token} at {first.sequence}."
            return [Check("database", "Database", "problem", says, fix)]
        dead = await self._store.jobs.dead(2)
        waiting = [_dead_jobs(dead)] if dead else []
        version = f", SQLite {sqlite3.sqlite_version}" if self._store.address.startswith("sqlite") else ""
        says = f"{self._store.address}{version}: healthy, all histories verified."
        return [Check("database", "Database", "ok", says), *waiting]

    def _nats(self) -> Check:
        url = self._loaded.settings.nats_url
        if url:
            return Check("nats", "NATS", "note", "NATS_URL is set, and this version stores in SQLite only.")
        return Check("nats", "NATS", "note", "Not configured; one machine needs none.")

    def _model_data(self) -> Sequence[Check]:
        """What is wrong with the user's own files about models."""
        self._library.knowledge()
        fix = "Mend it, or take it away; docs/reference/models.md describes its form."
        return [Check("model-data", "Model data", "problem", says, fix) for says in self._library.problems]

    def _settings(self) -> Check:
        changed = [name for name, (origin, _) in self._loaded.origins.items() if origin != "default"]
        says = f"{self._loaded.file}" + ("" if self._loaded.file.exists() else " (not there: all defaults)")
        return Check("settings", "Settings", "ok", says + (f"; changed: {', '.join(changed)}" if changed else ""))


def _dead_jobs(jobs: Sequence[Job]) -> Check:
    first = jobs[0]
    more = " and others" if len(jobs) > 1 else ""
    says = f"The {first.kind} {first.name} of token {first.token}{more} failed {first.attempts} times: {first.error}"
    return Check("jobs", "Jobs", "problem", says, f"circuit-breaker token show {first.token}")


def _provider(status: ProviderStatus) -> Check:
    if status.state == "up":
        count = f"{len(status.models)} model{'' if len(status.models) == 1 else 's'}"
        names = ", ".join(model.name for model in status.models[:4]) + (", …" if len(status.models) > 4 else "")
        says = f"{count} at {status.address}" + (f": {names}" if names else "")
        if status.id == "embedded":
            says = f"ready: {names}"
        fix = "" if status.models else "ollama pull qwen2.5-coder:3b" if status.id == "ollama" else ""
        return Check(status.id, status.title, "ok" if status.models else "note", says, fix)
    return Check(status.id, status.title, "note", status.why, status.fix)
