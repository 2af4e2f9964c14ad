"""The lists of the Workflows screen, and one token: start it, fire it, fork it, cancel it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from app.bridge import is_one_of
from app.screens.dialogs import Ask, Pick
from app.screens.place import Place
from app.screens.stage import Stage
from app.screens.walks import modes_of
from app.screens.workflow_words import (
    choice_of,
    described_history,
    described_token,
    json_of,
    state_of,
    title_of,
    workflow_line,
)
from app.widgets.net_picture import NetPicture
from app.widgets.virtual_table import Column, Page, Query, Row, VirtualTable
from engine.kernel.caller import WORKBENCH
from engine.nets.picture import Scene

if TYPE_CHECKING:
    from engine.jobs.model import Job
    from engine.nets.firing import Availability
    from engine.nets.token import Event, Token
    from engine.workflows.events import TokenChanged
    from engine.workflows.model import Workflow

NONE_YET = "There is no token yet: n starts one."
_TOKEN_COLUMNS = (Column("state", "state"), Column("id", "token", 7))


class TokenPlace(Place):
    """What is chosen: `_workflow` and `_token`, with its history, what it can do and what it waits for."""

    def body(self) -> Iterable[Widget]:
        self._workflows: Sequence[Workflow] = ()
        self._workflow: Workflow | None = None
        self._nothing_chosen()
        with Horizontal(id="workflows-body"):
            with Vertical(id="lists"):
                yield OptionList(id="workflows-list")
                yield VirtualTable(_TOKEN_COLUMNS, self._load_tokens, sort="id", empty="No tokens yet.", id="tokens")
            yield Stage(empty="Choose a workflow.", listed=self.app.has_class("plain"), id="net")
            with VerticalScroll(id="token-pane"):
                yield Static(id="token")
                yield Static(id="history")

    def _nothing_chosen(self) -> None:
        self._token: Token | None = None
        self._available: Sequence[Availability] = ()
        self._history: Sequence[Event] = ()
        self._jobs: Sequence[Job] = ()

    def on_mount(self) -> None:
        self.query_one("#workflows-list").border_title = "Workflows"
        self.query_one("#tokens").border_title = "Tokens"
        self.query_one("#workflows-list").focus()
        self.show_pane()

    @property
    def stage(self) -> Stage:
        return self.query_one(Stage)

    # -- what happens -------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        self.begin("list", self._list_workflows)

    def happened(self, events: list[object]) -> None:
        if any(is_one_of(event, "WorkflowAdded") for event in events):
            self.begin("list", self._list_workflows)
        changes = [cast("TokenChanged", event) for event in events if is_one_of(event, "TokenChanged")]
        mine = [change for change in changes if self._workflow and change.token.workflow == self._workflow.id]
        if mine:
            self.query_one(VirtualTable).reload()
            self.begin("counts", self._show_counts)
        ours = [change for change in mine if self._token and change.token.id == self._token.id]
        if ours:
            self.begin("token", self._follow, ours[-1])

    def catch_up(self) -> None:
        self.begin("list", self._list_workflows)
        self.query_one(VirtualTable).reload()
        self.begin("counts", self._show_counts)
        if self._token:
            self.begin("token", self._choose_token, self._token.id)

    async def _follow(self, change: "TokenChanged") -> None:
        """The chosen token moved: let it be seen on its way."""
        fired = change.events[-1]
        if fired.transition and self.stage.walk is None:
            self.query_one(NetPicture).play_firing(fired.transition, fired.source)
        await self._choose_token(change.token.id)

    # -- workflows ----------------------------------------------------------------------------------------------------

    async def _list_workflows(self) -> None:
        self._workflows = await self.engine.workflows.all()
        options = self.query_one("#workflows-list", OptionList)
        options.clear_options()
        options.add_options(Option(workflow_line(one), id=one.id) for one in self._workflows)
        current = self._workflow.id if self._workflow else "document_approval_v1"
        number = next((n for n, one in enumerate(self._workflows) if one.id == current), 0)
        if self._workflows:
            options.highlighted = number

    async def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        chosen = next((one for one in self._workflows if one.id == event.option.id), None)
        if chosen and (self._workflow is None or chosen.id != self._workflow.id):
            self._workflow = chosen
            self._nothing_chosen()
            self.stage.leave()
            self._show_net()
            self.show_pane()
            self.query_one(VirtualTable).reload()
            self.begin("verdict", self._show_verdict, chosen)
            self.begin("token", self._choose_newest)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.query_one(VirtualTable).focus()

    async def _show_verdict(self, workflow: "Workflow") -> None:
        self.stage.entitle(title_of(workflow, None))
        self.stage.entitle(title_of(workflow, await self.engine.workflows.analyse(workflow.id)))
        await self._show_counts()

    async def _show_counts(self) -> None:
        if self._workflow:
            counts = await self.engine.workflows.counts(self._workflow.id)
            total = sum(counts.values())
            self.query_one("#tokens").border_subtitle = (
                " · ".join(f"{state} {tokens}" for state, tokens in list(counts.items())[:3]) if total else ""
            )

    # -- tokens -------------------------------------------------------------------------------------------------------

    async def _load_tokens(self, query: Query) -> Page:
        """A page of the chosen workflow's tokens, newest first."""
        if not self.is_open or self._workflow is None:
            return Page([], 0)
        try:
            return await self._token_page(self._workflow, query)
        except Exception as error:
            self.fault(error)
            return Page([], 0)

    async def _token_page(self, workflow: "Workflow", query: Query) -> Page:
        workflows = self.engine.workflows
        total = sum((await workflows.counts(workflow.id)).values())
        if query.backward or query.skip:
            found = await workflows.tokens(workflow=workflow.id, first=1000)  # what a person scrolls to is among them
            rows = [_token_row(token, workflow) for token in found]
            at = next((n for n, row in enumerate(rows) if row.key == query.key), len(rows) if query.backward else -1)
            if query.backward:
                return Page(rows[max(0, at - query.limit) : at], total)
            return Page(rows[at + 1 + query.skip :][: query.limit], total)
        after = str(query.key) if query.key is not None else None
        found = await workflows.tokens(workflow=workflow.id, first=min(query.limit, 1000), after=after)
        return Page([_token_row(token, workflow) for token in found], total)

    def on_virtual_table_highlighted(self, event: VirtualTable.Highlighted) -> None:
        if event.key is not None and (self._token is None or event.key != self._token.id):
            self.stage.leave()
            self.begin("token", self._choose_token, str(event.key))

    def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        self.action_fire()

    async def _choose_newest(self) -> None:
        assert self._workflow is not None
        newest = await self.engine.workflows.tokens(workflow=self._workflow.id, first=1)
        if newest:
            await self._choose_token(newest[0].id)

    async def _choose_token(self, id: str) -> None:
        workflows = self.engine.workflows
        self._token = await workflows.token(id)
        self._available = await workflows.available(id)
        self._history = await workflows.history(id)
        self._jobs = (await workflows.jobs([id])).get(id, ())
        self._show_net()
        self.token_shown()
        self.show_pane()

    def token_shown(self) -> None:
        """Another token was chosen, or this one has moved."""

    def _show_net(self) -> None:
        if self._workflow is not None:
            marking = self._token.marking if self._token else self._workflow.net.initial
            self.stage.show(self._workflow.net, Scene(marking, modes_of(self._available)))

    def show_pane(self) -> None:
        """The token as it is now."""
        pane, past = self.query_one("#token", Static), self.query_one("#history", Static)
        self.query_one("#token-pane").border_title = "Token"
        if self._token is None or self._workflow is None:
            pane.update(Content.from_markup("[dim]No token is chosen.\n[b]n[/b] starts one.[/dim]"))
            past.update("")
            return
        places = self._workflow.net.place_ids
        pane.update(described_token(self._token, places, self._available, self._jobs))
        past.update(described_history(self._history, places))

    # -- starting and firing ------------------------------------------------------------------------------------------

    def action_new_token(self) -> None:
        if self.not_open():
            return
        if self._workflow is None:
            self.notify("Choose a workflow first.")
            return
        about = "What it carries, as JSON; nothing is fine too."
        ask = Ask(f"New token in {self._workflow.name}", about, placeholder='{"title": "Q3 report"}')
        self.app.push_screen(ask, self._create)

    def _create(self, text: str | None) -> None:
        if text is not None and self._workflow is not None:
            self.begin("create", self._create_token, self._workflow.id, text)

    async def _create_token(self, workflow: str, text: str) -> None:
        token = await self.engine.workflows.create_token(workflow, caller=WORKBENCH, data=json_of(text))
        self.stage.leave()
        await self._choose_token(token.id)

    def to_fire(self) -> "tuple[Token, Sequence[Availability]] | None":
        """The token that a firing would move, and what it can do. None when there is none; says so."""
        if self._token is None:
            self.notify(NONE_YET)
            return None
        return self._token, self._available

    def action_fire(self) -> None:
        if found := self.to_fire():
            choices = [choice_of(one) for one in sorted(found[1], key=lambda one: not one.enabled)]
            self.app.push_screen(Pick("Fire", choices, empty="Nothing can fire any more."), self._chosen_transition)

    def _chosen_transition(self, id: str | None) -> None:
        if id is not None:
            self._ask_and_fire(id, None)

    def on_net_picture_fire_requested(self, event: NetPicture.FireRequested) -> None:
        self._ask_and_fire(event.transition_id, event.source)

    def _ask_and_fire(self, transition: str, source: str | None) -> None:
        """Fire at once; a guarded transition asks first what comes with it."""
        found = self.to_fire()
        if found is None or self._workflow is None:
            return
        token = found[0]
        guarded = self._workflow.net.transition_of[transition].guard is not None

        def fire(text: str | None) -> None:
            if text is not None:
                self.begin("fire", self._fire, token, transition, source, text)

        if guarded:
            conditions = " && ".join(self._workflow.net.transition_of[transition].conditions) or "its rule"
            about = f"It needs {conditions}. Data to merge, as JSON; nothing is fine too."
            self.app.push_screen(Ask(f"Fire {transition}", about, placeholder='{"tests_passed": true}'), fire)
        else:
            fire("")

    async def _fire(self, token: "Token", transition: str, source: str | None, text: str) -> None:
        try:
            await self.engine.workflows.fire(
                token.id, transition, caller=WORKBENCH, data=json_of(text), source=source, expected=token.version
            )
        except Exception as error:
            self.fault(error)
            await self._choose_token(token.id)  # somebody else may have moved it: as it is now

    # -- forking and cancelling ---------------------------------------------------------------------------------------

    def action_fork(self) -> None:
        if (token := self._chosen_token()) is None:
            return
        state = self._state(token)
        about = f"A new token begins in {state} with the data of this one. This one stays as it is. Why? (optional)"

        def fork(reason: str | None) -> None:
            if reason is not None:
                self.begin("fork", self._fork, token, reason)

        self.app.push_screen(Ask("Fork the token", about, placeholder="to try the other way"), fork)

    async def _fork(self, token: "Token", reason: str) -> None:
        forked = await self.engine.workflows.fork(token.id, caller=WORKBENCH, reason=reason)
        self.stage.leave()
        await self._choose_token(forked.id)
        self.notify(f"…{forked.id[-6:]} begins in {self._state(forked)}; t goes on to the others.", title="Forked")

    def action_cancel(self) -> None:
        if (token := self._chosen_token()) is None:
            return
        if token.status == "cancelled":
            self.notify("It is cancelled already; u brings it back.")
            return
        inside = " The work inside it is given up." if token.running else ""
        clocks = " Its clocks stop." if self._jobs else ""
        about = (
            f"It leaves {self._state(token)}, and nothing can fire any more.{inside}{clocks} Its history stays, and u "
            "brings it back. Why? (optional)"
        )

        def cancel(reason: str | None) -> None:
            if reason is not None:
                self.begin("fire", self._cancel, token, reason)

        self.app.push_screen(Ask("Cancel the token", about, placeholder="the customer has withdrawn"), cancel)

    async def _cancel(self, token: "Token", reason: str) -> None:
        try:
            await self.engine.workflows.cancel(token.id, caller=WORKBENCH, reason=reason, expected=token.version)
            self.notify("u brings it back.", title="Cancelled")
        finally:
            self.stage.leave()
            await self._choose_token(token.id)

    def _chosen_token(self) -> "Token | None":
        """The token as it is now; says so when there is none."""
        if self._token is None:
            self.notify(NONE_YET)
        return self._token

    def _state(self, token: "Token") -> str:
        return state_of(token.marking, self._workflow.net.place_ids if self._workflow else ())


def _token_row(token: "Token", workflow: "Workflow") -> Row:
    state = "✗ cancelled" if token.status == "cancelled" else state_of(token.marking, workflow.net.place_ids)
    return Row(token.id, (state, "…" + token.id[-6:]))
