"""Workflows, analyses and tokens as GraphQL types."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import strawberry
from strawberry.scalars import JSON

from engine.jobs.model import Job
from engine.nets import notation
from engine.nets.analysis import model as analysis
from engine.nets.analysis.structural import Handle, Structure
from engine.nets.exports import export
from engine.nets.firing import Availability
from engine.nets.marking import in_words
from engine.nets.model import Arc, Timer, Transition
from engine.nets.token import Event, Token
from engine.workflows.model import Workflow
from server.graphql.context import Ask
from server.graphql.scalars import timestamp
from server.graphql.words import enum

enum(
    analysis.FindingCode,
    "What kind of finding it is.",
    (
        "Nothing can fire, and it is not an end.",
        "A transition that can never fire.",
        "A place that can fill without end.",
        "A place that can hold two tokens.",
        "It can move for ever without a way to an end.",
        "A marking from which no end can be reached.",
        "An end at which something is left over.",
        "A transition that can become impossible for ever.",
        "Parts that do not fit together.",
        "The search ended before the state space did.",
    ),
)
enum(
    analysis.Severity,
    "How much a finding weighs.",
    ("It is wrong.", "It is likely wrong.", "It is good to know."),
)


@strawberry.type(name="Arc", description="One end of a transition: how many tokens of a place.")
class ArcType:
    place: str = strawberry.field(description="The id of the place.")
    weight: int = strawberry.field(description="How many tokens.")

    @classmethod
    def all(cls, arcs: Sequence[Arc]) -> list[Self]:
        return [cls(place=arc.place, weight=arc.weight) for arc in arcs]


@strawberry.type(name="PlaceTokens", description="How many tokens a place holds.")
class PlaceTokensType:
    place: str = strawberry.field(description="The id of the place.")
    tokens: int = strawberry.field(description="How many tokens it holds.")

    @classmethod
    def all(cls, marking: Mapping[str, int]) -> list[Self]:
        return [cls(place=place, tokens=count) for place, count in marking.items()]


@strawberry.type(name="Timer", description="When a transition fires by itself: one of the two is given.")
class TimerType:
    after_seconds: float | None = strawberry.field(description="So long after the places began to let it fire.")
    at: str | None = strawberry.field(description="At the moment that stands in this field of the data.")

    @classmethod
    def of(cls, timer: Timer) -> Self:
        return cls(after_seconds=timer.after_s, at=timer.at or None)


@strawberry.type(name="Transition", description="What moves tokens from place to place.")
class TransitionType:
    id: str = strawberry.field(description="Unique within its workflow.")
    name: str = strawberry.field(description="For people; the id when it was not given.")
    description: str = strawberry.field(description="For people.")
    from_states: list[str] = strawberry.field(
        description="The places it takes from: any one of them, or all of them when they are `inputs`."
    )
    to_state: str | None = strawberry.field(description="The first place it puts a token on.")
    inputs: list[ArcType] = strawberry.field(description="What every firing takes.")
    outputs: list[ArcType] = strawberry.field(description="What every firing puts.")
    reads: list[ArcType] = strawberry.field(description="What must be there and stays.")
    inhibitors: list[ArcType] = strawberry.field(description="A place must have fewer tokens than the weight.")
    resets: list[str] = strawberry.field(description="Places that are emptied.")
    conditions: list[str] = strawberry.field(description="What must hold of the token's data.")
    automatic: bool = strawberry.field(description="Whether it fires as soon as it can.")
    priority: int = strawberry.field(description="Which one goes first, where several fire by themselves.")
    timer: TimerType | None = strawberry.field(description="When it fires by itself.")
    sub_workflow: str | None = strawberry.field(description="The workflow that runs inside.")

    @classmethod
    def of(cls, transition: Transition) -> Self:
        return cls(
            id=transition.id,
            name=transition.label or transition.id,
            description=transition.description,
            from_states=list(transition.sources) or [arc.place for arc in transition.inputs],
            to_state=transition.outputs[0].place if transition.outputs else None,
            inputs=ArcType.all(transition.inputs),
            outputs=ArcType.all(transition.outputs),
            reads=ArcType.all(transition.reads),
            inhibitors=ArcType.all(transition.inhibitors),
            resets=list(transition.resets),
            conditions=list(transition.conditions),
            automatic=transition.automatic,
            priority=transition.priority,
            timer=TimerType.of(transition.timer) if transition.timer else None,
            sub_workflow=transition.sub_workflow or None,
        )


@strawberry.type(name="TraceStep", description="One step of a run; the first one is the start and has no transition.")
class TraceStepType:
    transition: str | None = strawberry.field(description="What fired.")
    source: str | None = strawberry.field(description="The place it took from, for a transition with several.")
    marking: list[PlaceTokensType] = strawberry.field(description="Where the tokens are after it.")

    @classmethod
    def all(cls, trace: Sequence[analysis.Step]) -> list[Self]:
        return [cls(transition=s.transition, source=s.source, marking=PlaceTokensType.all(s.marking)) for s in trace]


@strawberry.type(name="Finding", description="Something to know about a workflow, with evidence.")
class FindingType:
    code: analysis.FindingCode = strawberry.field(description="What kind of finding it is.")
    severity: analysis.Severity = strawberry.field(description="How much it weighs.")
    message: str = strawberry.field(description="In words.")
    places: list[str] = strawberry.field(description="The places it is about.")
    transitions: list[str] = strawberry.field(description="The transitions it is about.")
    trace: list[TraceStepType] = strawberry.field(
        description="A shortest run that shows it; plays through createToken and fireTransition."
    )
    depends_on_guards: bool = strawberry.field(description="Whether the run passes a guarded transition.")
    onward: list[TraceStepType] = strawberry.field(
        description="How a livelock goes on after the trace: into a loop, and once round it."
    )
    loop: int | None = strawberry.field(
        description="The step, of trace and onward together, that a livelock comes back to at its end, for ever."
    )
    siphon: list[str] = strawberry.field(
        description="Places that can never be filled again, which tokens of a deadlock wait for; empty when that is "
        "not why."
    )

    @classmethod
    def of(cls, finding: analysis.Finding) -> Self:
        return cls(
            code=finding.code,
            severity=finding.severity,
            message=finding.message,
            places=list(finding.places),
            transitions=list(finding.transitions),
            trace=TraceStepType.all(finding.trace),
            depends_on_guards=finding.depends_on_guards,
            onward=TraceStepType.all(finding.onward),
            loop=finding.loop,
            siphon=list(finding.siphon),
        )


@strawberry.type(name="Invariant", description="A law of the net.")
class InvariantType:
    kind: str = strawberry.field(
        description="place: the weighted sum of the tokens is always `value`. transition: firing each so often leads "
        "back to where it began."
    )
    weights: JSON = strawberry.field(description="How often each place, or each transition, counts.")
    value: int | None = strawberry.field(description="What the sum always is.")
    words: str = strawberry.field(description="In words.")

    @classmethod
    def of(cls, found: analysis.Invariant) -> Self:
        return cls(
            kind=found.kind,
            weights=JSON(found.weights),
            value=found.value,
            words=found.words,
        )


@strawberry.type(name="Handle", description="Two ways from one node to another that have nothing else in common.")
class HandleType:
    start: str = strawberry.field(description="Where they part: a place, or a transition.")
    end: str = strawberry.field(description="Where they meet: the other of the two.")
    first: list[str] = strawberry.field(description="One of them: places and transitions in turn.")
    second: list[str] = strawberry.field(description="The other one.")
    words: str = strawberry.field(description="What they may do.")

    @classmethod
    def of(cls, found: Handle) -> Self:
        return cls(
            start=found.start, end=found.end, first=list(found.first), second=list(found.second), words=found.words
        )


@strawberry.type(
    name="Structure", description="What the arcs say by themselves. It explains; no verdict comes from it."
)
class StructureType:
    well_handled: bool | None = strawberry.field(
        description="Whether no place and transition are joined by two ways that have nothing else in common; null "
        "when that is not known."
    )
    handles: list[HandleType] = strawberry.field(description="Such ways, some of them when there are many.")
    every_handle: bool = strawberry.field(description="Whether `handles` are all there are.")
    siphons: list[list[str]] = strawberry.field(description="Minimal sets of places that stay empty once they are.")
    every_siphon: bool = strawberry.field(description="Whether `siphons` are all there are.")
    traps: list[list[str]] = strawberry.field(description="Minimal sets of places that stay marked once they are.")
    every_trap: bool = strawberry.field(description="Whether `traps` are all there are.")

    @classmethod
    def of(cls, found: Structure) -> Self:
        return cls(
            well_handled=found.well_handled,
            handles=[HandleType.of(one) for one in found.handles],
            every_handle=found.every_handle,
            siphons=[list(one) for one in found.siphons.sets],
            every_siphon=found.siphons.complete,
            traps=[list(one) for one in found.traps.sets],
            every_trap=found.traps.complete,
        )


@strawberry.type(
    name="Analysis", description="What was proven of a workflow. Null is not proven, never a guess. Guards are `may`."
)
class AnalysisType:
    found: strawberry.Private[analysis.Analysis]
    complete: bool = strawberry.field(description="Whether the state space was searched to its end.")
    states: int | None = strawberry.field(description="Reachable markings, when complete.")
    edges: int | None = strawberry.field(description="Steps between them, when complete.")
    bounded: bool | None = strawberry.field(description="Whether no place can fill without end.")
    bound: int | None = strawberry.field(description="The least number that no place exceeds.")
    safe: bool | None = strawberry.field(description="Whether no place ever holds two tokens.")
    live: bool | None = strawberry.field(description="Whether every transition can always become possible again.")
    reversible: bool | None = strawberry.field(description="Whether the start can always be reached again.")
    deadlock_free: bool | None = strawberry.field(description="No reachable dead marking other than a final one.")
    sound: bool | None = strawberry.field(
        description="Option to complete, proper completion and no dead transition; null for a net without an end."
    )
    option_to_complete: bool | None = strawberry.field(description="Whether an end can always be reached.")
    proper_completion: bool | None = strawberry.field(description="Whether nothing is left over at an end.")
    livelock_free: bool | None = strawberry.field(description="Whether it never moves for ever without an end.")
    dead_transitions: list[str] | None = strawberry.field(description="Transitions that can never fire.")
    unbounded_places: list[str] | None = strawberry.field(description="Places that can fill without end.")
    home_states: bool | None = strawberry.field(description="Whether some marking can be reached from everywhere.")
    liveness: JSON = strawberry.field(
        description="Murata's level of each transition, as far as it is known: 0 dead, 1 can fire, 3 can fire without "
        "end, 4 can always be made to fire again."
    )
    place_bounds: JSON = strawberry.field(description="The most tokens of each place, as far as it is known.")
    net_class: list[str] = strawberry.field(description="What kind of net it is, by its structure.")
    by: JSON = strawberry.field(
        description="What decided a verdict: state space, reduction, coverability, stubborn sets, siphons, random walk "
        "or invariant."
    )
    on_guards: list[str] = strawberry.field(
        description="The verdicts, named as in `by`, that are true when guards say yes and that some data may turn."
    )
    invariants: list[InvariantType] = strawberry.field(description="The laws that hold of it.")
    findings: list[FindingType] = strawberry.field(description="What to know, the gravest first.")
    deadlocks: list[FindingType] = strawberry.field(
        description="The kinds of deadlock, one for each set of places in which it gets stuck, the nearest first."
    )
    every_deadlock: bool = strawberry.field(description="Whether `deadlocks` are all kinds there are.")

    @strawberry.field(description="What the arcs say by themselves: siphons, traps, handles.")
    async def structure(self) -> StructureType | None:
        """Worked out only for those who ask, and off the loop: it can take a tenth of a second."""
        if self.found.structure is None:
            return None
        return await asyncio.to_thread(StructureType.of, self.found.structure)

    @classmethod
    def of(cls, found: analysis.Analysis) -> Self:
        return cls(
            found=found,
            complete=found.complete,
            states=found.states if found.complete else None,
            edges=found.edges if found.complete else None,
            bounded=found.bounded,
            bound=found.bound,
            safe=found.safe,
            live=found.live,
            reversible=found.reversible,
            deadlock_free=found.deadlock_free,
            sound=found.sound,
            option_to_complete=found.option_to_complete,
            proper_completion=found.proper_completion,
            livelock_free=found.livelock_free,
            dead_transitions=None if found.dead_transitions is None else list(found.dead_transitions),
            unbounded_places=None if found.unbounded_places is None else list(found.unbounded_places),
            home_states=found.home_states,
            liveness=JSON(found.liveness),
            place_bounds=JSON(found.place_bounds),
            net_class=list(found.net_class),
            by=JSON(found.by),
            invariants=[InvariantType.of(invariant) for invariant in found.invariants],
            on_guards=list(found.on_guards),
            findings=[FindingType.of(finding) for finding in found.findings],
            deadlocks=[FindingType.of(finding) for finding in found.deadlocks],
            every_deadlock=found.every_deadlock,
        )


@strawberry.type(name="StateCount", description="How many tokens are in a state.")
class StateCountType:
    state: str = strawberry.field(description="The state, as tokens say it.")
    tokens: int = strawberry.field(description="How many.")


@strawberry.type(name="Workflow", description="A definition; it never changes once it is stored.")
class WorkflowType:
    stored: strawberry.Private[Workflow]
    id: strawberry.ID = strawberry.field(description="The slug of its name and its version, or what its author chose.")
    name: str = strawberry.field(description="For people.")
    description: str = strawberry.field(description="For people.")
    version: int = strawberry.field(description="Counts the definitions of one name.")
    states: list[str] = strawberry.field(description="The ids of its places.")
    places: list[str] = strawberry.field(description="The same as `states`.")
    initial_state: str | None = strawberry.field(description="The place that is marked at the beginning.")
    initial_marking: list[PlaceTokensType] = strawberry.field(description="Where tokens are at the beginning.")
    final_places: list[str] = strawberry.field(description="Where it ends; empty when it runs for ever.")
    transitions: list[TransitionType] = strawberry.field(description="What moves tokens.")
    metadata: JSON = strawberry.field(description="The author's own.")
    created_at: str = strawberry.field(description="ISO 8601, UTC.")

    @strawberry.field(description="All of it, as in a workflow file.")
    def definition(self) -> JSON:
        return JSON(notation.write(self.stored.definition))

    @strawberry.field(description="It as text: json, yaml, pnml, mermaid, dot or svg.")
    def export(self, format: Annotated[str, strawberry.argument(description="As what.")]) -> str:
        return export(self.stored.definition, format)

    @strawberry.field(description="What was proven of it.")
    async def analysis(self, info: Ask) -> AnalysisType:
        return AnalysisType.of(await info.context.engine.workflows.analyse(self.stored.id))

    @strawberry.field(description="How many tokens are in each state.")
    async def counts(self, info: Ask) -> list[StateCountType]:
        counts = await info.context.engine.workflows.counts(self.stored.id)
        return [StateCountType(state=state, tokens=tokens) for state, tokens in counts.items()]

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        net = workflow.net
        return cls(
            stored=workflow,
            id=strawberry.ID(workflow.id),
            name=workflow.name,
            description=workflow.definition.description,
            version=workflow.version,
            states=list(net.place_ids),
            places=list(net.place_ids),
            initial_state=next(iter(net.initial), None),
            initial_marking=PlaceTokensType.all(net.initial),
            final_places=[place for place in net.place_ids if place in net.final],
            transitions=[TransitionType.of(transition) for transition in net.transitions],
            metadata=JSON(workflow.definition.metadata),
            created_at=timestamp(workflow.created_at),
        )


@strawberry.type(name="AvailableTransition", description="A transition as it is for one token now.")
class AvailableTransitionType:
    id: str = strawberry.field(description="The transition's id.")
    name: str = strawberry.field(description="For people.")
    enabled: bool = strawberry.field(description="Whether it can fire now.")
    modes: list[str] = strawberry.field(description="The places it can take from now, for a transition with several.")
    from_states: list[str] = strawberry.field(description="The places it takes from.")
    to_state: str | None = strawberry.field(description="The first place it puts a token on.")
    blockers: list[str] = strawberry.field(description="What stands against it, in words.")

    @classmethod
    def of(cls, found: Availability) -> Self:
        transition = TransitionType.of(found.transition)
        return cls(
            id=transition.id,
            name=transition.name,
            enabled=found.enabled,
            modes=[source for source in found.sources if source is not None],
            from_states=transition.from_states,
            to_state=transition.to_state,
            blockers=list(found.blockers),
        )


@strawberry.type(name="HistoryEvent", description="One fact in a token's history; the first is its creation.")
class HistoryEventType:
    sequence: int = strawberry.field(description="Counts from 1.")
    position: int = strawberry.field(description="Its place among the events of all tokens.")
    kind: str = strawberry.field(
        description="created, fired, started, abandoned, overdue, rolled_back, cancelled, migrated or archived."
    )
    transition: str | None = strawberry.field(description="What fired; null for the creation.")
    from_state: str | None = strawberry.field(description="The state before; null for the creation.")
    to_state: str | None = strawberry.field(description="The state after.")
    timestamp: str = strawberry.field(description="ISO 8601, UTC.")
    data: JSON | None = strawberry.field(description="What came with it.")
    actor: str = strawberry.field(description="Who asked.")
    reason: str = strawberry.field(description="Why, where it was said.")
    detail: JSON = strawberry.field(description="What else belongs to its kind.")
    hash: str = strawberry.field(description="Chains it to the event before: SHA-256, in hexadecimal.")

    @classmethod
    def of(cls, event: Event, places: Sequence[str]) -> Self:
        return cls(
            sequence=event.sequence,
            position=event.position,
            kind=event.kind,
            transition=event.transition,
            from_state=None if event.before is None else in_words(event.before, places),
            to_state=in_words(event.after, places),
            timestamp=timestamp(event.at),
            data=None if event.data is None else JSON(event.data),
            actor=event.actor,
            reason=event.reason,
            detail=JSON(event.detail),
            hash=event.hash.hex(),
        )


@strawberry.type(name="Job", description="Something that a token waits for, or that is to be done for it.")
class JobType:
    token_id: str = strawberry.field(description="The token.")
    kind: str = strawberry.field(description="timer, timeout, ask, begin, abandon or resume.")
    name: str = strawberry.field(description="The transition of a timer, the place of a timeout.")
    due: str = strawberry.field(description="When; ISO 8601, UTC.")
    attempts: int = strawberry.field(description="How often it has failed.")
    error: str = strawberry.field(description="Why it failed the last time.")
    state: str = strawberry.field(description="queued, or dead when it is not tried again.")

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            token_id=job.token,
            kind=job.kind,
            name=job.name,
            due=timestamp(job.due),
            attempts=job.attempts,
            error=job.error,
            state=job.state,
        )


@strawberry.type(name="Token", description="One running instance of a workflow.")
class TokenType:
    stored: strawberry.Private[Token]
    id: strawberry.ID = strawberry.field(description="Unique; ids are in order of time.")
    workflow_id: str = strawberry.field(description="The workflow it runs in.")
    state: str = strawberry.field(description="The marked place; several are joined by ` + `.")
    marking: list[PlaceTokensType] = strawberry.field(description="How many tokens are where.")
    data: JSON = strawberry.field(description="What it carries.")
    metadata: JSON = strawberry.field(description="What is known about it.")
    version: int = strawberry.field(description="Counts its events; give it as expectedVersion to be safe.")
    status: str = strawberry.field(description="active, completed or cancelled.")
    running: JSON = strawberry.field(description="Sub-workflows at work: the transition, and the token inside.")
    created_at: str = strawberry.field(description="ISO 8601, UTC.")
    updated_at: str = strawberry.field(description="ISO 8601, UTC.")

    @strawberry.field(description="The workflow it runs in.")
    async def workflow(self, info: Ask) -> WorkflowType:
        return WorkflowType.of(await info.context.engine.workflows.workflow(self.workflow_id))

    @strawberry.field(description="What happened to it, in order.")
    async def history(self, info: Ask) -> list[HistoryEventType]:
        workflow = await info.context.engine.workflows.workflow(self.workflow_id)
        events = await info.context.histories.load(self.stored.id)
        return [HistoryEventType.of(e, workflow.net.place_ids) for e in events if e.sequence <= self.version]

    @strawberry.field(description="What waits for its time: timers, deadlines and work inside.")
    async def jobs(self, info: Ask) -> list[JobType]:
        return [JobType.of(job) for job in await info.context.jobs.load(self.stored.id)]

    @strawberry.field(description="What can fire now; with `includeBlocked` also the others, with what blocks them.")
    async def available_transitions(
        self,
        info: Ask,
        include_blocked: Annotated[
            bool, strawberry.argument(description="Whether those that cannot fire now are wanted too.")
        ] = False,
    ) -> list[AvailableTransitionType]:
        found = await info.context.engine.workflows.available(self.stored.id)
        return [AvailableTransitionType.of(one) for one in found if one.enabled or include_blocked]

    @classmethod
    async def of(cls, token: Token, info: Ask) -> Self:
        workflow = await info.context.engine.workflows.workflow(token.workflow)
        return cls(
            stored=token,
            id=strawberry.ID(token.id),
            workflow_id=token.workflow,
            state=in_words(token.marking, workflow.net.place_ids),
            marking=PlaceTokensType.all(token.marking),
            data=JSON(token.data),
            metadata=JSON(token.metadata),
            version=token.version,
            status=token.status,
            running=JSON(token.running),
            created_at=timestamp(token.created_at),
            updated_at=timestamp(token.updated_at),
        )
