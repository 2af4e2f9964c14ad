"""Discovery: providers come and go, and the catalog knows."""

import asyncio

import pytest

from engine.kernel.errors import ProviderAuth, ProviderUnavailable
from engine.llm import discovery as room
from engine.llm.catalog import Catalog, CatalogChanged, named
from engine.llm.discovery import Discovery
from tests.support import ScriptedProvider, ended, model, turns_of_the_loop

QWEN = model("ollama", "qwen:latest")


@pytest.fixture
def ollama():
    return ScriptedProvider("ollama", [QWEN])


@pytest.fixture
def catalog(bus):
    return Catalog(bus, ["ollama", "openai"])


@pytest.fixture
def discovery(ollama, catalog):
    return Discovery({"ollama": ollama}, catalog)


async def test_what_is_up_is_in_the_catalog(discovery, catalog):
    status = await discovery.refresh("ollama")
    assert (status.state, status.models, status.address) == ("up", (QWEN,), "http://ollama.test")
    assert list(catalog.models) == [QWEN]


async def test_what_went_away_keeps_its_models_but_offers_none(discovery, catalog, ollama):
    await discovery.refresh("ollama")
    ollama.known = ProviderUnavailable("It does not answer.", why="Refused.", fix="Start it.")
    status = await discovery.refresh("ollama")
    assert (status.state, status.models) == ("down", (QWEN,))
    assert (status.why, status.fix) == ("It does not answer. Refused.", "Start it.")
    assert list(catalog.models) == []
    ollama.known = (QWEN,)
    assert (await discovery.refresh("ollama")).why == ""
    assert list(catalog.models) == [QWEN]


async def test_without_a_key_it_is_off(discovery, ollama):
    ollama.known = ProviderAuth("There is no key.")
    assert (await discovery.refresh("ollama")).state == "off"


async def test_only_changes_are_published(discovery, bus, ollama):
    with bus.subscribe(CatalogChanged) as changes:
        await discovery.refresh("ollama")
        await discovery.refresh("ollama")
        assert len(changes.take()) == 1
        ollama.known = ()
        await discovery.refresh("ollama")
        assert len(changes.take()) == 1


async def test_one_that_never_answers_is_given_up(discovery, ollama, monkeypatch):
    monkeypatch.setattr(room, "DEADLINE_S", 0.01)

    async def never():
        await asyncio.Event().wait()

    ollama.models = never
    status = await discovery.refresh("ollama")
    assert status.state == "down"
    assert "did not answer" in status.why


async def test_the_first_round_ends_when_all_were_asked_or_the_time_is_over(discovery, ollama):
    await discovery.first_round(0.0)
    watching = asyncio.create_task(discovery.run())
    await discovery.first_round(20)
    assert ollama.counted == 1
    await ended(watching)


async def test_soon_asks_again_at_once(discovery, ollama):
    watching = asyncio.create_task(discovery.run())
    await turns_of_the_loop(lambda: ollama.counted == 1)
    discovery.soon("ollama")
    discovery.soon("nobody")
    await turns_of_the_loop(lambda: ollama.counted == 2)
    await ended(watching)


async def test_the_catalog_lists_providers_as_they_are_shown(bus):
    catalog = Catalog(bus, ["b", "a"])
    far = Discovery({id: ScriptedProvider(id) for id in "ab"}, catalog)
    for id in "ab":
        await far.refresh(id)
    assert list(catalog.providers) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("qwen", True), ("qwen:latest", True), ("ollama/qwen:latest", True), ("ollama/qwen", True), ("qwen:7b", False)],
)
def test_a_model_has_several_names(name, found):
    assert bool(list(named(name, [QWEN]))) is found
