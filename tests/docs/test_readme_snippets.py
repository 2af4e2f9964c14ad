"""The Python snippets of the README and of the how-to pages, run against a server of this tree."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Process

ROOT = Path(__file__).resolve().parents[2]
SAID = "One small step, in plain words."
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def snippets(page: str) -> list[str]:
    return _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


CLIENTS = [
    pytest.param(text, id=f"{page}-{number}")
    for page in ("README.md", "docs/how-to/connect-clients.md")
    for number, text in enumerate(snippets(page))
    if "localhost:3000" in text
]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server whose only models are those of a scripted endpoint."""
    with ScriptedOpenAI(["gpt-5-nano", "text-embedding-3-small"], reply=lambda body: Reply(SAID)) as upstream:
        environ = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-test-0123456789"}
        with Process(tmp_path_factory.mktemp("data"), "--store", "memory://", **environ) as process:
            yield process


def test_there_are_snippets() -> None:
    assert len(CLIENTS) == 5


@pytest.mark.parametrize("snippet", CLIENTS)
def test_a_client_works_as_the_page_says(snippet: str, serving: Process) -> None:
    said = _run(snippet.replace("http://localhost:3000/v1", serving.openai))
    assert said.startswith("2 ") if "embeddings" in snippet else said == SAID


@pytest.mark.parametrize("page", ["README.md"])
def test_the_engine_works_as_the_page_says(page: str, tmp_path: Path) -> None:
    (snippet,) = [text for text in snippets(page) if "Engine.open" in text]
    said = _run(snippet, CIRCUIT_BREAKER_DATA_DIR=str(tmp_path), CIRCUIT_BREAKER_EMBEDDED="0")
    assert re.fullmatch(r"[0-9A-Z]{26} \{'review': 1\}", said)


def _run(snippet: str, **environ: str) -> str:
    """What a Python of its own prints."""
    outcome = subprocess.run(
        [sys.executable, "-c", snippet], cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()
