"""The net picture as a widget: looked at, walked over, clicked on."""

import asyncio
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.widgets import net_picture
from app.widgets.net_picture import NetPicture
from engine.nets.model import Arc, Net, Place, Transition
from engine.nets.picture import DrawnArc, DrawnPlace, DrawnTransition, Element, Layout, Scene

DRAFT, REVIEW = DrawnPlace("draft", initial=1), DrawnPlace("review")
SUBMIT = DrawnTransition("submit", "submit")
APPROVE = DrawnTransition("approve", "approve")


def state_machine(*steps: tuple[str, str, str]) -> Net:
    """A net of (from, transition, to); it starts in the first place."""
    places = dict.fromkeys(place for start, _, end in steps for place in (start, end))
    transitions = (Transition(name, inputs=(Arc(start),), outputs=(Arc(end),)) for start, name, end in steps)
    return Net(tuple(map(Place, places)), tuple(transitions), {steps[0][0]: 1})


APPROVAL = state_machine(
    ("draft", "submit", "review"),
    ("review", "approve", "approved"),
    ("review", "reject", "rejected"),
    ("rejected", "revise", "draft"),
)
AT_DRAFT = Scene({"draft": 1}, frozenset({"submit"}))
AT_REVIEW = Scene({"review": 1}, frozenset({"approve", "reject"}))
LONG = state_machine(*((f"stage {i}", f"step {i}", f"stage {i + 1}") for i in range(12)))
LARGE = state_machine(*((f"stage {i}", f"step {i}", f"stage {i + 1}") for i in range(50)))


class Stage(App[None]):
    """One picture on an otherwise empty screen, which writes down what the picture says."""

    def __init__(self, picture: NetPicture, net: Net | None = APPROVAL, scene: Scene = AT_DRAFT) -> None:
        super().__init__()
        self.picture, self.net, self.scene = picture, net, scene
        self.chosen: list[Element] = []
        self.fire_requests: list[tuple[str, str | None]] = []

    def compose(self) -> ComposeResult:
        yield self.picture

    def on_mount(self) -> None:
        if self.net:
            self.picture.show(self.net, self.scene)

    def on_net_picture_chosen(self, message: NetPicture.Chosen) -> None:
        self.chosen.append(message.element)

    def on_net_picture_fire_requested(self, message: NetPicture.FireRequested) -> None:
        self.fire_requests.append((message.transition_id, message.source))


@pytest.fixture
def picture() -> NetPicture:
    return NetPicture()


def lines_of(picture: NetPicture) -> list[str]:
    """What is on the screen."""
    return [picture.render_line(y).text for y in range(picture.scrollable_content_region.height)]


def spot(picture: NetPicture, element: Element) -> tuple[int, int]:
    """Where to click to hit `element`."""
    region = picture.region_of(element)
    assert region is not None
    x, y = region.offset - picture.scroll_offset
    return x + region.width // 2, y


async def click(pilot: Pilot[None], picture: NetPicture, element: Element, times: int = 1) -> None:
    await pilot.click(picture, offset=spot(picture, element), times=times)
    await pilot.pause()


async def test_a_net_stands_in_the_middle_of_the_view(picture: NetPicture) -> None:
    async with Stage(picture).run_test(size=(100, 15)):
        lines = lines_of(picture)
        assert all(len(line) == 99 for line in lines)
        assert "( ● draft )━━[submit]━━▶(  review  )" in lines[5]
        assert not "".join(lines[:5]).strip()
        assert picture.text in "\n".join(line.rstrip()[14:] for line in lines)


async def test_without_a_net_there_is_a_sentence() -> None:
    picture = NetPicture(empty="Choose a workflow.")
    async with Stage(picture, net=None).run_test() as pilot:
        assert lines_of(picture)[0].strip() == "Choose a workflow."
        picture.show(Net((), (), {}), Scene())
        await pilot.press("enter", "down", "left")
        picture.select_next()
        picture.play_firing("nothing")
        assert lines_of(picture)[0].strip() == "Choose a workflow."


