"""Server: where it listens, who asks what, and how a client is set up."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from app.actions import bindings_of
from app.bridge import Ports, is_one_of
from app.screens.place import Place
from app.screens.snippets import SNIPPETS, snippet
from app.widgets.virtual_table import Column, Row, VirtualTable, listing

if TYPE_CHECKING:
    from engine.llm.service import RequestEnded
    from server.edge import RequestServed

_KEPT = 1_000
_COLUMNS = (
    Column("time", "when", 8),
    Column("what", "request"),
    Column("status", "status", 6, right=True),
    Column("took", "took", 8, right=True),
    Column("client", "client", 20),
)


class ServerScreen(Place):
    place = "server"
    CSS_PATH = "server.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("server")

    def body(self) -> Iterable[Widget]:
        self._requests: deque[Row] = deque(maxlen=_KEPT)
        self._snippet = 0
        with Vertical(id="server-body"):
            yield Static(id="addresses")
            with Horizontal(id="server-lower"):
                yield VirtualTable(
                    _COLUMNS,
                    listing(lambda: list(self._requests)),
                    empty="No requests yet. The snippet shows how to send one.",
                    id="requests",
                )
                yield Static(id="snippet")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#addresses").border_title = "Server"
        self.query_one(VirtualTable).focus()
        self._show_snippet()

    def server_changed(self) -> None:
        server = self._bridge.server
        addresses = self.query_one("#addresses", Static)
        if server.state == "on":
            addresses.update(
                Content.from_markup(
                    "[$text-success]●[/] on\n[b]OpenAI API [/b]  $openai\n[b]GraphQL API[/b]  $graphql  "
                    "[dim]GraphiQL in a browser[/dim]",
                    openai=server.openai or "off",
                    graphql=server.graphql or "off",
                )
            )
        elif server.error:
            error = server.error
            addresses.update(
                Content.from_markup(
                    "[$text-error]✗[/] off\n[b]What[/b]  $what\n[b]Why [/b]  $why\n[b]Fix [/b]  $fix  "
                    "[b]p[/b] takes free ports",
                    what=error.what,
                    why=error.why,
                    fix=error.fix,
                )
            )
        else:
            addresses.update(Content.from_markup("$state\n[dim]s starts it[/dim]", state=f"○ {server.state}"))
        self._show_snippet()

    def happened(self, events: list[object]) -> None:
        served = [event for event in events if is_one_of(event, "RequestServed", "RequestEnded")]
        for event in served:
            self._requests.appendleft(_row(event))
        if served:
            self.query_one(VirtualTable).reload()

    def _show_snippet(self) -> None:
        server = self._bridge.server
        name = SNIPPETS[self._snippet]
        pane = self.query_one("#snippet", Static)
        pane.border_title = name
        pane.border_subtitle = f"{self._snippet + 1}/{len(SNIPPETS)} · n next · y copy"
        pane.update(Content(snippet(name, server.openai, server.graphql)))

    # -- actions ------------------------------------------------------------------------------------------------------

    def action_toggle_server(self) -> None:
        ports = self._bridge.ports
        if self._bridge.server.state == "on":
            self._bridge.serve(None)
        else:
            self._bridge.serve(ports if ports.any else Ports(ports.host))

    def action_free_ports(self) -> None:
        self._bridge.serve(Ports(self._bridge.ports.host, 0, 0))

    def action_next_snippet(self) -> None:
        self._snippet = (self._snippet + 1) % len(SNIPPETS)
        self._show_snippet()

    def action_copy_snippet(self) -> None:
        server = self._bridge.server
        self.app.copy_to_clipboard(snippet(SNIPPETS[self._snippet], server.openai, server.graphql))
        self.notify("Copied the snippet.")


def _row(event: object) -> Row:
    if is_one_of(event, "RequestServed"):
        served = cast("RequestServed", event)
        took = f"{served.duration_s * 1000:.0f} ms"
        return Row(served.id, ("", f"{served.method} {served.path}", str(served.status), took, served.client))
    record = cast("RequestEnded", event).record
    cost = "$?" if record.cost_usd is None else "$0" if not record.cost_usd else f"${record.cost_usd:.4f}"
    what = f"  {record.asked} → {record.model} · {record.usage.total} tok · {cost}"
    at = record.at.strftime("%H:%M:%S")
    return Row(record.id, (at, what, record.error or "ok", f"{record.duration_s:.1f} s", record.face))
