"""What a provider can do, as checks: each asks one over its server and says `yes`, `emulated` or `no`.

`yes` is by the upstream's own means, as seen on the wire; `emulated` is by ours, and said in a note; `no` is refused,
or left out and said in a note. Anything else fails.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.kernel.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.llm.answering import Completion, gathered
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Finished,
    Image,
    Sampling,
    Text,
    TextDelta,
    Usage,
)
from engine.llm.model import Model
from engine.llm.ports import Provider
from engine.llm.wire import Deadlines
from tests.contract.provider_subjects import Say, Subject
from tests.servers.loopback import PATIENCE_S, BreakWith, Drop, EndEarly, Stall

SOON = Deadlines(first_byte_s=0.3, idle_s=0.3)
PATIENT = Deadlines(first_byte_s=PATIENCE_S, idle_s=PATIENCE_S)
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"marker_of_it": {"type": "string"}}, "additionalProperties": False}
TOOLS: tuple[Mapping[str, Any], ...] = tuple(
    {"type": "function", "function": {"name": name, "description": name, "parameters": SCHEMA}}
    for name in ("weather", "clock")
)
HELLO = ChatMessage.of("user", "Hello")
GREETING, PLAIN = Say("Hello there"), Sampling()


class Asked:
    """A subject while it is asked."""

    def __init__(self, subject: Subject, server: Any, provider: Provider, models: Mapping[str, Model]) -> None:
        self.subject, self.server, self.provider, self._models = subject, server, provider, models

    def model(self, name: str = "") -> Model:
        return self._models[name or self.subject.model]

    async def whole(self, *messages: ChatMessage, say: Say = GREETING, **more: Any) -> Completion:
        self.subject.says(self.server, say)
        return gathered([chunk async for chunk in self.chunks(*messages, **more)])

    def chunks(self, *messages: ChatMessage, sampling: Sampling = PLAIN, **more: Any) -> AsyncGenerator[Chunk, None]:
        request = ChatRequest("auto", messages or (HELLO,), sampling, **more)
        stream = self.provider.chat(request, self.model(), next(iter(self.provider.keys()), ""))
        assert isinstance(stream, AsyncGenerator)
        return stream

    @property
    def sent(self) -> Any:
        return self.server.requests[-1].body

    async def fails(self, kind: type[ProviderError]) -> ProviderError:
        with pytest.raises(kind) as caught:
            await self.whole()
        assert type(caught.value) is kind
        return caught.value


@asynccontextmanager
async def asking(subject: Subject, deadlines: Deadlines = PATIENT) -> AsyncIterator[Asked]:
    with subject.server() as server:
        provider = subject.provider(server.url, deadlines)
        try:
            yield Asked(subject, server, provider, {one.name: one for one in await provider.models()})
        finally:
            await provider.close()


def verdict(found: Completion, native: bool) -> str:
    """By the notes of an answer, and by whether what was wanted stands on the wire."""
    codes = {note.code for note in found.notes}
    assert native or codes & {"emulated", "dropped"}, "it is neither done nor said"
    return "emulated" if "emulated" in codes else "no" if "dropped" in codes else "yes"


async def chat(asked: Asked) -> str:
    found = await asked.whole(ChatMessage.of("system", "Be short."), HELLO)
    assert (found.text, found.finish, found.usage.counted) == ("Hello there", "stop", True)
    assert "Be short." in asked.server.requests[-1].raw.decode()
    return "yes"


async def stream(asked: Asked) -> str:
    asked.subject.says(asked.server, Say("one two three"))
    chunks = [chunk async for chunk in asked.chunks()]
    assert "".join(one.text for one in chunks if isinstance(one, TextDelta)) == "one two three"
    assert isinstance(chunks[-1], Finished)
    return "yes"


async def tools(asked: Asked) -> str:
    calls = [("weather", {"marker_of_it": "Bern"}), ("clock", {})]
    found = await asked.whole(say=Say(calls=calls), tools=TOOLS)
    assert [(one.name, json.loads(one.arguments or "{}")) for one in found.tool_calls] == calls
    assert len({one.id for one in found.tool_calls}) == 2
    assert found.finish == "tool_calls"
    assert "marker_of_it" in json.dumps(asked.sent["tools"])
    return "yes"


async def any_tool(asked: Asked) -> str:
    found = await asked.whole(say=Say(calls=[("clock", {})]), tools=TOOLS, tool_choice="required")
    return verdict(found, "tool_choice" in asked.sent or "toolConfig" in asked.sent)


async def one_tool(asked: Asked) -> str:
    choice = {"type": "function", "function": {"name": "clock"}}
    await asked.whole(say=Say(calls=[("clock", {})]), tools=TOOLS, tool_choice=choice)
    if "tool_choice" in asked.sent or "toolConfig" in asked.sent:
        return "yes"
    assert [one["function"]["name"] for one in asked.sent["tools"]] == ["clock"], "no other is offered"
    return "emulated"


async def tool_results(asked: Asked) -> str:
    calls = [("weather", {"marker_of_it": "Bern"}), ("clock", {})]
    first = await asked.whole(say=Say("I look.", calls=calls), tools=TOOLS)
    results = [
        ChatMessage("tool", (Text(text),), tool_call_id=call.id)
        for call, text in zip(first.tool_calls, ("sunny", "noon"), strict=True)
    ]
    found = await asked.whole(HELLO, first.message, *results, say=Say("Sunny at noon."), tools=TOOLS)
    assert found.text == "Sunny at noon."
    sent = asked.server.requests[-1].raw.decode()
    assert all(one in sent for one in ("I look.", "Bern", "sunny", "noon"))
    assert not found.notes
    return "yes"


async def images(asked: Asked) -> str:
    picture = Image(f"data:image/png;base64,{PICTURE}")
    await asked.whole(ChatMessage("user", (Text("What is this?"), picture)))
    assert PICTURE in asked.server.requests[-1].raw.decode()
    return "yes"


async def schema(asked: Asked) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA, "strict": True}}
    found = await asked.whole(say=Say('{"marker_of_it": "a"}'), sampling=Sampling(response_format=form))
    assert json.loads(found.text) == {"marker_of_it": "a"}
    sent = json.dumps({name: value for name, value in asked.sent.items() if name not in ("messages", "contents")})
    return verdict(found, "marker_of_it" in sent)


async def json_object(asked: Asked) -> str:
    found = await asked.whole(say=Say("{}"), sampling=Sampling(response_format={"type": "json_object"}))
    assert found.text == "{}"
    native = {"response_format", "format", "generationConfig"} & asked.sent.keys()
    return verdict(found, bool(native))


async def reasoning(asked: Asked) -> str:
    found = await asked.whole(say=Say("Yes.", thoughts="hm hm"), sampling=Sampling(reasoning_effort="high"))
    assert found.text == "Yes."
    if not found.reasoning:
        return "no"
    assert found.reasoning == "hm hm"
    return verdict(found, bool({"reasoning_effort", "thinking", "think", "generationConfig"} & asked.sent.keys()))


async def signatures(asked: Asked) -> str:
    first = await asked.whole(say=Say("I look.", "hm", [("clock", {})]), tools=TOOLS)
    signed = [call.signature for call in first.tool_calls] + [
        getattr(part, "signature", None) for part in first.message.parts
    ]
    found = [one.value for one in signed if one is not None]
    if not found:
        return "no"
    result = ChatMessage("tool", (Text("noon"),), tool_call_id=first.tool_calls[0].id)
    await asked.whole(HELLO, first.message, result, tools=TOOLS)
    assert found[0] in asked.server.requests[-1].raw.decode()
    return "yes"


async def seed(asked: Asked) -> str:
    return verdict(await asked.whole(sampling=Sampling(seed=7)), ": 7" in json.dumps(asked.sent))


async def logprobs(asked: Asked) -> str:
    found = await asked.whole(sampling=Sampling(top_logprobs=2))
    return verdict(found, "ogprobs" in json.dumps(asked.sent))


async def cached(asked: Asked) -> str:
    found = (await asked.whole(say=Say("Hi.", counts=(20, 10, 0, 5)))).usage
    if found == Usage(30, output=5):
        return "no"
    assert found == Usage(20, 10, 0, 5)
    return "yes"


async def cache_writes(asked: Asked) -> str:
    found = (await asked.whole(say=Say("Hi.", counts=(20, 10, 7, 5)))).usage
    assert found.output == 5
    return "yes" if found.cache_write == 7 else "no"


async def embeddings(asked: Asked) -> str:
    name = asked.subject.vectors
    request = EmbeddingRequest("x", ("one", "two"))
    key = next(iter(asked.provider.keys()), "")
    if not name:
        with pytest.raises(ProviderRejected):
            await asked.provider.embed(request, asked.model(), key)
        return "no"
    assert "embedding" in asked.model(name).abilities
    found = await asked.provider.embed(request, asked.model(name), key)
    assert len(found.vectors) == 2
    assert found.vectors[0] != found.vectors[1]
    return "yes"


async def errors(asked: Asked) -> str:
    too_long = "prompt is too long: the maximum context length is 10 tokens"
    for refusal, kind in (
        (asked.subject.refuses(401, "no"), ProviderAuth),
        (asked.subject.refuses(429, "slow down", 7), ProviderRateLimited),
        (asked.subject.refuses(400, too_long), ContextTooLong),
        (asked.subject.refuses(400, "nope"), ProviderRejected),
        (asked.subject.refuses(500, "oops"), ProviderUnavailable),
    ):
        asked.server.script.append(refusal)
        error = await asked.fails(kind)
        assert error.details["upstream_status"] == refusal.code
        assert kind is not ProviderRateLimited or error.details["retry_after_s"] == 7
    return "yes"


async def broken_streams(asked: Asked) -> str:
    wrong = BreakWith(asked.subject.error(500, "oops"), 1)
    for fault in (Drop(1), EndEarly(1), wrong):
        asked.server.script.append(fault)
        await asked.fails(ProviderUnavailable)
    return "yes"


async def silence(asked: Asked) -> str:
    async with asking(asked.subject, SOON) as impatient:
        for fault in (Stall(), Stall(after=1)):
            impatient.server.script.append(fault)
            await impatient.fails(ProviderTimeout)
    return "yes"


async def leaving(asked: Asked) -> str:
    asked.subject.says(asked.server, Say("one two three"))
    asked.server.script.append(Stall(after=6))  # at least the first word
    chunks = asked.chunks()
    assert await anext(chunks)
    await chunks.aclose()
    await asked.server.until(lambda seen: seen.disconnects == 1)
    return "yes"


FEATURES: Mapping[str, tuple[str, Callable[[Asked], Awaitable[str]]]] = {
    "chat": ("Chat", chat),
    "stream": ("Streaming", stream),
    "tools": ("Tools, several at once", tools),
    "any_tool": ("Some tool must be called", any_tool),
    "one_tool": ("One tool must be called", one_tool),
    "tool_results": ("Results of tools go back", tool_results),
    "images": ("Pictures", images),
    "schema": ("Answers by a JSON schema", schema),
    "json_object": ("Answers in JSON", json_object),
    "reasoning": ("Reasoning, by an effort", reasoning),
    "signatures": ("Signatures of reasoning go back", signatures),
    "seed": ("Seed", seed),
    "logprobs": ("Log probabilities", logprobs),
    "cached": ("Tokens read from a cache", cached),
    "cache_writes": ("Tokens written to a cache", cache_writes),
    "embeddings": ("Embeddings", embeddings),
    "errors": ("Errors keep their kind", errors),
    "broken_streams": ("A stream that is cut or broken is an error", broken_streams),
    "silence": ("Silence is an error", silence),
    "leaving": ("Who leaves closes the upstream", leaving),
}


async def measured(subject: Subject, feature: str) -> str:
    async with asking(subject) as asked:
        try:
            return await FEATURES[feature][1](asked)
        except ProviderRejected:
            if any(request.method == "POST" for request in asked.server.requests):
                raise
            return "no"  # refused before anything was sent
