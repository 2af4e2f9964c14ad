"""Chat completions as GraphQL types: what is asked, the whole answer, and its pieces.

Names are those that clients of the original system send and select; what they do not know comes beside it.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Self

import strawberry
from pydantic import Field
from strawberry.scalars import JSON

from engine.kernel.errors import InvalidInput, shown
from engine.llm.answering import Answer, Completion
from engine.llm.messages import ChatMessage, ChatRequest, Image, Part, Role, Sampling, Text, ToolCall
from engine.store.ports import RequestRecord
from server.bodies import Extension, Loose, read
from server.graphql.routing_types import DecisionType, NoteType, notes_of
from server.graphql.scalars import json_text
from server.graphql.spending_types import TokenUsageType
from server.graphql.words import enum

MOST_MESSAGES = 10_000
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class LlmStreamEventType(Enum):
    STREAM_START = "stream_start"
    CONTENT_DELTA = "content_delta"
    REASONING_DELTA = "reasoning_delta"
    FUNCTION_CALL = "function_call"
    NOTE = "note"
    STREAM_END = "stream_end"
    STREAM_ERROR = "stream_error"


enum(
    LlmStreamEventType,
    "What came.",
    (
        "A model has begun to answer.",
        "A piece of the answer.",
        "A piece of thought.",
        "A piece of a tool call.",
        "Something to know about the answer.",
        "It is over.",
        "It broke off.",
    ),
)


_LAST = (LlmStreamEventType.STREAM_END, LlmStreamEventType.STREAM_ERROR)


# -- in ---------------------------------------------------------------------------------------------------------------


@strawberry.input(name="ToolCallInput", description="A tool call of an earlier turn.")
class ToolCallInput:
    id: str = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="The function.")
    arguments: str = strawberry.field(default="{}", description="JSON as text.")


@strawberry.input(name="ChatMessageInput", description="One turn of a conversation.")
class ChatMessageInput:
    role: str = strawberry.field(description="system, user, assistant or tool.")
    content: str | None = strawberry.field(default=None, description="What was said.")
    name: str | None = strawberry.field(default=None, description="Of role `tool`: the function.")
    images: list[str] | None = strawberry.field(default=None, description="Pictures, as data: or http(s): URLs.")
    tool_calls: list[ToolCallInput] | None = strawberry.field(
        default=None, description="Of role `assistant`: the tools that it called."
    )
    tool_call_id: str | None = strawberry.field(default=None, description="Of role `tool`: which call it is of.")

    def message(self, number: int) -> ChatMessage:
        role = _ROLES.get(self.role.casefold())
        if role is None:
            raise InvalidInput(
                f"There is no role {shown(self.role)}.",
                fix=f"Use {', '.join(_ROLES)}.",
                details={"path": f"input.messages[{number}].role"},
            )
        parts: list[Part] = [Text(self.content)] if self.content else []
        parts += [Image(url) for url in self.images or ()]
        calls = tuple(ToolCall(one.id, one.name, one.arguments) for one in self.tool_calls or ())
        return ChatMessage(role, tuple(parts), calls, self.tool_call_id or "", self.name or "")


@strawberry.input(name="CircuitBreakerInput", description="How to route: the request extension `circuit_breaker`.")
class CircuitBreakerInput:
    routing_strategy: str | None = strawberry.field(
        default=None, description="cost_optimized, performance_first, balanced, task_specific and so on."
    )
    max_cost_per_1k_tokens: float | None = strawberry.field(default=None, description="US dollars, at most.")
    max_latency_ms: float | None = strawberry.field(default=None, description="Only models that were as quick as this.")
    task_type: str | None = strawberry.field(default=None, description="chat, coding, analysis or creative.")
    fallback_models: list[str] | None = strawberry.field(default=None, description="What to ask next, in order.")
    budget: float | None = strawberry.field(default=None, description="US dollars for this request, at most.")
    local_only: bool | None = strawberry.field(default=None, description="Keep the prompt on this machine.")
    cache: bool | None = strawberry.field(
        default=None, description="Take the answer that the same request had before, if there is one."
    )
    hedge_ms: float | None = strawberry.field(
        default=None, description="Ask a second model when the first has not begun by then."
    )
    deadline_ms: float | None = strawberry.field(default=None, description="The answer must be whole by then.")
    tags: JSON | None = strawberry.field(default=None, description="Texts by name, for the log: app, workflow, token.")


class _Numbers(Loose):
    """What is out of range is refused as everywhere."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None