async def test_a_click_chooses(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        await click(pilot, picture, REVIEW)
        await click(pilot, picture, DrawnArc("review", "submit", "output"))
        assert app.chosen == [REVIEW, DrawnArc("review", "submit", "output")]
        assert picture.chosen == app.chosen[-1]
        await pilot.click(picture, offset=(0, 0))
        assert picture.chosen is None
        assert app.fire_requests == []


async def test_what_is_chosen_looks_different_without_colour(picture: NetPicture) -> None:
    def reversed_text() -> str:
        segments = (
            segment for y in range(picture.scrollable_content_region.height) for segment in picture.render_line(y)
        )
        return "".join(segment.text for segment in segments if segment.style and segment.style.reverse)

    async with Stage(picture).run_test(size=(100, 15)) as pilot:
        assert reversed_text() == ""
        await click(pilot, picture, SUBMIT)
        assert reversed_text() == "[submit]"


async def test_a_second_click_on_an_enabled_transition_asks_to_fire_it(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        for _ in range(2):
            picture.chosen = APPROVE
            await click(pilot, picture, APPROVE)
        assert app.fire_requests == []
        picture.chosen = SUBMIT
        await click(pilot, picture, SUBMIT)
        assert app.fire_requests == [("submit", None)]


@pytest.mark.parametrize("chosen_before", [True, False])
async def test_a_double_click_asks_once(picture: NetPicture, chosen_before: bool) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        picture.chosen = SUBMIT if chosen_before else None
        await click(pilot, picture, SUBMIT, times=2)
        assert app.fire_requests == [("submit", None)]


async def test_arcs_that_share_a_trunk_take_turns(picture: NetPicture) -> None:
    app = Stage(picture, scene=AT_REVIEW)
    async with app.run_test(size=(100, 15)) as pilot:
        trunk = picture.region_of(REVIEW)
        assert trunk is not None
        for _ in range(3):
            await pilot.click(picture, offset=trunk.top_right - picture.scroll_offset)
        assert app.chosen == [DrawnArc("review", mode, "input") for mode in ("approve", "reject", "approve")]


async def test_keys_choose_and_fire(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        picture.focus()
        for step in (picture.select_next, picture.select_next, picture.select_next, picture.select_previous):
            step()
        await pilot.press("enter")
        assert app.chosen == [DRAFT, SUBMIT, REVIEW, SUBMIT]
        assert app.fire_requests == [("submit", None)]
        picture.select_previous()
        await pilot.press("enter")
        assert app.fire_requests == [("submit", None)], "a place cannot be fired"


async def test_selection_goes_round(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        for _ in range(9):
            picture.select_next()
        await pilot.pause()
        assert len(set(app.chosen)) == 8
        assert app.chosen[0] == app.chosen[8]


async def test_any_of_asks_for_the_mode_that_was_clicked(picture: NetPicture) -> None:
    close = Transition("close", sources=("draft", "review"), outputs=(Arc("closed"),))
    submit = Transition("submit", inputs=(Arc("draft"),), outputs=(Arc("review"),))
    net = Net(tuple(map(Place, ("draft", "review", "closed"))), (submit, close), {"draft": 1})
    app = Stage(picture, net, Scene({"draft": 1}, frozenset({"submit", "close@draft"})))
    async with app.run_test(size=(100, 15)) as pilot:
        for source in ("review", "draft"):
            await click(pilot, picture, DrawnTransition(f"close@{source}", "close", source), times=2)
        assert app.fire_requests == [("close", "draft")]


async def test_a_new_scene_paints_only_lines_that_differ(picture: NetPicture, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(picture).run_test(size=(100, 15)) as pilot:
        lines_of(picture)
        kept = dict(picture._strips)
        laid_out: list[Layout | None] = []
        monkeypatch.setattr(net_picture, "_planned", laid_out.append)
        picture.show(replace(APPROVAL), AT_REVIEW)
        await pilot.pause()
        assert "[approve]" in "\n".join(lines_of(picture))
        assert laid_out == []
        same = {row for row, strip in picture._strips.items() if kept.get(row) is strip}
        assert 3 in same
        assert 0 not in same


@pytest.mark.parametrize("off", ["reduced motion", "no animations"])
async def test_tokens_do_not_travel_where_motion_is_not_wanted(picture: NetPicture, off: str) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)):
        picture.reduced_motion = off == "reduced motion"
        app.animation_level = "none" if off == "no animations" else "full"
        picture.play_firing("submit")
        assert not picture.travelling
        picture.show(APPROVAL, AT_REVIEW)
        assert "( ● review )" in picture.text


async def test_a_token_travels_and_the_next_scene_waits_for_it(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        app.animation_level = "full"
        picture.play_firing("submit")
        picture.show(APPROVAL, AT_REVIEW)
        assert picture.travelling
        assert "(  draft  )" in picture.text, "it has left its place"
        picture.travelled = 0.5
        assert "\n".join(lines_of(picture)).count("◉") == 1
        assert "( ● review )" not in picture.text
        await pilot.wait_for_animation()
        assert not picture.travelling
        assert "◉" not in "\n".join(lines_of(picture))
        assert "( ● review )" in picture.text


async def test_a_token_on_its_way_arrives_before_the_next_one_leaves(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        app.animation_level = "full"
        picture.play_firing("submit")
        picture.show(APPROVAL, AT_REVIEW)
        picture.play_firing("approve")
        assert "[approve]" in picture.text
        assert "(  review  )" in picture.text
        await pilot.wait_for_animation()
        assert "( ● review )" in picture.text, "nobody showed another scene"


async def test_a_firing_survives_another_net_and_another_size(picture: NetPicture) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        app.animation_level = "full"
        picture.play_firing("submit")
        await pilot.resize_terminal(50, 20)
        await pilot.pause()
        assert not picture.travelling
        picture.play_firing("submit")
        picture.show(LONG, Scene({"stage 0": 1}))
        assert not picture.travelling
        assert "● stage 0" in picture.text


async def test_narrow_views_get_other_pictures_and_at_last_a_list(picture: NetPicture) -> None:
    async with Stage(picture).run_test(size=(100, 20)) as pilot:
        assert "┌─▶( ● draft )" in picture.text
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert "▼" in picture.text
        await pilot.resize_terminal(24, 20)
        await pilot.pause()
        assert picture.text.split("\n")[1].startswith("re…")
        assert lines_of(picture)[0].strip().startswith("● dr…")
        await pilot.resize_terminal(100, 20)
        await pilot.pause()
        assert "┌─▶( ● draft )" in picture.text


async def test_in_a_list_a_place_is_where_it_comes_first(picture: NetPicture) -> None:
    app = Stage(picture, LONG, Scene({"stage 6": 1}))
    async with app.run_test(size=(14, 5)) as pilot:
        await pilot.pause()
        region = picture.region_of(DrawnPlace("stage 6"))
        assert region is not None
        assert (region.y, region.height) == (5, 1)
        assert "●" in "".join(lines_of(picture))


async def test_the_view_moves_over_a_larger_picture(picture: NetPicture) -> None:
    app = Stage(picture, LONG, Scene({"stage 6": 1}))
    app.animation_level = "none"
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        middle = picture.scroll_offset.y
        assert "● stage 6" in "\n".join(lines_of(picture)), "the marked place is in the view"
        assert "stage 0" not in "\n".join(lines_of(picture))
        picture.focus()
        await pilot.press("down", "down")
        assert picture.scroll_offset.y == middle + 4
        await pilot.press("home")
        await pilot.wait_for_animation()
        assert "stage 0" in "\n".join(lines_of(picture))
        picture.show(LONG, Scene({"stage 7": 1}))
        await pilot.pause()
        assert picture.scroll_offset.y == 0, "a firing does not move the view"


async def test_selecting_brings_into_view(picture: NetPicture) -> None:
    picture.reduced_motion = True
    async with Stage(picture, LONG, Scene({"stage 0": 1})).run_test(size=(60, 12)) as pilot:
        picture.select_previous()
        await pilot.pause()
        assert "stage 12" in "\n".join(lines_of(picture))
        await click(pilot, picture, DrawnPlace("stage 12"))
        assert picture.chosen == DrawnPlace("stage 12")


async def test_short_labels_on_request(picture: NetPicture) -> None:
    net = state_machine(("a rather long name", "a rather long step", "another long name"))
    async with Stage(picture, net, Scene()).run_test(size=(100, 12)) as pilot:
        picture.focus()
        full = picture.text
        assert "a rather long name" in full
        await pilot.press("minus")
        assert picture.compact
        assert "a rather lo…" in picture.text
        await pilot.press("right_square_bracket")
        assert picture.text == full


async def test_ascii_on_request(picture: NetPicture) -> None:
    async with Stage(picture).run_test(size=(100, 12)):
        picture.ascii = True
        assert picture.text.isascii()
        assert "+->( * draft )==[submit]==>(  review  )" in "\n".join(lines_of(picture))


async def test_a_large_net_is_laid_out_elsewhere(picture: NetPicture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the screen says so, and the last width that was wanted is the one that is drawn."""
    started, go_on = asyncio.Event(), asyncio.Event()
    widths: list[int] = []

    async def to_thread(plan, key):
        widths.append(key.width)
        started.set()
        await go_on.wait()
        return plan(key)

    monkeypatch.setattr(net_picture.asyncio, "to_thread", to_thread)
    async with Stage(picture, LARGE, Scene({"stage 40": 1})).run_test(size=(60, 12)) as pilot:
        await started.wait()
        assert lines_of(picture)[0].strip() == "drawing…"
        await pilot.resize_terminal(90, 12)
        await pilot.resize_terminal(80, 12)
        await pilot.pause()
        go_on.set()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.pause()
        assert widths == [57, 77]
        assert "● stage 40" in "\n".join(lines_of(picture))


async def test_the_last_net_wins(picture: NetPicture) -> None:
    """A small net that is shown while a large one is being drawn stays."""
    async with Stage(picture, LARGE, Scene()).run_test(size=(80, 12)) as pilot:
        picture.show(APPROVAL, AT_DRAFT)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert "● draft" in picture.text


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
async def test_colours_follow_the_theme(picture: NetPicture, theme: str) -> None:
    app = Stage(picture)
    async with app.run_test(size=(100, 15)) as pilot:
        lines_of(picture)
        app.theme = theme
        await pilot.pause()
        await pilot.pause()
        label = next(segment for segment in picture.render_line(5) if "[submit]" in segment.text)
        assert label.style is not None
        assert label.style.bgcolor == picture.rich_style.bgcolor
        assert label.style.color == picture.get_component_rich_style("net-picture--live").color


async def test_wide_letters_take_two_cells_on_the_screen(picture: NetPicture) -> None:
    net = replace(APPROVAL, places=(Place("draft", "草稿"), *APPROVAL.places[1:]))
    async with Stage(picture, net).run_test(size=(100, 15)) as pilot:
        assert {picture.render_line(y).cell_length for y in range(15)} == {99}
        await click(pilot, picture, REVIEW)
        assert picture.chosen == REVIEW
