"""Models, keys and the doctor's findings as GraphQL types."""

from decimal import Decimal
from typing import Self

import strawberry
from strawberry.scalars import JSON

from engine.doctor import Check
from engine.keys.service import KeyInfo
from engine.llm.health import Speed
from engine.llm.model import Model, Price


@strawberry.type(name="Price", description="US dollars for a million tokens, exactly.")
class PriceType:
    input: Decimal = strawberry.field(description="Of a prompt.")
    output: Decimal = strawberry.field(description="Of an answer.")
    cache_read: Decimal | None = strawberry.field(description="Read from a cache; as input when there is none.")
    cache_write: Decimal | None = strawberry.field(description="Written to a cache; as input when there is none.")
    tiers: JSON = strawberry.field(description="Other prices, of requests whose prompt is longer than `over` tokens.")
    as_of: str | None = strawberry.field(description="The day that it is of.")
    source: str = strawberry.field(description="Where it is from.")

    @classmethod
    def of(cls, price: Price) -> Self:
        tiers = [
            {"over": tier.over}
            | {
                name: str(value)
                for name, value in (
                    ("input", tier.input),
                    ("output", tier.output),
                    ("cacheRead", tier.cache_read),
                    ("cacheWrite", tier.cache_write),
                )
                if value is not None
            }
            for tier in price.tiers
        ]
        return cls(
            input=price.input,
            output=price.output,
            cache_read=price.cache_read,
            cache_write=price.cache_write,
            tiers=JSON(tiers),
            as_of=price.as_of or None,
            source=price.source,
        )


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
    price: PriceType | None = strawberry.field(description="What it costs; null when that is not known.")
    released: str | None = strawberry.field(description="The day it came out, where it is known.")
    max_tokens: int | None = strawberry.field(description="Tokens of an answer, at most, where it is known.")
    context_window: int | None = strawberry.field(description="The same as `context`.")
    cost_per_input_token: float | None = strawberry.field(description="US dollars; null when it is not known.")
    cost_per_output_token: float | None = strawberry.field(description="US dollars; null when it is not known.")
    supports_streaming: bool = strawberry.field(description="Whether it chats: all that do can stream.")
    supports_function_calling: bool = strawberry.field(description="Whether it calls tools.")
    capabilities: list[str] = strawberry.field(description="The same as `abilities`.")
    ttft_s: float | None = strawberry.field(description="Seconds to the first token here, as measured.")
    tokens_per_s: float | None = strawberry.field(description="Tokens a second here, as measured.")
    details: JSON = strawberry.field(description="The provider's own facts.")

    @classmethod
    def of(cls, model: Model, speed: Speed | None = None) -> Self:
        price = model.price
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
            price=PriceType.of(price) if price else None,
            released=model.released or None,
            max_tokens=model.most_output or None,
            context_window=model.context or None,
            cost_per_input_token=float(price.input / 1_000_000) if price else None,
            cost_per_output_token=float(price.output / 1_000_000) if price else None,
            supports_streaming="chat" in model.abilities,
            supports_function_calling="tools" in model.abilities,
            capabilities=sorted(model.abilities),
            ttft_s=speed.ttft_s if speed else None,
            tokens_per_s=speed.tokens_per_s if speed else None,
            details=JSON(dict(model.details)),
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
