"""Providers that speak OpenAI's chat completions: OpenAI itself and any server that says it is compatible.

Wire format: OpenAI API reference, "Chat", "Embeddings" and "Models" (2026-08), with the deviations that compatible
servers are known for: missing tool indexes, `reasoning` beside `reasoning_content`, bare lists of models, errors
inside a stream. The translation (`requests`, `answers`) is shared with the embedded llama.cpp server.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.kernel.errors import ProviderRejected
from engine.kernel.world import World
from engine.llm.counting import tokens_in
from engine.llm.dialects.openai import chat_body, completion_body
from engine.llm.dialects.openai_runs import Runs
from engine.llm.endpoints import Given
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Usage
from engine.llm.model import Model
from engine.llm.ports import KeptAt, KeySource, not_told
from engine.llm.providers.asking import Asking, answered
from engine.llm.providers.openai import responses
from engine.llm.providers.openai.abilities import context_in, custom_abilities, official_abilities, only_responds
from engine.llm.providers.openai.answers import completion, is_done, usage_in, vectors_in
from engine.llm.providers.repairs import Repairs
from engine.llm.providers.site import Site
from engine.llm.wire import LOCAL, REMOTE, Address, Deadlines

OPENAI_URL = "https://api.openai.com/v1"
_MODELS_S = 2.0
_DROPPABLE = (
    "stream_options", "temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "reasoning_effort", "parallel_tool_calls",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an endpoint differs. `official` is OpenAI itself. `path` gives where `chat/completions` or `embeddings` of a
    model is. `renamed` says whether a model wants `max_completion_tokens`."""

    official: bool = False
    path: Callable[[str, Model], str] = lambda what, _: f"/{what}"
    renamed: Callable[[Model], bool] = lambda _: False


