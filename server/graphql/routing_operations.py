"""Routes, decisions, votes and breakers; a part of `operations`."""

from typing import Annotated

import strawberry

from engine.kernel.errors import InvalidInput
from engine.llm.replaying import MOST, replayed
from engine.llm.service import FIRST_ROUND_S
from server.graphql.chatting_types import ChatCompletionInput
from server.graphql.context import Ask
from server.graphql.finishing import Finishing
from server.graphql.routing_types import BreakerType, DecisionType, ReplayType, RouteType, Vote
from server.graphql.words import about

_Id = Annotated[str, about("The id of a request, as the header x-cb-route has it.")]


@strawberry.type
class RoutingQueries:
    @strawberry.field(description="The virtual models: those that come with the program, and the user's own.")
    def routes(self, info: Ask) -> list[RouteType]:
        return [RouteType.of(policy) for policy in info.context.engine.llm.policies.values()]

    @strawberry.field(description="Why a request went where it went; null when the log has none of that id.")
    async def decision(self, info: Ask, id: _Id) -> DecisionType | None:
        record = await info.context.engine.llm.request(id)
        return DecisionType.of(record.decision, record) if record else None

    @strawberry.field(description="Where a request would go, and why. Nobody is asked, and nothing is kept.")
    async def explain_route(
        self, info: Ask, input: Annotated[ChatCompletionInput, about("The conversation.")]
    ) -> DecisionType:
        return DecisionType.of((await info.context.engine.llm.explain(input.request())).as_json())

    @strawberry.field(
        description="What if: where the requests of the log would go with another policy, and about what they would "
        "have cost and taken. Nobody is asked."
    )
    async def replay_routes(
        self,
        info: Ask,
        policy: Annotated[str, about("A virtual model, or a model.")],
        last: Annotated[int, about("How many of the newest requests: 1 to 500.")] = 50,
    ) -> ReplayType:
        if not 1 <= last <= MOST:
            raise InvalidInput(
                f"{last} requests are not replayed.", fix=f"Ask for 1 to {MOST}.", details={"path": "last"}
            )
        llm = info.context.engine.llm
        await llm.discovery.first_round(FIRST_ROUND_S)
        return ReplayType.of(await replayed(llm, await llm.requests(last), policy))

    @strawberry.field(description="The circuit breakers behind which something has failed lately.")
    def breakers(self, info: Ask) -> list[BreakerType]:
        return [BreakerType.of(row) for row in info.context.engine.llm.health.rows()]


@strawberry.type
class RoutingMutations:
    @strawberry.mutation(
        description="Say what an answer was worth; it counts in later decisions.", extensions=[Finishing()]
    )
    async def vote_route(self, info: Ask, id: _Id, vote: Annotated[Vote, about("What it was worth.")]) -> bool:
        await info.context.engine.llm.vote(id, vote.value)
        return True

    @strawberry.mutation(
        description="Close the breakers of a provider, of one of its models, or all; gives how many were closed.",
        extensions=[Finishing()],
    )
    async def reset_breakers(
        self,
        info: Ask,
        provider: Annotated[str | None, about("Only this provider's.")] = None,
        model: Annotated[str | None, about("Only this model's, by its name.")] = None,
    ) -> int:
        llm = info.context.engine.llm
        if provider is not None:
            llm.provider(provider)
        return llm.health.reset(provider or "", model or "")
