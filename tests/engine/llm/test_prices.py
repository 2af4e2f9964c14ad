"""What a request costs: bills computed by hand, and what holds for every price and every usage."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.messages import Usage
from engine.llm.model import FREE, Price, Tier
from engine.llm.prices import charged, cost, estimate, rates

GPT_4O = Price(Decimal("2.5"), Decimal(10), cache_read=Decimal("1.25"))
SONNET = Price(
    Decimal(3),
    Decimal(15),
    Decimal("0.3"),
    Decimal("3.75"),
    (Tier(200_000, Decimal(6), Decimal("22.5"), Decimal("0.6"), Decimal("7.5")),),
    "2026-11-09",
    "genai-prices",
)

money = st.decimals(min_value=0, max_value=1000, places=4)
counts = st.integers(min_value=0, max_value=2_000_000)
usages = st.builds(Usage, counts, counts, counts, counts)
maybe = st.none() | money
tiers = st.lists(st.integers(1, 1_000_000), unique=True, max_size=3).flatmap(
    lambda over: st.tuples(*(st.builds(Tier, st.just(one), maybe, maybe, maybe, maybe) for one in sorted(over)))
)
priced = st.builds(Price, money, money, maybe, maybe, tiers)


# -- bills by hand ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "usage", "dollars"),
    [
        # OpenAI counts 8,000 cached tokens among a prompt of 10,000: 2,000 at 2.50, 8,000 at 1.25, 500 at 10.00
        (GPT_4O, Usage(2_000, 8_000, 0, 500), "0.02"),
        # Anthropic counts them beside: 100 at 3.00, 50,000 at 0.30, 2,000 written at 3.75, 1,000 at 15.00
        (SONNET, Usage(100, 50_000, 2_000, 1_000), "0.0378"),
        # a prompt of 210,000, cached or not, is over the tier with all of its tokens: 6.00, 0.60, 22.50
        (SONNET, Usage(150_000, 60_000, 0, 1_000), "0.9585"),
        # one of exactly 200,000 is not: 200,000 at 3.00
        (SONNET, Usage(200_000, 0, 0, 0), "0.6"),
        (SONNET, Usage(200_001, 0, 0, 0), "1.200006"),
        # the answer does not count towards the tier
        (SONNET, Usage(200_000, 0, 0, 64_000), "1.56"),
        # where no price is listed for the cache, its tokens are charged as input
        (Price(Decimal(2), Decimal(8)), Usage(0, 1_000_000, 1_000_000, 0), "4"),
        # a tier that lists no price of its own for the cache keeps the one below it
        (Price(Decimal(1), Decimal(1), Decimal("0.1"), tiers=(Tier(9, Decimal(2)),)), Usage(10**6, 10**6), "2.1"),
        (FREE, Usage(10**9, 10**9, 10**9, 10**9), "0"),
    ],
)  # fmt: skip
def test_a_bill_by_hand(price, usage, dollars):
    assert cost(usage, price) == Decimal(dollars)


def test_cached_tokens_that_are_counted_twice_would_be_another_bill():
    """The control of the first bill: 10,000 of prompt and 8,000 cached beside them is what the mistake comes to."""
    assert cost(Usage(10_000, 8_000, 0, 500), GPT_4O) != cost(Usage(2_000, 8_000, 0, 500), GPT_4O)


def test_unknown_is_none_and_what_the_upstream_says_wins():
    used = Usage(1_000, 0, 0, 10)
    assert cost(used, None) is None
    assert charged(used, None) is None
    assert cost(used, None, Decimal("0.5")) == Decimal("0.5")
    assert cost(used, GPT_4O, Decimal(0)) == 0
    assert charged(used, GPT_4O, Decimal("0.5")) == {"source": "what the provider says it charged"}


def test_the_price_as_charged_is_the_one_of_the_tier_with_its_day():
    assert charged(Usage(300_000), SONNET) == {
        "input": "6",
        "cacheRead": "0.6",
        "cacheWrite": "7.5",
        "output": "22.5",
        "source": "genai-prices",
        "asOf": "2026-11-09",
    }


def test_an_estimate_takes_nothing_for_cached_and_an_answer_of_the_usual_length():
    assert estimate(1_000, GPT_4O) == Decimal("0.0065")
    assert estimate(1_000, GPT_4O, most_output=100) == Decimal("0.0035")
    assert estimate(1_000, GPT_4O, most_output=100_000) == Decimal("0.0065")
    assert estimate(1_000, None) is None


# -- for every price and usage ----------------------------------------------------------------------------------------


@given(usages, priced)
def test_a_cost_is_exactly_the_sum_of_its_four_parts(usage, price):
    rate = rates(price, usage.prompt)
    parts = [
        usage.input * rate.input,
        usage.cache_read * rate.cache_read,
        usage.cache_write * rate.cache_write,
        usage.output * rate.output,
    ]
    found = cost(usage, price)
    assert found is not None
    assert found * 1_000_000 == sum(parts)
    assert found >= 0


@given(usages, priced, counts)
def test_more_of_an_answer_never_costs_less(usage, price, more):
    longer = Usage(usage.input, usage.cache_read, usage.cache_write, usage.output + more)
    assert cost(longer, price) >= cost(usage, price)


@given(counts, counts, counts, counts, money, money)
def test_without_prices_of_its_own_it_does_not_matter_what_was_cached(a, b, c, output, input_price, output_price):
    price = Price(input_price, output_price)
    assert cost(Usage(a, b, c, output), price) == cost(Usage(a + b + c, 0, 0, output), price)


@given(usages, usages, money, money, maybe, maybe)
def test_without_tiers_two_requests_cost_what_one_of_both_does(one, other, a, b, c, d):
    price = Price(a, b, c, d)
    both = Usage(
        one.input + other.input,
        one.cache_read + other.cache_read,
        one.cache_write + other.cache_write,
        one.output + other.output,
    )
    assert cost(both, price) == cost(one, price) + cost(other, price)


@given(usages, priced)
def test_the_highest_tier_below_the_prompt_holds(usage, price):
    reached = [tier for tier in price.tiers if usage.prompt > tier.over]
    listed = [tier.input for tier in reached if tier.input is not None]
    assert rates(price, usage.prompt).input == (listed[-1] if listed else price.input)
