"""Figures from histories, counted by hand."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidInput, NotFound, TooLarge
from engine.workflows import reports
from engine.workflows.analytics import END, START, Completions, Follows, Spread, Tally, dot, duration, mermaid, spread
from engine.workflows.reports import Analytics
from tests.support import APPROVAL, FORK, NOON


@pytest.fixture
def analytics(store, clock):
    return Analytics(store.ledger, clock.world)


@pytest.fixture
async def three(workflows, clock):
    """One approved after rework, one waiting in review, one cancelled in draft."""
    await workflows.create(APPROVAL)
    first = await workflows.create_token("approval_v1", caller=PROGRAM, data={"score": 90})
    for transition, wait in (("submit", 10), ("rework", 20), ("submit", 30), ("approve", 40)):
        clock.move(wait)
        await workflows.fire(first.id, transition, caller=PROGRAM)
    second = await workflows.create_token("approval_v1", caller=PROGRAM)
    clock.move(5)
    await workflows.fire(second.id, "submit", caller=PROGRAM)
    third = await workflows.create_token("approval_v1", caller=PROGRAM)
    clock.move(7)
    await workflows.cancel(third.id, caller=PROGRAM)
    clock.move(3)
    return first, second, third


async def test_tokens_and_times_by_place(analytics, three):
    report = await analytics.report("approval_v1")
    assert (report.tokens, report.active, report.completed, report.cancelled) == (3, 1, 1, 1)
    assert (report.events, report.archived, report.at) == (9, 0, NOON + timedelta(seconds=115))
    places = {one.place: one for one in report.places}
    assert list(places) == ["draft", "review", "approved", "rejected"]
    assert places["draft"].stays == Spread(4, 13.0, 7.0, 30.0, 30.0)  # 10, 30, 5, 7
    assert (places["draft"].visits, places["draft"].tokens, places["draft"].ages) == (4, 0, None)
    assert (places["draft"].entered_again, places["draft"].returns) == (1, 1)
    assert places["review"].stays == Spread(2, 30.0, 20.0, 40.0, 40.0)
    assert (places["review"].tokens, places["review"].ages) == (1, Spread(1, 10.0, 10.0, 10.0, 10.0))
    assert places["approved"].ages == Spread(1, 15.0, 15.0, 15.0, 15.0)
    assert (places["rejected"].visits, places["rejected"].stays) == (0, None)


async def test_rework_cycle_and_what_follows_what(analytics, three):
    report = await analytics.report("approval_v1")
    assert report.cycle == Spread(1, 100.0, 100.0, 100.0, 100.0)
    assert report.reworked == 1
    submit = next(one for one in report.transitions if one.transition == "submit")
    assert (submit.fired, submit.tokens, submit.fired_again, submit.repeats) == (3, 2, 1, 1)
    assert [one.transition for one in report.transitions] == ["submit", "approve", "reject", "rework"]
    assert report.follows[0] == Follows(START, "submit", 2, 7.5)
    assert set(report.follows[1:]) == {
        Follows("submit", "rework", 1, 20.0),
        Follows("rework", "submit", 1, 30.0),
        Follows("submit", "approve", 1, 40.0),
        Follows("approve", END, 1, 0.0),
    }


async def test_completions_by_hour_and_day(analytics, workflows, clock):
    await workflows.create({**FORK, "id": "f"})
    for wait in (0, 1800, 3600, 86_400):
        clock.move(wait)
        token = await workflows.create_token("f", caller=PROGRAM)
        await workflows.fire(token.id, "split", caller=PROGRAM)
        await workflows.fire(token.id, "join", caller=PROGRAM)
    hours = (await analytics.report("f", bucket="hour")).throughput
    at = [NOON, NOON + timedelta(hours=1), NOON + timedelta(days=1, hours=1)]
    assert hours == tuple(map(Completions, at, (2, 1, 1)))
    day = NOON.replace(hour=0)
    assert (await analytics.report("f")).throughput == (Completions(day, 3), Completions(day + timedelta(days=1), 1))


async def test_only_the_newest_are_counted(analytics, three, workflows):
    assert (await analytics.report("approval_v1", tokens=2)).completed == 0
    assert (await analytics.report("approval_v1", tokens=3)).completed == 1  # control
    for wrong in (0, reports.MOST_TOKENS + 1):
        with pytest.raises(InvalidInput, match="too few or too many"):
            await analytics.report("approval_v1", tokens=wrong)
    with pytest.raises(NotFound, match="no workflow"):
        await analytics.report("approval_v2")


async def test_more_than_a_page_is_counted(analytics, workflows):
    await workflows.create(FORK)
    for _ in range(reports._PAGE + 1):
        await workflows.create_token("fork_v1", caller=PROGRAM)
    assert (await analytics.report("fork_v1")).tokens == reports._PAGE + 1


async def test_a_workflow_without_tokens_has_no_figures(analytics, workflows):
    await workflows.create(APPROVAL)
    report = await analytics.report("approval_v1")
    assert (report.tokens, report.cycle, report.throughput, report.follows) == (0, None, (), ())
    assert [one.visits for one in report.places] == [0, 0, 0, 0]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_percentiles_are_values_that_were_there(values):
    found = spread(values)
    assert {found.p50_s, found.p95_s, found.longest_s} <= set(values)
    assert sum(value <= found.p50_s for value in values) * 2 >= len(values)
    assert sum(value <= found.p95_s for value in values) * 20 >= len(values) * 19
    assert found.p50_s <= found.p95_s <= found.longest_s == max(values)


def test_a_clock_that_was_set_back_makes_no_negative_times():
    from engine.nets.token import Event, Token

    token = Token("t", "w", {"b": 1}, {}, {}, 2, NOON, NOON, status="completed")
    back = NOON - timedelta(seconds=5)
    events = [Event("t", 1, "created", {"a": 1}, NOON), Event("t", 2, "fired", {"b": 1}, back, {"a": 1}, "go")]
    tally = Tally(NOON)
    tally.add([(token, events)])
    report = tally.report("w", ["a", "b"], ["go"])
    assert report.cycle is not None
    assert report.cycle.p50_s == report.places[0].stays.p50_s == 0.0


def test_the_picture_is_text_that_holds_any_name():
    follows = [Follows('a "b"\n<c>', "d\\e", 3, 61.0)]
    assert mermaid(follows) == (
        'flowchart LR\n  n0["a &quot;b&quot; &lt;c>"]\n  n1["d\\e"]\n  n0 -->|"3 · 1.0 min"| n1\n'
    )
    assert 'n0 [label="a \\"b\\" <c>"];' in dot(follows)
    assert 'n0 -> n1 [label="3 · 1.0 min", penwidth=5.0];' in dot(follows)
    assert [duration(one) for one in (0, 59.94, 60, 5400, 86_400 * 3)] == [
        "0.0 s",
        "59.9 s",
        "1.0 min",
        "1.5 h",
        "3.0 d",
    ]


async def test_a_log_that_is_too_long_is_refused(analytics, three, monkeypatch):
    assert await analytics.log("approval_v1", "jsonl")  # control
    monkeypatch.setattr(reports, "MOST_EXPORTED_CHARACTERS", 100)
    with pytest.raises(TooLarge, match="more than 100"):
        await analytics.log("approval_v1", "jsonl")
    with pytest.raises(NotFound, match="no format"):
        await analytics.log("approval_v1", "csv")
