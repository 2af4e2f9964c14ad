"""Figures of a workflow, from the histories of its tokens. Pure.

A stay on a place lasts from the event that marks it to the event that empties it; while a place holds several tokens it
is one stay. An activity is a transition that fired. Where the beginning of a history was archived, it begins with the
marking that was left: what was before is not in the figures.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Literal

from engine.nets.token import Event, Token

Bucket = Literal["hour", "day"]

START, END = "▶", "■"
"""Before the first activity, and after the last one of a token that has completed, in `Follows`."""
MOST_BUCKETS = 1_000


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, in seconds. Percentiles by nearest rank. `count` is of how many."""

    count: int
    mean_s: float
    p50_s: float
    p95_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class PlaceStays:
    """A place: `tokens` are there now, since `ages`; `visits` stays began, those that ended took `stays`.
    `entered_again` tokens came back, `returns` times in all."""

    place: str
    tokens: int
    ages: Spread | None
    visits: int
    stays: Spread | None
    entered_again: int
    returns: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """A transition: `fired` so often, on `tokens`; on `fired_again` of them more than once, `repeats` times more."""

    transition: str
    fired: int
    tokens: int
    fired_again: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Follows:
    """One activity came directly after another, `count` times, `mean_s` later on average."""

    source: str
    target: str
    count: int
    mean_s: float


