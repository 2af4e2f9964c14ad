"""The registry of actions: no key twice in one place, a method behind each, and nothing that does nothing."""

from collections import Counter
from importlib import import_module

import pytest

from app.actions import ACTIONS, EVERYWHERE, actions_of, bindings_of, shown_key, shown_keys, types
from app.screens.place import Place
from app.widgets.frame import PLACES
from app.workbench import SCREENS, Workbench
from tests.workbench import CODER, providers, ready, rest, workbench

DEAD = ("ctrl+h", "ctrl+i", "ctrl+m", "ctrl+left_square_bracket", "alt+")  # do not arrive from many terminals


def screen_class(place: str) -> type[Place]:
    module, name = SCREENS[place]
    found: type[Place] = getattr(import_module(module), name)
    return found


@pytest.mark.parametrize("place", [place for place, _ in PLACES])
def test_no_two_actions_of_one_place_share_a_key(place: str) -> None:
    keys = Counter(
        key for where in (place, EVERYWHERE) for action in actions_of(where) for key in action.keys.split(",") if key
    )
    assert [key for key, times in keys.items() if times > 1] == []


def test_no_key_is_dead_in_many_terminals() -> None:
    assert [action.id for action in ACTIONS if any(dead in action.keys for dead in DEAD)] == []


def test_each_action_has_a_method() -> None:
    for action in ACTIONS:
        owner = Workbench if action.place == EVERYWHERE else screen_class(action.place)
        assert callable(getattr(owner, f"action_{action.id}", None)), action.id


def test_each_screen_binds_its_actions() -> None:
    for place in SCREENS:
        assert bindings_of(place) == screen_class(place).BINDINGS


@pytest.mark.parametrize(
    ("key", "shown"), [("ctrl+p", "^p"), ("f1", "F1"), ("escape", "esc"), ("slash", "/"), ("n", "n")]
)
def test_keys_are_shown_as_people_write_them(key: str, shown: str) -> None:
    assert shown_key(key) == shown


def test_an_action_without_a_key_is_in_the_palette() -> None:
    assert {shown_keys(action) for action in ACTIONS if not action.keys} == {"palette"}


@pytest.mark.parametrize(("key", "typed"), [("f", True), ("1", True), ("f1", False), ("ctrl+n", False)])
def test_what_would_be_typed(key: str, typed: bool) -> None:
    assert types(key) is typed


@pytest.mark.parametrize(
    "action", [a for a in ACTIONS if a.place != EVERYWHERE and a.keys], ids=lambda action: f"{action.place}-{action.id}"
)
async def test_each_key_does_something_or_says_why_not(action) -> None:  # type: ignore[no-untyped-def]
    """Each key, on its fresh screen: the picture, the focus, the clipboard or a notice must change."""
    app = workbench(providers(ollama=[CODER]))
    async with app.run_test(size=(140, 45)) as pilot:
        await ready(pilot)
        await app.run_action(f"go_{action.place}")
        await rest(pilot)
        if action.place == "chat" and not action.keys.startswith("ctrl"):
            await pilot.press("escape")
        await pilot.pause()

        def seen() -> tuple[object, ...]:
            return (
                app.export_screenshot(), app.focused, app.screen, app.clipboard, tuple(app._notifications),
                app.bridge.server,
            )  # fmt: skip

        before = seen()
        await pilot.press(action.keys.split(",")[-1])
        await rest(pilot)
        assert seen() != before
