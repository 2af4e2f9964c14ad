"""Agents: defined, listed, deleted; a key that comes with one goes to the keys and nowhere else."""

import pytest

from engine.agents.service import Agents
from engine.kernel.errors import InvalidInput, KeyringUnavailable, NotFound
from engine.keys.memory import MemoryKeys
from engine.keys.service import Keys
from engine.llm.catalog import Catalog
from engine.llm.model import ProviderStatus
from tests.support import FixedWorld, model

OPENAI = "https://api.openai.com/v1"
ADDRESSES = {"openai": OPENAI, "ollama": "http://127.0.0.1:11434"}
REVIEWER = {"name": "Reviewer", "description": "Reads", "provider": "openai", "model": "gpt-5-nano"}


class Bench:
    def __init__(self, store, bus, environ=None, find=None):
        self.ring = MemoryKeys()
        self.world = FixedWorld(environ)
        self.catalog = Catalog(bus, ["ollama", "openai"])
        self.keys = Keys(store.shelf, self.world.world, find or (lambda: self.ring), lambda _: None, ADDRESSES)
        self.agents = Agents(store.shelf, self.keys, self.catalog, ADDRESSES, self.world.world)


@pytest.fixture
def bench(store, bus):
    return Bench(store, bus)


async def test_an_agent_comes_back_as_it_was(bench):
    made = await bench.agents.create(**REVIEWER, base_url="http://127.0.0.1:9/v1", system_prompt="Be kind.")
    assert made.id.startswith("agent_")
    assert await bench.agents.agent(made.id) == made
    bench.world.move(1)
    other = await bench.agents.create(**{**REVIEWER, "provider": "OLLAMA", "model": "qwen"})
    assert other.provider == "ollama"
    assert await bench.agents.all() == [made, other]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"provider": "opnai"}, "llmProvider.providerType"),
        ({"provider": "x" * 1_000}, "llmProvider.providerType"),
        ({"name": " "}, "name"),
        ({"model": ""}, "llmProvider.model"),
        ({"base_url": "example.com/v1"}, "llmProvider.baseUrl"),
        ({"base_url": "file:///etc/passwd"}, "llmProvider.baseUrl"),
        ({"base_url": "http://x:99999"}, None),
        ({"base_url": "http://["}, None),
        ({"api_key": "two words"}, None),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_kept(bench, change, path):
    with pytest.raises(InvalidInput) as caught:
        await bench.agents.create(**REVIEWER | change)
    assert caught.value.details.get("path") == path
    assert len(str(caught.value)) < 500
    assert await bench.agents.all() == []
    assert bench.ring._secrets == {}


async def test_a_key_goes_to_the_keys_and_nowhere_else(bench, store):
    agent = await bench.agents.create(**REVIEWER, api_key="sk-agent-0123")
    assert bench.keys.secrets("openai", OPENAI, owner=agent.id) == ["sk-agent-0123"]
    assert bench.keys.secrets("openai", OPENAI) == []
    assert "sk-agent" not in repr(agent) + repr(await store.shelf.list("agent")) + repr(await store.shelf.list("key"))


async def test_with_an_agent_its_key_goes(bench):
    agent = await bench.agents.create(**REVIEWER, api_key="sk-agent-0123")
    await bench.keys.set("openai", OPENAI, "sk-shared-0123")
    await bench.agents.delete(agent.id)
    assert bench.ring._secrets == {"openai@https://api.openai.com:443": "sk-shared-0123"}
    with pytest.raises(NotFound):
        await bench.agents.delete(agent.id)


async def test_an_agent_without_a_key_goes_as_well(bench):
    agent = await bench.agents.create(**REVIEWER)
    await bench.agents.delete(agent.id)
    assert await bench.agents.all() == []


async def test_a_key_that_cannot_be_reached_keeps_its_agent(store, bus):
    """After a restart with a locked keyring the key is not known, but it is there: it may not be left behind."""
    first = Bench(store, bus)
    agent = await first.agents.create(**REVIEWER, api_key="sk-agent-0123")

    def locked():
        raise KeyringUnavailable("It is locked.")

    second = Bench(store, bus, find=locked)
    await second.keys.load()
    with pytest.raises(KeyringUnavailable):
        await second.agents.delete(agent.id)
    assert await second.agents.all() == [agent]


async def test_an_unknown_agent_comes_with_the_nearest(bench):
    made = await bench.agents.create(**REVIEWER)
    with pytest.raises(NotFound) as caught:
        await bench.agents.agent(made.id[:-1] + "!")
    assert caught.value.details["nearest"] == [made.id]


async def test_an_agent_is_ready_when_its_model_is_there_or_it_has_a_key(bench):
    local = await bench.agents.create(**{**REVIEWER, "provider": "ollama", "model": "qwen"})
    cloud = await bench.agents.create(**REVIEWER)
    assert (bench.agents.status(local), bench.agents.status(cloud)) == ("unavailable", "unavailable")
    bench.catalog.update(ProviderStatus("ollama", "Ollama", "up", models=(model("ollama", "qwen"),)))
    await bench.keys.set("openai", OPENAI, "sk-shared-0123")
    assert (bench.agents.status(local), bench.agents.status(cloud)) == ("ready", "ready")
    bench.catalog.update(ProviderStatus("ollama", "Ollama", "down", models=(model("ollama", "qwen"),)))
    assert bench.agents.status(local) == "unavailable"


async def test_a_key_of_the_environment_is_not_for_an_address_that_an_agent_names(store, bus):
    bench = Bench(store, bus, {"OPENAI_API_KEY": "sk-env-01234567"})
    usual = await bench.agents.create(**REVIEWER)
    foreign = await bench.agents.create(**REVIEWER, base_url="https://evil.example/v1")
    assert bench.agents.status(usual) == "ready"
    assert bench.agents.status(foreign) == "unavailable"