class OpenAIProvider:
    """One OpenAI-compatible endpoint. Use `openai` for OpenAI itself and `custom` for one that is only an address."""

    def __init__(self, site: Site, world: World, dialect: Dialect = Dialect()) -> None:
        self.id, self.title, self.local = site.id, site.title, site.local
        self._site, self._world, self._dialect = site, world, dialect
        self._renamed: set[str] = set()  # models that were found to want max_completion_tokens
        self._repairs = Repairs(_DROPPABLE)
        self._wire = site.wire(world)

    @classmethod
    def openai(
        cls,
        keys: KeySource,
        world: World,
        *,
        base_url: str = OPENAI_URL,
        kept: KeptAt = not_told,
        deadlines: Deadlines = REMOTE,
    ) -> "OpenAIProvider":
        """OpenAI itself, which needs a key."""
        fix = "Add one with `circuit-breaker keys set openai`, or set OPENAI_API_KEY."
        site = Site(
            "openai", "OpenAI", Address.parse(base_url), keys, key_fix=fix, kept=kept, deadlines=deadlines
        )  # fmt: skip
        return cls(site, world, Dialect(official=True))

    @classmethod
    def custom(
        cls,
        id: str,
        title: str,
        base_url: str,
        keys: KeySource,
        world: World,
        *,
        local: bool | None = None,
        kept: KeptAt = not_told,
        deadlines: Deadlines | None = None,
        given: tuple[Given, ...] = (),
    ) -> "OpenAIProvider":
        """Any other endpoint; `base_url` up to what comes before `/chat/completions`. There may be no key.

        `local` says whether prompts stay on this machine; None takes it from the address. Say False for a proxy that
        listens here and sends prompts elsewhere. Raises InvalidConfig for a bad address.
        """
        address = Address.parse(base_url)
        site = Site(
            id,
            title,
            address,
            keys,
            needs_key=False,
            local=address.local if local is None else local and address.local,
            key_fix=f"Set its key with `circuit-breaker keys set {id}`.",
            kept=kept,
            unreachable_fix="Start that server, or correct its address.",
            deadlines=deadlines or (LOCAL if address.local else REMOTE),
            given=given,
        )
        return cls(site, world)

    @property
    def address(self) -> str:
        return self._wire.address.url

    def keys(self) -> Sequence[str]:
        return self._site.usable_keys()

    async def models(self) -> tuple[Model, ...]:
        """What `/models` lists: `{"data": [...]}` or a bare list; rows without a name are left out."""
        if self._site.given:
            return self._site.named(lambda name: custom_abilities(name, {}))
        answer = await self._wire.get_json("/models", key=next(iter(self.keys()), ""), within_s=_MODELS_S)
        rows = answer.get("data", answer.get("models")) if isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise self._wire.broken("Its list of models is no list.")
        models = (self._model(row) for row in rows if isinstance(row, Mapping))
        return tuple({model.name: model for model in models if model is not None}.values())

    def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A parameter that is refused is renamed or left out once, and remembered."""

        def ask() -> Asking:
            body = self._body(request, model)
            return Asking(body, self._chat(request, body, model, key))

        return answered(model.name, ask, lambda error, sent: self._repaired(error, model, sent))

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        if not request.inputs:
            return Embeddings(model.name, (), Usage())
        inputs = (self._dialect.official and request.token_ids) or request.inputs
        body: dict[str, Any] = {"model": model.name, "input": inputs, "encoding_format": "float"}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        answer = await self._wire.post_json(self._dialect.path("embeddings", model), body, key=key, model=model.name)
        vectors = vectors_in(answer, len(request.inputs))
        if vectors is None:
            raise self._wire.broken("It did not give one vector for each text.", model=model.name)
        usage = usage_in(answer)
        return Embeddings(model.name, vectors, usage or Usage(input=sum(map(tokens_in, request.inputs)), counted=False))

    async def close(self) -> None:
        await self._wire.close()

    def _body(self, request: ChatRequest, model: Model) -> dict[str, Any]:
        newer = self._dialect.official or model.name in self._renamed or self._dialect.renamed(model)
        if self._responds(model):
            body = responses.responses_body(request, model.name)
        elif request.fill is not None and not self._dialect.official:
            body = completion_body(request, request.fill, model.name)
        else:
            body = chat_body(request, model.name, most_field="max_completion_tokens" if newer else "max_tokens")
        refused = self._repairs.of(model.name)
        return {name: value for name, value in body.items() if name not in refused}

    def _chat(self, request: ChatRequest, body: dict[str, Any], model: Model, key: str) -> AsyncGenerator[Chunk, None]:
        if self._responds(model):
            path, last = self._dialect.path("responses", model), responses.is_last
            events = self._wire.events(path, body, key=key, model=model.name, last=last)
            return responses.response(events, self._wire, request, model.name)
        path = self._dialect.path("completions" if "prompt" in body else "chat/completions", model)
        runs = self._wire.framed(path, body, Runs(), key=key, model=model.name, last=is_done)
        return completion(runs, self._wire, request, model.name, self._world)

    def _responds(self, model: Model) -> bool:
        """Whether a model answers responses and nothing else."""
        return self._dialect.official and only_responds(model.name)

    def _repaired(self, error: ProviderRejected, model: Model, sent: Mapping[str, Any]) -> str | None:
        """What the upstream does not take and will not get again; None when there is nothing of that kind."""
        said = str(error.details.get("upstream_message", ""))
        if "max_completion_tokens" in said and "max_tokens" in said and "max_tokens" in sent:
            if model.name in self._renamed:
                return None
            self._renamed.add(model.name)
            return "max_tokens"
        return self._repairs.learn(model.name, error, sent)

    def _model(self, row: Mapping[str, Any]) -> Model | None:
        name = next((one for key in ("id", "name", "model") if isinstance(one := row.get(key), str) and one), None)
        abilities = (
            None
            if name is None
            else official_abilities(name)
            if self._dialect.official
            else custom_abilities(name, row)
        )
        if name is None or abilities is None:
            return None
        owner = row.get("owned_by")
        found = Model(
            provider=self.id,
            name=name,
            abilities=abilities,
            context=context_in(row),
            details={"owner": owner} if isinstance(owner, str) else {},
        )
        return self._site.model(found)
