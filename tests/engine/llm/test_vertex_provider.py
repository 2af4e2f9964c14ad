"""Vertex AI: Gemini and Claude with tokens, against a server that has the addresses of both and gives the tokens."""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from engine.kernel.errors import ProviderAuth
from engine.llm.answering import gathered
from engine.llm.endpoints import Given
from engine.llm.messages import ChatMessage, ChatRequest, EmbeddingRequest, Reasoning, Sampling, Signature, ToolCall
from engine.llm.model import Model
from engine.llm.ports import KeySource, no_keys
from engine.llm.providers.site import Site
from engine.llm.providers.vertex.credentials import SCOPE, default_file, read_credentials
from engine.llm.providers.vertex.provider import VertexProvider, vertex_address
from engine.llm.wire import Address
from tests.servers import scripted_anthropic
from tests.servers.loopback import Answer, Received, Status
from tests.servers.scripted_google import Reply, ScriptedGoogle, vector
from tests.support import NOON, FixedWorld

GEMINI, CLAUDE = "gemini-3.5-flash", "claude-sonnet-4-5@20250929"
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),))
PRIVATE = rsa.generate_private_key(65537, 2048)
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


class Vertex(ScriptedGoogle):
    """Gives another token each time; `refuses` is what the token service says in place of one."""

    def __init__(self) -> None:
        super().__init__([GEMINI, CLAUDE, "gemini-embedding-001", "text-embedding-005"], token="ya29.token-1")
        self.forms: list[dict[str, list[str]]] = []
        self.refuses: Status | None = None
        self.lasts = 3599

    async def answer(self, request: Received, answer: Answer) -> None:
        if request.path == "/token":
            self.forms.append(parse_qs(request.raw.decode()))
            if self.refuses:
                said = {**self.refuses.body, "error_description": f"Invalid JWT: {self.forms[-1]['assertion'][0]}"}
                return await answer.whole(said, self.refuses.code)
            self.token = f"ya29.token-{len(self.forms)}"
            return await answer.whole({"access_token": self.token, "expires_in": self.lasts})
        if request.path.startswith("/v1beta1/publishers/google/"):
            rows = [f"publishers/google/models/{name}" for name in (GEMINI, "imagen-4", "text-embedding-005")]
            return await answer.whole({"publisherModels": [{"name": row} for row in rows]})
        return await super().answer(request, answer)


@pytest.fixture
def server():
    with Vertex() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path, server: Vertex) -> Path:
    made = tmp_path / "account.json"
    account = {"type": "service_account", "client_email": "me@p-1.example", "private_key": PEM, "private_key_id": "k1"}
    made.write_text(json.dumps({**account, "token_uri": f"{server.url}/token"}))
    return made


@pytest.fixture
def world() -> FixedWorld:
    return FixedWorld()


def provider(
    server: Vertex, world: FixedWorld, file: Path | None, *, keys: KeySource = no_keys, given: tuple[Given, ...] = ()
) -> VertexProvider:
    site = Site("vertex", "Vertex AI", Address.parse(server.url), keys, given=given, catalog="vertex")
    return VertexProvider(site, world.world, project="p-1", region="europe-west4", file=file)


@pytest.fixture
async def vertex(server, world, file):
    made = provider(server, world, file)
    yield made
    await made.close()


async def ask(vertex: VertexProvider, name: str, request: ChatRequest = ASK):
    key = next(iter(vertex.keys()), "")
    return gathered([chunk async for chunk in vertex.chat(request, Model("vertex", name), key)])


def test_where_regions_are():
    assert vertex_address("global").url == "https://aiplatform.googleapis.com"
    assert vertex_address("us-east5").url == "https://us-east5-aiplatform.googleapis.com"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (GEMINI, f"google/models/{GEMINI}:streamGenerateContent?alt=sse"),
        (CLAUDE, f"anthropic/models/{CLAUDE}:streamRawPredict"),
    ],
)
async def test_both_families_answer_at_their_own_addresses(server, vertex, name, path):
    found = await ask(vertex, name)
    assert (found.text, found.usage.counted) == ("You said: one two", True)
    assert server.requests[-1].path == f"/v1/projects/p-1/locations/europe-west4/publishers/{path}"
    assert "model" not in server.requests[-1].body


async def test_claude_keeps_its_signed_thoughts_and_gemini_its_signatures(server, vertex):
    server.claude = lambda _: scripted_anthropic.Reply(
        blocks=[scripted_anthropic.thinking("hm")], tool_calls=[("clock", {})]
    )
    found = await ask(vertex, CLAUDE, ChatRequest("x", ASK.messages, Sampling(reasoning_effort="high")))
    assert found.message.parts == (Reasoning("hm", Signature("anthropic", "sig-1")),)
    server.signed, server.reply = True, lambda _: Reply(tool_calls=[("clock", {})])
    assert [call.signature for call in (await ask(vertex, GEMINI)).tool_calls] == [Signature("google", "sig-0")]
    loop = (*ASK.messages, ChatMessage("assistant", (), (ToolCall("a", "clock", "{}", Signature("google", "sig-7")),)))
    server.reply = lambda _: Reply("Noon.")
    await ask(vertex, GEMINI, ChatRequest("x", (*loop, ChatMessage("tool", (), tool_call_id="a"))))
    assert "sig-7" in server.requests[-1].raw.decode()


