"""The providers that the settings name: where each is, which variables hold its keys, and how it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.kernel.errors import InvalidConfig
from engine.kernel.settings import Settings
from engine.kernel.world import World
from engine.keys.environment import VARIABLES
from engine.keys.service import Keys
from engine.llm.endpoints import Endpoint, Given, deployments_in, read_endpoints
from engine.llm.pictures import Pictures
from engine.llm.ports import KeptAt, KeySource, Provider, no_keys
from engine.llm.providers.anthropic.provider import VERSION, AnthropicProvider, messages_address
from engine.llm.providers.azure.entra import FIX, SECRET, App
from engine.llm.providers.azure.provider import AzureProvider
from engine.llm.providers.embedded.provider import EmbeddedProvider
from engine.llm.providers.google.provider import GoogleProvider, google_address
from engine.llm.providers.ollama.provider import OllamaProvider
from engine.llm.providers.openai.provider import Dialect, OpenAIProvider
from engine.llm.providers.site import Site, in_header
from engine.llm.providers.vertex.credentials import default_file, metadata_host
from engine.llm.providers.vertex.provider import VertexProvider, vertex_address
from engine.llm.wire import LOCAL, REMOTE, Address, Authorize, bearer


@dataclass(frozen=True, slots=True)
class Upstreams:
    """All that is asked: the providers that are built in, and the endpoints of the user."""

    settings: Settings
    endpoints: tuple[Endpoint, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Upstreams":
        """Raises InvalidConfig naming what is wrong with an endpoint."""
        return cls(settings, read_endpoints(settings.endpoints))

    @property
    def addresses(self) -> dict[str, str]:
        """Where each provider is: what its keys are bound to."""
        settings = self.settings
        return {
            "ollama": settings.ollama_url,
            "openai": settings.openai_url,
            "anthropic": settings.anthropic_url,
            "google": settings.google_url,
            "azure": settings.azure_endpoint,
            "custom": settings.custom_url,
            "vertex": vertex_address(settings.vertex_region).url,
        } | {endpoint.name: _address(endpoint) for endpoint in self.endpoints}

    @property
    def variables(self) -> Mapping[str, tuple[str, ...]]:
        """The environment variables of each provider's keys."""
        own = {one.name: (one.key_env,) if one.key_env else () for one in self.endpoints if one.auth != "none"}
        return {**VARIABLES, **own}

    @staticmethod
    def secrets(environ: Mapping[str, str]) -> Sequence[str]:
        """What of the environment is secret and no key."""
        return [environ[SECRET]] if SECRET in environ else []

    def providers(self, keys: Keys, world: World, logs: Path) -> Mapping[str, Provider]:
        """The providers in the order in which they are shown. Raises InvalidConfig for an address that is none."""
        settings = self.settings
        pictures = Pictures(world, "no" if settings.local_only else settings.fetch_pictures)
        found: list[Provider] = [OllamaProvider(world, base_url=settings.ollama_url, pictures=pictures)]
        source, kept = _keys_of(keys, "openai", settings.openai_url)
        found.append(OpenAIProvider.openai(source, world, base_url=settings.openai_url, kept=kept))
        source, kept = _keys_of(keys, "anthropic", settings.anthropic_url)
        found.append(AnthropicProvider.anthropic(source, world, base_url=settings.anthropic_url, kept=kept))
        source, kept = _keys_of(keys, "google", settings.google_url)
        found.append(GoogleProvider.google(source, world, base_url=settings.google_url, kept=kept))
        if settings.azure_endpoint:
            found.append(_endpoint(self._azure(), keys, world))
        if settings.custom_url:
            source, kept = _keys_of(keys, "custom", settings.custom_url)
            named = tuple(Given(name.strip()) for name in settings.custom_models.split(",") if name.strip())
            found.append(
                OpenAIProvider.custom(
                    "custom", "Custom endpoint", settings.custom_url, source, world, kept=kept, given=named
                )
            )
        if settings.vertex_project:
            found.append(_endpoint(self._vertex(), keys, world))
        found += [_endpoint(one, keys, world) for one in self.endpoints]
        if settings.embedded:
            found.append(EmbeddedProvider(world, logs, gguf=settings.embedded_model))
        return {provider.id: provider for provider in found}

    def _azure(self) -> Endpoint:
        settings = self.settings
        return Endpoint(
            "azure",
            "azure",
            settings.azure_endpoint,
            "Azure OpenAI",
            models=deployments_in(settings.azure_deployments),
            catalog="azure",
            api_version=settings.azure_api_version,
        )

    def _vertex(self) -> Endpoint:
        settings = self.settings
        return Endpoint(
            "vertex",
            "vertex",
            "",
            "Vertex AI",
            catalog="vertex",
            project=settings.vertex_project,
            region=settings.vertex_region,
        )


