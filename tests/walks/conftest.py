"""What the walks of clients share: a running server whose OpenAI is a scripted one."""

from collections.abc import Iterator

import openai
import pytest

from tests.servers.scripted_openai import ScriptedOpenAI, echo
from tests.serving import Process


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI() as server:
        yield server


@pytest.fixture(scope="module")
def process(upstream: ScriptedOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    environ = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789"}
    with Process(tmp_path_factory.mktemp("data"), **environ) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def behaving(upstream: ScriptedOpenAI) -> None:
    """What an earlier test had it say or do is forgotten."""
    upstream.script.clear()
    upstream.reply = echo


@pytest.fixture
def client(process: Process, behaving: None) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=process.openai, api_key="unused", max_retries=0) as found:
        yield found
