"""`route`, and `models pull`, `rm` and `reset`, from the command line to a provider and back."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli import TASKS, main
from app.progress import progress_line
from engine.llm.ports import Progress
from engine.llm.routing.model import TASKS as TASKS_OF_ROUTING
from tests.servers.fake_ollama import FakeOllama
from tests.servers.loopback import PATIENCE_S, Stall, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import NOWHERE, ROOT, Process

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 200}
CODE = "Fix this function: def f(x): return x"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def upstream() -> Iterator[ScriptedOpenAI]:
    models = ["gpt-5-nano", "gpt-5.4", "text-embedding-3-small"]
    with ScriptedOpenAI(models, reply=lambda body: Reply("Hi.", usage=USAGE)) as running:
        yield running


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama(["gemma2:2b"]) as running:
        yield running


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], upstream: ScriptedOpenAI
) -> Run:
    """Run a command in an empty folder, before a scripted OpenAI: exit code, output, errors."""
    monkeypatch.setenv("CIRCUIT_BREAKER_EMBEDDED", "0")
    monkeypatch.setenv("OLLAMA_BASE_URL", NOWHERE)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--data-dir", "data"])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def read(run: Run, *words: str) -> Any:
    code, out, error = run(*words, "--json")
    assert code == 0, error
    return json.loads(out)


def asked(run: Run, model: str) -> str:
    """The id of a request that is over."""
    code, _, error = run("chat", "hello", "--model", model)
    assert code == 0, error
    id: str = read(run, "route", "replay", "--policy", "auto", "--last", "1")["requests"][0]["id"]
    return id


# -- route ------------------------------------------------------------------------------------------------------------


def test_tasks_are_those_of_routing() -> None:
    assert TASKS == TASKS_OF_ROUTING


def test_a_prompt_is_explained_for_people_and_for_programs(run: Run, upstream: ScriptedOpenAI) -> None:
    code, out, error = run("route", "explain", CODE)
    assert code == 0, error
    found = read(run, "route", "explain", CODE)
    assert found["task"] == "coding"
    assert re.search(r"task +coding: .*a line of code", out)
    assert re.search(rf"difficulty +{found['difficulty']:.2f}: \+0\.25 code", out)
    for number, one in enumerate(found["ranked"], 1):
        assert f"{number:>3}. {one['model']}  score {one['score']:.2f}" in out
        assert all(f"       {reason}\n" in out for reason in one["reasons"])
    assert re.search(r"text-embedding-3-small +does not chat \(no_chat\)", out)
    assert not [one for one in upstream.requests if one.method == "POST"]


def test_a_model_a_task_and_a_wish_are_heeded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(run, "route", "explain", "Hi", "--task", "analysis")["taskWhy"] == ["the request says so"]
    named = read(run, "route", "explain", "Hi", "--model", "gpt-5.4")
    assert [one["model"] for one in named["ranked"]] == ["openai/gpt-5.4"]
    code, _, error = run("route", "explain", "Hi", "--local-only")
    assert (code, "No model can answer this" in error) == (1, True)
    code, _, error = run("route", "explain", "Hi", "--model", "cb:codin")
    assert (code, "Did you mean 'cb:coding'" in error) == (1, True)
    code, _, error = run("route", "explain", "  ")
    assert (code, "The prompt is empty" in error) == (1, True)


def test_more_than_ten_are_shown_when_asked_for(run: Run, upstream: ScriptedOpenAI) -> None:
    upstream.models = [f"gpt-5-nano-{number}" for number in range(14)]
    assert "… and 4 more: --all" in run("route", "explain", "Hi")[1]
    out = run("route", "explain", "Hi", "--all")[1]
    assert " 14. openai/gpt-5-nano" in out
    assert "--all" not in out


def test_routes_are_listed_with_what_counts(run: Run) -> None:
    out = run("route", "list")[1]
    line = next(line for line in out.splitlines() if line.startswith("cb:fastest"))
    assert "latency 0.7" in line
    assert "the quickest answer" in line
    assert next(one["name"] for one in read(run, "route", "list")) == "auto"


def test_a_route_of_ones_own_is_marked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[routes.mine]\nmodels = ["gpt-5-nano", "gpt-5.4"]\nin_order = true\n')
    out = run("route", "list", "--config", "mine.toml")[1]
    assert re.search(r"mine .*yours; in order: gpt-5-nano, gpt-5\.4", out)


def test_a_decision_of_the_log_is_shown(run: Run) -> None:
    id = asked(run, "gpt-5-nano")
    out = run("route", "show", id)[1]
    assert "gpt-5-nano, by named" in out
    assert "openai/gpt-5-nano was asked" in out
    assert read(run, "route", "show", id)["id"] == id
    assert run("route", "show", "nobody")[0] == 1


def test_a_replay_adds_up_what_would_have_been(run: Run) -> None:
    assert "No request of the log" in run("route", "replay")[1]
    asked(run, "gpt-5.4")
    asked(run, "gpt-5-nano")
    code, out, error = run("route", "replay", "--policy", "gpt-5-nano")
    assert code == 0, error
    assert "With gpt-5-nano, 1 of 2 requests would go to another model." in out
    assert re.search(r"Cost, of 2: \$0\.00\d+ → about \$0\.00026\.", out)
    assert re.search(r"openai/gpt-5\.4 +openai/gpt-5-nano +\$\S+ → \$0\.00013", out)
    code, _, error = run("route", "replay", "--policy", "cb:cost-optima")
    assert (code, "Did you mean 'cb:cost-optimal'" in error) == (1, True)
    assert run("route", "replay", "--last", "0")[0] == 1


def test_a_vote_counts_and_is_taken_back(run: Run) -> None:
    def quality() -> float:
        return float(read(run, "route", "explain", "hello", "--model", "cb:smart-chat")["ranked"][0]["quality"])

    id, before = asked(run, "gpt-5-nano"), quality()
    assert "Noted" in run("route", "vote", id, "down")[1]
    reasons = str(read(run, "route", "explain", "hello", "--model", "cb:smart-chat"))
    assert read(run, "route", "vote", id, "none") == {"id": id, "vote": "none"}
    assert quality() == before
    assert str(read(run, "route", "explain", "hello", "--model", "cb:smart-chat")) != reasons
    assert run("route", "vote", "nobody", "up")[0] == 1
    with pytest.raises(SystemExit) as wrong:
        run("route", "vote", id, "sideways")
    assert wrong.value.code == 2


# -- models pull, rm, reset -------------------------------------------------------------------------------------------


@pytest.fixture
def local(run: Run, monkeypatch: pytest.MonkeyPatch, ollama: FakeOllama) -> Run:
    monkeypatch.setenv("OLLAMA_BASE_URL", ollama.url)
    return run


def test_a_model_is_pulled_and_removed(local: Run, ollama: FakeOllama) -> None:
    code, out, error = local("models", "pull", "qwen2.5-coder:3b")
    assert (code, out) == (0, "qwen2.5-coder:3b is there.\n")
    assert "pulling manifest\n" in error
    assert "success\n" in error
    assert "\x1b" not in error  # no terminal
    assert "qwen2.5-coder:3b" in ollama.models
    assert read(local, "models", "rm", "qwen2.5-coder:3b") == {"removed": "qwen2.5-coder:3b"}
    assert "qwen2.5-coder:3b" not in ollama.models


def test_what_cannot_be_pulled_or_removed_is_said(local: Run, ollama: FakeOllama) -> None:
    code, out, error = local("models", "pull", "nope")
    assert (code, out) == (1, "")
    assert "file does not exist" in error
    assert local("models", "rm", "nope")[0] == 1
    code, _, error = local("models", "pull", "x", "--provider", "openai")
    assert (code, "keeps no models" in error) == (1, True)


def test_nothing_of_it_needs_the_database(local: Run, ollama: FakeOllama, tmp_path: Path) -> None:
    with Process(tmp_path / "data", OLLAMA_BASE_URL=ollama.url):
        assert local("models", "pull", "phi3:mini")[0] == 0
    assert "phi3:mini" in ollama.models


def test_ctrl_c_stops_a_pull(ollama: FakeOllama, tmp_path: Path) -> None:
    ollama.script.append(Stall(after=2))
    command = [sys.executable, "-m", "app.cli", "models", "pull", "phi3:mini", "--data-dir", str(tmp_path / "data")]
    environ = {**os.environ, "OLLAMA_BASE_URL": ollama.url, "CIRCUIT_BREAKER_EMBEDDED": "0"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as it:
        ollama.wait_until(lambda server: server.stalled == 1)
        it.send_signal(signal.SIGINT)
        out, error = it.communicate(timeout=PATIENCE_S)
    assert (it.returncode, out) == (130, "")
    assert "The same command goes on where it was." in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Progress("pulling manifest"), "pulling manifest"),
        (Progress("pulling 3f2a", 0, 2_000_000_000), "pulling 3f2a  ──────────    0%  0.0 of 2.0 GB"),
        (Progress("pulling 3f2a", 1_000_000_000, 2_000_000_000), "pulling 3f2a  ━━━━━─────    50%  1.0 of 2.0 GB"),
        (Progress("pulling 3f2a", 3_000_000_000, 2_000_000_000), "pulling 3f2a  ━━━━━━━━━━  100%  3.0 of 2.0 GB"),
    ],
)
def test_progress_is_a_line(step: Progress, line: str) -> None:
    assert re.sub(r" +", " ", progress_line(step, 10)) == re.sub(r" +", " ", line)


def test_what_failed_is_asked_again_after_a_reset(run: Run, upstream: ScriptedOpenAI, tmp_path: Path) -> None:
    assert run("models", "reset")[1] == "Nothing was left alone.\n"
    with Process(tmp_path / "data", OPENAI_BASE_URL=f"{upstream.url}/v1", OPENAI_API_KEY="sk-test-0123456789") as it:
        upstream.script.append(Status(401))
        body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "x"}]}
        assert httpx.post(f"{it.openai}/chat/completions", json=body, timeout=PATIENCE_S).status_code == 401
        assert run("models", "reset", "--provider", "ollama")[1] == "Nothing was left alone.\n"
        code, out, error = run("models", "reset")
        assert (code, out.startswith("openai with key …6789 is asked again: ")) == (0, True), error
        assert run("models", "reset")[1] == "Nothing was left alone.\n"
