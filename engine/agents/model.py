"""Agents: a model with instructions and, where it needs one, a key of its own. Frozen data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

AgentStatus = Literal["ready", "unavailable"]


@dataclass(frozen=True, slots=True)
class Agent:
    """`provider` is one of PROVIDERS. `base_url` is empty for the provider's usual address. The key is not here."""

    id: str
    name: str
    description: str
    provider: str
    model: str
    base_url: str
    system_prompt: str
    created_at: datetime


PROVIDERS = ("ollama", "openai", "anthropic", "google", "azure", "custom", "embedded")
