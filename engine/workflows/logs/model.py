"""Event logs of any system: cases, and what was done in each. Frozen data, within bounds.

A case is called a trace in XES and a token here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from engine.kernel.errors import InvalidInput, TooLarge, shown
from engine.nets.moments import moment_of

MOST_BYTES = 50_000_000
MOST_EVENTS = 1_000_000
MOST_CHARACTERS = 1_000  # of a name


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done. Aware UTC, where the time is known."""

    activity: str
    at: datetime | None = None
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class EventLog:
    cases: tuple[Case, ...]

    @property
    def events(self) -> int:
        return sum(len(case.steps) for case in self.cases)


def gathered(rows: Iterable[tuple[str, Step]]) -> EventLog:
    """Cases in the order in which they come first; the steps of each in the order of their times, where all have one,
    else as they come. Raises TooLarge."""
    found: dict[str, list[Step]] = {}
    for number, (case, step) in enumerate(rows):
        if number >= MOST_EVENTS:
            raise too_many_events()
        found.setdefault(case, []).append(step)
    return EventLog(tuple(Case(case, tuple(_by_time(steps))) for case, steps in found.items()))


def _by_time(steps: list[Step]) -> list[Step]:
    times = [step.at for step in steps if step.at is not None]
    if len(times) < len(steps):
        return steps
    return [step for _, _, step in sorted(zip(times, range(len(steps)), steps, strict=True))]


def named(text: object, what: str, line: int) -> str:
    """A name from a log. Raises InvalidInput with the line."""
    if not isinstance(text, str) or not text.strip() or len(text) > MOST_CHARACTERS:
        what_is_wrong = "too long" if isinstance(text, str) and text.strip() else "missing or no text"
        raise wrong(f"The {what} is {what_is_wrong}.", line, f"Give 1 to {MOST_CHARACTERS:,} characters.")
    return text


def moment(text: object, line: int) -> datetime | None:
    """A time in ISO 8601; UTC when it does not say. None of nothing. Raises InvalidInput with the line."""
    if text is None or text == "":
        return None
    try:
        return moment_of(text.strip() if isinstance(text, str) else "")
    except ValueError:
        raise wrong(f"{shown(str(text))} is no time.", line, "Write it as 2026-11-25T12:00:00Z (ISO 8601).") from None


def wrong(what: str, line: int, fix: str = "") -> InvalidInput:
    return InvalidInput(f"The log cannot be read: {what}", why=f"Line {line}.", fix=fix, details={"line": line})


def too_many_events() -> TooLarge:
    return TooLarge(
        f"The log has more than {MOST_EVENTS:,} events.",
        fix="Cut it into several, by case.",
        details={"limit": MOST_EVENTS},
    )


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that have something in them, with their numbers."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line
