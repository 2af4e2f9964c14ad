"""Anthropic's Claude, by its messages API, and whoever speaks it too.

Wire format: API reference of Anthropic, "Messages", "Models" and "Errors", version 2023-06-01, read 2026-08.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from engine.kernel.errors import ProviderRejected
from engine.kernel.world import World
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings
from engine.llm.model import Ability, Model
from engine.llm.ports import KeptAt, KeySource, not_told
from engine.llm.providers.anthropic.answers import completion, is_last
from engine.llm.providers.anthropic.families import family_of
from engine.llm.providers.anthropic.requests import messages_body
from engine.llm.providers.asking import Asking, Body, answered
from engine.llm.providers.repairs import Repairs
from engine.llm.providers.site import Site, in_header
from engine.llm.wire import REMOTE, Address, Deadlines

ANTHROPIC_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
_MODELS_S = 5.0
_FORWARDED = ("anthropic-beta", "anthropic-version")
_DROPPABLE = ("temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config")

Shape = Callable[[dict[str, Any], str], tuple[str, dict[str, Any]]]
"""Gives the path and the body that a model is asked with, from the body of a messages request."""


def messages_shape(fields: dict[str, Any], _: str) -> tuple[str, dict[str, Any]]:
    return "/v1/messages", fields


class AnthropicProvider:
    def __init__(self, site: Site, world: World, *, shape: Shape = messages_shape) -> None:
        self.id, self.title, self.local = site.id, site.title, site.local
        self._site, self._shape, self._wire = site, shape, site.wire(world)
        self._repairs = Repairs(_DROPPABLE)

    @classmethod
    def anthropic(
        cls,
        keys: KeySource,
        world: World,
        *,
        base_url: str = ANTHROPIC_URL,
        kept: KeptAt = not_told,
        deadlines: Deadlines = REMOTE,
    ) -> "AnthropicProvider":
        """Anthropic itself. Raises InvalidConfig for a bad address."""
        site = Site(
            "anthropic",
            "Anthropic",
            messages_address(base_url),
            keys,
            authorize=in_header("x-api-key"),
            headers={"anthropic-version": VERSION},
            key_fix="Add one with `circuit-breaker keys set anthropic`, or set ANTHROPIC_API_KEY.",
            kept=kept,
            deadlines=deadlines,
        )
        return cls(site, world)

    @property
    def address(self) -> str:
        return self._site.address.url

    def keys(self) -> Sequence[str]:
        return self._site.usable_keys()

    async def models(self) -> tuple[Model, ...]:
        if self._site.given:
            return self._site.named(abilities_of)
        answer = await self._wire.get_json("/v1/models?limit=1000", key=next(iter(self.keys()), ""), within_s=_MODELS_S)
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list):
            raise self._wire.broken("Its list of models is no list.")
        return tuple(self._model(row) for row in rows if isinstance(row, Mapping) and isinstance(row.get("id"), str))

    def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A parameter that is refused is left out once, and remembered."""

        def ask() -> Asking:
            body = messages_body(request, model.name, self._repairs.of(model.name))
            return Asking(body.fields, self._chat(request, body, model, key), body.notes)

        def learn(error: ProviderRejected, sent: Mapping[str, Any]) -> str | None:
            return self._repairs.learn(model.name, error, sent)

        return answered(model.name, ask, learn)

    def _chat(self, request: ChatRequest, body: Body, model: Model, key: str) -> AsyncGenerator[Chunk, None]:
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        path, fields = self._shape(body.fields, model.name)
        events = self._wire.events(path, fields, key=key, model=model.name, headers=headers, last=is_last)
        return completion(events, self._wire, request, model.name, in_tool=body.in_tool)

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        raise ProviderRejected(
            f"{self.title} has no embeddings.",
            fix="Use a model that embeds, like nomic-embed-text in Ollama.",
            details={"provider": self.id, "model": model.name},
        )

    async def close(self) -> None:
        await self._wire.close()

    def _model(self, row: Mapping[str, object]) -> Model:
        name = str(row["id"])
        told, most, title = (row.get(key) for key in ("max_input_tokens", "max_tokens", "display_name"))
        found = Model(
            provider=self.id,
            name=name,
            abilities=abilities_of(name),
            context=told if isinstance(told, int) and told > 0 else 0,
            most_output=most if isinstance(most, int) and most > 0 else 0,
            details={"title": title} if isinstance(title, str) else {},
        )
        return self._site.model(found)


def messages_address(text: str) -> Address:
    """Where the messages API is: what comes before `/v1/messages`. Raises InvalidConfig."""
    return Address.parse(text.strip().rstrip("/").removesuffix("/v1"))


def abilities_of(name: str) -> frozenset[Ability]:
    return family_of(name).abilities
