"""What every journal must do, on each kind of store."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.llm.messages import Usage
from engine.store.memory.store import MemoryStore
from engine.store.ports import RequestQuery, RequestRecord, Spend, SpendKey, SpendSums, spend_key
from engine.store.sqlite.store import SqliteStore
from tests.support import NOON

ALL = (date.min, date.max)
FULL = {
    "attempts": 3,
    "retries": 2,
    "key": "…wxyz",
    "app": "aider",
    "agent": "aider/0.86 python",
    "workflow": "approval_v1",
    "token": "t1",
    "price": {"input": "2.5", "source": "genai-prices", "asOf": "2026-11-09"},
    "reference_usd": Decimal("0.250"),
    "tokens_per_s": 31.5,
    "warnings": ("the prompt was cut", "ü"),
}


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
    "one",
    [
        record(),
        record(cost=None),
        record(ttft_s=None, error="cancelled"),
        record(at=NOON.replace(microsecond=7)),
        record(**FULL),
    ],
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


# -- what was said ----------------------------------------------------------------------------------------------------


async def test_what_was_said_is_kept_only_where_it_is_given(journal):
    await journal.record(record("1"))
    await journal.record(record("2"), {"answer": "ü", "messages": [1, None]})
    assert await journal.content("1") is None
    assert await journal.content("2") == {"answer": "ü", "messages": [1, None]}
    assert await journal.content("3") is None


# -- finding ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def some(journal):
    for id, fields in {
        "1": {"app": "aider"},
        "2": {"provider": "openai", "at": NOON + timedelta(seconds=1)},
        "3": {"model": "phi", "error": "cancelled"},
        "4": {"workflow": "w", "app": "aider"},
    }.items():
        await journal.record(record(id, **fields))
    return journal


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (RequestQuery(), "4321"),
        (RequestQuery(first=2), "43"),
        (RequestQuery(before="3"), "21"),
        (RequestQuery(first=1, before="2"), "1"),
        (RequestQuery(provider="openai"), "2"),
        (RequestQuery(model="phi"), "3"),
        (RequestQuery(app="aider"), "41"),
        (RequestQuery(workflow="w", app="aider"), "4"),
        (RequestQuery(failed=True), "3"),
        (RequestQuery(failed=False), "421"),
        (RequestQuery(since=NOON + timedelta(seconds=1)), "2"),
        (RequestQuery(until=NOON + timedelta(seconds=1)), "431"),
        (RequestQuery(app="x' or 1=1 --"), ""),
    ],
)
async def test_requests_are_found_by_what_they_are(some, query, ids):
    assert [one.id for one in await some.requests(query)] == list(ids)


# -- sums -------------------------------------------------------------------------------------------------------------


async def test_sums_are_kept_by_day_model_app_and_workflow(journal):
    await journal.record(record("1", "0.10", app="a", reference_usd=Decimal("0.5")))
    await journal.record(record("2", None, app="a", error="cancelled", reference_usd=Decimal("0.5")))
    await journal.record(record("3", "0.2", app="b", at=NOON + timedelta(days=1), usage=Usage(1, 0, 0, 1)))
    found = await journal.sums(*ALL)
    assert found == [
        (
            SpendKey(NOON.date(), "ollama", "qwen", "a"),
            SpendSums(2, 1, 1, 2, 6, 2, 4, 10, Decimal("0.10"), Decimal("0.5"), Decimal("0.10")),
        ),
        (
            SpendKey(NOON.date() + timedelta(days=1), "ollama", "qwen", "b"),
            SpendSums(1, 0, 0, 0, 1, 0, 0, 1, Decimal("0.2")),
        ),
    ]
    assert [key.app for key, _ in await journal.sums(NOON.date(), NOON.date() + timedelta(days=1))] == ["a"]
    assert await journal.sums(*ALL, app="a") == found[:1]
    assert await journal.sums(*ALL, app="a", workflow="w") == []


async def test_requests_are_forgotten_and_their_sums_stay(journal):
    for number in range(2_500):
        await journal.record(record(f"{number:04}", at=NOON + timedelta(seconds=number)), {"answer": "x"})
    before = await journal.sums(*ALL)
    assert await journal.forget(NOON + timedelta(seconds=2_400)) == 2_400
    assert [one.id async for one in journal.every()] == [f"{number:04}" for number in range(2_400, 2_500)]
    assert await journal.content("2399") is None
    assert await journal.content("2400") == {"answer": "x"}
    assert await journal.sums(*ALL) == before
    assert await journal.forget(NOON) == 0


money = st.none() | st.decimals(min_value=0, max_value=10, places=7)
records = st.builds(
    record,
    cost=money,
    at=st.datetimes(min_value=NOON.replace(tzinfo=None), max_value=NOON.replace(tzinfo=None) + timedelta(days=3)).map(
        lambda at: at.replace(tzinfo=NOON.tzinfo)
    ),
    model=st.sampled_from("ab"),
    app=st.sampled_from(["", "x"]),
    workflow=st.sampled_from(["", "w"]),
    error=st.sampled_from(["", "cancelled"]),
    reference_usd=money,
    usage=st.builds(Usage, *[st.integers(0, 10**7)] * 4, counted=st.booleans()),
)


def added_up(some):
    """The sums, from the requests themselves."""
    found = {}
    for one in some:
        key = spend_key(one)
        found[key] = found.get(key, SpendSums()) + SpendSums.of(one)
    return found


@given(st.lists(records, max_size=12))
@settings(max_examples=30)
def test_the_sums_are_always_those_of_the_requests(tmp_path_factory, some):
    async def check():
        file = tmp_path_factory.mktemp("sums") / "test.db"
        for store in (MemoryStore(), await SqliteStore.open(file, NOON)):
            # at once: those that share a commit must see each other
            numbered = [record_with(one, f"{number:03}") for number, one in enumerate(some)]
            await asyncio.gather(*(store.journal.record(one) for one in numbered))
            assert dict(await store.journal.sums(*ALL)) == added_up(numbered)
            await store.close()

    asyncio.run(check())


def record_with(one, id):
    return RequestRecord(**{name: getattr(one, name) for name in RequestRecord.__slots__} | {"id": id})
