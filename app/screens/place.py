"""What all screens of the workbench share: the frame, the engine when it is there, and errors."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, ParamSpec

from textual import events
from textual.app import ComposeResult
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea
from textual.worker import Worker

from app.bridge import Bridge, EngineFailed, EngineReady, Happened, ServerChanged, described, is_one_of
from app.clipboard import copy
from app.widgets.frame import BottomBar, Fault, TopBar

if TYPE_CHECKING:
    from engine.engine import Engine


P = ParamSpec("P")
LEAST_WIDTH, LEAST_HEIGHT = 60, 20


class Remedy(NamedTuple):
    """What F8 does about an error: an action, run on the screen, and what it does in words."""

    action: str
    does: str


class Place(Screen[None]):
    """A screen with a number. `body` is what stands between the bars; `opened` is called when there is an engine.

    Textual calls the handlers of a message in each class of a screen: one that is here is not called by those there.

    `REMEDIES` are by the names of the errors' classes; `remedy` is that of the error that was seen last.
    """

    place: ClassVar[str]
    REMEDIES: ClassVar[Mapping[str, Remedy]] = {"PortTaken": Remedy("app.free_ports", "takes free ports")}
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-narrow"),
        (90, "-medium"),
        (130, "-wide"),
    ]

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(id=self.place)
        self._bridge = bridge
        self.remedy: Remedy | None = None
        self._behind = False  # something happened while another screen was seen
        self._counting = False  # money is counted again in a moment

    def compose(self) -> ComposeResult:
        yield TopBar(self.place)
        yield from self.body()
        yield Fault()
        yield BottomBar(self.place)
        yield Static(id="too-small")

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    @property
    def engine(self) -> "Engine":
        """The engine; only asked for once it is open."""
        assert self._bridge.engine is not None
        return self._bridge.engine

    @property
    def is_open(self) -> bool:
        return self._bridge.engine is not None

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        small = width < LEAST_WIDTH or height < LEAST_HEIGHT
        self.set_class(small, "-too-small")
        if small:
            sentence = (
                f"Circuit Breaker needs {LEAST_WIDTH} columns and {LEAST_HEIGHT} rows. Here are {width} and {height}."
            )
            self.query_one("#too-small", Static).update(sentence)

    # -- what happens -------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        if self.app.has_class("plain"):
            self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow")]  # one thing below the other, however wide
        self._bridge.watchers.append(self)
        if self._bridge.engine is not None:
            self.post_message(EngineReady(self._bridge.engine))
        if self._bridge.failure is not None:
            self.post_message(EngineFailed(self._bridge.failure))
        self.post_message(ServerChanged(self._bridge.server))

    def on_unmount(self) -> None:
        if self in self._bridge.watchers:
            self._bridge.watchers.remove(self)

    def on_engine_ready(self, message: EngineReady) -> None:
        self.query_one(Fault).close()
        self._show_health()
        self.begin("money", self._show_money)
        self.opened()

    def on_engine_failed(self, message: EngineFailed) -> None:
        self.fault(message.error, Remedy("app.open_again", "tries again"))
        self.query_one(TopBar).health = "✗ not open"

    def on_server_changed(self, message: ServerChanged) -> None:
        self.query_one(BottomBar).server = message.server
        self.server_changed()

    def on_happened(self, message: Happened) -> None:
        """A screen that is not seen does not work: it catches up when it is."""
        if not self.is_open:
            return
        if not self.is_current:
            self._behind = True
            return
        self._show_health()
        if any(is_one_of(event, "RequestEnded") for event in message.events) and not self._counting:
            self._counting = True
            self.set_timer(1, self._count)
        self.happened(message.events)

    def on_screen_resume(self) -> None:
        if self._behind and self.is_open:
            self._behind = False
            self._show_health()
            self._count()
            self.catch_up()

    def opened(self) -> None:
        """The engine is there."""

    def happened(self, events: list[object]) -> None:
        """Something happened in the engine while this screen was seen."""

    def catch_up(self) -> None:
        """Something happened in the engine while it was not."""

    def server_changed(self) -> None:
        """The server listens now, or does not."""

    def not_open(self) -> bool:
        """Whether there is no engine to work with; says so."""
        if not self.is_open:
            self.notify("It could not be opened; F8 tries again." if self._bridge.failure else "One moment: opening…")
        return not self.is_open

    def _show_health(self) -> None:
        providers = self.engine.llm.catalog.providers.values()
        up = [status.title for status in providers if status.state == "up" and status.models]
        waiting = not providers
        bar = self.query_one(TopBar)
        real = [title for title in up if title != "Embedded models"]
        if real:
            bar.health = f"● {', '.join(real)}"
        elif up:
            bar.health = "◐ embedded model only"
        else:
            bar.health = "○ looking…" if waiting else "○ nothing answers"

    def _count(self) -> None:
        self._counting = False
        self.begin("money", self._show_money)

    async def _show_money(self) -> None:
        spent = await self.engine.llm.spent_today()
        self.query_one(TopBar).money = f"${spent:.4f} today" if spent else "$0 today"

    def begin(
        self, name: str, work: Callable[P, Coroutine[Any, Any, None]], *given: P.args, **named: P.kwargs
    ) -> Worker[None]:
        """Do something beside the screen; what was begun under the same name and is not done is given up. What goes
        wrong is shown."""

        async def guarded() -> None:
            try:
                await work(*given, **named)
            except Exception as error:
                self.fault(error)

        return self.run_worker(guarded, name=name, group=name, exclusive=True)

    def copy(self, text: str, what: str) -> None:
        """Copy a text, and say where it is now; `what` says in a word or two what it is."""
        self.notify(copy(self.app, text, self._bridge.folder), title=f"Copied {what}")

    # -- errors and modes ---------------------------------------------------------------------------------------------

    def fault(self, error: BaseException, remedy: Remedy | None = None) -> None:
        """Show an error until it is closed. Without a `remedy` it is the one that this screen has for its kind."""
        self.remedy = remedy or self.remedy_of(error)
        with suppress(NoMatches):  # the screen is on its way out
            self.query_one(Fault).show(*described(error), self.remedy.does if self.remedy else "")

    def remedy_of(self, error: BaseException) -> Remedy | None:
        kinds = (kind.__name__ for kind in type(error).__mro__)
        return next((self.REMEDIES[kind] for kind in kinds if kind in self.REMEDIES), None)

    def key_escape(self) -> None:
        self.query_one(Fault).close()

    def on_descendant_focus(self) -> None:
        self._show_mode()

    def on_descendant_blur(self) -> None:
        self._show_mode()

    def _show_mode(self) -> None:
        self.query_one(BottomBar).composing = isinstance(self.focused, Input | TextArea)
