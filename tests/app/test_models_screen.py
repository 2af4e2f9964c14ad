"""The Models screen driven by its keys: fetching, stopping, deleting, and what is shown of each model."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from app.screens.dialogs import Ask, Sure
from app.screens.models import facts
from app.widgets.frame import Fault
from app.widgets.virtual_table import VirtualTable
from engine.kernel.errors import ProviderUnavailable
from engine.kernel.machine import Machine
from engine.llm.fit import fit
from engine.llm.health import Speed
from engine.llm.model import Price
from engine.llm.ports import Progress
from tests.support import Gate, ScriptedKeeper, turns_of_the_loop
from tests.workbench import CODER, Providers, providers, ready, rest, until, workbench

SIZE = (140, 45)
STEPS = (Progress("pulling manifest"), Progress("pulling 3f2a", 1_000_000_000, 2_000_000_000))


def keeping(*steps: object) -> tuple[ScriptedKeeper, Providers]:
    keeper = ScriptedKeeper("ollama", [CODER], steps)  # type: ignore[arg-type]
    return keeper, {**providers(), "ollama": keeper}


async def opened(pilot: Pilot[None]) -> None:
    await ready(pilot)
    await pilot.press("f3")
    await rest(pilot)


async def typed(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*("colon" if character == ":" else character for character in text), "enter")


def line(pilot: Pilot[None]) -> Static:
    return pilot.app.screen.query_one("#pulling", Static)


async def test_a_model_is_fetched_and_then_there() -> None:
    gate = Gate()
    keeper, given = keeping(*STEPS, gate)
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        assert not line(pilot).has_class("shown")
        await pilot.press("p")
        assert isinstance(pilot.app.screen, Ask)
        await typed(pilot, "phi3:mini")
        await asyncio.wait_for(gate.reached.wait(), 30)
        await pilot.pause()
        assert line(pilot).has_class("shown")
        assert "phi3:mini  pulling 3f2a" in str(line(pilot).render())
        assert "50%  1.0 of 2.0 GB" in str(line(pilot).render())
        await pilot.press("p")
        assert not isinstance(pilot.app.screen, Ask), "one at a time"
        gate.opened.set()
        await until(pilot, lambda: not line(pilot).has_class("shown"))
        await until(pilot, lambda: "ollama/phi3:mini" in {row.key for row in pilot.app.screen._rows()})  # type: ignore[attr-defined]
    assert keeper.pulled == ["phi3:mini"]


async def test_fetching_stops_when_asked_and_goes_on_later() -> None:
    gate = Gate()
    keeper, given = keeping(*STEPS, gate)
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.press("s")  # nothing to stop
        await pilot.press("p")
        await typed(pilot, "phi3:mini")
        await asyncio.wait_for(gate.reached.wait(), 30)
        assert keeper.open == 1, "the control: it is being fetched"
        await pilot.press("s")
        await until(pilot, lambda: keeper.open == 0)
        await until(pilot, lambda: not line(pilot).has_class("shown"))
        assert len(await keeper.models()) == 1
        await pilot.press("p")
        assert isinstance(pilot.app.screen, Ask)


async def test_quitting_ends_it() -> None:
    gate = Gate()
    keeper, given = keeping(gate)
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.press("p")
        await typed(pilot, "phi3:mini")
        await asyncio.wait_for(gate.reached.wait(), 30)
        await pilot.press("ctrl+q")
    await turns_of_the_loop(lambda: keeper.open == 0)


async def test_what_goes_wrong_is_shown() -> None:
    gone = ProviderUnavailable("It broke off.", why="No reason.", fix="The same again goes on.")
    _, given = keeping(*STEPS, gone)
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.press("p")
        await typed(pilot, "phi3:mini")
        await rest(pilot)
        assert pilot.app.screen.query_one(Fault).text[0] == "It broke off."
        assert not line(pilot).has_class("shown")


@pytest.mark.parametrize(("key", "removed"), [("y", [CODER.name]), ("n", []), ("escape", [])])
async def test_a_model_is_deleted_after_asking(key: str, removed: list[str]) -> None:
    keeper, given = keeping()
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.press("home", "d")
        assert isinstance(pilot.app.screen, Sure)
        await pilot.press(key)
        await rest(pilot)
        keys = {row.key for row in pilot.app.screen._rows()}  # type: ignore[attr-defined]
    assert keeper.removed == removed
    assert (CODER.id in keys) == (not removed)


async def test_what_is_not_kept_here_is_not_deleted() -> None:
    _, given = keeping()
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        await pilot.press("end", "d")
        await rest(pilot)
        assert "keeps no models" in pilot.app.screen.query_one(Fault).text[0]


async def test_a_row_has_price_fit_and_speed() -> None:
    dear = replace(CODER, name="big:70b", size_bytes=40_000_000_000, price=Price(Decimal("0.05"), Decimal("0.4")))
    _, given = keeping()
    given["ollama"].known = (CODER, dear)
    async with workbench(given).run_test(size=SIZE) as pilot:
        await opened(pilot)
        engine = pilot.app.bridge.engine  # type: ignore[attr-defined]
        engine.llm.health.learn(CODER, 0.4, 41.7)
        rows = {row.key: row.cells for row in pilot.app.screen._rows()}  # type: ignore[attr-defined]
        assert rows[CODER.id][5:8] == ("free", "memory", "42")
        assert rows[dear.id][5:8] == ("0.05/0.4", "✗ no", "")
        assert pilot.app.screen.query_one(VirtualTable).cursor == CODER.id


def test_facts_say_what_is_known_and_nothing_else() -> None:
    here = Machine(16_000_000_000, 1_000_000_000)
    told = facts(CODER, fit(CODER, here), Speed(0.41, 38.2)).plain
    assert "0.41 s to the first token here" in told
    assert "38 tokens a second here" in told
    assert "too little" in told
    assert "can chat, tools" in told
    bare = facts(replace(CODER, price=None, context=0, local=False), None, Speed()).plain
    assert "price unknown" in bare
    assert "context unknown" in bare
    assert "leaves this machine" in bare
    assert not [word for word in ("None", "a second", "first token") if word in bare]
