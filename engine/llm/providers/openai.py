"""Providers that speak OpenAI's chat completions: OpenAI itself and any server that says it is compatible.

Wire format: OpenAI API reference, "Chat", "Embeddings" and "Models" (2026-08), with the deviations that compatible
servers are known for: missing tool indexes, `reasoning` beside `reasoning_content`, bare lists of models, errors
inside a stream. The translation (`chat_body`, `completion`) is shared with the embedded llama.cpp server.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.framing import Event
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
    Text,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import FREE, Ability, Model
from engine.llm.ports import KeyGetter
from engine.llm.wire import LOCAL, REMOTE, Address, Deadlines, Wire

OPENAI_URL = "https://api.openai.com/v1"
_MODELS_S = 2.0


class OpenAIProvider:
    """One OpenAI-compatible endpoint. Use `openai` for OpenAI itself and `custom` for all others."""

    def __init__(
        self,
        *,
        id: str,
        title: str,
        address: Address,
        key: KeyGetter,
        world: World,
        official: bool,
        local: bool,
        key_fix: str,
        deadlines: Deadlines,
    ) -> None:
        self.id, self.title, self.local = id, title, local
        self._key, self._world, self._official, self._key_fix = key, world, official, key_fix
        self._renamed: set[str] = set()  # models that want max_completion_tokens
        self._without_usage = False
        self._wire = Wire(
            address,
            provider=id,
            title=title,
            world=world,
            headers=self._authorization,
            deadlines=deadlines,
            unreachable_fix="Check the network." if official else "Start that server, or correct its address.",
            auth_fix=key_fix,
        )

    @classmethod
    def openai(
        cls, key: KeyGetter, world: World, *, base_url: str = OPENAI_URL, deadlines: Deadlines = REMOTE
    ) -> "OpenAIProvider":
        """OpenAI itself, which needs a key."""
        return cls(
            id="openai",
            title="OpenAI",
            address=Address.parse(base_url),
            key=key,
            world=world,
            official=True,
            local=False,
            key_fix="Add one with `circuit-breaker keys set openai`, or set OPENAI_API_KEY.",
            deadlines=deadlines,
        )

    @classmethod
    def custom(
        cls,
        id: str,
        title: str,
        base_url: str,
        key: KeyGetter,
        world: World,
        *,
        local: bool | None = None,
        deadlines: Deadlines | None = None,
    ) -> "OpenAIProvider":
        """Any other endpoint; `base_url` up to what comes before `/chat/completions`. `key` may give None.

        `local` says whether prompts stay on this machine; None takes it from the address. Say False for a proxy that
        listens here and sends prompts elsewhere. Raises InvalidConfig for a bad address.
        """
        address = Address.parse(base_url)
        return cls(
            id=id,
            title=title,
            address=address,
            key=key,
            world=world,
            official=False,
            local=address.local if local is None else local and address.local,
            key_fix=f"Set its key with `circuit-breaker keys set {id}`.",
            deadlines=deadlines or (LOCAL if address.local else REMOTE),
        )

    @property
    def address(self) -> str:
        return self._wire.address.url

    async def models(self) -> tuple[Model, ...]:
        """What `/models` lists: `{"data": [...]}` or a bare list; rows without a name are left out."""
        answer = await self._wire.get_json("/models", within_s=_MODELS_S)
        rows = answer.get("data", answer.get("models")) if isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise self._wire.broken("Its list of models is no list.")
        models = (self._model(row) for row in rows if isinstance(row, Mapping))
        return tuple({model.name: model for model in models if model is not None}.values())

    async def chat(self, request: ChatRequest, model: Model) -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A refusal of `max_tokens` or `stream_options` is repaired once and remembered."""
        final = False
        while True:
            try:
                async with aclosing(self._chat(request, model)) as chunks:
                    async for chunk in chunks:
                        final = True  # what was given cannot be taken back
                        yield chunk
                return
            except ProviderRejected as error:
                if final or not self._repair(error, model):
                    raise
                final = True

    async def embed(self, request: EmbeddingRequest, model: Model) -> Embeddings:
        if not request.inputs:
            return Embeddings(model.name, (), Usage())
        body: dict[str, Any] = {"model": model.name, "input": request.inputs, "encoding_format": "float"}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        answer = await self._wire.post_json("/embeddings", body, model=model.name)
        vectors = vectors_in(answer, len(request.inputs))
        if vectors is None:
            raise self._wire.broken("It did not give one vector for each text.", model=model.name)
        usage = usage_in(answer)
        return Embeddings(model.name, vectors, usage or Usage(input=sum(map(tokens_in, request.inputs)), counted=False))

    async def close(self) -> None:
        await self._wire.close()

    def _chat(self, request: ChatRequest, model: Model) -> AsyncGenerator[Chunk, None]:
        newer = self._official or model.name in self._renamed
        body = chat_body(request, model.name, most_field="max_completion_tokens" if newer else "max_tokens")
        if self._without_usage:
            del body["stream_options"]
        events = self._wire.events("/chat/completions", body, model=model.name, last=is_done)
        return completion(events, self._wire, request, model.name, self._world)

    def _repair(self, error: ProviderRejected, model: Model) -> bool:
        """Whether another try can go better, now that we know what the upstream does not take."""
        said = str(error.details.get("upstream_message", ""))
        if error.details.get("upstream_status") not in (400, 422):
            return False
        if "stream_options" in said and not self._without_usage:
            self._without_usage = True
            return True
        if "max_completion_tokens" in said and "max_tokens" in said and model.name not in self._renamed:
            self._renamed.add(model.name)
            return not self._official
        return False

    def _authorization(self) -> Mapping[str, str]:
        key = self._key()
        if key:
            return {"authorization": f"Bearer {key}"}
        if self._official:
            details = {"provider": self.id}
            raise ProviderAuth(f"There is no key for {self.title}.", fix=self._key_fix, details=details)
        return {}

    def _model(self, row: Mapping[str, Any]) -> Model | None:
        name = next((one for key in ("id", "name", "model") if isinstance(one := row.get(key), str) and one), None)
        abilities = (
            None if name is None else official_abilities(name) if self._official else custom_abilities(name, row)
        )
        if name is None or abilities is None:
            return None
        owner = row.get("owned_by")
        return Model(
            provider=self.id,
            name=name,
            abilities=abilities,
            context=context_in(row),
            price=FREE if self.local else None,
            local=self.local,
            loaded=False,
            details={"owner": owner} if isinstance(owner, str) else {},
        )


