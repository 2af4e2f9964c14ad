"""The page about models says what the code does."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from engine.llm import knowledge
from engine.llm.books import MEASURED_TOKENS
from engine.llm.fit import LEAST_ROOM
from engine.llm.health import _SMOOTHING, REMEMBERED
from engine.llm.knowledge import Knowledge

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/models.md").read_text(encoding="utf-8")
CATALOG, MINE = re.findall(r"```json\n(.*?)```", PAGE, re.S)
NOW = date(2026, 11, 26)


def test_the_examples_are_taken_and_mean_what_is_said() -> None:
    catalog = knowledge.read(CATALOG.encode())
    mine = knowledge.read(MINE.encode(), whole=False)
    known = Knowledge(catalog, mine)
    found = known.find("openai", "gpt-4o-2024-08-06", NOW)
    assert found is not None
    assert found.price is not None
    assert (found.price.input, found.price.cache_read, found.price.as_of) == (
        Decimal("2.5"),
        Decimal("1.25"),
        "2026-11-20",
    )
    before = known.find("openai", "gpt-4o", date(2024, 10, 1))
    assert before is not None
    assert before.price is not None
    assert before.price.input == 5
    house = known.find("custom", "house-model", NOW)
    assert house is not None
    assert house.context == 32_768
    deployed = known.find("azure", "my-deployment", NOW)
    assert deployed is not None
    assert (deployed.context, deployed.price) == (128_000, None)  # the example has no prices of Azure


def test_the_numbers_are_those_of_the_code() -> None:
    assert "each request counts a fifth" in PAGE
    assert _SMOOTHING == 1 / 5
    assert f"newest {REMEMBERED}\nrequests" in PAGE
    assert "fewer than eight tokens" in PAGE
    assert MEASURED_TOKENS == 8
    assert "300 MB at least" in PAGE
    assert round(LEAST_ROOM / 1e6, -2) == 300
