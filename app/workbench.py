"""The workbench: the Textual app. Screens, actions, themes; nothing else.

Only what the first paint needs is imported here: the chat screen. The others come when they are gone to, and the engine
comes after the first paint, on a thread (`app.bridge`).
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget

from app.actions import EVERYWHERE, actions_of, bindings_of, shown_keys
from app.bridge import Announced, Bridge, BudgetsReached, Ports
from app.clipboard import copy
from app.screens.chat import ChatScreen
from app.screens.place import Place
from app.themes import THEMES
from app.widgets.frame import Fault

log = logging.getLogger("app")
MOST_TOASTS = 3  # at once

_HERE = Path(__file__).parent
SCREENS = {
    "chat": ("app.screens.chat", "ChatScreen"),
    "models": ("app.screens.models", "ModelsScreen"),
    "workflows": ("app.screens.workflows", "WorkflowsScreen"),
    "server": ("app.screens.server", "ServerScreen"),
    "doctor": ("app.screens.doctor", "DoctorScreen"),
}


class Workbench(App[None]):
    TITLE = "Circuit Breaker"
    # The first screen's with ours: what a screen brings itself has everything parsed and applied once more
    CSS_PATH = [_HERE / "workbench.tcss", _HERE / "screens" / "chat.tcss"]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(EVERYWHERE)
    DEFAULT_MODE = "chat"
    COMMAND_PALETTE_BINDING = "f13"  # ours is in the registry

    def __init__(self, bridge: Bridge, *, theme: str = "circuit-dark", plain: bool = False) -> None:
        super().__init__()
        self.bridge = bridge
        self._places: dict[str, Place] = {}
        for place in SCREENS:
            self.add_mode(place, partial(self._made, place))
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme if theme in self.available_themes else "circuit-dark"
        if plain:
            self.animation_level = "none"
            self.add_class("plain")

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        ends = {signal.SIGTERM: 0, signal.SIGHUP: 0, signal.SIGINT: 130}  # interrupted, as shells have it
        for number, code in ends.items():
            try:
                loop.add_signal_handler(number, partial(self.exit, return_code=code))
            except (NotImplementedError, RuntimeError, ValueError):  # not the main thread: under test
                break
        self.bridge.watchers.append(self)
        self.call_after_refresh(self.bridge.start)

    def on_announced(self, message: Announced) -> None:
        """Say it wherever the user is; of many at once the last ones, and how many there were."""
        notices = message.notices
        for notice in notices[-MOST_TOASTS:]:
            title = f"{'Overdue in' if notice.overdue else 'Arrived in'} {notice.place}"
            text = f"Token …{notice.token.id[-6:]} of {notice.token.workflow}"
            self.notify(text, title=title, severity="warning" if notice.overdue else "information", markup=False)
        if len(notices) > MOST_TOASTS:
            self.notify(f"{len(notices)} tokens were announced; these are the last ones.")

    def on_budgets_reached(self, message: BudgetsReached) -> None:
        """Say of each budget how it stands now, and what that means."""
        latest = {event.standing.budget.id: event.standing for event in message.reached}
        for standing in [*latest.values()][-MOST_TOASTS:]:
            spent = standing.state == "exhausted"
            said = standing.message.partition(": ")[2]
            if spent:
                said += f" What costs is refused until {standing.until}; `circuit-breaker spend budget set` raises it."
            title = "A budget is spent" if spent else f"A budget is at {standing.part:.0%}"
            self.notify(said, title=title, severity="error" if spent else "warning", timeout=10, markup=False)

    # -- places -------------------------------------------------------------------------------------------------------

    def _made(self, place: str) -> Place:
        """A screen; it is made when it is first gone to."""
        module, screen = SCREENS[place]
        self._places[place] = getattr(import_module(module), screen)(self.bridge)
        return self._places[place]

    async def action_go_chat(self) -> None:
        await self.switch_mode("chat")

    async def action_go_models(self) -> None:
        await self.switch_mode("models")

    async def action_go_workflows(self) -> None:
        await self.switch_mode("workflows")

    async def action_go_server(self) -> None:
        await self.switch_mode("server")

    async def action_go_doctor(self) -> None:
        await self.switch_mode("doctor")

    async def action_chat_with(self, model: str) -> None:
        """Go to the chat, with this model."""
        await self.switch_mode("chat")
        chat = self._places["chat"]
        assert isinstance(chat, ChatScreen)
        chat.use_model(model)

    # -- actions of every place ---------------------------------------------------------------------------------------

    def action_help(self) -> None:
        if isinstance(self.screen, Place):
            self.push_screen(import_module("app.screens.help").help_of(self.screen.place, self.size.width))

    def action_jump(self) -> None:
        if isinstance(self.screen, Place):
            targets = [widget for widget in self.screen.focus_chain if widget.region.size]
            self.push_screen(import_module("app.screens.jump").Jump(targets), self._jumped)

    def _jumped(self, target: Widget | None) -> None:
        if target is not None:
            target.focus()

    async def action_mend(self) -> None:
        if isinstance(self.screen, Place) and self.screen.remedy:
            remedy, self.screen.remedy = self.screen.remedy, None
            self.screen.query_one(Fault).close()
            await self.run_action(remedy.action, self.screen)
        else:
            self.notify("There is no error that a key would mend.")

    def action_open_again(self) -> None:
        """Try again to open what could not be opened."""
        self.bridge.start()
        self.notify("Trying again.")

    def action_free_ports(self) -> None:
        """Start the server on ports that nobody has."""
        self.bridge.serve(Ports(self.bridge.ports.host, 0, 0))

    def action_copy_openai(self) -> None:
        self._copy_address(self.bridge.server.openai)

    def action_copy_graphql(self) -> None:
        self._copy_address(self.bridge.server.graphql)

    def _copy_address(self, address: str | None) -> None:
        if address:
            self.notify(copy(self, address, self.bridge.folder), title=f"Copied {address}")
        else:
            self.notify("The server does not listen there now; F5 shows why.")

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.notify(f"Theme: {self.theme}")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every action that works here."""
        if isinstance(screen, Place):
            for action in actions_of(screen.place):
                yield SystemCommand(action.title, f"{action.help} ({shown_keys(action)})", _runner(screen, action.id))
        for action in actions_of(EVERYWHERE):
            if action.id != "command_palette":
                yield SystemCommand(action.title, f"{action.help} ({shown_keys(action)})", _runner(self, action.id))
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _handle_exception(self, error: Exception) -> None:
        """A bug: into the log, and a sentence for the user; never a traceback over their terminal."""
        log.error("a bug", exc_info=error)
        if self.is_headless:
            super()._handle_exception(error)
        else:
            what = f"error: something went wrong that should not have ({type(error).__name__})."
            self.exit(return_code=1, message=f"{what}\nfix: the log has it; please report it.")


def _runner(target: Screen[Any] | App[Any], id: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await target.run_action(id)

    return run
