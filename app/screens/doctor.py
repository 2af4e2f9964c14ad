"""Doctor: what was found, what is missing, and what to do about it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

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
        super().on_mount()
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
        checks.add_options(Option(_line(check, room), id=check.id) for check in self._checks)
        checks.add_option(Option(self._server_line(room), id="server"))
        checks.highlighted = min(chosen, checks.option_count - 1)

    def _server_line(self, room: int) -> Content:
        server = self._bridge.server
        if server.state == "on":
            says = " and ".join(address for address in (server.openai, server.graphql) if address)
            return _content("ok", "Server".ljust(room), f"at {says}", "")
        if server.error:
            return _content("note", "Server".ljust(room), server.error.what, "Screen 4: p takes free ports.")
        return _content("note", "Server".ljust(room), server.state, "Screen 4: s starts it.")

    # -- actions ------------------------------------------------------------------------------------------------------

    def action_check_again(self) -> None:
        if self.is_open:
            for provider in self.engine.llm.catalog.providers:
                self.engine.llm.discovery.soon(provider)
            self.begin("look", self._look)
            self.notify("Looking again.")

    def action_copy_fix(self) -> None:
        number = self.query_one("#checks", OptionList).highlighted
        fix = self._checks[number].fix if number is not None and number < len(self._checks) else ""
        if fix:
            self.app.copy_to_clipboard(fix)
            self.notify(f"Copied: {fix}")
        else:
            self.notify("Nothing to mend there.")

    def action_doctor_key(self) -> None:
        if self.is_open:
            self.begin("key", enter_key, self, self.engine)


def _line(check: "Check", room: int) -> Content:
    return _content(check.state, check.title.ljust(room), check.says, check.fix if check.state != "ok" else "")


def _content(state: str, title: str, says: str, fix: str) -> Content:
    rest = f"\n  {' ' * len(title)}  [dim]→ $fix[/dim]" if fix else ""
    return Content.from_markup(f"{_SIGNS[state]} [b]$title[/b]  $says{rest}", title=title, says=says, fix=fix)
