"""Copying, finding, exporting, plain mode, the mouse: the small things."""

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Static

from app.bridge import Ports, ServerState
from app.clipboard import MOST, copy
from app.screens.dialogs import Pick
from app.widgets.find_bar import FindBar
from app.widgets.frame import PLACES, BottomBar
from app.widgets.prompt import Prompt
from app.widgets.transcript import Message, Transcript
from app.widgets.virtual_table import VirtualTable
from engine.kernel.caller import WORKBENCH
from engine.llm.messages import ChatMessage, ChatRequest, TextDelta
from tests.support import Gate
from tests.workbench import CODER, EMBEDDER, answer, providers, ready, rest, until, workbench

SIZE = (140, 45)
BOXES = set("╭╮╰╯│┌┐└┘┃━")


async def test_what_is_copied_is_in_the_clipboard_and_in_a_file_and_it_says_so(tmp_path: Path) -> None:
    app = workbench(providers(scripts=[answer("Hello there")]), folder=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("h", "i", "enter")
        await rest(pilot)
        await pilot.press("escape", "y")
        await rest(pilot)
        assert app.clipboard == "Hello there"
        assert (tmp_path / "copied.txt").read_text() == "Hello there"
        assert (tmp_path / "copied.txt").stat().st_mode & 0o077 == 0
        note = next(iter(app._notifications))
        assert "OSC 52" in note.message
        assert "copied.txt" in note.message


async def test_what_no_terminal_takes_is_copied_into_the_file_only(tmp_path: Path) -> None:
    app = workbench(folder=tmp_path)
    async with app.run_test(size=SIZE):
        said = copy(app, "x" * (MOST + 1), tmp_path)
        assert app.clipboard == ""
        assert "OSC 52" not in said
        assert len((tmp_path / "copied.txt").read_text()) == MOST + 1
        assert copy(app, "x" * (MOST + 1), tmp_path / "copied.txt") == "It could not be copied."


async def test_a_click_on_an_address_copies_it() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.bridge.server = ServerState("on", "http://127.0.0.1:3000/v1", "http://127.0.0.1:4000/graphql")
        bar = app.screen.query_one(BottomBar)
        bar.server = app.bridge.server
        await pilot.pause()
        await pilot.click(BottomBar, offset=(SIZE[0] - 4, 0))
        assert app.clipboard == "http://127.0.0.1:4000/graphql"
        await pilot.click(BottomBar, offset=(SIZE[0] - 12, 0))
        assert app.clipboard == "http://127.0.0.1:3000/v1"


async def test_a_conversation_is_searched() -> None:
    app = workbench(providers(scripts=[answer("one fish, two fish")]))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("h", "i", "enter")
        await rest(pilot)
        transcript = app.screen.query_one(Transcript)
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"fish")
        await rest(pilot)
        assert transcript.match == (1, 2)
        assert transcript._window.height == transcript.size.height, "what is above knows that there is less room"
        assert "2 found" in str(app.screen.query_one("FindBar Static", Static).render())
        await pilot.press("enter")
        await rest(pilot)
        await pilot.press("n")
        assert transcript.match == (2, 2)
        assert not app.screen.query(FindBar)
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("escape")
        await rest(pilot)
        assert transcript.match == (0, 0)


async def test_a_conversation_is_exported(tmp_path: Path) -> None:
    app = workbench(providers(scripts=[answer("Hello **there**")]), folder=tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.screen.query_one(Prompt).text = "What is a/b? ../日本語"
        await pilot.press("enter")
        await rest(pilot)
        await pilot.press("escape", "e")
        await rest(pilot)
        (file,) = (tmp_path / "exports").iterdir()
        assert "日本語" in file.name
        assert "## you\n\nWhat is a/b? ../日本語\n\n## " in file.read_text()
        assert "Hello **there**" in file.read_text()


async def test_a_stopped_answer_goes_on() -> None:
    gate = Gate()
    given = providers(ollama=[CODER], scripts=[[TextDelta("so far"), gate], answer("and the rest")])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("h", "i", "enter")
        await asyncio.wait_for(gate.reached.wait(), 30)
        await pilot.press("escape")
        await rest(pilot)
        await pilot.press("escape", "o")
        await rest(pilot)
        sent = given["ollama"].asked[-1].messages
        assert [message.role for message in sent] == ["user", "assistant", "user"]
        assert app.screen.query_one(Transcript).messages[-1].text == "and the rest"


async def test_what_cannot_chat_is_shown_with_the_reason_and_cannot_be_chosen() -> None:
    app = workbench(providers(ollama=[CODER, EMBEDDER]))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+t")
        await rest(pilot)
        app.screen.query_one(Input).value = "nomic"
        await rest(pilot)
        option = app.screen.query_one(OptionList).get_option_at_index(0)
        assert option.disabled
        assert "does not chat" in str(option.prompt)
        await pilot.press("enter")
        assert isinstance(app.screen, Pick)


@pytest.mark.parametrize("place", [place for place, _ in PLACES])
async def test_plain_has_no_boxes(place: str) -> None:
    plain, boxed = workbench(plain=True), workbench()
    shown = []
    for app in (plain, boxed):
        async with app.run_test(size=(100, 30)) as pilot:
            await ready(pilot)
            await app.run_action(f"go_{place}")
            await rest(pilot)
            app.screen.query(Transcript).set(display=False)  # its Markdown underlines headings
            await pilot.press("f1")
            await rest(pilot)
            shown.append(set("".join(strip.text for strip in app.screen._compositor.render_strips())))
    assert not shown[0] & BOXES
    assert shown[1] & BOXES, "the control"


async def test_a_screen_that_was_not_seen_catches_up() -> None:
    app = workbench(ports=Ports(openai=0, graphql=0))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await rest(pilot)
        requests = app.screen.query_one(VirtualTable)
        assert requests.total == 0
        await pilot.press("f2")
        await rest(pilot)
        engine = app.bridge.engine
        assert engine is not None
        question = ChatRequest("auto", (ChatMessage.of("user", "Hello"),))
        await (await engine.llm.chat(question, WORKBENCH)).whole()
        await until(pilot, lambda: len(app.bridge.served) == 1)
        assert requests.total == 0
        await pilot.press("f5")
        await rest(pilot)
        assert requests.total == 1


async def test_the_window_changes_its_size_while_an_answer_streams() -> None:
    gate = Gate()
    app = workbench(providers(ollama=[CODER], scripts=[[TextDelta("日本語 " * 200), gate, *answer(" the end")]]))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("h", "i", "enter")
        await asyncio.wait_for(gate.reached.wait(), 30)
        for size in ((60, 20), (20, 5), (100, 30)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        gate.opened.set()
        await rest(pilot)
        assert app.screen.query_one(Transcript).messages[-1].text.endswith(" the end")


async def test_quitting_while_an_answer_streams_keeps_what_came() -> None:
    gate = Gate()
    given = providers(ollama=[CODER], scripts=[[TextDelta("so far"), gate]])
    app = workbench(given)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("h", "i", "enter")
        await asyncio.wait_for(gate.reached.wait(), 30)
        await pilot.press("ctrl+q")
    assert given["ollama"].open == 0


def test_a_message_without_text_is_exported_as_its_title() -> None:
    from app.screens.chat_words import exported

    assert exported("T", [Message(role="assistant", title="m", meta="stopped")]) == "# T\n\n## m\n\n*stopped*\n"
