"""What Anthropic's models take, by their names ("Models overview" and "Migrating to new models", 2026-08). Pure."""

import re
from dataclasses import dataclass

from engine.llm.model import Ability


@dataclass(frozen=True, slots=True)
class Family:
    """`version` is like 4.5. `thinks`: not at all, by a `budget` of tokens, or `adaptive` by an effort. `samples` says
    whether temperature and top_p are taken; `schema` whether an answer can be held to a JSON schema."""

    version: float
    thinks: str
    samples: bool
    schema: bool
    most_output: int

    @property
    def abilities(self) -> frozenset[Ability]:
        found: set[Ability] = {"chat", "tools", "json"}
        if self.version >= 3:
            found.add("vision")
        if self.thinks:
            found.add("thinking")
        return frozenset(found)


def family_of(name: str) -> Family:
    """The family of a model named like claude-3-7-sonnet-20250219, claude-opus-4-5 or claude-sonnet-5; the newest for a
    name that says no version. Providers that resell them put words before and dates after the name."""
    words = re.sub(r"(^.*claude-|[-@:]\d{6,8}.*$|-latest$|-v\d.*$)", "", name)
    numbers = re.findall(r"(?<![a-z\d])\d{1,2}(?![a-z\d])", words)
    version = float(".".join(numbers[:2])) if numbers else 9.0
    thinks = "" if version < 3.7 else "budget" if version < 4.6 else "adaptive"
    most = 4096 if version < 3.5 else 8192 if version < 3.7 else 32_000
    return Family(version, thinks, samples=version < 4.7, schema=version >= 4.5, most_output=most)
