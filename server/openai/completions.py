"""`/v1/completions`, OpenAI's older form, which editors still use to have code filled in (API reference, "Completions",
2026-08)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import Field

from engine.kernel.errors import InvalidInput
from engine.llm.answering import Answer, Completion
from engine.llm.messages import ChatMessage, ChatRequest, Fill, Finished, Sampling, TextDelta
from server.bodies import Extension, Open
from server.openai import sse
from server.openai.wire import StreamOptions, sum_of, usage_json

MOST_PROMPTS = 32


class CompletionsRequest(Open):
    model: str = Field(min_length=1, max_length=300)
    prompt: str | list[str] | list[int] | list[list[int]] = ""
    suffix: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    echo: bool | None = False
    n: int | None = Field(1, ge=1, le=8)
    circuit_breaker: Extension | None = None

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def prompts(self) -> list[str]:
        """Raises InvalidInput for token ids, which mean something to one tokenizer only."""
        given = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) != len(given) or not texts or len(texts) > MOST_PROMPTS:
            raise InvalidInput(
                "The prompt is not text." if texts or given else "There is no prompt.",
                fix=f"Send a text, or 1 to {MOST_PROMPTS} of them.",
                details={"path": "prompt"},
            )
        return texts

    @property
    def echoed(self) -> list[str]:
        """What is put before each choice."""
        return [text if self.echo else "" for text in self.prompts for _ in range(self.n or 1)]

    def requests(self) -> list[ChatRequest]:
        """One for each choice that is wanted."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=tuple(stop),
            seed=self.seed,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )
        return [
            ChatRequest(
                model=self.model,
                messages=(ChatMessage.of("user", prompt),),
                sampling=sampling,
                fill=Fill(prompt, self.suffix or ""),
                preferences=(self.circuit_breaker or Extension()).preferences(),
                extra=self.model_extra or {},
            )
            for prompt in self.prompts
            for _ in range(self.n or 1)
        ]


def completions_json(
    answer: Answer, created: int, completions: Sequence[Completion], echoed: Sequence[str]
) -> dict[str, Any]:
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": created,
        "model": answer.model.name,
        "choices": [
            {"index": index, "text": before + one.text, "logprobs": None, "finish_reason": one.finish}
            for index, (before, one) in enumerate(zip(echoed, completions, strict=True))
        ],
        "usage": usage_json(sum_of([one.usage for one in completions])),
    }


async def completion_events(answer: Answer, frame: Mapping[str, Any], *, counted: bool) -> AsyncGenerator[bytes, None]:
    def event(text: str, finish: str | None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return sse.data({**frame, "choices": [choice], **({"usage": None} if counted else {})})

    async with aclosing(answer.chunks) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, TextDelta):
                yield event(chunk.text, None)
            elif isinstance(chunk, Finished):
                yield event("", chunk.reason)
                if counted:
                    yield sse.data({**frame, "choices": [], "usage": usage_json(chunk.usage)})
    yield sse.DONE
