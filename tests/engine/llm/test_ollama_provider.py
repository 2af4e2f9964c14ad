"""Ollama's native API, against a server that speaks it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest

from engine.kernel.errors import (
    ContextTooLong,
    InvalidConfig,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
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
    Noted,
    ReasoningDelta,
    Sampling,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import FREE, Model
from engine.llm.pictures import Pictures
from engine.llm.ports import Provider
from engine.llm.providers.ollama.provider import OllamaProvider, ollama_address
from engine.llm.wire import Deadlines
from tests.servers.fake_ollama import FakeModel, FakeOllama, Reply
from tests.servers.loopback import BreakWith, Drip, Drop, EndEarly, Garbage, Raw, Stall, Status
from tests.servers.picture_host import PNG, PictureHost

CODER = FakeModel("qwen2.5-coder:3b")
THINKER = FakeModel("qwen3:4b", "qwen3", ["completion", "tools", "thinking"])
ASK = ChatRequest("auto", (ChatMessage.of("user", "one two"),))
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
def server():
    with FakeOllama([CODER, THINKER, "nomic-embed-text"]) as running:
        yield running


@pytest.fixture
async def ollama(server):
    made = OllamaProvider(World.real({}), base_url=server.url)
    yield made
    await made.close()


async def model(provider: Provider, name: str = CODER.name) -> Model:
    return next(one for one in await provider.models() if one.name == name)


async def answer(provider: Provider, request: ChatRequest = ASK, name: str = CODER.name) -> list:
    return [chunk async for chunk in provider.chat(request, await model(provider, name))]


def saying(words: int, word: str = "ab") -> ChatRequest:
    return ChatRequest("auto", (ChatMessage.of("user", f"{word} " * words),))


async def read(chunks: AsyncIterator[Chunk], into: list[Chunk]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401  # what came before the error is looked at


# Where it is


@pytest.mark.parametrize(
    ("text", "url", "local"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434", True),
        ("0.0.0.0", "http://127.0.0.1:11434", True),
        ("0.0.0.0:8080", "http://127.0.0.1:8080", True),
        (":8080", "http://127.0.0.1:8080", True),
        ("localhost:11434/", "http://localhost:11434", True),
        ("http://localhost:11434/v1/", "http://localhost:11434", True),
        ("[::]", "http://[::1]:11434", True),
        ("gpu.lan", "http://gpu.lan:11434", False),
        ("https://ollama.example.com/at/home", "https://ollama.example.com/at/home", False),
    ],
)
def test_an_address_may_be_what_ollama_host_may_be(text, url, local):
    address = ollama_address(text)
    assert (address.url, address.local) == (url, local)


def test_a_bad_address_is_refused():
    with pytest.raises(InvalidConfig):
        ollama_address("http://a:b@c")


async def test_nobody_there_says_how_to_start_it(server):
    server.__exit__()
    provider = OllamaProvider(World.real({}), base_url=server.url)
    with pytest.raises(ProviderUnavailable, match="ollama serve"):
        await provider.models()
    await provider.close()
    server.__enter__()


# What is there


async def test_models_have_what_show_and_ps_say(server, ollama):
    server.loaded["qwen3:4b"] = 8192
    found = {one.name: one for one in await ollama.models()}
    assert found["qwen2.5-coder:3b"].abilities == {"chat", "tools", "json"}
    assert found["qwen3:4b"].abilities == {"chat", "tools", "json", "thinking"}
    assert found["nomic-embed-text:latest"].abilities == {"embedding"}
    assert found["qwen3:4b"].context == 32768
    assert [one.loaded for one in found.values()] == [False, True, False]
    assert found["qwen3:4b"].details["window"] == 8192
    assert all(one.local and one.price == FREE and one.size_bytes for one in found.values())


async def test_show_is_asked_once_for_each_digest(server, ollama):
    await ollama.models()
    await ollama.models()
    assert sorted(body["model"] for body in server.asked("/api/show")) == sorted(server.models)


async def test_show_is_not_asked_where_the_list_tells_all(server, ollama):
    server.capabilities_in_tags = True
    assert {one.context for one in await ollama.models()} == {32768}
    assert server.asked("/api/show") == []


async def test_abilities_are_guessed_where_an_old_server_says_nothing(server, ollama):
    olds = [FakeModel("llama2", "llama", ()), FakeModel("llava", "clip", ()), FakeModel("all-minilm", "bert", ())]
    server.models = {one.tagged: one for one in olds}
    assert [one.abilities for one in await ollama.models()] == [
        {"chat", "json"},
        {"chat", "vision", "json"},
        {"embedding"},
    ]


async def test_a_model_of_ollamas_cloud_is_not_local_and_not_free(server, ollama):
    cloud = FakeModel("gpt-oss:120b-cloud", remote_host="https://ollama.com:443")
    server.models[cloud.tagged] = cloud
    found = await model(ollama, cloud.name)
    assert (found.local, found.price) == (False, None)
    assert (await model(ollama)).local, "control"


async def test_one_show_that_fails_hides_nothing(server, ollama):
    answer_well = server.answer

    async def answer_badly(request, reply):
        if request.path == "/api/show" and request.body["model"] == CODER.name:
            return await reply.whole({"error": "oops"}, 500)
        return await answer_well(request, reply)

    server.answer = answer_badly
    assert len(await ollama.models()) == 3
    assert (await model(ollama)).abilities == {"chat", "json"}


async def test_what_is_not_ollama_is_not_taken_for_it(server, ollama):
    async def another(request, reply):
        await reply.whole({"hello": "world"})

    server.answer = another
    with pytest.raises(ProviderUnavailable, match="not Ollama"):
        await ollama.models()


# What is asked


async def test_a_request_in_ollamas_words(server, ollama):
    picture = base64.b64encode(b"png").decode()
    call = ToolCall("call_7", "weather", '{"city":"Bern"}')
    request = ChatRequest(
        "auto",
        (
            ChatMessage.of("system", "Be short."),
            ChatMessage("user", (Text("What is "), Image(f"data:image/png;base64,{picture}"), Text("this?"))),
            ChatMessage("assistant", (), (call, ToolCall("call_8", "time", "oops"))),
            ChatMessage("tool", (Text("sunny"),), tool_call_id="call_7"),
        ),
        Sampling(0.5, 0.9, 7, ("END",), 3, reasoning_effort="none"),
        (TOOL,),
        extra={"top_k": 5, "logit_bias": {}, "keep_alive": "1h"},
    )
    await answer(ollama, request, THINKER.name)
    assert server.asked("/api/chat")[-1] == {
        "model": "qwen3:4b",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "What is this?", "images": [picture]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "call_7", "function": {"name": "weather", "arguments": {"city": "Bern"}}},
                    {"id": "call_8", "function": {"name": "time", "arguments": {"arguments": "oops"}}},
                ],
            },
            {"role": "tool", "content": "sunny", "tool_call_id": "call_7", "tool_name": "weather"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "think": False,
        "tools": [TOOL],
        "keep_alive": "1h",
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "num_predict": 7,
            "stop": ["END"],
            "seed": 3,
            "top_k": 5,
            "num_ctx": 4096,
        },
    }


@pytest.mark.parametrize(
    ("name", "extra", "think"),
    [
        (THINKER.name, {}, None),
        (THINKER.name, {"reasoning_effort": "high"}, True),
        (THINKER.name, {"reasoning_effort": "none"}, False),
        (THINKER.name, {"think": False}, False),
        (CODER.name, {"reasoning_effort": "high"}, None),
        ("gpt-oss:20b", {"reasoning_effort": "high"}, "high"),
        ("gpt-oss:20b", {"reasoning_effort": "none"}, "low"),
    ],
)
async def test_thinking_is_asked_of_those_who_can(server, ollama, name, extra, think):
    oss = FakeModel("gpt-oss:20b", "gptoss", ["completion", "thinking"])
    server.models[oss.tagged] = oss
    sampling = Sampling(reasoning_effort=extra.get("reasoning_effort"))
    await answer(ollama, ChatRequest("auto", ASK.messages, sampling, extra=extra), name)
    assert server.asked("/api/chat")[-1].get("think") == think


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}, {"type": "object"}),
    ],
)
async def test_a_response_format_becomes_a_format(server, ollama, given, sent):
    await answer(ollama, ChatRequest("auto", ASK.messages, Sampling(response_format=given)))
    assert server.asked("/api/chat")[-1].get("format") == sent


async def test_tool_choice_is_kept_by_what_is_offered(server, ollama):
    other = {"type": "function", "function": {"name": "time"}}
    for choice in ("none", "auto", {"type": "function", "function": {"name": "time"}}):
        await answer(ollama, ChatRequest("auto", ASK.messages, tools=(TOOL, other), tool_choice=choice))
    assert [body.get("tools") for body in server.asked("/api/chat")] == [None, [TOOL, other], [other]]


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/png;base64,???", "data:image/svg+xml,<svg/>"])
async def test_a_picture_that_would_have_to_be_fetched_is_refused(server, ollama, url):
    with pytest.raises(ProviderRejected, match="Send the picture itself"):
        await answer(ollama, ChatRequest("auto", (ChatMessage("user", (Image(url),)),)))
    assert server.asked("/api/chat") == []


async def test_a_picture_is_fetched_where_that_is_allowed(server):
    with PictureHost() as elsewhere:
        ollama = OllamaProvider(World.real({}), base_url=server.url, pictures=Pictures(World.real({}), "any"))
        await answer(ollama, ChatRequest("auto", (ChatMessage("user", (Image(f"{elsewhere.url}/a.png"),)),)))
        await ollama.close()
    [body] = server.asked("/api/chat")
    assert body["messages"][0]["images"] == [base64.b64encode(PNG).decode()]


# The window


async def test_the_window_grows_with_the_prompt_and_never_shrinks(server, ollama):
    for words in (10, 5000, 10):
        await answer(ollama, saying(words))
    assert [body["options"]["num_ctx"] for body in server.asked("/api/chat")] == [4096, 8192, 8192]


async def test_the_window_is_remembered_before_the_models_are_looked_at_again(server, ollama):
    found = await model(ollama)
    for words in (5000, 10):
        assert [chunk async for chunk in ollama.chat(saying(words), found)]
    assert [body["options"]["num_ctx"] for body in server.asked("/api/chat")] == [8192, 8192]


async def test_the_window_has_room_for_the_answer(server, ollama):
    await answer(ollama, ChatRequest("auto", ASK.messages, Sampling(max_tokens=9000)))
    assert server.asked("/api/chat")[-1]["options"]["num_ctx"] == 16384


async def test_a_larger_window_in_memory_is_kept(server, ollama):
    server.loaded[CODER.tagged] = 16384
    await answer(ollama)
    assert server.asked("/api/chat")[-1]["options"]["num_ctx"] == 16384


async def test_the_window_is_at_most_the_models_and_ours(server):
    small = FakeModel("small:1b", context=6000)
    server.models[small.tagged] = small
    capped = OllamaProvider(World.real({}), base_url=server.url, most_context=10_000)
    await answer(capped, saying(5000), small.name)
    await answer(capped, saying(9000))
    assert [body["options"]["num_ctx"] for body in server.asked("/api/chat")] == [6000, 10_000]
    await capped.close()


async def test_a_prompt_that_cannot_fit_is_not_sent(server, ollama):
    with pytest.raises(ContextTooLong) as caught:
        await answer(ollama, saying(80_000))
    assert caught.value.details["context"] == 32768
    assert caught.value.details["prompt"] > 65536
    assert server.asked("/api/chat") == []


async def test_a_prompt_that_may_fit_is_left_to_the_server(server, ollama):
    await answer(ollama, saying(20_000, "abcde"))
    assert server.asked("/api/chat")[-1]["options"]["num_ctx"] == 32768
    server.script.append(Status(400, {"error": "the input length exceeds the context length"}))
    with pytest.raises(ContextTooLong):
        await answer(ollama, saying(20_000, "abcde"))


async def test_an_old_server_that_cuts_prompts_gets_only_what_surely_fits(server, ollama):
    server.version = "0.9.6"
    with pytest.raises(ContextTooLong):
        await answer(ollama, saying(40_000))
    assert server.asked("/api/chat") == []
    assert await answer(ollama, saying(10_000)), "control"


# What comes back


@pytest.mark.parametrize("fault", [None, Drip(1), Drip(9)])
async def test_an_answer_comes_in_order_and_ends_with_its_usage(server, ollama, fault):
    server.reply = lambda _: Reply("Grüße 🙂 you", "let me see", done_reason="length")
    found = await model(ollama)
    if fault:
        server.script.append(fault)
    chunks = [chunk async for chunk in ollama.chat(ASK, found)]
    assert "".join(one.text for one in chunks if isinstance(one, ReasoningDelta)) == "let me see"
    assert "".join(one.text for one in chunks if isinstance(one, TextDelta)) == "Grüße 🙂 you"
    assert chunks[-1] == Finished("length", Usage(input=26, output=12))


async def test_counts_that_are_left_out_are_guessed_and_said_to_be(server, ollama):
    server.reply = lambda _: Reply("Hello you", counts={})
    usage = (await answer(ollama))[-1].usage
    assert not usage.counted
    assert usage.input
    assert usage.output


async def test_tool_calls_are_text_with_ids_and_end_as_tool_calls(server, ollama):
    server.reply = lambda _: Reply(tool_calls=[("weather", {"city": "Bern", "done": True}, ""), ("time", {}, "call_x")])
    first, second, finished = await answer(ollama)
    assert json.loads(first.arguments) == {"city": "Bern", "done": True}
    assert first.id.startswith("call_")
    assert (first.index, first.name) == (0, "weather")
    assert second == ToolCallDelta(1, "call_x", "time", "{}")
    assert finished.reason == "tool_calls"


async def test_done_counts_only_where_it_stands_for_the_end(server, ollama):
    server.reply = lambda _: Reply('say "done":true and go on')
    chunks = await answer(ollama)
    assert "".join(one.text for one in chunks[:-1]) == 'say "done":true and go on'


@pytest.mark.parametrize(
    "fault",
    [
        Drop(1),
        EndEarly(1),
        Garbage(b"<html>\n", 1),
        Garbage(b"7\n", 1),
        BreakWith("model runner has unexpectedly stopped", 1),
    ],
)
async def test_what_breaks_in_the_middle_is_an_error_after_what_was_said(server, ollama, fault):
    found = await model(ollama)
    server.script.append(fault)
    got: list[Chunk] = []
    with pytest.raises(ProviderUnavailable):
        await read(ollama.chat(ASK, found), got)
    assert got == [TextDelta("You ")]


async def test_an_error_line_of_a_prompt_that_is_too_long(server, ollama):
    server.script.append(BreakWith("the input length exceeds the context length", 0))
    with pytest.raises(ContextTooLong):
        await answer(ollama)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status(404, {"error": "model 'x' not found"}), ProviderRejected),
        (Status(400, {"error": '"x" does not support tools'}), ProviderRejected),
        (
            Status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
            ProviderUnavailable,
        ),
    ],
)
async def test_refusals_keep_ollamas_words(server, ollama, status, kind):
    server.script.append(status)
    with pytest.raises(ProviderError) as caught:
        await answer(ollama)
    assert type(caught.value) is kind
    assert caught.value.details["upstream_message"] == " ".join(status.body["error"].split())


async def test_a_model_that_never_answers_is_a_timeout(server):
    hasty = OllamaProvider(World.real({}), base_url=server.url, deadlines=Deadlines(first_byte_s=0.2))
    found = await model(hasty)
    server.script.append(Stall())
    with pytest.raises(ProviderTimeout):
        [chunk async for chunk in hasty.chat(ASK, found)]
    await hasty.close()


@pytest.mark.parametrize("after", [None, 0, 1])
async def test_leaving_closes_the_upstream(server, ollama, after):
    found = await model(ollama)
    server.script.append(Stall(after))

    async def read() -> None:
        async for _ in ollama.chat(ASK, found):
            pass

    reading = asyncio.create_task(read())
    await server.until(lambda seen: seen.stalled == 1)
    assert server.disconnects == 0
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await server.until(lambda seen: seen.disconnects == 1)


async def test_a_finished_answer_is_no_disconnect(server, ollama):
    assert await answer(ollama)
    assert await answer(ollama)
    assert server.disconnects == 0


# Embeddings


async def test_one_vector_for_each_text_and_nothing_cut(server, ollama):
    found = await model(ollama, "nomic-embed-text:latest")
    got = await ollama.embed(EmbeddingRequest("auto", ("one", "two"), 32), found)
    assert len(got.vectors) == 2
    assert got.vectors[0] != got.vectors[1]
    assert got.usage == Usage(input=16)
    body = {"model": "nomic-embed-text:latest", "input": ["one", "two"], "truncate": False, "dimensions": 32}
    assert server.asked("/api/embed") == [body]


async def test_a_text_that_is_too_long_to_embed(server, ollama):
    tiny = FakeModel("all-minilm", context=2)
    server.models[tiny.tagged] = tiny
    with pytest.raises(ContextTooLong):
        await ollama.embed(EmbeddingRequest("auto", ("one two three",)), await model(ollama, tiny.tagged))


async def test_vectors_that_are_missing_are_an_error(server, ollama):
    found = await model(ollama, "nomic-embed-text:latest")

    async def short(request, reply):
        await reply.whole({"embeddings": [[1.0]]})

    server.answer = short
    with pytest.raises(ProviderUnavailable, match="one vector for each"):
        await ollama.embed(EmbeddingRequest("auto", ("one", "two")), found)


@pytest.mark.parametrize("raw", [Raw((b'{"message":{"content":"a"},"done":false}\n',), "application/x-ndjson")])
async def test_an_end_without_done_is_an_error(server, ollama, raw):
    server.script.append(raw)
    with pytest.raises(ProviderUnavailable, match="before the answer did"):
        await answer(ollama)


# -- filling in, and what is kept -------------------------------------------------------------------------------------


async def test_code_is_filled_in_before_a_suffix(server, ollama):
    request = ChatRequest(
        "auto", (ChatMessage.of("user", "def f("),), Sampling(max_tokens=9), fill=Fill("def f(", "return x", raw=True)
    )
    got = await answer(ollama, request)
    assert "".join(chunk.text for chunk in got if isinstance(chunk, TextDelta)) == "You said: def f("
    (asked,) = server.asked("/api/generate")
    assert (asked["prompt"], asked["suffix"], asked["raw"]) == ("def f(", "return x", True)
    assert asked["options"]["num_predict"] == 9
    assert isinstance(got[-1], Finished)


async def test_a_forced_tool_says_that_ollama_has_no_such_word(ollama):
    forced = ChatRequest("auto", ASK.messages, tools=(TOOL,), tool_choice="required", parallel_tool_calls=False)
    notes = [chunk.code for chunk in await answer(ollama, forced) if isinstance(chunk, Noted)]
    assert notes == ["dropped", "dropped"]
    assert not [chunk for chunk in await answer(ollama) if isinstance(chunk, Noted)]


async def test_a_model_is_pulled_with_its_progress_shown_and_removed(server, ollama):
    steps = [step async for step in ollama.pull("smollm:135m")]
    assert [step.completed for step in steps if step.total] == [0, 400, 1000, 1000, 1000, 1000]
    assert steps[-1].status == "success"
    assert "smollm:135m" in [one.name for one in await ollama.models()]
    assert (await ollama.shown("smollm:135m"))["capabilities"]
    await ollama.load("smollm:135m", "1m")
    assert "smollm:135m" in server.loaded
    await ollama.load("smollm:135m", 0)
    assert "smollm:135m" not in server.loaded
    await ollama.remove("smollm:135m")
    assert "smollm:135m" not in [one.name for one in await ollama.models()]


async def test_a_pull_that_fails_or_breaks_off_is_an_error(server, ollama):
    with pytest.raises(ProviderError, match="does not exist"):
        [step async for step in ollama.pull("nope")]
    server.script.append(EndEarly(2))
    with pytest.raises(ProviderUnavailable):
        [step async for step in ollama.pull("smollm:135m")]
    with pytest.raises(ProviderRejected):
        await ollama.remove("missing:1b")
