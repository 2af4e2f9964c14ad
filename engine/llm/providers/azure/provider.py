"""Azure OpenAI: OpenAI's bodies at an address of one's own, where models have the names of their deployments.

It takes a key, or tokens of Microsoft Entra ID for an app when there is no key. Two forms: the classic one with the
deployment in the path and an api-version, and v1, which is OpenAI's own ("Azure OpenAI REST API reference" and "API
version lifecycle", learn.microsoft.com, read 2026-08).
"""

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace

from engine.kernel.errors import ProviderAuth, ProviderError, ProviderRejected
from engine.kernel.world import World
from engine.llm.endpoints import Given
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings
from engine.llm.model import Ability, Model
from engine.llm.providers.azure.entra import App
from engine.llm.providers.openai.abilities import custom_abilities, official_abilities
from engine.llm.providers.openai.provider import Dialect, OpenAIProvider
from engine.llm.providers.site import Site
from engine.llm.providers.tokens import Tokens
from engine.llm.wire import Address, Authorize

API_VERSION = "2024-10-21"  # the newest of the classic ones that is no preview
V1 = "v1"
_LISTS_DEPLOYMENTS = "2023-03-15-preview"  # newer ones leave that to Azure's management API
_MODELS_S = 5.0
_BEARER = "Bearer "


class AzureProvider(OpenAIProvider):
    """One resource, which is one region. `api_version` is v1 or a date; empty takes what the address says. Without a
    key it is asked with tokens of `app`."""

    def __init__(self, site: Site, world: World, *, api_version: str = "", app: App | None = None) -> None:
        v1 = api_version.casefold() in (V1, "latest", "preview") or (not api_version and _is_v1(site.address))
        self._version = V1 if v1 else api_version or API_VERSION
        base = re.sub(r"/openai(/v1)?$", "", site.address.url)
        site = replace(site, address=Address(base, site.address.local), authorize=_or_token(site.authorize))
        self._app, self._tokens = app, Tokens(app.issue(world, site.title), world) if app else None
        super().__init__(site, world, Dialect(path=self._path, renamed=_thinks))

    def keys(self) -> Sequence[str]:
        return self._site.usable_keys() or (("",) if self._tokens else ())

    async def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        signed = await self._signed(key)
        with self._of_the_app(key):
            async with aclosing(super().chat(request, model, signed)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        signed = await self._signed(key)
        with self._of_the_app(key):
            return await super().embed(request, model, signed)

    async def models(self) -> tuple[Model, ...]:
        """The deployments that were named, once the resource has answered with the key; else those that it lists."""
        key = next(iter(self.keys()), "")
        signed = await self._signed(key)
        with self._of_the_app(key):
            return await self._found(signed)

    async def _found(self, key: str) -> tuple[Model, ...]:
        if not self._site.given:
            return replace(self._site, given=await self._deployments(key)).named(abilities_of)
        known = "/openai/v1/models" if self._version == V1 else f"/openai/models?api-version={self._version}"
        try:
            await self._wire.get_json(known, key=key, within_s=_MODELS_S)
        except ProviderRejected as error:
            if error.details.get("upstream_status") != 404:  # gateways before Azure have no list
                raise
        return self._site.named(abilities_of)

    async def _signed(self, key: str) -> str:
        """What a request is sent with: a key, or a token with its scheme."""
        return key if key or self._tokens is None else f"{_BEARER}{await self._tokens.get()}"

    @contextmanager
    def _of_the_app(self, key: str) -> Iterator[None]:
        """A refusal of a token, said as one: it is got anew, and roles are another thing than keys."""
        try:
            yield
        except ProviderAuth as error:
            if key or self._app is None or self._tokens is None:
                raise
            self._tokens.forget()
            what = f"{self.title} refused the token of the app {self._app.client}."
            fix = "Give the app the role Cognitive Services OpenAI User on that resource; it takes some minutes."
            raise ProviderAuth(what, why=error.why, fix=fix, details=error.details) from None

    async def _deployments(self, key: str) -> tuple[Given, ...]:
        path = f"/openai/deployments?api-version={_LISTS_DEPLOYMENTS}"
        try:
            answer = await self._wire.get_json(path, key=key, within_s=_MODELS_S)
        except ProviderRejected as error:
            raise self._unnamed(error) from None
        rows = answer.get("data") if isinstance(answer, dict) else None
        found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        names = ((row.get("id"), row.get("model")) for row in found if row.get("status", "succeeded") == "succeeded")
        return tuple(Given(id, base_of(str(model or id))) for id, model in names if isinstance(id, str))

    def _unnamed(self, error: ProviderError) -> ProviderRejected:
        return ProviderRejected(
            f"The deployments of {self.title} are not known.",
            why="The resource does not list them.",
            fix='Name them: AZURE_OPENAI_DEPLOYMENTS="my-chat=gpt-4o", or `deployments` in the endpoint\'s table.',
            details=error.details,
        )

    def _path(self, what: str, model: Model) -> str:
        if self._version == V1:
            return f"/openai/v1/{what}"
        return f"/openai/deployments/{model.name}/{what}?api-version={self._version}"


def _or_token(authorize: Authorize) -> Authorize:
    return lambda key: {"authorization": key} if key.startswith(_BEARER) else authorize(key)


def base_of(name: str) -> str:
    """OpenAI's name for a model, which has no dots on Azure's older ones."""
    return name.replace("gpt-35", "gpt-3.5")


def abilities_of(name: str) -> frozenset[Ability]:
    return official_abilities(base_of(name)) or custom_abilities(name, {})


def _thinks(model: Model) -> bool:
    return "thinking" in model.abilities


def _is_v1(address: Address) -> bool:
    return address.url.endswith("/openai/v1")
