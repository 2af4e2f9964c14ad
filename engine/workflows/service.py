"""The use cases of workflows: load, decide purely, commit once, publish."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, TypeVar

import orjson

from engine.jobs.model import Job
from engine.jobs.runner import JobsWaiting
from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.errors import CircuitBreakerError, InvalidInput, NotFound, TooLarge
from engine.kernel.records import record
from engine.kernel.world import World
from engine.nets import firing
from engine.nets.analysis.asking.answering import ask
from engine.nets.analysis.asking.model import Answer
from engine.nets.analysis.model import Analysis, Finding, FindingCode, Severity
from engine.nets.analysis.verdicts import MOST_STATES, analyse
from engine.nets.effects import clocks
from engine.nets.firing import Availability, Firing
from engine.nets.marking import in_words
from engine.nets.model import Net
from engine.nets.notation import Definition
from engine.nets.simulation import Behaviour, Exponential, Simulation, simulate
from engine.nets.token import Event, EventKind, Token
from engine.store.ports import Change, JobQueue, Ledger, Once, TokenQuery
from engine.workflows import chain
from engine.workflows.checking import check_size, checked, once_of, read_checked, refuse
from engine.workflows.conflicts import token_moved
from engine.workflows.errands import errands
from engine.workflows.events import TokenChanged, WorkflowAdded, notices
from engine.workflows.model import Workflow

T = TypeVar("T")

ANALYSIS_TIMEOUT_S = 2.0
MOST_AT_ONCE = 10_000
MOST_STEPS_TRIED = 1_000
MOST_CASES = 100_000
_REMEMBERED = 256  # analyses
_MOST_REASON = 2_000  # characters
_LOOK_AGAIN_S = 5.0
_BREATH = 250  # tokens made in one turn of the loop


@dataclass(frozen=True, slots=True)
class Damage:
    """A token whose history does not fit its hash chain, from event `sequence` on."""

    token: str
    sequence: int


@record
class NewToken:
    """What a token is created with. `data` and `metadata` are JSON objects; they are checked and copied."""

    workflow: str
    data: object = None
    metadata: object = None
    initial_place: str | None = None
    idempotency_key: str | None = None


@record
class Fire:
    """A firing that is asked for. `source` chooses the mode of a transition with several; `expected` is the version
    that the caller has seen."""

    token: str
    transition: str
    data: object = None
    source: str | None = None
    expected: int | None = None
    idempotency_key: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What would become of a token: the token after each step that can be taken, and what stands against the next."""

    tokens: tuple[Token, ...]
    events: tuple[Event, ...]
    error: CircuitBreakerError | None = None


