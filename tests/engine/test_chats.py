"""Conversations: every turn is stored before the next one, however the answer ends."""

import asyncio
from contextlib import aclosing

import pytest

from engine.chats.service import Begun, Chats, Ended, Piece
from engine.kernel.caller import WORKBENCH
from engine.kernel.errors import InvalidInput, NotFound, ProviderUnavailable
from engine.llm.messages import Finished, ReasoningDelta, TextDelta, Usage
from tests.support import Gate, ScriptedProvider, answer, ended, llm_of, model


class Bench:
    """Chats over one scripted provider."""

    def __init__(self, store, llm, provider, clock):
        self.store, self.llm, self.provider, self.clock = store, llm, provider, clock
        self.chats = Chats(store.shelf, llm, clock.world)

    async def say(self, conversation, text):
        return [progress async for progress in self.chats.say(conversation, text, WORKBENCH)]

    async def said(self, conversation):
        return [(turn.role, turn.text) for turn in await self.chats.turns(conversation.id)]


@pytest.fixture
async def make(store, bus, clock):
    async def build(*scripts, context=0):
        provider = ScriptedProvider("ollama", [model("ollama", "qwen", context=context)], scripts)
        return Bench(store, await llm_of([provider], store.journal, bus, clock.world), provider, clock)

    return build


async def test_a_question_and_its_answer_are_stored_with_what_it_took(make):
    bench = await make([ReasoningDelta("hm"), TextDelta("Blue"), TextDelta("."), Finished("stop", Usage(10, 0, 0, 5))])
    conversation = await bench.chats.start("auto")
    progress = await bench.say(conversation, "Why is\n the sky blue?")
    assert [type(one) for one in progress] == [Begun, Piece, Piece, Piece, Ended]
    question, turn = await bench.chats.turns(conversation.id)
    assert (question.role, question.text) == ("user", "Why is\n the sky blue?")
    assert turn == progress[-1].turn
    assert (turn.text, turn.thinking, turn.model, turn.output_tokens) == ("Blue.", "hm", "ollama/qwen", 5)
    assert (turn.stopped, turn.error, turn.cost_usd, turn.left_out) == (False, "", "0", 0)
    assert (await bench.llm.request(turn.request)).model == "qwen"
    (listed,) = await bench.chats.all()
    assert listed.title == "Why is the sky blue?"


async def test_what_was_said_before_is_sent_along(make):
    bench = await make(answer("A1"), answer("A2"))
    conversation = await bench.chats.start("auto")
    await bench.say(conversation, "Q1")
    await bench.say(conversation, "Q2")
    assert [(m.role, m.text) for m in bench.provider.asked[1].messages] == [
        ("user", "Q1"),
        ("assistant", "A1"),
        ("user", "Q2"),
    ]


async def test_the_first_question_gives_the_title_whoever_holds_the_conversation(make):
    bench = await make()
    conversation = await bench.chats.start("auto")
    await bench.say(conversation, "first " + "x" * 100)
    await bench.say(conversation, "second")
    (listed,) = await bench.chats.all()
    assert listed.title.startswith("first xxx")
    assert len(listed.title) == 48


async def test_another_model_may_be_chosen_before_and_after_the_first_question(make):
    bench = await make()
    conversation = await bench.chats.choose_model(await bench.chats.start("auto"), "ollama/qwen")
    assert await bench.chats.all() == []
    await bench.say(conversation, "hello")
    changed = await bench.chats.choose_model(conversation, "auto")
    assert (changed.title, changed.model) == ("hello", "auto")
    assert [one.model for one in await bench.chats.all()] == ["auto"]


async def test_closing_stops_the_model_and_keeps_what_came(make):
    gate = Gate()
    bench = await make([TextDelta("Once"), gate, TextDelta(" upon")])
    conversation = await bench.chats.start("auto")
    async with aclosing(bench.chats.say(conversation, "Tell", WORKBENCH)) as progress:
        async for one in progress:
            if isinstance(one, Piece):
                break
    assert bench.provider.open == 0
    _, turn = await bench.chats.turns(conversation.id)
    assert (turn.text, turn.stopped, turn.error) == ("Once", True, "")
    assert (await bench.llm.request(turn.request)).error == "cancelled"


