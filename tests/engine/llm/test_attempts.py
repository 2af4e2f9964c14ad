"""Keys, retries, breakers, hedging and deadlines, through the service."""

import asyncio
import sys
from contextlib import aclosing
from dataclasses import replace

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import (
    ContextTooLong,
    NoModelFits,
    NotFound,
    ProviderAuth,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.llm.health import Health
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    EmbeddingRequest,
    Finished,
    Noted,
    Preferences,
    ReasoningDelta,
    Signature,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engine.llm.remembered import MOST_CHUNKS
from engine.llm.routing.policies import read_policies
from engine.llm.service import Llm
from engine.llm.votes import Votes
from engine.store.memory.store import MemoryStore
from tests.support import Gate, ScriptedProvider, answer, llm_of, model, turns_of_the_loop

ASK = ChatRequest("one", (ChatMessage.of("user", "Hi"),))
BUSY = ProviderUnavailable("It is busy.", details={"upstream_status": 503})
DOWN = ProviderUnavailable("Nobody answers.")
REFUSED = ProviderAuth("It refused the key.")


def limited(seconds: float | None = None) -> ProviderRateLimited:
    return ProviderRateLimited("Too many.", details={} if seconds is None else {"retry_after_s": seconds})


class Bench:
    def __init__(self, bus, clock):
        self.store, self.bus, self.clock = MemoryStore(), bus, clock
        self.one = ScriptedProvider("a", [model("a", "one", context=1000, abilities=frozenset({"chat", "tools"}))])
        self.two = ScriptedProvider("b", [model("b", "two", local=False, abilities=frozenset({"chat", "tools"}))])
        self.llm: Llm

    async def open(self):
        self.llm = await llm_of([self.one, self.two], self.store.journal, self.bus, self.clock.world)
        return self

    async def said(self, request=ASK):
        return (await (await self.llm.chat(request, PROGRAM)).whole()).text


@pytest.fixture
async def bench(bus, clock):
    return await Bench(bus, clock).open()


FALL_BACK = ChatRequest("one", ASK.messages, preferences=Preferences(fallback_models=("two",)))


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_refused_gives_way_to_the_next_and_is_left_alone(bench):
    bench.one.held = ("key-number-one", "key-number-two")
    bench.one.scripts = [[REFUSED], answer("ok")]
    assert await bench.said() == "ok"
    assert bench.one.used == ["key-number-one", "key-number-two"]
    assert await bench.said() == "ok"
    assert bench.one.used[-1] == "key-number-two"
    (record,) = [one for one in await bench.llm.requests() if one.attempts == 2]
    assert record.decision["attempts"] == [
        {"model": "a/one", "error": "provider_auth", "why": "It refused the key.", "key": "…-one"}
    ]
    (row,) = bench.llm.health.rows()
    assert (row.provider, row.model, row.key, row.state) == ("a", "", "…-one", "open")
    assert bench.llm.health.reset("a") == 1
    await bench.said()
    assert bench.one.used[-1] == "key-number-one"


@pytest.mark.parametrize(
    ("details", "shut"),
    [
        ({"upstream_status": 403}, "one"),
        ({"upstream_status": 403, "upstream_code": "permission_error"}, "one"),
        ({"upstream_status": 403, "upstream_code": "PERMISSION_DENIED"}, "one"),
        ({"upstream_status": 403, "upstream_code": "invalid_api_key"}, ""),
        ({"upstream_status": 403, "upstream_code": "API_KEY_SERVICE_BLOCKED"}, ""),
        ({"upstream_status": 401}, ""),
    ],
)
async def test_a_key_that_may_not_use_one_model_is_used_for_the_others(bus, clock, details, shut):
    models = [model("a", "one", local=False), model("a", "other", local=False)]
    provider = ScriptedProvider("a", models, [[ProviderAuth("No.", details=details)], answer("ok")], local=False)
    provider.held = ("key-number-one",)
    llm = await llm_of([provider], MemoryStore().journal, bus, clock.world)
    with pytest.raises(ProviderAuth):
        await llm.chat(ASK, PROGRAM)
    assert [(row.model, row.state) for row in llm.health.rows()] == [(shut, "open")]
    assert llm.health.lets_through(models[1], "key-number-one") is bool(shut)
    assert not llm.health.lets_through(models[0], "key-number-one")


@pytest.mark.parametrize(("key", "after_s"), [("", 10.0), ("key-number-one", 600.0)])
async def test_where_tokens_are_got_a_refused_one_is_not_held_against_the_next(clock, key, after_s):
    health, asked = Health(clock.world), model("a", "one", local=False)
    health.failed(asked, key, ProviderAuth("No.", details={"upstream_status": 401}))
    clock.move(after_s - 1)
    assert not health.lets_through(asked, key)
    clock.move(1)
    assert health.lets_through(asked, key)


async def test_the_only_key_is_asked_again_though_it_was_refused(bench):
    bench.one.held = ("the-only-key-there",)
    bench.one.scripts = [[REFUSED], answer("paid now")]
    with pytest.raises(ProviderAuth):
        await bench.said()
    assert await bench.said() == "paid now"


async def test_load_goes_to_the_key_that_is_least_busy(bench):
    bench.one.held = ("key-number-one", "key-number-two")
    gates = [Gate(), Gate()]
    bench.one.scripts = [[TextDelta("x"), gate, Finished("stop", Usage(1))] for gate in gates]
    answers = [await bench.llm.chat(ASK, PROGRAM) for _ in gates]
    assert sorted(bench.one.used) == ["key-number-one", "key-number-two"]
    for gate, found in zip(gates, answers, strict=True):
        gate.opened.set()
        await found.whole()


async def test_without_a_key_that_is_said(bench):
    bench.one.held = ()
    with pytest.raises(ProviderAuth, match="keys set a"):
        await bench.said()
    assert await bench.said(FALL_BACK) == "ok"


# -- retries ----------------------------------------------------------------------------------------------------------


async def test_one_that_is_busy_is_asked_again_after_a_moment(bench):
    bench.one.scripts = [[BUSY], answer("ok")]
    before = bench.clock.seconds
    assert await bench.said() == "ok"
    assert 0.2 < bench.clock.seconds - before < 1
    (record,) = await bench.llm.requests()
    assert (record.attempts, record.retries) == (2, 1)


async def test_retries_end(bench):
    bench.one.scripts = [[BUSY]]
    with pytest.raises(ProviderUnavailable):
        await bench.said()
    assert len(bench.one.asked) == 3


async def test_one_that_nobody_answers_at_is_not_asked_again(bench):
    bench.one.scripts = [[DOWN]]
    assert await bench.said(FALL_BACK) == "ok"
    assert len(bench.one.asked) == 1


async def test_a_short_rate_limit_is_waited_out_when_there_is_nobody_else(bench):
    bench.one.scripts = [[limited(4)], answer("ok")]
    before = bench.clock.seconds
    assert await bench.said() == "ok"
    assert bench.clock.seconds - before == 4


async def test_a_rate_limit_is_not_waited_for_when_there_is_somebody_else_or_it_is_long(bench):
    bench.one.scripts = [[limited(4)]]
    bench.two.scripts = [answer("from two")]
    before = bench.clock.seconds
    assert await bench.said(FALL_BACK) == "from two"
    assert bench.clock.seconds == before
    bench.clock.move(5)
    bench.one.scripts = [[limited(60)]]
    with pytest.raises(ProviderRateLimited):
        await bench.said()
    asked = len(bench.one.asked)
    with pytest.raises(ProviderRateLimited) as caught:  # it said when to come back: it is not asked before
        await bench.said()
    assert (len(bench.one.asked), round(caught.value.details["retry_after_s"])) == (asked, 60)


async def test_what_was_refused_for_what_it_says_is_not_asked_elsewhere_but_a_missing_model_is(bench):
    bench.one.scripts = [[ProviderRejected("Bad.", details={"upstream_status": 400})]]
    with pytest.raises(ProviderRejected):
        await bench.said(FALL_BACK)
    assert not bench.two.asked
    bench.one.scripts = [[ProviderRejected("No such model.", details={"upstream_status": 404})]]
    assert await bench.said(FALL_BACK) == "ok"
    bench.one.scripts = [[ContextTooLong("Too long.")]]
    assert await bench.said(FALL_BACK) == "ok"


# -- breakers ---------------------------------------------------------------------------------------------------------


async def test_one_that_keeps_failing_is_passed_over_and_tried_again_later(bench):
    bench.one.scripts = [[DOWN]]
    for _ in range(3):
        assert await bench.said(FALL_BACK) == "ok"
    await bench.said(FALL_BACK)
    assert len(bench.one.asked) == 3
    auto = await bench.llm.explain(ChatRequest("auto", ASK.messages))
    assert [(one.model.id, one.code) for one in auto.rejected] == [("a/one", "breaker_open")]
    bench.clock.move(11)
    bench.one.scripts = [answer("back")]
    assert await bench.said(FALL_BACK) == "back"
    assert not list(bench.llm.health.rows())


async def test_what_breaks_off_in_the_middle_counts_too(bench):
    bench.one.scripts = [[TextDelta("x"), DOWN]]
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await bench.said()
    assert [row.state for row in bench.llm.health.rows()] == ["open"]


async def test_who_leaves_everybody_waiting_is_not_waited_for_again(bench):
    bench.one.scripts = [[ProviderTimeout("Too slow.")]]
    for _ in range(3):
        with pytest.raises(ProviderTimeout):
            await bench.said()
    with pytest.raises(ProviderTimeout):
        await bench.said()
    assert len(bench.one.asked) == 3


@pytest.mark.parametrize(("wait", "other", "asked"), [(4.0, False, 2), (40.0, False, 1), (4.0, True, 1)])
async def test_one_that_is_busy_and_says_when_to_come_back_is_not_asked_before(bench, wait, other, asked):
    busy = ProviderUnavailable("It is busy.", details={"upstream_status": 503, "retry_after_s": wait})
    bench.one.scripts = [[busy], answer("ok")]
    before = bench.clock.seconds
    if asked == 1 and not other:
        with pytest.raises(ProviderUnavailable):
            await bench.said()
    else:
        assert await bench.said(FALL_BACK if other else ASK) == "ok"
    assert len(bench.one.asked) == asked
    assert bench.clock.seconds - before == (wait if asked == 2 else 0.0)


# -- hedging and deadlines --------------------------------------------------------------------------------------------


def hedged(**wishes) -> ChatRequest:
    return ChatRequest("one", ASK.messages, preferences=Preferences(fallback_models=("two",), **wishes))


async def test_a_second_is_asked_when_the_first_does_not_begin_and_the_slower_is_closed(bench):
    gate = Gate()
    bench.one.scripts = [[gate, *answer("slow")]]
    bench.two.scripts = [answer("quick")]
    assert await bench.said(hedged(hedge_ms=50)) == "quick"
    assert (len(bench.one.asked), bench.one.open, bench.two.open) == (1, 0, 0)
    (record,) = await bench.llm.requests()
    assert (record.provider, record.attempts) == ("b", 2)


async def test_nobody_else_is_asked_when_the_first_begins_in_time(bench):
    assert await bench.said(hedged(hedge_ms=50)) == "ok"
    assert not bench.two.asked


async def test_hedging_goes_on_when_one_of_two_fails(bench):
    gate = Gate()
    bench.one.scripts = [[gate, *answer("slow but there")]]
    bench.two.scripts = [[DOWN]]
    asking = asyncio.create_task(bench.said(hedged(hedge_ms=50)))
    await turns_of_the_loop(lambda: bool(bench.two.asked))
    gate.opened.set()
    assert await asking == "slow but there"


async def test_the_slower_of_two_is_noted_and_what_it_said_is_not(bench):
    gate = Gate()
    bench.one.scripts = [[Noted("dropped", "one's"), gate, *answer("slow")]]
    bench.two.scripts = [[Noted("dropped", "two's"), *answer("quick")]]
    assert await bench.said(hedged(hedge_ms=50)) == "quick"
    (record,) = await bench.llm.requests()
    assert record.warnings == ("two's", "a/one was asked as well, and given up as the slower one.")
    assert record.attempts == 2


async def test_of_two_that_begin_at_once_the_notes_of_the_other_are_not_kept(bench):
    gate = Gate()
    bench.one.scripts = [[Noted("dropped", "one's"), gate, *answer("first")]]
    bench.two.scripts = [[Noted("dropped", "two's"), gate, *answer("second")]]
    asking = asyncio.create_task(bench.said(hedged(hedge_ms=50)))
    await turns_of_the_loop(lambda: bool(bench.two.asked))
    gate.opened.set()
    assert await asking == "first"
    (record,) = await bench.llm.requests()
    assert record.warnings[0] == "one's"
    assert record.warnings[1:] == (
        "b/two was asked as well, and given up as the slower one, and what it took of the prompt is not in the cost.",
    )


WRONG = ProviderRejected("The request is wrong.", details={"upstream_status": 400})


@pytest.mark.parametrize(
    ("first", "second", "raised"),
    [(DOWN, REFUSED, REFUSED), (REFUSED, DOWN, DOWN), (WRONG, DOWN, WRONG), (DOWN, WRONG, WRONG)],
)
async def test_when_both_of_two_fail_the_error_is_that_of_one_after_the_other(bench, first, second, raised):
    for _ in range(20):  # the order must not be chance
        bench.llm.health.reset()
        gates = [Gate(), Gate()]
        bench.one.scripts, bench.two.scripts = [[gates[0], first]], [[gates[1], second]]
        asking = asyncio.create_task(bench.said(hedged(hedge_ms=50)))
        await gates[0].reached.wait()
        await gates[1].reached.wait()
        gates[0].opened.set()
        await turns_of_the_loop(lambda: bench.llm.health.under_way() == {"b": 1})
        gates[1].opened.set()
        with pytest.raises(type(raised)) as caught:
            await asking
        assert caught.value is raised


async def test_an_answer_must_be_there_by_its_deadline(bench):
    bench.one.scripts = [[Gate(), *answer("never")]]
    with pytest.raises(ProviderTimeout, match="in time"):
        await bench.said(ChatRequest("one", ASK.messages, preferences=Preferences(deadline_ms=20)))
    bench.one.scripts = [[TextDelta("begun"), Gate(), *answer("never")]]
    with pytest.raises(ProviderTimeout, match="in time"):
        await bench.said(ChatRequest("one", ASK.messages, preferences=Preferences(deadline_ms=20)))
    assert bench.one.open == 0


# -- how fast it was --------------------------------------------------------------------------------------------------


async def slowly_read(bench, *, begins_after=0.0, each=0.0):
    """The speed that is measured of a hundred tokens written in four seconds, read with pauses."""
    gate = Gate()
    bench.one.scripts = [[TextDelta("a"), TextDelta("b"), gate, Finished("stop", Usage(10, 0, 0, 100))]]
    found = await bench.llm.chat(ASK, PROGRAM)

    def write() -> None:
        bench.clock.move(4.0)
        gate.opened.set()

    bench.clock.move(begins_after)
    async with aclosing(found.chunks) as chunks:
        async for chunk in chunks:
            bench.clock.move(each)
            if chunk == TextDelta("b"):
                asyncio.get_running_loop().call_soon(write)
    return found.record.tokens_per_s


async def test_the_time_that_a_client_takes_to_read_is_not_the_models(bench):
    assert await slowly_read(bench) == 25.0
    assert await slowly_read(bench, each=1.0) == 25.0
    assert await slowly_read(bench, begins_after=3.0) == 25.0
    assert bench.llm.health.speed(bench.one.known[0]).tokens_per_s == 25.0


async def test_a_client_that_reads_slower_than_is_written_measures_nothing(bench):
    assert await slowly_read(bench, each=5.0) is None


# -- the same again ---------------------------------------------------------------------------------------------------


async def test_the_same_request_is_answered_from_memory_when_it_asks_for_that(bench):
    again = ChatRequest("one", ASK.messages, preferences=Preferences(cache=True))
    bench.one.scripts = [answer("Hel", "lo"), answer("other")]
    assert [await bench.said(again) for _ in range(3)] == ["Hello"] * 3
    assert len(bench.one.asked) == 1
    newest = (await bench.llm.requests())[0]
    assert (newest.cost_usd, newest.usage.total, newest.attempts) == (0, 0, 0)
    assert await bench.said() == "other"  # the control: not asked for


async def test_a_route_may_remember_what_was_asked_through_it(bench):
    policies = read_policies({"again": {"cache": True}})
    llm = Llm(
        {"a": bench.one, "b": bench.two}, bench.llm.catalog, bench.llm.discovery, bench.store.journal, bench.bus,
        bench.clock.world, policies,
    )  # fmt: skip
    bench.one.scripts = [answer("first"), answer("second"), answer("third")]
    for name, said in (("again", "first"), ("again", "first"), ("auto", "second"), ("auto", "third")):
        found = await llm.chat(ChatRequest(name, ASK.messages), PROGRAM)
        assert (await found.whole()).text == said


async def test_an_answer_that_broke_off_is_not_remembered(bench):
    again = ChatRequest("one", ASK.messages, preferences=Preferences(cache=True))
    bench.one.scripts = [[TextDelta("Hel"), DOWN], answer("Hello")]
    with pytest.raises(ProviderUnavailable):
        await bench.said(again)
    assert await bench.said(again) == "Hello"


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_a_remembered_answer_that_is_left_is_cancelled(bench, read):
    again = ChatRequest("one", ASK.messages, preferences=Preferences(cache=True))
    bench.one.scripts = [answer("Hel", "lo")]
    await bench.said(again)
    found = await bench.llm.chat(again, PROGRAM)
    for _ in range(read):
        await anext(found.chunks)
    await found.chunks.aclose()
    assert (found.record.error, found.record.cost_usd, found.record.asked) == ("cancelled", 0, "one")
    found = await bench.llm.chat(again, PROGRAM)  # the control
    await found.whole()
    assert found.record.error == ""


@pytest.mark.parametrize("piece", [TextDelta("x" * 4), TextDelta("x" * 5_000)], ids=["pieces", "characters"])
async def test_an_answer_that_is_too_long_to_be_remembered_is_not_kept(bench, piece):
    again = ChatRequest("one", ASK.messages, preferences=Preferences(cache=True))
    gate, many = Gate(), MOST_CHUNKS + 1 if len(piece.text) == 4 else 300
    bench.one.scripts = [[*[piece] * many, gate, Finished("stop", Usage(1))], answer("again")]
    before = sys.getrefcount(piece)
    async with aclosing((await bench.llm.chat(again, PROGRAM)).chunks) as chunks:
        reading = asyncio.create_task(_count(chunks))
        await gate.reached.wait()
        assert sys.getrefcount(piece) < before + 10
        gate.opened.set()
        assert await reading == many + 1
    assert await bench.said(again) == "again"


@pytest.mark.parametrize("cache", [True, False])
async def test_what_is_kept_of_an_answer_is_not_the_pieces_it_came_in(bench, cache):
    ask = ChatRequest("one", ASK.messages, preferences=Preferences(cache=cache))
    piece, gate = TextDelta("x", raw=[b"x"]), Gate()
    bench.one.scripts = [[ReasoningDelta("?"), *[piece] * 100, gate, Finished("stop", Usage(1))]]
    before = sys.getrefcount(piece)
    found = await bench.llm.chat(ask, PROGRAM)
    reading = asyncio.create_task(_count(found.chunks) if cache else found.whole())
    await gate.reached.wait()
    assert sys.getrefcount(piece) < before + 10
    gate.opened.set()
    await reading


async def _count(chunks):
    return sum([1 async for _ in chunks])


async def test_the_same_embedding_under_way_is_asked_for_once(bus, clock):
    gate = Gate()
    provider = ScriptedProvider("a", [model("a", "vectors", abilities=frozenset({"embedding"}))])
    provider.embedding = gate
    llm = await llm_of([provider], MemoryStore().journal, bus, clock.world)
    ask = EmbeddingRequest("vectors", ("text",))
    both = [asyncio.create_task(llm.embed(ask, PROGRAM)) for _ in range(2)]
    other = asyncio.create_task(llm.embed(EmbeddingRequest("vectors", ("more",)), PROGRAM))
    await turns_of_the_loop(lambda: len(provider.embedded) == 2)
    both[0].cancel()  # one who leaves takes nothing from the other
    gate.opened.set()
    assert (await both[1]).vectors == ((4.0, 1.0),)
    await other
    assert len(provider.embedded) == 2
    await llm.embed(ask, PROGRAM)
    assert len(provider.embedded) == 3


async def test_an_embedding_that_nobody_waits_for_is_given_up(bus, clock):
    provider = ScriptedProvider("a", [model("a", "vectors", abilities=frozenset({"embedding"}))])
    provider.embedding = Gate()
    llm = await llm_of([provider], MemoryStore().journal, bus, clock.world)
    asking = asyncio.create_task(llm.embed(EmbeddingRequest("vectors", ("text",)), PROGRAM))
    await provider.embedding.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (record,) = await llm.requests()
    assert record.error == "cancelled"


# -- tool loops, speed, votes, notes ----------------------------------------------------------------------------------


async def test_a_tool_loop_stays_with_its_model_and_gets_its_signature_back(bench):
    sealed = Signature("google", "s3al")
    bench.two.scripts = [
        [ToolCallDelta(0, "call_1", "f", "{}", sealed), Finished("tool_calls", Usage(1))],
        answer("done"),
    ]
    auto = ChatRequest("two", ASK.messages, tools=({"type": "function", "function": {"name": "f"}},))
    first = await (await bench.llm.chat(auto, PROGRAM)).whole()
    dropped = tuple(ToolCall(call.id, call.name, call.arguments) for call in first.tool_calls)
    result = ChatMessage("tool", (Text("42"),), tool_call_id="call_1")
    told = (*ASK.messages, ChatMessage("assistant", (), dropped), result)
    second = ChatRequest("auto", told, tools=auto.tools)
    found = await bench.llm.chat(second, PROGRAM)
    assert found.model.id == "b/two"
    await found.whole()
    assert bench.two.asked[-1].messages[1].tool_calls[0].signature == sealed
    assert (await bench.llm.explain(ChatRequest("auto", ASK.messages))).ranked[0].model.id == "a/one"  # the control


async def test_two_tool_loops_whose_calls_have_one_id_stay_with_their_models(bench):
    tools = ({"type": "function", "function": {"name": "f"}},)
    pieces = {"one": ('{"city":', '"Bern"}'), "two": ('{"city":', '"Oslo"}')}
    for provider, (start, end) in zip((bench.one, bench.two), pieces.values(), strict=True):
        call = [ToolCallDelta(0, "call_0", "f", start), ToolCallDelta(0, arguments=end)]
        provider.scripts = [[*call, Finished("tool_calls", Usage(1))]]
    for name in ("one", "two", "one", "two"):
        made = (await (await bench.llm.chat(ChatRequest(name, ASK.messages, tools=tools), PROGRAM)).whole()).tool_calls
        assert made == (ToolCall("call_0", "f", "".join(pieces[name])),)
    for name, parts in pieces.items():
        call = ToolCall("call_0", "f", "".join(parts))
        result = ChatMessage("tool", (Text("42"),), tool_call_id="call_0")
        told = ChatRequest("auto", (*ASK.messages, ChatMessage("assistant", (), (call,)), result), tools=tools)
        assert (await bench.llm.explain(told)).ranked[0].model.name == name


async def test_speed_is_learned_from_use(bench):
    gate = Gate()
    bench.one.known = (replace(bench.one.known[0], loaded=True),)
    await bench.llm.discovery.refresh("a")
    bench.one.scripts = [[TextDelta("x"), gate, Finished("stop", Usage(3, output=50))]]
    async with aclosing((await bench.llm.chat(ASK, PROGRAM)).chunks) as chunks:
        reading = asyncio.create_task(_all(chunks))
        await gate.reached.wait()
        bench.clock.move(2)
        gate.opened.set()
        await reading
    speed = bench.llm.health.speed(bench.one.known[0])
    assert (speed.ttft_s, speed.tokens_per_s) == (0.0, 25.0)


async def _all(chunks):
    return [chunk async for chunk in chunks]


async def test_a_vote_is_for_an_answer_and_counts(bus, clock):
    store = MemoryStore()
    provider = ScriptedProvider("a", [model("a", "one")])
    votes = Votes(store.shelf)
    plain = await llm_of([provider], store.journal, bus, clock.world)
    llm = Llm({"a": provider}, plain.catalog, plain.discovery, store.journal, bus, clock.world, votes=votes)
    found = await llm.chat(ASK, PROGRAM)
    await found.whole()
    await llm.vote(found.id, 1)
    assert votes.sums == {"a/one": {"chat": (1.0, 1)}}
    await llm.vote(found.id, -1)
    assert votes.sums == {"a/one": {"chat": (0.0, 1)}}
    again = Votes(store.shelf)
    await again.load()
    assert again.sums == votes.sums
    await llm.vote(found.id, 0)
    assert votes.sums == {"a/one": {"chat": (0.0, 0)}}
    with pytest.raises(NotFound):
        await llm.vote("nothing", 1)


async def test_notes_do_not_begin_an_answer_and_are_kept(bench):
    bench.one.scripts = [[Noted("dropped", "seed was left out."), DOWN]]
    bench.two.scripts = [[Noted("dropped", "top_p was left out."), *answer("ok")]]
    found = await bench.llm.chat(FALL_BACK, PROGRAM)
    assert found.model.id == "b/two"
    whole = await found.whole()
    assert [note.text for note in whole.notes] == ["top_p was left out."]
    assert found.record.warnings == ("top_p was left out.",)


async def test_a_decision_is_made_again_for_another_policy(bench):
    await bench.said(ChatRequest("auto", ASK.messages))
    (record,) = await bench.llm.requests()
    again = bench.llm.replay(record, "cb:fastest")
    assert again
    assert (again.policy, {one.model.id for one in again.ranked}) == ("cb:fastest", {"a/one", "b/two"})


async def test_nothing_leaves_the_machine_when_nothing_may(bench):
    llm = Llm(
        {"a": bench.one, "b": bench.two}, bench.llm.catalog, bench.llm.discovery, bench.store.journal, bench.bus,
        bench.clock.world, local_only=True,
    )  # fmt: skip
    with pytest.raises(NoModelFits, match="must stay"):
        await llm.chat(ChatRequest("two", ASK.messages), PROGRAM)
    assert not bench.two.asked
    assert (await (await llm.chat(ChatRequest("auto", ASK.messages), PROGRAM)).whole()).text == "ok"


async def test_one_that_came_back_is_asked_at_once(bench):
    bench.one.scripts = [[DOWN]]
    for _ in range(3):
        await bench.said(FALL_BACK)
    known, bench.one.known = bench.one.known, DOWN
    await bench.llm.discovery.refresh("a")
    bench.one.known, bench.one.scripts = known, [answer("back")]
    await bench.llm.discovery.refresh("a")
    assert await bench.said(FALL_BACK) == "back"


async def test_nobody_is_left_alone_for_longer_than_an_hour_whatever_they_say(bench):
    bench.one.scripts = [[limited(999_999_999)], answer("back")]
    with pytest.raises(ProviderRateLimited):
        await bench.llm.chat(ASK, PROGRAM)
    bench.clock.move(3601)
    assert (await (await bench.llm.chat(ASK, PROGRAM)).whole()).text == "back"


async def test_one_of_a_provider_that_is_down_is_no_unknown_name(bench):
    bench.one.known = ProviderUnavailable("It does not answer.", why="Connection refused.", fix="Start it.")
    await bench.llm.discovery.refresh("a")
    with pytest.raises(ProviderUnavailable, match="which is down") as caught:
        await bench.said()
    assert "Connection refused" in caught.value.why
    assert caught.value.fix == "Start it."
    with pytest.raises(NotFound):
        await bench.said(ChatRequest("onne", ASK.messages))
