"""Azure OpenAI in both its forms, against a server that has its addresses, its header and its filters."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from engine.kernel.errors import InvalidConfig, ProviderAuth, ProviderRejected, ProviderUnavailable
from engine.kernel.world import World
from engine.llm.answering import gathered
from engine.llm.endpoints import deployments_in
from engine.llm.messages import ChatMessage, ChatRequest, EmbeddingRequest, Sampling
from engine.llm.model import Model
from engine.llm.providers.azure.entra import App
from engine.llm.providers.azure.provider import AzureProvider, base_of
from engine.llm.providers.site import Site, in_header
from engine.llm.wire import Address
from tests.servers.loopback import Answer, Raw, Received, Status
from tests.servers.scripted_azure import ScriptedAzure, filtered
from tests.servers.scripted_openai import vector
from tests.support import FixedWorld

KEY = "azure-right-0123456789"
NAMES = {"my-chat": "gpt-4o", "my-thinker": "gpt-5-mini", "my-vectors": "text-embedding-3-small"}
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),), Sampling(max_tokens=9))


class Azure(ScriptedAzure):
    """It has Entra ID beside it: `forms` are what its token service was asked, `refuses` what it says in place of a
    token. A token is taken where a key is, while it is the newest."""

    def __init__(self) -> None:
        super().__init__(NAMES, key=KEY)
        self.forms: list[dict[str, str]] = []
        self.refuses: Status | None = None
        self.role = True

    async def answer(self, request: Received, answer: Answer) -> None:
        if request.path == "/my-tenant/oauth2/v2.0/token":
            self.forms.append(dict(parse_qsl(request.raw.decode())))
            if self.refuses:
                return await answer.whole(self.refuses.body, self.refuses.code)
            token = f"entra-token-{len(self.forms)}"
            return await answer.whole({"token_type": "Bearer", "expires_in": 3599, "access_token": token})
        if self.role and request.headers.get("authorization") == f"Bearer entra-token-{len(self.forms)}":
            assert "api-key" not in request.headers
            request = replace(request, headers={**request.headers, "api-key": KEY})
        return await super().answer(request, answer)


@pytest.fixture
def server():
    with Azure() as running:
        yield running


def azure(
    url: str, *, version: str = "", given: str = "", key: str = KEY, world: World | None = None, app: App | None = None
) -> AzureProvider:
    site = Site(
        "azure",
        "Azure OpenAI",
        Address.parse(url),
        lambda: [key] if key else [],
        authorize=in_header("api-key"),
        given=deployments_in(given),
        catalog="azure",
    )
    return AzureProvider(site, world or World.real({}), api_version=version, app=app)


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


# Entra ID


def environ(server: Azure, **more: str) -> dict[str, str]:
    told = {"AZURE_TENANT_ID": "my-tenant", "AZURE_CLIENT_ID": "my-app", "AZURE_CLIENT_SECRET": "app-secret"}
    return {**told, "AZURE_AUTHORITY_HOST": server.url, **more}


@pytest.fixture
async def signed(server):
    world = FixedWorld()
    provider = azure(server.url, key="", world=world.world, app=App.told(environ(server)))
    yield provider, world
    await provider.close()


async def ask(provider: AzureProvider) -> str:
    [key] = provider.keys()
    return gathered([chunk async for chunk in provider.chat(ASK, Model("azure", "my-chat"), key)]).text


async def test_without_a_key_an_app_asks_with_a_token_that_is_kept_until_it_ends(server, signed):
    provider, world = signed
    assert [one.name for one in await provider.models()] == list(NAMES)
    assert await ask(provider) == "You said: one two"
    vectors = await provider.embed(EmbeddingRequest("x", ("a",)), Model("azure", "my-vectors"))
    assert vectors.vectors == (tuple(vector("a")),)
    assert server.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "my-app",
            "client_secret": "app-secret",
            "scope": "https://cognitiveservices.azure.com/.default",
        }
    ]
    world.move(3400)
    assert await ask(provider) == "You said: one two"
    assert len(server.forms) == 2


async def test_a_key_is_taken_before_the_app(server):
    provider = azure(server.url, app=App.told(environ(server)))
    assert await ask(provider) == "You said: one two"
    assert server.forms == []
    await provider.close()


async def test_an_app_that_is_not_known_is_said_without_its_secret(server, signed):
    said = "AADSTS7000215: Invalid client secret provided: app-secret."
    server.refuses = Status(401, {"error": "invalid_client", "error_description": said})
    with pytest.raises(
        ProviderAuth, match=r"no token to the app my-app\. .*AADSTS7000215.*\[key\].*has expired"
    ) as caught:
        await ask(signed[0])
    assert "app-secret" not in f"{caught.value} {caught.value.details}"


async def test_an_app_without_the_role_is_said_and_asked_for_anew(server, signed):
    provider, _ = signed
    server.role = False
    with pytest.raises(ProviderAuth, match=r"refused the token of the app my-app.*Cognitive Services OpenAI User"):
        await ask(provider)
    server.role = True
    assert await ask(provider) == "You said: one two"
    assert len(server.forms) == 2


def test_an_app_is_what_the_environment_names_whole_and_safe(server):
    app = App.told(environ(server, AZURE_AUTHORITY_HOST=""))
    assert app is not None
    assert (app.authority, "app-secret" in repr(app)) == ("https://login.microsoftonline.com", False)
    assert App.told(environ(server, AZURE_CLIENT_SECRET="")) is None
    with pytest.raises(InvalidConfig, match="no tenant"):
        App.told(environ(server, AZURE_TENANT_ID="../x"))
    with pytest.raises(InvalidConfig, match="not https"):
        App.told(environ(server, AZURE_AUTHORITY_HOST="http://login.example"))
