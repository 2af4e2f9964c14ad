"""What every journal must do, on each kind of store."""

from datetime import timedelta
from decimal import Decimal

import pytest

from engine.llm.messages import Usage
from engine.store.ports import RequestRecord, Spend
from tests.support import NOON


def record(id="1", cost: str | None = "0.10", at=NOON, **fields):
    return RequestRecord(
        **{
            "id": id,
            "at": at,
            "face": "workbench",
            "asked": "auto",
            "provider": "ollama",
            "model": "qwen",
            "usage": Usage(3, 1, 2, 5, counted=False),
            "cost_usd": None if cost is None else Decimal(cost),
            "ttft_s": 0.25,
            "duration_s": 1.5,
            "error": "",
            "decision": {"asked": "auto", "ranked": [{"model": "x", "score": 0.5}]},
            **fields,
        }
    )


@pytest.fixture
def journal(store):
    return store.journal


@pytest.mark.parametrize(
    "one", [record(), record(cost=None), record(ttft_s=None, error="cancelled"), record(at=NOON.replace(microsecond=7))]
)
async def test_a_record_comes_back_as_it_was(journal, one):
    await journal.record(one)
    found = await journal.request("1")
    assert found == one
    assert repr(found) == repr(one)  # booleans stay booleans, decimals keep their places


async def test_what_is_not_there_is_none(journal):
    assert await journal.request("1") is None
    assert await journal.recent() == []
    assert await journal.spend(NOON.date()) == Spend(0, 0, Decimal(0))


async def test_the_newest_come_first(journal):
    for id in ("2", "3", "1"):
        await journal.record(record(id))
    assert [one.id for one in await journal.recent(2)] == ["3", "2"]


async def test_a_day_adds_up_exactly_and_unknown_is_not_zero(journal):
    for number in range(10):
        await journal.record(record(f"a{number}", "0.1"))
    await journal.record(record("b", None))
    await journal.record(record("c", "0"))
    await journal.record(record("d", "5", at=NOON + timedelta(days=1)))
    assert await journal.spend(NOON.date()) == Spend(12, 1, Decimal("1.0"))
    assert await journal.spend(NOON.date() + timedelta(days=1)) == Spend(1, 0, Decimal(5))


async def test_a_day_ends_at_midnight_utc(journal):
    await journal.record(record("1", at=NOON.replace(hour=23, minute=59, second=59)))
    await journal.record(record("2", at=NOON.replace(hour=0) + timedelta(days=1)))
    assert (await journal.spend(NOON.date())).requests == 1


async def test_every_record_comes_once_the_oldest_first(journal):
    assert [one async for one in journal.every()] == []
    for number in reversed(range(450)):
        await journal.record(record(f"{number:03}"))
    found = [one async for one in journal.every()]
    assert [one.id for one in found] == [f"{number:03}" for number in range(450)]
    assert found[0] == record("000")
