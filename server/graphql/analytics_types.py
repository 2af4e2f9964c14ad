"""Figures of a workflow and conformance of a log, as GraphQL types."""

from collections.abc import Iterable
from enum import Enum
from typing import Self

import strawberry

from engine.workflows import analytics, conformance
from engine.workflows.analytics import dot, mermaid
from server.graphql.scalars import timestamp
from server.graphql.words import enum


class LogFormat(Enum):
    XES = "xes"
    JSONL = "jsonl"
    CSV = "csv"


class TimeBucket(Enum):
    HOUR = "hour"
    DAY = "day"


enum(
    LogFormat,
    "A notation of event logs.",
    ("XML, IEEE 1849-2016.", "A JSON object a line.", "A table with the columns case, activity and timestamp."),
)
enum(TimeBucket, "What completions are counted by.", ("Each hour, UTC.", "Each day, UTC."))


@strawberry.type(name="Spread", description="How long something took.")
class SpreadType:
    count: int = strawberry.field(description="Of how many.")
    mean_seconds: float = strawberry.field(description="On average.")
    p50_seconds: float = strawberry.field(description="Half took no longer.")
    p95_seconds: float = strawberry.field(description="Nineteen of twenty took no longer.")
    longest_seconds: float = strawberry.field(description="The longest.")

    @classmethod
    def of(cls, found: analytics.Spread | None) -> Self | None:
        if found is None:
            return None
        return cls(
            count=found.count,
            mean_seconds=found.mean_s,
            p50_seconds=found.p50_s,
            p95_seconds=found.p95_s,
            longest_seconds=found.longest_s,
        )


@strawberry.type(name="PlaceStays", description="How tokens come to a place, stay and leave.")
class PlaceStaysType:
    place: str = strawberry.field(description="The place.")
    tokens: int = strawberry.field(description="How many are there now.")
    ages: SpreadType | None = strawberry.field(description="Since when they are there.")
    visits: int = strawberry.field(description="How many stays began.")
    stays: SpreadType | None = strawberry.field(description="How long those took that ended.")
    entered_again: int = strawberry.field(description="How many tokens came back.")
    returns: int = strawberry.field(description="How often, in all.")

    @classmethod
    def of(cls, one: analytics.PlaceStays) -> Self:
        return cls(
            place=one.place,
            tokens=one.tokens,
            ages=SpreadType.of(one.ages),
            visits=one.visits,
            stays=SpreadType.of(one.stays),
            entered_again=one.entered_again,
            returns=one.returns,
        )


@strawberry.type(name="Repeats", description="How often a transition fired, and fired again.")
class RepeatsType:
    transition: str = strawberry.field(description="The transition.")
    fired: int = strawberry.field(description="How often.")
    tokens: int = strawberry.field(description="On how many tokens.")
    fired_again: int = strawberry.field(description="On how many of them more than once.")
    repeats: int = strawberry.field(description="How many times more, in all.")


@strawberry.type(name="Follows", description="One activity that came directly after another.")
class FollowsType:
    source: str = strawberry.field(description="The one before; ▶ is the beginning.")
    target: str = strawberry.field(description="The one after; ■ is the end.")
    count: int = strawberry.field(description="How often.")
    mean_seconds: float = strawberry.field(description="How much later, on average.")


@strawberry.type(name="Completions", description="How many tokens completed in an hour or a day.")
class CompletionsType:
    begins: str = strawberry.field(description="When it begins; ISO 8601, UTC.")
    tokens: int = strawberry.field(description="How many.")