def _address(one: Endpoint) -> str:
    return (vertex_address(one.region, one.url) if one.kind == "vertex" else Address.parse(one.url)).url


def _keys_of(keys: Keys, id: str, address: str) -> tuple[KeySource, KeptAt]:
    def secrets() -> Sequence[str]:
        return keys.secrets(id, address)

    return secrets, lambda secret: keys.kept(id, secret)


def _endpoint(one: Endpoint, keys: Keys, world: World) -> Provider:
    """Raises InvalidConfig for an address that is none, and for another machine that is said to be this one."""
    match one.kind:
        case "anthropic":
            site = _site(one, keys, messages_address(one.url), in_header("x-api-key"), {"anthropic-version": VERSION})
            return AnthropicProvider(site, world)
        case "google":
            return GoogleProvider(_site(one, keys, google_address(one.url), in_header("x-goog-api-key")), world)
        case "azure":
            site = _site(one, keys, Address.parse(one.url), in_header("api-key"))
            secret_may_go = site.address.local or site.address.url.startswith("https:")
            app = App.told(world.environ) if secret_may_go and site.needs_key else None
            site = replace(site, key_fix=f"{site.key_fix} {FIX}")
            return AzureProvider(site, world, api_version=one.api_version, app=app)
        case "vertex":
            site = _site(one, keys, vertex_address(one.region, one.url), bearer)
            named = Path(one.credentials).expanduser() if one.credentials else default_file(world.environ)
            return VertexProvider(
                site,
                world,
                project=one.project,
                region=one.region,
                file=named,
                metadata=metadata_host(world.environ),
                token_url=one.token_url,
            )
        case _:
            site = _site(one, keys, Address.parse(one.url), bearer)
            return OpenAIProvider(site, world, Dialect(official=site.address.url.startswith("https://api.openai.com")))


def _site(
    one: Endpoint, keys: Keys, address: Address, usual: Authorize, headers: Mapping[str, str] | None = None
) -> Site:
    if one.local and not address.local:
        raise InvalidConfig(
            f"endpoints.{one.name}.local is not right.",
            why=f"{address.url} is another machine: what is sent there leaves this one.",
            fix="Take it out.",
            details={"path": f"endpoints.{one.name}.local"},
        )
    source, kept = _keys_of(keys, one.name, _address(one))
    how, _, header = one.auth.partition(":")
    variable = f", or set {one.key_env}" if one.key_env else ""
    return Site(
        one.name,
        one.title,
        address,
        no_keys if how == "none" else source,
        needs_key=not one.keyless,
        local=address.local if one.local is None else one.local,
        authorize={"header": in_header(header), "bearer": bearer}.get(how, usual),
        headers={**(headers or {}), **one.headers},
        key_fix=f"Add one with `circuit-breaker keys set {one.name}`{variable}.",
        kept=kept,
        unreachable_fix="Start that server, or correct its address." if address.local else "Check its address.",
        deadlines=LOCAL if address.local else REMOTE,
        given=one.models,
        catalog=one.catalog,
    )
