"""What is said to a model and what comes back, in our own words.

Close to OpenAI's chat completions, which every face of the product speaks or is translated to, but closed and frozen:
providers translate between this and their wire format, and nothing else does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as a `data:` or `http(s):` URL."""

    url: str


Part: TypeAlias = Text | Image


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON as text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. `tool_call_id` and `name` belong to role `tool`."""

    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""

    @classmethod
    def of(cls, role: Role, text: str) -> "ChatMessage":
        return cls(role, (Text(text),))

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate. None leaves it to the model; `response_format` is OpenAI's, as JSON."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """The request extension `circuit_breaker`: how to route. Costs are US dollars for a thousand tokens."""

    routing_strategy: str = ""
    max_cost_per_1k_tokens: float | None = None
    task_type: str = ""
    fallback_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for one completion. `tools` and `tool_choice` are OpenAI's, as JSON; `extra` are request fields that we
    do not know, for upstreams that speak OpenAI."""

    model: str
    messages: tuple[ChatMessage, ...]
    sampling: Sampling = Sampling()
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    preferences: Preferences = Preferences()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def for_model(self, name: str) -> "ChatRequest":
        return replace(self, model=name)

    @property
    def has_images(self) -> bool:
        return any(isinstance(part, Image) for message in self.messages for part in message.parts)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as four disjoint counts. `counted` is False when the upstream did not say and we estimated."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    counted: bool = True

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.prompt + self.output


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the tool call number `index`; id and name come once, with the first piece."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The upstream said that it is done. A stream that ends without one broke off."""

    reason: FinishReason
    usage: Usage


Chunk: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each input, in their order."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
