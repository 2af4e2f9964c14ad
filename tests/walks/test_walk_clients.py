"""Clients that people have: OpenAI's SDK and LangChain, unchanged, against a running server."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from engine.kernel import assets
from tests.servers.loopback import Drop, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI, vector
from tests.serving import Process

HELLO = [{"role": "user", "content": "Hello"}]

pytestmark = pytest.mark.usefixtures("behaving")


def test_openai_chat_and_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-5-nano", messages=HELLO)  # type: ignore[arg-type]
    assert whole.choices[0].message.content == "You said: Hello"
    assert whole.usage
    stream = client.chat.completions.create(
        model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}  # type: ignore[arg-type]
    )  # fmt: skip
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said: Hello"
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens > 0
    assert chunks[-2].choices[0].finish_reason == "stop"
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=HELLO)  # type: ignore[arg-type]
    assert raw.headers["x-cb-model"] == "gpt-5-nano"


def test_openai_tools_are_put_together(client: openai.OpenAI, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda _: Reply(tool_calls=[("look", '{"at": 1}'), ("take", "{}")])
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    with client.chat.completions.stream(model="gpt-5-nano", messages=HELLO, tools=tools) as stream:  # type: ignore[arg-type]
        message = stream.get_final_completion().choices[0].message
    assert [(call.function.name, call.function.arguments) for call in message.tool_calls or ()] == [
        ("look", '{"at": 1}'),
        ("take", "{}"),
    ]


def test_openai_embeddings_and_models(client: openai.OpenAI) -> None:
    made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])  # packed, which the SDK asks for
    assert made.data[1].embedding == pytest.approx(vector("b"), abs=1e-6)
    plain = client.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(vector("a"))
    assert {"auto", "gpt-5-nano"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("openai/gpt-5-nano").owned_by == "openai"


def test_openai_errors_are_of_the_types_that_its_clients_catch(client: openai.OpenAI, upstream: ScriptedOpenAI) -> None:
    def ask(model: str = "gpt-5-nano", **more: object) -> None:
        client.chat.completions.create(model=model, messages=HELLO, **more)  # type: ignore[call-overload]

    with pytest.raises(openai.NotFoundError) as unknown:
        ask("gpt-5-nan")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        ask(n=9)
    assert wrong.value.param == "n"
    assert wrong.value.request_id
    upstream.script.append(Status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))
    with pytest.raises(openai.AuthenticationError):
        ask()
    upstream.script.extend([Status(429)] * 5)
    with pytest.raises(openai.RateLimitError):
        ask()
    upstream.script.clear()
    upstream.script.extend([Status(500)] * 5)
    with pytest.raises(openai.InternalServerError):
        ask()
    upstream.script.clear()
    upstream.script.append(Drop(2))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-5-nano", messages=HELLO, stream=True))  # type: ignore[arg-type]


def _langchain(process: Process, model: str = "gpt-5-nano", **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=process.openai, api_key="unused", max_retries=0, **more)


class City(BaseModel):
    """A city."""

    name: str
    people: int


def test_langchain_chats_and_streams(process: Process) -> None:
    chat = _langchain(process, max_tokens=50)  # sent as max_completion_tokens
    answer = chat.invoke("Hello")
    assert answer.content == "You said: Hello"
    assert answer.usage_metadata
    chunks = list(_langchain(process, "auto", stream_usage=True).stream("Hello"))
    assert "".join(str(chunk.content) for chunk in chunks) == "You said: Hello"
    assert any(chunk.usage_metadata for chunk in chunks)


def test_langchain_calls_tools(process: Process, upstream: ScriptedOpenAI) -> None:
    upstream.reply = lambda _: Reply(tool_calls=[("City", '{"name": "Bonn", "people": 330000}')])
    called = _langchain(process).bind_tools([City]).invoke("Where?")
    assert isinstance(called, AIMessage)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [
        ("City", {"name": "Bonn", "people": 330000})
    ]
    assert upstream.requests[-1].body["tools"][0]["function"]["name"] == "City"


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_langchain_gets_what_is_asked_for(process: Process, upstream: ScriptedOpenAI, method: str) -> None:
    said = '{"name": "Bonn", "people": 330000}'
    upstream.reply = lambda body: Reply(tool_calls=[("City", said)]) if body.get("tools") else Reply(said)
    found = _langchain(process).with_structured_output(City, method=method).invoke("Which city? Answer in JSON.")  # type: ignore[arg-type]
    assert found == City(name="Bonn", people=330000)
    kept = upstream.requests[-1].body
    assert ("tools" in kept) == (method == "function_calling")
    if method == "json_schema":
        assert kept["response_format"]["json_schema"]["schema"]["properties"].keys() == {"name", "people"}


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's tokenizer would fetch its vocabulary; it is the one that we have."""
    address = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    packed = assets.folder() / "tokens" / "cl100k_base.tiktoken.gz"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))


def test_langchain_embeds(tokenizer: None, process: Process, upstream: ScriptedOpenAI) -> None:
    def embeddings(model: str, **more: Any) -> OpenAIEmbeddings:
        return OpenAIEmbeddings(model=model, base_url=process.openai, api_key="unused", **more)  # type: ignore[arg-type]

    plain = embeddings("text-embedding-3-small", check_embedding_ctx_length=False)
    assert plain.embed_query("a") == pytest.approx(vector("a"), abs=1e-6)
    assert len(plain.embed_documents(["a", "b"])) == 2
    # what it does when nobody tells it otherwise: token ids, which OpenAI itself gets as they are
    usual = embeddings("text-embedding-3-small")
    assert len(usual.embed_documents(["hello world!", "b"])) == 2
    assert upstream.requests[-1].body["input"] == [[15339, 1917, 0], [65]]


@pytest.mark.local_model
def test_the_embedded_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Process(tmp_path_factory.mktemp("data"), CIRCUIT_BREAKER_EMBEDDED="1") as running:
        client = openai.OpenAI(base_url=running.openai, api_key="unused", timeout=120, max_retries=0)
        whole = client.chat.completions.create(model="auto", messages=HELLO, max_tokens=8)  # type: ignore[arg-type]
        assert whole.choices[0].message.content
        assert whole.usage
        assert whole.usage.completion_tokens <= 8
        stream = client.chat.completions.create(model="auto", messages=HELLO, max_tokens=8, stream=True)  # type: ignore[arg-type]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        listed = {model.id: (model.model_extra or {}).get("capabilities", ()) for model in client.models.list()}
        names = [name for name, abilities in listed.items() if "embedding" in abilities]
        cat, kitten, stock = client.embeddings.create(
            model=names[0], input=["a cat", "a kitten", "the stock market"]
        ).data
        assert _alike(cat.embedding, kitten.embedding) > _alike(cat.embedding, stock.embedding)
        assert running.stop() == 0


def _alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
