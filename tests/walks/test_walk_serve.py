"""`circuit-breaker --serve` as a process: it keeps what it acknowledged, says what is wrong, and stops cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.servers.fake_ollama import FakeOllama
from tests.servers.loopback import PATIENCE_S, Stall
from tests.servers.scripted_openai import ScriptedOpenAI
from tests.serving import ROOT, Process, events

FIRE = "mutation($t: String!, $x: String!) { fireTransition(input: {tokenId: $t, transitionId: $x}) { state version } }"
CREATE = 'mutation { createToken(input: {workflowId: "document_approval_v1"}) { id } }'
BODY = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


def children(pid: int) -> set[int]:
    """The processes that `pid` started (Linux)."""
    return {int(child) for one in Path(f"/proc/{pid}/task").glob("*/children") for child in one.read_text().split()}


def folded(data_dir: Path) -> bool:
    """Whether the log of the database was folded into its file."""
    log = data_dir / "circuit-breaker.db-wal"
    return not log.exists() or log.stat().st_size == 0


def test_each_signal_stops_it_cleanly_and_nothing_is_lost(tmp_path: Path) -> None:
    with Process(tmp_path) as first:
        assert first.ready["pid"] == first.process.pid
        token = first.ask(CREATE)["createToken"]["id"]
        first.stop(signal.SIGKILL)
    version = 1
    for number, transition in ((signal.SIGINT, "submit"), (signal.SIGTERM, "reject"), (signal.SIGHUP, "revise")):
        with Process(tmp_path) as process:
            asked = f'{{ token(id: "{token}") {{ version history {{ transition }} }} }}'
            found = process.ask(asked)["token"]
            assert found["version"] == len(found["history"]) == version
            version = process.ask(FIRE, t=token, x=transition)["fireTransition"]["version"]
            assert not folded(tmp_path)  # the control: there was something to fold
            assert process.stop(number) == 0
            assert "Traceback" not in process.errors()
        assert folded(tmp_path)
    assert version == 4


def test_chat_and_the_record_of_it_after_a_restart(tmp_path: Path) -> None:
    with ScriptedOpenAI() as upstream:
        environ = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789"}
        with Process(tmp_path, **environ) as first:
            answer = httpx.post(f"{first.openai}/chat/completions", json={**BODY, "stream": False}, timeout=PATIENCE_S)
            route = answer.headers["x-cb-route"]
            first.stop()
            assert "sk-walk" not in first.errors()
        with Process(tmp_path, **environ) as second:
            kept = httpx.get(f"{second.openai}/routes/{route}", timeout=PATIENCE_S).json()
            assert kept["model"] == "gpt-5-nano"
            assert kept["usage"]["total_tokens"] == answer.json()["usage"]["total_tokens"]
    assert b"sk-walk" not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_it_stops_while_a_stream_runs(tmp_path: Path) -> None:
    with ScriptedOpenAI() as upstream:
        upstream.script.append(Stall(after=2))
        environ = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789"}
        with Process(tmp_path, **environ) as process:
            begun = threading.Event()

            def read() -> None:
                url = f"{process.openai}/chat/completions"
                try:
                    with httpx.stream("POST", url, json=BODY, timeout=PATIENCE_S) as response:
                        for _ in response.iter_lines():
                            begun.set()
                except httpx.HTTPError:
                    begun.set()

            reading = threading.Thread(target=read)
            reading.start()
            assert begun.wait(PATIENCE_S)
            assert process.stop() == 0
            reading.join(PATIENCE_S)
            assert "Traceback" not in process.errors()
        upstream.wait_until(lambda server: server.disconnects == 1)
    assert folded(tmp_path)


@pytest.mark.local_model
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_its_children_end_with_it(tmp_path: Path) -> None:
    with Process(tmp_path, CIRCUIT_BREAKER_EMBEDDED="1") as process:
        body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
        assert httpx.post(f"{process.openai}/chat/completions", json=body, timeout=120).status_code == 200
        started = children(process.process.pid)
        assert started
        assert process.stop() == 0
    assert not [child for child in started if Path(f"/proc/{child}").exists()]


def test_a_second_one_on_the_same_data_says_who_holds_it(tmp_path: Path) -> None:
    with Process(tmp_path) as first:
        with Process(tmp_path, ready=False) as second:
            assert second.code() == 1
            said = second.errors()
            assert str(first.process.pid) in said
            assert {"error:", "why:", "fix:"} <= {line.split(" ")[0] for line in said.splitlines()}
        assert first.ask("{ health }") == {"health": "ok"}
        assert first.stop() == 0


def test_a_taken_port_is_said_and_nothing_is_left_open(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        with Process(tmp_path, "--openai-port", port, "--graphql-port", "0", ready=False) as process:
            assert process.code() == 1
            said = process.errors()
    assert f"Port {port} is taken" in said
    assert str(os.getpid()) in said or sys.platform != "linux"
    assert {"error:", "why:", "fix:"} <= {line.split(" ")[0] for line in said.splitlines() if line[0] != "{"}
    assert "Traceback" not in said
    with Process(tmp_path) as again:  # the data was let go of
        assert again.stop() == 0


def test_another_address_is_refused(tmp_path: Path) -> None:
    with Process(tmp_path, "--host", "0.0.0.0", ready=False) as process:
        assert process.code() == 1
        assert "fix:" in process.errors()


def test_commands_find_the_one_that_runs(tmp_path: Path) -> None:
    with Process(tmp_path) as process:
        command = [sys.executable, "-m", "app.cli", "token", "create", "document_approval_v1", "--json"]
        done = subprocess.run(
            [*command, "--data-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert process.ask(f'{{ token(id: "{made["id"]}") {{ state }} }}')["token"] == {"state": "draft"}


def test_an_ollama_that_comes_later_is_found(tmp_path: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    with Process(tmp_path, OLLAMA_BASE_URL=f"http://127.0.0.1:{port}") as process:
        model = f"{process.openai}/models/qwen2.5-coder:3b"
        assert httpx.get(model, timeout=PATIENCE_S).status_code == 404
        with FakeOllama(["qwen2.5-coder:3b", "nomic-embed-text"]) as ollama, Forward(port, ollama.url):
            ollama.wait_until(lambda server: any(request.path == "/api/tags" for request in server.requests))
            found = 404
            for _ in range(200):
                found = httpx.get(model, timeout=PATIENCE_S).status_code
                if found == 200:
                    break
            assert found == 200
            body = {"model": "qwen2.5-coder:3b", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
            with httpx.stream("POST", f"{process.openai}/chat/completions", json=body, timeout=PATIENCE_S) as response:
                said = events(response.iter_lines())
            assert said[-1] == "[DONE]"
            vector = {"model": "nomic-embed-text:latest", "input": "Hello, world!"}
            made = httpx.post(f"{process.openai}/embeddings", json=vector, timeout=PATIENCE_S).json()
            assert made["data"][0]["embedding"]


class Forward:
    """A port that passes connections on, so that a server can appear at an address that was known before."""

    def __init__(self, port: int, url: str) -> None:
        host, _, target = url.removeprefix("http://").partition(":")
        self._target = (host, int(target))
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Forward":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    try:
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
