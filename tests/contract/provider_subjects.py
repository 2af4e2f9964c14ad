"""The providers, each with a server on loopback that speaks its wire format, under one form: what a model says."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.kernel.world import World
from engine.llm.endpoints import Given, deployments_in
from engine.llm.ports import Provider
from engine.llm.providers.anthropic.provider import AnthropicProvider
from engine.llm.providers.azure.provider import AzureProvider
from engine.llm.providers.embedded.parts import EMBEDDING_NAME
from engine.llm.providers.embedded.provider import EmbeddedProvider
from engine.llm.providers.google.provider import GoogleProvider
from engine.llm.providers.ollama.provider import OllamaProvider
from engine.llm.providers.openai.provider import OpenAIProvider
from engine.llm.providers.site import Site, in_header
from engine.llm.providers.vertex.provider import VertexProvider
from engine.llm.wire import Address, Deadlines
from tests.servers import fake_ollama, scripted_anthropic, scripted_azure, scripted_google, scripted_openai
from tests.servers.loopback import LoopbackServer, Status

KEY = "contract-key-0123456789"


@dataclass(frozen=True)
class Say:
    """An answer. `counts` are tokens: in, read from a cache, written to one, out."""

    text: str = ""
    thoughts: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    counts: tuple[int, int, int, int] = (12, 0, 0, 5)


@dataclass(frozen=True)
class Subject:
    """`says` makes the server answer so; `error` is the body of an error of its own, by status."""

    id: str
    title: str
    server: Callable[[], LoopbackServer]
    provider: Callable[[str, Deadlines], Provider]
    says: Callable[[Any, Say], None]
    error: Callable[[int, str], Any]
    model: str
    vectors: str = ""

    def refuses(self, code: int, message: str, retry_after: int = 0) -> Status:
        headers = {"retry-after": str(retry_after)} if retry_after else {}
        return Status(code, self.error(code, message), headers)


def _openai_says(server: Any, say: Say) -> None:
    fresh, read, _, out = say.counts
    usage = {"prompt_tokens": fresh + read, "completion_tokens": out, "prompt_tokens_details": {"cached_tokens": read}}
    calls = [(name, json.dumps(given)) for name, given in say.calls]
    reply = scripted_openai.Reply(say.text, say.thoughts, calls, usage=usage, head=_head(server))
    server.reply = lambda _: reply


def _head(server: Any) -> Sequence[Mapping[str, Any]]:
    return [scripted_azure.FIRST] if isinstance(server, scripted_azure.ScriptedAzure) else ()


def _openai_error(code: int, message: str) -> Any:
    return {"error": {"message": message, "type": "error", "param": None, "code": None}}


def _anthropic_says(server: Any, say: Say) -> None:
    fresh, read, write, out = say.counts
    usage = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": out,
    }
    blocks = [scripted_anthropic.thinking(say.thoughts)] if say.thoughts else []
    server.reply = lambda _: scripted_anthropic.Reply(say.text, say.calls, blocks, usage=usage)


_KINDS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}


def _google_says(server: Any, say: Say) -> None:
    fresh, read, _, out = say.counts
    usage = {"promptTokenCount": fresh + read, "cachedContentTokenCount": read, "candidatesTokenCount": out}
    server.reply = lambda _: scripted_google.Reply(say.text, say.thoughts, say.calls, usage=usage)


_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


def _ollama_says(server: Any, say: Say) -> None:
    fresh, read, _, out = say.counts
    counts = {"prompt_eval_count": fresh + read, "eval_count": out}
    calls = [(name, given, "") for name, given in say.calls]
    server.reply = lambda _: fake_ollama.Reply(say.text, say.thoughts, calls, counts=counts)


def _claude_says(server: Any, say: Say) -> None:
    upstream = scripted_anthropic.ScriptedAnthropic()
    _anthropic_says(upstream, say)
    server.claude = upstream.reply


def _vertex(url: str, deadlines: Deadlines, *names: str) -> Provider:
    given = tuple(Given(name) for name in names)
    site = Site("vertex", "Vertex AI", Address.parse(url), lambda: [KEY], deadlines=deadlines, given=given)
    return VertexProvider(site, World.real({}), project="p-1", region="global", file=None)


class _Embedded(EmbeddedProvider):
    """The embedded models with children that stand in for the engines: the one to chat with speaks for the server at
    `url`, as llama.cpp's does for itself."""

    def __init__(self, url: str, deadlines: Deadlines) -> None:
        self._folder = TemporaryDirectory()
        logs, servers = Path(self._folder.name), Path(scripted_openai.__file__).parent
        model = logs / "tiny.gguf"
        model.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
        model.with_suffix(".url").write_text(url, encoding="utf-8")
        workers = servers / "standin_chat_worker.py", servers / "standin_embedding_worker.py"
        super().__init__(World.real(), logs, gguf=model, deadlines=deadlines, workers=workers)

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()


