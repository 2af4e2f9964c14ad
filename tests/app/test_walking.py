"""The Workflows screen walked over by its keys: findings and answers played, the past, what if, and the way back."""

from collections.abc import Sequence

from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Static

from app.screens.dialogs import Ask
from app.screens.evidence import Evidence
from app.screens.stage import Stage
from app.widgets.frame import Fault
from app.widgets.net_picture import NetPicture
from app.widgets.virtual_table import VirtualTable
from app.workbench import MOST_TOASTS, Workbench
from engine.kernel.caller import WORKBENCH
from engine.nets.token import Token
from engine.workflows.events import Notice
from engine.workflows.service import Workflows
from tests.workbench import bridge_of, ready, rest, until, workbench

SIZE = (140, 45)
STUCK = {
    "name": "Stuck",
    "places": ["start", "a", "b", "end"],
    "finalPlaces": ["end"],
    "transitions": [
        {"id": "left", "fromStates": ["start"], "toState": "a"},
        {"id": "right", "fromStates": ["start"], "toState": "b"},
        {"id": "join", "inputs": ["a", "b"], "outputs": ["end"]},
    ],
}
NAMES = {" ": "space"}


def workflows_of(pilot: Pilot[None]) -> Workflows:
    engine = bridge_of(pilot).engine
    assert engine is not None
    return engine.workflows


def stage_of(pilot: Pilot[None]) -> Stage:
    return pilot.app.screen.query_one(Stage)


def text_of(pilot: Pilot[None], id: str) -> str:
    content = pilot.app.screen.query_one(f"#{id}", Static).visual
    assert isinstance(content, Content)
    return content.plain


