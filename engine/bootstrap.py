"""The only place that builds what answers of models need: settings -> adapters -> services. `engine.rooms` builds the
other rooms on top of it.

What is made here is taken apart here, in the opposite order.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import orjson

from engine.kernel import assets, folders
from engine.kernel.bus import Bus
from engine.kernel.errors import InvalidConfig, InvalidInput, StoreCorrupt, StoreUnavailable
from engine.kernel.logs import Redactor
from engine.kernel.settings import Loaded, Settings
from engine.kernel.tasks import ended
from engine.kernel.world import World
from engine.keys.os_keyring import OsKeyring
from engine.keys.providers import ProviderKeys
from engine.keys.service import Keys
from engine.llm.accounts import Accounts
from engine.llm.catalog import Catalog
from engine.llm.discovery import Discovery
from engine.llm.health import REMEMBERED
from engine.llm.library import Library
from engine.llm.ports import Provider
from engine.llm.priors import Priors
from engine.llm.routing.policies import DIALS, read_policies, with_dial
from engine.llm.service import Llm
from engine.llm.votes import Votes
from engine.store.ports import Store
from engine.store.sqlite import copies
from engine.store.sqlite.store import SqliteStore
from engine.upstreams import Upstreams

__all__ = ["Parts", "build", "copies", "database_file", "database_path", "open_file"]

log = logging.getLogger("engine")
DATABASE = "circuit-breaker.db"
KEYS_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What was built. `addresses` is where each provider is asked."""

    loaded: Loaded
    data_dir: Path
    world: World
    bus: Bus
    store: Store
    keys: Keys
    addresses: Mapping[str, str]
    provider_keys: ProviderKeys
    llm: Llm
    library: Library
    accounts: Accounts


@asynccontextmanager
async def build(
    loaded: Loaded, world: World, redactor: Redactor, providers: Mapping[str, Provider] | None = None
) -> AsyncIterator[Parts]:
    """Build the services on the store that the settings name, and watch the providers until the block is left: those
    of the settings, or the ones that are given.

    Raises StoreUnavailable, StoreCorrupt and InvalidConfig.
    """
    settings = loaded.settings
    data_dir = settings.data_dir or folders.data_folder()
    bus = Bus()
    async with AsyncExitStack() as stack:
        if settings.telemetry:
            await stack.enter_async_context(await _telemetry(bus, settings.telemetry))
        store = await _open_store(settings, data_dir, world)
        stack.push_async_callback(store.close)
        upstreams = Upstreams.of(settings)
        addresses, variables = upstreams.addresses, upstreams.variables
        redactor.learn(upstreams.secrets(world.environ))
        keys = Keys(store.shelf, world, OsKeyring.find, redactor.learn, addresses, variables=variables)
        if providers is None:
            providers = upstreams.providers(keys, world, data_dir / "logs")
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        library = Library(data_dir / "models", lambda: world.now().date())
        catalog = Catalog(bus, list(providers), library.enriched)
        discovery = Discovery(providers, catalog)
        policies = with_dial(read_policies(settings.routes), DIALS[settings.dial])
        votes = Votes(store.shelf)
        await votes.load()
        accounts = Accounts(
            store.shelf,
            store.journal,
            bus,
            world,
            reference=lambda: (settings.spend_reference, library.price(settings.spend_reference)),
            keeps_content=settings.log_content,
            keeps_days=settings.log_days,
        )
        llm = Llm(
            providers, catalog, discovery, store.journal, bus, world, policies, _priors, votes, accounts,
            emulate_tools=settings.emulate_tools, local_only=settings.local_only,
        )  # fmt: skip
        loading = asyncio.create_task(_load_keys(keys, discovery, providers), name="keys")
        stack.push_async_callback(ended, loading)
        await asyncio.wait([loading], timeout=KEYS_WITHIN_S)  # a keyring that asks for its password may take longer
        parts = Parts(
            loaded=loaded,
            data_dir=data_dir,
            world=world,
            bus=bus,
            store=store,
            keys=keys,
            addresses=addresses,
            provider_keys=ProviderKeys(keys, addresses, discovery.soon, variables),
            llm=llm,
            library=library,
            accounts=accounts,
        )
        watching = asyncio.create_task(discovery.run(), name="discovery")
        stack.push_async_callback(ended, watching)
        looking = asyncio.create_task(llm.look_at_machine(), name="machine")
        stack.push_async_callback(ended, looking)
        remembering = asyncio.create_task(_remember(accounts, llm), name="request log")
        stack.push_async_callback(ended, remembering)
        yield parts


