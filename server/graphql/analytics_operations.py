"""Queries about what the tokens of a workflow did; a part of `operations`."""

from typing import Annotated

import strawberry

from engine.workflows.analytics import Bucket
from engine.workflows.reports import MOST_TOKENS
from server.graphql.analytics_types import ConformanceType, LogFormat, TimeBucket, WorkflowAnalyticsType
from server.graphql.context import Ask
from server.graphql.words import about

MOST_EXPORTED = 1_000

_BUCKETS: dict[TimeBucket, Bucket] = {TimeBucket.HOUR: "hour", TimeBucket.DAY: "day"}
_WorkflowId = Annotated[str, about("The id of a workflow.")]


@strawberry.type
class AnalyticsQueries:
    @strawberry.field(description="Figures from the histories of a workflow's newest tokens.")
    async def workflow_analytics(
        self,
        info: Ask,
        id: _WorkflowId,
        tokens: Annotated[int, about("How many tokens to look at: 1 to 10,000.")] = MOST_TOKENS,
        bucket: Annotated[TimeBucket, about("What completions are counted by.")] = TimeBucket.DAY,
    ) -> WorkflowAnalyticsType:
        analytics = info.context.engine.analytics
        return WorkflowAnalyticsType.of(await analytics.report(id, tokens=tokens, bucket=_BUCKETS[bucket]))

    @strawberry.field(description="How well an event log, of this engine or of any other system, fits a workflow.")
    async def conformance(
        self,
        info: Ask,
        workflow_id: _WorkflowId,
        log: Annotated[str, about("The log itself.")],
        format: Annotated[LogFormat | None, about("Its notation; seen by itself without one.")] = None,
    ) -> ConformanceType:
        analytics = info.context.engine.analytics
        return ConformanceType.of(await analytics.conform(workflow_id, log, format.value if format else None))

    @strawberry.field(description="The histories of a workflow's newest tokens as an event log: XES or JSON Lines.")
    async def export_history(
        self,
        info: Ask,
        workflow_id: _WorkflowId,
        format: Annotated[LogFormat, about("XES or JSONL.")] = LogFormat.XES,
        tokens: Annotated[int, about("How many tokens: 1 to 10,000.")] = MOST_EXPORTED,
    ) -> str:
        return await info.context.engine.analytics.log(workflow_id, format.value, tokens=tokens)
