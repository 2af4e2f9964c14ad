"""Models, keys and the doctor's findings as GraphQL types."""

from typing import Self

import strawberry

from engine.doctor import Check
from engine.keys.service import KeyInfo
from engine.llm.model import Model


@strawberry.type(name="Model", description="A model of a provider that is up.")
class ModelType:
    id: strawberry.ID = strawberry.field(description="Provider and name.")
    provider: str = strawberry.field(description="The provider.")
    name: str = strawberry.field(description="The model's name.")
    abilities: list[str] = strawberry.field(description="chat, embedding, tools, vision, thinking, json.")
    context: int | None = strawberry.field(description="In tokens, where it is known.")
    size_bytes: float | None = strawberry.field(description="On disk, where it is known.")
    local: bool = strawberry.field(description="Whether prompts stay on this machine.")
    loaded: bool = strawberry.field(description="Whether it is in memory now.")
    tiny: bool = strawberry.field(description="Whether it is the demonstration model.")

    @classmethod
    def of(cls, model: Model) -> Self:
        return cls(
            id=strawberry.ID(model.id),
            provider=model.provider,
            name=model.name,
            abilities=sorted(model.abilities),
            context=model.context or None,
            size_bytes=model.size_bytes or None,
            local=model.local,
            loaded=model.loaded,
            tiny=model.tiny,
        )


@strawberry.type(name="Key", description="What may be shown of a key.")
class KeyType:
    provider: str = strawberry.field(description="Whose key it is.")
    origin: str = strawberry.field(description="Scheme, host and port it is sent to, and nowhere else.")
    where: str = strawberry.field(description="What keeps it: a variable, the keyring, or memory for this run.")
    ending: str = strawberry.field(description="Its last characters.")

    @classmethod
    def of(cls, info: KeyInfo) -> Self:
        return cls(provider=info.provider, origin=info.origin, where=info.where, ending=info.ending)


@strawberry.type(name="Check", description="One thing that the doctor looked at.")
class CheckType:
    id: str = strawberry.field(description="What it is.")
    title: str = strawberry.field(description="For people.")
    state: str = strawberry.field(description="ok, note, or problem.")
    says: str = strawberry.field(description="What was seen.")
    fix: str = strawberry.field(description="What to do about it.")

    @classmethod
    def of(cls, check: Check) -> Self:
        return cls(id=check.id, title=check.title, state=check.state, says=check.says, fix=check.fix)
