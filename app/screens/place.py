"""What all screens of the workbench share: the frame, the engine when it is there, and errors."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec

from textual import events
from textual.app import ComposeResult
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea
from textual.worker import Worker

from app.bridge import Bridge, EngineFailed, EngineReady, Happened, ServerChanged, described, is_one_of
from app.widgets.frame import BottomBar, Fault, TopBar

if TYPE_CHECKING:
    from engine.engine import Engine


P = ParamSpec("P")
LEAST_WIDTH, LEAST_HEIGHT = 60, 20


class Place(Screen[None]):
    """A screen with a number. `body` is what stands between the bars; `opened` is called when there is an engine."""

    place: ClassVar[str]
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-narrow"),
        (90, "-medium"),
        (130, "-wide"),
    ]

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(id=self.place)
        self._bridge = bridge

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
        self._show_health()
        self.opened()

    def on_engine_failed(self, message: EngineFailed) -> None:
        self.fault(message.error)
        self.query_one(TopBar).health = "✗ not open"

    def on_server_changed(self, message: ServerChanged) -> None:
        server = message.server
        signs = {"on": "●", "starting": "◐", "off": "○"}
        ports = [address.split(":")[-1].split("/")[0] for address in (server.openai, server.graphql) if address]
        text = " ".join(f":{port} {signs['on']}" for port in ports) or f"server {signs[server.state]} {server.state}"
        self.query_one(BottomBar).server = text
        self.server_changed()

    def on_happened(self, message: Happened) -> None:
        if any(is_one_of(event, "CatalogChanged", "RequestEnded") for event in message.events):
            self._show_health()
        self.happened(message.events)

    def opened(self) -> None:
        """The engine is there."""

    def happened(self, events: list[object]) -> None:
        """Something happened in the engine."""

    def server_changed(self) -> None:
        """The server listens now, or does not."""

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
        self.begin("money", self._show_money)

    async def _show_money(self) -> None:
        spent = await self.engine.llm.spent_today()
        self.query_one(TopBar).money = f"${spent:.4f} today" if spent else "$0 today"

    def begin(
        self, name: str, work: Callable[P, Coroutine[Any, Any, None]], *given: P.args, **named: P.kwargs
    ) -> Worker[None]:
        """Do something beside the screen; what was begun under the same name and is not done is given up."""
        return self.run_worker(partial(work, *given, **named), name=name, group=name, exclusive=True)

    # -- errors and modes ---------------------------------------------------------------------------------------------

    def fault(self, error: BaseException) -> None:
        """Show an error until it is closed."""
        try:
            self.query_one(Fault).show(*described(error))
        except NoMatches:
            self.app.notify(described(error)[0], severity="error")

    def key_escape(self) -> None:
        self.query_one(Fault).close()

    def on_descendant_focus(self) -> None:
        self._show_mode()

    def on_descendant_blur(self) -> None:
        self._show_mode()

    def _show_mode(self) -> None:
        self.query_one(BottomBar).composing = isinstance(self.focused, Input | TextArea)
