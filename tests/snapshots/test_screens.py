"""Pictures of every screen and of the states that were designed.

Layout is seen in three sizes of the dark theme, colours in one size of each other theme: what both decide together does
not exist here, and each picture costs a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from app.bridge import Bridge, ServerChanged, ServerState
from app.screens.chat import ChatScreen
from engine.kernel.caller import WORKBENCH
from engine.kernel.errors import PortTaken, ProviderUnavailable, StoreCorrupt
from engine.llm.messages import Finished, ReasoningDelta, TextDelta, Usage
from engine.llm.model import Price
from engine.llm.ports import Progress
from engine.nets.analysis.model import Severity
from tests.support import Gate, ScriptedKeeper
from tests.workbench import CODER, EMBEDDER, answer, bridge_of, providers, ready, rest, workbench

SIZES = {"wide": (140, 45), "medium": (100, 30), "narrow": (60, 20)}
PLACES = {"chat": "f2", "models": "f3", "workflows": "f4", "server": "f5", "doctor": "f6"}
PRICED = Price(Decimal("0.05"), Decimal("0.4"), Decimal("0.005"))
MARKDOWN = (
    "A marking is a **deadlock** when no transition is *enabled*.\n\n"
    "| place | tokens |\n|---|---|\n| draft | 1 |\n| review | 0 |\n\n"
    "```python\ndef enabled(marking, mode):\n    return all(marking[p] >= w for p, w in mode.inputs)\n```\n\n"
    "1. take the inputs\n2. put the outputs"
)

Snap = Callable[..., bool]
Story = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture
def snap(snap_compare: Snap) -> Callable[..., None]:
    """Compare the picture that a story ends in."""

    def take(story: Story, *, size: tuple[int, int] = SIZES["wide"], theme: str = "circuit-dark", **given: Any) -> None:
        async def run_before(pilot: Pilot[None]) -> None:
            await ready(pilot)
            await story(pilot)
            await rest(pilot)
            pilot.app.call_later(asyncio.sleep, 0)

        app = workbench(given.pop("providers", None), theme=theme, **given)
        assert snap_compare(app, terminal_size=size, run_before=run_before)

    return take


def go(place: str, *keys: str) -> Story:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press(PLACES[place])
        await rest(pilot)
        for key in keys:
            await pilot.press(key)
            await rest(pilot)

    return story


def write(text: str) -> Sequence[str]:
    names = {" ": "space", "{": "left_curly_bracket", "}": "right_curly_bracket", '"': "quotation_mark", ":": "colon"}
    return [names.get(character, character) for character in text]


def ask(text: str, then: Story | None = None) -> Story:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press(*write(text), "enter")
        if then is not None:
            await then(pilot)

    return story


LOOKS = [*((size, "circuit-dark") for size in SIZES), ("wide", "circuit-light")]


@pytest.mark.parametrize(("size", "theme"), LOOKS)
@pytest.mark.parametrize("place", PLACES)
def test_each_screen_without_ollama(snap: Callable[..., None], place: str, size: str, theme: str) -> None:
    snap(go(place), size=SIZES[size], theme=theme)


@pytest.mark.parametrize("place", ["chat", "models", "doctor"])
def test_each_screen_with_ollama(snap: Callable[..., None], place: str) -> None:
    snap(go(place), providers=providers(ollama=[CODER, EMBEDDER]))


@pytest.mark.parametrize("place", ["chat", "workflows"])
def test_each_screen_in_high_contrast(snap: Callable[..., None], place: str) -> None:
    snap(go(place), theme="circuit-contrast", size=SIZES["medium"])


@pytest.mark.parametrize("theme", ["ansi-dark", "textual-light"])
def test_a_theme_of_textual_itself(snap: Callable[..., None], theme: str) -> None:
    snap(go("workflows", "n", "enter"), theme=theme)


@pytest.mark.parametrize("place", ["chat", "workflows", "server"])
def test_each_screen_in_plain(snap: Callable[..., None], place: str) -> None:
    snap(go(place), size=SIZES["medium"], plain=True)


@pytest.mark.parametrize(
    ("place", "size"), [*((place, "medium") for place in PLACES), ("chat", "narrow"), ("chat", "wide")]
)
def test_the_help_of_each_screen(snap: Callable[..., None], place: str, size: str) -> None:
    snap(go(place, "f1"), size=SIZES[size])


# -- chat -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_an_answer(snap: Callable[..., None], size: str, theme: str) -> None:
    given = providers(ollama=[CODER], scripts=[answer(MARKDOWN, usage=Usage(26, 0, 0, 61))])
    snap(ask("How do nets deadlock?"), size=SIZES[size], theme=theme, providers=given)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_finding_in_an_answer(snap: Callable[..., None], size: str) -> None:
    async def find(pilot: Pilot[None]) -> None:
        await rest(pilot)
        await pilot.press("ctrl+f")
        await rest(pilot)
        await pilot.press(*"tokens")

    given = providers(ollama=[CODER], scripts=[answer(MARKDOWN, usage=Usage(26, 0, 0, 61))])
    snap(ask("How many?", find), size=SIZES[size], providers=given)


def test_an_answer_that_is_still_coming(snap: Callable[..., None]) -> None:
    gate = Gate()
    script = [ReasoningDelta("The user greets."), TextDelta("Good to see "), gate, *answer("you.")]

    async def reached(pilot: Pilot[None]) -> None:
        await asyncio.wait_for(gate.reached.wait(), 30)
        chat = pilot.app.screen
        assert isinstance(chat, ChatScreen)

    async def story(pilot: Pilot[None]) -> None:
        await ask("Hello", reached)(pilot)
        await asyncio.sleep(0.3)
        await pilot.pause()

    snap(story, providers=providers(ollama=[CODER], scripts=[script]))


def test_an_answer_that_was_stopped(snap: Callable[..., None]) -> None:
    gate = Gate()

    async def stop(pilot: Pilot[None]) -> None:
        await asyncio.wait_for(gate.reached.wait(), 30)
        await pilot.press("escape")

    script = [TextDelta("This is what came before "), gate, *answer("the stop.")]
    snap(ask("Tell me all", stop), providers=providers(ollama=[CODER], scripts=[script]))


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_an_error_instead_of_an_answer(snap: Callable[..., None], size: str) -> None:
    gone = ProviderUnavailable(
        "Ollama broke off.", why="It closed the connection before it had finished.", fix="Ask again: ^r."
    )
    given = providers(ollama=[CODER], scripts=[[gone]])
    given["embedded"].known = ()
    snap(ask("Hello"), size=SIZES[size], providers=given)


def test_an_error_in_the_middle_of_an_answer(snap: Callable[..., None]) -> None:
    gone = ProviderUnavailable("Ollama broke off.", why="It closed the connection.", fix="Ask again: ^r.")
    snap(ask("Hello"), providers=providers(ollama=[CODER], scripts=[[TextDelta("It all began when "), gone]]))


def test_thinking_is_folded(snap: Callable[..., None]) -> None:
    script = [ReasoningDelta("First this. Then that."), TextDelta("42"), Finished("stop", Usage(9, 0, 0, 12))]
    snap(ask("What is it?"), providers=providers(ollama=[CODER], scripts=[script]))


def test_many_conversations(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        engine = bridge_of(pilot).engine
        assert engine is not None
        for number in range(30):
            chat = await engine.chats.start("auto")
            async for _ in engine.chats.say(chat, f"Question number {number} about Petri nets and markings", WORKBENCH):
                pass
        await pilot.press("ctrl+n")

    snap(story)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_choosing_a_model(snap: Callable[..., None], size: str) -> None:
    snap(go("chat", "ctrl+t"), size=SIZES[size], providers=providers(ollama=[CODER, EMBEDDER]))


def test_the_palette(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await go("chat", "ctrl+p")(pilot)
        pilot.app.screen.query_one(Input).cursor_blink = False

    snap(story, size=SIZES["medium"])


def test_jump(snap: Callable[..., None]) -> None:
    snap(go("workflows", "ctrl+o"))


# -- models and keys --------------------------------------------------------------------------------------------------


def test_many_models(snap: Callable[..., None]) -> None:
    from dataclasses import replace

    many = [replace(CODER, name=f"model-{number:03}:7b", loaded=False) for number in range(200)]
    snap(go("models", "G"), providers=providers(ollama=many))


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_fetching_a_model(snap: Callable[..., None], size: str) -> None:
    gate = Gate()
    steps = [Progress("pulling 3f2a8c91d07b", 800_000_000, 1_900_000_000), gate]
    given = {**providers(), "ollama": ScriptedKeeper("ollama", [CODER, EMBEDDER], steps)}

    async def story(pilot: Pilot[None]) -> None:
        await go("models", "p")(pilot)
        await pilot.press(*write("phi3:mini"), "enter")
        await asyncio.wait_for(gate.reached.wait(), 30)

    snap(story, size=SIZES[size], providers=given)


def test_deleting_a_model(snap: Callable[..., None]) -> None:
    given = {**providers(), "ollama": ScriptedKeeper("ollama", [CODER, EMBEDDER])}
    snap(go("models", "home", "d"), size=SIZES["medium"], providers=given)


def test_what_models_cost_and_how_fast_they_were(snap: Callable[..., None]) -> None:
    from dataclasses import replace

    cloud = replace(CODER, provider="ollama", name="gpt-5-nano", local=False, loaded=False, size_bytes=0, price=PRICED)
    big = replace(CODER, name="llama3.3:70b", size_bytes=42_520_413_916, loaded=False)

    async def story(pilot: Pilot[None]) -> None:
        engine = bridge_of(pilot).engine
        assert engine is not None
        engine.llm.health.learn(CODER, 0.412, 41.7)
        await go("models")(pilot)

    snap(story, providers=providers(ollama=[CODER, big, cloud, EMBEDDER]))


@pytest.mark.parametrize("keys", [(), ("enter",)], ids=["whose", "which"])
def test_entering_a_key(snap: Callable[..., None], keys: tuple[str, ...]) -> None:
    snap(go("models", "a", *keys), size=SIZES["medium"])


# -- workflows --------------------------------------------------------------------------------------------------------


async def token(pilot: Pilot[None]) -> None:
    """A token that was rejected once and is in review again."""
    engine = bridge_of(pilot).engine
    assert engine is not None
    data = {"title": "Q3 report", "author": "Ada"}
    made = await engine.workflows.create_token("document_approval_v1", caller=WORKBENCH, data=data)
    for transition in ("submit", "reject", "revise", "submit"):
        await engine.workflows.fire(made.id, transition, caller=WORKBENCH)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_a_token(snap: Callable[..., None], size: str, theme: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await token(pilot)
        await go("workflows")(pilot)

    snap(story, size=SIZES[size], theme=theme)


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize(
    "keys", [("f",), ("n",), ("v",), ("a",), ("x",)], ids=["fire", "new token", "verify", "ask", "cancel"]
)
def test_the_dialogs_of_workflows(snap: Callable[..., None], keys: tuple[str, ...], size: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await token(pilot)
        await go("workflows", *keys)(pilot)

    snap(story, size=SIZES[size])


def test_a_guarded_transition_asks_for_data(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await go("workflows", "up", "n", "enter", "f", "enter", "f", "enter")(pilot)

    snap(story)


async def stuck(pilot: Pilot[None]) -> None:
    """A workflow whose branches both wait for each other."""
    engine = bridge_of(pilot).engine
    assert engine is not None
    made = await engine.workflows.create(
        {
            "name": "Stuck",
            "places": ["start", "a", "b", "end"],
            "finalPlaces": ["end"],
            "transitions": [
                {"id": "left", "fromStates": ["start"], "toState": "a"},
                {"id": "right", "fromStates": ["start"], "toState": "b"},
                {"id": "join", "inputs": ["a", "b"], "outputs": ["end"]},
            ],
        }
    )
    found = (await engine.workflows.analyse(made.id)).findings
    assert any(finding.severity is Severity.ERROR for finding in found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", [("v",), ("v", "enter", "right")], ids=["found", "played"])
def test_a_workflow_that_gets_stuck(snap: Callable[..., None], keys: tuple[str, ...], size: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await stuck(pilot)
        await go("workflows", "down", "down", *keys)(pilot)

    snap(story, size=SIZES[size])


WALKS = {
    "the past": ("left", "left"),
    "rolling back": ("left", "left", "b"),
    "what if": ("w", "f", "enter"),
    "an answer": ("a", *write("eventually approved"), "enter"),
    "a loop": ("a", *write("eventually approved"), "enter", "enter", "right", "right", "right"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("walk", WALKS)
def test_walking(snap: Callable[..., None], walk: str, size: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await token(pilot)
        await go("workflows", *WALKS[walk])(pilot)

    snap(story, size=SIZES[size])


@pytest.mark.parametrize("theme", ["circuit-light", "circuit-contrast"])
def test_a_what_if_in_other_themes(snap: Callable[..., None], theme: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await token(pilot)
        await go("workflows", "w", "f", "enter")(pilot)

    snap(story, size=SIZES["medium"], theme=theme)


def test_a_what_if_in_plain(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await token(pilot)
        await go("workflows", "w", "f", "enter")(pilot)

    snap(story, size=SIZES["medium"], plain=True)


@pytest.mark.parametrize("size", SIZES)
def test_a_token_that_waits(snap: Callable[..., None], size: str) -> None:
    """Clocks, work inside, and a history with everything that can stand in it."""

    async def story(pilot: Pilot[None]) -> None:
        engine = bridge_of(pilot).engine
        assert engine is not None
        made = await engine.workflows.create(
            {
                "name": "A claim",
                "places": ["open", "checked", "paid"],
                "placeSettings": [{"id": "checked", "timeoutSeconds": 3600}],
                "finalPlaces": ["paid"],
                "transitions": [
                    {
                        "id": "check",
                        "fromStates": ["open"],
                        "toState": "checked",
                        "subWorkflow": "document_approval_v1",
                    },
                    {"id": "skip", "fromStates": ["open"], "toState": "checked"},
                    {"id": "pay", "fromStates": ["checked"], "toState": "paid", "timer": {"afterSeconds": 86400}},
                ],
            }
        )
        claim = await engine.workflows.create_token(made.id, caller=WORKBENCH, data={"claim": 4711})
        await engine.workflows.fire(claim.id, "skip", caller=WORKBENCH, reason="small enough")
        await engine.workflows.roll_back(claim.id, 1, caller=WORKBENCH, reason="it was not")
        await engine.workflows.fire(claim.id, "check", caller=WORKBENCH)
        await engine.workflows.fork(claim.id, caller=WORKBENCH, reason="the other way")
        claim = (await engine.workflows.tokens(workflow=made.id))[0]
        await engine.workflows.fire(claim.id, "skip", caller=WORKBENCH)
        await go("workflows", "up", "up")(pilot)

    snap(story, size=SIZES[size])


def test_many_tokens(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        engine = bridge_of(pilot).engine
        assert engine is not None
        for number in range(300):
            made = await engine.workflows.create_token("document_approval_v1", caller=WORKBENCH)
            if number % 3:
                await engine.workflows.fire(made.id, "submit", caller=WORKBENCH)
        await go("workflows", "enter", "G")(pilot)

    snap(story)


# -- server -----------------------------------------------------------------------------------------------------------


def shown(state: ServerState) -> Story:
    """The server screen as it is in this state."""

    async def story(pilot: Pilot[None]) -> None:
        await go("server")(pilot)
        bridge: Bridge = bridge_of(pilot)
        bridge.server = state
        pilot.app.screen.post_message(ServerChanged(state))

    return story


ON = ServerState("on", "http://127.0.0.1:3000/v1", "http://127.0.0.1:4000/graphql")
TAKEN = PortTaken(
    "Port 3000 is taken by node (process 4242).",
    why="Address already in use.",
    fix="Quit that program, or choose another port: 0 takes a free one.",
)


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("state", [ON, ServerState("off", error=TAKEN)], ids=["on", "taken"])
def test_the_server(snap: Callable[..., None], state: ServerState, size: str) -> None:
    snap(shown(state), size=SIZES[size])


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_taken_port_is_said_in_the_chat(snap: Callable[..., None], size: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        bridge = bridge_of(pilot)
        bridge.server = ServerState("off", error=TAKEN)
        pilot.app.screen.post_message(ServerChanged(bridge.server))

    snap(story, size=SIZES[size])


def test_the_server_at_work(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await shown(ON)(pilot)
        engine = bridge_of(pilot).engine
        assert engine is not None
        for _ in range(5):
            chat = await engine.chats.start("auto")
            async for _ in engine.chats.say(chat, "Hello", WORKBENCH):
                pass

    snap(story)


def test_another_snippet(snap: Callable[..., None]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await shown(ON)(pilot)
        await pilot.press("n", "n")

    snap(story, size=SIZES["medium"])


# -- when it does not open --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_database_that_is_none(snap: Callable[..., None], size: str) -> None:
    def refuse() -> Any:
        raise StoreCorrupt(
            "notes.txt is not a database.",
            why="Its first bytes are those of another kind of file.",
            fix="Move it away, or name another file with --store sqlite:///PATH. It was not changed.",
        )

    snap(go("chat"), size=SIZES[size], open_engine=refuse)


@pytest.mark.parametrize("size", [(59, 20), (60, 19), (20, 5)], ids=str)
def test_too_small_a_terminal_gets_a_sentence(snap: Callable[..., None], size: tuple[int, int]) -> None:
    snap(go("chat"), size=size)
