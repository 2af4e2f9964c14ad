"""All providers through real sockets: requests as clients of the product send them, a scripted server behind each."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.fake_ollama import FakeOllama
from tests.servers.loopback import PATIENCE_S, BreakWith, Drop, LoopbackServer, Stall, Status
from tests.servers.scripted_anthropic import ScriptedAnthropic, error, overloaded
from tests.servers.scripted_azure import ScriptedAzure
from tests.servers.scripted_google import Reply, ScriptedGoogle
from tests.servers.scripted_google import error as google_error
from tests.servers.scripted_openai import ScriptedOpenAI, vector
from tests.serving import Process, events

SECRET = "walk-key-0123456789"
CONFIG = """
[endpoints.azure-eu]
kind = "azure"
url = "{eu}"
deployments = {{ "chat-eu" = "gpt-4o" }}
key_env = "AZURE_EU"

[endpoints.azure-us]
kind = "azure"
url = "{us}"
deployments = {{ "chat-us" = "gpt-4o", "vectors" = "text-embedding-3-small" }}
key_env = "AZURE_US"

[endpoints.lab]
kind = "vllm"
url = "{lab}/v1"
auth = "header:x-lab-key"
key_env = "LAB_KEY"
headers = {{ "x-team" = "search" }}
models = ["llama-9", {{ name = "dear", input = "100", output = "400" }}]

[endpoints.cloud]
kind = "vertex"
url = "{vertex}"
project = "p-1"
region = "europe-west4"
credentials = "{credentials}"
token_url = "{vertex}/token"
models = ["gemini-3.6-flash", "claude-haiku-4-5"]

