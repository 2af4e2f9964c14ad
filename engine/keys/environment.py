"""Keys from the environment (and `.env`, which the user wrote). They win over stored ones and are written nowhere."""

from collections.abc import Mapping

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY", "OPENAI_API_KEYS"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEYS"),
    "google": ("GOOGLE_API_KEY", "GOOGLE_API_KEYS", "GEMINI_API_KEY"),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_API_KEYS"),
    "vertex": ("VERTEX_ACCESS_TOKEN",),
    "custom": ("CUSTOM_LLM_API_KEY", "CUSTOM_LLM_API_KEYS"),
}
"""The variables of each provider; one whose name ends in KEYS holds several, parted by commas."""


def keys_in(
    environ: Mapping[str, str], provider: str, variables: Mapping[str, tuple[str, ...]] = VARIABLES
) -> dict[str, str]:
    """The keys for `provider`, each once, with the variable it came from."""
    found: dict[str, str] = {}
    for variable in variables.get(provider, ()):
        value = environ.get(variable, "")
        for secret in value.split(",") if variable.endswith("KEYS") else [value]:
            if secret.strip():
                found.setdefault(secret.strip(), variable)
    return found
