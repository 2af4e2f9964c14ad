"""Azure OpenAI in both its forms, against a server that has its addresses, its header and its filters."""

import json

import pytest

from engine.kernel.errors import ProviderAuth, ProviderRejected, ProviderUnavailable
from engine.kernel.world import World
from engine.llm.answering import gathered
from engine.llm.endpoints import deployments_in
from engine.llm.messages import ChatMessage, ChatRequest, EmbeddingRequest, Sampling
from engine.llm.model import Model
from engine.llm.providers.azure.provider import AzureProvider, base_of
from engine.llm.providers.site import Site, in_header
from engine.llm.wire import Address
from tests.servers.loopback import Raw, Status
from tests.servers.scripted_azure import ScriptedAzure, filtered
from tests.servers.scripted_openai import vector

KEY = "azure-right-0123456789"
NAMES = {"my-chat": "gpt-4o", "my-thinker": "gpt-5-mini", "my-vectors": "text-embedding-3-small"}
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),), Sampling(max_tokens=9))


@pytest.fixture
def server():
    with ScriptedAzure(NAMES, key=KEY) as running:
        yield running


def azure(url: str, *, version: str = "", given: str = "", key: str = KEY) -> AzureProvider:
    site = Site(
        "azure",
        "Azure OpenAI",
        Address.parse(url),
        lambda: [key],
        authorize=in_header("api-key"),
        given=deployments_in(given),
        catalog="azure",
    )
    return AzureProvider(site, World.real({}), api_version=version)


async def model(provider: AzureProvider, name: str = "my-chat") -> Model:
    return next(one for one in await provider.models() if one.name == name)


@pytest.mark.parametrize(
    ("path", "version", "asked"),
    [
        ("", "", "2024-10-21"),
        ("/", "2025-01-01-preview", "2025-01-01-preview"),
        ("/openai", "", "2024-10-21"),
        ("", "v1", "v1"),
        ("/openai/v1/", "", "v1"),
    ],
)
async def test_both_forms_chat_and_embed(server, path, version, asked):
    provider = azure(server.url + path, version=version)
    found = gathered([chunk async for chunk in provider.chat(ASK, await model(provider), KEY)])
    assert found.text == "You said: one two"
    assert found.usage.counted
    vectors = await provider.embed(EmbeddingRequest("x", ("a",)), await model(provider, "my-vectors"), KEY)
    assert vectors.vectors == (tuple(vector("a")),)
    assert server.versions == [asked, asked]
    assert server.requests[-1].body["model"] == "my-vectors"
    await provider.close()


async def test_deployments_are_listed_with_the_models_behind_them(server):
    provider = azure(server.url)
    found = {one.name: one for one in await provider.models()}
    assert found.keys() == NAMES.keys()
    assert found["my-chat"].details == {"base_model": "gpt-4o", "catalog": "azure"}
    assert found["my-vectors"].abilities == {"embedding"}
    assert "thinking" in found["my-thinker"].abilities
    await provider.close()


async def test_deployments_that_were_named_are_taken_once_the_key_was(server):
    given = "my-chat=gpt-4o, other = gpt-35-turbo"
    provider, wrong = azure(server.url, given=given), azure(server.url, given=given, key="azure-wrong-0123456789")
    chat, other = await provider.models()
    assert (chat.name, other.name, base_of(other.details["base_model"])) == ("my-chat", "other", "gpt-3.5-turbo")
    with pytest.raises(ProviderAuth, match="…6789"):
        await wrong.models()
    for one in (provider, wrong):
        await one.close()


async def test_a_gateway_without_a_list_of_models_is_taken_and_one_that_refuses_is_not(server):
    provider = azure(server.url, given="my-chat=gpt-4o")
    server.known = Status(404, {"error": {"code": "404", "message": "Resource not found"}})
    assert [one.name for one in await provider.models()] == ["my-chat"]
    server.known = Status(400, {"error": {"code": "BadRequest", "message": "API version not supported"}})
    with pytest.raises(ProviderRejected, match="API version not supported"):
        await provider.models()
    await provider.close()


async def test_a_resource_that_does_not_list_its_deployments_says_how_to_name_them(server):
    server.lists = False
    provider = azure(server.url)
    with pytest.raises(ProviderRejected, match="AZURE_OPENAI_DEPLOYMENTS"):
        await provider.models()
    await provider.close()


async def test_models_that_think_are_asked_in_the_new_words(server):
    provider = azure(server.url)
    for name, words in (("my-chat", "max_tokens"), ("my-thinker", "max_completion_tokens")):
        assert [chunk async for chunk in provider.chat(ASK, await model(provider, name), KEY)]
        assert server.requests[-1].body[words] == 9
    await provider.close()


async def test_the_filter_and_a_wrong_name_are_said_and_an_error_after_the_start_is_one(server):
    provider = azure(server.url, given="my-chat=gpt-4o,gone=gpt-4o")
    server.script.append(Status(400, filtered()))
    with pytest.raises(ProviderRejected, match="content filter of Azure OpenAI refused"):
        assert [chunk async for chunk in provider.chat(ASK, await model(provider), KEY)]
    with pytest.raises(ProviderRejected, match="has no deployment 'gone'"):
        assert [chunk async for chunk in provider.chat(ASK, await model(provider, "gone"), KEY)]
    said = [
        {"choices": [], "prompt_filter_results": []},
        {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
        {"error": {"code": "500", "message": "oops"}},
    ]
    server.script.append(Raw(tuple(f"data: {json.dumps(one)}\n\n".encode() for one in said), "text/event-stream"))
    chunks = provider.chat(ASK, await model(provider), KEY)
    with pytest.raises(ProviderUnavailable, match="oops"):
        await anext(chunks)  # nothing came before it: another may still be asked
    await provider.close()
