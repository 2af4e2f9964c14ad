"""What was spent, in the ways in which people ask; and out of the program."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput
from engine.llm import spending
from engine.llm.accounts import Accounts
from engine.llm.spending import COLUMNS, WAYS, csv_lines
from engine.store.ports import RequestQuery, SpendKey, SpendSums
from tests.contract.test_journal_contract import record
from tests.support import NOON

DAY = date(2026, 8, 1)
keys = st.builds(
    SpendKey, st.dates(DAY, DAY + timedelta(days=3)), *[st.sampled_from(["a", "b", ""])] * 2, st.just("x"), st.just("")
)
sums = st.builds(
    SpendSums, *[st.integers(0, 100)] * 8, *[st.decimals(min_value=0, max_value=10, places=6)] * 3
)  # fmt: skip


@given(st.dictionaries(keys, sums), st.sampled_from(WAYS))
def test_the_groups_add_up_to_the_whole_whatever_they_are_by(rows, by):
    found = spending.report(list(rows.items()), by, DAY, DAY)
    assert sum((one for _, one in found.groups), SpendSums()) == found.total == sum(rows.values(), SpendSums())
    assert len({name for name, _ in found.groups}) == len(found.groups)


def test_days_come_in_order_and_the_rest_the_dearest_first():
    rows = [
        (SpendKey(DAY + timedelta(days=1), "p", "cheap"), SpendSums(1, cost_usd=Decimal(1))),
        (SpendKey(DAY, "p", "dear"), SpendSums(1, cost_usd=Decimal(9))),
    ]
    assert [name for name, _ in spending.report(rows, "model", DAY, DAY).groups] == ["p/dear", "p/cheap"]
    assert [name for name, _ in spending.report(rows, "day", DAY, DAY).groups] == ["2026-08-01", "2026-08-02"]


def row(**cells: object) -> dict[str, object]:
    return {**dict.fromkeys(COLUMNS), "costUsd": "0.10", **cells}


def test_an_unknown_cost_is_no_zero_and_a_flag_is_a_word():
    (_, line) = csv_lines([row(costUsd=None, counted=True, inputTokens=0)])
    found = dict(zip(COLUMNS, next(csv.reader([line])), strict=True))
    assert (found["costUsd"], found["counted"], found["inputTokens"]) == ("", "true", "0")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(texts, texts)
def test_csv_is_read_back_and_no_cell_is_a_formula(asked, app):
    lines = "".join(csv_lines([row(asked=asked, app=app)]))
    titles, cells = csv.reader(io.StringIO(lines, newline=""))
    found = dict(zip(titles, cells, strict=True))
    assert found["asked"] in (asked, f"'{asked}")
    assert not found["app"].startswith(("=", "@", "\t", "\r"))
    assert found["costUsd"] == "0.10"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "@SUM(A1)", "-2+3", "\t=1"])
def test_a_formula_gets_an_apostrophe(text):
    (_, line) = csv_lines([row(app=text)])
    assert f"'{text}" in line


# -- the service ------------------------------------------------------------------------------------------------------


@pytest.fixture
def accounts(store, bus, clock):
    return Accounts(store.shelf, store.journal, bus, clock.world, keeps_days=30)


async def test_a_report_is_of_the_last_thirty_days(accounts, store):
    for days, id in ((0, "1"), (29, "2"), (30, "3")):
        await store.journal.record(record(id, "1", at=NOON - timedelta(days=days)))
    found = await accounts.report("day")
    assert (found.total.cost_usd, found.since, found.until) == (2, date(2026, 7, 3), date(2026, 8, 2))
    assert (await accounts.report("day", since=date(2026, 1, 1))).total.cost_usd == 3
    with pytest.raises(InvalidInput):
        await accounts.report("day", since=date(2027, 1, 1))


async def test_old_requests_are_forgotten_and_stay_in_the_sums(accounts, store, clock, bus):
    await store.journal.record(record("1", "1", at=NOON - timedelta(days=31)))
    await store.journal.record(record("2", "1", at=NOON - timedelta(days=29)))
    keeps_all = Accounts(store.shelf, store.journal, bus, clock.world)
    assert await keeps_all.forget() == 0
    assert await accounts.forget() == 1
    assert [one.id for one in await store.journal.recent()] == ["2"]
    assert (await accounts.report("day", since=date(2026, 1, 1))).total.cost_usd == 2


@pytest.mark.parametrize("first", [0, -1, 1_001])
async def test_a_page_has_a_size(accounts, first):
    with pytest.raises(InvalidInput):
        await accounts.requests(RequestQuery(first=first))
