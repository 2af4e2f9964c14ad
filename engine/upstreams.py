"""The providers that the settings name: where each is, which variables hold its keys, and how it is made."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.kernel.settings import Settings
from engine.kernel.world import World
from engine.keys.environment import VARIABLES
from engine.keys.service import Keys
from engine.llm.ports import KeptAt, KeySource, Provider
from engine.llm.providers.anthropic.provider import AnthropicProvider
from engine.llm.providers.embedded.provider import EmbeddedProvider
from engine.llm.providers.ollama.provider import OllamaProvider
from engine.llm.providers.openai.provider import OpenAIProvider


def addresses(settings: Settings) -> dict[str, str]:
    """Where each provider is: what its keys are bound to. Some can have a key before they can be asked."""
    return {
        "ollama": settings.ollama_url,
        "openai": settings.openai_url,
        "anthropic": settings.anthropic_url,
        "google": "https://generativelanguage.googleapis.com",
        "azure": settings.azure_endpoint,
        "custom": settings.custom_url,
    }


def variables() -> Mapping[str, tuple[str, ...]]:
    """The environment variables of each provider's keys."""
    return VARIABLES


def providers(settings: Settings, keys: Keys, world: World, logs: Path) -> Mapping[str, Provider]:
    """The providers in the order in which they are shown. Raises InvalidConfig for an address that is none."""

    def keys_of(id: str, address: str) -> tuple[KeySource, KeptAt]:
        def secrets() -> Sequence[str]:
            return keys.secrets(id, address)

        return secrets, lambda secret: keys.kept(id, secret)

    found: list[Provider] = [OllamaProvider(world, base_url=settings.ollama_url)]
    source, kept = keys_of("openai", settings.openai_url)
    found.append(OpenAIProvider.openai(source, world, base_url=settings.openai_url, kept=kept))
    source, kept = keys_of("anthropic", settings.anthropic_url)
    found.append(AnthropicProvider.anthropic(source, world, base_url=settings.anthropic_url, kept=kept))
    if settings.custom_url:
        source, kept = keys_of("custom", settings.custom_url)
        found.append(OpenAIProvider.custom("custom", "Custom endpoint", settings.custom_url, source, world, kept=kept))
    if settings.embedded:
        found.append(EmbeddedProvider(world, logs, gguf=settings.embedded_model))
    return {provider.id: provider for provider in found}
