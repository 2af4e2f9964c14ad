"""Ollama's own client against our face of it: a model of Ollama's, one in the cloud and a virtual one look alike."""

from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from tests.servers.fake_ollama import FakeModel, FakeOllama
from tests.servers.fake_ollama import Reply as OllamaReply
from tests.servers.loopback import PATIENCE_S, Drop
from tests.servers.scripted_openai import Reply, ScriptedOpenAI, echo
from tests.serving import Process

SEES = FakeModel("llava:7b", "clip", ["completion", "vision"])
PICTURE = "iVBORw0KGgo="
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def near() -> Iterator[FakeOllama]:
    with FakeOllama(["qwen2.5-coder:3b", "nomic-embed-text", SEES]) as server:
        yield server


@pytest.fixture(scope="module")
def far() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI() as server:
        yield server


@pytest.fixture(scope="module")
def process(near: FakeOllama, far: ScriptedOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    environ = {
        "OLLAMA_BASE_URL": near.url, "OPENAI_BASE_URL": f"{far.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789",
    }  # fmt: skip
    with Process(tmp_path_factory.mktemp("data"), **environ) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def client(process: Process, near: FakeOllama, far: ScriptedOpenAI) -> ollama.Client:
    near.script.clear()
    near.reply = lambda body: OllamaReply(
        f"You said: {body['messages'][-1]['content'] if 'messages' in body else body['prompt']}"
    )
    far.reply = echo
    return ollama.Client(process.openai.removesuffix("/v1"))


def test_all_models_are_listed_and_shown(client: ollama.Client) -> None:
    listed = {str(model.model): model for model in client.list().models}
    assert {"auto", "cb:coding", "qwen2.5-coder:3b", "gpt-5-nano", "llava:7b"} <= listed.keys()
    assert len({model.digest for model in listed.values()}) == len(listed)
    assert all(model.details and model.modified_at and model.digest for model in listed.values())
    for name, ability in (("qwen2.5-coder:3b", "tools"), ("llava:7b", "vision"), ("gpt-5-nano", "tools")):
        assert ability in (client.show(name).capabilities or [])
    assert "completion" in (client.show("auto").capabilities or [])
    info = client.show("gpt-5-nano").modelinfo or {}
    assert f"{info['general.architecture']}.context_length" in info
    with pytest.raises(ollama.ResponseError, match="no model"):
        client.show("qwen2.5-codre")


def test_a_prompt_that_is_too_long_is_refused_on_each_face_and_not_asked(
    client: ollama.Client, process: Process, near: FakeOllama
) -> None:
    ask = {"model": "qwen2.5-coder:3b", "messages": [{"role": "user", "content": "x" * 400_000}], "max_tokens": 9}
    before = len(near.asked("/api/chat"))
    for path, face in (("chat/completions", "openai"), ("messages", "anthropic")):
        answer = httpx.post(f"{process.openai}/{path}", json=ask)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (400, "false")
        told = answer.json()["error"]
        assert told["type"] == "invalid_request_error"
        if face == "openai":
            assert (told["code"], told["details"]["context"]) == ("context_length_exceeded", 32768)
            assert "gpt-5-nano" in told["details"]["fitting"]
        else:
            assert told["message"].startswith("prompt is too long: ")
    with pytest.raises(ollama.ResponseError, match="input length exceeds the context length") as caught:
        client.chat("qwen2.5-coder:3b", messages=ask["messages"])
    assert caught.value.status_code == 400
    assert len(near.asked("/api/chat")) == before


@pytest.mark.parametrize("model", ["qwen2.5-coder:3b", "gpt-5-nano", "auto"])
def test_chat_whole_and_streamed(client: ollama.Client, model: str) -> None:
    whole = client.chat(model, messages=HELLO)
    assert whole.message.content == "You said: Hello"
    assert whole.done
    pieces = list(client.chat(model, messages=HELLO, stream=True))
    assert "".join(piece.message.content or "" for piece in pieces) == "You said: Hello"
    assert [piece.done for piece in pieces].count(True) == 1
    assert pieces[-1].done_reason == "stop"
    assert pieces[-1].eval_count
    for last in (whole, pieces[-1]):  # clients divide by them
        assert last.total_duration
        assert last.eval_duration


def test_tools_go_round(client: ollama.Client, far: ScriptedOpenAI) -> None:
    def weather(body: Any) -> Reply:
        given = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return Reply(f"It is {given[0]}.") if given else Reply(tool_calls=[("weather", '{"city": "Bonn"}')])

    far.reply = weather
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    first = client.chat("gpt-5-nano", messages=messages, tools=[tool]).message
    assert first.tool_calls
    assert first.tool_calls[0].function.arguments == {"city": "Bonn"}
    messages += [first, {"role": "tool", "content": "sunny", "tool_name": "weather"}]
    assert client.chat("gpt-5-nano", messages=messages, tools=[tool]).message.content == "It is sunny."
    asked = far.requests[-1].body["messages"]
    assert asked[-1]["tool_call_id"] == asked[-2]["tool_calls"][0]["id"] != ""


def test_generate_fills_in_and_sees(client: ollama.Client, near: FakeOllama, far: ScriptedOpenAI) -> None:
    assert client.generate("gpt-5-nano", "Once").response == "You said: Once"
    assert client.generate("qwen2.5-coder:3b", "def f(", suffix="return x").response == "You said: def f("
    assert near.asked("/api/generate")[-1]["suffix"] == "return x"
    client.generate("llava:7b", "What is it?", images=[PICTURE])
    assert near.asked("/api/chat")[-1]["messages"][-1]["images"] == [PICTURE]


def test_vectors(client: ollama.Client) -> None:
    assert len(client.embed("nomic-embed-text", ["a", "b"]).embeddings) == 2
    far = client.embed("text-embedding-3-small", "a").embeddings
    assert list(client.embeddings("text-embedding-3-small", "a").embedding) == pytest.approx(list(far[0]))


def test_token_ids_reach_a_model_of_another_tokenizer_as_text(process: Process, near: FakeOllama) -> None:
    ids = {"model": "nomic-embed-text", "input": [[15339, 1917, 0]]}
    answer = httpx.post(f"{process.openai}/embeddings", json=ids, timeout=PATIENCE_S)
    assert answer.status_code == 200
    assert near.asked("/api/embed")[-1]["input"] == ["hello world!"]


def test_models_are_pulled_loaded_copied_and_removed(client: ollama.Client, near: FakeOllama) -> None:
    steps = list(client.pull("smollm:135m", stream=True))
    assert steps[-1].status == "success"
    assert any(step.completed for step in steps)
    with pytest.raises(ollama.ResponseError, match="does not exist"):
        list(client.pull("nope:1b", stream=True))
    client.generate("qwen2.5-coder:3b", "", keep_alive="5m")
    assert "qwen2.5-coder:3b" in near.loaded
    client.generate("qwen2.5-coder:3b", "", keep_alive=0)
    assert "qwen2.5-coder:3b" not in near.loaded
    client.delete("smollm:135m")
    assert "smollm:135m" not in near.models


def test_an_answer_that_breaks_off_is_an_error(client: ollama.Client, near: FakeOllama) -> None:
    near.script.append(Drop(2))
    with pytest.raises(ollama.ResponseError):
        list(client.chat("qwen2.5-coder:3b", messages=HELLO, stream=True))
