"""Providers that speak OpenAI's chat completions: OpenAI itself and any server that says it is compatible.

Wire format: OpenAI API reference, "Chat", "Embeddings" and "Models" (2026-08), with the deviations that compatible
servers are known for: missing tool indexes, `reasoning` beside `reasoning_content`, bare lists of models, errors
inside a stream. The translation (`requests`, `answers`) is shared with the embedded llama.cpp server.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.counting import tokens_in
from engine.llm.dialects.openai import chat_body
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Noted, Usage
from engine.llm.model import FREE, Model
from engine.llm.ports import KeySource
from engine.llm.providers.openai.abilities import context_in, custom_abilities, official_abilities
from engine.llm.providers.openai.answers import completion, is_done, usage_in, vectors_in
from engine.llm.providers.repairs import Repairs
from engine.llm.wire import LOCAL, REMOTE, Address, Deadlines, Wire, bearer

OPENAI_URL = "https://api.openai.com/v1"
_MODELS_S = 2.0
_DROPPABLE = (
    "stream_options", "temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "reasoning_effort", "parallel_tool_calls",
)  # fmt: skip


class OpenAIProvider:
    """One OpenAI-compatible endpoint. Use `openai` for OpenAI itself and `custom` for all others."""

    def __init__(
        self,
        *,
        id: str,
        title: str,
        address: Address,
        keys: KeySource,
        world: World,
        official: bool,
        local: bool,
        key_fix: str,
        deadlines: Deadlines,
    ) -> None:
        self.id, self.title, self.local = id, title, local
        self._keys, self._world, self._official, self._key_fix = keys, world, official, key_fix
        self._renamed: set[str] = set()  # models that want max_completion_tokens
        self._repairs = Repairs(_DROPPABLE)
        self._wire = Wire(
            address,
            provider=id,
            title=title,
            world=world,
            authorize=self._authorization,
            deadlines=deadlines,
            unreachable_fix="Check the network." if official else "Start that server, or correct its address.",
            auth_fix=key_fix,
        )

    @classmethod
    def openai(
        cls, keys: KeySource, world: World, *, base_url: str = OPENAI_URL, deadlines: Deadlines = REMOTE
    ) -> "OpenAIProvider":
        """OpenAI itself, which needs a key."""
        return cls(
            id="openai",
            title="OpenAI",
            address=Address.parse(base_url),
            keys=keys,
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
        keys: KeySource,
        world: World,
        *,
        local: bool | None = None,
        deadlines: Deadlines | None = None,
    ) -> "OpenAIProvider":
        """Any other endpoint; `base_url` up to what comes before `/chat/completions`. There may be no key.

        `local` says whether prompts stay on this machine; None takes it from the address. Say False for a proxy that
        listens here and sends prompts elsewhere. Raises InvalidConfig for a bad address.
        """
        address = Address.parse(base_url)
        return cls(
            id=id,
            title=title,
            address=address,
            keys=keys,
            world=world,
            official=False,
            local=address.local if local is None else local and address.local,
            key_fix=f"Set its key with `circuit-breaker keys set {id}`.",
            deadlines=deadlines or (LOCAL if address.local else REMOTE),
        )

    @property
    def address(self) -> str:
        return self._wire.address.url

    def keys(self) -> Sequence[str]:
        return self._keys() or (() if self._official else ("",))

    async def models(self) -> tuple[Model, ...]:
        """What `/models` lists: `{"data": [...]}` or a bare list; rows without a name are left out."""
        answer = await self._wire.get_json("/models", key=next(iter(self.keys()), ""), within_s=_MODELS_S)
        rows = answer.get("data", answer.get("models")) if isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise self._wire.broken("Its list of models is no list.")
        models = (self._model(row) for row in rows if isinstance(row, Mapping))
        return tuple({model.name: model for model in models if model is not None}.values())

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A parameter that is refused is renamed or left out once, and remembered."""
        while True:
            body = self._body(request, model)
            begun = False
            try:
                async with aclosing(self._chat(request, body, model, key)) as chunks:
                    async for chunk in chunks:
                        begun = True  # what was given cannot be taken back
                        yield chunk
                return
            except ProviderRejected as error:
                refused = None if begun else self._repaired(error, model, body)
                if refused is None:
                    raise
                yield Noted("repaired", f"{model.name} refused {refused}: asked once more without it.")

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        if not request.inputs:
            return Embeddings(model.name, (), Usage())
        body: dict[str, Any] = {"model": model.name, "input": request.inputs, "encoding_format": "float"}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        answer = await self._wire.post_json("/embeddings", body, key=key, model=model.name)
        vectors = vectors_in(answer, len(request.inputs))
        if vectors is None:
            raise self._wire.broken("It did not give one vector for each text.", model=model.name)
        usage = usage_in(answer)
        return Embeddings(model.name, vectors, usage or Usage(input=sum(map(tokens_in, request.inputs)), counted=False))

    async def close(self) -> None:
        await self._wire.close()

    def _body(self, request: ChatRequest, model: Model) -> dict[str, Any]:
        newer = self._official or model.name in self._renamed
        body = chat_body(request, model.name, most_field="max_completion_tokens" if newer else "max_tokens")
        refused = self._repairs.of(model.name)
        return {name: value for name, value in body.items() if name not in refused}

    def _chat(self, request: ChatRequest, body: dict[str, Any], model: Model, key: str) -> AsyncGenerator[Chunk, None]:
        events = self._wire.events("/chat/completions", body, key=key, model=model.name, last=is_done)
        return completion(events, self._wire, request, model.name, self._world)

    def _repaired(self, error: ProviderRejected, model: Model, sent: Mapping[str, Any]) -> str | None:
        """What the upstream does not take and will not get again; None when there is nothing of that kind."""
        said = str(error.details.get("upstream_message", ""))
        if "max_completion_tokens" in said and "max_tokens" in said and "max_tokens" in sent:
            if model.name in self._renamed:
                return None
            self._renamed.add(model.name)
            return "max_tokens"
        return self._repairs.learn(model.name, error, sent)

    def _authorization(self, key: str) -> Mapping[str, str]:
        if self._official and not key:
            details = {"provider": self.id}
            raise ProviderAuth(f"There is no key for {self.title}.", fix=self._key_fix, details=details)
        return bearer(key)

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
