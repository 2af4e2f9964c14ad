"""Editors and agents that cannot be run here: the requests that each is known to send, in its order, as bytes on the
wire, and what it looks at in the answers. Taken from their sources and protocols as of 2026-08."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest
from backports import zstd

from tests.servers.fake_ollama import FakeModel, FakeOllama
from tests.servers.fake_ollama import Reply as OllamaReply
from tests.servers.fake_ollama import echo as ollama_echo
from tests.servers.loopback import PATIENCE_S, BreakWith
from tests.servers.scripted_openai import Reply, ScriptedOpenAI, echo
from tests.serving import Process, events

CODER = "qwen2.5-coder:3b"
HELLO = [{"role": "user", "content": "Hello"}]
LOOK: Any = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOL: Any = {"type": "function", "function": {"name": "look", "description": "Look", "parameters": LOOK}}


@pytest.fixture(scope="module")
def near() -> Iterator[FakeOllama]:
    sees = FakeModel("llava:7b", "clip", ["completion", "vision"])
    with FakeOllama([CODER, "nomic-embed-text", sees]) as server:
        yield server


@pytest.fixture(scope="module")
def far() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI() as server:
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[ScriptedOpenAI]:
    """A provider with a model that another one has too, and rows as bare or as odd as there are."""
    rows: list[Any] = [{"id": "odd", "name": None, "object": "model"}, {"id": CODER}]
    with ScriptedOpenAI(rows) as server:
        yield server


@pytest.fixture(scope="module")
def process(
    near: FakeOllama, far: ScriptedOpenAI, other: ScriptedOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    environ = {
        "OLLAMA_BASE_URL": near.url, "OPENAI_BASE_URL": f"{far.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789",
        "CUSTOM_LLM_ENDPOINT": f"{other.url}/v1",
    }  # fmt: skip
    with Process(tmp_path_factory.mktemp("data"), **environ) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def http(process: Process, near: FakeOllama, far: ScriptedOpenAI) -> Iterator[httpx.Client]:
    near.script.clear()
    near.reply, far.reply = ollama_echo, echo
    with httpx.Client(base_url=process.openai.removesuffix("/v1"), timeout=PATIENCE_S) as found:
        yield found


def ndjson(http: httpx.Client, path: str, body: Mapping[str, Any], **headers: str) -> list[Any]:
    answer = http.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def sse(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text.splitlines())


def asked_of(server: ScriptedOpenAI) -> Any:
    return [request.body for request in server.requests if request.method == "POST"][-1]


def said(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for chunk in chunks[:-1] for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


# -- Continue (Ollama.ts) ---------------------------------------------------------------------------------------------


def test_continue_shows_by_the_old_name_fills_in_and_calls_tools(http: httpx.Client, near: FakeOllama) -> None:
    for model in (CODER, "gpt-5-nano", "auto"):
        shown = http.post("/api/show", json={"name": model}).json()
        assert isinstance(shown["parameters"], str)  # it looks for the lines of num_ctx and stop
        for line in filter(None, shown["parameters"].splitlines()):
            assert re.fullmatch(r"\S+\s+\S.*", line)
        assert isinstance(shown["template"], str)  # and in here for .Suffix
    fill = {
        "model": CODER, "prompt": "def f(", "suffix": "return x", "raw": True, "keep_alive": 1800,
        "options": {"temperature": 0.01, "num_predict": 2048, "num_ctx": 8192, "stop": ["\n\n"]}, "stream": True,
    }  # fmt: skip
    lines = ndjson(http, "/api/generate", fill)
    assert "".join(line["response"] for line in lines) == "You said: def f("
    assert lines[-1]["done"] is True
    asked = near.asked("/api/generate")[-1]
    assert (asked["suffix"], asked["raw"], asked["keep_alive"]) == ("return x", True, 1800)
    near.reply = lambda _: OllamaReply(tool_calls=[("look", {"path": "a.py"}, "")])
    whole = http.post("/api/chat", json={"model": CODER, "messages": HELLO, "tools": [TOOL], "stream": False}).json()
    call = whole["message"]["tool_calls"][0]["function"]
    assert (call["name"], call["arguments"]) == ("look", {"path": "a.py"})  # an object, not a text


# -- Open WebUI (openai.py, ollama.py) --------------------------------------------------------------------------------


def test_open_webui_lists_models_that_have_ids_and_names_of_their_own(http: httpx.Client) -> None:
    first, second = (
        http.get("/v1/models", headers={"authorization": "Bearer none", "content-type": "application/json"}).json()
        for _ in range(2)
    )
    rows = first["data"]
    assert all(isinstance(row["id"], str) and row["id"] for row in rows)
    assert all(isinstance(row["name"], str) and row["name"] for row in rows)
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert ids == [row["id"] for row in second["data"]]
    assert {"auto", "gpt-5-nano", CODER, "odd"} <= set(ids)
    assert f"custom/{CODER}" in ids  # what another provider has too


def test_open_webui_speaks_to_it_as_to_ollama(http: httpx.Client, near: FakeOllama) -> None:
    version = http.get("/api/version").json()["version"]
    assert [int(part) for part in re.sub(r"^v|-.*", "", version).split(".")]
    tags = http.get("/api/tags").json()["models"]
    assert all(row["model"] and row["name"] for row in tags)
    assert len({row["model"] for row in tags}) == len(tags)
    asked = json.dumps({"model": CODER, "messages": HELLO, "stream": True})
    answer = http.post("/api/chat", content=asked, headers={"content-type": "text/plain; charset=utf-8"})
    assert json.loads(answer.text.splitlines()[-1])["done"] is True
    http.post("/api/generate", json={"model": CODER, "keep_alive": "5m", "prompt": ""})
    loaded = {row["name"]: row for row in _loaded(http, CODER)}
    assert datetime.fromisoformat(loaded[CODER]["expires_at"]).utcoffset() is not None
    gone = http.post("/api/generate", json={"model": CODER, "keep_alive": 0, "prompt": ""}).json()
    assert (gone["done"], gone["done_reason"]) == (True, "unload")
    assert CODER not in near.loaded


def _loaded(http: httpx.Client, name: str) -> list[Any]:
    """The list is refreshed a moment after a model was loaded."""
    for _ in range(400):
        rows: list[Any] = http.get("/api/ps").json()["models"]
        if any(row["name"] == name for row in rows):
            return rows
    raise AssertionError(f"{name} was never seen in memory")


# -- VS Code Copilot (ollamaProvider.ts) ------------------------------------------------------------------------------


def test_copilot_finds_models_and_chats_on_the_same_port(http: httpx.Client, far: ScriptedOpenAI) -> None:
    version = http.get("/api/version").json()["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)  # what is no number is refused
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    for row in http.get("/api/tags").json()["models"]:
        shown = http.post("/api/show", json={"model": row["model"]}).json()
        architecture = shown["model_info"]["general.architecture"]
        assert architecture
        assert isinstance(shown["capabilities"], list)
        assert isinstance(shown["model_info"].get(f"{architecture}.context_length", 0), int)
        if row["model"] in ("auto", "gpt-5-nano"):
            assert shown["model_info"]["general.basename"]
            assert "tools" in shown["capabilities"]
    far.reply = lambda _: Reply(tool_calls=[("look", '{"path": "a.py"}')])
    body = {"model": "gpt-5-nano", "messages": HELLO, "tools": [TOOL], "stream": True, "n": 1, "temperature": 0.1}
    chunks = sse(http.post("/v1/chat/completions", json=body))
    assert chunks[-1] == "[DONE]"
    calls = [
        call for chunk in chunks[:-1] for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())
    ]
    assert calls[0]["function"]["name"] == "look"
    assert "".join(call["function"]["arguments"] for call in calls) == '{"path": "a.py"}'
    assert not [
        chunk for chunk in chunks[:-1] for choice in chunk["choices"] if choice["delta"].get("tool_calls") == []
    ]
    assert [choice["finish_reason"] for chunk in chunks[:-1] for choice in chunk["choices"]][-1] == "tool_calls"


# -- Zed (crates/ollama) ----------------------------------------------------------------------------------------------


def test_zed_gets_each_field_and_a_message_in_each_line(http: httpx.Client, near: FakeOllama) -> None:
    for row in http.get("/api/tags").json()["models"]:
        assert all(isinstance(row[field], str) and row[field] for field in ("name", "modified_at", "digest"))
        assert isinstance(row["size"], int)
        assert all(
            isinstance(row["details"][field], str)
            for field in ("format", "family", "parameter_size", "quantization_level")
        )
    asked = {"model": CODER, "messages": HELLO, "stream": True, "keep_alive": -1, "options": {"num_ctx": 16384}}
    for line in ndjson(http, "/api/chat", asked):
        assert isinstance(line["message"]["content"], str)
    assert near.asked("/api/chat")[-1]["keep_alive"] == -1
    near.script.append(BreakWith("llama runner process has terminated", after=2))
    lines = ndjson(http, "/api/chat", asked)
    assert "error" in lines[-1]
    assert all("message" in line for line in lines)


# -- Cursor -----------------------------------------------------------------------------------------------------------


def test_cursor_sends_the_newer_form_to_the_older_address(http: httpx.Client, far: ScriptedOpenAI) -> None:
    far.reply = lambda body: (
        Reply("Done.") if body["messages"][-1]["role"] == "tool" else Reply(tool_calls=[("look", "{}")])
    )
    tool = {"type": "function", "name": "look", "description": "Look", "parameters": LOOK, "strict": False}
    body: dict[str, Any] = {
        "model": "gpt-5-nano", "stream": True, "store": False, "include": ["reasoning.encrypted_content"],
        "truncation": "auto",
        "input": [
            {"role": "system", "content": "You are a coder."},
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}]},
        ],
        "tools": [tool], "tool_choice": "auto", "reasoning": {"effort": "medium", "summary": "auto"}, "user": "me",
        "prompt_cache_key": "k", "text": {"verbosity": "low"}, "metadata": {"a": "b"},
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    chunks = sse(http.post("/v1/chat/completions", json=body))
    assert chunks[0]["object"] == "chat.completion.chunk"
    asked = asked_of(far)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["tools"][0]["function"]["name"] == "look"
    assert asked["reasoning_effort"] == "medium"
    assert not {"input", "include", "truncation", "store"} & asked.keys()  # unknown there, and refused
    body["input"] += [
        {"type": "function_call", "call_id": "call_0", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "nothing"},
    ]
    assert said(sse(http.post("/v1/chat/completions", json=body))) == "Done."


# -- Codex ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["", "zstd", "gzip"])
def test_codex_speaks_responses_alone_packed_or_not(http: httpx.Client, far: ScriptedOpenAI, coding: str) -> None:
    body = {
        "model": "gpt-5-nano", "instructions": "You are Codex.", "stream": True, "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "tools": [
            {"type": "function", "name": "shell", "description": "Run", "strict": False, "parameters": LOOK},
            {"type": "web_search"},
            {"type": "custom", "name": "apply_patch", "description": "Patch", "format": {"type": "text"}},
        ],
        "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "0192", "text": {"verbosity": "medium"},
    }  # fmt: skip
    data = json.dumps(body).encode()
    packed = {"zstd": zstd.compress, "gzip": gzip.compress}.get(coding, bytes)(data)
    headers = {"content-type": "application/json", "originator": "codex_cli_rs", "accept": "text/event-stream"}
    if coding:
        headers["content-encoding"] = coding
    seen = sse(http.post("/v1/responses", content=packed, headers=headers))
    assert (seen[0]["type"], seen[-1]["type"]) == ("response.created", "response.completed")
    assert seen[-1]["response"]["output"][0]["content"][0]["text"] == "You said: Hello"
    assert "shell" in [tool["function"]["name"] for tool in asked_of(far)["tools"]]


# -- Claude Code ------------------------------------------------------------------------------------------------------


def test_claude_code_asks_first_whether_anybody_is_there(http: httpx.Client, far: ScriptedOpenAI) -> None:
    assert http.head("/").status_code == 200
    assert http.get("/").status_code == 200
    assert (
        http.get("/v1/models", params={"limit": 1000}, headers={"anthropic-version": "2023-06-01"}).status_code == 200
    )
    kept = {"type": "ephemeral"}
    headers = {
        "authorization": "Bearer none", "anthropic-version": "2023-06-01", "x-app": "cli",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    }  # fmt: skip
    body: dict[str, Any] = {
        "model": "gpt-5-nano", "max_tokens": 32000, "stream": True,
        "system": [{"type": "text", "text": "You are Claude Code.", "cache_control": kept}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": kept}]}],
        "tools": [{"name": "look", "description": "Look", "input_schema": LOOK}],
        "metadata": {"user_id": "user_1"}, "thinking": {"type": "enabled", "budget_tokens": 10000},
        "context_management": {"edits": []},
    }  # fmt: skip
    counted = {name: body[name] for name in ("model", "system", "messages", "tools")}
    counts = http.post("/v1/messages/count_tokens", params={"beta": "true"}, json=counted, headers=headers)
    assert counts.json()["input_tokens"] > 0
    assert counts.headers["x-cb-estimated"] == "true"
    answer = http.post("/v1/messages", params={"beta": "true"}, json=body, headers=headers)
    kinds = [event["type"] for event in sse(answer)]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert asked_of(far)["messages"][0]["role"] == "system"


# -- whoever it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/chat/completions/"])
@pytest.mark.parametrize(
    "kind", ["application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"]
)
def test_a_slash_more_and_another_content_type_do_no_harm(http: httpx.Client, path: str, kind: str) -> None:
    body = json.dumps({"model": "gpt-5-nano", "messages": HELLO}).encode()
    answer = http.post(path, content=body, headers={"content-type": kind})
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Hello"


@pytest.mark.parametrize(
    "path",
    ["/v1/models/", "/v1/models/gpt-5-nano/", "/api/tags/", "/api/version/", "/health/", "/v1/models", "/health"],
)
def test_what_is_read_is_there_with_a_slash_too(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert ("data" in answer.json()) == path.startswith("/v1/models") & ("gpt" not in path)


@pytest.mark.parametrize("key", ["", "Bearer none", "Bearer sk-no-key", "Bearer ollama"])
def test_any_key_will_do_on_this_machine(http: httpx.Client, key: str) -> None:
    headers = {"authorization": key} if key else {}
    assert http.get("/v1/models", headers=headers).status_code == 200


def test_what_is_packed_is_bounded_and_errors_say_how_to_mend_it(http: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    for data, coding, status in (
        (bomb, "gzip", 413),
        (zstd.compress(b" " * 50_000_000), "zstd", 413),
        (b"no gzip", "gzip", 400),
        (gzip.compress(b"{}" * 100)[:-20], "gzip", 400),
        (b"no zstd", "zstd", 400),
        (zstd.compress(b"{}" * 100)[:-3], "zstd", 400),
        (b"{}", "br", 400),
    ):
        answer = http.post("/v1/chat/completions", content=data, headers={"content-encoding": coding})
        assert answer.status_code == status, (coding, answer.text)
        assert answer.json()["error"]["message"]