# What a model can, by its name


def official_abilities(name: str) -> frozenset[Ability] | None:
    """What one of OpenAI's models can by its name, None when it does neither chat completions nor embeddings."""
    base = name.removeprefix("ft:")
    if base.startswith("text-embedding-"):
        return frozenset({"embedding"})
    if not re.match(r"gpt-|chatgpt-|o\d", base):
        return None
    if re.search(r"audio|realtime|transcribe|tts|image|search|instruct|codex|deep-research|\bpro\b", base):
        return None  # these have other endpoints
    old = re.match(r"gpt-3\.5|gpt-4(-\d{4}|$)|o1-(mini|preview)", base)
    abilities: set[Ability] = {"chat", "json"}
    if not re.match(r"chatgpt-|o1-(mini|preview)", base):
        abilities.add("tools")
    if not old and not base.startswith("o3-mini"):
        abilities.add("vision")
    if re.match(r"o\d|gpt-[5-9]", base) and "chat" not in base:
        abilities.add("thinking")
    return frozenset(abilities)


def custom_abilities(name: str, row: Mapping[str, Any]) -> frozenset[Ability]:
    """What a model of another endpoint can. Tools and JSON are assumed, unless its row says what it takes: OpenRouter's
    `supported_parameters` and `architecture.input_modalities` (API reference, "List available models", 2026-08)."""
    if "embed" in name.casefold():
        return frozenset({"embedding"})
    abilities: set[Ability] = {"chat", "tools", "json"}
    takes = row.get("supported_parameters")
    if isinstance(takes, list):
        abilities -= {"tools"} if "tools" not in takes else set()
        abilities -= {"json"} if not {"response_format", "structured_outputs"} & set(map(str, takes)) else set()
        abilities |= {"thinking"} if "reasoning" in takes else set()
    architecture = row.get("architecture")
    seen = architecture.get("input_modalities") if isinstance(architecture, Mapping) else None
    if isinstance(seen, list) and "image" in seen:
        abilities.add("vision")
    return frozenset(abilities)