[endpoints.proxy]
kind = "anthropic"
url = "{proxy}"
key_env = "PROXY_KEY"
"""


class Clouds:
    """Every upstream, by name, and the process before them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.servers: dict[str, Any] = {
            "ollama": FakeOllama(["qwen2.5-coder:3b", "nomic-embed-text"]),
            "openai": ScriptedOpenAI(["gpt-4", "gpt-5-nano", "text-embedding-3-small"]),
            "anthropic": ScriptedAnthropic(["claude-sonnet-4-5"], key=SECRET),
            "google": ScriptedGoogle(["gemini-3.5-flash"], key=SECRET, signed=True),
            "custom": ScriptedOpenAI(["my-model"], key=SECRET),
            "eu": ScriptedAzure({"chat-eu": "gpt-4o"}, key=SECRET),
            "us": ScriptedAzure({"chat-us": "gpt-4o", "vectors": "text-embedding-3-small"}, key=SECRET),
            "lab": ScriptedOpenAI(["llama-9", "dear"]),
            "proxy": ScriptedAnthropic(["claude-proxied"], key=SECRET),
            "vertex": ScriptedGoogle(["gemini-3.6-flash", "claude-haiku-4-5"], token=f"ya29.{SECRET}"),
        }
        for server in self.servers.values():
            stack.enter_context(server)
        urls = {name: server.url for name, server in self.servers.items()}
        file = folder / "config.toml"
        login = {"client_id": "c", "client_secret": SECRET, "refresh_token": SECRET, "type": "authorized_user"}
        (folder / "login.json").write_text(json.dumps(login))
        file.write_text(CONFIG.format(credentials=folder / "login.json", **urls))
        self.process = stack.enter_context(
            Process(
                folder / "data",
                "--config",
                str(file),
                OLLAMA_BASE_URL=urls["ollama"],
                OPENAI_BASE_URL=f"{urls['openai']}/v1",
                OPENAI_API_KEYS="sk-walk-aaaa-1111,sk-walk-bbbb-2222,sk-walk-cccc-3333",
                ANTHROPIC_BASE_URL=urls["anthropic"],
                GOOGLE_BASE_URL=urls["google"],
                CUSTOM_LLM_ENDPOINT=f"{urls['custom']}/v1",
                CUSTOM_LLM_MODEL="my-model",
                **dict.fromkeys(("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "CUSTOM_LLM_API_KEY", "PROXY_KEY"), SECRET),
                **dict.fromkeys(("AZURE_EU", "AZURE_US", "LAB_KEY"), SECRET),
            )
        )

    def __getitem__(self, name: str) -> Any:
        return self.servers[name]

    def forget(self) -> None:
        """As at the start: nothing scripted, nothing asked, no key or model left alone."""
        for server in self.servers.values():
            server.script.clear()
        for provider in ("openai", "anthropic", "google", "azure-eu", "azure-us", "lab"):
            self.process.ask("mutation ($id: String!) { testKey(provider: $id) }", id=provider)
        for server in self.servers.values():
            server.requests.clear()

    def chat(self, model: str, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], **more}
        return httpx.post(f"{self.process.openai}/chat/completions", json=body, timeout=PATIENCE_S)

    def asked(self, name: str) -> list[Any]:
        return [one for one in self[name].requests if one.method == "POST"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with ExitStack() as stack:
        found = Clouds(stack, tmp_path_factory.mktemp("walk"))
        yield found
        assert found.process.stop() == 0
        written = b"".join(one.read_bytes() for one in found.process.data_dir.rglob("*") if one.is_file())
        assert SECRET.encode() not in written
        assert SECRET not in found.process.errors()


@pytest.fixture
def clouds(running: Clouds) -> Clouds:
    running.forget()
    return running


EVERYBODY = {
    "ollama": "qwen2.5-coder:3b",
    "openai": "gpt-4",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-3.5-flash",
    "custom": "my-model",
    "azure-eu": "chat-eu",
    "lab": "llama-9",
    "cloud": "gemini-3.6-flash",
    "proxy": "claude-proxied",
}


@pytest.mark.parametrize(("provider", "model"), [*EVERYBODY.items(), ("cloud", "claude-haiku-4-5")])
def test_one_request_for_all_of_them(clouds: Clouds, provider: str, model: str) -> None:
    whole = clouds.chat(model)
    assert whole.json()["choices"][0]["message"]["content"] == "You said: Hello!", whole.text
    assert (whole.headers["x-cb-provider"], whole.json()["model"]) == (provider, model)
    assert whole.json()["usage"]["total_tokens"] > 0
    *chunks, done = events(clouds.chat(model, stream=True).text.splitlines())
    assert done == "[DONE]"
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in chunks) == "You said: Hello!"


def test_the_examples_of_routing(clouds: Clouds) -> None:
    for model in ("auto", "cb:cost-optimal", "cb:fastest"):
        assert clouds.chat(model).json()["choices"][0]["message"]["content"] == "You said: Hello!"
    wishes = {"routing_strategy": "cost_optimized", "max_cost_per_1k_tokens": 0.002, "task_type": "coding"}
    kept = clouds.chat("gpt-4", circuit_breaker=wishes)
    assert kept.status_code == 200
    assert kept.json()["model"] != "gpt-4", "it costs more than that"
    made = httpx.post(
        f"{clouds.process.openai}/embeddings", json={"model": "vectors", "input": "a"}, timeout=PATIENCE_S
    )
    assert made.json()["data"][0]["embedding"] == pytest.approx(vector("a"))


# Keys


def keys_of(server: LoopbackServer) -> list[str]:
    return [one.headers["authorization"][-4:] for one in server.requests if one.method == "POST"]


def test_a_key_that_is_refused_is_left_alone_and_the_others_go_on(clouds: Clouds) -> None:
    clouds["openai"].script.append(Status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))
    first = clouds.chat("gpt-4")
    assert (first.status_code, first.headers["x-cb-attempts"]) == (200, "2")
    for _ in range(5):
        clouds.chat("gpt-4")
    used = Counter(keys_of(clouds["openai"]))
    assert used["1111"] == 1
    assert used["2222"] == 6


def test_a_key_that_is_to_wait_waits(clouds: Clouds) -> None:
    slow = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    clouds["openai"].script.append(Status(429, slow, {"retry-after": "60"}))
    assert [clouds.chat("gpt-4").headers["x-cb-attempts"] for _ in range(2)] == ["2", "1"]
    assert keys_of(clouds["openai"]) == ["1111", "2222", "2222"]


def test_when_all_are_refused_the_error_says_which_and_where_it_is(clouds: Clouds) -> None:
    no = Status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
    clouds["openai"].script.extend([no] * 3)
    answer = clouds.chat("gpt-4")
    assert answer.status_code == 401
    said = answer.json()["error"]["message"]
    assert "OpenAI refused the key …3333 (from OPENAI_API_KEYS)." in said
    assert "Correct OPENAI_API_KEYS" in said
    assert "sk-walk" not in answer.text


def test_many_at_once_are_spread_over_the_keys(clouds: Clouds) -> None:
    upstream = clouds["openai"]
    upstream.script.extend([Stall()] * 6)
    before = upstream.stalled
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(clouds.chat, "gpt-4") for _ in range(6)]
        upstream.wait_until(lambda seen: seen.stalled == before + 6)
        assert Counter(keys_of(upstream)) == {"1111": 2, "2222": 2, "3333": 2}
        upstream.release()
        assert {one.result().status_code for one in waiting} == {200}


# Endpoints


