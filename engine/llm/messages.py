"""What is said to a model and what comes back, in our own words.

Close to OpenAI's chat completions, which every face of the product speaks or is translated to, but closed and frozen:
providers translate between this and their wire format, and nothing else does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from engine.kernel.records import record

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@record
class Text:
    """`cache` asks the provider to keep the prompt up to here, as Anthropic's `cache_control` does."""

    text: str
    cache: bool = False


@record
class Image:
    """A picture as a `data:` or `http(s):` URL."""

    url: str


@record
class File:
    """A document or a recording as a `data:` URL, whose media type says which."""

    url: str
    name: str = ""

    @property
    def media_type(self) -> str:
        return self.url.removeprefix("data:").partition(";")[0].partition(",")[0]


@record
class Signature:
    """What a provider puts beside its thoughts and tool calls and wants back unchanged. `by` is who made it:
    `anthropic` or `google`; nobody else can read it."""

    by: str
    value: str


@record
class Reasoning:
    """Thoughts of an earlier turn. When `redacted`, the signature is all there is of them."""

    text: str
    signature: Signature | None = None
    redacted: bool = False


Part: TypeAlias = Text | Image | File | Reasoning


@record
class ToolCall:
    """`arguments` is JSON as text, as the model wrote it."""

    id: str
    name: str
    arguments: str
    signature: Signature | None = None


@record
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


@record
class Sampling:
    """How to generate. None leaves it to the model; `response_format` is OpenAI's, as JSON.

    `reasoning_effort` is none, minimal, low, medium, high, xhigh or max. Without `top_logprobs` there are no
    log probabilities.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    response_format: Mapping[str, Any] | None = None

    @property
    def wants_json(self) -> bool:
        return (self.response_format or {}).get("type") in ("json_object", "json_schema")


@record
class Preferences:
    """The request extension `circuit_breaker`: how to route.

    Costs are US dollars: for a thousand tokens, and in `budget` for this request. `local_only` keeps the prompt on
    this machine. `cache` takes the answer that the same request had before; `hedge_ms` asks a second model when the
    first has not begun by then; after `deadline_ms` the answer must be whole. `tags` are written into the log.
    """

    routing_strategy: str = ""
    max_cost_per_1k_tokens: float | None = None
    max_latency_ms: float | None = None
    task_type: str = ""
    fallback_models: tuple[str, ...] = ()
    budget: float | None = None
    local_only: bool = False
    cache: bool = False
    hedge_ms: float | None = None
    deadline_ms: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@record
class Fill:
    """Text to be gone on with, and perhaps what must come after: `prompt` and `suffix` of a code editor. `raw` takes it
    as it is, without the model's template."""

    prompt: str
    suffix: str = ""
    raw: bool = False


@record
class ChatRequest:
    """A request for one completion. `tools` and `tool_choice` are OpenAI's, as JSON. With `fill` a text is to be gone
    on with; who cannot do that takes it from the messages, where it is the last one.

    `protocol` is what the client spoke: openai, anthropic or ollama. `extra` are fields of its request that we do not
    know, for upstreams that speak the same; of Anthropic's it is the whole request. `headers` of the client go along
    there too.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    sampling: Sampling = Sampling()
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    fill: Fill | None = None
    preferences: Preferences = Preferences()
    extra: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "openai"
    headers: Mapping[str, str] = field(default_factory=dict)

    def for_model(self, name: str) -> "ChatRequest":
        return self if name == self.model else replace(self, model=name)

    @property
    def has_images(self) -> bool:
        return any(isinstance(part, Image) for message in self.messages for part in message.parts)

    @property
    def in_tool_loop(self) -> bool:
        """Whether the model waits for what its tools gave."""
        return bool(self.messages) and self.messages[-1].role == "tool"


@record
class Usage:
    """Tokens as four disjoint counts. `counted` is False when the upstream did not say and we estimated. `reasoning` is
    how many of the output were thoughts, where that is told."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    counted: bool = True
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.prompt + self.output


@record
class TextDelta:
    """`logprobs` are rows as OpenAI has them in `logprobs.content`: {token, logprob, bytes, top_logprobs}. `raw` is the
    same in the pieces in which an upstream that speaks OpenAI wrote it: JSON, but for the quotes around each."""

    text: str
    logprobs: tuple[Mapping[str, Any], ...] = ()
    raw: Sequence[bytes] = field(default=(), compare=False, repr=False)


@record
class ReasoningDelta:
    """A piece of thought. A signature comes once, with the last piece of one thought, perhaps without text; a thought
    that is `redacted` has nothing but its signature."""

    text: str
    signature: Signature | None = None
    redacted: bool = False


@record
class ToolCallDelta:
    """A piece of the tool call number `index`; id, name and signature come once, with the first piece."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: Signature | None = None


@record
class Noted:
    """Something to know about the answer that is no part of it; it does not count as its beginning.

    `code` is for programs: `dropped` (a parameter that this model does not take was left out), `repaired` (the request
    was changed and sent once more), `loading` (the model is being loaded), `cut` (a prompt was probably cut), `hedged`,
    `mismatch` (the answer is not of the form that was asked for).
    """

    code: str
    text: str


@record
class Finished:
    """The upstream said that it is done. A stream that ends without one broke off.

    `cost_usd` is what the upstream itself says that it charged. `stopped_by` is the stop sequence, when it is told.
    """

    reason: FinishReason
    usage: Usage
    cost_usd: Decimal | None = None
    stopped_by: str = ""


Chunk: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Noted | Finished


def bare(chunk: Chunk) -> Chunk:
    """A chunk to be kept: without the pieces in which it came, which take some times as much as their text."""
    return TextDelta(chunk.text, chunk.logprobs) if isinstance(chunk, TextDelta) and chunk.raw else chunk


@record
class EmbeddingRequest:
    """Texts to be embedded. `token_ids` are the same, as a client sent them for OpenAI's tokenizer: who has it takes
    them."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    token_ids: tuple[tuple[int, ...], ...] = ()


@record
class Embeddings:
    """One vector for each input, in their order."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
