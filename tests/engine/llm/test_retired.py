"""Models that are gone say so, and what took their place."""

import pytest

from engine.kernel.errors import NotFound
from engine.llm.messages import ChatMessage, ChatRequest
from engine.llm.model import Model
from engine.llm.retired import retired
from engine.llm.routing import decide, decide_embedding

GONE = ["text-bison", "chat-bison", "text-unicorn", "code-bison", "codechat-bison", "code-gecko"]


@pytest.mark.parametrize(
    "name", [*GONE, "text-bison@002", "chat-bison-32k", "models/text-bison-001", "google/Text-Bison"]
)
def test_palm_is_retired(name):
    request = ChatRequest(name, (ChatMessage.of("user", "Hello"),))
    with pytest.raises(NotFound) as caught:
        decide(request, [Model("openai", "gpt-4")])
    assert caught.value.what.endswith("is retired.")
    assert "2025-04-09" in caught.value.why
    assert "Use gemini-3.5-flash" in caught.value.fix


def test_what_is_here_is_proposed():
    error = retired("text-bison", [Model("google", "gemini-9-pro"), Model("google", "gemini-9-flash")])
    assert error is not None
    assert error.fix.startswith("Use gemini-9-pro or gemini-9-flash;")
    with pytest.raises(NotFound, match="gemini-embedding-001"):
        decide_embedding("textembedding-gecko@003", [])


@pytest.mark.parametrize("name", ["gemini-pro", "gemini-pro-vision", "gemini-1.0-pro-001", "claude-2.1", "claude-2"])
def test_others_of_that_time_are_too(name):
    assert retired(name, [])


@pytest.mark.parametrize("name", ["gemini-2.5-pro", "gemini-pro-latest", "bison", "text-bisons", "claude-2-5", "gpt-4"])
def test_others_are_not(name):
    assert retired(name, []) is None


def test_a_model_that_somebody_still_has_answers():
    request = ChatRequest("text-bison", (ChatMessage.of("user", "Hello"),))
    assert decide(request, [Model("lab", "text-bison")]).ranked[0].model.id == "lab/text-bison"