def context_in(row: Mapping[str, Any]) -> int:
    """The context that a row of `/models` tells, under the names of OpenRouter, Groq, vLLM and llama.cpp; 0 if none."""
    meta = row.get("meta")
    told = [row.get(key) for key in ("context_length", "context_window", "max_model_len", "max_context_length")]
    told += [meta.get(key) for key in ("n_ctx", "n_ctx_train")] if isinstance(meta, Mapping) else []
    return next((one for one in told if isinstance(one, int) and one > 0), 0)


# Requests


def chat_body(request: ChatRequest, model: str, *, most_field: str = "max_tokens") -> dict[str, Any]:
    """The body of a streamed chat completion; unknown fields of the request go along, known ones win over them."""
    sampling = request.sampling
    body: dict[str, Any] = {
        **request.extra,
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    known = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        most_field: sampling.max_tokens,
        "stop": sampling.stop or None,
        "seed": sampling.seed,
        "response_format": sampling.response_format,
        "tools": request.tools or None,
        "tool_choice": request.tool_choice if request.tools else None,
    }
    return body | {key: value for key, value in known.items() if value is not None}


def _message(message: ChatMessage) -> dict[str, Any]:
    pictures = any(isinstance(part, Image) for part in message.parts)
    content: Any = [_part(part) for part in message.parts] if pictures else message.text
    out: dict[str, Any] = {"role": message.role, "content": content}
    if message.role == "tool":
        return out | {"tool_call_id": message.tool_call_id}
    if message.name:
        out["name"] = message.name
    if message.tool_calls:
        out["content"] = content or None
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return out


def _part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": part.text}


# Answers


def is_done(event: Event) -> bool:
    return event.data.strip() == "[DONE]"


async def completion(
    events: AsyncGenerator[Event, None], wire: Wire, request: ChatRequest, model: str, world: World
) -> AsyncGenerator[Chunk, None]:
    """The chunks in a stream of `chat.completion.chunk` events.

    Only a finish_reason finishes a stream: after `[DONE]` or the end without one, ProviderUnavailable is raised.
    """
    reading = _Reading(model, world)
    async with aclosing(events):
        async for event in events:
            if is_done(event):
                yield reading.finished(request, wire)
                reading.over = True
                continue
            data = wire.parsed(event.data, model=model)
            if not isinstance(data, Mapping):
                raise wire.broken("A piece of its answer is not an object.", model=model)
            if data.get("error"):
                raise wire.refusal(None, data, model=model)
            for chunk in reading.chunks(data):
                yield chunk
            if reading.failed:
                raise wire.broken("It ended its answer with an error.", model=model)
    if not reading.over:
        yield reading.finished(request, wire)


