"""Ollama by its native API, so that the context window, thinking and what is loaded are real.

Wire format: Ollama's docs/api.md and server/routes.go (2026-08). Streams are NDJSON; after the first line an error is a
line too, with the status still 200, and only a line with `done: true` ends an answer.
"""

import asyncio
import binascii
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.kernel.errors import ContextTooLong, ProviderError, ProviderRejected, shown
from engine.kernel.world import World
from engine.llm.counting import prompt_tokens, tokens_in
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    Finished,
    FinishReason,
    Image,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import FREE, Ability, Model
from engine.llm.refusals import encoded
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
    ) -> None:
        """Raises InvalidConfig for a bad address; `OLLAMA_HOST`'s spellings are understood."""
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
        body = self._chat_body(request, model)
        usage = Usage(input=prompt_tokens(request), counted=False)
        written = calls = 0
        done = False
        lines = self._wire.lines("/api/chat", body, model=model.name, last=_is_last)
        async with aclosing(lines):
            async for line in lines:
                data = self._object(line, model)
                for chunk in self._chunks(data, calls):
                    calls += isinstance(chunk, ToolCallDelta)
                    written += tokens_in(chunk.text) if isinstance(chunk, TextDelta | ReasoningDelta) else 0
                    yield chunk
                if data.get("done") is True:
                    done = True
                    yield Finished(_reason(data, calls), _usage(data, replace(usage, output=written)))
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

    def _chat_body(self, request: ChatRequest, model: Model) -> dict[str, Any]:
        tools = [] if request.tool_choice == "none" else _chosen(request)
        body: dict[str, Any] = {
            "model": model.name,
            "messages": _messages(request.messages, model),
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": self._options(request, model),
        }
        known = {
            "tools": tools or None,
            "format": _format(request.sampling.response_format),
            "think": _think(request, model),
            "keep_alive": request.extra.get("keep_alive"),
        }
        return body | {key: value for key, value in known.items() if value is not None}

    def _options(self, request: ChatRequest, model: Model) -> dict[str, Any]:
        sampling, extra = request.sampling, request.extra
        given = extra.get("options")
        options: dict[str, Any] = {key: extra[key] for key in _OPTIONS if extra.get(key) is not None}
        options |= given if isinstance(given, Mapping) else {}
        known = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "num_predict": sampling.max_tokens,
            "stop": sampling.stop or None,
            "seed": sampling.seed,
        }
        options |= {key: value for key, value in known.items() if value is not None}
        if "num_ctx" not in options:
            options["num_ctx"] = self._window(request, model)
        return options

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

    # What comes back

    def _object(self, line: bytes, model: Model) -> Mapping[str, Any]:
        data = self._wire.parsed(line, model=model.name)
        if not isinstance(data, Mapping):
            raise self._wire.broken("A line of its answer is not an object.", model=model.name)
        if data.get("error"):
            raise self._wire.refusal(None, data, model=model.name)
        return data

    def _chunks(self, data: Mapping[str, Any], calls: int) -> Iterator[Chunk]:
        message = data.get("message")
        if not isinstance(message, Mapping):
            return
        if thinking := _text(message.get("thinking")):
            yield ReasoningDelta(thinking)
        if text := _text(message.get("content")):
            yield TextDelta(text)
        asked = message.get("tool_calls")
        for call in asked if isinstance(asked, list) else ():
            function = call.get("function") if isinstance(call, Mapping) else None
            if isinstance(function, Mapping):
                given = function.get("arguments")
                arguments = given if isinstance(given, str) else encoded(given or {}).decode()
                id = _text(call.get("id")) or f"call_{self._world.new_id()}"
                yield ToolCallDelta(calls, id, _text(function.get("name")), arguments)
                calls += 1


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


_OPTIONS = ("top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty")


def _chosen(request: ChatRequest) -> list[Mapping[str, Any]]:
    """The tools to offer. Ollama has no tool_choice: a tool that is asked for by name is the only one offered."""
    name = _tool_name(request.tool_choice)
    named = [tool for tool in request.tools if name and _tool_name(tool) == name]
    return named or list(request.tools)


def _tool_name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return _text(function.get("name")) if isinstance(function, Mapping) else ""


def _format(response_format: Mapping[str, Any] | None) -> Any:
    match (response_format or {}).get("type"):
        case "json_object":
            return "json"
        case "json_schema":
            described = (response_format or {}).get("json_schema")
            return described.get("schema", "json") if isinstance(described, Mapping) else "json"
        case _:
            return None


def _think(request: ChatRequest, model: Model) -> bool | str | None:
    """`think` as asked for, or from OpenAI's reasoning_effort. gpt-oss takes only levels, others only yes or no."""
    if "thinking" not in model.abilities:
        return None
    asked = request.extra.get("think")
    if isinstance(asked, bool | str):
        return asked
    effort = request.extra.get("reasoning_effort")
    if not isinstance(effort, str):
        return None
    if "gpt-oss" in model.name:
        return effort if effort in ("low", "medium", "high") else "low"
    return effort != "none"


def _messages(messages: tuple[ChatMessage, ...], model: Model) -> list[dict[str, Any]]:
    """Messages in Ollama's form. A tool's result carries the tool's name, which OpenAI's form gives only by the id."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    out = []
    for message in messages:
        row: dict[str, Any] = {"role": message.role, "content": message.text}
        if images := [_image(part, model) for part in message.parts if isinstance(part, Image)]:
            row["images"] = images
        if message.tool_calls:
            row["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            row["tool_call_id"] = message.tool_call_id
            row["tool_name"] = message.name or names.get(message.tool_call_id, "")
        out.append(row)
    return out


def _arguments(text: str) -> Mapping[str, Any]:
    """Arguments as the object that Ollama wants; what a model wrote and is no object goes along as text."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"arguments": text}


def _image(image: Image, model: Model) -> str:
    """The base64 of a `data:` URL. Ollama fetches no pictures, and we do not either."""
    head, _, data = image.url.partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        try:
            binascii.a2b_base64(data.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            pass
        else:
            return data
    raise ProviderRejected(
        f"Ollama cannot take the picture {shown(image.url, 40)}.",
        why="It takes pictures only with the request, as `data:image/…;base64,…`, and fetches none.",
        fix="Send the picture itself, or use a model of a provider that fetches pictures.",
        details={"provider": OllamaProvider.id, "model": model.name},
    )


def _is_last(line: bytes) -> bool:
    if b"true" not in line:  # most lines are not read twice
        return False
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(data, dict) and data.get("done") is True


def _reason(data: Mapping[str, Any], calls: int) -> FinishReason:
    if data.get("done_reason") == "length":
        return "length"
    return "tool_calls" if calls else "stop"


def _usage(data: Mapping[str, Any], guess: Usage) -> Usage:
    """Ollama leaves counts out that are zero or, for a cached prompt, unknown."""
    prompt, answer = _number(data.get("prompt_eval_count")), _number(data.get("eval_count"))
    if prompt:
        return Usage(input=prompt, output=answer or guess.output, counted=bool(answer or not guess.output))
    return guess if not answer else replace(guess, output=answer)


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
