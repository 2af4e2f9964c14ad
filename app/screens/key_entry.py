"""Entering an API key: choose the provider, paste the key, see where it is kept."""

from typing import TYPE_CHECKING

from app.screens.dialogs import Ask, Choice, Pick
from app.screens.place import Place

if TYPE_CHECKING:
    from engine.engine import Engine

_CHOICES = (
    Choice("openai", "OpenAI"),
    Choice("custom", "Custom endpoint", "CUSTOM_LLM_ENDPOINT"),
    Choice("anthropic", "Anthropic"),
    Choice("google", "Google"),
    Choice("azure", "Azure OpenAI", "AZURE_OPENAI_ENDPOINT"),
    Choice("vertex", "Vertex AI", "an OAuth token; a service account needs none"),
)


async def enter_key(screen: Place, engine: "Engine") -> None:
    """Ask for a key and keep it. Runs in a worker of `screen`, which shows what goes wrong."""
    known = {choice.id for choice in _CHOICES}
    added = tuple(Choice(name, name, "your endpoint") for name in engine.provider_keys.providers if name not in known)
    provider = await screen.app.push_screen_wait(Pick("Whose key?", (*_CHOICES, *added)))
    if provider is None:
        return
    about = "It goes to the system's keyring; without one it lives in memory for this run."
    secret = await screen.app.push_screen_wait(Ask(f"Key for {provider}", about, secret=True, placeholder="paste it"))
    if not secret:
        return
    try:
        kept = await engine.provider_keys.set(provider, secret)
    except Exception as error:
        screen.fault(error)
        return
    screen.notify(f"{provider} {kept.ending}: kept by {kept.where}.", title="Key kept")
