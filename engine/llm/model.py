"""Models and the state of their providers, as data."""

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any, Literal

from engine.kernel.records import record

Ability = Literal["chat", "embedding", "tools", "vision", "thinking", "json"]
ProviderState = Literal["up", "down", "off"]


@record
class Tier:
    """What a million tokens cost in a request whose prompt has more than `over` tokens: all of its tokens, not only
    those above. None is as without the tier."""

    over: int
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


@record
class Price:
    """US dollars for a million tokens; `engine.llm.prices` computes with it.

    `cache_read` and `cache_write` None are charged as input, as providers do that list no price of their own for them.
    `tiers` are in the order of `over`. `as_of` is the day (ISO 8601) of what `source` says.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    as_of: str = ""
    source: str = ""


FREE = Price(Decimal(0), Decimal(0), source="runs on this machine")


@record
class Model:
    """One model of one provider.

    `context` is in tokens, 0 when unknown; `most_output` the same, of an answer. `price` None is unknown, which is not
    free. `local` says that a prompt does not leave the machine. `loaded` says that it is in memory now. `tiny` marks
    the demonstration model, which is never picked while anything else is there. `details` are the provider's own facts
    (family, quantisation, ...). `released` is a day (ISO 8601).
    """

    provider: str
    name: str
    abilities: frozenset[Ability] = frozenset({"chat"})
    context: int = 0
    size_bytes: int = 0
    price: Price | None = None
    local: bool = False
    loaded: bool = False
    tiny: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    most_output: int = 0
    released: str = ""

    @property
    def id(self) -> str:
        """`provider/name`, which no other model has."""
        return f"{self.provider}/{self.name}"


@record
class ProviderStatus:
    """What is known of a provider. `off`: not configured. `why` and `fix` say what stands in the way, for people."""

    id: str
    title: str
    state: ProviderState
    address: str = ""
    local: bool = False
    models: tuple[Model, ...] = ()
    why: str = ""
    fix: str = ""