def test_an_endpoint_is_asked_as_its_table_says(clouds: Clouds) -> None:
    answer = clouds.chat("lab/dear")
    sent = clouds.asked("lab")[0].headers
    assert (sent["x-lab-key"], sent["x-team"]) == (SECRET, "search")
    assert "authorization" not in sent
    assert float(answer.headers["x-cb-cost-usd"]) > 0
    known = {row["provider"]: row for row in clouds.process.ask("{ keys { provider where ending } }")["keys"]}
    assert (known["lab"]["where"], known["lab"]["ending"]) == ("LAB_KEY", "…6789")
    assert known["google"]["where"] == "GEMINI_API_KEY"


def test_another_region_answers_before_the_first_word_and_none_after_it(clouds: Clouds) -> None:
    clouds["eu"].script.extend([Status(503)] * 3)
    answer = clouds.chat("gpt-4o")
    assert (answer.status_code, answer.headers["x-cb-provider"]) == (200, "azure-us"), answer.text
    assert answer.json()["model"] == "chat-us"
    clouds.forget()
    clouds["eu"].script.append(Drop(4))
    lines = events(clouds.chat("gpt-4o", stream=True).text.splitlines())
    assert any(one["choices"][0]["delta"].get("content") for one in lines[:-1])
    assert "error" in lines[-1]
    assert clouds.asked("us") == []


def test_a_cloud_that_is_overloaded_in_the_middle_of_nothing_is_asked_again(clouds: Clouds) -> None:
    clouds["anthropic"].script.append(BreakWith(overloaded(), after=1))
    answer = clouds.chat("claude-sonnet-4-5")
    assert (answer.status_code, answer.headers["x-cb-attempts"]) == (200, "2")
    clouds["anthropic"].script.append(Status(400, error("invalid_request_error", "prompt is too long: 9 > 8")))
    assert clouds.chat("claude-sonnet-4-5").json()["error"]["code"] == "context_length_exceeded"


def test_a_wait_that_google_tells_in_its_body_reaches_the_client(clouds: Clouds) -> None:
    clouds["google"].script.extend([Status(429, google_error(429, "RESOURCE_EXHAUSTED", "quota", retry="30s"))] * 3)
    answer = clouds.chat("gemini-3.5-flash")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_a_client_that_drops_signatures_gets_them_put_back(clouds: Clouds) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    upstream = clouds["google"]
    echo, upstream.reply = upstream.reply, lambda _: Reply(tool_calls=[("weather", {"city": "Bern"})])
    try:
        message = clouds.chat("gemini-3.5-flash", tools=[tool]).json()["choices"][0]["message"]
    finally:
        upstream.reply = echo
    [call] = message["tool_calls"]
    call.pop("extra_content", None)
    said = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    assert clouds.chat("gemini-3.5-flash", messages=said, tools=[tool]).status_code == 200
    assert "sig-0" in clouds.asked("google")[-1].raw.decode()
    assert len(clouds.asked("google")) == 2


def test_claude_gets_what_its_own_clients_say_as_they_say_it(clouds: Clouds) -> None:
    text = {"type": "text", "text": "Hello!", "cache_control": {"type": "ephemeral"}}
    body: Mapping[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": [text]}],
        "some_new_field": {"a": 1},
    }  # fmt: skip
    url = f"{clouds.process.openai}/messages"
    answer = httpx.post(url, json=body, headers={"anthropic-beta": "new-2026"}, timeout=PATIENCE_S)
    assert answer.json()["content"] == [{"type": "text", "text": "You said: Hello!"}]
    [sent] = clouds.asked("anthropic")
    assert sent.body == {**body, "stream": True}
    assert (sent.headers["anthropic-beta"], sent.headers["x-api-key"]) == ("new-2026", SECRET)


def test_a_wrong_table_keeps_it_from_starting_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[endpoints.lab]\nkind = "opnai"\n')
    with Process(tmp_path, "--config", str(file), ready=False) as process:
        assert process.code() != 0
        assert "endpoints.lab.kind" in process.errors()
        assert "Did you mean 'openai'?" in process.errors()
        assert "Traceback" not in process.errors()


def test_a_key_is_set_for_an_endpoint_by_its_name(clouds: Clouds) -> None:
    kept = clouds.process.ask(
        'mutation ($key: String!) { setKey(provider: "proxy", key: $key) { provider ending } }', key=SECRET + "-new1"
    )
    assert kept["setKey"] == {"provider": "proxy", "ending": "…new1"}
    body = {"query": 'mutation { setKey(provider: "prox", key: "abcdefgh") { provider } }'}
    refused = httpx.post(clouds.process.graphql, json=body, timeout=PATIENCE_S).json()
    assert "proxy" in json.dumps(refused["errors"])
