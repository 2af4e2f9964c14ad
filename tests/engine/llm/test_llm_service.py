"""Asking models: failover before the first chunk and none after, and a record however it ends."""

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import (
    ContextTooLong,
    InvalidInput,
    NotFound,
    ProviderAuth,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.llm.books import RequestEnded
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    EmbeddingRequest,
    Finished,
    Preferences,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.model import Price
from engine.store.memory.store import MemoryStore
from tests.support import Gate, ScriptedProvider, answer, ended, llm_of, model, turns_of_the_loop

ASK = ChatRequest("auto", (ChatMessage.of("user", "x" * 20),))


class Bench:
    """The service over a near and a far provider; auto asks the near one first."""

    def __init__(self, bus, clock):
        self.store, self.bus, self.clock = MemoryStore(), bus, clock
        price = Price(Decimal(2), Decimal(8))
        self.near = ScriptedProvider("near", [model("near", "small", context=1000)])
        self.far = ScriptedProvider("far", [model("far", "large", local=False, price=price)], local=False)
        self.llm = None

    async def open(self):
        self.llm = await llm_of([self.near, self.far], self.store.journal, self.bus, self.clock.world)
        return self

    async def whole(self, request=ASK):
        return await (await self.llm.chat(request, PROGRAM)).whole()

    async def record(self):
        (found,) = await self.llm.requests()
        return found


@pytest.fixture
async def bench(bus, clock):
    return await Bench(bus, clock).open()


# -- answers ----------------------------------------------------------------------------------------------------------


async def test_an_answer_comes_as_it_was_said_and_is_written_down(bench):
    bench.near.scripts = [answer("Hel", "lo")]
    found = await bench.llm.chat(ASK, PROGRAM)
    assert (found.model.id, found.attempts) == ("near/small", 1)
    assert (await found.whole()).text == "Hello"
    record = await bench.record()
    assert record == found.record
    assert (record.provider, record.model, record.asked, record.face) == ("near", "small", "auto", "python")
    assert (record.error, record.usage, record.cost_usd) == ("", Usage(10, 0, 0, 5), Decimal(0))
    assert record.decision["ranked"][0]["model"] == "near/small"
    assert "attempts" not in record.decision


async def test_pieces_of_all_kinds_are_put_together(bench):
    bench.near.scripts = [
        [
            ReasoningDelta("h"),
            ReasoningDelta("m"),
            ToolCallDelta(1, "b", "two", "{}"),
            ToolCallDelta(0, "a", "one", '{"x"'),
            ToolCallDelta(0, arguments=":1}"),
            Finished("tool_calls", Usage(1, 0, 0, 1)),
        ]
    ]
    found = await bench.whole()
    assert (found.text, found.reasoning, found.finish) == ("", "hm", "tool_calls")
    assert found.tool_calls == (ToolCall("a", "one", '{"x":1}'), ToolCall("b", "two", "{}"))


async def test_a_cost_is_counted_by_the_models_price(bench):
    await bench.whole(ASK.for_model("large"))
    assert (await bench.record()).cost_usd == Decimal("0.00006")
    assert await bench.llm.spent_today() == Decimal("0.00006")


async def test_time_to_the_first_chunk_is_the_worlds(bench):
    gate = Gate()
    bench.near.scripts = [[gate, TextDelta("x"), Finished("stop", Usage(1))]]
    asking = asyncio.create_task(bench.llm.chat(ASK, PROGRAM))
    await gate.reached.wait()
    bench.clock.move(3)
    gate.opened.set()
    found = await asking
    bench.clock.move(2)
    await found.whole()
    assert (found.record.ttft_s, found.record.duration_s) == (3.0, 5.0)


async def test_an_upstream_that_does_not_count_is_estimated_and_said_so(bench):
    bench.near.scripts = [[TextDelta("x" * 36), Finished("stop", Usage())]]
    await bench.whole()
    assert (await bench.record()).usage == Usage(15, 0, 0, 10, counted=False)


# -- failover ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ProviderUnavailable, ProviderTimeout, ProviderAuth, ProviderError, ContextTooLong])
async def test_before_the_first_chunk_another_is_asked(bench, error):
    bench.near.scripts = [[error("It is gone.")]]
    found = await bench.llm.chat(ASK, PROGRAM)
    assert (found.model.id, found.attempts) == ("far/large", 2)
    await found.whole()
    record = await bench.record()
    assert (record.provider, record.error) == ("far", "")
    assert record.decision["attempts"] == [{"model": "near/small", "error": error.code, "why": "It is gone."}]
    assert bench.far.asked[0].model == "large"


async def test_an_answer_without_anything_is_none(bench):
    bench.near.scripts = [[]]
    assert (await bench.llm.chat(ASK, PROGRAM)).model.id == "far/large"


async def test_after_the_first_chunk_nobody_else_is_asked(bench):
    bench.near.scripts = [[TextDelta("x"), ProviderUnavailable("It broke off.")]]
    with pytest.raises(ProviderUnavailable, match="broke off"):
        await bench.whole()
    assert bench.far.asked == []
    record = await bench.record()
    assert (record.error, record.usage.counted, record.usage.output) == ("provider_unavailable", False, 0)


async def test_a_request_that_is_refused_is_refused_by_all(bench):
    bench.near.scripts = [[ProviderRejected("It is not allowed.")]]
    with pytest.raises(ProviderRejected):
        await bench.whole()
    assert bench.far.asked == []
    assert (await bench.record()).error == "provider_rejected"


async def test_when_all_fail_the_last_one_speaks_and_one_record_has_them_all(bench):
    bench.near.scripts, bench.far.scripts = [[ProviderTimeout("Slow.")]], [[ProviderUnavailable("Gone.")]]
    with pytest.raises(ProviderUnavailable, match="Gone"):
        await bench.whole()
    record = await bench.record()
    assert [one["model"] for one in record.decision["attempts"]] == ["near/small", "far/large"]
    assert (record.provider, record.error, record.ttft_s) == ("far", "provider_unavailable", None)


async def test_a_named_model_has_no_other(bench):
    bench.near.scripts = [[ProviderUnavailable("Gone.")]]
    with pytest.raises(ProviderUnavailable):
        await bench.whole(ASK.for_model("small"))
    assert bench.far.asked == []


# -- leaving ----------------------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_closes_the_upstream_and_pays_for_what_came(bench):
    gate = Gate()
    bench.near.scripts = [[TextDelta("x" * 36), gate]]
    found = await bench.llm.chat(ASK, PROGRAM)
    assert bench.near.open == 1
    async with aclosing(found.chunks) as chunks:
        await anext(chunks)
    assert bench.near.open == 0
    record = await bench.record()
    assert (record.error, record.usage) == ("cancelled", Usage(15, 0, 0, 10, counted=False))
    assert record == found.record


async def test_one_that_is_cancelled_in_the_middle_is_the_same(bench):
    gate = Gate()
    bench.near.scripts = [[TextDelta("x"), gate]]
    reading = asyncio.create_task(bench.whole())
    await gate.reached.wait()
    await ended(reading)
    assert bench.near.open == 0
    assert (await bench.record()).error == "cancelled"


async def test_one_that_is_cancelled_before_the_first_chunk_is_written_down(bench):
    gate = Gate()
    bench.near.scripts = [[gate]]
    asking = asyncio.create_task(bench.llm.chat(ASK, PROGRAM))
    await gate.reached.wait()
    await ended(asking)
    assert bench.near.open == 0
    assert (await bench.record()).error == "cancelled"
    assert bench.far.asked == []


async def test_one_that_leaves_before_reading_closes_the_upstream_as_well(bench):
    found = await bench.llm.chat(ASK, PROGRAM)
    await found.chunks.aclose()
    assert bench.near.open == 0
    assert (await bench.record()).error == "cancelled"


async def test_leaving_after_the_end_is_no_error(bench):
    found = await bench.llm.chat(ASK, PROGRAM)
    async with aclosing(found.chunks) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Finished):
                break
    assert (await bench.record()).error == ""


