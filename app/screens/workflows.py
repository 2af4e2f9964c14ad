"""Workflows: the list, the net drawn and alive, and one token with what it can do and what it did."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import orjson
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from app.actions import bindings_of
from app.bridge import is_one_of
from app.screens.dialogs import Ask, Choice, Pick, Report
from app.screens.place import Place, Remedy
from app.widgets.net_picture import NetPicture
from app.widgets.virtual_table import Column, Page, Query, Row, VirtualTable
from engine.kernel.caller import WORKBENCH
from engine.nets.marking import in_words
from engine.nets.picture import Scene

if TYPE_CHECKING:
    from engine.nets.analysis.model import Analysis
    from engine.nets.firing import Availability
    from engine.nets.token import Event, Token
    from engine.workflows.events import TokenChanged
    from engine.workflows.model import Workflow

_GUARD = "the guard says no"
_TOKEN_COLUMNS = (Column("state", "state"), Column("id", "token", 7))


class WorkflowsScreen(Place):
    place = "workflows"
    CSS_PATH = "workflows.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("workflows")
    REMEDIES: ClassVar[Mapping[str, Remedy]] = {
        **Place.REMEDIES,
        "NotEnabled": Remedy("screen.fire", "shows what can fire"),
        "Conflict": Remedy("screen.fire", "shows what can fire now"),
    }

    def body(self) -> Iterable[Widget]:
        self._workflows: Sequence[Workflow] = ()
        self._workflow: Workflow | None = None
        self._token: Token | None = None
        self._available: Sequence[Availability] = ()
        with Horizontal(id="workflows-body"):
            with Vertical(id="lists"):
                yield OptionList(id="workflows-list")
                yield VirtualTable(_TOKEN_COLUMNS, self._load_tokens, sort="id", empty="No tokens yet.", id="tokens")
            with Vertical(id="net"):
                yield Static(id="net-title")
                yield NetPicture(empty="Choose a workflow.", listed=self.app.has_class("plain"), id="picture")
            with VerticalScroll(id="token-pane"):
                yield Static(id="token")
                yield Static(id="history")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#workflows-list").border_title = "Workflows"
        self.query_one("#tokens").border_title = "Tokens"
        self.query_one("#token-pane").border_title = "Token"
        self.query_one("#workflows-list").focus()
        self._show_token()

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
        if fired.transition:
            self.query_one(NetPicture).play_firing(fired.transition, fired.source)
        await self._choose_token(change.token.id)

    # -- workflows ----------------------------------------------------------------------------------------------------

    async def _list_workflows(self) -> None:
        self._workflows = await self.engine.workflows.all()
        options = self.query_one("#workflows-list", OptionList)
        options.clear_options()
        options.add_options(Option(_workflow_line(one), id=one.id) for one in self._workflows)
        current = self._workflow.id if self._workflow else "document_approval_v1"
        number = next((n for n, one in enumerate(self._workflows) if one.id == current), 0)
        if self._workflows:
            options.highlighted = number

    async def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        chosen = next((one for one in self._workflows if one.id == event.option.id), None)
        if chosen and (self._workflow is None or chosen.id != self._workflow.id):
            self._workflow, self._token, self._available = chosen, None, ()
            self._show_net()
            self._show_token()
            self.query_one(VirtualTable).reload()
            self.begin("verdict", self._show_verdict, chosen)
            self.begin("token", self._choose_newest)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.query_one(VirtualTable).focus()

    async def _show_verdict(self, workflow: "Workflow") -> None:
        title = self.query_one("#net-title", Static)
        title.update(_title(workflow, None))
        title.update(_title(workflow, await self.engine.workflows.analyse(workflow.id)))
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
            self.begin("token", self._choose_token, str(event.key))

    def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        self.action_fire()

    async def _choose_newest(self) -> None:
        assert self._workflow is not None
        newest = await self.engine.workflows.tokens(workflow=self._workflow.id, first=1)
        if newest:
            await self._choose_token(newest[0].id)

    async def _choose_token(self, id: str) -> None:
        self._token = await self.engine.workflows.token(id)
        self._available = await self.engine.workflows.available(id)
        self._show_net()
        history = await self.engine.workflows.history(id)
        self._show_token(history)

    def _show_net(self) -> None:
        if self._workflow is None:
            return
        marking = self._token.marking if self._token else self._workflow.net.initial
        enabled = frozenset(
            one.transition.id if source is None else f"{one.transition.id}@{source}"
            for one in self._available
            for source in one.sources
        )
        self.query_one(NetPicture).show(self._workflow.net, Scene(marking, enabled))

    def _show_token(self, history: "Sequence[Event]" = ()) -> None:
        pane, past = self.query_one("#token", Static), self.query_one("#history", Static)
        if self._token is None or self._workflow is None:
            pane.update(Content.from_markup("[dim]No token is chosen.\n[b]n[/b] starts one.[/dim]"))
            past.update("")
            return
        pane.update(described_token(self._token, self._workflow, self._available))
        past.update(described_history(history, self._workflow))

    # -- actions ------------------------------------------------------------------------------------------------------

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
        token = await self.engine.workflows.create_token(workflow, caller=WORKBENCH, data=_json(text))
        await self._choose_token(token.id)

    def action_fire(self) -> None:
        if self._token is None:
            self.notify("There is no token yet: n starts one.")
            return
        choices = [_choice(one) for one in sorted(self._available, key=lambda one: not one.enabled)]
        self.app.push_screen(Pick("Fire", choices, empty="Nothing can fire any more."), self._chosen_transition)

    def _chosen_transition(self, id: str | None) -> None:
        if id is not None:
            self._ask_and_fire(id, None)

    def on_net_picture_fire_requested(self, event: NetPicture.FireRequested) -> None:
        self._ask_and_fire(event.transition_id, event.source)

    def _ask_and_fire(self, transition: str, source: str | None) -> None:
        """Fire at once; a guarded transition asks first what comes with it."""
        if self._token is None or self._workflow is None:
            self.notify("There is no token yet: n starts one.")
            return
        token = self._token
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
                token.id, transition, caller=WORKBENCH, data=_json(text), source=source, expected=token.version
            )
        except Exception as error:
            self.fault(error)
            await self._choose_token(token.id)  # somebody else may have moved it: as it is now

    def action_next_token(self) -> None:
        self._move_token(1)

    def action_previous_token(self) -> None:
        self._move_token(-1)

    def _move_token(self, step: int) -> None:
        tokens = self.query_one(VirtualTable)
        if not tokens.total:
            self.notify("There is no token yet: n starts one.")
        tokens.action_move(step)

    def action_next_element(self) -> None:
        self.query_one(NetPicture).select_next()

    def action_previous_element(self) -> None:
        self.query_one(NetPicture).select_previous()

    def action_copy_picture(self) -> None:
        self.copy(self.query_one(NetPicture).text, "the picture")

    def action_verify(self) -> None:
        if not self.not_open() and self._workflow is not None:
            self.begin("verify", self._verify, self._workflow)

    async def _verify(self, workflow: "Workflow") -> None:
        analysis = await self.engine.workflows.analyse(workflow.id)
        self.app.push_screen(Report(f"{workflow.name}: verified", findings(analysis, workflow)))


def _workflow_line(workflow: "Workflow") -> Content:
    return Content.from_markup("$name [dim]v$version[/dim]", name=workflow.name, version=str(workflow.version))


def _token_row(token: "Token", workflow: "Workflow") -> Row:
    return Row(token.id, (in_words(token.marking, workflow.net.place_ids), "…" + token.id[-6:]))


def _title(workflow: "Workflow", analysis: "Analysis | None") -> Content:
    if analysis is None:
        verdict = "[dim]verifying…[/dim]"
    elif errors := sum(finding.severity == "ERROR" for finding in analysis.findings):
        verdict = f"[$text-error]✗ {errors} found, v shows[/]"
    elif analysis.sound:
        verdict = "[$text-success]✓ sound[/]"
    elif not analysis.complete:
        verdict = "[$text-warning]◐ not proven[/]"
    else:
        verdict = "[$text-success]✓ no deadlock[/]" if analysis.deadlock_free else ""
    counts = f"{len(workflow.net.places)} places · {len(workflow.net.transitions)} transitions"
    return Content.from_markup(f"[b]$id[/b]  {verdict}  [dim]{counts}[/dim]", id=workflow.id)


def _choice(one: "Availability") -> Choice:
    name = one.transition.label or one.transition.id
    target = one.transition.outputs[0].place if one.transition.outputs else ""
    only_guard = bool(one.blockers) and all(blocker.startswith(_GUARD) for blocker in one.blockers)
    about = "; ".join(one.blockers) or (f"→ {target}" if target else "")
    return Choice(one.transition.id, name, about, off=not one.enabled and not only_guard)


def described_token(token: "Token", workflow: "Workflow", available: "Sequence[Availability]") -> Content:
    """Where a token is, what it carries, and what it can do."""
    places = workflow.net.place_ids
    state, version = in_words(token.marking, places), str(token.version)
    lines = [
        Content.from_markup("[b]$state[/b]  [dim]v$version[/dim]", state=state, version=version),
        Content.from_markup("[dim]$id[/dim]", id=token.id),
    ]
    for key, value in token.data.items():
        lines.append(Content.from_markup("[dim]$key[/dim] $value", key=key, value=_brief(value)))
    lines.append(Content.from_markup("\n[dim]─ can fire ─[/dim]"))
    for one in available:
        sign = "[$text-success]✓[/]" if one.enabled else "[dim]✗[/dim]"
        lines.append(Content.from_markup(f"{sign} $name", name=one.transition.label or one.transition.id))
        if one.blockers and any(blocker.startswith(_GUARD) for blocker in one.blockers):
            lines.append(Content.from_markup("[dim]  $why[/dim]", why="; ".join(one.blockers)))
    return Content("\n").join(lines)


def described_history(history: "Sequence[Event]", workflow: "Workflow") -> Content:
    """What a token did, the newest first."""
    lines = [Content.from_markup("[dim]─ history ─[/dim]")]
    lines += [_event_line(event, workflow.net.place_ids) for event in reversed(history[-200:])]
    return Content("\n").join(lines)


def _event_line(event: "Event", places: Sequence[str]) -> Content:
    state = in_words(event.after, places)
    what = f"{event.transition} → {state}" if event.transition else f"created in {state}"
    at = event.at.astimezone().strftime("%H:%M:%S")
    return Content.from_markup(
        "$sequence $what [dim]$at $actor[/dim]", sequence=str(event.sequence), what=what, at=at, actor=event.actor
    )


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:199] + "…"


def _json(text: str) -> object:
    """What was typed; nothing is None. Raises InvalidInput."""
    from engine.kernel.errors import InvalidInput

    if not text.strip():
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "That is not JSON.", why=f"{error.msg} (column {error.colno}).", fix='Write it like {"title": "Q3 report"}.'
        ) from None


def findings(analysis: "Analysis", workflow: "Workflow") -> Content:
    """What was proven, and what was found with its shortest run."""
    places = workflow.net.place_ids
    searched = "all of them" if analysis.complete else "there are more"
    lines = [Content.from_markup(f"[dim]{analysis.states:,} states, {analysis.edges:,} steps ({searched})[/dim]")]
    for name, verdict in (
        ("sound", analysis.sound),
        ("no deadlock", analysis.deadlock_free),
        ("bounded", analysis.bounded),
        ("ends properly", analysis.proper_completion),
        ("can always end", analysis.option_to_complete),
    ):
        sign = {True: "[$text-success]✓[/]", False: "[$text-error]✗[/]", None: "[dim]?[/dim]"}[verdict]
        lines.append(Content.from_markup(f"{sign} {name}" + ("" if verdict is not None else " [dim]not proven[/dim]")))
    for finding in analysis.findings:
        depends = " (if its guards allow it)" if finding.depends_on_guards else ""
        lines.append(Content.from_markup("\n[b]$message[/b]$depends", message=finding.message, depends=depends))
        for step in finding.trace:
            lead = f"─ {step.transition} ─▶ " if step.transition else ""
            lines.append(Content(f"  {lead}{in_words(step.marking, places)}"))
    return Content("\n").join(lines)
