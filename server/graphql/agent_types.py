"""Agents as GraphQL types. A key goes in and never comes out."""

from typing import Self

import strawberry

from engine.agents.model import Agent
from engine.agents.service import Agents
from server.graphql.scalars import timestamp


@strawberry.type(name="AgentLlmProvider", description="The model of an agent.")
class AgentLlmProviderType:
    provider_type: str = strawberry.field(description="The provider.")
    model: str = strawberry.field(description="The model's name.")
    base_url: str | None = strawberry.field(description="Another address than the provider's own.")


@strawberry.type(name="Agent", description="A model with instructions and, where it needs one, a key of its own.")
class AgentType:
    id: strawberry.ID = strawberry.field(description="Unique.")
    name: str = strawberry.field(description="For people.")
    description: str = strawberry.field(description="For people.")
    status: str = strawberry.field(description="ready, or unavailable: no key, or the model is not there.")
    llm_provider: AgentLlmProviderType = strawberry.field(description="Its model.")
    created_at: str = strawberry.field(description="ISO 8601, UTC.")

    @classmethod
    def of(cls, agent: Agent, agents: Agents) -> Self:
        return cls(
            id=strawberry.ID(agent.id),
            name=agent.name,
            description=agent.description,
            status=agents.status(agent),
            llm_provider=AgentLlmProviderType(
                provider_type=agent.provider, model=agent.model, base_url=agent.base_url or None
            ),
            created_at=timestamp(agent.created_at),
        )