async def _remember(accounts: Accounts, llm: Llm) -> None:
    """Learn from the log how fast the models are, and keep it from growing for ever. A log that cannot be read must not
    keep the program from running: the doctor says what is wrong with the database."""
    try:
        llm.health.recall(await llm.requests(REMEMBERED))
        await accounts.run()
    except (StoreCorrupt, StoreUnavailable) as error:
        log.warning("the request log cannot be read", extra={"facts": {"error": error.code, "why": error.why}})


async def _telemetry(bus: Bus, endpoint: str) -> AbstractAsyncContextManager[None]:
    """Spans for an OTLP endpoint. What they need is an extra, and takes long to load. Raises InvalidConfig without."""
    try:
        telemetry = await asyncio.to_thread(import_module, "engine.telemetry")
    except ImportError as error:
        raise InvalidConfig(
            "Telemetry is switched on, and OpenTelemetry is not there.",
            why=f"{error}.",
            fix="Install it: `pip install 'circuit-breaker[otel]'`; or take `telemetry.endpoint` out.",
            details={"path": "telemetry.endpoint"},
        ) from None
    found: AbstractAsyncContextManager[None] = telemetry.spans(bus, telemetry.exporting(endpoint))
    return found


async def _open_store(settings: Settings, data_dir: Path, world: World) -> Store:
    scheme, _, path = settings.store.partition("://")
    match scheme:
        case "":
            return await SqliteStore.open(data_dir / DATABASE, world.now())
        case "memory":
            memory: Store = import_module("engine.store.memory.store").MemoryStore()
            return memory
        case "sqlite":
            return await SqliteStore.open(database_path(settings, data_dir), world.now())
        case _:
            raise InvalidConfig(
                f"A store of the kind {scheme}:// is not known.",
                fix="Use sqlite:///PATH or memory://.",
                details={"path": "store", "store": path},
            )


@asynccontextmanager
async def open_file(database: Path, world: World) -> AsyncIterator[Store]:
    """The store in a file, without services. Raises StoreUnavailable and StoreCorrupt."""
    store = await SqliteStore.open(database, world.now())
    try:
        yield store
    finally:
        await store.close()


def database_path(settings: Settings, data_dir: Path) -> Path:
    """Where the SQLite file is that the settings name (`sqlite:///relative` or `sqlite:////absolute`)."""
    path = settings.store.removeprefix("sqlite://").removeprefix("/")
    return Path(path).expanduser() if settings.store.startswith("sqlite://") and path else data_dir / DATABASE


def database_file(settings: Settings) -> Path:
    """The database file of a store that is one. Raises InvalidInput for one that is not."""
    if settings.store and not settings.store.startswith("sqlite://"):
        raise InvalidInput(
            f"The store {settings.store} is no file.",
            why="It lives only as long as the program that has it.",
            fix="Name a database with --store sqlite:///PATH or --data-dir.",
            details={"store": settings.store},
        )
    return database_path(settings, settings.data_dir or folders.data_folder())


def _priors() -> Priors:
    return Priors(orjson.loads((assets.folder() / "models" / "quality.json").read_bytes()))


async def _load_keys(keys: Keys, discovery: Discovery, providers: Mapping[str, Provider]) -> None:
    if await keys.load():
        for id in providers:
            discovery.soon(id)
