"""How well an event log fits a workflow: token replay, as in Rozinat & van der Aalst, "Conformance checking of
processes based on monitoring real behavior", Information Systems 33(1), 2008, section 4. Pure.

Each case is replayed from the first marking. What a step takes and is not there is put there and counted as missing;
what is left at the end is counted as remaining. Over all cases, with p produced, c consumed, m missing, r remaining:

    fitness = 1/2 (1 - m/c) + 1/2 (1 - r/p)

The first marking is produced and the final one consumed by the surroundings. A workflow without final places runs for
ever: its end is not judged. A read arc takes and gives back; a reset consumes what it empties. Where transitions share
a name, and of the modes of one, an enabled one is taken, else one that lacks least. An automatic transition whose name
is nowhere in the log is silent: it fires unseen where that helps, by a shortest run of at most SILENT_MARKINGS markings
(section 4.2). Guards are not asked, for a log has no data. Steps that the workflow does not know, and inhibitors that
stood against one, are named and do not count, as the measure knows neither.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.nets.marking import Marking, enabled, lacking, moved
from engine.nets.model import Arc, Mode, Net
from engine.workflows.logs.model import Case, EventLog

Kind = Literal["unknown", "missing", "inhibited", "remaining", "unfinished"]

SILENT_MARKINGS = 500
MOST_DEVIATIONS = 200
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where a log and a workflow part: `times` in `cases` cases, some of them by name. `words` says what it is."""

    kind: Kind
    activity: str
    place: str
    times: int
    cases: int
    examples: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Conformance:
    """`fitting` of the cases deviate nowhere. `fitness` is over all of them, 1 for a log that fits. Deviations are the
    most frequent first, no more than MOST_DEVIATIONS."""

    cases: int
    events: int
    fitting: int
    fitness: float
    produced: int
    consumed: int
    missing: int
    remaining: int
    deviations: tuple[Deviation, ...]


def conform(net: Net, log: EventLog, cancelled: Callable[[], bool] = lambda: False) -> Conformance:
    """Replay `log`; what was found so far when it is cancelled."""
    activities = {step.activity for case in log.cases for step in case.steps}
    replay = _Replay(net, activities)
    replayed = events = 0
    for case in log.cases:
        if cancelled():
            break
        replay.case(case)
        replayed += 1
        events += len(case.steps)
    return Conformance(
        replayed,
        events,
        replay.fitting,
        fitness(replay.produced, replay.consumed, replay.missing, replay.remaining),
        replay.produced,
        replay.consumed,
        replay.missing,
        replay.remaining,
        tuple(replay.deviations()),
    )


def fitness(produced: int, consumed: int, missing: int, remaining: int) -> float:
    """1 where nothing was consumed or produced: then nothing was amiss."""
    lacked = missing / consumed if consumed else 0.0
    left = remaining / produced if produced else 0.0
    return 0.5 * (1 - lacked) + 0.5 * (1 - left)


