"""Anthropic's Claude, by its messages API, and whoever speaks it too.

Wire format: API reference of Anthropic, "Messages", "Models" and "Errors", version 2023-06-01, read 2026-08.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Noted
from engine.llm.model import Model
from engine.llm.ports import KeySource
from engine.llm.providers.anthropic.answers import completion, is_last
from engine.llm.providers.anthropic.families import family_of
from engine.llm.providers.anthropic.requests import Body, messages_body
from engine.llm.providers.repairs import Repairs
from engine.llm.wire import REMOTE, Address, Deadlines, Wire

ANTHROPIC_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
CONTEXT = 200_000
_MODELS_S = 5.0
_FORWARDED = ("anthropic-beta", "anthropic-version")


class AnthropicProvider:
    def __init__(
        self,
        keys: KeySource,
        world: World,
        *,
        base_url: str = ANTHROPIC_URL,
        id: str = "anthropic",
        title: str = "Anthropic",
        deadlines: Deadlines = REMOTE,
    ) -> None:
        """`base_url` is what comes before `/v1/messages`. Raises InvalidConfig for a bad address."""
        self.id, self.title, self.local = id, title, False
        self._keys = keys
        self._repairs = Repairs(("temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config"))
        self._fix = f"Add one with `circuit-breaker keys set {id}`, or set ANTHROPIC_API_KEY."
        self._wire = Wire(
            Address.parse(base_url.rstrip("/").removesuffix("/v1")),
            provider=id,
            title=title,
            world=world,
            authorize=self._authorization,
            headers={"anthropic-version": VERSION},
            deadlines=deadlines,
            unreachable_fix="Check the network.",
            auth_fix=self._fix,
        )

    @property
    def address(self) -> str:
        return self._wire.address.url

    def keys(self) -> Sequence[str]:
        return self._keys()

    async def models(self) -> tuple[Model, ...]:
        answer = await self._wire.get_json("/v1/models?limit=1000", key=next(iter(self.keys()), ""), within_s=_MODELS_S)
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list):
            raise self._wire.broken("Its list of models is no list.")
        return tuple(self._model(row) for row in rows if isinstance(row, Mapping) and isinstance(row.get("id"), str))

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A parameter that is refused is left out once, and remembered."""
        while True:
            body = messages_body(request, model.name, self._repairs.of(model.name))
            for note in body.notes:
                yield note
            begun = False
            try:
                async with aclosing(self._chat(request, body, model, key)) as chunks:
                    async for chunk in chunks:
                        begun = True  # what was given cannot be taken back
                        yield chunk
                return
            except ProviderRejected as error:
                refused = None if begun else self._repairs.learn(model.name, error, body.fields)
                if refused is None:
                    raise
                yield Noted("repaired", f"{model.name} refused {refused}: asked once more without it.")

    def _chat(self, request: ChatRequest, body: Body, model: Model, key: str) -> AsyncGenerator[Chunk, None]:
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        events = self._wire.events(
            "/v1/messages", body.fields, key=key, model=model.name, headers=headers, last=is_last
        )
        return completion(events, self._wire, request, model.name, in_tool=body.in_tool)

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        raise ProviderRejected(
            f"{self.title} has no embeddings.",
            fix="Use a model that embeds, like nomic-embed-text in Ollama.",
            details={"provider": self.id, "model": model.name},
        )

    async def close(self) -> None:
        await self._wire.close()

    def _authorization(self, key: str) -> Mapping[str, str]:
        if not key:
            raise ProviderAuth(f"There is no key for {self.title}.", fix=self._fix, details={"provider": self.id})
        return {"x-api-key": key}

    def _model(self, row: Mapping[str, object]) -> Model:
        name = str(row["id"])
        told = row.get("max_input_tokens")
        title = row.get("display_name")
        return Model(
            provider=self.id,
            name=name,
            abilities=family_of(name).abilities,
            context=told if isinstance(told, int) and told > 0 else CONTEXT,
            details={"title": title} if isinstance(title, str) else {},
        )
