"""The workbench driven by its keys, on a real engine with scripted models."""

import asyncio
from decimal import Decimal

from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from app.bridge import Ports
from app.screens.chat import ChatScreen
from app.screens.dialogs import Pick
from app.widgets.frame import BottomBar, Fault, TopBar
from app.widgets.prompt import Prompt
from app.widgets.transcript import Transcript
from app.workbench import SCREENS, Workbench
from engine.engine import Engine
from engine.kernel.caller import PROGRAM, WORKBENCH
from engine.kernel.errors import ProviderUnavailable
from engine.llm.budgets import budget_of
from engine.llm.messages import ChatMessage, ChatRequest, TextDelta, Usage
from engine.llm.model import Price
from tests.support import Gate, ScriptedProvider, model
from tests.workbench import CODER, EMBEDDER, answer, bridge_of, providers, ready, rest, until, workbench

SIZE = (140, 45)


def engine_of(pilot: Pilot[None]) -> Engine:
    engine = bridge_of(pilot).engine
    assert engine is not None
    return engine


def transcript(app: Workbench) -> Transcript:
    return app.screen.query_one(Transcript)


async def write(pilot: Pilot[None], text: str) -> None:
    app = pilot.app
    prompt = app.screen.query_one(Prompt)
    prompt.text = text
    await pilot.press("enter")


async def test_the_cursor_is_in_the_question_and_an_answer_streams() -> None:
    app = workbench(providers(scripts=[answer("Hello ", "there")]))
    async with app.run_test(size=SIZE) as pilot:
        assert isinstance(app.focused, Prompt)
        await ready(pilot)
        await write(pilot, "Hi")
        await rest(pilot)
        assert [message.text for message in transcript(app).messages] == ["Hi", "Hello there"]
        assert "tok" in transcript(app).messages[-1].meta


async def test_escape_stops_the_model_and_keeps_what_came() -> None:
    gate = Gate()
    given = providers(ollama=[CODER], scripts=[[TextDelta("so far"), gate, *answer("never")]])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await write(pilot, "Tell me")
        await asyncio.wait_for(gate.reached.wait(), 30)
        assert given["ollama"].open == 1, "the control: it is being asked"
        await pilot.press("escape")
        await rest(pilot)
        assert given["ollama"].open == 0
        last = transcript(app).messages[-1]
        assert (last.text, last.meta.startswith("stopped")) == ("so far", True)
        chat = (await engine_of(pilot).chats.all())[0]
        turns = await engine_of(pilot).chats.turns(chat.id)
        assert (turns[-1].text, turns[-1].stopped) == ("so far", True)


async def test_a_question_can_be_asked_again_after_an_error() -> None:
    gone = ProviderUnavailable("It broke off.", why="No reason.", fix="Ask again.")
    given = providers(ollama=[CODER], scripts=[[gone], answer("Here I am")])
    given["embedded"].known = ()
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await write(pilot, "Hello")
        await rest(pilot)
        assert "Why: No reason." in transcript(app).messages[-1].text
        await pilot.press("ctrl+r")
        await rest(pilot)
        assert transcript(app).messages[-1].text == "Here I am"


async def test_escape_goes_between_typing_and_navigating_and_the_bar_says_which() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        bar = app.screen.query_one(BottomBar)
        assert bar.composing
        await pilot.press("escape")
        assert not bar.composing
        assert isinstance(app.focused, Transcript)
        await pilot.press("3")
        assert app.current_mode == "workflows"
        await pilot.press("1", "i")
        assert isinstance(app.focused, Prompt)


async def test_digits_and_letters_are_typed_into_the_question() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("3", "q", "n")
        assert app.current_mode == "chat"
        assert app.screen.query_one(Prompt).text == "3qn"


async def test_choosing_a_model_sends_the_next_question_there() -> None:
    given = providers(ollama=[CODER, EMBEDDER])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert isinstance(app.screen, Pick)
        app.screen.query_one(Input).value = "tiny"
        await pilot.pause()
        await pilot.press("enter")
        await rest(pilot)
        await write(pilot, "Hello")
        await rest(pilot)
        assert (len(given["embedded"].asked), len(given["ollama"].asked)) == (1, 0)


async def test_conversations_are_listed_opened_and_deleted() -> None:
    app = workbench(providers(scripts=[answer("one"), answer("two")]))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for question in ("First question", "Second question"):
            await write(pilot, question)
            await rest(pilot)
            await pilot.press("ctrl+n")
            await rest(pilot)
        assert transcript(app).messages == ()
        chats = app.screen.query_one("#chats", OptionList)
        assert chats.option_count == 2
        await pilot.press("ctrl+l", "down", "end", "enter")
        await rest(pilot)
        assert transcript(app).messages[0].text == "First question"
        await pilot.press("ctrl+l")
        await pilot.press("d", "y")
        await rest(pilot)
        assert chats.option_count == 1


