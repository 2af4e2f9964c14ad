"""The examples of README.md's chapter "The APIs", as they stand there, against a running server and a fake Ollama."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.fake_ollama import FakeOllama
from tests.servers.loopback import PATIENCE_S
from tests.serving import ROOT, Process, events

HEADING = "## The APIs"
README = ROOT / "README.md"


def examples() -> list[tuple[str, str]]:
    """Each block of the chapter: its language and its text, in order. Those in bash are the ones that call curl."""
    text = README.read_text()
    if f"\n{HEADING}\n" not in text:
        pytest.skip(f"README.md has no chapter {HEADING!r} yet")
    chapter = text.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```(bash|graphql)\n(.*?)^```$", chapter, re.M | re.S)
    return [(kind, body) for kind, body in blocks if kind == "graphql" or "curl" in body]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with (
        FakeOllama(["qwen2.5-coder:3b", "nomic-embed-text"]) as ollama,
        Process(tmp_path_factory.mktemp("data"), OLLAMA_BASE_URL=ollama.url) as process,
    ):
        yield process
        assert process.stop() == 0


def here(process: Process, text: str) -> str:
    """`text` with the ports of the server that runs."""
    openai, graphql = process.openai.removesuffix("/v1"), process.graphql.removesuffix("/graphql")
    return text.replace("http://localhost:3000", openai).replace("http://localhost:4000", graphql)


def curl(process: Process, text: str) -> str:
    """What the commands print."""
    script = here(process, text).replace("curl ", "curl -sS --fail-with-body --max-time 20 ")
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.stderr, done.stdout)
    return done.stdout


def test_every_example_works_as_it_stands(running: Process) -> None:
    found = examples()
    token = ""
    for kind, text in found:
        if kind == "bash":
            _looked_at(text, curl(running, text))
            continue
        body = {"query": text.replace("YOUR_TOKEN_ID", token)}
        answer = httpx.post(running.graphql, json=body, timeout=PATIENCE_S).json()
        assert "errors" not in answer, (text, answer["errors"])
        assert answer["data"], text
        token = answer["data"].get("createToken", {}).get("id", token)
        _seen(text, answer["data"])
    assert len([kind for kind, _ in found if kind == "graphql"]) >= 3
    assert len([text for kind, text in found if kind == "bash" and "/v1/chat/completions" in text]) >= 4


def _looked_at(text: str, printed: str) -> None:
    """What an answer to curl must have."""
    if '"stream": true' in text:
        *chunks, done = events(printed.splitlines())
        assert done == "[DONE]"
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        return
    body: Any = json.loads(printed)
    if "/v1/chat/completions" in text:
        assert body["choices"][0]["message"]["content"].startswith("You said:")
        assert body["model"] == "qwen2.5-coder:3b"
    elif "/v1/embeddings" in text:
        assert len(body["data"][0]["embedding"]) > 1
    elif "/v1/models" in text:
        assert {"auto", "cb:cost-optimal", "qwen2.5-coder:3b"} <= {row["id"] for row in body["data"]}
    elif "/graphql" in text:
        assert "errors" not in body
        assert all(next(iter(body["data"].values())).values())
        assert "your-key" not in printed


def _seen(text: str, data: Any) -> None:
    """What an answer to GraphQL must have."""
    if "fireTransition" in data:
        moved = data["fireTransition"]
        assert moved["state"] == "review"
        assert moved["history"][-1]["transition"] == "submit"
        assert (moved["history"][-1]["fromState"], moved["history"][-1]["toState"]) == ("draft", "review")
    if "createToken" in data:
        assert data["createToken"]["state"] == "draft"
    if "workflows" in data:
        assert {"document_approval_v1", "deployment_pipeline_v1"} <= {one["id"] for one in data["workflows"]}
    if "createWorkflow" in data:
        assert data["createWorkflow"]["id"]


def test_a_wrong_example_would_be_seen(running: Process, tmp_path: Path) -> None:
    wrong = 'curl -X POST http://localhost:3000/v1/chat/completions -d \'{"model": "qwen2.5-coder:3b"}\''
    with pytest.raises(AssertionError):
        curl(running, wrong)
