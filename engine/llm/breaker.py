"""Circuit breakers: when to leave somebody alone who fails. Pure.

Closed, they let everything through. After some failures in a row, or one that will not heal soon, they open for a
while, which doubles each time they open again; then half-open, they let one request through that decides. After
Nygard, "Release It!" (2007), section 5.2.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]

FAILURES_TO_OPEN = 3
FIRST_OPEN_S, LONGEST_OPEN_S = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` is how many came in a row; `openings` how often it opened since the last success. Open until
    `open_until`, a monotonic time; `trying` is when the one request of half-open was let through. `why` is for people.
    """

    failures: int = 0
    openings: int = 0
    open_until: float | None = None
    trying: float | None = None
    why: str = ""

    def state(self, now: float) -> State:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def lets_through(self, now: float) -> bool:
        """Whether a request may go. In half-open only one may, until it ended or a while has passed without word."""
        state = self.state(now)
        if state == "half_open":
            return self.trying is None or now >= self.trying + FIRST_OPEN_S
        return state == "closed"

    def began(self, now: float) -> "Breaker":
        """After a request was let through."""
        if self.state(now) != "half_open":
            return self
        return Breaker(self.failures, self.openings, self.open_until, now, self.why)

    def failed(self, now: float, why: str, *, open_for_s: float | None = None) -> "Breaker":
        """After a failure. `open_for_s` opens it at once, for so long. While it is open, more failures, as those of
        requests that were under way, do not open it once more."""
        failures = self.failures + 1
        if open_for_s is None and self.state(now) == "open":
            return Breaker(failures, self.openings, self.open_until, self.trying, why)
        if open_for_s is None and failures < FAILURES_TO_OPEN and self.open_until is None:
            return Breaker(failures, self.openings, None, None, why)
        wait = open_for_s if open_for_s is not None else min(LONGEST_OPEN_S, FIRST_OPEN_S * 2.0**self.openings)
        return Breaker(failures, self.openings + 1, max(now + wait, self.open_until or 0.0), None, why)


CLOSED = Breaker()