async def test_ollama_that_comes_later_is_shown() -> None:
    given = providers()
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.screen.query_one(TopBar).health == "◐ embedded model only"
        given["ollama"].known = (CODER,)
        engine_of(pilot).llm.discovery.soon("ollama")
        await until(pilot, lambda: app.screen.query_one(TopBar).health == "● Ollama")


async def test_a_token_is_created_fired_and_seen() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4")
        await rest(pilot)
        await pilot.press("n", "enter")
        await rest(pilot)
        await pilot.press("f", "enter")
        await rest(pilot)
        token = (await engine_of(pilot).workflows.tokens())[0]
        assert dict(token.marking) == {"review": 1}
        history = await engine_of(pilot).workflows.history(token.id)
        assert [event.actor for event in history] == ["you", "you"]


async def test_what_another_program_fires_is_seen_too() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        workflows = engine_of(pilot).workflows
        token = await workflows.create_token("document_approval_v1", caller=WORKBENCH)
        await pilot.press("f4")
        await rest(pilot)
        assert "draft  v1" in str(app.screen.query_one("#token").render())
        await workflows.fire(token.id, "submit", caller=WORKBENCH)
        await rest(pilot)
        assert "review  v2" in str(app.screen.query_one("#token").render())


async def test_data_that_is_no_json_is_an_error_that_stays() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4")
        await rest(pilot)
        await pilot.press("n", "x", "enter")
        await rest(pilot)
        fault = app.screen.query_one(Fault)
        assert fault.has_class("shown")
        assert "That is not JSON." in fault.text[0]
        await pilot.press("escape")
        assert not fault.has_class("shown")


async def test_the_server_is_started_stopped_and_moved() -> None:
    app = workbench(ports=Ports(openai=0, graphql=0))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        bridge = bridge_of(pilot)
        assert bridge.server.state == "on"
        first = bridge.server.openai
        await pilot.press("f5")
        await rest(pilot)
        await pilot.press("s")
        await until(pilot, lambda: bridge.server.state == "off")
        await pilot.press("p")
        await until(pilot, lambda: bridge.server.state == "on")
        assert bridge.server.openai != first


async def test_every_screen_hears_of_a_thing_once() -> None:
    app = workbench()
    async with app.run_test(size=(140, 45)) as pilot:
        await ready(pilot)
        for place in SCREENS:
            await app.run_action(f"go_{place}")
            await rest(pilot)
        watching = [type(watcher).__name__ for watcher in app.bridge.watchers if watcher is not app]
        assert sorted(watching) == sorted(name for _, name in SCREENS.values())


async def test_a_budget_that_comes_to_its_end_is_said_on_any_screen() -> None:
    """Whoever spends it: here another program does."""
    price = Price(Decimal(1_000_000), Decimal(0))  # a dollar a token
    spent = [answer("x", usage=Usage(tokens)) for tokens in (700, 150, 200)]
    cloud = ScriptedProvider("cloud", [model("cloud", "large", local=False, price=price)], spent, local=False)
    app = workbench({**providers(), "cloud": cloud})
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        engine = engine_of(pilot)
        await engine.accounts.set(budget_of("day", 1000))
        await pilot.press("f4")
        for expected in (0, 1, 2):
            found = await engine.llm.chat(ChatRequest("large", (ChatMessage.of("user", "hi"),)), PROGRAM)
            await found.whole()
            await until(pilot, lambda expected=expected: len(app._notifications) == expected)
            await rest(pilot)
        warning, end = app._notifications
        assert (warning.title, warning.severity) == ("A budget is at 85%", "warning")
        assert warning.message == "$850.00 of $1,000.00 used today by all requests."
        assert (end.title, end.severity) == ("A budget is spent", "error")
        assert end.message.startswith("$1,050.00 of $1,000.00 used today by all requests. What costs is refused until ")
        assert "`circuit-breaker spend budget set` raises it" in end.message


async def test_jump_goes_to_a_letter() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert isinstance(app.screen, ChatScreen)
        await pilot.press("ctrl+o", "a")
        await pilot.pause()
        assert app.focused is app.screen.query_one("#chats")


async def test_the_palette_runs_an_action() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await pilot.press(*"Doctor")
        await rest(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "doctor")


async def test_a_key_is_kept_and_never_shown() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f3")
        await rest(pilot)
        await pilot.press("a")
        await pilot.pause()
        await pilot.press(*"anthropic", "enter")
        await pilot.pause()
        await pilot.press(*"planted1secret2abcd")
        assert "planted1secret2abcd" not in app.export_screenshot()
        await pilot.press("enter")
        await rest(pilot)
        assert "planted1secret2abcd" not in app.export_screenshot()
        kept = [key for key in engine_of(pilot).provider_keys.all() if key.provider == "anthropic"]
        assert [key.ending for key in kept] == ["…abcd"]