def notes(app: Workbench) -> list[str]:
    return [note.message for note in app._notifications]


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Each key, after what the one before has begun."""
    for key in keys:
        await pilot.press(key)
        await rest(pilot)


async def type_line(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*(NAMES.get(character, character) for character in text), "enter")
    await rest(pilot)


async def to_a_token(pilot: Pilot[None], *fired: str) -> Token:
    """A document that these transitions were fired on, looked at."""
    await ready(pilot)
    workflows = workflows_of(pilot)
    token = await workflows.create_token("document_approval_v1", caller=WORKBENCH, data={"title": "Q3"})
    for transition in fired:
        token = await workflows.fire(token.id, transition, caller=WORKBENCH, data={"last": transition})
    await press(pilot, "f4")
    return token


async def kinds(pilot: Pilot[None], token: Token) -> Sequence[str]:
    return [event.kind for event in await workflows_of(pilot).history(token.id)]


# -- findings ---------------------------------------------------------------------------------------------------------


async def test_a_finding_is_chosen_and_its_run_is_walked() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await workflows_of(pilot).create(STUCK)
        await press(pilot, "f4", "down", "down")
        assert "✗ 3 errors, v shows" in text_of(pilot, "net-title")
        await press(pilot, "v")
        assert isinstance(app.screen, Evidence)
        await press(pilot, "enter")
        assert "step 1 of 2  begins in start" in text_of(pilot, "caption")
        assert "It gets stuck in a" in text_of(pilot, "net-title")
        await press(pilot, "right")
        assert "step 2 of 2  left → a" in text_of(pilot, "caption")
        assert "▸2 left → a" in text_of(pilot, "history")
        await press(pilot, "right")
        assert notes(app)[-1] == "This is the end."
        await press(pilot, "left", "left")
        assert notes(app)[-1] == "This is the beginning."
        await press(pilot, "f")
        assert "Nothing fires in a run" in notes(app)[-1]
        await press(pilot, "escape")
        assert stage_of(pilot).walk is None
        assert "stuck_v1" in text_of(pilot, "net-title")


async def test_a_finding_without_a_run_says_so_and_facts_can_be_read() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await workflows_of(pilot).create(STUCK)
        await press(pilot, "f4", "down", "down", "v", "end", "enter")
        assert notes(app)[-1] == "No run shows this: it is about how the net is built."
        assert isinstance(app.screen, Evidence)
        facts = [str(static.visual) for static in app.screen.query(Static)]
        assert any("start + a + b + 2×end is always 1" in fact and "free choice" in fact for fact in facts)


async def test_a_run_plays_and_pauses() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await workflows_of(pilot).create(STUCK)
        await press(pilot, "f4", "down", "down", "v", "enter")
        stage = stage_of(pilot)
        assert not stage.playing  # no motion is wanted here
        stage.every_s = 3600
        await press(pilot, "space")
        assert text_of(pilot, "caption").startswith("▶ step 1")
        await press(pilot, "space")
        assert text_of(pilot, "caption").startswith("‖ step 1")
        stage.every_s = 0.01
        await pilot.press("space")
        await until(pilot, lambda: not stage.playing)
        assert text_of(pilot, "caption").startswith("‖ step 2")


async def test_where_motion_is_wanted_a_run_plays_by_itself() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.animation_level = "full"
        await workflows_of(pilot).create(STUCK)
        await press(pilot, "f4", "down", "down", "v")
        await pilot.press("enter")
        await until(pilot, lambda: stage_of(pilot).walk is not None)
        assert stage_of(pilot).playing


# -- questions --------------------------------------------------------------------------------------------------------


async def test_a_question_is_answered_and_its_loop_goes_round() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot)
        await press(pilot, "a")
        await type_line(pilot, "eventually approved")
        assert isinstance(app.screen, Evidence)
        assert "✗ it does not hold" in text_of(pilot, "verdict")
        await press(pilot, "enter", "right", "right", "right")
        assert "step 4 of 4  revise → draft  ↺ step 1" in text_of(pilot, "caption")
        await press(pilot, "right")
        assert "step 2 of 4" in text_of(pilot, "caption")


async def test_a_question_that_holds_has_a_witness() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot)
        await press(pilot, "a")
        await type_line(pilot, "can approved be reached without rejected")
        assert "✓ it holds" in text_of(pilot, "verdict")
        await press(pilot, "enter", "right", "right")
        assert "step 3 of 3  approve → approved" in text_of(pilot, "caption")


async def test_a_question_that_cannot_be_read_is_an_error_and_is_there_again() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot)
        await press(pilot, "a")
        await type_line(pilot, "can aproved be reached")
        assert "aproved" in app.screen.query_one(Fault).text[0]
        await press(pilot, "a", "enter")
        assert app.screen.query_one(Fault).has_class("shown")


# -- the past ---------------------------------------------------------------------------------------------------------


async def test_history_is_walked_backwards_and_forwards() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot, "submit", "approve")
        await press(pilot, "left")
        assert "v2 of 3" in text_of(pilot, "net-title")
        assert "last submit" in text_of(pilot, "token")
        assert "▸2 submit → review" in text_of(pilot, "history")
        assert "( ● review )" in app.screen.query_one(NetPicture).text
        await press(pilot, "left", "left")
        assert notes(app)[-1] == "This is the beginning."
        assert "last" not in text_of(pilot, "token")
        await press(pilot, "right", "end")
        assert stage_of(pilot).walk is None
        assert "approved  v3" in text_of(pilot, "token")


async def test_what_happens_while_one_is_in_the_past_is_added_to_it() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit")
        await press(pilot, "left")
        await workflows_of(pilot).fire(token.id, "reject", caller=WORKBENCH)
        await rest(pilot)
        assert "v1 of 3" in text_of(pilot, "net-title")


async def test_another_token_ends_the_walk() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot, "submit")
        await workflows_of(pilot).create_token("document_approval_v1", caller=WORKBENCH)
        await rest(pilot)
        await press(pilot, "left", "T")
        assert stage_of(pilot).walk is None


async def test_without_a_past_it_says_so() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot)
        await press(pilot, "left", "u", "b")
        assert [note[:30] for note in notes(app)] == [
            "Nothing has happened to this t", "Nothing has happened to this t", "← walks back through its histo",
        ]  # fmt: skip


async def test_a_token_is_rolled_back_to_where_one_stands_and_back_again() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit", "approve")
        await press(pilot, "left", "left", "b")
        assert isinstance(app.screen, Ask)
        await type_line(pilot, "too early")
        now = await workflows_of(pilot).token(token.id)
        assert (dict(now.marking), dict(now.data), now.version) == ({"draft": 1}, {"title": "Q3"}, 4)
        assert (await workflows_of(pilot).history(token.id))[-1].reason == "too early"
        assert "draft  v4" in text_of(pilot, "token")
        assert "rolled back to v1 → draft “too early”" in text_of(pilot, "history")
        await press(pilot, "u", "enter")
        now = await workflows_of(pilot).token(token.id)
        assert (dict(now.marking), dict(now.data)) == ({"approved": 1}, {"title": "Q3", "last": "approve"})


async def test_nothing_is_rolled_back_when_the_dialog_is_left() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit")
        await press(pilot, "left", "b", "escape")
        assert await kinds(pilot, token) == ["created", "fired"]
        assert stage_of(pilot).walk is not None


async def test_a_token_that_moved_meanwhile_is_not_rolled_back() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit")
        await press(pilot, "left", "b")
        await workflows_of(pilot).fire(token.id, "reject", caller=WORKBENCH)
        await press(pilot, "enter")
        assert app.screen.query_one(Fault).has_class("shown")
        assert await kinds(pilot, token) == ["created", "fired", "fired"]
        assert "rejected  v3" in text_of(pilot, "token")


# -- what if ----------------------------------------------------------------------------------------------------------


async def test_a_what_if_stores_nothing_and_then_does() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot)
        await press(pilot, "w")
        assert "nothing is stored" in text_of(pilot, "net-title")
        await press(pilot, "f", "enter", "f", "enter")
        assert "step 3 of 3  approve → approved" in text_of(pilot, "caption")
        assert "approved  v3" in text_of(pilot, "token")
        assert await kinds(pilot, token) == ["created"]
        await press(pilot, "c")
        assert await kinds(pilot, token) == ["created", "fired", "fired"]
        assert stage_of(pilot).walk is None
        assert "approved  v3" in text_of(pilot, "token")


async def test_another_way_is_tried_from_an_earlier_step() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot)
        await press(pilot, "w", "f", "enter", "f", "enter", "left", "f", "down", "enter")
        assert "step 3 of 3  reject → rejected" in text_of(pilot, "caption")
        await press(pilot, "escape")
        assert await kinds(pilot, token) == ["created"]
        assert "draft  v1" in text_of(pilot, "token")


async def test_the_picture_fires_on_the_copy_too() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot)
        await press(pilot, "w", "period", "period", "enter")
        assert "step 2 of 2  submit → review" in text_of(pilot, "caption")
        assert await kinds(pilot, token) == ["created"]


async def test_a_what_if_of_a_token_that_moved_is_not_done() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot)
        await press(pilot, "w", "f", "enter")
        await workflows_of(pilot).fire(token.id, "submit", caller=WORKBENCH)
        await rest(pilot)
        assert "✗ the token has moved since" in text_of(pilot, "net-title")
        await press(pilot, "c")
        assert app.screen.query_one(Fault).has_class("shown")
        assert notes(app)[-1] == "0 of 1 steps were fired, then it could not go on."
        assert await kinds(pilot, token) == ["created", "fired"]


async def test_without_steps_nothing_is_done() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot)
        await press(pilot, "c", "w", "c", "w")
        assert notes(app)[-2:] == [
            "c does the steps of a what-if for real; w begins one.",
            "No step was tried yet: f fires one.",
        ]
        assert stage_of(pilot).walk is None


# -- fork, cancel, waiting --------------------------------------------------------------------------------------------


async def test_a_token_is_forked() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit")
        await press(pilot, "F")
        await type_line(pilot, "other way")
        newest = (await workflows_of(pilot).tokens())[0]
        assert newest.id != token.id
        assert dict(newest.marking) == {"review": 1}
        assert f"forked from …{token.id[-6:]} v2" in text_of(pilot, "history")


async def test_a_token_is_cancelled_and_brought_back() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        token = await to_a_token(pilot, "submit")
        await press(pilot, "x")
        await type_line(pilot, "withdrawn")
        assert (await workflows_of(pilot).token(token.id)).status == "cancelled"
        assert text_of(pilot, "token").startswith("cancelled")
        await press(pilot, "x")
        assert notes(app)[-1] == "It is cancelled already; u brings it back."
        await press(pilot, "u", "enter")
        assert "review  v4" in text_of(pilot, "token")


async def test_what_a_token_waits_for_is_seen() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        workflows = workflows_of(pilot)
        flow = await workflows.create(
            {
                "name": "Waiting",
                "places": ["open", "done"],
                "placeSettings": [{"id": "open", "timeoutSeconds": 60}, {"id": "done", "notify": True}],
                "transitions": [
                    {"id": "close", "fromStates": ["open"], "toState": "done", "timer": {"afterSeconds": 3600}}
                ],
            }
        )
        token = await workflows.create_token(flow.id, caller=WORKBENCH)
        await press(pilot, "f4", "end")
        assert "◷ overdue in open at" in text_of(pilot, "token")
        assert "◷ close fires at" in text_of(pilot, "token")
        await workflows.fire(token.id, "close", caller=WORKBENCH)
        await rest(pilot)
        assert "◷" not in text_of(pilot, "token")
        assert [note.title for note in app._notifications] == ["Arrived in done"]


# -- leaving, notices -------------------------------------------------------------------------------------------------


async def test_escape_goes_one_step_back() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await to_a_token(pilot, "submit")
        app.screen.query_one(VirtualTable).focus()
        await press(pilot, "left")
        assert isinstance(app.focused, NetPicture)
        await press(pilot, "escape")
        assert isinstance(app.focused, VirtualTable)
        await press(pilot, "escape")
        assert app.focused is app.screen.query_one("#workflows-list")


async def test_notices_are_said_wherever_one_is() -> None:
    app = workbench()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        workflows = workflows_of(pilot)
        token = await workflows.create_token("document_approval_v1", caller=WORKBENCH)
        workflows.bus.publish([Notice(token, "review", overdue=True)])
        await until(pilot, lambda: len(app._notifications) == 1)
        note = next(iter(app._notifications))
        assert note.title == "Overdue in review"
        assert token.id[-6:] in note.message
        workflows.bus.publish([Notice(token, "approved", overdue=False)] * 40)
        await until(pilot, lambda: len(app._notifications) == 1 + MOST_TOASTS + 1)
        assert "40 tokens were announced" in notes(app)[-1]