@strawberry.type(name="WorkflowAnalytics", description="What the histories of a workflow's tokens come to.")
class WorkflowAnalyticsType:
    workflow_id: str = strawberry.field(description="The workflow.")
    at: str = strawberry.field(description="When it was counted; ISO 8601, UTC.")
    tokens: int = strawberry.field(description="How many were looked at.")
    active: int = strawberry.field(description="Those under way.")
    completed: int = strawberry.field(description="Those that came to an end.")
    cancelled: int = strawberry.field(description="Those that were taken out.")
    archived: int = strawberry.field(description="Those whose history begins in the middle.")
    event_count: int = strawberry.field(description="How many events they have.")
    cycle: SpreadType | None = strawberry.field(description="From the creation to the completion.")
    throughput: list[CompletionsType] = strawberry.field(description="Completions; no entry where there were none.")
    reworked: int = strawberry.field(description="Tokens on which a transition fired again.")
    places: list[PlaceStaysType] = strawberry.field(description="By place.")
    transitions: list[RepeatsType] = strawberry.field(description="By transition.")
    follows: list[FollowsType] = strawberry.field(description="What directly follows what, the most frequent first.")
    mermaid: str = strawberry.field(description="What follows what, as a Mermaid flowchart.")
    dot: str = strawberry.field(description="The same in Graphviz's language.")

    @classmethod
    def of(cls, report: analytics.Report) -> Self:
        return cls(
            workflow_id=report.workflow,
            at=timestamp(report.at),
            tokens=report.tokens,
            active=report.active,
            completed=report.completed,
            cancelled=report.cancelled,
            archived=report.archived,
            event_count=report.events,
            cycle=SpreadType.of(report.cycle),
            throughput=[CompletionsType(begins=timestamp(one.at), tokens=one.tokens) for one in report.throughput],
            reworked=report.reworked,
            places=[PlaceStaysType.of(one) for one in report.places],
            transitions=[_repeats(one) for one in report.transitions],
            follows=_follows(report.follows),
            mermaid=mermaid(report.follows),
            dot=dot(report.follows),
        )


def _repeats(one: analytics.Repeats) -> RepeatsType:
    return RepeatsType(
        transition=one.transition,
        fired=one.fired,
        tokens=one.tokens,
        fired_again=one.fired_again,
        repeats=one.repeats,
    )


def _follows(found: Iterable[analytics.Follows]) -> list[FollowsType]:
    return [
        FollowsType(source=one.source, target=one.target, count=one.count, mean_seconds=one.mean_s) for one in found
    ]


@strawberry.type(name="Deviation", description="Where a log and a workflow part.")
class DeviationType:
    kind: str = strawberry.field(description="unknown, missing, inhibited, remaining or unfinished.")
    activity: str | None = strawberry.field(description="The step, where there is one.")
    place: str | None = strawberry.field(description="The place, where there is one.")
    times: int = strawberry.field(description="How often.")
    cases: int = strawberry.field(description="In how many cases.")
    examples: list[str] = strawberry.field(description="Some of them.")
    words: str = strawberry.field(description="In words.")


@strawberry.type(name="Conformance", description="How well an event log fits a workflow, by token replay.")
class ConformanceType:
    cases: int = strawberry.field(description="How many were replayed.")
    event_count: int = strawberry.field(description="How many events they have.")
    fitting: int = strawberry.field(description="Cases that deviate nowhere.")
    fitness: float = strawberry.field(description="1/2 (1 - missing/consumed) + 1/2 (1 - remaining/produced).")
    produced: int = strawberry.field(description="Tokens that were put.")
    consumed: int = strawberry.field(description="Tokens that were taken.")
    missing: int = strawberry.field(description="Those that were taken and had not been there.")
    remaining: int = strawberry.field(description="Those that were left at the end.")
    deviations: list[DeviationType] = strawberry.field(description="The most frequent first; 200 are the most.")

    @classmethod
    def of(cls, found: conformance.Conformance) -> Self:
        return cls(
            cases=found.cases,
            event_count=found.events,
            fitting=found.fitting,
            fitness=found.fitness,
            produced=found.produced,
            consumed=found.consumed,
            missing=found.missing,
            remaining=found.remaining,
            deviations=[
                DeviationType(
                    kind=one.kind,
                    activity=one.activity or None,
                    place=one.place or None,
                    times=one.times,
                    cases=one.cases,
                    examples=list(one.examples),
                    words=one.words,
                )
                for one in found.deviations
            ],
        )
