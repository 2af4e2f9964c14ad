"""The providers that the settings name."""

import os
from pathlib import Path

import pytest

from engine.kernel.errors import InvalidConfig, ProviderRejected
from engine.kernel.settings import Settings, load
from engine.keys.memory import MemoryKeys
from engine.keys.service import Keys
from engine.llm.messages import ChatMessage, ChatRequest, Image
from engine.llm.model import Model
from engine.llm.ports import Provider
from engine.store.memory.store import MemoryStore
from engine.upstreams import Upstreams
from tests.support import FixedWorld

LAB = {"kind": "vllm", "url": "127.0.0.1:8000/v1"}
FAR = {"kind": "openai", "url": "gpu.lan:8000/v1", "key_env": "FAR_KEY"}


def made(settings: Settings, environ: dict[str, str] | None = None) -> dict[str, Provider]:
    upstreams, world = Upstreams.of(settings), FixedWorld(environ).world
    homes, variables = upstreams.addresses, upstreams.variables
    keys = Keys(MemoryStore().shelf, world, MemoryKeys, lambda _: None, homes, variables=variables)
    return dict(upstreams.providers(keys, world, Path(os.devnull)))


def settings(**environ: str) -> Settings:
    return load(Path(os.devnull), environ, {}).settings


async def test_clouds_are_always_there_and_others_when_they_are_named():
    assert list(made(Settings(embedded=False))) == ["ollama", "openai", "anthropic", "google"]
    more = settings(
        AZURE_OPENAI_ENDPOINT="https://me.openai.azure.com",
        CUSTOM_LLM_ENDPOINT="http://127.0.0.1:1/v1",
        VERTEX_PROJECT="p",
    )
    assert {"azure", "custom", "vertex", "embedded"} <= made(more).keys()


async def test_a_model_of_the_custom_endpoint_may_be_named():
    found = made(settings(CUSTOM_LLM_ENDPOINT="http://127.0.0.1:1/v1", CUSTOM_LLM_MODEL="a, b"))["custom"]
    assert [model.name for model in await found.models()] == ["a", "b"]


async def test_an_endpoint_has_its_own_keys_where_it_is():
    found = made(Settings(endpoints={"lab": LAB, "far": FAR}), {"FAR_KEY": "f-0123456789"})
    assert (found["lab"].address, found["lab"].local, list(found["lab"].keys())) == (
        "http://127.0.0.1:8000/v1",
        True,
        [""],
    )
    assert (found["far"].address, found["far"].local) == ("https://gpu.lan:8000/v1", False)
    assert list(found["far"].keys()) == ["f-0123456789"]


async def test_without_authorisation_no_key_is_sent():
    table = {"kind": "groq", "auth": "none", "models": ["a"]}
    found = made(Settings(endpoints={"mine": table}), {"GROQ_API_KEY": "g-0123456789"})
    assert list(found["mine"].keys()) == [""]
    assert "mine" not in Upstreams.of(Settings(endpoints={"mine": table})).variables


def test_another_machine_is_never_this_one_and_this_one_may_be_a_way_elsewhere():
    with pytest.raises(InvalidConfig) as caught:
        made(Settings(endpoints={"far": {**FAR, "local": True}}))
    assert caught.value.details["path"] == "endpoints.far.local"
    assert not made(Settings(endpoints={"lab": {**LAB, "local": False}}))["lab"].local


@pytest.mark.parametrize("kind", ["anthropic", "google", "azure", "vertex"])
def test_each_kind_is_made(kind):
    table = {"kind": kind, "url": "https://a.test/v1"} | ({"project": "p"} if kind == "vertex" else {})
    assert made(Settings(endpoints={"mine": table}))["mine"].id == "mine"


def test_azure_is_asked_for_an_app_where_there_is_no_key_and_never_over_plain_http():
    app = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "app-secret"}
    at = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com"}
    assert list(made(settings(**at), app)["azure"].keys()) == [""]
    assert list(made(settings(**at), {**app, "AZURE_OPENAI_API_KEY": "k-0123456789"})["azure"].keys()) == [
        "k-0123456789"
    ]
    assert list(made(settings(**at), {})["azure"].keys()) == []
    assert list(made(settings(AZURE_OPENAI_ENDPOINT="http://azure.lan"), app)["azure"].keys()) == []
    assert Upstreams.secrets(app) == ["app-secret"]


def test_vertex_asks_the_metadata_server_of_a_machine_of_googles():
    there = {"GCE_METADATA_HOST": "127.0.0.1:1"}
    assert list(made(settings(VERTEX_PROJECT="p"), there)["vertex"].keys()) == [""]
    assert list(made(settings(VERTEX_PROJECT="p"), {"NO_GCE_CHECK": "true"})["vertex"].keys()) == []


async def test_pictures_are_fetched_as_the_settings_say_and_never_where_prompts_must_stay():
    request = ChatRequest("x", (ChatMessage("user", (Image("http://127.0.0.1:1/a.png"),)),))
    for environ, why in (
        ({}, "nothing is fetched"),
        ({"CIRCUIT_BREAKER_FETCH_PICTURES": "public"}, "not on the open internet"),
        ({"CIRCUIT_BREAKER_FETCH_PICTURES": "any"}, "refused"),
        ({"CIRCUIT_BREAKER_FETCH_PICTURES": "any", "CIRCUIT_BREAKER_LOCAL_ONLY": "yes"}, "nothing is fetched"),
    ):
        with pytest.raises(ProviderRejected, match=why):
            await anext(aiter(made(settings(**environ))["ollama"].chat(request, Model("ollama", "llava"))))
