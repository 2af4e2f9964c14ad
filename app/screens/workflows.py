"""Workflows: the list, the net drawn and alive, one token; and walks over the net, through what may be, was, and might
be."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.widgets import Static

from app.actions import bindings_of
from app.screens import walks
from app.screens.dialogs import Ask
from app.screens.evidence import evidence_for, evidence_of
from app.screens.place import Place, Remedy
from app.screens.stage import Stage
from app.screens.walks import Walk
from app.screens.workflow_tokens import NONE_YET, TokenPlace
from app.screens.workflow_words import described_history, described_past, described_token, json_of
from app.widgets.frame import Fault
from app.widgets.net_picture import NetPicture
from app.widgets.virtual_table import VirtualTable
from engine.kernel.caller import WORKBENCH
from engine.nets.firing import availability

if TYPE_CHECKING:
    from engine.nets.firing import Availability
    from engine.nets.token import Token
    from engine.workflows.model import Workflow
    from engine.workflows.service import Fire


class WorkflowsScreen(TokenPlace):
    place = "workflows"
    CSS_PATH = "workflows.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("workflows")
    REMEDIES: ClassVar[Mapping[str, Remedy]] = {
        **Place.REMEDIES,
        "NotEnabled": Remedy("screen.fire", "shows what can fire"),
        "Conflict": Remedy("screen.fire", "shows what can fire now"),
    }
    _question = ""

    # -- what is looked at --------------------------------------------------------------------------------------------

    def on_stage_moved(self, event: Stage.Moved) -> None:
        self.set_class(self.stage.walk is not None, "-walking")
        self.set_class(self._trial is not None, "-trying")
        self.show_pane()

    def show_pane(self) -> None:
        """Beside the walk: where one stands, and all of the way. Else the token as it is now."""
        walk = self.stage.walk
        if walk is None or self._workflow is None:
            super().show_pane()
            return
        places = self._workflow.net.place_ids
        frame, pane, way = (
            self.query_one("#token-pane"),
            self.query_one("#token", Static),
            self.query_one("#history", Static),
        )
        here = walk.here
        match walk.kind:
            case "run":
                frame.border_title = "Run"
                pane.update(walks.described_run(walk, places))
                way.update(walks.listed(walk, places))
            case "history":
                assert here.token is not None
                assert here.event is not None
                frame.border_title = "Token"
                pane.update(described_past(here.token, here.event, places, self._history[-1].sequence))
                way.update(described_history(self._history, places, here.event.sequence))
            case "trial":
                assert here.token is not None
                frame.border_title = "What if"
                pane.update(described_token(here.token, places, availability(self._workflow.net, here.token)))
                way.update(walks.listed(walk, places))

    def token_shown(self) -> None:
        """The token moved while one walks: its history goes on, a trial may not fit any more."""
        walk, token = self.stage.walk, self._token
        if walk is None or token is None:
            return
        if walk.kind == "history" and walk.here.event is not None:
            self.stage.refit(walks.history(token, self._history, walk.here.event.sequence))
        elif walk.kind == "trial" and walk.stops[0].token is not None:
            self.stage.refit(walk.outdated_by(token.version))

    def key_escape(self) -> None:
        """`leave` has this key."""

    def action_leave(self) -> None:
        """One step back: close the error, leave the walk, go from the picture to the tokens, from there to the list."""
        if self.query_one(Fault).close() or self.stage.leave():
            return
        here, tokens = self.focused, self.query_one(VirtualTable)
        workflows = self.query_one("#workflows-list")
        if here is workflows:
            self.notify("This is what is now; ← walks back from here.")
        else:
            (workflows if here is tokens else tokens).focus()

    # -- stepping -----------------------------------------------------------------------------------------------------

    def action_step_back(self) -> None:
        if self.stage.walk is not None:
            if not self.stage.step(-1):
                self.notify("This is the beginning.")
        elif self._into_the_past():
            self.stage.step(-1)

    def action_step_on(self) -> None:
        walk = self.stage.walk
        if walk is None:
            self.notify("This is what is now; ← walks back from here.")
        elif not self.stage.step(1):
            self.notify("f tries a step more." if walk.kind == "trial" else "This is the end.")

    def action_play(self) -> None:
        if self.stage.walk is not None or self._into_the_past():
            self.stage.toggle()

    def _into_the_past(self) -> bool:
        """Begin to walk through the history of the token; whether there is any."""
        if self._token is None:
            self.notify(NONE_YET)
        elif len(self._history) < 2:
            self.notify("Nothing has happened to this token yet: it has no past.")
        else:
            self.stage.begin(walks.history(self._token, self._history))
            return True
        return False

    # -- findings and questions ---------------------------------------------------------------------------------------

    def action_verify(self) -> None:
        if not self.not_open() and self._workflow is not None:
            self.begin("verify", self._verify, self._workflow)

    async def _verify(self, workflow: "Workflow") -> None:
        analysis = await self.engine.workflows.analyse(workflow.id)
        self.app.push_screen(evidence_of(workflow.name, analysis), self._play)

    def action_ask(self) -> None:
        if self.not_open() or self._workflow is None:
            return
        about = (
            "About all runs, by the names of places and transitions. can x be reached without y · never a and b · "
            "always eventually x · AG (a + b <= 1) · EF deadlock"
        )
        places = self._workflow.net.place_ids
        example = f"can {places[-1]} be reached without {places[len(places) // 2]}" if places else ""
        ask = Ask(f"Ask about {self._workflow.name}", about, value=self._question, placeholder=example)
        self.app.push_screen(ask, self._asked)

    def _asked(self, question: str | None) -> None:
        if question is not None and question.strip() and self._workflow is not None:
            self._question = question.strip()
            self.begin("verify", self._answer, self._workflow, self._question)

    async def _answer(self, workflow: "Workflow", question: str) -> None:
        answer = await self.engine.workflows.ask(workflow.net, question)
        self.app.push_screen(evidence_for(question, answer), self._play)

    def _play(self, walk: Walk | None) -> None:
        if walk is not None:
            self.stage.begin(walk, play=True)

    # -- rolling back -------------------------------------------------------------------------------------------------

    def action_roll_back(self) -> None:
        walk = self.stage.walk
        if self._chosen_token() is None:
            return
        if walk is None or walk.kind != "history" or walk.ended:
            self.notify("← walks back through its history; b brings it back to where you stand.")
        elif walk.here.event is not None:
            self._ask_to_roll_back(walk.here.event.sequence, "Roll back")

    def action_undo(self) -> None:
        if self._chosen_token() is None:
            return
        if len(self._history) < 2:
            self.notify("Nothing has happened to this token yet.")
        else:
            self._ask_to_roll_back(self._history[-2].sequence, "Undo")

    def _ask_to_roll_back(self, version: int, title: str) -> None:
        """Say what will happen, and ask why."""
        assert self._token is not None
        now = self._token
        then = next(
            stop.token
            for stop in walks.history(now, self._history).stops
            if stop.token and stop.token.version == version
        )
        about = (
            f"The token goes from {self._state(now)} (v{now.version}) back to {self._state(then)}, with the data of "
            f"v{version}, as a new event v{now.version + 1}. Nothing is deleted: u takes it back again."
            f"{' The work inside it is given up.' if now.running else ''} Why? (optional)"
        )

        def roll_back(reason: str | None) -> None:
            if reason is not None:
                self.begin("fire", self._roll_back, now, version, reason)

        self.app.push_screen(Ask(f"{title} to v{version}", about, placeholder="it was approved by mistake"), roll_back)

    async def _roll_back(self, token: "Token", version: int, reason: str) -> None:
        try:
            moved = await self.engine.workflows.roll_back(
                token.id, version, caller=WORKBENCH, reason=reason, expected=token.version
            )
            self.notify(
                f"It is in {self._state(moved)} now; u takes it back again.", title=f"Rolled back to v{version}"
            )
        finally:
            self.stage.leave()
            await self._choose_token(token.id)

    # -- what if ------------------------------------------------------------------------------------------------------

    @property
    def _trial(self) -> Walk | None:
        walk = self.stage.walk
        return walk if walk is not None and walk.kind == "trial" else None

    def action_what_if(self) -> None:
        if self._trial is not None:
            self.stage.leave()
        elif (token := self._chosen_token()) is not None:
            self.begin("try", self._try, token, ())

    async def _try(self, token: "Token", steps: "Sequence[Fire]") -> None:
        tried = await self.engine.workflows.what_if(token.id, steps, caller=WORKBENCH)
        if tried.error is not None:
            self.fault(tried.error)
        walk = walks.trial(tried, steps)
        if steps and tried.error is None and self._trial is not None:
            self.query_one(NetPicture).play_firing(steps[-1].transition, steps[-1].source)
        self.stage.begin(walk)

    def to_fire(self) -> "tuple[Token, Sequence[Availability]] | None":
        """In a trial the copy, as it is where one stands."""
        walk = self.stage.walk
        if walk is None or (walk.kind == "history" and walk.ended):
            return super().to_fire()
        if walk.kind == "trial" and walk.here.token is not None and self._workflow is not None:
            return walk.here.token, availability(self._workflow.net, walk.here.token)
        self.notify("Nothing fires in a run or in the past: esc leaves, w tries what if.")
        return None

    async def _fire(self, token: "Token", transition: str, source: str | None, text: str) -> None:
        walk = self._trial
        if walk is None:
            self.stage.leave()
            await super()._fire(token, transition, source, text)
            return
        from engine.workflows.service import Fire

        step = Fire(token.id, transition, json_of(text), source)
        await self._try(token, (*walk.steps[: walk.at], step))

    def action_commit(self) -> None:
        walk = self._trial
        if walk is None or walk.stops[0].token is None:
            self.notify("c does the steps of a what-if for real; w begins one.")
        elif not walk.steps:
            self.notify("No step was tried yet: f fires one.")
        else:
            self.begin("fire", self._commit, walk)

    async def _commit(self, walk: Walk) -> None:
        """Fire the steps one after the other, each on the version that was tried; the first one that fails ends it."""
        done, before = 0, [stop.token for stop in walk.stops]
        try:
            for step, token in zip(walk.steps, before, strict=False):
                assert token is not None
                await self.engine.workflows.fire(
                    step.token, step.transition, caller=WORKBENCH, data=step.data, source=step.source,
                    expected=token.version, reason="tried as a what-if",
                )  # fmt: skip
                done += 1
        finally:
            self.stage.leave()
            await self._choose_token(walk.steps[0].token)
            of = len(walk.steps)
            if done == of:
                self.notify(f"{of} {'step was' if of == 1 else 'steps were'} fired.", title="For real")
            else:
                self.notify(f"{done} of {of} steps were fired, then it could not go on.", severity="warning")

    # -- going over it ------------------------------------------------------------------------------------------------

    def action_next_token(self) -> None:
        self._move_token(1)

    def action_previous_token(self) -> None:
        self._move_token(-1)

    def _move_token(self, step: int) -> None:
        tokens = self.query_one(VirtualTable)
        if not tokens.total:
            self.notify(NONE_YET)
        tokens.action_move(step)

    def action_next_element(self) -> None:
        self.query_one(NetPicture).select_next()

    def action_previous_element(self) -> None:
        self.query_one(NetPicture).select_previous()

    def action_copy_picture(self) -> None:
        self.copy(self.query_one(NetPicture).text, "the picture")
