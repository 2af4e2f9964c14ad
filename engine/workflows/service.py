"""The use cases of workflows: load, decide purely, commit once, publish."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from engine.kernel.bus import Bus
from engine.kernel.caller import Caller
from engine.kernel.errors import InvalidInput, InvalidWorkflow, NotFound, TooLarge
from engine.kernel.world import World
from engine.nets import firing, notation, structure
from engine.nets.analysis.model import Analysis, Finding, Severity
from engine.nets.analysis.verdicts import MOST_STATES, analyse
from engine.nets.firing import Availability
from engine.nets.marking import in_words
from engine.nets.model import Net
from engine.nets.notation import Definition
from engine.nets.token import Event, Token
from engine.store.ports import Ledger, Once
from engine.workflows import chain
from engine.workflows.conflicts import token_moved
from engine.workflows.events import TokenChanged, WorkflowAdded
from engine.workflows.model import Workflow

MOST_DATA_BYTES = 1_000_000
MOST_WORKFLOW_BYTES = 10_000_000
ANALYSIS_TIMEOUT_S = 2.0
_REMEMBERED = 256  # analyses


@dataclass(frozen=True, slots=True)
class Damage:
    """A token whose history does not fit its hash chain, from event `sequence` on."""

    token: str
    sequence: int


class Workflows:
    def __init__(self, ledger: Ledger, bus: Bus, world: World) -> None:
        self._ledger, self._bus, self._world = ledger, bus, world
        self._analyses: dict[tuple[bytes, int], Analysis] = {}

    # -- definitions ----------------------------------------------------------------------------------------------

    async def create(self, source: Mapping[str, Any], *, strict: bool = False) -> Workflow:
        """Store the workflow that `source` describes (see `engine.nets.notation`); the same content again gives the
        one that is there.

        Raises InvalidInput for what cannot be read, InvalidWorkflow when its parts do not fit together or, with
        `strict`, when the analysis finds an error; `details.findings` has them. Conflict when its id is taken.
        """
        definition = read_checked(source)
        if strict:
            analysis = await self.analyse_net(definition.net)
            _refuse(definition, [found for found in analysis.findings if found.severity is Severity.ERROR])
        workflow = await self._ledger.add_workflow(definition, self._world.now())
        self._bus.publish([WorkflowAdded(workflow)])
        return workflow

    async def workflow(self, workflow_id: str) -> Workflow:
        """Raises NotFound with the nearest ids."""
        return await self._ledger.workflow(workflow_id)

    async def all(self) -> Sequence[Workflow]:
        return await self._ledger.workflows()

    async def analyse(
        self, workflow_id: str, *, most_states: int = MOST_STATES, timeout_s: float = ANALYSIS_TIMEOUT_S
    ) -> Analysis:
        """The analysis of a stored workflow; kept, once it is complete."""
        workflow = await self._ledger.workflow(workflow_id)
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
        deadline = self._world.monotonic() + timeout_s
        gone = False

        def keep_going() -> bool:
            return not gone and self._world.monotonic() < deadline

        try:
            return await asyncio.to_thread(analyse, net, most_states=most_states, keep_going=keep_going)
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
        """Start a token in the workflow's first marking, or with one token on `initial_place`.

        `data` and `metadata` are JSON objects; they are checked and copied here.

        Raises NotFound for the workflow or the place, TooLarge and InvalidInput for the data, Conflict when the key was
        used for another request.
        """
        workflow = await self._ledger.workflow(workflow_id)
        carried, known = (
            _checked({} if one is None else one, path) for one, path in ((data, "data"), (metadata, "metadata"))
        )
        once = _once(idempotency_key, ["create", workflow_id, carried, known, initial_place])
        if once and (earlier := await self._ledger.replayed(once)):
            return earlier
        if initial_place is not None and initial_place not in workflow.net.place_ids:
            raise NotFound.named(f"place of {workflow.id}", initial_place, workflow.net.place_ids)
        marking = dict(workflow.net.initial) if initial_place is None else {initial_place: 1}
        now = self._world.now()
        token = Token(self._world.new_id(), workflow.id, marking, carried, known, 1, now, now)
        created = Event(token.id, 1, "created", marking, now, data=carried or None, actor=caller.name)
        created = chain.seal(created, chain.origin(token))
        stored = await self._ledger.add_token(replace(token, head=created.hash), [created], once)
        if stored.id == token.id:  # not one that another request under the same key has made
            self._bus.publish([TokenChanged(stored, (created,))])
        return stored

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
    ) -> Token:
        """Fire `transition` on a token and merge `data` into its data; see `nets.firing.fire` for the semantics.

        `source` chooses the mode of a transition with several. `expected` is the version that the caller has seen.

        Raises NotFound, NotEnabled (which place lacks what, which guard said no), Conflict (the token moved:
        `details.current`), TooLarge and InvalidInput for the data.
        """
        patch = None if data is None else _checked(data, "data")
        once = _once(idempotency_key, ["fire", token_id, transition, patch, source, expected])
        if once and (earlier := await self._ledger.replayed(once)):
            return earlier
        token = await self._ledger.token(token_id)
        workflow = await self._ledger.workflow(token.workflow)
        if expected is not None and expected != token.version:
            raise token_moved(token, in_words(token.marking, workflow.net.place_ids), expected)
        mode = firing.choose_mode(workflow.net, token, transition, source)
        fired = firing.fire(workflow.net, token, mode, self._world.now(), patch=patch, actor=caller.name)
        if patch:
            _sized(orjson.dumps(fired.token.data), "data")
        events = tuple(_sealed(fired.events, token.head))
        moved = await self._ledger.commit(replace(fired.token, head=events[-1].hash), events, once)
        if moved.head == events[-1].hash:  # not what another request under the same key has made of it
            self._bus.publish([TokenChanged(moved, events)])
        return moved

    async def token(self, token_id: str) -> Token:
        """Raises NotFound."""
        return await self._ledger.token(token_id)

    async def tokens(
        self, *, workflow: str | None = None, state: str | None = None, first: int = 50, after: str | None = None
    ) -> Sequence[Token]:
        """Newest first; `after` is the id of the last one of the page before. Raises NotFound for the workflow."""
        if workflow is not None:
            await self._ledger.workflow(workflow)
        if not 1 <= first <= 1000:
            raise InvalidInput(f"{first} is no size for a page.", fix="Ask for 1 to 1000.", details={"path": "first"})
        return await self._ledger.tokens(workflow=workflow, state=state, first=first, after=after)

    async def history(self, token_id: str) -> Sequence[Event]:
        """Raises NotFound."""
        await self._ledger.token(token_id)
        return (await self._ledger.histories([token_id]))[token_id]

    async def histories(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Event]]:
        return await self._ledger.histories(token_ids)

    async def available(self, token_id: str) -> Sequence[Availability]:
        """Each transition of the token's workflow: whether it can fire now, and if not, why. Raises NotFound."""
        token = await self._ledger.token(token_id)
        return firing.availability((await self._ledger.workflow(token.workflow)).net, token)

    async def counts(self, workflow_id: str) -> Mapping[str, int]:
        """How many tokens are in each state."""
        return await self._ledger.counts(workflow_id)

    async def damages(self) -> Sequence[Damage]:
        """All tokens whose history does not fit its hash chain."""
        found = []
        async for token, events in self._ledger.every_token():
            if (sequence := chain.first_break(token, events)) is not None:
                found.append(Damage(token.id, sequence))
        return found


