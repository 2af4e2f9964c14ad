"""The use cases of agents: define, list, delete. A key that comes with one goes to `engine.keys` and nowhere else."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from engine.agents.model import PROVIDERS, Agent, AgentStatus
from engine.kernel.errors import InvalidInput, NotFound, nearest, shown
from engine.kernel.world import World
from engine.keys.service import Keys, origin_of
from engine.llm.catalog import Catalog
from engine.store.ports import Shelf

_KIND = "agent"


class Agents:
    """`addresses` is where each provider is asked when an agent names no address of its own."""

    def __init__(self, shelf: Shelf, keys: Keys, catalog: Catalog, addresses: Mapping[str, str], world: World) -> None:
        self._shelf, self._keys, self._catalog = shelf, keys, catalog
        self._addresses, self._world = addresses, world

    async def create(
        self,
        *,
        name: str,
        description: str,
        provider: str,
        model: str,
        api_key: str = "",
        base_url: str = "",
        system_prompt: str = "",
    ) -> Agent:
        """Define an agent. Raises InvalidInput for an unknown provider, no name, no model, an address or a key that is
        none."""
        kind = provider.casefold()
        if kind not in PROVIDERS:
            raise InvalidInput(
                f"There is no provider {shown(provider)}.",
                fix=f"Use one of {', '.join(PROVIDERS)}.",
                details={"path": "llmProvider.providerType", "nearest": nearest(kind, PROVIDERS)},
            )
        for path, value in (("name", name), ("llmProvider.model", model)):
            if not value.strip():
                raise InvalidInput(f"{path} is empty.", fix="Give it.", details={"path": path})
        if base_url and not origin_of(base_url).startswith(("http://", "https://")):
            raise InvalidInput(
                f"llmProvider.baseUrl {shown(base_url)} is no address.",
                fix="Write it like http://127.0.0.1:8000/v1.",
                details={"path": "llmProvider.baseUrl"},
            )
        agent = Agent(
            f"agent_{self._world.new_id()}", name, description, kind, model, base_url, system_prompt, self._world.now()
        )
        if api_key:
            await self._keys.set(kind, self._address(agent), api_key, owner=agent.id)
        await self._shelf.put(_KIND, agent.id, _body(agent))
        return agent

    async def all(self) -> Sequence[Agent]:
        """In the order they were made."""
        return [_agent(id, body) for id, body in await self._shelf.list(_KIND)]

    async def agent(self, id: str) -> Agent:
        """Raises NotFound."""
        body = await self._shelf.get(_KIND, id)
        if body is None:
            raise NotFound.named("agent", id, [agent.id for agent in await self.all()])
        return _agent(id, body)

    async def delete(self, id: str) -> None:
        """Forget an agent and its key. Raises NotFound, and KeyringUnavailable when the keyring has the key and does
        not answer."""
        agent = await self.agent(id)
        with suppress(NotFound):  # most have no key of their own
            await self._keys.delete(agent.provider, self._address(agent), owner=id)
        await self._shelf.delete(_KIND, id)

    def status(self, agent: Agent) -> AgentStatus:
        """`ready` when there is a key for its address, or its provider is up and has the model."""
        if self._keys.secrets(agent.provider, self._address(agent), owner=agent.id):
            return "ready"
        known = self._catalog.providers.get(agent.provider)
        has_model = known is not None and known.state == "up" and agent.model in {model.name for model in known.models}
        return "ready" if has_model else "unavailable"

    def _address(self, agent: Agent) -> str:
        return agent.base_url or self._addresses.get(agent.provider, "")


def _body(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "description": agent.description,
        "provider": agent.provider,
        "model": agent.model,
        "base_url": agent.base_url,
        "system_prompt": agent.system_prompt,
        "created_at": agent.created_at.isoformat(),
    }


def _agent(id: str, body: Mapping[str, Any]) -> Agent:
    return Agent(**{**body, "id": id, "created_at": datetime.fromisoformat(body["created_at"])})
