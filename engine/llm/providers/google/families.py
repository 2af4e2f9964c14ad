"""What Google's models take, by their names ("Gemini models" and "Thinking", ai.google.dev, 2026-08). Pure."""

import re
from dataclasses import dataclass

from engine.llm.model import Ability

BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}


@dataclass(frozen=True, slots=True)
class Family:
    """`version` is like 2.5. `thinks`: not at all, by a `budget` of tokens, or by a `level`; `stops` says whether it
    may be told not to. `both` says that an answer may be held to JSON while there are tools to call."""

    version: float
    thinks: str
    stops: bool
    both: bool


def family_of(name: str) -> Family:
    """The family of a model named like gemini-2.5-flash-lite; the newest for a Gemini that says no version."""
    words = name.rpartition("/")[2]
    if not words.startswith("gemini"):
        return Family(1.0, "", stops=False, both=False)
    found = re.search(r"-(\d+(?:\.\d+)?)(?![\d.])", words)
    version = float(found[1]) if found and float(found[1]) < 100 else 9.0
    thinks = "" if version < 2.5 else "budget" if version < 3 else "level"
    return Family(version, thinks, stops="flash" in words, both=version >= 3)


def abilities_of(name: str) -> frozenset[Ability] | None:
    """What a model can by its name, None when it does neither chat nor embed texts: pictures, speech, live talk."""
    words = name.rpartition("/")[2]
    if "embedding" in words or words.startswith("textembedding"):
        return frozenset({"embedding"})
    if re.search(r"image|-tts|live|audio|robotics|imagen|veo|lyria|aqa|computer-use|nano-banana|omni", words):
        return None
    if words.startswith(("gemma", "learnlm")):
        return frozenset({"chat"} if "gemma-2" in words else {"chat", "vision"})
    abilities: set[Ability] = {"chat", "tools", "json", "vision"}
    if family_of(name).thinks:
        abilities.add("thinking")
    return frozenset(abilities)