async def test_the_end_is_published(bench):
    with bench.bus.subscribe(RequestEnded) as happened:
        await bench.whole()
        assert happened.take() == [RequestEnded(await bench.record())]


# -- deciding ---------------------------------------------------------------------------------------------------------


async def test_explaining_asks_nobody_and_writes_nothing(bench):
    decision = await bench.llm.explain(ASK)
    assert [one.model.id for one in decision.ranked] == ["near/small", "far/large"]
    assert bench.near.asked == []
    assert await bench.llm.requests() == []


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ChatRequest("auto", ()), InvalidInput),
        (ASK.for_model("nothing"), NotFound),
        (ChatRequest("small", (ChatMessage.of("user", "x" * 10_000),)), ContextTooLong),
    ],
)
async def test_what_cannot_be_decided_is_not_recorded(bench, request_, error):
    with pytest.raises(error):
        await bench.llm.chat(request_, PROGRAM)
    assert await bench.llm.requests() == []


# -- embeddings -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def embedder(bench):
    bench.near.known = (model("near", "vectors", abilities=frozenset({"embedding"})),)
    await bench.llm.discovery.refresh("near")
    return bench


async def test_each_text_gets_its_vector_and_the_request_is_written_down(embedder):
    found = await embedder.llm.embed(EmbeddingRequest("vectors", ("a", "bcd")), PROGRAM)
    assert found.vectors == ((1.0, 1.0), (3.0, 1.0))
    record = await embedder.record()
    assert (record.model, record.error, record.usage.input) == ("vectors", "", 3)


async def test_an_embedding_that_fails_or_is_left_is_written_down(embedder):
    embedder.near.embedding = ProviderUnavailable("Gone.")
    with pytest.raises(ProviderUnavailable):
        await embedder.llm.embed(EmbeddingRequest("auto", ("a",)), PROGRAM)
    assert (await embedder.record()).error == "provider_unavailable"
    embedder.near.embedding = gate = Gate()
    embedder.clock.move(1)
    asking = asyncio.create_task(embedder.llm.embed(EmbeddingRequest("auto", ("a",)), PROGRAM))
    await gate.reached.wait()
    await ended(asking)
    assert (await embedder.llm.requests())[0].error == "cancelled"


