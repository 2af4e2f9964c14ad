"""Circuit breakers: what opens them, for how long, and what closes them."""

from hypothesis import given
from hypothesis import strategies as st

from engine.llm.breaker import CLOSED, FAILURES_TO_OPEN, FIRST_OPEN_S, LONGEST_OPEN_S, Breaker


def failing(times: int, now: float = 0.0) -> Breaker:
    breaker = CLOSED
    for _ in range(times):
        breaker = breaker.failed(now, "no")
    return breaker


def test_some_failures_in_a_row_open_it_for_a_while():
    assert failing(FAILURES_TO_OPEN - 1).lets_through(0)
    opened = failing(FAILURES_TO_OPEN)
    assert (opened.state(0), opened.lets_through(0)) == ("open", False)
    assert (opened.state(FIRST_OPEN_S), opened.lets_through(FIRST_OPEN_S)) == ("half_open", True)


def test_half_open_lets_one_through_who_decides():
    trying = failing(FAILURES_TO_OPEN).began(FIRST_OPEN_S)
    assert not trying.lets_through(FIRST_OPEN_S + 1)
    again = trying.failed(FIRST_OPEN_S + 1, "still no")
    assert not again.lets_through(FIRST_OPEN_S + 1 + FIRST_OPEN_S)  # it stays open for longer now
    assert again.lets_through(FIRST_OPEN_S + 1 + 2 * FIRST_OPEN_S)
    assert trying.lets_through(3 * FIRST_OPEN_S), "one of whom nothing was heard does not keep it shut"


def test_many_that_fail_at_once_open_it_once():
    assert failing(FAILURES_TO_OPEN + 7).lets_through(FIRST_OPEN_S)


def test_one_that_will_not_heal_opens_it_at_once():
    opened = CLOSED.failed(5.0, "quota", open_for_s=3600)
    assert not opened.lets_through(3604.0)
    assert opened.lets_through(3605.0)


@given(st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=60))
def test_it_never_stays_shut_for_longer_than_the_longest_time(steps):
    breaker, now = CLOSED, 0.0
    for pause, fails in steps:
        now += pause
        if breaker.lets_through(now):
            breaker = breaker.began(now)
            breaker = breaker.failed(now, "no") if fails else CLOSED
        assert breaker.lets_through(now + LONGEST_OPEN_S)
        assert breaker.state(now) == "closed" or breaker.why
