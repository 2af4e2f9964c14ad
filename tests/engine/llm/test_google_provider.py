"""Google's generateContent, against a server that speaks it and refuses what the real one refuses."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.answering import Completion, gathered
from engine.llm.framing import Event
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    File,
    Finished,
    Image,
    Noted,
    Reasoning,
    Sampling,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    Usage,
)
from engine.llm.model import Model
from engine.llm.ports import Provider
from engine.llm.providers.google.answers import completion
from engine.llm.providers.google.families import abilities_of
from engine.llm.providers.google.provider import GoogleProvider, google_address
from engine.llm.providers.google.requests import SENTINEL, content_body
from engine.llm.providers.site import Site
from tests.servers.loopback import BreakWith, Drip, Drop, EndEarly, Garbage, Stall, Status
from tests.servers.scripted_google import Reply, ScriptedGoogle, error, vector

KEY = "AIza-right-0123456789"
OLD, BUDGET, LEVEL = "gemini-2.0-flash", "gemini-2.5-flash", "gemini-3.5-flash"
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),))
SCHEMA = {"type": "object", "$defs": {"a": {"type": "string"}}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Looks.", "parameters": SCHEMA}}
FORM = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA, "strict": True}}


@pytest.fixture
def server():
    with ScriptedGoogle([OLD, BUDGET, LEVEL, "gemini-embedding-001"], key=KEY) as running:
        yield running


@pytest.fixture
async def gemini(server):
    made = GoogleProvider.google(lambda: [KEY], World.real({}), base_url=f"{server.url}/v1beta/")
    yield made
    await made.close()


async def answer(provider: Provider, request: ChatRequest = ASK, name: str = BUDGET) -> list[Chunk]:
    return [chunk async for chunk in provider.chat(request, Model("google", name), KEY)]


async def whole(provider: Provider, request: ChatRequest = ASK, name: str = BUDGET) -> Completion:
    return gathered(await answer(provider, request, name))


async def read(chunks: AsyncIterator[Chunk], into: list[Chunk]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401  # what came before the error is looked at


def asked(*messages: ChatMessage, tools: tuple = (), choice: object = None, **sampling: object) -> ChatRequest:
    said = messages or ASK.messages
    return ChatRequest("auto", said, Sampling(**sampling), tools, choice)  # type: ignore[arg-type]


def loop(*signatures: str, by: str = "google") -> ChatRequest:
    calls = tuple(ToolCall(f"c{n}", "weather", "{}", Signature(by, s) if s else None) for n, s in enumerate(signatures))
    results = (ChatMessage("tool", (Text("sunny"),), tool_call_id=call.id) for call in calls)
    return asked(*ASK.messages, ChatMessage("assistant", (), calls), *results, tools=(TOOL,))


def config(request: ChatRequest, model: str = BUDGET) -> dict:
    return content_body(request, model).fields.get("generationConfig", {})


# Models


@pytest.mark.parametrize("text", ["https://a.example", "https://a.example/v1beta", "a.example/v1beta/"])
def test_the_address_may_end_in_its_version(text):
    assert google_address(text).url == "https://a.example"


async def test_all_pages_of_models_are_read_and_those_that_do_not_chat_are_left_out(server, gemini):
    server.models += ["gemini-2.5-flash-image", "veo-3", "gemini-3-live", {"name": "models/aqa"}, {"name": 7}]
    found = {one.name: one for one in await gemini.models()}
    assert found.keys() == {OLD, BUDGET, LEVEL, "gemini-embedding-001"}
    assert found["gemini-embedding-001"].abilities == {"embedding"}
    assert found[BUDGET].abilities == {"chat", "tools", "json", "vision", "thinking"}
    assert "thinking" not in found[OLD].abilities
    assert (found[BUDGET].context, found[BUDGET].most_output) == (1048576, 65536)
    assert not any("key" in one.path.casefold() for one in server.requests), "a key is never in an address"


@pytest.mark.parametrize(
    ("name", "abilities"),
    [
        ("gemma-2-9b-it", {"chat"}),
        ("gemini-flash-latest", {"chat", "tools", "json", "vision", "thinking"}),
        ("text-embedding-004", {"embedding"}),
        ("gemini-2.5-pro-preview-tts", None),
        ("imagen-4", None),
    ],
)
def test_abilities_by_name(name, abilities):
    assert abilities_of(name) == abilities


# What is asked


async def test_instructions_alone_are_a_question(server, gemini):
    assert (await whole(gemini, asked(ChatMessage.of("system", "Say hello.")))).text == "You said: Say hello."
    assert "systemInstruction" not in server.requests[-1].body


def test_a_tool_loop_in_googles_words():
    request = asked(
        ChatMessage.of("system", "Be short."),
        ChatMessage("user", (Text("What?"), Image("data:image/png;base64,AAAA"), Image("https://a/b.webp?x=1"))),
        ChatMessage("assistant", (Reasoning("hm"), Text("I look.")), (
            ToolCall("a", "weather", '{"city":"Bern"}', Signature("google", "sig")), ToolCall("b", "time", ""))),
        ChatMessage("tool", (Text("[1]"),), tool_call_id="b"),
        ChatMessage("tool", (Text('{"sky":"blue"}'), File("data:application/pdf;base64,JVBE")), tool_call_id="a"),
        ChatMessage.of("user", "And?"),
        tools=(TOOL,),
    )  # fmt: skip
    assert content_body(request, LEVEL).fields == {
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What?"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"fileData": {"mimeType": "image/webp", "fileUri": "https://a/b.webp?x=1"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {"functionCall": {"name": "weather", "args": {"city": "Bern"}}, "thoughtSignature": "sig"},
                    {"functionCall": {"name": "time", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "weather", "response": {"sky": "blue"}}},
                    {"functionResponse": {"name": "time", "response": {"result": [1]}}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
                    {"text": "And?"},
                ],
            },
        ],
        "tools": [
            {"functionDeclarations": [{"name": "weather", "description": "Looks.", "parametersJsonSchema": SCHEMA}]}
        ],
    }


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tool_choice(choice, sent):
    fields = content_body(asked(tools=(TOOL,), choice=choice), BUDGET).fields
    assert fields["toolConfig"] == {"functionCallingConfig": sent}


def test_sampling_and_forms():
    request = asked(temperature=0.5, top_p=0.9, max_tokens=7, stop=("a",) * 6, seed=3, top_logprobs=2)
    assert config(request) == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 7,
        "stopSequences": ["a"] * 5,
        "seed": 3,
        "responseLogprobs": True,
        "logprobs": 2,
    }
    assert config(asked(response_format=FORM)) == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert config(asked(response_format={"type": "json_object"})) == {"responseMimeType": "application/json"}
    assert "responseJsonSchema" in config(asked(response_format=FORM, tools=(TOOL,)), LEVEL)
    wide = {"type": "json_schema", "json_schema": {"schema": {"maximum": 2**70}}}
    assert content_body(asked(response_format=wide, tools=(TOOL,)), BUDGET)
    body = content_body(asked(response_format=FORM, tools=(TOOL,)), BUDGET)
    assert "generationConfig" not in body.fields
    assert "additionalProperties" in body.fields["systemInstruction"]["parts"][0]["text"]
    assert [note.code for note in body.notes] == ["emulated"]


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (BUDGET, "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        (BUDGET, "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", None),
        (LEVEL, "xhigh", {"includeThoughts": True, "thinkingLevel": "high"}),
        (LEVEL, "minimal", {"includeThoughts": True, "thinkingLevel": "minimal"}),
        ("gemini-3.1-pro-preview", "minimal", {"includeThoughts": True, "thinkingLevel": "low"}),
        (LEVEL, "none", {"thinkingLevel": "minimal"}),
        (OLD, "high", None),
    ],
)
def test_thinking(model, effort, sent):
    body = content_body(asked(reasoning_effort=effort), model)
    assert body.fields.get("generationConfig", {}).get("thinkingConfig") == sent
    assert bool(body.notes) is (sent is None)


# Signatures


async def test_signatures_come_and_go_back(server, gemini):
    server.signed = True
    server.reply = lambda _: Reply(tool_calls=[("weather", {"city": "Bern"}), ("weather", {})])
    found = await whole(gemini, asked(tools=(TOOL,)), LEVEL)
    first, second = found.tool_calls
    assert (first.signature, second.signature) == (Signature("google", "sig-0"), None)
    results = [ChatMessage("tool", (Text("sunny"),), tool_call_id=call.id) for call in found.tool_calls]
    server.reply = lambda _: Reply("Sunny.")
    assert (await whole(gemini, asked(*ASK.messages, found.message, *results), LEVEL)).text == "Sunny."
    assert len(server.requests) == 2


async def test_lost_signatures_are_said_to_be_lost_only_when_they_are_missed(server, gemini):
    assert (await whole(gemini, loop(""), LEVEL)).finish == "stop"
    assert SENTINEL not in server.requests[-1].raw.decode()
    server.signed = True
    for asked_again in (2, 1):  # it is remembered
        before = len(server.requests)
        found = await whole(gemini, loop("", ""), LEVEL)
        assert found.text == "You said: "
        assert len(server.requests) - before == asked_again
        assert server.requests[-1].raw.decode().count(SENTINEL) == 1, "the first call of a turn only"


async def test_signatures_that_are_not_taken_are_left_out_once(server, gemini):
    server.signed = True
    found = await whole(gemini, loop("of-another-model"), LEVEL)
    assert [note.code for note in found.notes] == ["repaired"]
    assert "of-another-model" not in server.requests[-1].raw.decode()
    assert (await whole(gemini, loop("sig-9"), LEVEL)).notes == ()
    server.script.extend([Status(400, error(400, "INVALID_ARGUMENT", "Corrupted thought signature."))] * 2)
    with pytest.raises(ProviderRejected, match="Corrupted"):
        await answer(gemini, loop("x"), LEVEL)


def test_signatures_of_others_stay_here():
    assert "thoughtSignature" not in json.dumps(content_body(loop("s", by="anthropic"), LEVEL).fields)


# What comes back


@pytest.mark.parametrize("fault", [None, Drip(1), Drip(7)])
async def test_an_answer_comes_in_order_and_ends_with_its_usage(server, gemini, fault):
    usage = {"promptTokenCount": 30, "cachedContentTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}
    server.reply = lambda _: Reply("Grüße 🙂 you", "hm hm", finish="MAX_TOKENS", usage=usage)
    if fault:
        server.script.append(fault)
    found = await whole(gemini)
    assert found.message.parts == (Reasoning("hm hm"), Text("Grüße 🙂 you"))
    assert (found.finish, found.usage) == ("length", Usage(20, 10, 0, 12))
    assert server.disconnects == 0


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("OTHER", "stop"),
    ],
)
async def test_reasons_to_stop(server, gemini, told, finish):
    server.reply = lambda _: Reply("x", finish=told)
    assert (await whole(gemini)).finish == finish
    server.reply = lambda _: Reply("", finish=told, tool_calls=[("f", {})])
    assert (await whole(gemini)).finish == ("tool_calls" if finish == "stop" else finish)


async def test_a_blocked_prompt_is_no_empty_answer(server, gemini):
    server.reply = lambda _: Reply(blocked="PROHIBITED_CONTENT")
    assert await answer(gemini) == [Finished("content_filter", Usage(12))]


async def test_calls_in_several_pieces_are_numbered_on_and_get_ids(server, gemini):
    server.reply = lambda _: Reply("I look.", tool_calls=[("weather", {"city": "Bern"}), ("time", {})])
    found = await whole(gemini, asked(tools=(TOOL,)))
    assert [(call.name, json.loads(call.arguments)) for call in found.tool_calls] == [
        ("weather", {"city": "Bern"}),
        ("time", {}),
    ]
    assert len({call.id for call in found.tool_calls}) == 2
    assert found.finish == "tool_calls"


# What goes wrong


@pytest.mark.parametrize(
    ("code", "status", "said", "raised"),
    [
        (400, "INVALID_ARGUMENT", "The input exceeds the maximum number of tokens allowed (1048576).", ContextTooLong),
        (400, "INVALID_ARGUMENT", "nope", ProviderRejected),
        (403, "PERMISSION_DENIED", "not yours", ProviderAuth),
        (404, "NOT_FOUND", "models/x is not found", ProviderRejected),
        (429, "RESOURCE_EXHAUSTED", "slow down", ProviderRateLimited),
        (500, "INTERNAL", "oops", ProviderUnavailable),
        (503, "UNAVAILABLE", "The model is overloaded.", ProviderUnavailable),
    ],
)
async def test_errors_before_and_inside_a_stream_are_the_same(server, gemini, code, status, said, raised):
    server.script.append(Status(code, [error(code, status, said)]))
    server.script.append(BreakWith(error(code, status, said), after=1))
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            await answer(gemini)
        assert type(caught.value) is raised
        assert caught.value.details["upstream_status"] == code


async def test_retry_info_says_when_to_come_back(server, gemini):
    server.script.append(Status(429, error(429, "RESOURCE_EXHAUSTED", "quota", retry="12.5s")))
    with pytest.raises(ProviderRateLimited) as caught:
        await answer(gemini)
    assert caught.value.details["retry_after_s"] == 12.5


async def test_a_wrong_key_is_known_by_its_reason(server):
    made = GoogleProvider.google(lambda: ["AIza-wrong-key-wxyz"], World.real({}), base_url=server.url)
    with pytest.raises(ProviderAuth) as caught:
        await made.models()
    assert "…wxyz" in caught.value.what
    assert "AIza-wrong" not in str(caught.value)
    await made.close()


async def test_what_a_model_refuses_is_left_out_once_and_remembered(server, gemini):
    server.script.append(Status(400, error(400, "INVALID_ARGUMENT", "Penalty is not enabled: presencePenalty")))
    for _ in range(2):
        chunks = await answer(gemini, asked(presence_penalty=0.5))
        assert any(isinstance(one, Noted) for one in chunks)
    sent = [one.body.get("generationConfig", {}) for one in server.requests]
    assert ["presencePenalty" in one for one in sent] == [True, False, False]


@pytest.mark.parametrize(
    "fault", [Drop(1), EndEarly(1), Garbage(b"data: <html>\n\n", 1), Garbage(b"data: 7\n\n", 1), BreakWith("oops", 1)]
)
async def test_what_breaks_in_the_middle_is_an_error_after_what_was_said(server, gemini, fault):
    server.script.append(fault)
    got: list[Chunk] = []
    with pytest.raises(ProviderUnavailable):
        await read(gemini.chat(ASK, Model("google", BUDGET), KEY), got)
    assert got == [TextDelta("You ")]


async def test_closing_or_leaving_closes_the_upstream(server, gemini):
    server.script.extend([Stall(after=1), Stall()])
    chunks = gemini.chat(ASK, Model("google", BUDGET), KEY)
    assert await anext(chunks) == TextDelta("You ")
    await chunks.aclose()
    await server.until(lambda seen: seen.disconnects == 1)
    waiting = asyncio.create_task(answer(gemini))
    await server.until(lambda seen: seen.stalled == 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await server.until(lambda seen: seen.disconnects == 2)


# Embeddings


async def test_vectors_come_a_hundred_at_a_time_in_order(server, gemini):
    texts = tuple(f"text {number}" for number in range(130))
    found = await gemini.embed(EmbeddingRequest("x", texts, 32), Model("google", "gemini-embedding-001"), KEY)
    assert found.vectors == tuple(tuple(vector(text)) for text in texts)
    assert [len(one.body["requests"]) for one in server.requests] == [100, 30]
    assert server.requests[0].body["requests"][0] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "text 0"}]},
        "outputDimensionality": 32,
    }
    assert not found.usage.counted


@pytest.mark.parametrize("body", [b"[]", b'{"embeddings":[]}', b'{"embeddings":[{"values":["a"]},{"values":[1]}]}'])
async def test_vectors_that_are_missing_or_wrong_are_an_error(server, gemini, body):
    async def once(request, reply):
        await reply.whole(json.loads(body))

    server.answer = once
    with pytest.raises(ProviderUnavailable):
        await gemini.embed(EmbeddingRequest("x", ("one", "two")), Model("google", "gemini-embedding-001"), KEY)


# Properties

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
INPUTS = st.dictionaries(WORDS, st.one_of(st.integers(-(2**53), 2**53), WORDS, st.booleans()), max_size=3)
CALLS = st.lists(st.tuples(WORDS, INPUTS, st.one_of(st.none(), WORDS)), max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=4), CALLS)
def test_an_answer_that_is_said_back_is_what_was_answered(texts, calls):
    """From parts as Google streams them, to our words, and back to parts."""
    parts = [{"text": text} for text in texts]
    for name, args, signature in calls:
        parts.append(
            {"functionCall": {"name": name, "args": args}} | ({"thoughtSignature": signature} if signature else {})
        )
    said = asyncio.run(streamed(parts))
    again = content_body(ChatRequest("x", (said.message,)), LEVEL).fields["contents"][0]["parts"]
    assert again == [{"text": "".join(texts)}, *parts[len(texts) :]]


@given(st.lists(st.sampled_from(["user", "assistant", "tool", "system"]), max_size=12))
def test_turns_always_alternate_and_lose_nothing(roles):
    said = tuple(ChatMessage(role, (Text(str(place)),), tool_call_id="x") for place, role in enumerate(roles))
    found = content_body(ChatRequest("x", said), LEVEL).fields["contents"]
    assert all(one["role"] != other["role"] for one, other in pairwise(found))
    spoken = len([role for role in roles if role != "system"]) or len(roles)  # instructions alone are a question
    assert sum(len(turn["parts"]) for turn in found) == spoken


async def streamed(parts: list[dict]) -> Completion:
    wire = Site("x", "X", google_address("127.0.0.1:9"), list).wire(World.real({}))

    async def events() -> AsyncGenerator[Event, None]:
        for part in parts:
            yield Event(json.dumps({"candidates": [{"content": {"parts": [part]}}]}))
        yield Event(json.dumps({"candidates": [{"finishReason": "STOP"}]}))

    return gathered([chunk async for chunk in completion(events(), wire, ASK, LEVEL, World.real({}))])
