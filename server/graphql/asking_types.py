"""Answers about the runs of a workflow, and what a simulation found, as GraphQL types."""

from typing import Self

import strawberry

from engine.nets.analysis.asking.model import Answer, Verdict
from engine.nets.simulation import Simulation
from server.graphql.words import enum
from server.graphql.workflow_types import TraceStepType

enum(
    Verdict,
    "What the answer is.",
    ("It is so, in all runs.", "It is not so.", "The search ended before it was known."),
)


@strawberry.type(name="Answer", description="The answer to a question about all runs of a workflow.")
class AnswerType:
    verdict: Verdict = strawberry.field(description="What it is.")
    words: str = strawberry.field(description="In words.")
    trace: list[TraceStepType] = strawberry.field(
        description="A shortest run that shows why: a witness, or a counter-example."
    )
    loop: int | None = strawberry.field(description="The step that the run comes back to at its end, for ever.")
    depends_on_guards: bool = strawberry.field(description="Whether the run passes a guarded transition.")
    states: int = strawberry.field(description="How many markings were looked at.")

    @classmethod
    def of(cls, answer: Answer) -> Self:
        return cls(
            verdict=answer.verdict,
            words=answer.words,
            trace=TraceStepType.all(answer.trace),
            loop=answer.loop,
            depends_on_guards=answer.depends_on_guards,
            states=answer.states,
        )


@strawberry.type(name="PlaceFigures", description="How tokens wait on a place in a simulation.")
class PlaceFiguresType:
    place: str = strawberry.field(description="The place.")
    visits: int = strawberry.field(description="How many tokens came.")
    mean_seconds: float = strawberry.field(description="How long one stayed, on average.")
    p95_seconds: float = strawberry.field(description="Nineteen of twenty stayed no longer.")
    mean_tokens: float = strawberry.field(description="How many waited at once, on average.")


@strawberry.type(name="Simulation", description="What a simulation found; the same for the same seed.")
class SimulationType:
    cases: int = strawberry.field(description="How many came.")
    finished: int = strawberry.field(description="How many came to an end.")
    stuck: int = strawberry.field(description="How many could move no more before an end.")
    open_cases: int = strawberry.field(description="How many were under way when the budget ended.")
    throughput_per_second: float = strawberry.field(description="Ends a second.")
    cycle_mean_seconds: float | None = strawberry.field(description="From the beginning to the end, on average.")
    cycle_mean_within_seconds: float | None = strawberry.field(
        description="The average is within so much, at 95 % (batch means)."
    )
    cycle_p50_seconds: float | None = strawberry.field(description="Half took no longer.")
    cycle_p95_seconds: float | None = strawberry.field(description="Nineteen of twenty took no longer.")
    places: list[PlaceFiguresType] = strawberry.field(description="Where they waited.")
    bottleneck: str | None = strawberry.field(description="The place with the most waiting in all.")

    @classmethod
    def of(cls, found: Simulation) -> Self:
        return cls(
            cases=found.cases,
            finished=found.finished,
            stuck=found.stuck,
            open_cases=found.open_cases,
            throughput_per_second=found.throughput_per_s,
            cycle_mean_seconds=found.cycle_mean_s,
            cycle_mean_within_seconds=found.cycle_mean_within_s,
            cycle_p50_seconds=found.cycle_p50_s,
            cycle_p95_seconds=found.cycle_p95_s,
            places=[
                PlaceFiguresType(
                    place=one.place,
                    visits=one.visits,
                    mean_seconds=one.mean_s,
                    p95_seconds=one.p95_s,
                    mean_tokens=one.mean_tokens,
                )
                for one in found.places
            ],
            bottleneck=found.bottleneck,
        )
