"""Ollama's HTTP API as its docs/api.md and server/routes.go have it (2026-08), over models that are made up.

    with FakeOllama(models=["qwen2.5-coder:3b", FakeModel("nomic-embed-text")]) as ollama:
        ... OLLAMA_BASE_URL=ollama.url ...

Requests to /api/chat, /api/generate, /api/embed and /api/pull take behaviours from the script.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Answer, Behaviour, BreakWith, LoopbackServer, Raw, Received, Stall, Status, words

_EMBEDDING = ("embed", "minilm", "bert")
_WHEN = "2026-08-01T12:00:00.000000Z"


@dataclass(frozen=True)
class FakeModel:
    """`capabilities` None gives what its name says; () leaves them out, as servers before 0.6.4 did."""

    name: str
    family: str = ""
    capabilities: Sequence[str] | None = None
    context: int = 32768
    size: int = 1929912432
    remote_host: str = ""

    @property
    def tagged(self) -> str:
        return self.name if ":" in self.name else f"{self.name}:latest"

    @property
    def embeds(self) -> bool:
        return any(word in self.name for word in _EMBEDDING)

    @property
    def can(self) -> Sequence[str]:
        if self.capabilities is not None:
            return self.capabilities
        return ["embedding"] if self.embeds else ["completion", "tools", "insert"]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.tagged.encode()).hexdigest()

    @property
    def details(self) -> dict[str, Any]:
        family = self.family or ("nomic-bert" if self.embeds else "qwen2")
        size = {"parameter_size": "137M", "quantization_level": "F16"} if self.embeds else _CHAT_SIZE
        return {"parent_model": "", "format": "gguf", "family": family, "families": [family], **size}


_CHAT_SIZE = {"parameter_size": "3.1B", "quantization_level": "Q4_K_M"}


@dataclass(frozen=True)
class Reply:
    """What a model says. `tool_calls` are (name, arguments, id); an empty id is left out, as old servers did."""

    text: str = ""
    thinking: str = ""
    tool_calls: Sequence[tuple[str, Mapping[str, Any], str]] = ()
    done_reason: str = "stop"
    counts: Mapping[str, int] = field(default_factory=lambda: {"prompt_eval_count": 26, "eval_count": 12})


def echo(body: Mapping[str, Any]) -> Reply:
    said = body["messages"][-1]["content"] if "messages" in body else body.get("prompt", "")
    return Reply(f"You said: {str(said)[:200]}")


class FakeOllama(LoopbackServer):
    def __init__(
        self,
        models: Sequence[str | FakeModel] = (),
        *,
        version: str = "0.23.0",
        reply: Callable[[Mapping[str, Any]], Reply] = echo,
        capabilities_in_tags: bool = False,
    ) -> None:
        super().__init__()
        known = [FakeModel(model) if isinstance(model, str) else model for model in models]
        self.models = {model.tagged: model for model in known}
        self.loaded: dict[str, int] = {}  # the window of each model in memory
        self.version, self.reply, self.capabilities_in_tags = version, reply, capabilities_in_tags

    def asked(self, path: str) -> list[Any]:
        """The bodies of the requests to `path`."""
        return [request.body for request in self.requests if request.path == path]

    async def answer(self, request: Received, answer: Answer) -> None:
        if request.method in ("GET", "HEAD"):
            return await self._facts(request.path, answer)
        try:
            body = request.body
        except ValueError as error:
            return await answer.whole({"error": str(error)}, 400)
        if not isinstance(body, dict):
            return await answer.whole({"error": "missing request body"}, 400)
        fault = self.scripted() if request.path in _SCRIPTED else None
        if isinstance(fault, Status):
            return await answer.whole(fault.body or {"error": "internal server error"}, fault.code, fault.headers)
        if fault == Stall():
            await answer.stall()
        name = str(body.get("model") or body.get("name") or "")
        if request.path == "/api/pull":
            return await self._pull(FakeModel(name), body, answer, fault)
        model = self.models.get(FakeModel(name).tagged)
        if model is None:
            return await answer.whole({"error": f"model '{name}' not found"}, 404)
        match request.method, request.path:
            case "DELETE", "/api/delete":
                del self.models[model.tagged]
                return await answer.whole(b"")
            case "POST", "/api/show":
                return await answer.whole(_shown(model))
            case "POST", "/api/embed":
                return await self._embed(name, model, body, answer)
            case "POST", "/api/chat" | "/api/generate":
                return await self._generate(request.path.rpartition("/")[2], name, model, body, answer, fault)
        return await answer.whole(b"404 page not found", 404)

    async def _facts(self, path: str, answer: Answer) -> None:
        match path:
            case "/":
                return await answer.whole(b"Ollama is running")
            case "/api/version":
                return await answer.whole({"version": self.version})
            case "/api/tags":
                return await answer.whole({"models": [self._tag(model) for model in self.models.values()]})
            case "/api/ps":
                rows = [
                    {**self._tag(self.models[name]), "expires_at": _WHEN, "size_vram": 0, "context_length": window}
                    for name, window in self.loaded.items()
                ]
                return await answer.whole({"models": rows})
        return await answer.whole(b"404 page not found", 404)

    def _tag(self, model: FakeModel) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": model.tagged,
            "model": model.tagged,
            "modified_at": _WHEN,
            "size": model.size,
            "digest": model.digest,
            "details": model.details,
        }
        if model.remote_host:
            row |= {"remote_host": model.remote_host, "remote_model": model.name.partition(":")[0]}
        if self.capabilities_in_tags:
            row |= {"capabilities": list(model.can), "details": {**model.details, "context_length": model.context}}
        return row

    async def _pull(self, model: FakeModel, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None) -> None:
        part: dict[str, Any] = {
            "status": f"pulling {model.digest[:12]}",
            "digest": f"sha256:{model.digest}",
            "total": 1000,
        }
        if "nope" in model.name:
            rows: list[dict[str, Any]] = [
                {"status": "pulling manifest"},
                {"error": "pull model manifest: file does not exist"},
            ]
        else:
            steps = [part, {**part, "completed": 400}, {**part, "completed": 1000}]
            ends = [{"status": word} for word in ("verifying sha256 digest", "writing manifest", "success")]
            rows = [{"status": "pulling manifest"}, *steps, *ends]
            self.models[model.tagged] = model
        if body.get("stream", True):
            return await _ndjson(answer, rows, fault)
        return await answer.whole(rows[-1], 500 if "error" in rows[-1] else 200)

    async def _embed(self, name: str, model: FakeModel, body: Mapping[str, Any], answer: Answer) -> None:
        texts = body["input"] if isinstance(body.get("input"), list) else [body.get("input", "")]
        if body.get("truncate") is False and any(len(text.split()) > model.context for text in texts):
            return await answer.whole({"error": "the input length exceeds the context length"}, 400)
        self.loaded.setdefault(model.tagged, 4096)
        vectors = [[byte / 255 - 0.5 for byte in hashlib.sha256(text.encode()).digest()] for text in texts]
        counts = {"total_duration": 14143917, "load_duration": 1019500, "prompt_eval_count": 8 * len(texts)}
        return await answer.whole({"model": name, "embeddings": vectors, **counts})

    async def _generate(
        self, kind: str, name: str, model: FakeModel, body: Mapping[str, Any], answer: Answer, fault: Behaviour | None
    ) -> None:
        def row(text: str = "", done: bool = False, **more: Any) -> dict[str, Any]:
            said = {"message": {"role": "assistant", "content": text, **more}} if kind == "chat" else {"response": text}
            return {"model": name, "created_at": _WHEN, **said, "done": done}

        if model.can and "completion" not in model.can:
            return await answer.whole({"error": f'"{name}" does not support {kind}'}, 400)
        for ability, asked in (("tools", body.get("tools")), ("thinking", body.get("think"))):
            if asked and model.can and ability not in model.can:
                return await answer.whole({"error": f'"{name}" does not support {ability}'}, 400)
        if not (body.get("messages") or body.get("prompt")):
            unload = body.get("keep_alive") in (0, "0", "0s")
            if unload:
                self.loaded.pop(model.tagged, None)
            else:
                self.loaded[model.tagged] = 4096
            return await answer.whole({**row(done=True), "done_reason": "unload" if unload else "load"})
        window = body.get("options", {}).get("num_ctx", 4096)
        if body.get("truncate") is False and len(json.dumps(body.get("messages", "")).split()) > window:
            return await answer.whole({"error": "the input length exceeds the context length"}, 400)
        self.loaded[model.tagged] = window
        reply = self.reply(body)
        end = {**row(done=True), "done_reason": reply.done_reason, "total_duration": 4883583458, **reply.counts}
        if not body.get("stream", True):
            return await answer.whole({**end, **row(reply.text, done=True)})
        rows = [row(thinking=piece) for piece in words(reply.thinking)]
        rows += [row(piece) for piece in words(reply.text)]
        calls = [
            {**({"id": id} if id else {}), "function": {"index": index, "name": tool, "arguments": arguments}}
            for index, (tool, arguments, id) in enumerate(reply.tool_calls)
        ]
        rows += [row(tool_calls=calls)] if calls else []
        return await _ndjson(answer, [*rows, end], fault)


_SCRIPTED = ("/api/chat", "/api/generate", "/api/embed", "/api/pull")


async def _ndjson(answer: Answer, rows: Sequence[Mapping[str, Any]], fault: Behaviour | None) -> None:
    broken = _line({"error": fault.error}) if isinstance(fault, BreakWith) else b""
    kind = fault.content_type if isinstance(fault, Raw) else "application/x-ndjson"
    await answer.stream([_line(row) for row in rows], kind, fault, broken)


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _shown(model: FakeModel) -> dict[str, Any]:
    architecture = model.details["family"]
    info = {"general.architecture": architecture, f"{architecture}.context_length": model.context}
    shown = {"modelfile": "# fake", "parameters": "", "template": "{{ .Prompt }}", "details": model.details}
    shown |= {"model_info": info, "modified_at": _WHEN}
    return shown | ({"capabilities": list(model.can)} if model.can else {})
