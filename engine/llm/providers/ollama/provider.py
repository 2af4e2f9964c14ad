"""Ollama by its native API, so that the context window, thinking and what is loaded are real.

Wire format: Ollama's docs/api.md and server/routes.go (2026-08). Streams are NDJSON; after the first line an error is a
line too, with the status still 200, and only a line with `done: true` ends an answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import astuple, replace
from typing import Any
from urllib.parse import urlsplit

from engine.kernel.errors import ContextTooLong, ProviderError
from engine.kernel.world import World
from engine.llm.counting import prompt_tokens, tokens_in
from engine.llm.fit import shape_in
from engine.llm.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    Noted,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import FREE, Ability, Model
from engine.llm.pictures import Pictures
from engine.llm.ports import Progress
from engine.llm.providers.ollama.answers import chunks_in, is_last, reason_of, usage_of
from engine.llm.providers.ollama.requests import chat_body, generate_body, notes_of, options_of
from engine.llm.wire import LOCAL, Address, Deadlines, Wire

OLLAMA_URL = "http://127.0.0.1:11434"
_LIST_S = 1.0  # each of the lists, and then all the models' details together: models() stays within two seconds
_SHOWN_AT_ONCE = 4
_SMALLEST_WINDOW = 4096
_ROOM_TO_ANSWER = 2048
_KEEPS_PROMPTS_WHOLE = (0, 13)  # servers before 0.13 may not know `truncate: false`

_ABILITIES: dict[str, Ability] = {
    "completion": "chat",
    "tools": "tools",
    "vision": "vision",
    "embedding": "embedding",
    "thinking": "thinking",
}


class OllamaProvider:
    """One Ollama server. `most_context` caps the window that we ask for, in tokens, to spare memory."""

    id = "ollama"
    title = "Ollama"

    def __init__(
        self,
        world: World,
        *,
        base_url: str = OLLAMA_URL,
        most_context: int | None = None,
        deadlines: Deadlines = LOCAL,
        pictures: Pictures | None = None,
    ) -> None:
        """Raises InvalidConfig for a bad address; `OLLAMA_HOST`'s spellings are understood."""
        self._pictures = pictures or Pictures(world)
        self._address = ollama_address(base_url)
        self._world, self._most_context = world, most_context
        self._details: dict[str, Mapping[str, Any]] = {}  # what /api/show says of each digest
        self._windows: dict[str, int] = {}  # the largest window asked for: a change would load the model again
        self._truncates = False
        self._wire = Wire(
            self._address,
            provider=self.id,
            title=self.title,
            world=world,
            deadlines=deadlines,
            unreachable_fix="Start it with `ollama serve`, get it from https://ollama.com, or set OLLAMA_BASE_URL.",
            auth_fix="Look at what stands before it, or at OLLAMA_ORIGINS.",
        )

    @property
    def address(self) -> str:
        return self._address.url

    @property
    def local(self) -> bool:
        return self._address.local

    async def version(self) -> str:
        answer = await self._wire.get_json("/api/version", within_s=_LIST_S)
        version = answer.get("version") if isinstance(answer, Mapping) else None
        if not isinstance(version, str):
            raise self._wire.broken("What answers there is not Ollama.")
        numbers = version.removeprefix("v").split("-")[0].split(".")
        known = tuple(int(one) for one in numbers[:2] if one.isdecimal())
        self._truncates = known != (0, 0) and known < _KEEPS_PROMPTS_WHOLE  # 0.0.0 is a build of one's own
        return version

    def keys(self) -> Sequence[str]:
        return ("",)

    async def models(self) -> tuple[Model, ...]:
        version, tags, running = await asyncio.gather(
            self.version(), self._rows("/api/tags"), self._rows("/api/ps"), return_exceptions=True
        )
        if isinstance(version, BaseException):
            raise version
        if isinstance(tags, BaseException):
            raise tags
        running = [] if isinstance(running, BaseException) else running
        windows = {name: _number(row.get("context_length")) for row in running if (name := _name(row))}
        await self._look_at([row for row in tags if _name(row) and not _tells_all(row)])
        models = (self._model(row, windows) for row in tags if _name(row))
        return tuple(models)

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        if request.has_images:
            request = await self._pictures.inside(request, self.id, model.name)
        options = options_of(request)
        options.setdefault("num_ctx", self._window(request, model))
        if request.fill is not None:
            path, body = "/api/generate", generate_body(request, request.fill, model, options)
        else:
            path, body = "/api/chat", chat_body(request, model, options)
        for note in notes_of(request):
            yield note
        guess = prompt_tokens(request)
        usage = Usage(input=guess, counted=False)
        written = calls = 0
        done = False
        lines = self._wire.lines(path, body, model=model.name, last=is_last)
        async with aclosing(lines):
            async for line in lines:
                data = self._wire.object_in(line, model=model.name, what="line")
                for chunk in chunks_in(data, calls, self._world):
                    calls += isinstance(chunk, ToolCallDelta)
                    written += tokens_in(chunk.text) if isinstance(chunk, TextDelta | ReasoningDelta) else 0
                    yield chunk
                if data.get("done") is True:
                    done = True
                    ended = usage_of(data, replace(usage, output=written))
                    if self._truncates and ended.counted and ended.input < guess // 4:
                        yield Noted("cut", f"It counted {ended.input:,} tokens of about {guess:,}: it may have cut.")
                    yield Finished(reason_of(data, calls), ended)
        if not done:
            raise self._wire.broken("The stream ended before the answer did.", model=model.name)

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        if not request.inputs:
            return Embeddings(model.name, (), Usage())
        body: dict[str, Any] = {"model": model.name, "input": request.inputs, "truncate": False}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        answer = await self._wire.post_json("/api/embed", body, model=model.name)
        rows = answer.get("embeddings") if isinstance(answer, Mapping) else None
        vectors = [_vector(row) for row in rows] if isinstance(rows, list) else []
        whole = tuple(vector for vector in vectors if vector is not None)
        if len(whole) != len(request.inputs):
            raise self._wire.broken("It did not give one vector for each text.", model=model.name)
        counted = _number(answer.get("prompt_eval_count"))
        guess = Usage(input=sum(map(tokens_in, request.inputs)), counted=False)
        return Embeddings(model.name, whole, Usage(input=counted) if counted else guess)

    # What is kept there

    async def shown(self, name: str) -> Mapping[str, Any]:
        """All that Ollama says of a model: capabilities, model_info, parameters, template, licence."""
        answer = await self._wire.post_json("/api/show", {"model": name}, model=name)
        return answer if isinstance(answer, Mapping) else {}

    async def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        """Fetch a model. Closing the generator stops it; a later pull goes on where it was."""
        sizes: dict[str, tuple[int, int]] = {}
        done = False
        lines = self._wire.lines("/api/pull", {"model": name, "stream": True}, model=name)
        async with aclosing(lines):
            async for line in lines:
                data = self._wire.parsed(line, model=name)
                if not isinstance(data, Mapping) or data.get("error"):
                    raise self._wire.refusal(None, data, model=name)
                if digest := _text(data.get("digest")):
                    sizes[digest] = _number(data.get("completed")), _number(data.get("total"))
                status = _text(data.get("status"))
                done = status == "success"
                completed, total = (sum(one[place] for one in sizes.values()) for place in (0, 1))
                yield Progress(status, completed, total)
        if not done:
            raise self._wire.broken("It stopped before the model was whole.", model=name)

    async def remove(self, name: str) -> None:
        await self._wire.post_json("/api/delete", {"model": name}, model=name, method="DELETE")

    async def copy(self, name: str, to: str) -> None:
        await self._wire.post_json("/api/copy", {"source": name, "destination": to}, model=name)

    async def load(self, name: str, keep_alive: str | float) -> None:
        """Have a model in memory for so long (`5m`, seconds, -1 for ever); 0 takes it out."""
        body = {"model": name, "keep_alive": keep_alive, "stream": False}
        await self._wire.post_json("/api/generate", body, model=name)

    async def close(self) -> None:
        await self._wire.close()

    # What is there

    async def _rows(self, path: str) -> list[Mapping[str, Any]]:
        answer = await self._wire.get_json(path, within_s=_LIST_S)
        rows = answer.get("models") if isinstance(answer, Mapping) else None
        return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []

    async def _look_at(self, rows: list[Mapping[str, Any]]) -> None:
        """Fill in /api/show for digests not seen yet. What does not come in time is guessed for now and asked later."""
        unknown = {_text(row.get("digest")) or _name(row): _name(row) for row in rows}
        places = asyncio.Semaphore(_SHOWN_AT_ONCE)

        async def look(digest: str, name: str) -> None:
            async with places:
                try:
                    answer = await self._wire.post_json("/api/show", {"model": name}, model=name)
                except ProviderError:
                    return
                if isinstance(answer, Mapping):
                    self._details[digest] = answer

        try:
            async with asyncio.timeout(_LIST_S), asyncio.TaskGroup() as group:
                for digest, name in unknown.items():
                    if digest not in self._details:
                        group.create_task(look(digest, name))
        except TimeoutError:
            return

    def _model(self, row: Mapping[str, Any], windows: Mapping[str, int]) -> Model:
        name = _name(row)
        shown_ = self._details.get(_text(row.get("digest")) or name, {})
        remote = bool(row.get("remote_host") or row.get("remote_model") or shown_.get("remote_host"))
        details = row.get("details")
        facts: dict[str, Any] = dict(details) if isinstance(details, Mapping) else {}
        if windows.get(name):
            facts["window"] = windows[name]
        info = shown_.get("model_info")
        if shape := shape_in(info) if isinstance(info, Mapping) else None:
            facts["shape"] = astuple(shape)
        if remote:
            facts["remote_host"] = _text(row.get("remote_host")) or _text(shown_.get("remote_host"))
        return Model(
            provider=self.id,
            name=name,
            abilities=_abilities(name, row, shown_),
            context=_number(facts.get("context_length")) or trained_context(shown_),
            size_bytes=_number(row.get("size")),
            price=None if remote else FREE,
            local=self.local and not remote,
            loaded=name in windows,
            details=facts,
        )

    # What is asked

    def _window(self, request: ChatRequest, model: Model) -> int:
        """The context window to ask for, in tokens; raises ContextTooLong when the prompt cannot fit.

        Our guess of the prompt is on the safe side, so it is used to make room, not to refuse: only a prompt that is
        too long even at six bytes a token is refused here, and the server refuses the rest, as we forbid it to cut.
        Servers that cut all the same are not given what may not fit.
        """
        prompt = prompt_tokens(request)
        most = min((one for one in (model.context, self._most_context) if one), default=0)
        least = prompt if self._truncates else prompt // 2
        if most and least > most:
            raise ContextTooLong(
                f"The prompt does not fit {model.name}.",
                why=f"It has about {prompt:,} tokens, and the model's context has {most:,}.",
                fix="Shorten the conversation, or pick a model with a larger context.",
                details={"provider": self.id, "model": model.name, "prompt": prompt, "context": most},
            )
        wanted = prompt + (request.sampling.max_tokens or _ROOM_TO_ANSWER)
        window = max(_SMALLEST_WINDOW, self._windows.get(model.name, 0), _number(model.details.get("window")))
        while window < wanted:
            window *= 2
        window = min(window, most) if most else window
        self._windows[model.name] = window
        return window