def read_checked(source: Mapping[str, Any]) -> Definition:
    """The definition in `source`, whose parts fit together. Raises InvalidInput, TooLarge and InvalidWorkflow."""
    definition = notation.read(_checked(source, "workflow", MOST_WORKFLOW_BYTES))
    _refuse(definition, [found for found in structure.check(definition.net) if found.severity is Severity.ERROR])
    return definition


def _refuse(definition: Definition, findings: Sequence[Finding]) -> None:
    if findings:
        rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise InvalidWorkflow(
            f"The workflow {definition.name} is refused.",
            why=f"{findings[0].message}{rest}",
            fix="Mend it and send it again; nothing was stored.",
            details={
                "findings": [
                    {
                        "code": str(found.code),
                        "message": found.message,
                        "places": list(found.places),
                        "transitions": list(found.transitions),
                    }
                    for found in findings[:100]
                ]
            },
        )


def _sealed(events: Sequence[Event], head: bytes) -> Sequence[Event]:
    sealed: list[Event] = []
    for event in events:
        sealed.append(chain.seal(event, sealed[-1].hash if sealed else head))
    return sealed


def _checked(data: object, path: str, most_bytes: int = MOST_DATA_BYTES) -> Mapping[str, Any]:
    """A copy of `data`, when it can be stored: JSON within bounds, that comes back as it was."""
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{path} is not an object.", fix="Give a JSON object.", details={"path": path})
    try:
        written = orjson.dumps([[[[data]]]])[4:-4]  # with room for what is put around it later
        copy: Mapping[str, Any] = orjson.loads(written)
        if copy != data:  # orjson makes null of NaN and text of a time
            json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} cannot be written as JSON.", why=f"{error}.", fix="Change the value.", details={"path": path}
        ) from None
    _sized(written, path, most_bytes)
    return copy


def _sized(written: bytes, path: str, most_bytes: int = MOST_DATA_BYTES) -> None:
    if len(written) > most_bytes:
        raise TooLarge(
            f"{path} takes {len(written):,} bytes.",
            why=f"Up to {most_bytes:,} are kept.",
            fix="Store it elsewhere and keep a reference to it." if path != "workflow" else "Cut it into smaller ones.",
            details={"path": path, "limit": most_bytes},
        )


def _once(key: str | None, request: Sequence[object]) -> Once | None:
    if key is None:
        return None
    if not 1 <= len(key) <= 200:
        raise InvalidInput(
            "The idempotency key is too long or empty.",
            fix="Give 1 to 200 characters.",
            details={"path": "idempotencyKey"},
        )
    try:
        return Once(key, hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).digest())
    except TypeError as error:
        raise InvalidInput("The request is not valid Unicode.", why=f"{error}.", fix="Change it.") from None
