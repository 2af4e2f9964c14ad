"""Queries, mutations and subscriptions about tokens that run; a part of `operations`."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated

import strawberry

from engine.kernel.errors import InvalidInput
from engine.nets.moments import moment_of
from engine.nets.token import Status
from engine.store.ports import TokenQuery
from engine.workflows.service import Fire, NewToken
from server.graphql.context import Ask
from server.graphql.finishing import Finishing
from server.graphql.inputs import (
    CancelTokenInput,
    CreateTokenInput,
    FireTransitionInput,
    ForkTokenInput,
    MigrateTokensInput,
    RollbackTokenInput,
    TokenFilter,
    WhatIfStepInput,
    check_page,
)
from server.graphql.running_types import (
    FireOutcomeType,
    MigrationType,
    TokenConnectionType,
    TriedType,
    WorkflowEventType,
)
from server.graphql.words import about
from server.graphql.workflow_types import TokenType

_STATUSES: tuple[Status, ...] = ("active", "completed", "cancelled")


@strawberry.type
class RunningQueries:
    @strawberry.field(description="A page of tokens, newest first, by what they are and what they carry.")
    async def tokens_connection(
        self,
        info: Ask,
        filter: Annotated[TokenFilter | None, about("Which ones.")] = None,
        first: Annotated[int, about("How many: 1 to 500.")] = 50,
        after: Annotated[str | None, about("`endCursor` of the page before.")] = None,
    ) -> TokenConnectionType:
        check_page(first)
        query = _query(filter or TokenFilter(), first + 1, after)
        return await TokenConnectionType.of(await info.context.engine.workflows.tokens(query), first, info)

    @strawberry.field(description="Fire on a copy of a token: what would become of it. Nothing is stored.")
    async def what_if(
        self,
        info: Ask,
        token_id: Annotated[str, about("The id of a token.")],
        steps: Annotated[list[WhatIfStepInput], about("What to fire, one after the other.")],
    ) -> TriedType:
        workflows = info.context.engine.workflows
        wanted = [Fire(token_id, step.transition_id, step.data, step.mode) for step in steps]
        tried = await workflows.what_if(token_id, wanted, caller=info.context.caller)
        workflow = await workflows.workflow(tried.tokens[0].workflow)
        return TriedType.of(tried, workflow.net.place_ids)


@strawberry.type
class RunningMutations:
    @strawberry.mutation(
        description="Start several tokens, all of them or none, in one transaction.", extensions=[Finishing()]
    )
    async def create_tokens(
        self, info: Ask, inputs: Annotated[list[CreateTokenInput], about("The tokens.")]
    ) -> list[TokenType]:
        wanted = [
            NewToken(one.workflow_id, one.data, one.metadata, one.initial_state, one.idempotency_key) for one in inputs
        ]
        made = await info.context.engine.workflows.create_tokens(wanted, caller=info.context.caller)
        return [await TokenType.of(token, info) for token in made]

    @strawberry.mutation(
        description="Fire several transitions; those of one token one after the other. Each has its own outcome.",
        extensions=[Finishing()],
    )
    async def fire_transitions(
        self, info: Ask, inputs: Annotated[list[FireTransitionInput], about("What to fire.")]
    ) -> list[FireOutcomeType]:
        wanted = [one.wanted() for one in inputs]
        outcomes = await info.context.engine.workflows.fire_all(wanted, caller=info.context.caller)
        return [await FireOutcomeType.of(outcome, info) for outcome in outcomes]

    @strawberry.mutation(
        description="Give a token the marking and the data of an earlier version, as a new event.",
        extensions=[Finishing()],
    )
    async def rollback_token(
        self, info: Ask, input: Annotated[RollbackTokenInput, about("Which token, to which version.")]
    ) -> TokenType:
        token = await info.context.engine.workflows.roll_back(
            input.token_id,
            input.to_version,
            caller=info.context.caller,
            reason=input.reason or "",
            expected=input.expected_version,
        )
        return await TokenType.of(token, info)

    @strawberry.mutation(description="Take a token out of its workflow; its history stays.", extensions=[Finishing()])
    async def cancel_token(self, info: Ask, input: Annotated[CancelTokenInput, about("Which token.")]) -> TokenType:
        token = await info.context.engine.workflows.cancel(
            input.token_id, caller=info.context.caller, reason=input.reason or "", expected=input.expected_version
        )
        return await TokenType.of(token, info)

    @strawberry.mutation(description="A new token that begins where another one is.", extensions=[Finishing()])
    async def fork_token(self, info: Ask, input: Annotated[ForkTokenInput, about("Which token.")]) -> TokenType:
        token = await info.context.engine.workflows.fork(
            input.token_id,
            caller=info.context.caller,
            reason=input.reason or "",
            idempotency_key=input.idempotency_key,
        )
        return await TokenType.of(token, info)

    @strawberry.mutation(
        description="Carry the tokens of one workflow over to another. A plan alone, unless `dryRun` is false.",
        extensions=[Finishing()],
    )
    async def migrate_tokens(
        self, info: Ask, input: Annotated[MigrateTokensInput, about("From where to where.")]
    ) -> MigrationType:
        engine = info.context.engine
        places = {one.from_place: one.to_place for one in input.places or ()}
        source = await engine.workflows.workflow(input.from_workflow)
        if input.dry_run is not False:
            plan = await engine.migrations.plan(input.from_workflow, input.to_workflow, places)
            return MigrationType.of(plan, source, None)
        done = await engine.migrations.migrate(
            input.from_workflow,
            input.to_workflow,
            places,
            caller=info.context.caller,
            reason=input.reason or "",
        )
        return MigrationType.of(done.plan, source, done)


@strawberry.type
class RunningSubscriptions:
    @strawberry.subscription(
        description="The events of all tokens, or of one workflow's, in order: first those after a position, then as "
        "they happen. With the last `sequence` it has seen, a client that was cut off misses none and sees none twice."
    )
    async def workflow_events(
        self,
        info: Ask,
        workflow_id: Annotated[str | None, about("Only those of this workflow.")] = None,
        after: Annotated[int | None, about("The last `sequence` that was seen; from now on without it.")] = None,
    ) -> AsyncGenerator[WorkflowEventType, None]:
        workflows = info.context.engine.workflows
        if workflow_id is not None:
            await workflows.workflow(workflow_id)
        async for event in workflows.follow(after, workflow_id):
            yield await WorkflowEventType.of(event, info)


def _query(wanted: TokenFilter, first: int, after: str | None) -> TokenQuery:
    status = wanted.status
    if status is not None and status not in _STATUSES:
        raise InvalidInput(
            f"{status} is no status of a token.",
            fix=f"Use one of {', '.join(_STATUSES)}.",
            details={"path": "filter.status"},
        )
    return TokenQuery(
        workflow=wanted.workflow_id,
        state=wanted.state,
        status=next((known for known in _STATUSES if known == status), None),
        fields={
            **_fields(wanted.data, ""),
            **_fields(wanted.metadata, "metadata."),
        },
        created_after=_moment(wanted.created_after, "createdAfter"),
        created_before=_moment(wanted.created_before, "createdBefore"),
        updated_after=_moment(wanted.updated_after, "updatedAfter"),
        updated_before=_moment(wanted.updated_before, "updatedBefore"),
        first=first,
        before=after,
    )


def _fields(given: object, prefix: str) -> dict[str, object]:
    """The values in an object by their dotted paths: `{a: {b: 1}}` is `a.b`."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidInput(
            "A filter is an object of fields and values.", details={"path": f"filter.{prefix or 'data'}"}
        )
    found: dict[str, object] = {}
    for name, value in given.items():
        if isinstance(value, dict) and value:
            found |= _fields(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _moment(text: str | None, path: str) -> datetime | None:
    if text is None:
        return None
    try:
        return moment_of(text)
    except ValueError:
        raise InvalidInput(
            f"{path} is no moment.", fix="Write it as 2026-11-25T12:00:00Z.", details={"path": f"filter.{path}"}
        ) from None
