"""What a model behind an OpenAI-compatible endpoint can, by its name and what the list of models says of it. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from engine.llm.model import Ability


def official_abilities(name: str) -> frozenset[Ability] | None:
    """What one of OpenAI's models can by its name, None when it does neither chat nor embeddings."""
    base = name.removeprefix("ft:")
    if base.startswith("text-embedding-"):
        return frozenset({"embedding"})
    if not re.match(r"gpt-|chatgpt-|o\d", base):
        return None
    if re.search(r"audio|realtime|transcribe|tts|image|search|instruct|deep-research", base):
        return None  # these have other endpoints
    old = re.match(r"gpt-3\.5|gpt-4(-\d{4}|$)|o1-(mini|preview)", base)
    abilities: set[Ability] = {"chat", "json"}
    if not re.match(r"chatgpt-|o1-(mini|preview)", base):
        abilities.add("tools")
    if not old and not base.startswith("o3-mini"):
        abilities.add("vision")
    if re.match(r"o\d|gpt-[5-9]", base) and "chat" not in base:
        abilities.add("thinking")
    return frozenset(abilities)


def only_responds(name: str) -> bool:
    """Whether one of OpenAI's models is asked by `/responses` alone ("Models", 2026-08)."""
    return re.search(r"codex|\bpro\b", name) is not None


def custom_abilities(name: str, row: Mapping[str, Any]) -> frozenset[Ability]:
    """What a model of another endpoint can. Tools and JSON are assumed, unless its row says what it takes: OpenRouter's
    `supported_parameters` and `architecture.input_modalities` (API reference, "List available models", 2026-08)."""
    if "embed" in name.casefold():
        return frozenset({"embedding"})
    abilities: set[Ability] = {"chat", "tools", "json"}
    takes = row.get("supported_parameters")
    if isinstance(takes, list):
        abilities -= {"tools"} if "tools" not in takes else set()
        abilities -= {"json"} if not {"response_format", "structured_outputs"} & set(map(str, takes)) else set()
        abilities |= {"thinking"} if "reasoning" in takes else set()
    architecture = row.get("architecture")
    seen = architecture.get("input_modalities") if isinstance(architecture, Mapping) else None
    if isinstance(seen, list) and "image" in seen:
        abilities.add("vision")
    return frozenset(abilities)


def context_in(row: Mapping[str, Any]) -> int:
    """The context that a row of `/models` tells, under the names of OpenRouter, Groq, vLLM and llama.cpp; 0 if none."""
    meta = row.get("meta")
    told = [row.get(key) for key in ("context_length", "context_window", "max_model_len", "max_context_length")]
    told += [meta.get(key) for key in ("n_ctx", "n_ctx_train")] if isinstance(meta, Mapping) else []
    return next((one for one in told if isinstance(one, int) and one > 0), 0)