class _Reading:
    """One answer as it comes in."""

    def __init__(self, model: str, world: World) -> None:
        self._model, self._world = model, world
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._written = 0
        self._asked: list[str] = []  # the upstream's id of each tool call, "" when it gave none
        self._places: dict[int, int] = {}  # the upstream's index of a tool call to ours
        self.failed = False
        self.over = False

    def chunks(self, data: Mapping[str, Any]) -> Iterator[Chunk]:
        self._usage = usage_in(data) or self._usage
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping) or choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta")
            if isinstance(delta, Mapping):
                yield from self._deltas(delta)
            reason = choice.get("finish_reason")
            if reason == "error":
                self.failed = True
            elif isinstance(reason, str) and reason:
                self._reason = _REASONS.get(reason, "stop")

    def finished(self, request: ChatRequest, wire: Wire) -> Finished:
        if self._reason is None:
            raise wire.broken("The stream ended before the answer did.", model=self._model)
        reason: FinishReason = "tool_calls" if self._asked and self._reason == "stop" else self._reason
        guess = Usage(input=prompt_tokens(request), output=(self._written + 2) // 3, counted=False)
        return Finished(reason, self._usage or guess)

    def _deltas(self, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            self._written += len(reasoning.encode("utf-8", "replace"))
            yield ReasoningDelta(reasoning)
        text = delta.get("content") or delta.get("refusal")
        if isinstance(text, str) and text:
            self._written += len(text.encode("utf-8", "replace"))
            yield TextDelta(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                yield from self._call(call)

    def _call(self, call: Mapping[str, Any]) -> Iterator[ToolCallDelta]:
        """One piece of a tool call. Some servers give no index, or 0 to every call: then a new id is a new call."""
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        id, name, arguments = (_text(one) for one in (call.get("id"), function.get("name"), function.get("arguments")))
        place = call.get("index")
        if id and id in self._asked:
            index = self._asked.index(id)
        elif isinstance(place, int):
            index = self._places.get(place, -1)
            index = -1 if index >= 0 and id and self._asked[index] else index
        else:
            index = -1 if id or name else len(self._asked) - 1
        if index < 0:
            index = len(self._asked)
            self._asked.append(id)
            if isinstance(place, int):
                self._places[place] = index
            yield ToolCallDelta(index, id or f"call_{self._world.new_id()}", name, arguments)
        elif arguments:
            yield ToolCallDelta(index, arguments=arguments)
        self._written += len(arguments)


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def usage_in(data: Any) -> Usage | None:
    """The usage of an answer as disjoint counts: OpenAI counts cached tokens as part of the prompt.

    `cache_write_tokens` is OpenRouter's, `prompt_cache_hit_tokens` DeepSeek's.
    """
    usage = data.get("usage") if isinstance(data, Mapping) else None
    if not isinstance(usage, Mapping) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    prompt = max(0, usage["prompt_tokens"])
    read = min(prompt, _count(details.get("cached_tokens")) or _count(usage.get("prompt_cache_hit_tokens")))
    write = min(prompt - read, _count(details.get("cache_write_tokens")))
    return Usage(prompt - read - write, read, write, _count(usage.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def vectors_in(answer: Any, count: int) -> tuple[tuple[float, ...], ...] | None:
    """The vectors of an `/embeddings` answer in the order of the inputs; None unless there is one for each."""
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    found: dict[int, tuple[float, ...]] = {}
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        vector = row.get("embedding") if isinstance(row, Mapping) else None
        if not isinstance(vector, list) or not vector or not all(isinstance(one, int | float) for one in vector):
            return None
        index = row.get("index", place)
        found[index if isinstance(index, int) else place] = tuple(map(float, vector))
    return tuple(found[index] for index in range(count)) if found.keys() == set(range(count)) else None


def tokens_in(text: str) -> int:
    """A guess on the safe side: three bytes of UTF-8 a token."""
    return (len(text.encode("utf-8", "replace")) + 2) // 3


def prompt_tokens(request: ChatRequest) -> int:
    """The tokens of a prompt by the same guess; a picture counts as a thousand."""
    tokens = 0
    for message in request.messages:
        tokens += 8 + sum(tokens_in(part.text) if isinstance(part, Text) else 1000 for part in message.parts)
        tokens += sum(tokens_in(call.name + call.arguments) + 8 for call in message.tool_calls)
    return tokens + sum(tokens_in(str(tool)) for tool in request.tools)
