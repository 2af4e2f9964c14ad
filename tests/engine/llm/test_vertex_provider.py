"""Vertex AI: Gemini and Claude with tokens, against a server that has the addresses of both and gives the tokens."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
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
from engine.llm.providers.vertex.credentials import (
    METADATA_HOST,
    SCOPE,
    Account,
    Become,
    default_file,
    metadata_host,
    read_credentials,
)
from engine.llm.providers.vertex.provider import VertexProvider, vertex_address
from engine.llm.wire import Address
from tests.servers import scripted_anthropic
from tests.servers.loopback import Answer, Received, Status
from tests.servers.scripted_google import Reply, ScriptedGoogle, vector
from tests.servers.scripted_openai import ScriptedOpenAI
from tests.support import NOON, FixedWorld

GEMINI, CLAUDE = "gemini-3.5-flash", "claude-sonnet-4-5@20250929"
LLAMA = "meta/llama-3.3-70b-instruct-maas"
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
        self.attached = self.becomes = True
        self.subject: object = {"access_token": "subject-secret"}
        self.openapi = ScriptedOpenAI([LLAMA], key=self.token)

    async def answer(self, request: Received, answer: Answer) -> None:
        if request.path == "/token":
            self.forms.append(parse_qs(request.raw.decode()))
            if self.refuses:
                said = {**self.refuses.body, "error_description": f"Invalid JWT: {self.forms[-1]['assertion'][0]}"}
                return await answer.whole(said, self.refuses.code)
            self.token = f"ya29.token-{len(self.forms)}"
            return await answer.whole({"access_token": self.token, "expires_in": self.lasts})
        if request.path == "/computeMetadata/v1/instance/service-accounts/default/token":
            if not self.attached or request.headers.get("metadata-flavor") != "Google":
                return await answer.whole(b"Not Found", 404)
            return await answer.whole({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})
        if request.path == "/subject?api-version=2018-02-01":
            known = request.headers.get("authorization") == "Bearer request-secret"
            body = self.subject if known else {"message": f"wrong {request.headers.get('authorization')}"}
            return await answer.whole(body, 200 if known else 403)
        if request.path == "/sts":
            self.forms.append(parse_qs(request.raw.decode()))
            if self.refuses:
                given = self.forms[-1]
                said = f"The audience {given['audience'][0]} is not valid for {given['subject_token'][0]}."
                return await answer.whole({"error": "invalid_target", "error_description": said}, 400)
            return await answer.whole({"access_token": "sts-token", "expires_in": 3599, "token_type": "Bearer"})
        if request.path.startswith("/iam/"):
            if not self.becomes or request.headers.get("authorization") not in ("Bearer sts-token", "Bearer login"):
                said = {"code": 403, "message": f"{request.headers.get('authorization')} lacks getAccessToken."}
                return await answer.whole({"error": said}, 403)
            until = (NOON + timedelta(seconds=self.lasts)).isoformat().replace("+00:00", "Z")
            return await answer.whole({"accessToken": self.token, "expireTime": until})
        if request.path.endswith("/endpoints/openapi/chat/completions"):
            return await self.openapi.answer(replace(request, path="/v1/chat/completions"), answer)
        if request.path.startswith("/v1beta1/publishers/meta/"):
            rows = [f"publishers/meta/models/{name}" for name in ("llama-3.3-70b-instruct-maas", "llama3-2")]
            return await answer.whole({"publisherModels": [{"name": row} for row in rows]})
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
    server: Vertex,
    world: FixedWorld,
    file: Path | None,
    *,
    keys: KeySource = no_keys,
    given: tuple[Given, ...] = (),
    metadata: str = "",
) -> VertexProvider:
    site = Site("vertex", "Vertex AI", Address.parse(server.url), keys, given=given, catalog="vertex")
    return VertexProvider(site, world.world, project="p-1", region="europe-west4", file=file, metadata=metadata)


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


@pytest.mark.parametrize(
    "used",
    [
        lambda found: found.models(),
        lambda found: found.embed(EmbeddingRequest("gemini-embedding-001", ("a",)), Model("v", "gemini-embedding-001")),
    ],
    ids=["models", "vectors"],
)
async def test_nor_is_it_where_something_else_than_an_answer_was_asked_for(server, vertex, used):
    await ask(vertex, GEMINI)
    server.token = "ya29.another"
    with pytest.raises(ProviderAuth):
        await used(vertex)
    await used(vertex)


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
        (LLAMA, "chat"),
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


async def test_open_models_are_asked_as_openai_is(server, vertex):
    found = await ask(vertex, LLAMA)
    assert (found.text, found.usage.counted) == ("You said: one two", True)
    sent = server.requests[-1]
    assert sent.path == "/v1/projects/p-1/locations/europe-west4/endpoints/openapi/chat/completions"
    assert sent.body["model"] == LLAMA
    assert sent.headers["authorization"] == "Bearer ya29.token-1"


# Machines of Google's


async def test_a_machine_of_googles_is_told_who_it_is(server, world):
    host = server.url.removeprefix("http://")
    assert metadata_host({"GCE_METADATA_HOST": host}, Path("/nowhere")) == host
    made = provider(server, world, None, metadata=host)
    for _ in range(2):
        assert (await ask(made, GEMINI)).text == "You said: one two"
    assert sum("computeMetadata" in one.path for one in server.requests) == 1
    server.attached = False
    world.move(3600)
    with pytest.raises(ProviderAuth, match=r"gave no token.*GOOGLE_APPLICATION_CREDENTIALS"):
        await ask(made, GEMINI)
    await made.close()


def test_where_the_metadata_server_is_asked(tmp_path):
    product = tmp_path / "product_name"
    assert metadata_host({}, product) == ""
    assert metadata_host({"K_SERVICE": "mine"}, product) == METADATA_HOST
    product.write_text("Google Compute Engine\n")
    assert metadata_host({}, product) == METADATA_HOST
    assert metadata_host({"NO_GCE_CHECK": "true"}, product) == ""


# Workload identity federation

POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/lab"


def federation(server: Vertex, tmp_path: Path, **fields: object) -> Path:
    """Credentials of a workload whose token is in a file, as `gcloud iam workload-identity-pools create-cred-config`
    writes them."""
    subject = tmp_path / "subject"
    subject.write_text("subject-secret\n")
    tree = {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}/sts",
        "credential_source": {"file": str(subject)},
        "service_account_impersonation_url": f"{server.url}/iam/me@p-1.example:generateAccessToken",
        **fields,
    }
    made = tmp_path / "federated.json"
    made.write_text(json.dumps({name: value for name, value in tree.items() if value is not None}))
    return made


def source_at(url: str, **form: str) -> dict[str, object]:
    at = f"{url}/subject?api-version=2018-02-01"
    return {"url": at, "headers": {"Authorization": "Bearer request-secret"}, "format": {"type": "text", **form}}


async def test_a_token_of_elsewhere_is_exchanged_and_becomes_a_service_accounts(server, world, tmp_path):
    made = provider(server, world, federation(server, tmp_path))
    assert (await ask(made, GEMINI)).text == "You said: one two"
    scope = {name: value for name, [value] in server.forms[0].items()}
    assert scope == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": POOL,
        "scope": SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": "subject-secret",
    }
    [become] = [one for one in server.requests if one.path == "/iam/me@p-1.example:generateAccessToken"]
    assert become.body == {"delegates": [], "scope": [SCOPE], "lifetime": "3600s"}
    world.move(3200)
    await ask(made, GEMINI)
    assert len(server.forms) == 1
    world.move(200)  # the end of the service account's token is near, by `expireTime`
    await ask(made, GEMINI)
    assert len(server.forms) == 2
    await made.close()


@pytest.mark.parametrize(
    ("form", "given"),
    [
        ({}, b"subject-secret"),
        ({"type": "json", "subject_token_field_name": "access_token"}, {"access_token": "subject-secret"}),
    ],
)
async def test_the_token_of_elsewhere_may_be_at_an_address(server, world, tmp_path, form, given):
    server.subject, server.token = given, "sts-token"
    client = {"client_id": "app", "client_secret": "app-secret"}
    source = source_at(server.url, **form)
    file = federation(server, tmp_path, credential_source=source, service_account_impersonation_url=None, **client)
    made = provider(server, world, file)
    assert (await ask(made, GEMINI)).text == "You said: one two"
    assert server.forms[0]["subject_token"] == ["subject-secret"]
    [exchange] = [one for one in server.requests if one.path == "/sts"]
    assert decoded(exchange.headers["authorization"].removeprefix("Basic ")) == b"app:app-secret"
    await made.close()


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"refuses": Status(400)}, r"no token to the workload identity 'lab'.*providers/lab is not valid for \[key\]"),
        ({"becomes": False}, r"'lab' cannot become me@p-1.example.*\[key\] lacks getAccessToken.*Token Creator"),
        ({"subject": b"{subject-secret"}, r"The token in http.*/subject cannot be used.*in a field 'access_token'"),
        ({"subject": {"other": "subject-secret"}}, r"The token in http.*/subject cannot be used"),
    ],
)
async def test_an_exchange_that_fails_says_which_step_and_no_secret(server, world, tmp_path, wrong, what):
    for name, value in wrong.items():
        setattr(server, name, value)
    source = source_at(server.url, type="json", subject_token_field_name="access_token")
    made = provider(server, world, federation(server, tmp_path, credential_source=source))
    with pytest.raises(ProviderAuth, match=what) as caught:
        await ask(made, GEMINI)
    assert not any(secret in f"{caught.value} {caught.value.details}" for secret in ("-secret", "sts-token"))
    await made.close()


async def test_an_identity_service_that_refuses_is_named_without_what_it_was_asked_with(server, world, tmp_path):
    source = {**source_at(server.url), "headers": {"Authorization": "Bearer other-secret"}}
    made = provider(server, world, federation(server, tmp_path, credential_source=source))
    with pytest.raises(ProviderAuth, match=r"identity service at http.*\[key\]") as caught:
        await ask(made, GEMINI)
    assert "other-secret" not in f"{caught.value} {caught.value.details}"
    assert server.forms == []
    await made.close()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"token_url": "http://sts.example/token"}, "token_url is not https"),
        ({"token_url": "https://me:secret@sts.example"}, "token_url is not https"),
        ({"service_account_impersonation_url": "http://169.254.169.254/x"}, "impersonation_url is not https"),
        ({"credential_source": {"url": "http://elsewhere.example/token"}}, "credential_source.url is not https"),
        ({"credential_source": {"executable": {"command": "x"}}}, "from a program, and none is started"),
        ({"credential_source": {"environment_id": "aws1", "url": "http://169.254.169.254/x"}}, "AWS"),
        ({"credential_source": {}}, "neither a file nor an address"),
        ({"credential_source": {"file": "x", "format": "json"}}, "of another kind"),
        ({"credential_source": {"url": "https://a.example", "headers": ["x"]}}, "of another kind"),
        ({"service_account_impersonation_url": "https://a.example", "delegates": 1}, "of another kind"),
    ],
)
def test_federation_that_leads_astray_is_refused(server, tmp_path, fields, why):
    with pytest.raises(ProviderAuth, match=why):
        read_credentials(federation(server, tmp_path, **fields))


def test_metadata_servers_of_other_clouds_may_be_asked(server, tmp_path):
    source = {"url": "http://169.254.169.254/metadata/identity/oauth2/token?resource=api"}
    assert read_credentials(federation(server, tmp_path, credential_source=source)).who == "the workload identity 'lab'"


async def test_a_login_becomes_a_service_account(server, world, tmp_path):
    file = tmp_path / "impersonated.json"
    login = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    url = f"{server.url}/iam/me@p-1.example:generateAccessToken"
    tree = {"type": "impersonated_service_account", "source_credentials": login, "delegates": ["a"]}
    file.write_text(json.dumps({**tree, "service_account_impersonation_url": url}))
    credentials = read_credentials(file)
    assert (credentials.who, credentials.become) == ("your Google account", Become(url, ("a",)))


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
    assert isinstance(credentials, Account)
    assert credentials.token_url == "http://127.0.0.1:1/token"
    assert credentials.form(NOON) == {"grant_type": "refresh_token", **secrets}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{", "no JSON"),
        ("[]", "not known here"),
        ('{"type": "external_account"}', "It has no audience"),
        ('{"type": "gdch_service_account"}', "'gdch_service_account' are not known"),
        ('{"type": "impersonated_service_account"}', "no service_account_impersonation_url"),
        ('{"type": "service_account", "client_email": "x"}', "no private_key"),
        (
            '{"type": "service_account", "client_email": "x", "private_key": "y", "token_uri": "http://a.example/"}',
            "token_uri is not https",
        ),
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
    account = read_credentials(file)
    assert isinstance(account, Account)
    with pytest.raises(ProviderAuth, match="no RSA key") as caught:
        account.form(NOON)
    assert "nonsense" not in str(caught.value)
