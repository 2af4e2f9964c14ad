"""An answer as it comes, and as a whole."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.llm.messages import (
    ChatMessage,
    Chunk,
    Finished,
    FinishReason,
    Noted,
    Reasoning,
    ReasoningDelta,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    bare,
)
from engine.llm.model import Model
from engine.llm.routing import Decision
from engine.store.ports import RequestRecord


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: `message` as it would be said back in the next turn, and what stands beside it."""

    message: ChatMessage
    finish: FinishReason
    usage: Usage
    logprobs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Noted, ...] = ()
    cost_usd: Decimal | None = None
    stopped_by: str = ""

    @property
    def text(self) -> str:
        return self.message.text

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self.message.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return self.message.tool_calls


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    signature: Signature | None = None


def gathered(chunks: Iterable[Chunk]) -> Completion:
    """The pieces of one answer put together, whatever order they came in."""
    parts: list[Text | Reasoning] = []
    calls: dict[int, _Call] = {}
    logprobs: list[Mapping[str, Any]] = []
    notes: list[Noted] = []
    finished = Finished("stop", Usage())
    for chunk in chunks:
        match chunk:
            case TextDelta(text, rows):
                logprobs += rows
                if parts and isinstance(parts[-1], Text):
                    parts[-1] = Text(parts[-1].text + text)
                else:
                    parts.append(Text(text))
            case ReasoningDelta(text, signature, redacted):
                last = parts[-1] if parts else None
                if isinstance(last, Reasoning) and not last.signature and not redacted:
                    parts[-1] = Reasoning(last.text + text, signature)
                else:
                    parts.append(Reasoning(text, signature, redacted))
            case ToolCallDelta(index, id, name, arguments, signature):
                call = calls.setdefault(index, _Call())
                call.id, call.name = call.id or id, call.name or name
                call.signature = call.signature or signature
                call.arguments.append(arguments)
            case Noted():
                notes.append(chunk)
            case Finished():
                finished = chunk
    tools = tuple(
        ToolCall(call.id, call.name, "".join(call.arguments), call.signature) for _, call in sorted(calls.items())
    )
    return Completion(
        ChatMessage("assistant", tuple(parts), tools),
        finished.reason,
        finished.usage,
        tuple(logprobs),
        tuple(notes),
        finished.cost_usd,
        finished.stopped_by,
    )


@dataclass
class Answer:
    """A request that a model has begun to answer. Iterate over `chunks`, within `aclosing` to give up early.

    `place` is where the model stood in the decision, `attempts` how often a model was asked. `record` is there when it
    is over.
    """

    id: str
    decision: Decision
    model: Model
    place: int
    attempts: int
    overhead_s: float
    chunks: AsyncGenerator[Chunk, None]
    record: RequestRecord | None = None

    async def whole(self) -> Completion:
        """Wait for the end. Raises what the provider raises."""
        async with aclosing(self.chunks) as chunks:
            return gathered([bare(chunk) async for chunk in chunks])
