"""Anthropic's messages API, against a server that speaks it and refuses what the real one refuses."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import (
    ContextTooLong,
    InvalidConfig,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.answering import Completion, gathered
from engine.llm.endpoints import Given
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
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Model
from engine.llm.ports import Provider
from engine.llm.providers.anthropic.answers import completion
from engine.llm.providers.anthropic.provider import AnthropicProvider, abilities_of, messages_address
from engine.llm.providers.anthropic.requests import ANSWER_TOOL, messages_body, turns
from engine.llm.providers.site import Site
from tests.servers.loopback import BreakWith, Drip, Drop, EndEarly, Garbage, Raw, Stall, Status
from tests.servers.scripted_anthropic import Reply, ScriptedAnthropic, block_events, error, event, overloaded, thinking

KEY = "sk-ant-0123456789"
OLD, BUDGET, NEW = "claude-3-5-haiku-20241022", "claude-sonnet-4-5", "claude-opus-5"
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),))
SCHEMA = {"type": "object", "$defs": {"a": {"type": "string"}}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Looks.", "parameters": SCHEMA}}
FORM = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA, "strict": True}}


@pytest.fixture
def server():
    with ScriptedAnthropic([OLD, BUDGET, NEW], key=KEY) as running:
        yield running


@pytest.fixture
async def claude(server):
    made = AnthropicProvider.anthropic(lambda: [KEY], World.real({}), base_url=f"{server.url}/v1/")
    yield made
    await made.close()


async def answer(provider: Provider, request: ChatRequest = ASK, name: str = BUDGET) -> list[Chunk]:
    return [chunk async for chunk in provider.chat(request, Model("anthropic", name), KEY)]


async def whole(provider: Provider, request: ChatRequest = ASK, name: str = BUDGET) -> Completion:
    return gathered(await answer(provider, request, name))


async def read(chunks: AsyncIterator[Chunk], into: list[Chunk]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401  # what came before the error is looked at


def asked(*messages: ChatMessage, tools: tuple = (), choice: object = None, **sampling: object) -> ChatRequest:
    said = messages or ASK.messages
    return ChatRequest("auto", said, Sampling(**sampling), tools, choice)  # type: ignore[arg-type]


def body(request: ChatRequest, model: str = BUDGET) -> dict:
    return messages_body(request, model).fields


def notes(request: ChatRequest, model: str = BUDGET) -> str:
    return " ".join(note.text for note in messages_body(request, model).notes)


# Models


@pytest.mark.parametrize("text", ["https://a.example", "https://a.example/", "https://a.example/v1", "a.example/v1/"])
def test_the_address_may_end_in_v1(text):
    assert messages_address(text).url == "https://a.example"


def test_a_bad_address_is_refused():
    with pytest.raises(InvalidConfig):
        AnthropicProvider.anthropic(list, World.real({}), base_url="http://a:b@c")


async def test_models_have_what_is_known_of_their_family(server, claude):
    server.models += [{"id": "claude-x", "max_input_tokens": 1_000_000, "max_tokens": 64_000}, {"id": None}]
    found = {one.name: one for one in await claude.models()}
    assert found.keys() == {OLD, BUDGET, NEW, "claude-x"}
    assert "thinking" not in found[OLD].abilities
    assert found[BUDGET].abilities >= {"chat", "tools", "vision", "thinking", "json"}
    assert found[BUDGET].context == 0, "not told, so that the catalog may"
    assert (found["claude-x"].context, found["claude-x"].most_output) == (1_000_000, 64_000)
    assert found[BUDGET].price is None
    assert not found[BUDGET].local
    assert server.requests[-1].headers["anthropic-version"] == "2023-06-01"


async def test_models_that_were_named_are_not_asked_for(server):
    given_ = (Given("claude-2.1", context=100_000), Given("mine", "claude-opus-5"))
    site = Site("proxy", "Proxy", messages_address(server.url), lambda: [KEY], given=given_, catalog="anthropic")
    made = AnthropicProvider(site, World.real({}))
    old, mine = await made.models()
    assert (old.id, old.context, old.abilities) == ("proxy/claude-2.1", 100_000, {"chat", "tools", "json"})
    assert mine.details == {"base_model": "claude-opus-5", "catalog": "anthropic"}
    assert "vision" in mine.abilities
    assert server.requests == []
    await made.close()


@pytest.mark.parametrize(
    ("name", "ability", "has"),
    [
        ("claude-2.1", "vision", False),
        ("claude-3-haiku-20240307", "vision", True),
        ("anthropic.claude-3-haiku-20240307-v1:0", "thinking", False),
        ("claude-3-7-sonnet@20250219", "thinking", True),
        ("claude-3-5-sonnet-v2@20241022", "thinking", False),
        ("claude-next", "thinking", True),
    ],
)
def test_abilities_by_name(name, ability, has):
    assert (ability in abilities_of(name)) is has


# The table of gateway translation: what is asked


def test_system_and_developer_messages_become_one_system():
    request = asked(
        ChatMessage.of("system", "Be short."),
        ChatMessage.of("user", "Hi"),
        ChatMessage("system", (Text("Be kind.", cache=True), Text(""))),
    )
    assert body(request)["system"] == [
        {"type": "text", "text": "Be short."},
        {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
    ]
    assert [turn["role"] for turn in body(request)["messages"]] == ["user"]


async def test_instructions_alone_and_a_conversation_that_the_assistant_begins_are_taken(server, claude):
    assert (await whole(claude, asked(ChatMessage.of("system", "Say hello.")))).text == "You said: Say hello."
    assert "system" not in server.requests[-1].body
    found = await whole(claude, asked(ChatMessage.of("assistant", "Hello!"), ChatMessage.of("user", "Hi")))
    assert found.text == "You said: Hi"
    assert [note.code for note in found.notes] == ["emulated"]


def test_a_tool_loop_in_anthropics_words():
    request = asked(
        ChatMessage.of("user", "Weather?"),
        ChatMessage("assistant", (Text("I look."),), (ToolCall("call:1", "weather", '{"city":"Bern"}'),
                                                       ToolCall("b", "time", ""), ToolCall("c", "odd", "[1]"))),
        ChatMessage("tool", (Text("sunny"),), tool_call_id="call:1"),
        ChatMessage("tool", (Text("noon"), Image("data:image/png;base64,AAAA")), tool_call_id="b"),
        ChatMessage("tool", (), tool_call_id="c"),
        ChatMessage.of("user", "And?"),
        tools=(TOOL,),
    )  # fmt: skip
    _, assistant, user = body(request)["messages"]
    assert assistant["content"] == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Bern"}},
        {"type": "tool_use", "id": "b", "name": "time", "input": {}},
        {"type": "tool_use", "id": "c", "name": "odd", "input": {"arguments": "[1]"}},
    ]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert user["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "noon"}, picture]},
        {"type": "tool_result", "tool_use_id": "c", "content": []},
        {"type": "text", "text": "And?"},
    ]
    assert body(request)["tools"] == [{"name": "weather", "description": "Looks.", "input_schema": SCHEMA}]


def test_results_come_first_also_when_the_user_spoke_before_them():
    call = ToolCall("a", "f", "{}")
    request = asked(
        ChatMessage("assistant", (), (call,)), ChatMessage.of("user", "x"), ChatMessage("tool", (), tool_call_id="a")
    )
    assert [block["type"] for block in turns(request.messages)[-1]["content"]] == ["tool_result", "text"]


def test_a_conversation_with_calls_says_its_tools_though_none_are_offered_now():
    request = asked(
        ChatMessage("assistant", (), (ToolCall("a", "f", "{}"),)), ChatMessage("tool", (), tool_call_id="a")
    )
    assert body(request)["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert body(request)["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image("https://a/b.png"), {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}),
        (
            File("data:application/pdf;base64,JVBE", "a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "a.pdf",
            },
        ),
        (
            File("data:text/markdown;base64,SGk="),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
        ),
    ],
)
def test_pictures_and_documents(part, block):
    assert body(asked(ChatMessage("user", (part,))))["messages"][0]["content"] == [block]


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("auto", None, {"type": "auto"}),
        ("required", None, {"type": "any"}),
        ("none", None, {"type": "none"}),
        ("none", False, {"type": "none"}),
        ({"type": "function", "function": {"name": "weather"}}, None, {"type": "tool", "name": "weather"}),
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice, parallel, sent):
    request = ChatRequest("x", ASK.messages, tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel)
    assert body(request).get("tool_choice") == sent


def test_sampling():
    request = asked(temperature=0.5, max_tokens=7, stop=("END", " \n"), seed=3)
    assert body(request, OLD) | {"messages": 0} == {
        "model": OLD,
        "messages": 0,
        "stream": True,
        "max_tokens": 7,
        "temperature": 0.5,
        "stop_sequences": ["END"],
    }
    assert "stop was left out" in notes(request, OLD)
    assert "seed was left out" in notes(request, OLD)
    assert body(asked(temperature=1.5), OLD)["temperature"] == 1.0
    assert "top_p" not in body(asked(temperature=0.5, top_p=0.5), BUDGET)
    assert body(asked())["max_tokens"] == 8192
    assert body(asked(), "claude-3-haiku-20240307")["max_tokens"] == 4096


def test_newer_models_sample_as_they_like():
    assert body(asked(temperature=0.5, top_p=0.5), "claude-opus-4-7").keys() == {
        "model", "messages", "stream", "max_tokens",
    }  # fmt: skip
    assert "temperature was left out" in notes(asked(temperature=0.5), "claude-opus-4-7")


def test_thinking_by_effort_or_by_a_budget():
    assert body(asked(reasoning_effort="xhigh"), NEW)["thinking"] == {"type": "adaptive"}
    assert body(asked(reasoning_effort="xhigh"), NEW)["output_config"] == {"effort": "max"}
    assert body(asked(reasoning_effort="none"), NEW)["thinking"] == {"type": "disabled"}
    sent = body(asked(reasoning_effort="low", max_tokens=100, temperature=0.3), BUDGET)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert sent["max_tokens"] == 2148
    assert "temperature" not in sent
    assert "thinking" not in body(asked(reasoning_effort="high"), OLD)
    assert "does not think" in notes(asked(reasoning_effort="high"), OLD)
    for model in (BUDGET, NEW):
        assert "thinking" not in body(asked(reasoning_effort="low", tools=(TOOL,), choice="required"), model)


def test_thoughts_go_back_signed_and_those_of_others_do_not():
    parts = (
        Reasoning("mine", Signature("anthropic", "s")),
        Reasoning("", Signature("anthropic", "r"), redacted=True),
        Reasoning("theirs", Signature("google", "g")),
        Reasoning("lost"),
        Text("so"),
    )
    [_, turn] = turns([ChatMessage.of("user", "a"), ChatMessage("assistant", parts)])
    assert turn["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "so"},
    ]


def test_it_does_not_think_on_in_a_tool_loop_whose_thoughts_were_lost():
    call, result = ToolCall("a", "f", "{}"), ChatMessage("tool", (), tool_call_id="a")
    kept = (Reasoning("t", Signature("anthropic", "s")),)
    for parts, thinks in (((), False), (kept, True)):
        request = asked(
            *ASK.messages, ChatMessage("assistant", parts, (call,)), result, tools=(TOOL,), reasoning_effort="low"
        )
        assert ("thinking" in body(request, BUDGET)) is thinks
        assert "thinking" in body(request, NEW)


def test_a_schema_is_native_or_a_tool_or_words():
    assert body(asked(response_format=FORM), NEW)["output_config"]["format"] == {
        "type": "json_schema",
        "schema": SCHEMA,
    }
    forced = body(asked(response_format=FORM), OLD)
    assert forced["tools"][0]["input_schema"] == SCHEMA
    assert forced["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}
    assert "additionalProperties" in str(body(asked(response_format=FORM, tools=(TOOL,)), OLD)["system"])
    wide = {"type": "json_schema", "json_schema": {"schema": {"maximum": 2**70}}}
    assert str(2**70) in str(body(asked(response_format=wide, tools=(TOOL,)), OLD)["system"])
    assert "JSON" in str(body(asked(response_format={"type": "json_object"}), NEW)["system"])
    both = body(asked(response_format=FORM, reasoning_effort="high"), NEW)["output_config"]
    assert both.keys() == {"format", "effort"}


def test_what_a_client_said_in_anthropics_words_goes_on_as_it_is():
    said = {"model": "claude-haiku", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "new": {"a": 1}}
    request = ChatRequest("x", ASK.messages, extra=said, protocol="anthropic")
    assert body(request) == {**said, "model": BUDGET, "stream": True}


async def test_the_betas_of_a_client_go_along(server, claude):
    headers = {"anthropic-beta": "a-1,b-2", "authorization": "Bearer mine"}
    await answer(claude, ChatRequest("x", ASK.messages, headers=headers))
    sent = server.requests[-1].headers
    assert sent["anthropic-beta"] == "a-1,b-2"
    assert "authorization" not in sent


# What comes back


@pytest.mark.parametrize("fault", [None, Drip(1), Drip(7)])
async def test_an_answer_comes_in_order_and_ends_with_its_usage(server, claude, fault):
    usage = {"input_tokens": 20, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 3, "output_tokens": 5}
    blocks = [thinking("hm hm"), {"type": "redacted_thinking", "data": "enc"}]
    server.reply = lambda _: Reply("Grüße 🙂 you", blocks=blocks, stop_reason="max_tokens", usage=usage)
    if fault:
        server.script.append(fault)
    found = await whole(claude)
    assert found.message.parts == (
        Reasoning("hm hm", Signature("anthropic", "sig-1")),
        Reasoning("", Signature("anthropic", "enc"), redacted=True),
        Text("Grüße 🙂 you"),
    )
    assert (found.finish, found.usage) == ("length", Usage(20, 10, 3, 5))
    assert server.disconnects == 0


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
async def test_reasons_to_stop(server, claude, reason, finish):
    server.reply = lambda _: Reply("x", stop_reason=reason, stop_sequence="END" if "seq" in reason else None)
    [_, finished] = await answer(claude)
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.stopped_by) == (finish, "END" if "seq" in reason else "")


async def test_tool_calls_are_numbered_by_themselves_and_not_by_their_blocks(server, claude):
    server.reply = lambda _: Reply("I look.", [("weather", {"city": "Bern"}), ("time", {})], [thinking("hm")])
    chunks = await answer(claude)
    calls = [one for one in chunks if isinstance(one, ToolCallDelta)]
    assert [(one.index, one.id, one.name) for one in calls if one.id] == [
        (0, "toolu_0", "weather"),
        (1, "toolu_1", "time"),
    ]
    found = gathered(chunks)
    assert json.loads(found.tool_calls[0].arguments) == {"city": "Bern"}
    assert found.tool_calls[1].arguments == ""
    assert found.finish == "tool_calls"


async def test_an_answer_that_was_held_to_its_schema_by_a_tool_is_text(server, claude):
    server.reply = lambda _: Reply("Here it is:", [(ANSWER_TOOL, {"a": 1})])
    found = await whole(claude, asked(response_format=FORM), OLD)
    assert (json.loads(found.text), found.tool_calls, found.finish) == ({"a": 1}, (), "stop")
    assert [note.code for note in found.notes] == ["emulated"]


async def test_an_answer_that_says_message_stop_does_not_end_there(server, claude):
    server.reply = lambda _: Reply("message_stop ")
    data = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "message_stop"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    for form in (event, lambda one: f"data: {json.dumps(one)}\n\n".encode()):
        server.script.append(Raw(tuple(map(form, data)), "text/event-stream"))
        assert await answer(claude) == [TextDelta("message_stop"), Finished("stop", Usage(1, output=2))]


async def test_usage_that_is_not_told_is_a_guess(server, claude):
    server.reply = lambda _: Reply("one two", usage={})
    data = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one two"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    server.script.append(Raw(tuple(map(event, data)), "text/event-stream"))
    finished = (await answer(claude))[-1]
    assert isinstance(finished, Finished)
    assert not finished.usage.counted
    assert finished.usage.total > 0


# What goes wrong


@pytest.mark.parametrize(
    ("status", "kind", "said", "raised"),
    [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextTooLong),
        (400, "invalid_request_error", "messages: nope", ProviderRejected),
        (401, "authentication_error", "invalid x-api-key", ProviderAuth),
        (402, "billing_error", "no credit", ProviderRateLimited),
        (403, "permission_error", "not yours", ProviderAuth),
        (404, "not_found_error", "model: claude-9", ProviderRejected),
        (413, "request_too_large", "too many bytes", ProviderRejected),
        (429, "rate_limit_error", "slow down", ProviderRateLimited),
        (500, "api_error", "oops", ProviderUnavailable),
        (529, "overloaded_error", "Overloaded", ProviderUnavailable),
    ],
)
async def test_errors_before_and_inside_a_stream_are_the_same(server, claude, status, kind, said, raised):
    server.script.append(Status(status, error(kind, said)))
    server.script.append(BreakWith(error(kind, said), after=4))
    seen = []
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            await answer(claude)
        seen.append(
            (type(caught.value), caught.value.details["upstream_status"], caught.value.details["upstream_code"])
        )
    assert seen == [(raised, status, kind)] * 2


async def test_a_rate_limit_says_when_to_come_back(server, claude):
    server.script.append(Status(429, error("rate_limit_error", "slow down"), {"retry-after": "7"}))
    with pytest.raises(ProviderRateLimited) as caught:
        await answer(claude)
    assert caught.value.details["retry_after_s"] == 7


async def test_a_wrong_key_says_which_and_where_it_is(server):
    keys = {"sk-ant-wrong-9876": ("from ANTHROPIC_API_KEY", "Correct ANTHROPIC_API_KEY.")}
    made = AnthropicProvider.anthropic(lambda: list(keys), World.real({}), base_url=server.url, kept=keys.__getitem__)
    with pytest.raises(ProviderAuth) as caught:
        await made.models()
    assert caught.value.what == "Anthropic refused the key …9876 (from ANTHROPIC_API_KEY)."
    assert caught.value.fix == "Correct ANTHROPIC_API_KEY."
    assert "sk-ant-wrong" not in str(caught.value)
    await made.close()


async def test_without_a_key_nothing_is_sent(server):
    made = AnthropicProvider.anthropic(list, World.real({}), base_url=server.url)
    assert made.keys() == ()
    for work in (made.models(), answer_without_key(made)):
        with pytest.raises(ProviderAuth, match="ANTHROPIC_API_KEY"):
            await work
    assert server.requests == []
    await made.close()


async def answer_without_key(provider: Provider) -> list[Chunk]:
    return [chunk async for chunk in provider.chat(ASK, Model("anthropic", BUDGET))]


async def test_what_a_model_refuses_is_left_out_once_and_remembered(server, claude):
    server.script.append(Status(400, error("invalid_request_error", "`temperature` is deprecated for this model.")))
    for _ in range(2):
        chunks = await answer(claude, asked(temperature=0.5))
        assert any(isinstance(one, Noted) for one in chunks)
        assert isinstance(chunks[-1], Finished)
    assert ["temperature" in one.body for one in server.requests] == [True, False, False]


async def test_a_model_without_output_config_is_held_to_the_schema_by_a_tool(server, claude):
    server.script.append(Status(400, error("invalid_request_error", "output_config: Extra inputs are not permitted")))
    server.reply = lambda body: Reply(tool_calls=[(ANSWER_TOOL, {"a": 1})]) if "tools" in body else Reply("{}")
    found = await whole(claude, asked(response_format=FORM), NEW)
    assert json.loads(found.text) == {"a": 1}
    assert "output_config" not in server.requests[-1].body


@pytest.mark.parametrize(
    "fault", [Drop(5), EndEarly(5), Garbage(b"data: <html>\n\n", 5), Garbage(b"data: 7\n\n", 5), BreakWith("oops", 5)]
)
async def test_what_breaks_in_the_middle_is_an_error_after_what_was_said(server, claude, fault):
    server.script.append(fault)
    got: list[Chunk] = []
    with pytest.raises(ProviderUnavailable):
        await read(claude.chat(ASK, Model("anthropic", BUDGET), KEY), got)
    assert got == [TextDelta("You ")]


async def test_an_overloaded_server_says_so_in_the_middle_too(server, claude):
    server.script.append(BreakWith(overloaded(), 6))
    with pytest.raises(ProviderUnavailable, match="Overloaded"):
        await answer(claude)


async def test_a_reason_without_message_stop_is_no_end(server, claude):
    server.script.append(EndEarly(9))
    with pytest.raises(ProviderUnavailable, match="before the answer did"):
        await answer(claude)


async def test_closing_or_leaving_closes_the_upstream(server, claude):
    server.script.extend([Stall(after=6), Stall()])
    chunks = claude.chat(ASK, Model("anthropic", BUDGET), KEY)
    assert await anext(chunks) == TextDelta("You ")
    await chunks.aclose()
    await server.until(lambda seen: seen.disconnects == 1)
    waiting = asyncio.create_task(answer(claude))
    await server.until(lambda seen: seen.stalled == 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await server.until(lambda seen: seen.disconnects == 2)


async def test_there_are_no_embeddings(claude):
    with pytest.raises(ProviderRejected, match="no embeddings"):
        await claude.embed(EmbeddingRequest("x", ("a",)), Model("anthropic", BUDGET))


# Properties

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
PARTS = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Reasoning, WORDS, st.builds(Signature, st.just("anthropic"), WORDS)),
    st.builds(Reasoning, st.just(""), st.builds(Signature, st.just("anthropic"), WORDS), st.just(True)),
)
IDS = st.text("abcXYZ019_-", min_size=1, max_size=12)
INPUTS = st.dictionaries(WORDS, st.one_of(st.integers(-(2**53), 2**53), WORDS, st.booleans()), min_size=1, max_size=3)
CALLS = st.lists(st.tuples(IDS, INPUTS), max_size=3, unique_by=lambda one: one[0])


@given(st.lists(PARTS, min_size=1, max_size=6), CALLS)
def test_an_answer_that_is_said_back_is_what_was_answered(parts, calls):
    """From our words to blocks, streamed as Anthropic would, read, and back to blocks."""
    said = ChatMessage("assistant", tuple(parts), tuple(ToolCall(id, "f", json.dumps(it)) for id, it in calls))
    blocks = turns([said])[0]["content"]
    again = turns([asyncio.run(streamed(blocks)).message])[0]["content"]
    assert _joined(again) == _joined(blocks)


@given(st.lists(st.sampled_from(["user", "assistant", "tool", "system"]), max_size=12))
def test_turns_always_alternate_and_lose_nothing(roles):
    said = [ChatMessage(role, (Text(str(place)),), tool_call_id="x") for place, role in enumerate(roles)]
    found = turns(said)
    assert all(one["role"] != other["role"] for one, other in pairwise(found))
    kept = [block for turn in found for block in turn["content"]]
    assert len(kept) == len([role for role in roles if role != "system"])


async def streamed(blocks: list[dict]) -> Completion:
    """What is read of a stream that has these blocks."""
    end = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    wire = Site("x", "X", messages_address("127.0.0.1:9"), list).wire(World.real({}))

    async def events() -> AsyncGenerator[Event, None]:
        for data in [*block_events(blocks), *end]:
            yield Event(json.dumps(data), str(data["type"]))

    return gathered([chunk async for chunk in completion(events(), wire, ASK, BUDGET, in_tool=False)])


def _joined(blocks: list[dict]) -> list[dict]:
    """Blocks with neighbouring texts as one, which is how we keep them, and calls last, as they are sent."""
    out: list[dict] = []
    for block in sorted(blocks, key=lambda one: one["type"] == "tool_use"):
        if out and block["type"] == out[-1]["type"] == "text":
            out[-1] = {**out[-1], "text": out[-1]["text"] + block["text"]}
        else:
            out.append(block)
    return out
