"""What a request costs. Pure.

`messages.Usage` has four counts that do not overlap, whatever a provider's own convention is (OpenAI counts cached
tokens among the prompt's, Anthropic beside them), so that a cost is a sum of four products. What is unknown is None and
never zero; what the upstream says that it charged is taken before anything that is computed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.llm.messages import Usage
from engine.llm.model import Price

USUAL_OUTPUT = 400  # tokens of an answer, before anything is known of it
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens of each kind, as they hold for one request."""

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal


def rates(price: Price, prompt: int) -> Rates:
    """The rates of a request whose prompt, cached or not, has so many tokens."""
    read, write, input, output = price.cache_read, price.cache_write, price.input, price.output
    for tier in price.tiers:
        if prompt > tier.over:
            input = input if tier.input is None else tier.input
            output = output if tier.output is None else tier.output
            read = read if tier.cache_read is None else tier.cache_read
            write = write if tier.cache_write is None else tier.cache_write
    return Rates(input, input if read is None else read, input if write is None else write, output)


def cost(usage: Usage, price: Price | None, reported: Decimal | None = None) -> Decimal | None:
    """US dollars of a request. `reported` is what the upstream says it charged, which wins. None is unknown."""
    if reported is not None:
        return reported
    if price is None:
        return None
    rate = rates(price, usage.prompt)
    return (
        usage.input * rate.input
        + usage.cache_read * rate.cache_read
        + usage.cache_write * rate.cache_write
        + usage.output * rate.output
    ) / _MILLION


def estimate(prompt: int, price: Price | None, most_output: int | None = None) -> Decimal | None:
    """About what a request will cost, before it is asked: nothing cached, and an answer of the usual length."""
    output = USUAL_OUTPUT if most_output is None else min(most_output, USUAL_OUTPUT)
    return cost(Usage(prompt, 0, 0, output, counted=False), price)


def charged(usage: Usage, price: Price | None, reported: Decimal | None = None) -> Mapping[str, Any] | None:
    """The price as it was charged, to be kept with the request: tomorrow's price does not change yesterday's bill."""
    if reported is not None:
        return {"source": "what the provider says it charged"}
    if price is None:
        return None
    rate = rates(price, usage.prompt)
    found = {
        "input": str(rate.input),
        "cacheRead": str(rate.cache_read),
        "cacheWrite": str(rate.cache_write),
        "output": str(rate.output),
        "source": price.source,
    }
    return found | ({"asOf": price.as_of} if price.as_of else {})
