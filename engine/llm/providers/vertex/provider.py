"""Vertex AI: Google's models, Anthropic's and open ones in a project of Google Cloud.

The bodies are those of Gemini, of Claude and of OpenAI, at other addresses and with a token in place of a key
("Generate content with the Gemini API in Vertex AI", "Use Claude models", "Call open models" and "Text embeddings API",
cloud.google.com, read 2026-08). An open model has its publisher in its name: `meta/llama-3.3-70b-instruct-maas`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.counting import tokens_in
from engine.llm.endpoints import Given
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Usage
from engine.llm.model import Ability, Model
from engine.llm.providers.anthropic.provider import AnthropicProvider
from engine.llm.providers.anthropic.provider import abilities_of as claude_abilities
from engine.llm.providers.google.families import abilities_of as google_abilities
from engine.llm.providers.google.provider import GoogleProvider, vector_in
from engine.llm.providers.openai.abilities import custom_abilities
from engine.llm.providers.openai.provider import Dialect, OpenAIProvider
from engine.llm.providers.site import Site
from engine.llm.providers.tokens import Tokens
from engine.llm.providers.vertex.issues import from_file, from_metadata
from engine.llm.wire import Address

CLAUDE_VERSION = "vertex-2023-10-16"
MOST_AT_ONCE = 20  # texts in one request, of models that take more than one
_MODELS_S = 5.0
_PUBLISHERS = ("google", "anthropic")
_OPEN = ("meta", "deepseek-ai", "qwen", "openai")
_AS_A_SERVICE = "-maas"  # others of the Model Garden have to be deployed first


class VertexProvider:
    """One project in one region. Tokens come from the credentials in `file`, or without one from the `metadata` server;
    a key of the site is taken as a token."""

    def __init__(
        self,
        site: Site,
        world: World,
        *,
        project: str,
        region: str,
        file: Path | None,
        metadata: str = "",
        token_url: str = "",
    ) -> None:
        self.id, self.title, self.local = site.id, site.title, False
        self._site, self._wire = site, site.wire(world)
        place = f"/v1/projects/{project}/locations/{region}"
        self._root = f"{place}/publishers"
        issue = (
            from_file(file, world, site.title, token_url)
            if file
            else from_metadata(metadata, world)
            if metadata
            else None
        )
        self._tokens = Tokens(issue, world) if issue else None
        openapi = Dialect(path=lambda what, _: f"{place}/endpoints/openapi/{what}")
        self._open = OpenAIProvider(site, world, openapi)
        self._gemini = GoogleProvider(site, world, path=lambda name: f"{self._root}/google/models/{name}")
        self._claude = AnthropicProvider(site, world, shape=self._raw_predict)

    @property
    def address(self) -> str:
        return self._site.address.url

    def keys(self) -> Sequence[str]:
        return self._site.keys() or (("",) if self._tokens else ())

    async def models(self) -> tuple[Model, ...]:
        """Those that were named, once there was a token; else those that the publishers list."""
        token = await self._token(next(iter(self.keys()), ""))
        given = self._site.given
        if not given:
            asked = (self._of(publisher, token) for publisher in (*_PUBLISHERS, *_OPEN))
            with self._forgetting():
                given = tuple(one for some in await _all(asked) for one in some)
        return replace(self._site, given=given).named(_abilities)

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        inner = self._open if _is_open(model.name) else self._claude if _is_claude(model.name) else self._gemini
        with self._forgetting():
            async with aclosing(inner.chat(request, model, await self._token(key))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        """Vectors by `:predict`; Gemini's models take one text at a time."""
        with self._forgetting():
            return await self._embedded(request, model, key)

    async def _embedded(self, request: EmbeddingRequest, model: Model, key: str) -> Embeddings:
        if _is_open(model.name):
            return await self._open.embed(request, model, await self._token(key))
        if _is_claude(model.name):
            return await self._claude.embed(request, model, key)
        token, vectors, count = await self._token(key), list[tuple[float, ...]](), 0
        most = 1 if model.name.startswith("gemini") else MOST_AT_ONCE
        wanted = {"parameters": {"outputDimensionality": request.dimensions}} if request.dimensions is not None else {}
        path = f"{self._root}/google/models/{model.name}:predict"
        for start in range(0, len(request.inputs), most):
            texts = request.inputs[start : start + most]
            body = {"instances": [{"content": text} for text in texts], **wanted}
            answer = await self._wire.post_json(path, body, key=token, model=model.name)
            rows = answer.get("predictions") if isinstance(answer, Mapping) else None
            inner = (
                [row.get("embeddings") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
            )
            found = [vector for row in inner if (vector := vector_in(row)) is not None]
            if len(found) != len(texts):
                raise self._wire.broken("It did not give one vector for each text.", model=model.name)
            vectors += found
            count += sum(map(_counted, inner))
        usage = Usage(count) if count else Usage(sum(map(tokens_in, request.inputs)), counted=False)
        return Embeddings(model.name, tuple(vectors), usage)

    async def close(self) -> None:
        for one in (self._gemini, self._claude, self._open, self._wire):
            await one.close()

    async def _token(self, key: str) -> str:
        if key or self._tokens is None:
            return key
        return await self._tokens.get()

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """A token that is refused is got anew."""
        try:
            yield
        except ProviderAuth:
            if self._tokens is not None:
                self._tokens.forget()
            raise

    async def _of(self, publisher: str, token: str) -> Sequence[Given]:
        """What a publisher has for everybody; whether the project may use it is seen when it is asked."""
        path = f"/v1beta1/publishers/{publisher}/models?pageSize=1000"
        try:
            answer = await self._wire.get_json(path, key=token, within_s=_MODELS_S)
        except ProviderRejected as error:
            if error.details.get("upstream_status") == 404:
                return ()
            raise
        rows = answer.get("publisherModels") if isinstance(answer, Mapping) else None
        names = [str(row.get("name", "")).rpartition("/")[2] for row in rows or () if isinstance(row, Mapping)]
        if publisher in _OPEN:
            return [Given(f"{publisher}/{name}") for name in names if name.endswith(_AS_A_SERVICE)]
        wanted = (name for name in names if name.startswith(("gemini", "claude")) or "embedding" in name)
        return [Given(name) for name in wanted if _is_claude(name) or google_abilities(name) is not None]

    def _raw_predict(self, fields: dict[str, Any], model: str) -> tuple[str, dict[str, Any]]:
        body = {name: value for name, value in fields.items() if name != "model"}
        path = f"{self._root}/anthropic/models/{model}:streamRawPredict"
        return path, {"anthropic_version": CLAUDE_VERSION, **body}


def vertex_address(region: str, url: str = "") -> Address:
    """Where a region is. Raises InvalidConfig."""
    host = "aiplatform.googleapis.com" if region == "global" else f"{region}-aiplatform.googleapis.com"
    return Address.parse(url or f"https://{host}")


async def _all(asked: Iterable[Awaitable[Sequence[Given]]]) -> Sequence[Sequence[Given]]:
    """What all of them give, once none of them runs any more. Raises the first error."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]


def _is_open(name: str) -> bool:
    return "/" in name


def _is_claude(name: str) -> bool:
    return name.startswith("claude")


def _abilities(name: str) -> frozenset[Ability]:
    if _is_open(name):
        return custom_abilities(name, {})
    return claude_abilities(name) if _is_claude(name) else google_abilities(name) or frozenset({"chat"})


def _counted(row: Any) -> int:
    statistics = row.get("statistics") if isinstance(row, Mapping) else None
    count = statistics.get("token_count") if isinstance(statistics, Mapping) else None
    return int(count) if isinstance(count, int | float) else 0
