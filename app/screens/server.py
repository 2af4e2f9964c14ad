"""Server: where it listens, who asks what, and how a client is set up."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from app.actions import bindings_of
from app.bridge import KEPT, Ports, is_one_of
from app.screens.place import Place
from app.screens.snippets import SNIPPETS, snippet
from app.widgets.virtual_table import Column, Row, VirtualTable, listing

if TYPE_CHECKING:
    from engine.llm.books import RequestEnded
    from engine.store.ports import RequestRecord
    from server.edge import RequestServed

_EARLIER = 200
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
        self._served: list[Row] = []
        self._earlier: Sequence[Row] = ()  # from before this run
        self._snippet = 0
        with Vertical(id="server-body"):
            yield Static(id="addresses")
            with Horizontal(id="server-lower"):
                yield VirtualTable(
                    _COLUMNS,
                    listing(self._rows),
                    empty="No requests yet. The snippet shows how to send one.",
                    id="requests",
                )
                yield Static(id="snippet")

    def on_mount(self) -> None:
        self.query_one("#addresses").border_title = "Server"
        self.query_one(VirtualTable).focus()
        self._show_snippet()

    def opened(self) -> None:
        self.begin("earlier", self._load_earlier)

    async def _load_earlier(self) -> None:
        records = await self.engine.llm.requests(_EARLIER)
        self._earlier = [_request_row(record) for record in records]
        self.catch_up()

    def catch_up(self) -> None:
        self._served = [_row(event) for event in self._bridge.served]
        self.query_one(VirtualTable).reload()

    def _rows(self) -> list[Row]:
        known = {row.key for row in self._served}
        return [*self._served, *(row for row in self._earlier if row.key not in known)]

    def server_changed(self) -> None:
        server = self._bridge.server
        addresses = self.query_one("#addresses", Static)
        if server.state == "on":
            addresses.update(
                Content.from_markup(
                    "[$text-success]●[/] on  [dim]a click copies an address[/dim]\n"
                    "[b]OpenAI API [/b]  [@click=app.copy_openai]$openai[/]\n"
                    "[b]GraphQL API[/b]  [@click=app.copy_graphql]$graphql[/]  [dim]GraphiQL in a browser[/dim]",
                    openai=server.openai or "off",
                    graphql=server.graphql or "off",
                )
            )
        elif server.error:
            error = server.error
            addresses.update(
                Content.from_markup(
                    "[$text-error]✗[/] off\n[b]What[/b]  $what\n[b]Why [/b]  $why\n[b]Fix [/b]  $fix  "
                    "[@click=screen.free_ports][b]p[/b] takes free ports[/]",
                    what=error.what,
                    why=error.why,
                    fix=error.fix,
                )
            )
        else:
            addresses.update(Content.from_markup("$state\n[dim]s starts it[/dim]", state=f"○ {server.state}"))
        self._show_snippet()

    def happened(self, events: list[object]) -> None:
        served = [_row(event) for event in reversed(events) if is_one_of(event, "RequestServed", "RequestEnded")]
        if served:
            self._served = [*served, *self._served][:KEPT]
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
        if self.not_open():
            return
        if self._bridge.server.state == "on":
            self._bridge.serve(None)
        else:
            self._bridge.serve(ports if ports.any else Ports(ports.host))

    async def action_free_ports(self) -> None:
        if not self.not_open():
            await self.app.run_action("free_ports")

    def action_next_snippet(self) -> None:
        self._snippet = (self._snippet + 1) % len(SNIPPETS)
        self._show_snippet()

    def action_copy_snippet(self) -> None:
        server = self._bridge.server
        self.copy(snippet(SNIPPETS[self._snippet], server.openai, server.graphql), "the snippet")


def _row(event: object) -> Row:
    if is_one_of(event, "RequestServed"):
        served = cast("RequestServed", event)
        took = f"{served.duration_s * 1000:.0f} ms"
        return Row(served.id, ("", f"{served.method} {served.path}", str(served.status), took, served.client))
    return _request_row(cast("RequestEnded", event).record)


def _request_row(record: "RequestRecord") -> Row:
    cost = "$?" if record.cost_usd is None else "$0" if not record.cost_usd else f"${record.cost_usd:.4f}"
    what = f"  {record.asked} → {record.model} · {record.usage.total} tok · {cost}"
    at = record.at.strftime("%H:%M:%S")
    return Row(record.id, (at, what, record.error or "ok", f"{record.duration_s:.1f} s", record.face))
