"""Simulation: how long cases take, where they wait, and what holds them up. Pure, and the same for the same seed.

Every case is a token of its own that walks the net; cases meet only at transitions with a `capacity`, which work on so
many cases at once and keep the others waiting, first come first served. A transition that a case can fire is entered
at once (a choice is drawn by weight among those enabled), takes its inputs, works for its duration, then puts its
outputs; where a branch must wait for another, its tokens wait on their places. Guards are taken as "may".

Figures are of the cases that came to an end after the first tenth, which warms up. The confidence of the mean is by
batch means (Law & Kelton 2000, section 9.5.3): ten batches, Student's t at 95 %. Little's law makes the bottleneck: the
place whose tokens wait longest in all.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import log, sqrt

from engine.nets.chance import uniform_numbers
from engine.nets.marking import enabled
from engine.nets.model import Arc, Mode, Net

_T_NINE = 2.262  # Student's t, nine degrees of freedom, 95 %
_BATCHES = 10


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless, with a mean in seconds."""

    mean_s: float


@dataclass(frozen=True, slots=True)
class Uniform:
    low_s: float
    high_s: float


Duration = Fixed | Exponential | Uniform


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a transition works: for how long, how often it is chosen among those enabled, and on how many cases at once
    (None: on all that come)."""

    duration: Duration = Fixed(0.0)
    weight: float = 1.0
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """How long one token stays on a place, and how many wait there on average."""

    place: str
    visits: int
    mean_s: float
    p95_s: float
    mean_tokens: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """`throughput_per_s`: cases that ended, a second. Cycle times are from arrival to end. `stuck` cases can move no
    more and are not at an end; `open_cases` were still under way when the budget of steps ended. `bottleneck` is the
    place with the most waiting in all, None when nothing waits."""

    cases: int
    finished: int
    stuck: int
    open_cases: int
    steps: int
    simulated_s: float
    throughput_per_s: float
    cycle_mean_s: float | None
    cycle_p50_s: float | None
    cycle_p95_s: float | None
    cycle_mean_within_s: float | None
    places: tuple[PlaceFigures, ...]
    bottleneck: str | None


@dataclass(slots=True)
class _Case:
    arrived: float
    marking: dict[str, int]
    since: dict[str, deque[float]]
    busy: int = 0
    done: bool = False
    waits: set[str] = field(default_factory=set)


def simulate(
    net: Net,
    behaviours: Mapping[str, Behaviour],
    *,
    cases: int = 1_000,
    arrival: Duration = Exponential(60.0),
    seed: int = 0,
    most_steps: int = 1_000_000,
    keep_going: Callable[[], bool] = lambda: True,
) -> Simulation:
    """Let `cases` cases arrive, `arrival` apart, and follow them to their ends. `behaviours` by transition; one that is
    not named takes no time.

    A case ends on a final marking, or when nothing can move it. `most_steps` bounds firings in all.
    """
    return _Run(net, behaviours, uniform_numbers(seed)).go(cases, arrival, most_steps, keep_going)


class _Run:
    def __init__(self, net: Net, behaviours: Mapping[str, Behaviour], draw: Callable[[], float]) -> None:
        self._net, self._draw = net, draw
        self._behaviour = {one.id: behaviours.get(one.id, Behaviour()) for one in net.transitions}
        self._events: list[tuple[float, int, _Case, Mode | None]] = []
        self._order = 0
        self._working: dict[str, int] = dict.fromkeys(self._behaviour, 0)
        self._queues: dict[str, deque[_Case]] = {name: deque() for name in self._behaviour}
        self._stays: dict[str, list[float]] = {place: [] for place in net.place_ids}
        self._cycles: list[tuple[float, float]] = []
        self._steps = self._stuck = 0
        self._now = 0.0

    def go(self, cases: int, arrival: Duration, most_steps: int, keep_going: Callable[[], bool]) -> Simulation:
        at = 0.0
        for _ in range(cases):
            initial = dict(self._net.initial)
            since = {place: deque([at] * min(count, 1_000)) for place, count in initial.items()}
            self._plan(at, _Case(at, initial, since), None)
            at += self._drawn(arrival)
        looked = 0
        while self._events and self._steps < most_steps:
            self._now, _, case, mode = heappop(self._events)
            looked += 1
            if mode is not None:
                self._finish(case, mode)
            self._move(case, most_steps)
            if mode is not None:
                self._next_in_line(mode.transition.id, most_steps)
            if looked % 1_024 == 0 and not keep_going():
                break
        return self._figures(cases)

    def _plan(self, at: float, case: _Case, mode: Mode | None) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, case, mode))

    def _drawn(self, duration: Duration) -> float:
        match duration:
            case Fixed(seconds):
                return seconds
            case Exponential(mean):
                return -mean * log(1.0 - self._draw())
            case Uniform(low, high):
                return low + (high - low) * self._draw()

    # -- one case -------------------------------------------------------------------------------------------------

    def _move(self, case: _Case, most_steps: int) -> None:
        """Start whatever the case can start now."""
        while not case.done and self._steps < most_steps:
            if not case.busy and self._at_end(case):
                self._end(case)
                return
            able = [mode for mode in self._net.modes if enabled(case.marking, mode)]
            if not able:
                if not case.busy:
                    case.done = True
                    self._stuck += 1
                return
            free = [mode for mode in able if self._has_room(mode.transition.id)]
            for name in {mode.transition.id for mode in able} - {mode.transition.id for mode in free} - case.waits:
                case.waits.add(name)
                self._queues[name].append(case)
            if not free:
                return
            self._start(case, self._chosen(free))

    def _has_room(self, transition: str) -> bool:
        capacity = self._behaviour[transition].capacity
        return capacity is None or self._working[transition] < capacity

    def _chosen(self, modes: list[Mode]) -> Mode:
        if len(modes) == 1:
            return modes[0]
        weights = [self._behaviour[mode.transition.id].weight for mode in modes]
        at = self._draw() * sum(weights)
        for mode, weight in zip(modes, weights, strict=True):
            at -= weight
            if at < 0:
                return mode
        return modes[-1]

    def _start(self, case: _Case, mode: Mode) -> None:
        name = mode.transition.id
        self._steps += 1
        for arc in mode.inputs:
            self._take(case, arc.place, arc.weight)
        for place in mode.transition.resets:
            self._take(case, place, case.marking.get(place, 0))
        case.busy += 1
        self._working[name] += 1
        self._plan(self._now + self._drawn(self._behaviour[name].duration), case, mode)

    def _take(self, case: _Case, place: str, count: int) -> None:
        left = case.marking.get(place, 0) - count
        case.marking[place] = left
        if not left:
            del case.marking[place]
        since = case.since.get(place, deque())
        for _ in range(min(count, len(since))):
            self._stays[place].append(self._now - since.popleft())

    def _finish(self, case: _Case, mode: Mode) -> None:
        case.busy -= 1
        self._working[mode.transition.id] -= 1
        for arc in mode.transition.outputs:
            self._put(case, arc)

    def _put(self, case: _Case, arc: Arc) -> None:
        case.marking[arc.place] = case.marking.get(arc.place, 0) + arc.weight
        case.since.setdefault(arc.place, deque()).extend([self._now] * min(arc.weight, 1_000))

    def _at_end(self, case: _Case) -> bool:
        return len(case.marking) == 1 and any(
            count == 1 and place in self._net.final for place, count in case.marking.items()
        )

    def _end(self, case: _Case) -> None:
        case.done = True
        self._cycles.append((self._now, self._now - case.arrived))

    def _next_in_line(self, transition: str, most_steps: int) -> None:
        queue = self._queues[transition]
        while queue and self._has_room(transition):
            case = queue.popleft()
            case.waits.discard(transition)
            self._move(case, most_steps)

    # -- figures --------------------------------------------------------------------------------------------------

    def _figures(self, cases: int) -> Simulation:
        finished = len(self._cycles)
        counted = [cycle for _, cycle in self._cycles[finished // 10 :]]
        ordered = sorted(counted)
        took = self._now
        places = tuple(
            PlaceFigures(
                place,
                len(stays),
                sum(stays) / len(stays),
                _percentile(sorted(stays), 0.95),
                sum(stays) / took if took else 0.0,
            )
            for place, stays in self._stays.items()
            if stays
        )
        worst = max(places, key=lambda one: one.mean_tokens, default=None)
        return Simulation(
            cases=cases,
            finished=finished,
            stuck=self._stuck,
            open_cases=cases - finished - self._stuck,
            steps=self._steps,
            simulated_s=took,
            throughput_per_s=finished / took if took else 0.0,
            cycle_mean_s=sum(counted) / len(counted) if counted else None,
            cycle_p50_s=_percentile(ordered, 0.5) if ordered else None,
            cycle_p95_s=_percentile(ordered, 0.95) if ordered else None,
            cycle_mean_within_s=_confidence(counted),
            places=places,
            bottleneck=worst.place if worst and worst.mean_tokens > 0 else None,
        )


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _confidence(values: list[float]) -> float | None:
    """Half the width of the interval around the mean; None for too few values."""
    size = len(values) // _BATCHES
    if size < 2:
        return None
    means = [sum(values[n * size : (n + 1) * size]) / size for n in range(_BATCHES)]
    mean = sum(means) / _BATCHES
    spread = sum((one - mean) ** 2 for one in means) / (_BATCHES - 1)
    return _T_NINE * sqrt(spread / _BATCHES)