@dataclass(frozen=True, slots=True)
class Completions:
    """How many tokens completed in the hour or day that begins `at`."""

    at: datetime
    tokens: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the histories of a workflow's tokens come to. `archived` of them begin in the middle. `throughput` has no
    buckets without completions, and at most the newest MOST_BUCKETS. `reworked` tokens fired a transition again."""

    workflow: str
    at: datetime
    tokens: int
    active: int
    completed: int
    cancelled: int
    archived: int
    events: int
    cycle: Spread | None
    bucket: Bucket
    throughput: tuple[Completions, ...]
    reworked: int
    places: tuple[PlaceStays, ...]
    transitions: tuple[Repeats, ...]
    follows: tuple[Follows, ...]


def spread(seconds: Sequence[float]) -> Spread | None:
    """None of nothing."""
    if not seconds:
        return None
    found = sorted(seconds)
    count = len(found)
    return Spread(count, sum(found) / count, _rank(found, 0.5), _rank(found, 0.95), found[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


@dataclass
class _Place:
    ages: list[float] = field(default_factory=list)
    stays: list[float] = field(default_factory=list)
    visits: int = 0
    entered_again: int = 0
    returns: int = 0


class Tally:
    """Counts histories, some at a time, so that they need not be in memory together; `report` sums up."""

    def __init__(self, now: datetime, bucket: Bucket = "day") -> None:
        self._now, self._bucket = now, bucket
        self._statuses: Counter[str] = Counter()
        self._places: defaultdict[str, _Place] = defaultdict(_Place)
        self._fired: defaultdict[str, list[int]] = defaultdict(list)
        self._followed: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        self._cycles: list[float] = []
        self._buckets: Counter[datetime] = Counter()
        self._archived = self._events = self._reworked = 0

    def add(self, histories: Iterable[tuple[Token, Sequence[Event]]]) -> None:
        for token, events in histories:
            self._statuses[token.status] += 1
            if not events:
                continue
            self._events += len(events)
            self._archived += events[0].kind == "archived"
            self._note_stays(token, events)
            self._note_activities(token, events)
            if token.status == "completed":
                ended = events[-1].at
                self._cycles.append(_seconds(token.created_at, ended))
                self._buckets[_floor(ended, self._bucket)] += 1

    def _note_stays(self, token: Token, events: Sequence[Event]) -> None:
        since: dict[str, datetime] = {}
        visits: Counter[str] = Counter()
        for event in events:
            for place in [place for place in since if place not in event.after]:
                self._places[place].stays.append(_seconds(since.pop(place), event.at))
            for place in event.after:
                if place not in since:
                    since[place] = event.at
                    visits[place] += 1
        for place, count in visits.items():
            found = self._places[place]
            found.visits += count
            found.returns += count - 1
            found.entered_again += count > 1
        if token.status != "cancelled":
            for place, at in since.items():
                self._places[place].ages.append(_seconds(at, self._now))

    def _note_activities(self, token: Token, events: Sequence[Event]) -> None:
        before, at = START, events[0].at
        counts: Counter[str] = Counter()
        for event in events:
            if event.kind == "fired" and event.transition is not None:
                counts[event.transition] += 1
                self._note_followed(before, event.transition, _seconds(at, event.at))
                before, at = event.transition, event.at
        if token.status == "completed":
            self._note_followed(before, END, _seconds(at, events[-1].at))
        for transition, count in counts.items():
            self._fired[transition].append(count)
        self._reworked += any(count > 1 for count in counts.values())

    def _note_followed(self, source: str, target: str, seconds: float) -> None:
        found = self._followed[source, target]
        found[0] += 1
        found[1] += seconds

    def report(self, workflow: str, places: Sequence[str], transitions: Sequence[str]) -> Report:
        """What was counted; places and transitions in the order that is given, and then those that were met besides."""
        return Report(
            workflow=workflow,
            at=self._now,
            tokens=self._statuses.total(),
            active=self._statuses["active"],
            completed=self._statuses["completed"],
            cancelled=self._statuses["cancelled"],
            archived=self._archived,
            events=self._events,
            cycle=spread(self._cycles),
            bucket=self._bucket,
            throughput=tuple(Completions(at, count) for at, count in sorted(self._buckets.items())[-MOST_BUCKETS:]),
            reworked=self._reworked,
            places=tuple(self._place(place) for place in _in_order(places, self._places)),
            transitions=tuple(self._repeats(name) for name in _in_order(transitions, self._fired)),
            follows=tuple(
                Follows(source, target, int(count), total / count)
                for (source, target), (count, total) in sorted(self._followed.items(), key=lambda one: -one[1][0])
            ),
        )

    def _place(self, place: str) -> PlaceStays:
        found = self._places.get(place, _Place())
        ages, stays = spread(found.ages), spread(found.stays)
        return PlaceStays(place, len(found.ages), ages, found.visits, stays, found.entered_again, found.returns)

    def _repeats(self, transition: str) -> Repeats:
        counts = self._fired.get(transition, ())
        again = [count - 1 for count in counts if count > 1]
        return Repeats(transition, sum(counts), len(counts), len(again), sum(again))


def mermaid(follows: Iterable[Follows]) -> str:
    """What directly follows what, as a Mermaid flowchart; on each edge how often and how much later on average."""
    found = list(follows)
    names = _numbered(found)
    nodes = [f'  {id}["{_escaped(name)}"]' for name, id in names.items()]
    edges = [f'  {names[one.source]} -->|"{one.count} · {duration(one.mean_s)}"| {names[one.target]}' for one in found]
    return "\n".join(["flowchart LR", *nodes, *edges]) + "\n"


def dot(follows: Iterable[Follows]) -> str:
    """The same in Graphviz's language; an edge is as wide as it is frequent."""
    found = list(follows)
    most = max((one.count for one in found), default=1)
    names = _numbered(found)
    nodes = [f"  {id} [label={_quoted(name)}];" for name, id in names.items()]
    edges = [
        f"  {names[one.source]} -> {names[one.target]} "
        f"[label={_quoted(f'{one.count} · {duration(one.mean_s)}')}, penwidth={1 + 4 * one.count / most:.1f}];"
        for one in found
    ]
    return "\n".join(["digraph follows {", "  rankdir=LR;", "  node [shape=box];", *nodes, *edges, "}"]) + "\n"


def duration(seconds: float) -> str:
    """For people: 1.2 s, 3 min, 4.0 h, 5.5 d."""
    steps = [(60.0, 1.0, "s"), (3_600.0, 60.0, "min"), (86_400.0, 3_600.0, "h"), (float("inf"), 86_400.0, "d")]
    _, unit, name = steps[min(bisect_left([limit for limit, _, _ in steps], seconds + 1e-9), len(steps) - 1)]
    return f"{seconds / unit:.1f} {name}"


def _numbered(follows: Iterable[Follows]) -> Mapping[str, str]:
    names = dict.fromkeys(name for one in follows for name in (one.source, one.target))
    return {name: f"n{number}" for number, name in enumerate(names)}


def _escaped(name: str) -> str:
    return name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\n", " ")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _in_order(known: Sequence[str], met: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*known, *sorted(met)]))


def _seconds(start: datetime, end: datetime) -> float:
    """Never less than nothing, though a clock may have been set back."""
    return max(0.0, (end - start) / timedelta(seconds=1))


def _floor(at: datetime, bucket: Bucket) -> datetime:
    at = at.astimezone(UTC)
    at = at.replace(minute=0, second=0, microsecond=0)
    return at.replace(hour=0) if bucket == "day" else at