def _embedded_says(server: Any, say: Say) -> None:
    """No tiny model thinks, whatever it is asked for."""
    _openai_says(server, replace(say, thoughts=""))


def _azure(url: str, deadlines: Deadlines) -> Provider:
    given = deployments_in("my-chat=gpt-5-mini,my-vectors=text-embedding-3-small")
    site = Site(
        "azure",
        "Azure OpenAI",
        Address.parse(url),
        lambda: [KEY],
        authorize=in_header("api-key"),
        deadlines=deadlines,
        given=given,
    )
    return AzureProvider(site, World.real({}))


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "openai",
        "OpenAI",
        lambda: scripted_openai.ScriptedOpenAI(key=KEY),
        lambda url, within: OpenAIProvider.openai(
            lambda: [KEY], World.real({}), base_url=f"{url}/v1", deadlines=within
        ),
        _openai_says,
        _openai_error,
        "gpt-5-nano",
        "text-embedding-3-small",
    ),
    Subject(
        "anthropic",
        "Anthropic",
        lambda: scripted_anthropic.ScriptedAnthropic(key=KEY),
        lambda url, within: AnthropicProvider.anthropic(lambda: [KEY], World.real({}), base_url=url, deadlines=within),
        _anthropic_says,
        lambda code, message: scripted_anthropic.error(_KINDS[code], message),
        "claude-sonnet-4-5",
    ),
    Subject(
        "google",
        "Google",
        lambda: scripted_google.ScriptedGoogle(key=KEY, signed=True),
        lambda url, within: GoogleProvider.google(lambda: [KEY], World.real({}), base_url=url, deadlines=within),
        _google_says,
        lambda code, message: scripted_google.error(code, _STATUSES[code], message),
        "gemini-3.5-flash",
        "gemini-embedding-001",
    ),
    Subject(
        "azure",
        "Azure OpenAI",
        lambda: scripted_azure.ScriptedAzure(
            {"my-chat": "gpt-5-mini", "my-vectors": "text-embedding-3-small"}, key=KEY
        ),
        _azure,
        _openai_says,
        _openai_error,
        "my-chat",
        "my-vectors",
    ),
    Subject(
        "vertex-gemini",
        "Vertex AI (Gemini)",
        lambda: scripted_google.ScriptedGoogle(token=KEY, signed=True),
        lambda url, within: _vertex(url, within, "gemini-3.5-flash", "gemini-embedding-001"),
        _google_says,
        lambda code, message: scripted_google.error(code, _STATUSES[code], message),
        "gemini-3.5-flash",
        "gemini-embedding-001",
    ),
    Subject(
        "vertex-claude",
        "Vertex AI (Claude)",
        lambda: scripted_google.ScriptedGoogle(["claude-sonnet-4-5"], token=KEY),
        lambda url, within: _vertex(url, within, "claude-sonnet-4-5"),
        _claude_says,
        lambda code, message: scripted_anthropic.error(_KINDS[code], message),
        "claude-sonnet-4-5",
    ),
    Subject(
        "ollama",
        "Ollama",
        lambda: fake_ollama.FakeOllama(
            [fake_ollama.FakeModel("qwen3-vl:4b", "qwen3", ["completion", "tools", "thinking", "vision"]), "minilm"]
        ),
        lambda url, within: OllamaProvider(World.real({}), base_url=url, deadlines=within),
        _ollama_says,
        lambda code, message: {"error": message},
        "qwen3-vl:4b",
        "minilm:latest",
    ),
    Subject(
        "custom",
        "Custom endpoint",
        lambda: scripted_openai.ScriptedOpenAI(key=KEY),
        lambda url, within: OpenAIProvider.custom(
            "custom", "Custom endpoint", f"{url}/v1", lambda: [KEY], World.real({}), deadlines=within
        ),
        _openai_says,
        _openai_error,
        "gpt-5-nano",
        "text-embedding-3-small",
    ),
    Subject(
        "embedded",
        "Embedded models",
        lambda: scripted_openai.ScriptedOpenAI(["local"]),
        _Embedded,
        _embedded_says,
        _openai_error,
        "tiny",
        EMBEDDING_NAME,
    ),
)
