"""Queries about the runs of a workflow, stored or not; a part of `operations`."""

from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from engine.kernel.errors import InvalidInput
from engine.nets.analysis.verdicts import MOST_STATES
from engine.nets.model import Net
from engine.workflows.behaviour import behaviours
from engine.workflows.checking import read_checked
from engine.workflows.service import ANALYSIS_TIMEOUT_S
from server.graphql.asking_types import AnswerType, SimulationType
from server.graphql.context import Ask
from server.graphql.inputs import WorkflowInput, source
from server.graphql.words import about
from server.graphql.workflow_types import AnalysisType

MOST_STATES_ASKED = 2_000_000
MOST_TIMEOUT_MS = 60_000

_Input = Annotated[WorkflowInput | None, about("A workflow that is not stored.")]
_Id = Annotated[str | None, about("The id of a stored one.")]
_MaxStates = Annotated[int | None, about("Markings to look at, at most.")]
_TimeoutMs = Annotated[int | None, about("Milliseconds to look for, at most; 60,000 are the most.")]


@strawberry.type
class AskingQueries:
    @strawberry.field(description="Analyse a stored workflow, by its id, or one that is not stored.")
    async def analyze_workflow(
        self,
        info: Ask,
        input: _Input = None,
        id: _Id = None,
        max_states: _MaxStates = None,
        timeout_ms: _TimeoutMs = None,
    ) -> AnalysisType:
        workflows, (most, seconds) = info.context.engine.workflows, _budget(max_states, timeout_ms)
        if id is not None and input is None:
            return AnalysisType.of(await workflows.analyse(id, most_states=most, timeout_s=seconds))
        net = await _net(info, input, id)
        return AnalysisType.of(await workflows.analyse_net(net, most_states=most, timeout_s=seconds))

    @strawberry.field(
        description="Ask about all runs of a workflow: `can shipped be reached without paid`, `never a and b`, "
        "`always eventually done`, `AG (a + b <= 1)`, `E[not paid U shipped]`."
    )
    async def ask_workflow(
        self,
        info: Ask,
        question: Annotated[str, about("The question.")],
        input: _Input = None,
        id: _Id = None,
        max_states: _MaxStates = None,
        timeout_ms: _TimeoutMs = None,
    ) -> AnswerType:
        most, seconds = _budget(max_states, timeout_ms)
        net = await _net(info, input, id)
        return AnswerType.of(
            await info.context.engine.workflows.ask(net, question, most_states=most, timeout_s=seconds)
        )

    @strawberry.field(description="Let cases run through a workflow: throughput, times and where they wait.")
    async def simulate_workflow(
        self,
        info: Ask,
        input: _Input = None,
        id: _Id = None,
        behaviours: Annotated[
            JSON | None,
            about('How long transitions take: {"review": {"meanSeconds": 60, "weight": 2, "capacity": 1}}.'),
        ] = None,
        cases: Annotated[int, about("How many; 100,000 are the most.")] = 1_000,
        arrival_seconds: Annotated[float, about("One comes every so many seconds, on average.")] = 60.0,
        seed: Annotated[int, about("The same seed gives the same figures.")] = 0,
        timeout_ms: _TimeoutMs = None,
    ) -> SimulationType:
        net = await _net(info, input, id)
        if behaviours is not None and not isinstance(behaviours, dict):
            raise InvalidInput("behaviours is not an object.", details={"path": "behaviours"})
        found = await info.context.engine.workflows.simulate(
            net,
            _behaviours(net, behaviours),
            cases=cases,
            arrival_s=max(0.0, arrival_seconds),
            seed=seed,
            timeout_s=_budget(None, timeout_ms)[1],
        )
        return SimulationType.of(found)


_behaviours = behaviours  # an argument has its name


def _budget(max_states: int | None, timeout_ms: int | None) -> tuple[int, float]:
    """States and seconds."""
    most = min(max(1, max_states or MOST_STATES), MOST_STATES_ASKED)
    return most, min(max(1, timeout_ms), MOST_TIMEOUT_MS) / 1000 if timeout_ms else ANALYSIS_TIMEOUT_S


async def _net(info: Ask, input: WorkflowInput | None, id: str | None) -> Net:
    if (input is None) == (id is None):
        raise InvalidInput("One of `input` and `id` is needed.", fix="Give one of them.", details={"path": "id"})
    if id is not None:
        return (await info.context.engine.workflows.workflow(id)).net
    return read_checked(source(input)).net
