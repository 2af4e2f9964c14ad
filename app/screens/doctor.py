"""Doctor: what was found, what is missing, and what to do about it."""

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from app.actions import bindings_of
from app.screens.key_entry import enter_key
from app.screens.place import Place

if TYPE_CHECKING:
    from engine.doctor import Check

_SIGNS = {"ok": "[$text-success]●[/]", "note": "[$text-muted]○[/]", "problem": "[$text-error]✗[/]"}


class DoctorScreen(Place):
    place = "doctor"
    CSS_PATH = "doctor.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("doctor")

    def body(self) -> Iterable[Widget]:
        yield OptionList(id="checks")
        self._checks: Sequence[Check] = ()

    def on_mount(self) -> None:
        checks = self.query_one("#checks", OptionList)
        checks.border_title = "What was found"
        checks.add_option(Option(Content.from_markup("[dim]Looking at everything…[/dim]"), disabled=True))
        checks.focus()

    def opened(self) -> None:
        self.begin("look", self._look)

    def server_changed(self) -> None:
        if self._checks:
            self._show()

    async def _look(self) -> None:
        self._checks = await self.engine.doctor.report()
        self._show()

    def _show(self) -> None:
        checks = self.query_one("#checks", OptionList)
        chosen = checks.highlighted or 0
        checks.clear_options()
        room = max(len(check.title) for check in self._checks)
        width = checks.scrollable_content_region.width
        checks.add_options(Option(_line(check, room, width), id=check.id) for check in self._checks)
        checks.add_option(Option(self._server_line(room, width), id="server"))
        checks.highlighted = min(chosen, checks.option_count - 1)

    def _server_line(self, room: int, width: int) -> Content:
        server, title = self._bridge.server, "Server".ljust(room)
        if server.state == "on":
            says = " and ".join(address for address in (server.openai, server.graphql) if address)
            return _content("ok", title, f"at {says}", "", width)
        if server.error:
            return _content("note", title, server.error.what, "Screen 4: p takes free ports.", width)
        return _content("note", title, server.state, "Screen 4: s starts it.", width)

    def on_resize(self, event: events.Resize) -> None:
        if self._checks:
            self.call_after_refresh(self._show)  # lines are broken anew

    def on_option_list_option_selected(self) -> None:
        self.action_copy_fix()

    # -- actions ------------------------------------------------------------------------------------------------------

    def action_check_again(self) -> None:
        if self.not_open():
            return
        for provider in self.engine.llm.catalog.providers:
            self.engine.llm.discovery.soon(provider)
        self.begin("look", self._look)
        self.notify("Looking again.")

    def action_copy_fix(self) -> None:
        number = self.query_one("#checks", OptionList).highlighted
        fix = self._checks[number].fix if number is not None and number < len(self._checks) else ""
        if fix:
            self.copy(fix, f"“{fix}”")
        else:
            self.notify("Nothing to mend there.")

    def action_doctor_key(self) -> None:
        if not self.not_open():
            self.begin("key", enter_key, self, self.engine)


def _line(check: "Check", room: int, width: int) -> Content:
    fix = check.fix if check.state != "ok" else ""
    return _content(check.state, check.title.ljust(room), check.says, fix, width)


def _content(state: str, title: str, says: str, fix: str, width: int) -> Content:
    """A line of the list; what does not fit goes on below its own beginning."""
    left = " " * (len(title) + 4)
    lines = wrap(says, max(20, width - len(left)), break_on_hyphens=False) or [""]
    fixes = wrap(fix, max(20, width - len(left) - 2), break_on_hyphens=False)
    rest = "".join(f"\n{left}[dim]{'→' if number == 0 else ' '} $fix{number}[/dim]" for number in range(len(fixes)))
    values = {f"fix{number}": line for number, line in enumerate(fixes)}
    return Content.from_markup(
        f"{_SIGNS[state]} [b]$title[/b]  $says{rest}", title=title, says=f"\n{left}".join(lines), **values
    )