class Workflows:
    def __init__(self, ledger: Ledger, bus: Bus, world: World, queue: JobQueue | None = None) -> None:
        """`queue` is only read, to say what tokens wait for."""
        self.ledger, self.bus, self.world, self._queue = ledger, bus, world, queue
        self._analyses: dict[tuple[bytes, int], Analysis] = {}

    # -- definitions ----------------------------------------------------------------------------------------------

    async def create(self, source: Mapping[str, Any], *, strict: bool = False) -> Workflow:
        """Store the workflow that `source` describes (see `engine.nets.notation`); the same content again gives the
        one that is there.

        Raises InvalidInput for what cannot be read, InvalidWorkflow when its parts do not fit together or, with
        `strict`, when the analysis finds an error; `details.findings` has them. Conflict when its id is taken.
        """
        return await self.store(read_checked(source), strict=strict)

    async def store(self, definition: Definition, *, strict: bool = False) -> Workflow:
        """Store a definition whose structure has been checked. Raises InvalidWorkflow and Conflict."""
        await self._check_sub_workflows(definition)
        if strict:
            analysis = await self.analyse_net(definition.net)
            refuse(definition, [found for found in analysis.findings if found.severity is Severity.ERROR])
        workflow = await self.ledger.add_workflow(definition, self.world.now())
        self.bus.publish([WorkflowAdded(workflow)])
        return workflow

    async def _check_sub_workflows(self, definition: Definition) -> None:
        for transition in definition.net.transitions:
            if transition.sub_workflow:
                try:
                    await self.ledger.workflow(transition.sub_workflow)
                except NotFound as error:
                    message = f"The sub-workflow {transition.sub_workflow} of {transition.id} is not there. {error.why}"
                    found = Finding(FindingCode.STRUCTURE, Severity.ERROR, message.strip(), (), (transition.id,))
                    refuse(definition, [found])

    async def workflow(self, workflow_id: str) -> Workflow:
        """Raises NotFound with the nearest ids."""
        return await self.ledger.workflow(workflow_id)

    async def all(self) -> Sequence[Workflow]:
        return await self.ledger.workflows()

    async def analyse(
        self, workflow_id: str, *, most_states: int = MOST_STATES, timeout_s: float = ANALYSIS_TIMEOUT_S
    ) -> Analysis:
        """The analysis of a stored workflow; kept, once it is complete."""
        workflow = await self.ledger.workflow(workflow_id)
        key = (workflow.digest, most_states)
        if key not in self._analyses:
            analysis = await self.analyse_net(workflow.net, most_states=most_states, timeout_s=timeout_s)
            if not analysis.complete:
                return analysis
            while len(self._analyses) >= _REMEMBERED:
                self._analyses.pop(next(iter(self._analyses)))
            self._analyses[key] = analysis
        return self._analyses[key]

    async def analyse_net(
        self, net: Net, *, most_states: int = MOST_STATES, timeout_s: float = ANALYSIS_TIMEOUT_S
    ) -> Analysis:
        """Analyse off the loop, within a budget of states and time. A caller that goes away ends the search."""
        return await self._off_the_loop(partial(analyse, net, most_states=most_states), timeout_s)

    async def ask(
        self, net: Net, question: str, *, most_states: int = MOST_STATES, timeout_s: float = ANALYSIS_TIMEOUT_S
    ) -> Answer:
        """Answer a question about all runs of a net, see `nets.analysis.asking`. Raises InvalidInput."""
        return await self._off_the_loop(partial(ask, net, question, most_states=most_states), timeout_s)

    async def simulate(
        self,
        net: Net,
        behaviours: Mapping[str, Behaviour],
        *,
        cases: int = 1_000,
        arrival_s: float = 60.0,
        seed: int = 0,
        timeout_s: float = ANALYSIS_TIMEOUT_S,
    ) -> Simulation:
        """Let cases run through a net, off the loop, see `nets.simulation`. Raises InvalidInput."""
        if not 1 <= cases <= MOST_CASES:
            raise InvalidInput(
                f"{cases} cases cannot be simulated.", fix=f"Give 1 to {MOST_CASES:,}.", details={"path": "cases"}
            )
        work = partial(simulate, net, behaviours, cases=cases, arrival=Exponential(arrival_s), seed=seed)
        return await self._off_the_loop(work, timeout_s)

    async def _off_the_loop(self, work: Callable[..., T], timeout_s: float) -> T:
        """Run `work(keep_going=...)` in a thread; it stops when the time is up, or when nobody waits any more."""
        deadline = self.world.monotonic() + timeout_s
        gone = False

        def keep_going() -> bool:
            return not gone and self.world.monotonic() < deadline

        try:
            return await asyncio.to_thread(work, keep_going=keep_going)
        finally:
            gone = True

    # -- tokens ---------------------------------------------------------------------------------------------------

    async def create_token(
        self,
        workflow_id: str,
        *,
        caller: Caller,
        data: object = None,
        metadata: object = None,
        initial_place: str | None = None,
        idempotency_key: str | None = None,
    ) -> Token:
        """Start a token in the workflow's first marking, or with one token on `initial_place`; automatic transitions
        fire at once.

        Raises NotFound for the workflow or the place, TooLarge and InvalidInput for the data, Conflict when the key was
        used for another request.
        """
        wanted = NewToken(workflow_id, data, metadata, initial_place, idempotency_key)
        return (await self.create_tokens([wanted], caller=caller))[0]

    async def create_tokens(self, wanted: Sequence[NewToken], *, caller: Caller) -> Sequence[Token]:
        """Start several tokens, all of them or none, in one transaction. Raises as `create_token` does; the error of
        the first one that cannot be created has its number in `details.index`."""
        _check_batch(wanted)
        changes = []
        for number, one in enumerate(wanted):
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)  # others have their turn
            try:
                changes.append(await self._birth(one, caller))
            except CircuitBreakerError as error:
                if len(wanted) > 1:
                    error.details["index"] = number
                raise
        stored = await self.ledger.add(changes)
        for change, token in zip(changes, stored, strict=True):
            await self._announce(change, token)
        return stored

    async def _birth(self, wanted: NewToken, caller: Caller) -> Change:
        workflow = await self.ledger.workflow(wanted.workflow)
        data = {} if wanted.data is None else checked(wanted.data, "data")
        metadata = {} if wanted.metadata is None else checked(wanted.metadata, "metadata")
        once = once_of(wanted.idempotency_key, ["create", workflow.id, data, metadata, wanted.initial_place])
        place = wanted.initial_place
        if place is not None and place not in workflow.net.place_ids:
            raise NotFound.named(f"place of {workflow.id}", place, workflow.net.place_ids)
        marking = workflow.net.initial if place is None else {place: 1}
        return self.born(self.world.new_id(), workflow, marking, data, metadata, caller, once=once)

    def born(
        self,
        token_id: str,
        workflow: Workflow,
        marking: Mapping[str, int],
        data: Mapping[str, Any],
        metadata: Mapping[str, Any],
        caller: Caller,
        *,
        once: Once | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Change:
        """A new token with what its first marking sets off."""
        now, net = self.world.now(), workflow.net
        token = Token(
            token_id, workflow.id, marking, data, metadata, 1, now, now, status=firing.status_of(net, marking)
        )
        event = Event(
            token_id,
            1,
            "created",
            marking,
            now,
            data=data or None,
            actor=caller.name,
            reason=reason,
            detail=detail or {},
        )
        born = Firing(token, (event,))
        if net.restless:
            born = firing.settled(net, Firing(token, (event,), tuple(clocks(net, None, token, None))), now)
        return self._sealed(born, chain.origin(token), once)

    async def fire(
        self,
        token_id: str,
        transition: str,
        *,
        caller: Caller,
        data: object = None,
        source: str | None = None,
        expected: int | None = None,
        idempotency_key: str | None = None,
        reason: str = "",
        done: Job | None = None,
    ) -> Token:
        """Fire `transition` on a token and merge `data` into its data; see `nets.firing.fire` for the semantics.

        `source` chooses the mode of a transition with several. `expected` is the version that the caller has seen.
        `done` is the job that asked for it.

        Raises NotFound, NotEnabled (which place lacks what, which guard said no), Conflict (the token moved:
        `details.current`), TooLarge and InvalidInput for the data.
        """
        return await self.fire_one(
            Fire(token_id, transition, data, source, expected, idempotency_key, reason), caller=caller, done=done
        )

    async def fire_one(self, wanted: Fire, *, caller: Caller, done: Job | None = None) -> Token:
        """`fire`, as data asks for it."""
        decided = await self._decided(wanted, caller, done)
        return decided if isinstance(decided, Token) else await self._stored(decided)

    async def _decided(self, wanted: Fire, caller: Caller, done: Job | None = None) -> Change | Token:
        """What a firing makes of its token, to be stored; or the token, when the same was asked before."""
        patch = None if wanted.data is None else checked(wanted.data, "data")
        once = None
        if wanted.idempotency_key is not None:
            request = ["fire", wanted.token, wanted.transition, patch, wanted.source, wanted.expected]
            once = once_of(wanted.idempotency_key, request)
        if once and (earlier := await self.ledger.replayed(once)):
            return earlier
        token, workflow = await self._at_version(wanted.token, wanted.expected)
        mode = firing.choose_mode(workflow.net, token, wanted.transition, wanted.source)
        finished = done is not None and done.kind == "resume"
        fired = firing.fire(
            workflow.net,
            token,
            mode,
            self.world.now(),
            patch=patch,
            actor=caller.name,
            reason=_reason(wanted.reason),
            finished=finished,
        )
        if patch:
            check_size(orjson.dumps(fired.token.data), "data")
        return self._sealed(fired, token.head, once, done)

    async def fire_all(self, wanted: Sequence[Fire], *, caller: Caller) -> Sequence[Token | CircuitBreakerError]:
        """Fire each, one after the other where they are of one token; the outcome of each, in order."""
        _check_batch(wanted)
        queues: dict[str, list[int]] = {}
        for number, one in enumerate(wanted):
            queues.setdefault(one.token, []).append(number)
        outcomes: dict[int, Token | CircuitBreakerError] = {}
        for turn in zip_longest(*queues.values()):  # the first of each token, then the second
            changes: dict[int, Change] = {}
            for done, number in enumerate(number for number in turn if number is not None):
                if done % _BREATH == _BREATH - 1:
                    await asyncio.sleep(0)  # others have their turn
                try:
                    decided = await self._decided(wanted[number], caller)
                except CircuitBreakerError as error:
                    outcomes[number] = error
                    continue
                if isinstance(decided, Change):
                    changes[number] = decided
                else:
                    outcomes[number] = decided
            stored = await self.ledger.commit_all(list(changes.values()))
            for (number, change), outcome in zip(changes.items(), stored, strict=True):
                outcomes[number] = outcome
                if isinstance(outcome, Token):
                    await self._announce(change, outcome)
        return [outcomes[number] for number in range(len(wanted))]

    async def roll_back(
        self, token_id: str, to_version: int, *, caller: Caller, reason: str = "", expected: int | None = None
    ) -> Token:
        """Give a token the marking and the data that it had after `to_version`, as a new event: nothing is deleted.

        Raises NotFound for the token or the version, InvalidInput when a place of then is not in the workflow of now,
        Conflict.
        """
        token, workflow = await self._at_version(token_id, expected)
        events = await self.history(token_id)
        if not events[0].sequence <= to_version < token.version:
            raise InvalidInput(
                f"The token cannot be rolled back to version {to_version}.",
                why=f"It is at version {token.version}, and its history begins with {events[0].sequence}"
                + ("; what was before was archived." if events[0].kind == "archived" else "."),
                fix="Name an earlier version of its history.",
                details={"path": "toVersion", "version": token.version, "first": events[0].sequence},
            )
        data: Mapping[str, Any] = {}
        for event in events:
            if event.sequence <= to_version:
                data, target = chain.data_after(data, event), event
        strangers = [place for place in target.after if place not in workflow.net.place_ids]
        if strangers:
            raise InvalidInput(
                f"At version {to_version} the token was in {strangers[0]}, which {workflow.id} does not have.",
                why="It was migrated to another workflow since.",
                fix="Roll back to a version after the migration, or migrate it back.",
                details={"path": "toVersion", "places": strangers},
            )
        event = self.event(
            token, "rolled_back", caller, after=target.after, data=data, reason=reason, detail={"to": to_version}
        )
        return await self.commit(firing.changed(workflow.net, token, event, data), token.head)

    async def cancel(self, token_id: str, *, caller: Caller, reason: str = "", expected: int | None = None) -> Token:
        """Take a token out of its workflow; it keeps its history, and can be rolled back to an earlier version.

        Raises NotFound, Conflict; InvalidInput when it is cancelled already.
        """
        token, workflow = await self._at_version(token_id, expected)
        if token.status == "cancelled":
            raise InvalidInput("The token is cancelled already.", fix="Roll it back to bring it back.")
        event = self.event(token, "cancelled", caller, after={}, reason=reason)
        changed = firing.changed(workflow.net, token, event, token.data, status="cancelled")
        return await self.commit(changed, token.head)

    async def fork(
        self, token_id: str, *, caller: Caller, reason: str = "", idempotency_key: str | None = None
    ) -> Token:
        """A new token that begins where another one is, with its data and metadata. Raises NotFound."""
        once = once_of(idempotency_key, ["fork", token_id])
        if once and (earlier := await self.ledger.replayed(once)):
            return earlier
        token = await self.ledger.token(token_id)
        workflow = await self.ledger.workflow(token.workflow)
        change = self.born(
            self.world.new_id(),
            workflow,
            token.marking,
            token.data,
            {key: value for key, value in token.metadata.items() if key != "parent"},
            caller,
            once=once,
            reason=reason,
            detail={"forkOf": token.id, "version": token.version},
        )
        return await self.add(change)

    async def add(self, change: Change) -> Token:
        """Store one new token, and say so."""
        (stored,) = await self.ledger.add([change])
        await self._announce(change, stored)
        return stored

    async def what_if(self, token_id: str, steps: Sequence[Fire], *, caller: Caller) -> Tried:
        """Fire on a copy that is thrown away: what would become of the token. Raises NotFound for the token only; what
        else stands against a step is in the answer."""
        if len(steps) > MOST_STEPS_TRIED:
            raise TooLarge(f"{len(steps)} steps are too many.", fix=f"Try up to {MOST_STEPS_TRIED}.")
        token = await self.ledger.token(token_id)
        net = (await self.ledger.workflow(token.workflow)).net
        tokens, events = [token], list[Event]()
        for step in steps:
            try:
                mode = firing.choose_mode(net, token, step.transition, step.source)
                patch = None if step.data is None else checked(step.data, "data")
                tried = firing.fire(net, token, mode, self.world.now(), patch=patch, actor=caller.name, finished=True)
            except CircuitBreakerError as error:
                return Tried(tuple(tokens), tuple(events), error)
            token = tried.token
            tokens.append(token)
            events.extend(tried.events)
        return Tried(tuple(tokens), tuple(events))

    async def commit(self, done_to: Firing, head: bytes, *, once: Once | None = None, done: Job | None = None) -> Token:
        """Store what became of a token whose last event has the hash `head`, and say so."""
        return await self._stored(self._sealed(done_to, head, once, done))

    async def _stored(self, change: Change) -> Token:
        moved = await self.ledger.commit(change)
        await self._announce(change, moved)
        return moved

    def _sealed(self, firing_: Firing, head: bytes, once: Once | None, done: Job | None = None) -> Change:
        events = []
        for event in firing_.events:
            sealed = chain.seal(event, head)
            events.append(sealed)
            head = sealed.hash
        token = firing_.token.with_head(head)
        if not firing_.effects and "parent" not in token.metadata:
            return Change(token, events, once, done=done)
        jobs, dropped = errands(token, firing_.effects, self.world.now())
        return Change(token, events, once, jobs, dropped, done)

    async def _announce(self, change: Change, stored: Token) -> None:
        """Say what is new: not what another request under the same key has made."""
        if stored.head != change.token.head:
            return
        net = (await self.ledger.workflow(change.token.workflow)).net
        self.bus.publish([TokenChanged(change.token, change.events), *notices(net, change.token, change.events)])
        if change.jobs:
            self.bus.publish([JobsWaiting(min(job.due for job in change.jobs))])

    def event(
        self,
        token: Token,
        kind: EventKind,
        caller: Caller,
        *,
        after: Mapping[str, int] | None = None,
        transition: str | None = None,
        data: Mapping[str, Any] | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Event:
        """The next event of a token, one that is no firing; without `after` the marking stays. Raises InvalidInput for
        a reason that is too long."""
        return Event(
            token.id,
            token.version + 1,
            kind,
            token.marking if after is None else after,
            self.world.now(),
            token.marking,
            transition,
            data=data,
            actor=caller.name,
            reason=_reason(reason),
            detail=detail or {},
        )

    async def _at_version(self, token_id: str, expected: int | None) -> tuple[Token, Workflow]:
        token = await self.ledger.token(token_id)
        workflow = await self.ledger.workflow(token.workflow)
        if expected is not None and expected != token.version:
            raise token_moved(token.version, in_words(token.marking, workflow.net.place_ids), expected)
        return token, workflow

    # -- reading --------------------------------------------------------------------------------------------------

    async def token(self, token_id: str) -> Token:
        """Raises NotFound."""
        return await self.ledger.token(token_id)

    async def tokens(
        self,
        query: TokenQuery | None = None,
        *,
        workflow: str | None = None,
        state: str | None = None,
        first: int = 50,
        after: str | None = None,
    ) -> Sequence[Token]:
        """Newest first; `after` is the id of the last one of the page before. Raises NotFound for the workflow."""
        query = query or TokenQuery(workflow, state, first=first, before=after)
        if query.workflow is not None:
            await self.ledger.workflow(query.workflow)
        if not 1 <= query.first <= 1000:
            raise InvalidInput(
                f"{query.first} is no size for a page.", fix="Ask for 1 to 1000.", details={"path": "first"}
            )
        return await self.ledger.tokens(query)

    async def history(self, token_id: str) -> Sequence[Event]:
        """Raises NotFound."""
        await self.ledger.token(token_id)
        return (await self.ledger.histories([token_id]))[token_id]

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        return await self.ledger.histories(token_ids)

    async def jobs(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Job]]:
        """What each token waits for, in the order it is due: its clocks, and what is to be done for it."""
        return await self._queue.of(token_ids) if self._queue else dict.fromkeys(token_ids, ())

    async def follow(self, after: int | None = None, workflow: str | None = None) -> AsyncIterator[Event]:
        """The events of all tokens, or of one workflow's, after a position, and then as they are stored: each once, in
        order. Without a position: from now on."""
        position = await self.ledger.last_position() if after is None else after
        with self.bus.subscribe(TokenChanged, limit=1) as changes:
            while True:
                changes.take()
                while found := await self.ledger.events(position, workflow=workflow):
                    for event in found:
                        position = event.position
                        yield event
                await changes.arrived(within_s=_LOOK_AGAIN_S)

    async def available(self, token_id: str) -> Sequence[Availability]:
        """Each transition of the token's workflow: whether it can fire now, and if not, why. Raises NotFound."""
        token = await self.ledger.token(token_id)
        return firing.availability((await self.ledger.workflow(token.workflow)).net, token)

    async def counts(self, workflow_id: str) -> Mapping[str, int]:
        """How many tokens are in each state."""
        return await self.ledger.counts(workflow_id)

    async def damages(self) -> Sequence[Damage]:
        """All tokens whose history does not fit its hash chain."""
        found = []
        async for token, events in self.ledger.every_token():
            if (sequence := chain.first_break(token, events)) is not None:
                found.append(Damage(token.id, sequence))
        return found


def _check_batch(wanted: Sequence[object]) -> None:
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise TooLarge(
            f"{len(wanted)} at once cannot be done.",
            fix=f"Give 1 to {MOST_AT_ONCE:,} at once.",
            details={"limit": MOST_AT_ONCE},
        )


def _reason(text: str) -> str:
    if len(text) > _MOST_REASON:
        raise InvalidInput(
            f"The reason has {len(text)} characters.", fix=f"Give up to {_MOST_REASON}.", details={"path": "reason"}
        )
    return text
