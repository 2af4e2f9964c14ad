"""Asking models: one mutation and one subscription; a part of `operations`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from engine.kernel.errors import CircuitBreakerError, Internal, InvalidInput, NotFound
from engine.llm.answering import Answer
from engine.llm.messages import Chunk, Finished, Noted, ReasoningDelta, TextDelta, ToolCallDelta
from engine.store.ports import RequestRecord
from server.graphql.chatting_types import (
    ChatCompletionInput,
    LlmResponseType,
    LlmStreamEventType,
    StreamEventType,
    ToolCallDeltaType,
)
from server.graphql.context import Ask
from server.graphql.routing_types import DecisionType, NoteType
from server.graphql.scalars import timestamp
from server.graphql.spending_types import TokenUsageType
from server.graphql.words import about
from server.streaming import whole

_Conversation = Annotated[ChatCompletionInput, about("The conversation.")]


@strawberry.type
class ChattingMutations:
    @strawberry.mutation(
        description="Ask a model and wait for the whole answer. It costs what a request costs; a client that leaves "
        "ends it."
    )
    async def llm_chat_completion(self, info: Ask, input: _Conversation) -> LlmResponseType:
        answer, completion = await whole(info.context.engine.llm.chat(input.request(), info.context.caller))
        assert answer.record is not None  # it is over
        return LlmResponseType.of(answer, completion, answer.record)


@strawberry.type
class ChattingSubscriptions:
    @strawberry.subscription(
        description="Ask a model and get its answer in pieces. A client that leaves ends it: the upstream is closed. "
        "With `requestId` alone, the end of a request that is over."
    )
    async def llm_stream(
        self,
        info: Ask,
        input: Annotated[ChatCompletionInput | None, about("The conversation.")] = None,
        request_id: Annotated[str | None, about("A request of the log.")] = None,
    ) -> AsyncGenerator[StreamEventType, None]:
        async with aclosing(_streamed(info, input, request_id)) as events:
            async for event in events:
                yield event

    @strawberry.subscription(
        description="`llmStream` as JSON texts, for clients of the original system; they select nothing of "
        "`llmStream`, which then is this."
    )
    async def llm_stream_text(
        self,
        info: Ask,
        input: Annotated[ChatCompletionInput | None, about("The conversation.")] = None,
        request_id: Annotated[str | None, about("A request of the log.")] = None,
    ) -> AsyncGenerator[str, None]:
        async with aclosing(_streamed(info, input, request_id)) as events:
            async for event in events:
                if text := event.as_text():
                    yield text


async def _streamed(
    info: Ask, input: ChatCompletionInput | None, request_id: str | None
) -> AsyncGenerator[StreamEventType, None]:
    engine = info.context.engine
    if input is None:
        yield await _over(info, request_id)
        return
    answer = await engine.llm.chat(input.request(), info.context.caller)
    piece = _Pieces(info, answer)
    finish = ""
    async with aclosing(answer.chunks) as chunks:
        yield piece.of(LlmStreamEventType.STREAM_START)
        try:
            async for chunk in chunks:
                if isinstance(chunk, Finished):
                    finish = chunk.reason
                else:
                    yield piece.chunk(chunk)
        except CircuitBreakerError as error:
            yield piece.failed(error)
            return
    assert answer.record is not None  # it is over
    yield _end(piece.of(LlmStreamEventType.STREAM_END), answer.record, finish)


class _Pieces:
    """Makes the events of one answer."""

    def __init__(self, info: Ask, answer: Answer) -> None:
        self._info, self._answer = info, answer

    def of(self, kind: LlmStreamEventType) -> StreamEventType:
        model = self._answer.model
        now = timestamp(self._info.context.engine.world.now())
        return StreamEventType(
            event_type=kind, request_id=self._answer.id, timestamp=now, model=model.name, provider=model.provider
        )

    def chunk(self, chunk: Chunk) -> StreamEventType:
        match chunk:
            case TextDelta():
                event = self.of(LlmStreamEventType.CONTENT_DELTA)
                event.delta = chunk.text
            case ReasoningDelta():
                event = self.of(LlmStreamEventType.REASONING_DELTA)
                event.reasoning = chunk.text
            case ToolCallDelta():
                event = self.of(LlmStreamEventType.FUNCTION_CALL)
                event.tool_call = ToolCallDeltaType(
                    index=chunk.index, id=chunk.id or None, name=chunk.name or None, arguments=chunk.arguments
                )
            case Noted():
                event = self.of(LlmStreamEventType.NOTE)
                event.note = NoteType(code=chunk.code, text=chunk.text)
            case Finished():
                event = self.of(LlmStreamEventType.STREAM_END)
        return event

    def failed(self, error: CircuitBreakerError) -> StreamEventType:
        event = self.of(LlmStreamEventType.STREAM_ERROR)
        event.error, event.error_code = str(error), error.code
        return event


def _end(event: StreamEventType, record: RequestRecord, finish: str) -> StreamEventType:
    event.finish_reason = finish or None
    event.usage, event.cost_usd = TokenUsageType.of(record), record.cost_usd
    event.decision = DecisionType.of(record.decision, record)
    return event


async def _over(info: Ask, id: str | None) -> StreamEventType:
    """The end of a request of the log. Raises InvalidInput without an id, and NotFound."""
    if not id:
        raise InvalidInput("There is no conversation.", fix="Give `input`.", details={"path": "input"})
    record = await info.context.engine.llm.request(id)
    if record is None:
        raise NotFound.named("request", id, (), fix="Give `input` to ask a model.")
    event = StreamEventType(
        event_type=LlmStreamEventType.STREAM_ERROR if record.error else LlmStreamEventType.STREAM_END,
        request_id=record.id,
        timestamp=timestamp(record.at),
        model=record.model,
        provider=record.provider,
    )
    if record.error:
        event.error_code = record.error
        event.error = "It did not come to an end." if record.error != Internal.code else "A bug broke it off."
    return _end(event, record, "")
