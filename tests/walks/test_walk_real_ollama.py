"""A real Ollama behind the server: what it has is listed, asked by each face, and let go of. `make ollama-walk`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import pytest

from tests.serving import Process

pytestmark = pytest.mark.real_ollama
HOW = "start Ollama, pull a small model, and set OLLAMA_BASE_URL=http://127.0.0.1:11434"
PATIENCE_S = 300.0  # a model may have to be loaded
HELLO: list[Any] = [{"role": "user", "content": "Say hello in one word."}]


@pytest.fixture
def address() -> str:
    found = os.environ.get("OLLAMA_BASE_URL", "")
    if not found:
        pytest.skip(HOW)
    try:
        httpx.get(f"{found}/api/version", timeout=5.0).raise_for_status()
    except httpx.HTTPError as error:
        pytest.skip(f"nothing answers at {found} ({type(error).__name__}): {HOW}")
    return found


@pytest.fixture
def process(address: str, tmp_path: Path) -> Iterator[Process]:
    with Process(tmp_path, OLLAMA_BASE_URL=address) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def model(address: str) -> str:
    """The smallest that chats."""
    for row in sorted(ollama.Client(address).list().models, key=lambda row: row.size or 0):
        if "completion" in (ollama.Client(address).show(row.model or "").capabilities or ["completion"]):
            return str(row.model)
    pytest.skip(f"it has no model that chats: {HOW}")


def test_a_real_ollama_walks(process: Process, model: str) -> None:
    client = openai.OpenAI(base_url=process.openai, api_key="unused", timeout=PATIENCE_S, max_retries=0)
    assert {"auto", model} <= {one.id for one in client.models.list()}
    whole = client.chat.completions.create(model=model, messages=HELLO, max_tokens=64)
    assert whole.choices[0].message.content or (whole.choices[0].message.model_extra or {}).get("reasoning")
    assert whole.model == model
    assert whole.usage
    assert whole.usage.prompt_tokens > 0
    chunks = list(client.chat.completions.create(model="auto", messages=HELLO, max_tokens=16, stream=True))
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    face = ollama.Client(process.openai.removesuffix("/v1"), timeout=PATIENCE_S)
    pieces = list(face.chat(model, messages=HELLO, stream=True, options={"num_predict": 16}))
    assert pieces[-1].done
    assert pieces[-1].eval_count
    assert face.show(model).modelinfo
    assert face.generate(model, "", keep_alive=0).done_reason == "unload"


def test_who_leaves_stops_a_real_ollama(process: Process, model: str) -> None:
    """The next answer does not wait for the one that nobody reads any more."""
    client = openai.OpenAI(base_url=process.openai, api_key="unused", timeout=PATIENCE_S, max_retries=0)
    long: list[Any] = [{"role": "user", "content": "Count from 1 to 5000, one number a line."}]
    stream = client.chat.completions.create(model=model, messages=long, stream=True)
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(model=model, messages=HELLO, max_tokens=4).choices