async def test_a_task_that_is_cancelled_keeps_what_came(make):
    gate = Gate()
    bench = await make([TextDelta("Once"), gate])
    conversation = await bench.chats.start("auto")
    task = asyncio.create_task(bench.say(conversation, "Tell"))
    await gate.reached.wait()
    await ended(task)
    assert bench.provider.open == 0
    _, turn = await bench.chats.turns(conversation.id)
    assert (turn.text, turn.stopped) == ("Once", True)


async def test_a_break_in_the_middle_is_kept_with_its_error(make):
    bench = await make([TextDelta("Once"), ProviderUnavailable("It broke off.")])
    conversation = await bench.chats.start("auto")
    with pytest.raises(ProviderUnavailable):
        await bench.say(conversation, "Tell")
    _, turn = await bench.chats.turns(conversation.id)
    assert (turn.text, turn.stopped, turn.error) == ("Once", True, "provider_unavailable")


async def test_an_error_before_the_first_word_keeps_the_question(make):
    bench = await make([ProviderUnavailable("It is gone.")])
    conversation = await bench.chats.start("auto")
    with pytest.raises(ProviderUnavailable):
        await bench.say(conversation, "Tell")
    assert await bench.said(conversation) == [("user", "Tell")]
    assert len(await bench.chats.all()) == 1


@pytest.mark.parametrize("text", ["", " \n", "x" * 1_000_001], ids=["empty", "blank", "endless"])
async def test_a_question_has_a_size(make, text):
    bench = await make()
    conversation = await bench.chats.start("auto")
    with pytest.raises(InvalidInput):
        await bench.say(conversation, text)
    assert await bench.chats.all() == []


async def test_what_does_not_fit_the_context_is_left_out_from_the_front_and_said(make):
    bench = await make(answer("a" * 100), context=100)
    conversation = await bench.chats.start("auto")
    for number in range(4):
        progress = await bench.say(conversation, f"{number}" * 100)
    sent = bench.provider.asked[-1].messages
    assert sent[-1].text == "3" * 100
    assert sent[0].role == "user"
    assert len(sent) + progress[-1].turn.left_out == 7
    assert progress[-1].turn.left_out > 0


async def test_a_deleted_conversation_is_gone_with_its_turns(make):
    bench = await make()
    conversation = await bench.chats.start("auto")
    await bench.say(conversation, "hello")
    await bench.chats.delete(conversation.id)
    assert await bench.chats.all() == []
    assert await bench.said(conversation) == []
    with pytest.raises(NotFound):
        await bench.chats.delete(conversation.id)


async def test_an_answer_to_a_deleted_conversation_is_not_kept(make):
    gate = Gate()
    bench = await make([TextDelta("Once"), gate, Finished("stop", Usage(1))])
    conversation = await bench.chats.start("auto")
    task = asyncio.create_task(bench.say(conversation, "Tell"))
    await gate.reached.wait()
    await bench.chats.delete(conversation.id)
    gate.opened.set()
    await task
    assert await bench.said(conversation) == []


async def test_conversations_are_listed_newest_first(make):
    bench = await make()
    for text in ("one", "two", "three"):
        bench.clock.move(1)
        await bench.say(await bench.chats.start("auto"), text)
    assert [one.title for one in await bench.chats.all()] == ["three", "two", "one"]
    assert [one.title for one in await bench.chats.all(limit=1)] == ["three"]


async def test_the_outlook_says_which_model_and_how_full(make):
    bench = await make(context=1000)
    assert bench.chats.outlook("auto", 360) == "ollama/qwen · context 100 of 1,000"
    assert "left out" in bench.chats.outlook("auto", 36_000)
    assert "no model 'nothing'" in bench.chats.outlook("nothing", 1).casefold()