async def test_a_token_is_asked_for_once_signed_and_replaced_before_it_ends(server, vertex, world):
    await asyncio.gather(*(ask(vertex, GEMINI) for _ in range(3)))
    assert len(server.forms) == 1
    world.move(3200)
    await ask(vertex, GEMINI)
    assert len(server.forms) == 1
    world.move(200)
    await ask(vertex, GEMINI)
    assert len(server.forms) == 2
    head, claims, signature = (decoded(part) for part in server.forms[0]["assertion"][0].split("."))
    assert json.loads(head) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    issued = int(NOON.timestamp())
    assert json.loads(claims) == {
        "iss": "me@p-1.example",
        "scope": SCOPE,
        "aud": f"{server.url}/token",
        "iat": issued,
        "exp": issued + 3600,
    }
    signed = server.forms[0]["assertion"][0].rpartition(".")[0].encode()
    PRIVATE.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())  # raises


def decoded(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_token_that_is_refused_is_not_used_again(server, vertex):
    await ask(vertex, GEMINI)
    server.token = "ya29.another"
    with pytest.raises(ProviderAuth):
        await ask(vertex, GEMINI)
    assert (await ask(vertex, GEMINI)).text == "You said: one two"


async def test_credentials_that_are_not_taken_say_whose_they_are_and_no_secret(server, vertex):
    server.refuses = Status(400, {"error": "invalid_grant"})
    with pytest.raises(ProviderAuth, match="no token to me@p-1") as caught:
        await vertex.models()
    assert "Invalid JWT: [key]" in caught.value.why
    assert server.forms[0]["assertion"][0] not in f"{caught.value} {caught.value.details}"


async def test_a_token_of_ones_own_is_used_as_it_is_and_without_anything_there_is_no_key(server, world):
    made = provider(server, world, None, keys=lambda: ["ya29.token-1"], given=(Given(GEMINI),))
    [model] = await made.models()
    assert (await ask(made, model.name)).text == "You said: one two"
    assert server.forms == []
    nobody = provider(server, world, None)
    assert nobody.keys() == ()
    with pytest.raises(ProviderAuth):
        await nobody.models()
    for one in (made, nobody):
        await one.close()


async def test_models_are_what_the_publishers_list_or_what_was_named(server, vertex, world, file):
    assert [(one.name, sorted(one.abilities)[0]) for one in await vertex.models()] == [
        (GEMINI, "chat"),
        ("text-embedding-005", "embedding"),
    ]
    named = provider(server, world, file, given=(Given(CLAUDE),))
    [model] = await named.models()
    assert "thinking" in model.abilities
    assert model.details == {"catalog": "vertex"}
    await named.close()


@pytest.mark.parametrize(("name", "requests"), [("gemini-embedding-001", 3), ("text-embedding-005", 1)])
async def test_vectors_come_by_predict(server, vertex, name, requests):
    texts = ("a", "b", "c")
    found = await vertex.embed(EmbeddingRequest("x", texts, 8), Model("vertex", name))
    assert found.vectors == tuple(tuple(vector(text)) for text in texts)
    assert (found.usage.input, found.usage.counted) == (9, True)
    bodies = [one.body for one in server.requests if one.path.endswith(":predict")]
    assert len(bodies) == requests
    assert bodies[0]["parameters"] == {"outputDimensionality": 8}


# Files


def test_the_login_of_gcloud_is_taken_too(tmp_path):
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    file = folder / "application_default_credentials.json"
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    file.write_text(json.dumps({"type": "authorized_user", **secrets}))
    assert default_file({"HOME": str(tmp_path)}) == file
    assert default_file({"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": "/x.json"}) == Path("/x.json")
    assert default_file({"HOME": str(tmp_path / "elsewhere")}) is None
    credentials = read_credentials(file, "http://127.0.0.1:1/token")
    assert credentials.token_url == "http://127.0.0.1:1/token"
    assert credentials.form(NOON) == {"grant_type": "refresh_token", **secrets}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{", "no JSON"),
        ("[]", "not known here"),
        ('{"type": "external_account"}', "'external_account' are not known"),
        ('{"type": "service_account", "client_email": "x"}', "no private_key"),
    ],
)
def test_files_that_are_of_no_use_say_why(tmp_path, text, why):
    file = tmp_path / "account.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ProviderAuth, match=why):
        read_credentials(file)


def test_a_private_key_that_is_none_is_said(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(json.dumps({"type": "service_account", "client_email": "x", "private_key": "nonsense"}))
    with pytest.raises(ProviderAuth, match="no RSA key") as caught:
        read_credentials(file).form(NOON)
    assert "nonsense" not in str(caught.value)
