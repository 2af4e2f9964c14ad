"""What becomes of tokens, as GraphQL types: pages, batches, tries and migrations."""

from collections.abc import Sequence
from typing import Self

import strawberry
from strawberry.scalars import JSON

from engine.kernel.errors import CircuitBreakerError
from engine.nets.marking import in_words
from engine.nets.token import Event, Token
from engine.workflows import migration
from engine.workflows.migrations import Migrated
from engine.workflows.model import Workflow
from engine.workflows.service import Tried
from server.graphql.context import Ask
from server.graphql.words import enum
from server.graphql.workflow_types import HistoryEventType, PlaceTokensType, TokenType

enum(
    migration.Acceptance,
    "Whether the tokens of a marking are carried over.",
    (
        "The new workflow reaches the marking by itself.",
        "It does not, but the token can always come to an end from there.",
        "The tokens stay where they are.",
    ),
)


@strawberry.type(name="PageInfo", description="Where a page ends.")
class PageInfoType:
    has_next_page: bool = strawberry.field(description="Whether there are more.")
    end_cursor: str | None = strawberry.field(description="Give it as `after` for the next page.")


@strawberry.type(name="TokenEdge", description="A token in a page.")
class TokenEdgeType:
    cursor: str = strawberry.field(description="Its place in the order.")
    node: TokenType = strawberry.field(description="The token.")


@strawberry.type(name="TokenConnection", description="A page of tokens, newest first.")
class TokenConnectionType:
    edges: list[TokenEdgeType] = strawberry.field(description="The tokens with their cursors.")
    nodes: list[TokenType] = strawberry.field(description="The tokens alone.")
    page_info: PageInfoType = strawberry.field(description="Where the page ends.")

    @classmethod
    async def of(cls, found: Sequence[Token], wanted: int, info: Ask) -> Self:
        nodes = [await TokenType.of(token, info) for token in found[:wanted]]
        end = str(nodes[-1].id) if nodes else None
        return cls(
            edges=[TokenEdgeType(cursor=str(node.id), node=node) for node in nodes],
            nodes=nodes,
            page_info=PageInfoType(has_next_page=len(found) > wanted, end_cursor=end),
        )


@strawberry.type(name="Refusal", description="An error that is a part of an answer.")
class RefusalType:
    code: str = strawberry.field(description="As in `extensions.code`.")
    what: str = strawberry.field(description="What happened.")
    why: str = strawberry.field(description="Why.")
    fix: str = strawberry.field(description="What to do about it.")
    details: JSON = strawberry.field(description="For programs.")

    @classmethod
    def of(cls, error: CircuitBreakerError) -> Self:
        return cls(code=error.code, what=error.what, why=error.why, fix=error.fix, details=JSON(error.details))


@strawberry.type(name="FireOutcome", description="What became of one firing of a batch: one of the two is there.")
class FireOutcomeType:
    token: TokenType | None = strawberry.field(description="The token after it.")
    error: RefusalType | None = strawberry.field(description="What stood against it.")

    @classmethod
    async def of(cls, outcome: Token | CircuitBreakerError, info: Ask) -> Self:
        if isinstance(outcome, CircuitBreakerError):
            return cls(token=None, error=RefusalType.of(outcome))
        return cls(token=await TokenType.of(outcome, info), error=None)


@strawberry.type(name="TriedStep", description="The token after one step that was only tried.")
class TriedStepType:
    state: str = strawberry.field(description="Its state.")
    marking: list[PlaceTokensType] = strawberry.field(description="How many tokens are where.")
    data: JSON = strawberry.field(description="What it would carry.")
    status: str = strawberry.field(description="active, completed or cancelled.")
    version: int = strawberry.field(description="Its version.")


@strawberry.type(name="Tried", description="What would become of a token. Nothing was stored.")
class TriedType:
    steps: list[TriedStepType] = strawberry.field(description="The token as it is, and after each step.")
    events: list[HistoryEventType] = strawberry.field(description="What would stand in its history.")
    error: RefusalType | None = strawberry.field(description="What stands against the next step.")

    @classmethod
    def of(cls, tried: Tried, places: Sequence[str]) -> Self:
        return cls(
            steps=[
                TriedStepType(
                    state=in_words(token.marking, places),
                    marking=PlaceTokensType.all(token.marking),
                    data=JSON(token.data),
                    status=token.status,
                    version=token.version,
                )
                for token in tried.tokens
            ],
            events=[HistoryEventType.of(event, places) for event in tried.events],
            error=None if tried.error is None else RefusalType.of(tried.error),
        )


@strawberry.type(name="MigrationStep", description="What becomes of the tokens of one marking.")
class MigrationStepType:
    state: str = strawberry.field(description="The state they are in.")
    marking: list[PlaceTokensType] = strawberry.field(description="How many tokens are where.")
    tokens: int = strawberry.field(description="How many there are.")
    after: list[PlaceTokensType] = strawberry.field(description="The marking in the new workflow.")
    acceptance: migration.Acceptance = strawberry.field(description="Whether they are carried over.")
    reason: str = strawberry.field(description="Why, in words.")


@strawberry.type(name="Migration", description="A plan, and what was done of it.")
class MigrationType:
    dry_run: bool = strawberry.field(description="Whether it is only a plan.")
    carried: int = strawberry.field(description="How many tokens the plan carries over.")
    refused: int = strawberry.field(description="How many it leaves.")
    moved: int = strawberry.field(description="How many went over.")
    skipped: int = strawberry.field(description="How many stayed: refused, or moved on meanwhile.")
    steps: list[MigrationStepType] = strawberry.field(description="By marking.")

    @classmethod
    def of(cls, plan: migration.Plan, source: Workflow, done: Migrated | None) -> Self:
        return cls(
            dry_run=done is None,
            carried=plan.carried,
            refused=plan.refused,
            moved=done.moved if done else 0,
            skipped=done.skipped if done else 0,
            steps=[
                MigrationStepType(
                    state=in_words(step.marking, source.net.place_ids),
                    marking=PlaceTokensType.all(step.marking),
                    tokens=step.tokens,
                    after=PlaceTokensType.all(step.after),
                    acceptance=step.acceptance,
                    reason=step.reason,
                )
                for step in plan.steps
            ],
        )


@strawberry.type(name="WorkflowEvent", description="An event of a token, in the order of all of them.")
class WorkflowEventType:
    stored: strawberry.Private[Event]
    sequence: int = strawberry.field(
        description="Its position among all events. Give the last one you have seen as `after` to go on from there."
    )
    token_id: strawberry.ID = strawberry.field(description="The token.")
    workflow_id: str = strawberry.field(description="The workflow it runs in now.")
    event: HistoryEventType = strawberry.field(description="What happened.")

    @strawberry.field(description="The token as it is now.")
    async def token(self, info: Ask) -> TokenType:
        return await TokenType.of(await info.context.engine.workflows.token(self.stored.token), info)

    @classmethod
    async def of(cls, event: Event, info: Ask) -> Self:
        workflows = info.context.engine.workflows
        workflow = await workflows.workflow((await workflows.token(event.token)).workflow)
        return cls(
            stored=event,
            sequence=event.position,
            token_id=strawberry.ID(event.token),
            workflow_id=workflow.id,
            event=HistoryEventType.of(event, workflow.net.place_ids),
        )
