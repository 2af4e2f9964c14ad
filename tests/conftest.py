"""What all tests share: no test touches the user's files, keys or environment, and chance is the same each time."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import keyring
import pytest
from hypothesis import HealthCheck, settings

from engine.kernel.bus import Bus
from engine.keys.environment import VARIABLES
from engine.store.memory.store import MemoryStore
from engine.store.ports import Store
from engine.store.sqlite.store import SqliteStore
from engine.workflows.service import Workflows
from tests.support import NOON, FixedWorld

settings.register_profile(
    "circuit-breaker",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("circuit-breaker")

_PROVIDERS = ("OPENAI", "ANTHROPIC", "GOOGLE", "AZURE", "VERTEX", "CUSTOM_LLM", "OLLAMA", "NATS", "CIRCUIT_BREAKER")


@pytest.fixture(autouse=True)
def apart(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A home of its own for each test, and none of the user's keys or settings."""
    home = tmp_path_factory.mktemp("home")
    patch = request.getfixturevalue("monkeypatch")
    for variable in [name for name in os.environ if name.startswith(_PROVIDERS)]:
        if not (variable == "OLLAMA_BASE_URL" and request.node.get_closest_marker("real_ollama")):
            patch.delenv(variable)
    for variable in (name for names in VARIABLES.values() for name in names):
        patch.delenv(variable, raising=False)
    patch.setenv("HOME", str(home))
    for variable, folder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
    ):
        patch.setenv(variable, str(home / folder))
    if not request.node.get_closest_marker("keyring"):
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        patch.setattr(keyring.core, "_keyring_backend", None)


@pytest.fixture
def clock() -> FixedWorld:
    return FixedWorld()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where a test's database file is."""
    return tmp_path / "store" / "test.db"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(database, NOON)
    yield made
    await made.close()


@pytest.fixture
async def sqlite(database: Path) -> AsyncIterator[SqliteStore]:
    made = await SqliteStore.open(database, NOON)
    yield made
    await made.close()


@pytest.fixture
def workflows(store: Store, bus: Bus, clock: FixedWorld) -> Workflows:
    """The service on each kind of store."""
    return Workflows(store.ledger, bus, clock.world)


@pytest.fixture
def workflows_on(bus: Bus, clock: FixedWorld) -> Callable[[Store], Workflows]:
    return lambda store: Workflows(store.ledger, bus, clock.world)
