"""What goes wrong is shown as what, why and fix, the workbench stays usable, and F8 does what can be done."""

import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from app.actions import actions_of
from app.bridge import Ports
from app.screens.dialogs import Pick
from app.screens.place import Place
from app.screens.workflows import WorkflowsScreen
from app.widgets.frame import PLACES, Fault
from app.widgets.net_picture import NetPicture
from app.widgets.prompt import MOST, Prompt
from app.widgets.transcript import Transcript
from app.workbench import Workbench
from engine.engine import Engine
from engine.kernel.caller import WORKBENCH
from engine.kernel.errors import CircuitBreakerError, KeyringUnavailable, StoreCorrupt, StoreUnavailable
from engine.llm.messages import TextDelta
from tests.support import FixedWorld
from tests.workbench import CODER, bridge_of, providers, ready, rest, settings, until, workbench

SIZE = (140, 45)
HELD = StoreUnavailable(
    "The database is held by another Circuit Breaker (process 4242).",
    why="Two would write over each other.",
    fix="Quit it, or name another file with --store.",
)
NOT_ONE = StoreCorrupt("notes.txt is not a database.", why="Its first bytes are others.", fix="Move it away.")


def refusing(error: CircuitBreakerError) -> Any:
    def refuse() -> AbstractAsyncContextManager[Engine]:
        raise error

    return refuse


def fault_of(app: Workbench) -> tuple[str, str, str]:
    fault = app.screen.query_one(Fault)
    assert fault.has_class("shown")
    return fault.text


async def ask(pilot: Pilot[None], text: str) -> str:
    """The last message after a question."""
    pilot.app.screen.query_one(Prompt).text = text
    await pilot.press("enter")
    await rest(pilot)
    messages = pilot.app.screen.query_one(Transcript).messages
    return messages[-1].text if messages else ""


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [HELD, NOT_ONE], ids=["held", "not one"])
@pytest.mark.parametrize("place", [place for place, _ in PLACES])
async def test_nothing_breaks_when_it_cannot_be_opened(error: CircuitBreakerError, place: str) -> None:
    app = workbench(open_engine=refusing(error))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await app.run_action(f"go_{place}")
        await rest(pilot)
        assert fault_of(app) == (error.what, error.why, error.fix)
        for action in actions_of(place):
            await app.run_action(f"screen.{action.id}")
            await rest(pilot)
            while not isinstance(app.screen, Place):
                app.pop_screen()
        assert app.is_running


async def test_f8_opens_what_is_free_again() -> None:
    world, free = FixedWorld().world, False

    def opened() -> AbstractAsyncContextManager[Engine]:
        if not free:
            raise HELD
        return Engine.open(settings(), world, providers=providers())

    app = workbench(open_engine=opened)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert fault_of(app)[0] == HELD.what
        free = True
        await pilot.press("f8")
        await until(pilot, lambda: app.bridge.engine is not None)
        await rest(pilot)
        assert not app.screen.query_one(Fault).has_class("shown")
        assert await ask(pilot, "Hello") == "ok"


async def test_a_taken_port_is_said_at_once_and_f8_takes_others(taken_port: int) -> None:
    app = workbench(ports=Ports(openai=taken_port, graphql=0))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert f"Port {taken_port} is taken by" in fault_of(app)[0]
        await pilot.press("f8")
        await until(pilot, lambda: app.bridge.server.state == "on")
        assert app.bridge.server.openai != f"http://127.0.0.1:{taken_port}/v1"
        assert not app.screen.query_one(Fault).has_class("shown")


async def test_without_an_error_f8_says_so() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f8")
        assert [note.message for note in app._notifications] == ["There is no error that a key would mend."]


# -- questions --------------------------------------------------------------------------------------------------------


async def test_an_unknown_model_is_told_with_the_nearest_and_f8_chooses_another() -> None:
    given = providers(ollama=[CODER])
    app = workbench(given, loaded=settings(default_model="qwen2.5-codr:3b"))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        said = await ask(pilot, "Hello")
        assert "'qwen2.5-codr:3b'" in said
        assert "Did you mean" in said
        assert "qwen2.5-coder:3b" in said
        await pilot.press("f8")
        assert isinstance(app.screen, Pick)


async def test_an_empty_question_is_not_sent() -> None:
    given = providers(ollama=[CODER])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await ask(pilot, " \n ")
        assert [note.message for note in app._notifications] == ["There is no question yet."]
        assert given["ollama"].asked == []


@pytest.mark.parametrize(("characters", "taken"), [(2_000_000, False), (MOST + 1, False), (1_000, True)])
async def test_what_is_far_too_long_is_not_pasted(characters: int, taken: bool) -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        prompt = app.screen.query_one(Prompt)
        app.post_message(events.Paste("x" * characters))
        await rest(pilot)
        assert len(prompt.text) == (characters if taken else 0)
        assert app.screen.query_one(Fault).has_class("shown") is not taken
        if not taken:
            assert f"{characters:,} characters" in fault_of(app)[0]


async def test_a_bug_in_a_provider_is_an_error_in_the_chat() -> None:
    given = providers(ollama=[CODER], scripts=[[TextDelta("It began "), ZeroDivisionError("a bug")]])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert "What:" in await ask(pilot, "Hello")
        assert app.is_running


# -- tokens -----------------------------------------------------------------------------------------------------------


async def to_a_token(pilot: Pilot[None]) -> str:
    engine = bridge_of(pilot).engine
    assert engine is not None
    token = await engine.workflows.create_token("document_approval_v1", caller=WORKBENCH)
    await pilot.press("f4")
    await rest(pilot)
    return token.id


async def test_an_unknown_workflow_is_told() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await to_a_token(pilot)
        screen = app.screen
        assert isinstance(screen, WorkflowsScreen)
        screen.begin("create", screen._create_token, "document_aproval_v1", "")
        await rest(pilot)
        what, why, _ = fault_of(app)
        assert "document_aproval_v1" in what
        assert "document_approval_v1" in why


async def test_a_transition_that_is_not_enabled_says_what_is_missing() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await to_a_token(pilot)
        picture = app.screen.query_one(NetPicture)
        picture.post_message(NetPicture.FireRequested("approve", None))
        await rest(pilot)
        assert "review" in " ".join(fault_of(app))
        await pilot.press("f8")
        assert isinstance(app.screen, Pick)


async def test_a_token_that_somebody_else_fired_is_shown_as_it_is_now() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        id = await to_a_token(pilot)
        screen, engine = app.screen, app.bridge.engine
        assert isinstance(screen, WorkflowsScreen)
        assert engine is not None
        seen = await engine.workflows.token(id)
        await engine.workflows.fire(id, "submit", caller=WORKBENCH)
        screen.begin("fire", screen._fire, seen, "submit", None, "")
        await rest(pilot)
        assert "The token has moved" in fault_of(app)[0]
        assert "review  v2" in str(screen.query_one("#token").render())


async def test_a_locked_keyring_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        engine = app.bridge.engine
        assert engine is not None

        async def locked(provider: str, secret: str) -> None:
            raise KeyringUnavailable("The keyring is locked.", why="Nobody unlocked it.", fix="Unlock it.")

        monkeypatch.setattr(engine.provider_keys, "set", locked)
        await pilot.press("f3")
        await rest(pilot)
        await pilot.press("a", "enter")
        await rest(pilot)
        await pilot.press("x", "enter")
        await rest(pilot)
        assert fault_of(app)[0] == "The keyring is locked."