class _Replay:
    def __init__(self, net: Net, activities: Iterable[str]) -> None:
        self._net = net
        self._modes = {activity: _modes_of(net, activity) for activity in activities}
        seen = {mode.transition.id for modes in self._modes.values() for mode in modes}
        self._silent = tuple(mode for one in net.automatic if one.id not in seen for mode in net.modes_of[one.id])
        self.produced = self.consumed = self.missing = self.remaining = self.fitting = 0
        self._marking: Marking = {}
        self._found: Counter[tuple[Kind, str, str]] = Counter()
        self._cases: dict[tuple[Kind, str, str], tuple[int, tuple[str, ...]]] = {}

    def case(self, case: Case) -> None:
        self._marking = dict(self._net.initial)
        self.produced += sum(self._marking.values())
        amiss: Counter[tuple[Kind, str, str]] = Counter()
        for step in case.steps:
            self._step(step.activity, amiss)
        self._end(amiss)
        self._found.update(amiss)
        self.fitting += not amiss
        for key in amiss:
            count, examples = self._cases.get(key, (0, ()))
            self._cases[key] = count + 1, examples if len(examples) >= _EXAMPLES else (*examples, case.id)

    def _step(self, activity: str, amiss: Counter[tuple[Kind, str, str]]) -> None:
        modes = self._modes[activity]
        if not modes:
            amiss["unknown", activity, ""] += 1
            return
        mode = next((mode for mode in modes if enabled(self._marking, mode)), None)
        if mode is None and (way := self._silently(lambda marking: any(enabled(marking, mode) for mode in modes))):
            for silent in way:
                self._fire(silent)
            mode = next(mode for mode in modes if enabled(self._marking, mode))
        if mode is None:
            mode = min(modes, key=lambda mode: sum(_short(self._marking, mode).values()))
            marking = dict(self._marking)
            for place, count in _short(marking, mode).items():
                marking[place] = marking.get(place, 0) + count
                self.missing += count
                amiss["missing", activity, place] += count
            for arc in mode.transition.inhibitors:
                if marking.get(arc.place, 0) >= arc.weight:
                    amiss["inhibited", activity, arc.place] += 1
            self._marking = marking
        self._fire(mode)

    def _fire(self, mode: Mode) -> None:
        transition = mode.transition
        self.consumed += _weight(mode.inputs) + _weight(transition.reads)
        self.produced += _weight(transition.outputs) + _weight(transition.reads)
        taken = {arc.place: arc.weight for arc in mode.inputs}
        for place in set(transition.resets):
            self.consumed += max(0, self._marking.get(place, 0) - taken.get(place, 0))
        self._marking = moved(self._marking, mode)

    def _end(self, amiss: Counter[tuple[Kind, str, str]]) -> None:
        final = self._net.final
        if not final:
            self.consumed += sum(self._marking.values())
            return
        if not _is_final(self._marking, final) and (way := self._silently(lambda marking: _is_final(marking, final))):
            for silent in way:
                self._fire(silent)
        self.consumed += 1
        left = dict(self._marking)
        reached = [place for place in self._net.place_ids if place in final and place in left]
        if reached:
            left[reached[0]] -= 1
        else:
            self.missing += 1
            amiss["unfinished", "", ""] += 1
        for place, count in left.items():
            if count:
                self.remaining += count
                amiss["remaining", "", place] += count

    def _silently(self, there: Callable[[Marking], bool]) -> Sequence[Mode] | None:
        """A shortest run of silent transitions to a marking that is wanted; None when none is found in the bound."""
        if not self._silent:
            return None
        waiting: deque[tuple[Marking, tuple[Mode, ...]]] = deque([(self._marking, ())])
        seen = {frozenset(self._marking.items())}
        while waiting:
            marking, way = waiting.popleft()
            for mode in self._silent:
                if not enabled(marking, mode):
                    continue
                after = moved(marking, mode)
                if there(after):
                    return (*way, mode)
                if (key := frozenset(after.items())) not in seen and len(seen) < SILENT_MARKINGS:
                    seen.add(key)
                    waiting.append((after, (*way, mode)))
        return None

    def deviations(self) -> Iterable[Deviation]:
        for (kind, activity, place), times in self._found.most_common(MOST_DEVIATIONS):
            cases, examples = self._cases[kind, activity, place]
            yield Deviation(kind, activity, place, times, cases, examples, _words(kind, activity, place))


def _words(kind: Kind, activity: str, place: str) -> str:
    match kind:
        case "unknown":
            return f"{activity} is not in the workflow."
        case "missing":
            return f"{activity} was done although {place} did not hold what it takes."
        case "inhibited":
            return f"{activity} was done although {place} forbids it."
        case "remaining":
            return f"Something was left on {place} at the end."
        case _:
            return "The case ended before a final place was reached."


def _modes_of(net: Net, activity: str) -> Sequence[Mode]:
    """The modes of the transition of that id, else of those of that name."""
    if activity in net.transition_of:
        return net.modes_of[activity]
    return [mode for one in net.transitions if one.label == activity for mode in net.modes_of[one.id]]


def _short(marking: Marking, mode: Mode) -> Mapping[str, int]:
    """How many tokens each place lacks for `mode`."""
    arcs = [*mode.inputs, *mode.transition.reads]
    return {arc.place: arc.weight - marking.get(arc.place, 0) for arc in sorted(lacking(marking, arcs), key=_by_weight)}


def _by_weight(arc: Arc) -> int:
    return arc.weight  # of two arcs from one place the larger counts, which comes last


def _weight(arcs: Iterable[Arc]) -> int:
    return sum(arc.weight for arc in arcs)


def _is_final(marking: Marking, final: frozenset[str]) -> bool:
    return len(marking) == 1 and next(iter(marking)) in final and sum(marking.values()) == 1