@pytest.mark.parametrize("inputs", [(), ("",), ("a", ""), ("a",) * 2049], ids=["none", "empty", "one empty", "many"])
async def test_there_must_be_something_to_embed(embedder, inputs):
    with pytest.raises(InvalidInput):
        await embedder.llm.embed(EmbeddingRequest("auto", inputs), PROGRAM)
    assert embedder.near.embedded == []


async def test_testing_a_provider_asks_it_now(bench):
    before = bench.far.counted
    assert [one.name for one in await bench.llm.test("far")] == ["large"]
    assert bench.far.counted == before + 1
    with pytest.raises(NotFound, match="Did you mean 'near'"):
        await bench.llm.test("nera")


# -- what must not be left behind -------------------------------------------------------------------------------------


class Slow(ScriptedProvider):
    """One whose streams take their time to close."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.closing, self.may_close = asyncio.Event(), asyncio.Event()

    async def chat(self, request, model, key=""):
        try:
            async for chunk in super().chat(request, model, key):
                yield chunk
        finally:
            self.closing.set()
            await self.may_close.wait()


HEDGED = ChatRequest("auto", (ChatMessage.of("user", "hi"),), preferences=Preferences(hedge_ms=30))


async def test_the_key_of_a_hedged_request_is_the_one_that_answered(bench):
    gate = Gate()
    bench.near.held, bench.far.held = ("near-key-1111",), ("far-key-22222",)
    bench.near.scripts, bench.far.scripts = [[gate, *answer("near")]], [[Gate(), *answer("far")]]
    asking = asyncio.create_task(bench.llm.chat(HEDGED, PROGRAM))
    await gate.reached.wait()
    await turns_of_the_loop(lambda: bench.far.open == 1)
    gate.opened.set()
    await (await asking).whole()
    record = await bench.record()
    assert (record.model, record.key, record.attempts) == ("small", "…1111", 2)


async def test_one_that_leaves_while_the_slower_of_two_is_given_up_leaves_nothing_open(bus, clock):
    near = Slow("near", [model("near", "small")], [[Gate(), *answer("near")]])
    far = ScriptedProvider("far", [model("far", "large")], [answer("far")])
    llm = await llm_of([near, far], MemoryStore().journal, bus, clock.world)
    asking = asyncio.create_task(llm.chat(HEDGED, PROGRAM))
    await turns_of_the_loop(lambda: near.open == 1)
    await near.closing.wait()
    asking.cancel()
    await turns_of_the_loop(lambda: True)
    near.may_close.set()
    await ended(asking)
    await turns_of_the_loop(lambda: near.open == far.open == 0)
    assert llm.health.under_way() == {}


async def test_one_that_is_cancelled_while_its_upstream_closes_is_written_down(bus, clock):
    near = Slow("near", [model("near", "small")], [answer("a", "b")])
    llm = await llm_of([near], MemoryStore().journal, bus, clock.world)
    found = await llm.chat(ASK, PROGRAM)
    closing = asyncio.create_task(found.chunks.aclose())
    await near.closing.wait()
    await ended(closing)
    assert llm.health.under_way() == {}
    assert found.record is not None
    assert found.record.error == "cancelled"


async def test_a_bug_before_the_first_chunk_is_written_down(bench):
    bench.near.scripts = [[RuntimeError("a bug")]]
    with pytest.raises(RuntimeError):
        await bench.whole()
    assert (await bench.record()).error == "internal"
    assert bench.llm.health.under_way() == {}


async def test_the_deadline_of_a_client_is_no_failure_of_a_model(bench):
    for _ in range(3):
        bench.near.scripts = [[TextDelta("a"), Gate()]]
        request = ChatRequest("near/small", ASK.messages, preferences=Preferences(deadline_ms=5))
        with pytest.raises(ProviderTimeout):
            await bench.whole(request)
    assert list(bench.llm.health.rows()) == []
    assert bench.near.open == 0


async def test_who_asks_for_the_same_vectors_while_the_first_gives_up_gets_them(bus, clock):
    class Stubborn(ScriptedProvider):
        async def embed(self, request, model, key=""):
            self.embedded.append(request)
            if len(self.embedded) > 1:
                return await super().embed(request, model, key)
            try:
                await Gate().opened.wait()
            finally:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    near = Stubborn("near", [model("near", "vectors", abilities=frozenset({"embedding"}))])
    llm = await llm_of([near], MemoryStore().journal, bus, clock.world)
    request = EmbeddingRequest("vectors", ("a",))
    first = asyncio.create_task(llm.embed(request, PROGRAM))
    await turns_of_the_loop(lambda: len(near.embedded) == 1)
    first.cancel()
    await asyncio.sleep(0)
    assert (await llm.embed(request, PROGRAM)).vectors == ((1.0, 1.0),)
    await ended(first)
