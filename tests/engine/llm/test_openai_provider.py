"""OpenAI's wire format, and what compatible servers make of it, against a scripted server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from engine.kernel.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Fill,
    Finished,
    Image,
    Reasoning,
    ReasoningDelta,
    Sampling,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import FREE, Model
from engine.llm.ports import Provider
from engine.llm.providers.openai.abilities import official_abilities
from engine.llm.providers.openai.provider import OpenAIProvider
from tests.servers.loopback import BreakWith, Drip, Drop, EndEarly, Garbage, Raw, Stall, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI, vector

SSE = "text/event-stream"
KEY = "sk-right-key"
ASK = ChatRequest("gpt-5-nano", (ChatMessage.of("user", "one two"),))
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
def server():
    with ScriptedOpenAI(key=KEY) as running:
        yield running


@pytest.fixture
async def custom(server):
    made = OpenAIProvider.custom("mine", "Mine", f"{server.url}/v1/", lambda: [KEY], World.real({}))
    yield made
    await made.close()


@pytest.fixture
async def official(server):
    made = OpenAIProvider.openai(lambda: [KEY], World.real({}), base_url=f"{server.url}/v1")
    yield made
    await made.close()


def model(name: str = "gpt-5-nano") -> Model:
    return Model("mine", name)


async def answer(provider: Provider, request: ChatRequest = ASK, name: str = "gpt-5-nano") -> list:
    return [chunk async for chunk in provider.chat(request, model(name), next(iter(provider.keys()), ""))]


async def read(chunks: AsyncIterator[Chunk], into: list[Chunk]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401  # what came before the error is looked at


def events(*data: object) -> Raw:
    said = [one if isinstance(one, str) else json.dumps(one) for one in data]
    return Raw(tuple(f"data: {one}\n\n".encode() for one in said), SSE)


def delta(finish: str | None = None, **fields: object) -> dict:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


# Models


async def test_openai_itself_shows_what_can_chat_or_embed(server, official):
    names = ["gpt-5-nano", "text-embedding-3-small", "gpt-4o-audio-preview", "whisper-1", "dall-e-3", "gpt-5-pro", "o3"]
    server.models = [*names, {"id": None}, {"object": "model"}, "ft:gpt-4o-mini:us:1"]
    found = {one.name: one for one in await official.models()}
    assert found.keys() == {"gpt-5-nano", "text-embedding-3-small", "gpt-5-pro", "o3", "ft:gpt-4o-mini:us:1"}
    assert found["text-embedding-3-small"].abilities == {"embedding"}
    assert found["gpt-5-nano"].abilities >= {"chat", "tools", "vision", "thinking"}
    assert found["gpt-5-nano"].price is None, "unknown, which is not free"
    assert not found["gpt-5-nano"].local


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("gpt-4o-mini-2024-07-18", "vision", "thinking"),
        ("o3-mini", "thinking", "vision"),
        ("gpt-3.5-turbo", "tools", "vision"),
        ("chatgpt-4o-latest", "vision", "tools"),
        ("gpt-5-chat-latest", "tools", "thinking"),
    ],
)
def test_abilities_by_name(name, has, lacks):
    abilities = official_abilities(name)
    assert has in abilities
    assert lacks not in abilities


async def test_another_endpoint_shows_everything(server, custom):
    server.models = [
        "llama",
        "nomic-embed-text",
        {
            "id": "a/b",
            "context_length": 8192,
            "supported_parameters": ["temperature"],
            "architecture": {"input_modalities": ["text", "image"]},
        },
        {"name": "named", "meta": {"n_ctx_train": 4096}},
        "llama",
    ]
    found = {one.name: one for one in await custom.models()}
    assert list(found) == ["llama", "nomic-embed-text", "a/b", "named"]
    assert found["llama"].abilities >= {"chat", "tools"}
    assert found["nomic-embed-text"].abilities == {"embedding"}
    assert found["a/b"].abilities == {"chat", "vision"}
    assert (found["a/b"].context, found["named"].context, found["llama"].context) == (8192, 4096, 0)
    assert found["llama"].local
    assert found["llama"].price == FREE


async def test_a_proxy_that_listens_here_can_be_said_to_send_prompts_away(server):
    proxy = OpenAIProvider.custom("proxy", "Proxy", server.url, lambda: [KEY], World.real({}), local=False)
    assert not proxy.local
    assert {(one.local, one.price) for one in await proxy.models()} == {(False, None)}
    away = OpenAIProvider.custom("away", "Away", "https://example.com/v1", list, World.real({}), local=True)
    assert not away.local, "nobody can say that another machine is this one"
    await proxy.close()
    await away.close()


async def test_a_bare_list_of_models_is_taken_and_another_thing_is_not(server, custom):
    server.key = ""
    seen = []
    for body in ([{"id": "x"}], {"models": [{"name": "y"}]}, {"data": "no"}):

        async def once(request, reply, body=body):
            await reply.whole(body)

        server.answer = once
        try:
            seen.append([one.name for one in await custom.models()])
        except ProviderUnavailable as error:
            seen.append(error.why)
    assert seen == [["x"], ["y"], "Its list of models is no list."]


# What is asked


async def test_a_request_in_openais_words(server, custom):
    call = ToolCall("call_7", "weather", '{"city":"Bern"}')
    request = ChatRequest(
        "auto",
        (
            ChatMessage.of("system", "Be short."),
            ChatMessage("user", (Text("What is this?"), Image("data:image/png;base64,AAAA")), name="ann"),
            ChatMessage("assistant", (), (call,)),
            ChatMessage("tool", (Text("sunny"),), tool_call_id="call_7", name="weather"),
        ),
        Sampling(
            temperature=0.5, top_p=0.9, max_tokens=7, stop=("END",), seed=3, response_format={"type": "json_object"}
        ),
        (TOOL,),
        "auto",
        extra={"top_k": 5, "logit_bias": {"1": 2}, "stream": False, "model": "other"},
    )
    await answer(custom, request)
    assert server.requests[-1].body == {
        "top_k": 5,
        "logit_bias": {"1": 2},
        "model": "gpt-5-nano",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be short."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_7",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Bern"}'},
                    }
                ],
            },
            {"role": "tool", "content": "sunny", "tool_call_id": "call_7"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["END"],
        "seed": 3,
        "response_format": {"type": "json_object"},
        "tools": [TOOL],
        "tool_choice": "auto",
    }


async def test_what_is_not_asked_for_is_not_sent(server, custom):
    await answer(custom)
    assert server.requests[-1].body.keys() == {"model", "messages", "stream", "stream_options"}


async def test_openai_itself_has_another_name_for_max_tokens(server, official):
    await answer(official, ChatRequest("x", ASK.messages, Sampling(max_tokens=7)))
    assert server.requests[-1].body["max_completion_tokens"] == 7
    assert "max_tokens" not in server.requests[-1].body


async def test_a_server_that_wants_the_new_name_is_asked_again_once_and_remembered(server, custom):
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    server.script.append(Status(400, {"error": {"message": said, "code": "unsupported_parameter"}}))
    request = ChatRequest("x", ASK.messages, Sampling(max_tokens=7))
    for _ in range(2):
        assert isinstance((await answer(custom, request))[-1], Finished)
    assert [("max_completion_tokens" in one.body) for one in server.requests] == [False, True, True]
    server.script.extend([Status(400, {"error": {"message": said}})] * 2)
    with pytest.raises(ProviderRejected):
        await answer(custom, request)


async def test_a_server_without_stream_options_is_asked_again_and_its_usage_is_a_guess(server, custom):
    server.script.append(Status(422, {"detail": "stream_options: extra fields not permitted"}))
    chunks = await answer(custom)
    assert "stream_options" not in server.requests[-1].body
    assert not chunks[-1].usage.counted


async def test_a_refusal_after_the_first_chunk_is_not_repaired(server, custom):
    server.script.append(events(delta(content="a"), {"error": {"message": "stream_options", "code": 400}}))
    with pytest.raises(ProviderRejected):
        await answer(custom)
    assert len(server.requests) == 1


async def test_a_changed_key_is_used_at_once(server):
    keys = ["sk-wrong-key"]
    provider = OpenAIProvider.custom("mine", "Mine", server.url, lambda: keys, World.real({}))
    with pytest.raises(ProviderAuth) as caught:
        await answer(provider)
    assert "sk-wrong-key" not in str(caught.value)
    assert "keys set mine" in caught.value.fix
    keys[0] = KEY
    assert await answer(provider)
    await provider.close()


async def test_without_a_key_openai_says_how_to_add_one_and_nothing_is_sent(server):
    provider = OpenAIProvider.openai(list, World.real({}), base_url=server.url)
    for asked in (provider.models(), answer(provider), provider.embed(EmbeddingRequest("x", ("a",)), model())):
        with pytest.raises(ProviderAuth, match="OPENAI_API_KEY"):
            await asked
    assert server.requests == []
    await provider.close()


async def test_another_endpoint_may_have_no_key(server):
    server.key = ""
    provider = OpenAIProvider.custom("mine", "Mine", server.url, list, World.real({}))
    assert await answer(provider)
    assert "authorization" not in server.requests[-1].headers
    await provider.close()


# What comes back


@pytest.mark.parametrize("fault", [None, Drip(1), Drip(7)])
async def test_an_answer_comes_in_order_and_ends_with_its_usage(server, custom, fault):
    usage = {"prompt_tokens": 30, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10}}
    server.reply = lambda _: Reply("Grüße 🙂 you", reasoning="hm", finish="length", usage=usage)
    if fault:
        server.script.append(fault)
    chunks = await answer(custom)
    assert chunks[0] == ReasoningDelta("hm")
    assert "".join(one.text for one in chunks if isinstance(one, TextDelta)) == "Grüße 🙂 you"
    assert chunks[-1] == Finished("length", Usage(input=20, cache_read=10, output=5))


async def test_tool_calls_come_in_pieces_with_id_and_name_once(server, custom):
    server.reply = lambda _: Reply(tool_calls=[("weather", '{"city":"Bern"}'), ("time", "{}")])
    chunks = await answer(custom)
    calls = [one for one in chunks if isinstance(one, ToolCallDelta)]
    assert [(one.index, one.id, one.name) for one in calls if one.id] == [
        (0, "call_0", "weather"),
        (1, "call_1", "time"),
    ]
    assert "".join(one.arguments for one in calls if one.index == 0) == '{"city":"Bern"}'
    assert chunks[-1].reason == "tool_calls"


def piece(arguments: str = "", **fields: object) -> dict:
    function = {"arguments": arguments, **({"name": fields.pop("name")} if "name" in fields else {})}
    return {**fields, "function": function}


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("{", id="a", name="f", index=0), piece("}", index=0), piece("{}", id="b", name="g", index=1)],
        [
            piece("{", id="a", name="f", index=0),
            piece("}", id="a", name="f", index=0),
            piece("{}", id="b", name="g", index=0),
        ],
        [piece("{", id="a", name="f"), piece("}"), piece("{}", id="b", name="g")],
        [piece("{", id="a", name="f"), piece("}", id="a"), piece("{}", id="b", name="g")],
    ],
    ids=["standard", "always index 0 and names again", "no index", "no index but ids again"],
)
async def test_tool_calls_of_servers_that_number_them_otherwise(server, custom, pieces):
    parts = [delta(tool_calls=[one]) for one in pieces]
    server.script.append(events(*parts, delta("stop"), "[DONE]"))
    calls = [one for one in await answer(custom) if isinstance(one, ToolCallDelta)]
    assert calls == [ToolCallDelta(0, "a", "f", "{"), ToolCallDelta(0, arguments="}"), ToolCallDelta(1, "b", "g", "{}")]


async def test_a_tool_call_without_an_id_gets_one_and_stop_becomes_tool_calls(server, custom):
    server.script.append(events(delta(tool_calls=[piece("{}", name="f", index=0)]), delta("stop"), "[DONE]"))
    call, finished = await answer(custom)
    assert call.id.startswith("call_")
    assert finished.reason == "tool_calls"


async def test_odd_but_harmless_pieces_are_passed_over(server, custom):
    server.script.append(
        events(
            {"choices": [], "prompt_filter_results": []},
            {"choices": None},
            {"choices": [{"index": 1, "delta": {"content": "of another answer"}}]},
            delta(content=None, tool_calls=None, role="assistant"),
            delta(reasoning="r", reasoning_content="r"),
            delta(content="a", tool_calls=[]),
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
            delta("eos"),
        )
    )
    assert await answer(custom) == [ReasoningDelta("r"), TextDelta("a"), Finished("stop", Usage(1, 0, 0, 2))]


async def test_a_stream_may_end_without_done_but_not_without_a_finish_reason(server, custom):
    server.script.append(events(delta(content="a"), delta("stop")))
    assert (await answer(custom))[-1].reason == "stop"
    for end in ([], ["[DONE]"]):
        server.script.append(events(delta(content="a"), *end))
        with pytest.raises(ProviderUnavailable, match="before the answer did"):
            await answer(custom)


@pytest.mark.parametrize(
    "fault", [Drop(2), EndEarly(2), Garbage(b"data: <html>\n\n", 2), Garbage(b"data: 7\n\n", 2), BreakWith("oops", 2)]
)
async def test_what_breaks_in_the_middle_is_an_error_after_what_was_said(server, custom, fault):
    server.script.append(fault)
    got: list[Chunk] = []
    with pytest.raises(ProviderUnavailable):
        await read(custom.chat(ASK, model(), KEY), got)
    assert got == [TextDelta("You ")]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": "rate_limit_exceeded"}, ProviderRateLimited),
        ({"message": "slow down", "code": 429}, ProviderRateLimited),
        ({"message": "maximum context length is 10 tokens", "code": 400}, ContextTooLong),
        ({"message": "upstream broke", "code": 502}, ProviderUnavailable),
        ("just words", ProviderUnavailable),
    ],
)
async def test_an_error_inside_a_stream_keeps_its_kind(server, custom, error, kind):
    server.script.append(events(delta(content="a"), {"error": error, "choices": [{"finish_reason": "error"}]}))
    with pytest.raises(ProviderError) as caught:
        await answer(custom)
    assert type(caught.value) is kind


async def test_a_model_that_is_not_there_and_an_address_that_is_wrong(server, custom):
    with pytest.raises(ProviderRejected, match="has no model 'gpt-9'"):
        await answer(custom, name="gpt-9")
    wrong = OpenAIProvider.custom("mine", "Mine", f"{server.url}/api", lambda: [KEY], World.real({}))
    with pytest.raises(ProviderRejected, match="end in /v1"):
        await answer(wrong)
    await wrong.close()


async def test_closing_an_answer_closes_the_upstream(server, custom):
    server.script.append(Stall(after=2))
    chunks = custom.chat(ASK, model(), KEY)
    assert await anext(chunks)
    assert server.disconnects == 0
    await chunks.aclose()
    await server.until(lambda seen: seen.disconnects == 1)


async def test_leaving_before_the_first_chunk_closes_the_upstream(server, custom):
    server.script.append(Stall())
    waiting = asyncio.create_task(answer(custom))
    await server.until(lambda seen: seen.stalled == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await server.until(lambda seen: seen.disconnects == 1)


async def test_a_finished_answer_is_no_disconnect(server, custom):
    assert await answer(custom)
    await custom.models()
    assert server.disconnects == 0


# Embeddings


async def test_vectors_come_in_the_order_of_the_texts(server, custom):
    got = await custom.embed(EmbeddingRequest("x", ("one", "two three"), 32), model("text-embedding-3-small"), KEY)
    assert got.vectors == (tuple(vector("one")), tuple(vector("two three")))
    assert got.usage == Usage(input=3)
    body = {
        "model": "text-embedding-3-small",
        "input": ["one", "two three"],
        "encoding_format": "float",
        "dimensions": 32,
    }
    assert server.requests[-1].body == body


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"data":[]}',
        b'{"data":[{"index":0,"embedding":[1]}]}',
        b'{"data":[{"embedding":["a"]},{"embedding":[1]}]}',
        b"{",
    ],
)
async def test_vectors_that_are_missing_or_wrong_are_an_error(server, custom, body):
    server.script.append(Raw((body,), "application/json"))
    with pytest.raises(ProviderUnavailable):
        await custom.embed(EmbeddingRequest("x", ("one", "two")), model(), KEY)


async def test_no_texts_need_no_request(server, custom):
    assert (await custom.embed(EmbeddingRequest("x", ()), model())).vectors == ()
    assert server.requests == []


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource"])
async def test_an_answer_that_its_server_gave_up_is_not_whole(server, custom, reason):
    server.reply = lambda _: Reply("Half an", finish=reason)
    with pytest.raises(ProviderUnavailable):
        await answer(custom)


# -- responses, and texts that are gone on with -----------------------------------------------------------------------


async def test_what_answers_only_responses_is_asked_so(server, official):
    server.models = ["gpt-5.1-codex", "gpt-5-nano"]
    server.reply = lambda body: Reply("Hel lo", "I think", [("weather", '{"city": "Bonn"}')])
    assert [one.name for one in await official.models()] == ["gpt-5.1-codex", "gpt-5-nano"]
    sealed = Reasoning("hm", Signature("openai", "rs_0:before"))
    call = ToolCall("call_0", "weather", "{}")
    request = ChatRequest(
        "auto",
        (
            ChatMessage.of("system", "Be short."),
            ChatMessage("user", (Text("What is this?"), Image("data:image/png;base64,AAAA"))),
            ChatMessage("assistant", (sealed, Text("Wait.")), (call,)),
            ChatMessage("tool", (Text("sunny"),), tool_call_id="call_0"),
        ),
        Sampling(
            max_tokens=50,
            reasoning_effort="low",
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        ),
        (TOOL,),
        {"type": "function", "function": {"name": "weather"}},
    )
    got = await answer(official, request, "gpt-5.1-codex")
    body = server.requests[-1].body
    assert server.requests[-1].path == "/v1/responses"
    assert body["input"] == [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
            ],
        },
        {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "before"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]},
        {"type": "function_call", "call_id": "call_0", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "sunny"},
    ]  # fmt: skip
    assert (body["store"], body["max_output_tokens"], body["reasoning"]["effort"]) == (False, 50, "low")
    assert body["tools"] == [{"type": "function", **TOOL["function"]}]
    assert body["tool_choice"] == {"type": "function", "name": "weather"}
    assert body["text"]["format"]["type"] == "json_schema"
    assert got[0] == ReasoningDelta("I think")
    assert got[1] == ReasoningDelta("", Signature("openai", "rs_1:s3aled"))
    assert "".join(one.text for one in got if isinstance(one, TextDelta)) == "Hel lo"
    assert [one for one in got if isinstance(one, ToolCallDelta)] == [
        ToolCallDelta(0, "call_0", "weather"), ToolCallDelta(0, arguments='{"city": "Bonn"}'),
    ]  # fmt: skip
    assert got[-1] == Finished("tool_calls", Usage(5, 4, 0, 7, reasoning=3))


@pytest.mark.parametrize("fault", [EndEarly(2), Drop(2), BreakWith("it broke", 2)])
async def test_responses_that_break_off_are_no_answers(server, official, fault):
    server.models = ["gpt-5.1-codex"]
    server.script.append(fault)
    got: list[Chunk] = []
    with pytest.raises(ProviderError):
        await read(official.chat(ASK, model("gpt-5.1-codex"), KEY), got)
    assert not any(isinstance(one, Finished) for one in got)


async def test_a_text_is_gone_on_with_where_that_can_be_done(server, custom, official):
    asked = ChatRequest("x", ASK.messages, Sampling(max_tokens=5), fill=Fill("def f(", "return x"))
    got = await answer(custom, asked)
    assert server.requests[-1].path == "/v1/completions"
    body = server.requests[-1].body
    assert (body["prompt"], body["suffix"], body["max_tokens"]) == ("def f(", "return x", 5)
    assert "messages" not in body
    assert "".join(one.text for one in got if isinstance(one, TextDelta)) == "You said: def f("
    assert isinstance(got[-1], Finished)
    await answer(official, asked)  # OpenAI itself has chat alone
    assert server.requests[-1].path == "/v1/chat/completions"
