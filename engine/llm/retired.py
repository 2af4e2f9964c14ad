"""Names of models that their makers have switched off, and what to use in their place. Pure.

Google: "Pathways Language Model (PaLM)" and "Deprecations" of Vertex AI, and "Deprecation" of the PaLM API
(cloud.google.com and ai.google.dev, read 2026-11).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.kernel.errors import NotFound, shown
from engine.llm.model import Ability, Model


@dataclass(frozen=True, slots=True)
class Retired:
    """Names that `pattern` matches, whose they were and since when they are gone. `family` is how the names of those
    begin that took their place, `instead` one of them."""

    pattern: str
    what: str
    family: str
    instead: str
    ability: Ability = "chat"


_PALM = "Google switched PaLM 2 off: the PaLM API on 2024-08-15, and on Vertex AI on 2025-04-09"
_PRO = "Google switched Gemini 1.0 Pro off on 2025-04-09"
_VECTORS, _FLASH, _HAIKU = "gemini-embedding-001", "gemini-3.5-flash", "claude-haiku-4-5"
_RETIRED = (
    Retired(r"textembedding-gecko(-multilingual)?|embedding-gecko", _PALM, "gemini-embedding", _VECTORS, "embedding"),
    Retired(r"(text|chat|code|codechat)-(bison|unicorn)(-32k)?|code-gecko", _PALM, "gemini", _FLASH),
    Retired(r"gemini-(1\.0-)?pro(-vision)?", _PRO, "gemini", _FLASH),
    Retired(r"claude-(2(\.[01])?|instant-v?1(\.\d)?|v?1(\.\d)?)", "Anthropic has retired it", "claude", _HAIKU),
)


def retired(name: str, models: Sequence[Model]) -> NotFound | None:
    """The error for the name of a model that is gone; None for any other. `models` are those that there are."""
    plain = re.sub(r"@.*$|-00\d$", "", name.rpartition("/")[2].casefold())
    found = next((one for one in _RETIRED if re.fullmatch(one.pattern, plain)), None)
    if found is None:
        return None
    here = [one.name for one in models if one.name.startswith(found.family) and found.ability in one.abilities]
    instead = " or ".join(here[:2]) or found.instead
    return NotFound(
        f"{shown(name)} is retired.",
        why=f"{found.what}.",
        fix=f"Use {instead}; or `auto`, which takes the best that is there.",
        details={"kind": "model", "id": name, "nearest": here[:3] or [found.instead]},
    )