@strawberry.input(name="LlmChatCompletionInput", description="A conversation that a model is to go on with.")
class ChatCompletionInput:
    model: str = strawberry.field(description="A model's name, provider/name, or a virtual one: auto, cb:coding.")
    messages: list[ChatMessageInput] = strawberry.field(description="The turns, oldest first.")
    temperature: float | None = strawberry.field(default=None, description="0 to 2.")
    max_tokens: int | None = strawberry.field(default=None, description="Tokens of the answer, at most.")
    top_p: float | None = strawberry.field(default=None, description="0 to 1.")
    frequency_penalty: float | None = strawberry.field(default=None, description="-2 to 2.")
    presence_penalty: float | None = strawberry.field(default=None, description="-2 to 2.")
    stop: list[str] | None = strawberry.field(default=None, description="Texts that end the answer.")
    seed: int | None = strawberry.field(default=None, description="The same seed gives the same answer, if it can.")
    reasoning_effort: str | None = strawberry.field(default=None, description="none, minimal, low, medium, high.")
    response_format: JSON | None = strawberry.field(default=None, description="As OpenAI has it.")
    tools: list[JSON] | None = strawberry.field(default=None, description="Functions, as OpenAI has them.")
    tool_choice: JSON | None = strawberry.field(default=None, description="As OpenAI has it.")
    parallel_tool_calls: bool | None = strawberry.field(default=None, description="Whether several may come at once.")
    circuit_breaker: CircuitBreakerInput | None = strawberry.field(default=None, description="How to route.")
    stream: bool | None = strawberry.field(default=None, description="Not looked at: `llmStream` streams.")
    user: str | None = strawberry.field(default=None, description="Whose costs these are: the app.")
    project_id: str | None = strawberry.field(default=None, description="What it is for: the workflow.")

    def request(self) -> ChatRequest:
        """The request in our words. Raises InvalidInput."""
        given = {name: getattr(self, name) for name in _Numbers.model_fields}
        numbers = read(_Numbers, {name: value for name, value in given.items() if value is not None})
        if len(self.messages) > MOST_MESSAGES:
            raise InvalidInput(
                "There are too many messages.", fix=f"Send at most {MOST_MESSAGES:,}.", details={"path": "messages"}
            )
        return ChatRequest(
            model=self.model,
            messages=tuple(one.message(number) for number, one in enumerate(self.messages)),
            sampling=Sampling(
                temperature=numbers.temperature,
                top_p=numbers.top_p,
                max_tokens=numbers.max_tokens,
                stop=tuple(self.stop or ()),
                seed=self.seed,
                frequency_penalty=numbers.frequency_penalty,
                presence_penalty=numbers.presence_penalty,
                reasoning_effort=self.reasoning_effort,
                response_format=numbers.response_format,
            ),
            tools=tuple(numbers.tools or ()),
            tool_choice=self.tool_choice,
            parallel_tool_calls=self.parallel_tool_calls,
            preferences=self._wishes().preferences(),
        )

    def _wishes(self) -> Extension:
        wishes = self.circuit_breaker or CircuitBreakerInput()
        given = {name: getattr(wishes, name) for name in Extension.model_fields if hasattr(wishes, name)}
        whose = {name: value for name, value in (("app", self.user), ("workflow", self.project_id)) if value}
        tags = given["tags"] or {}
        return read(Extension, given | {"tags": whose | tags if isinstance(tags, dict) else tags})


# -- out --------------------------------------------------------------------------------------------------------------


@strawberry.type(name="ToolCall", description="A tool that the model calls.")
class ToolCallType:
    id: str = strawberry.field(description="To be given back with what the tool gave.")
    name: str = strawberry.field(description="The function.")
    arguments: str = strawberry.field(description="JSON as text, as the model wrote it.")


@strawberry.type(name="ChatMessage", description="What the model said.")
class ChatMessageType:
    role: str = strawberry.field(description="assistant.")
    content: str = strawberry.field(description="The text; empty when there is none.")
    name: str | None = strawberry.field(description="Not used.")
    tool_calls: list[ToolCallType] = strawberry.field(description="The tools that it calls.")


@strawberry.type(name="LlmChoice", description="An answer; there is always one.")
class ChoiceType:
    index: int = strawberry.field(description="0.")
    message: ChatMessageType = strawberry.field(description="What the model said.")
    finish_reason: str | None = strawberry.field(description="stop, length, tool_calls or content_filter.")


@strawberry.type(name="RoutingInfo", description="How it came to this model, in short.")
class RoutingInfoType:
    selected_provider: str = strawberry.field(description="Who answered.")
    routing_strategy: str = strawberry.field(description="The policy that chose; `named` when a model was asked for.")
    latency_ms: int = strawberry.field(description="To the end of the answer.")
    retry_count: int = strawberry.field(description="How often something was asked again.")
    fallback_used: bool = strawberry.field(description="Whether the first choice did not answer.")


