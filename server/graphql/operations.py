"""Queries, mutations and subscriptions: from GraphQL to the engine and back, nothing else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated

import strawberry

from engine.kernel.bus import Missed
from engine.kernel.errors import NotFound
from engine.llm.service import FIRST_ROUND_S
from engine.workflows.events import TokenChanged
from engine.workflows.importing import read_as
from server.graphql.agent_types import AgentType
from server.graphql.analytics_operations import AnalyticsQueries
from server.graphql.asking_operations import AskingQueries
from server.graphql.chatting_operations import ChattingMutations, ChattingSubscriptions
from server.graphql.context import Ask
from server.graphql.finishing import Finishing
from server.graphql.inputs import AgentInput, CreateTokenInput, FireTransitionInput, WorkflowInput, source
from server.graphql.machine_types import CheckType, KeyType, ModelType
from server.graphql.routing_operations import RoutingMutations, RoutingQueries
from server.graphql.running_operations import RunningMutations, RunningQueries, RunningSubscriptions
from server.graphql.spending_operations import SpendingMutations, SpendingQueries, SpendingSubscriptions
from server.graphql.words import about
from server.graphql.workflow_types import AvailableTransitionType, TokenType, WorkflowType

_WorkflowId = Annotated[str, about("The id of a workflow.")]
_TokenId = Annotated[str, about("The id of a token.")]
_AgentId = Annotated[str, about("The id of an agent.")]
_Provider = Annotated[str, about("openai, anthropic, google, azure or custom.")]
_Blocked = Annotated[bool, about("Whether those that cannot fire now are wanted too.")]


@strawberry.type(description="What can be asked.")
class Query(AnalyticsQueries, AskingQueries, RoutingQueries, RunningQueries, SpendingQueries):
    @strawberry.field(description="Whether the server is well.")
    def health(self) -> str:
        return "ok"

    @strawberry.field(description="All workflows, in the order they came.")
    async def workflows(self, info: Ask) -> list[WorkflowType]:
        return [WorkflowType.of(workflow) for workflow in await info.context.engine.workflows.all()]

    @strawberry.field(description="One workflow; null when there is none of that id.")
    async def workflow(self, info: Ask, id: _WorkflowId) -> WorkflowType | None:
        with suppress(NotFound):
            return WorkflowType.of(await info.context.engine.workflows.workflow(id))
        return None

    @strawberry.field(description="Tokens, newest first; `after` is the id of the last one of the page before.")
    async def tokens(
        self,
        info: Ask,
        workflow_id: Annotated[str | None, about("Only those of this workflow.")] = None,
        state: Annotated[str | None, about("Only those in this state.")] = None,
        first: Annotated[int, about("How many: 1 to 1000.")] = 50,
        after: Annotated[str | None, about("The id of the last one of the page before.")] = None,
    ) -> list[TokenType]:
        workflows = info.context.engine.workflows
        found = await workflows.tokens(workflow=workflow_id, state=state, first=first, after=after)
        return [await TokenType.of(token, info) for token in found]

    @strawberry.field(description="One token; null when there is none of that id.")
    async def token(self, info: Ask, id: _TokenId) -> TokenType | None:
        with suppress(NotFound):
            return await TokenType.of(await info.context.engine.workflows.token(id), info)
        return None

    @strawberry.field(description="What can fire now; with `includeBlocked` also the others, with what blocks them.")
    async def available_transitions(
        self, info: Ask, token_id: _TokenId, include_blocked: _Blocked = False
    ) -> list[AvailableTransitionType]:
        found = await info.context.engine.workflows.available(token_id)
        return [AvailableTransitionType.of(one) for one in found if one.enabled or include_blocked]

    @strawberry.field(description="All agents, in the order they were made.")
    async def agents(self, info: Ask) -> list[AgentType]:
        agents = info.context.engine.agents
        return [AgentType.of(agent, agents) for agent in await agents.all()]

    @strawberry.field(description="One agent; null when there is none of that id.")
    async def agent(self, info: Ask, id: _AgentId) -> AgentType | None:
        with suppress(NotFound):
            return AgentType.of(await info.context.engine.agents.agent(id), info.context.engine.agents)
        return None

    @strawberry.field(description="The models of all providers that are up.")
    async def models(self, info: Ask) -> list[ModelType]:
        llm = info.context.engine.llm
        await llm.discovery.first_round(FIRST_ROUND_S)
        return [ModelType.of(model, llm.health.speed(model)) for model in llm.catalog.models]

    @strawberry.field(description="The keys: what may be shown of them.")
    def keys(self, info: Ask) -> list[KeyType]:
        return [KeyType.of(key) for key in info.context.engine.provider_keys.all()]

    @strawberry.field(description="What was found, what is missing, and what to do about it.")
    async def doctor(self, info: Ask) -> list[CheckType]:
        return [CheckType.of(check) for check in await info.context.engine.doctor.report()]


@strawberry.type(
    description="What can be changed. An answer means that it is on disk; a client that leaves undoes nothing."
)
class Mutation(ChattingMutations, RoutingMutations, RunningMutations, SpendingMutations):
    @strawberry.mutation(
        description="Store a workflow. The same content again gives the one that is there; other content under the "
        "same name gives the next version.",
        extensions=[Finishing()],
    )
    async def create_workflow(self, info: Ask, input: Annotated[WorkflowInput, about("The workflow.")]) -> WorkflowType:
        workflows = info.context.engine.workflows
        return WorkflowType.of(await workflows.create(source(input), strict=bool(input.strict)))

    @strawberry.mutation(
        description="Store a workflow that is written as text: JSON, YAML, PNML, BPMN or GraphQL.",
        extensions=[Finishing()],
    )
    async def import_workflow(
        self,
        info: Ask,
        text: Annotated[str, about("The text.")],
        format: Annotated[str | None, about("json, yaml, pnml, bpmn or graphql; found out when not given.")] = None,
        strict: Annotated[bool | None, about("Refuse it when the analysis finds an error.")] = False,
    ) -> WorkflowType:
        definition = await asyncio.to_thread(read_as, text, format)
        return WorkflowType.of(await info.context.engine.workflows.store(definition, strict=bool(strict)))

    @strawberry.mutation(description="Start a token in a workflow.", extensions=[Finishing()])
    async def create_token(self, info: Ask, input: Annotated[CreateTokenInput, about("The token.")]) -> TokenType:
        token = await info.context.engine.workflows.create_token(
            input.workflow_id,
            caller=info.context.caller,
            data=input.data,
            metadata=input.metadata,
            initial_place=input.initial_state,
            idempotency_key=input.idempotency_key,
        )
        return await TokenType.of(token, info)

    @strawberry.mutation(
        description="Fire a transition on a token; answered when it is on disk.", extensions=[Finishing()]
    )
    async def fire_transition(
        self, info: Ask, input: Annotated[FireTransitionInput, about("What to fire, on which token.")]
    ) -> TokenType:
        token = await info.context.engine.workflows.fire_one(input.wanted(), caller=info.context.caller)
        return await TokenType.of(token, info)

    @strawberry.mutation(
        description="Keep a provider's key in the keyring, or in memory for this run.", extensions=[Finishing()]
    )
    async def set_key(
        self, info: Ask, provider: _Provider, key: Annotated[str, about("The key; never given back.")]
    ) -> KeyType:
        return KeyType.of(await info.context.engine.provider_keys.set(provider, key))

    @strawberry.mutation(description="Forget a provider's key.", extensions=[Finishing()])
    async def delete_key(self, info: Ask, provider: _Provider) -> bool:
        await info.context.engine.provider_keys.delete(provider)
        return True

    @strawberry.mutation(
        description="Ask a provider with the key it has; gives the names of its models.", extensions=[Finishing()]
    )
    async def test_key(self, info: Ask, provider: _Provider) -> list[str]:
        return [model.name for model in await info.context.engine.llm.test(provider)]

    @strawberry.mutation(
        description="Define an agent. Its key, where it comes with one, goes to the keyring.", extensions=[Finishing()]
    )
    async def create_agent(self, info: Ask, input: Annotated[AgentInput, about("The agent.")]) -> AgentType:
        agents = info.context.engine.agents
        agent = await agents.create(
            name=input.name,
            description=input.description or "",
            provider=input.llm_provider.provider_type,
            model=input.llm_provider.model,
            api_key=input.llm_provider.api_key or "",
            base_url=input.llm_provider.base_url or "",
            system_prompt=input.prompts.system if input.prompts else "",
        )
        return AgentType.of(agent, agents)

    @strawberry.mutation(description="Forget an agent and its key.", extensions=[Finishing()])
    async def delete_agent(self, info: Ask, id: _AgentId) -> bool:
        await info.context.engine.agents.delete(id)
        return True


@strawberry.type(description="What can be followed.")
class Subscription(ChattingSubscriptions, RunningSubscriptions, SpendingSubscriptions):
    @strawberry.subscription(description="Tokens as they change: of one workflow, one token, or all.")
    async def token_updates(
        self,
        info: Ask,
        token_id: Annotated[str | None, about("Only this token.")] = None,
        workflow_id: Annotated[str | None, about("Only tokens of this workflow.")] = None,
    ) -> AsyncGenerator[TokenType, None]:
        engine = info.context.engine
        if token_id is not None:
            await engine.workflows.token(token_id)
        if workflow_id is not None:
            await engine.workflows.workflow(workflow_id)
        with engine.bus.subscribe(TokenChanged) as changes:
            async for change in changes:
                if isinstance(change, Missed):
                    continue  # each update says how a token is now; `workflowEvents` leaves none out
                token = change.token
                if token_id in (None, token.id) and workflow_id in (None, token.workflow):
                    yield await TokenType.of(token, info)