def ollama_address(text: str) -> Address:
    """Where Ollama is, from an address or from what OLLAMA_HOST may be (docs/faq.md, 2026-08): the port is 11434 unless
    one is given, and 0.0.0.0 is where it listens, not where it is asked. Raises InvalidConfig."""
    given = text.strip().rstrip("/").removesuffix("/v1")
    given = f"127.0.0.1{given}" if given.startswith(":") else given
    parts = urlsplit(Address.parse(given, scheme="http").url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname or "")  # noqa: S104
    port = parts.port or (None if "://" in given else 11434)
    named = f"[{host}]" if ":" in host else host
    return Address.parse(f"{parts.scheme}://{named}{f':{port}' if port else ''}{parts.path}")


def trained_context(shown_: Mapping[str, Any]) -> int:
    """The context that a model was trained for, from /api/show; 0 when it does not say."""
    info = shown_.get("model_info")
    if not isinstance(info, Mapping):
        return 0
    return _number(info.get(f"{info.get('general.architecture')}.context_length"))


def _abilities(name: str, row: Mapping[str, Any], shown_: Mapping[str, Any]) -> frozenset[Ability]:
    """What /api/tags or /api/show says that a model can; guessed from its family when an older server says nothing."""
    told = row.get("capabilities") or shown_.get("capabilities")
    if isinstance(told, list):
        abilities = {_ABILITIES[one] for one in told if one in _ABILITIES}
    else:
        details = row.get("details")
        families = details.get("families") if isinstance(details, Mapping) else None
        words = f"{name} {' '.join(map(str, families if isinstance(families, list) else ()))}".casefold()
        if any(one in words for one in ("bert", "embed", "minilm")):
            return frozenset({"embedding"})
        abilities = {"chat"}
        if any(one in words for one in ("clip", "mllama", "llava", "-vl", "vision")):
            abilities.add("vision")
    if "chat" in abilities:
        abilities.add("json")  # a grammar holds every model to it
    return frozenset(abilities)


def _tells_all(row: Mapping[str, Any]) -> bool:
    """Whether a row of /api/tags makes /api/show needless, as newer servers' rows do."""
    details = row.get("details")
    return bool(row.get("capabilities") and isinstance(details, Mapping) and details.get("context_length"))


def _vector(row: Any) -> tuple[float, ...] | None:
    if isinstance(row, list) and row and all(isinstance(one, int | float) for one in row):
        return tuple(map(float, row))
    return None


def _name(row: Mapping[str, Any]) -> str:
    return _text(row.get("model")) or _text(row.get("name"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