@strawberry.type(name="LlmResponse", description="A whole answer.")
class LlmResponseType:
    id: str = strawberry.field(description="Of the request; `decision` and the log have it.")
    model: str = strawberry.field(description="The model that answered.")
    provider: str = strawberry.field(description="Who answered.")
    content: str = strawberry.field(description="The text.")
    reasoning: str = strawberry.field(description="The thoughts, where the model shows them.")
    tool_calls: list[ToolCallType] = strawberry.field(description="The tools that it calls.")
    finish_reason: str = strawberry.field(description="stop, length, tool_calls or content_filter.")
    choices: list[ChoiceType] = strawberry.field(description="The same, as OpenAI has it.")
    usage: TokenUsageType = strawberry.field(description="Tokens and cost.")
    cost_usd: Decimal | None = strawberry.field(description="US dollars, exactly; null when it is not known.")
    route: str = strawberry.field(description="The same as `id`, as the header x-cb-route has it.")
    routing_info: RoutingInfoType = strawberry.field(description="How it came to this model, in short.")
    decision: DecisionType = strawberry.field(description="The same in full.")
    notes: list[NoteType] = strawberry.field(description="What to know about it: what was dropped, repaired or cut.")
    overhead_ms: float = strawberry.field(description="What the decision itself took.")

    @classmethod
    def of(cls, answer: Answer, completion: Completion, record: RequestRecord) -> Self:
        calls = [ToolCallType(id=one.id, name=one.name, arguments=one.arguments) for one in completion.tool_calls]
        message = ChatMessageType(role="assistant", content=completion.text, name=None, tool_calls=calls)
        return cls(
            id=answer.id,
            model=answer.model.name,
            provider=answer.model.provider,
            content=completion.text,
            reasoning=completion.reasoning,
            tool_calls=calls,
            finish_reason=completion.finish,
            choices=[ChoiceType(index=0, message=message, finish_reason=completion.finish)],
            usage=TokenUsageType.of(record),
            cost_usd=record.cost_usd,
            route=answer.id,
            routing_info=RoutingInfoType(
                selected_provider=answer.model.provider,
                routing_strategy=answer.decision.policy,
                latency_ms=round(record.duration_s * 1000),
                retry_count=record.retries,
                fallback_used=answer.place > 0,
            ),
            decision=DecisionType.of(record.decision, record),
            notes=notes_of(completion.notes),
            overhead_ms=round(answer.overhead_s * 1000, 3),
        )


@strawberry.type(name="ToolCallDelta", description="A piece of a tool call.")
class ToolCallDeltaType:
    index: int = strawberry.field(description="Which call, from 0.")
    id: str | None = strawberry.field(description="With the first piece.")
    name: str | None = strawberry.field(description="With the first piece.")
    arguments: str = strawberry.field(description="A piece of JSON as text.")


@strawberry.type(name="LlmStreamEvent", description="A piece of an answer as it comes.")
class StreamEventType:
    event_type: LlmStreamEventType = strawberry.field(description="What came.")
    request_id: str = strawberry.field(description="The request; `decision` and the log have it.")
    timestamp: str = strawberry.field(description="When it came.")
    model: str | None = strawberry.field(default=None, description="The model that answers.")
    provider: str | None = strawberry.field(default=None, description="Who answers.")
    delta: str | None = strawberry.field(default=None, description="A piece of the answer.")
    reasoning: str | None = strawberry.field(default=None, description="A piece of thought.")
    tool_call: ToolCallDeltaType | None = strawberry.field(default=None, description="A piece of a tool call.")
    note: NoteType | None = strawberry.field(default=None, description="Something to know about the answer.")
    finish_reason: str | None = strawberry.field(
        default=None, description="At the end: stop, length, tool_calls or content_filter."
    )
    usage: TokenUsageType | None = strawberry.field(default=None, description="At the end: tokens and cost.")
    cost_usd: Decimal | None = strawberry.field(default=None, description="At the end: US dollars, where it is known.")
    decision: DecisionType | None = strawberry.field(default=None, description="At the end: why it went there.")
    error: str | None = strawberry.field(default=None, description="What broke it off, for people.")
    error_code: str | None = strawberry.field(default=None, description="The same for programs.")

    @strawberry.field(description="Whether nothing comes after it.")
    def is_complete(self) -> bool:
        return self.event_type in _LAST

    @strawberry.field(description="The same as `requestId`.")
    def id(self) -> str:
        return self.request_id

    @strawberry.field(description="The same as `delta`.")
    def content(self) -> str | None:
        return self.delta

    @strawberry.field(description="The same as `delta`.")
    def token(self) -> str | None:
        return self.delta

    @strawberry.field(description="The same as `isComplete`.")
    def finished(self) -> bool:
        return self.event_type in _LAST

    def as_text(self) -> str:
        """The event as the original system's server wrote it: a chunk of OpenAI's, or an error; empty for what it did
        not have."""
        match self.event_type:
            case LlmStreamEventType.STREAM_ERROR:
                return json_text({"type": "error", "error": self.error})
            case LlmStreamEventType.NOTE:
                return ""
            case LlmStreamEventType.STREAM_START:
                delta: dict[str, object] = {"role": "assistant", "content": ""}
            case LlmStreamEventType.FUNCTION_CALL if self.tool_call:
                call = self.tool_call
                function = {"name": call.name, "arguments": call.arguments}
                delta = {"tool_calls": [{"index": call.index, "id": call.id, "type": "function", "function": function}]}
            case LlmStreamEventType.REASONING_DELTA:
                delta = {"reasoning_content": self.reasoning}
            case _:
                delta = {} if self.delta is None else {"content": self.delta}
        ended = self.event_type is LlmStreamEventType.STREAM_END
        choice = {"index": 0, "delta": delta, "finish_reason": (self.finish_reason or "stop") if ended else None}
        return json_text({"type": "chunk", "data": {"id": self.request_id, "model": self.model, "choices": [choice]}})
