"""Conversations and their turns. Frozen data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TurnRole = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """`model` is what the next question is sent to: a model's name, or a virtual one."""

    id: str
    title: str
    model: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said.

    The rest is of an answer: `request` is its id in the request log; `stopped` says that it was broken off, by the user
    or by an error, whose code is `error`. Times are in seconds; `cost_usd` is a decimal as text, empty when unknown.
    `left_out` counts the earlier turns that did not fit the model's context.
    """

    id: str
    role: TurnRole
    text: str
    thinking: str = ""
    model: str = ""
    request: str = ""
    output_tokens: int = 0
    ttft_s: float = 0.0
    duration_s: float = 0.0
    cost_usd: str = ""
    stopped: bool = False
    error: str = ""
    left_out: int = 0
