"""A server in the loop of the test, before a scripted OpenAI."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers.scripted_openai import ScriptedOpenAI
from tests.serving import Served, served


@pytest.fixture
def upstream() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI() as server:
        yield server


@pytest.fixture
async def app(upstream: ScriptedOpenAI) -> AsyncIterator[Served]:
    async with served(upstream) as found:
        yield found


@pytest.fixture
async def alone() -> AsyncIterator[Served]:
    """A server without any provider."""
    async with served() as found:
        yield found
