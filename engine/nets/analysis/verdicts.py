"""From a state space to verdicts and findings. Pure.

Definitions (petri nets: Murata 1989; soundness: van der Aalst 1998; guards are taken as "may"):
a final marking has one token on one final place and nothing else; a deadlock is a reachable marking that enables
nothing and is not final; a livelock is a set of markings that is never left, in which something always moves, and that
has no final marking.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from engine.nets.analysis.beyond import certificate, decided
from engine.nets.analysis.classes import classes
from engine.nets.analysis.components import Components, components
from engine.nets.analysis.evidence import Evidence
from engine.nets.analysis.guarded import certain, open_to_all
from engine.nets.analysis.invariants import invariants
from engine.nets.analysis.loops import round_trip
from engine.nets.analysis.model import Analysis, Finding, FindingCode, Severity
from engine.nets.analysis.siphons import Rules, never_again, never_filled, siphon_rules
from engine.nets.analysis.states import KeepGoing, StateSpace, explore
from engine.nets.analysis.structural import Structure
from engine.nets.marking import in_words
from engine.nets.model import Net
from engine.rules.exhaustive import Coverage, exhaustive

MOST_STATES = 200_000
MOST_DEADLOCKS = 20  # kinds that are told apart
_AT_FIRST = 25_000  # states, before reductions are tried


def analyse(net: Net, *, most_states: int = MOST_STATES, keep_going: KeepGoing = lambda: True) -> Analysis:
    """Everything there is to say of `net` within the budget. The net's structure has been checked before."""
    space = explore(net, min(most_states, _AT_FIRST), keep_going)
    certain: dict[str, Any] = {}
    if not (space.complete or space.unbounded or space.stopped):
        certain = certificate(net, keep_going)
        if most_states > _AT_FIRST and len(space) == _AT_FIRST:
            space = explore(net, most_states, keep_going)
    return decided(net, space, _Report(net, space).analysis(), certain, keep_going)


@dataclass
class _Report:
    net: Net
    space: StateSpace

    # -- facts ----------------------------------------------------------------------------------------------------

    @cached_property
    def complete(self) -> bool:
        return self.space.complete

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.space)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The final markings, packed."""
        packing = self.space.packing
        return frozenset(
            packing.pack([(number, 1)]) for number, place in enumerate(self.net.place_ids) if place in self.net.final
        )

    @cached_property
    def final_states(self) -> list[int]:
        ends = self.ends
        return [number for number, marking in enumerate(self.space.packed) if marking in ends]

    @cached_property
    def dead_ends(self) -> list[int]:
        """States that enable nothing, in the order they were found; only of those whose ways out are all known."""
        starts = self.space.starts
        return [state for state in range(self.space.settled) if starts[state] == starts[state + 1]]

    @cached_property
    def deadlocks(self) -> list[int]:
        return [state for state in self.dead_ends if self.space.packed[state] not in self.ends]

    @cached_property
    def improper(self) -> list[int]:
        """States with a token on a final place and another one somewhere."""
        ends, places = self.ends, [n for n, place in enumerate(self.net.place_ids) if place in self.net.final]
        mask = self.space.packing.mask(places)
        return [n for n, marking in enumerate(self.space.packed) if marking & mask and marking not in ends]

    @cached_property
    def seen_modes(self) -> set[int]:
        return set(self.space.labels)

    @cached_property
    def dead_transitions(self) -> tuple[str, ...]:
        alive = {self.net.modes[mode].transition.id for mode in self.seen_modes}
        return tuple(transition.id for transition in self.net.transitions if transition.id not in alive)

    @cached_property
    def graph(self) -> Components:
        return components(len(self.space), self.space.starts, self.space.targets)

    @cached_property
    def lost(self) -> list[int]:
        """States from which no final marking can be reached."""
        good = self.graph.reaching(self.final_states)
        return [state for state, fine in enumerate(good) if not fine]

    @cached_property
    def livelocked(self) -> list[int]:
        """States from which neither a final marking nor a dead end can be reached: something moves for ever."""
        if not self.lost:
            return []
        ends = self.graph.reaching([*self.final_states, *self.dead_ends])
        return [state for state, fine in enumerate(ends) if not fine]

    @cached_property
    def levels(self) -> dict[str, int]:
        """How live each transition is, after Murata (1989, section V-C): 0 dead, 1 can fire, 3 can fire without end,
        4 can always be made to fire again. In a finite space levels 2 and 3 are the same."""
        space, of = self.space, self.graph.of
        names = [mode.transition.id for mode in self.net.modes]
        level = {transition.id: 0 for transition in self.net.transitions}
        for mode in self.seen_modes:
            level[names[mode]] = 1
        cyclic: set[int] = set()
        for state in range(space.settled):
            own = of[state]
            for edge in range(space.starts[state], space.starts[state + 1]):
                if of[space.targets[edge]] == own:
                    cyclic.add(space.labels[edge])
        for mode in cyclic:
            level[names[mode]] = 3
        always = set(level)
        for component in self.graph.bottoms:
            fired = {
                names[space.labels[edge]]
                for state in self.graph.members(component)
                for edge in range(space.starts[state], space.starts[state + 1])
            }
            always &= fired
        return level | dict.fromkeys(always, 4)

    @cached_property
    def live(self) -> bool:
        return all(level == 4 for level in self.levels.values())

    @cached_property
    def monotone(self) -> bool:
        """More tokens never hinder a firing. Then what can complete, properly and from everywhere, is bounded."""
        return not any(transition.inhibitors or transition.resets for transition in self.net.transitions)

    @cached_property
    def data_deadlock(self) -> int | None:
        """A state, the easiest to come to, that the data may keep from moving: all that is enabled is guarded, and
        the guards are not proven to leave some way open."""
        space = self.space
        if not self.evidence.guarded:
            return None
        open_modes = {move.mode for move in space.moves if not move.guarded}

        def can_stick(state: int) -> bool:
            row = space.labels[space.starts[state] : space.starts[state + 1]]
            if not row or not open_modes.isdisjoint(row) or space.packed[state] in self.ends:
                return False
            return not self._leave_no_gap(row)

        return self.evidence.best(state for state in range(space.settled) if can_stick(state))

    @cached_property
    def _written(self) -> list[str]:
        """The guard of each mode as it is written: equal ones are the same, as `1` and `true` are not."""
        return [repr(mode.transition.guard) for mode in self.net.modes]

    @cached_property
    def _gapless(self) -> dict[frozenset[str], bool]:
        return {}

    def _leave_no_gap(self, modes: Iterable[int]) -> bool:
        """Whether the guards of `modes`, all of them guarded, are proven to let any data pass by one of them. A field
        that they compare is taken to be there."""
        guards = {self._written[mode]: self.net.modes[mode].transition.guard for mode in modes}
        key = frozenset(guards)
        if key not in self._gapless:
            self._gapless[key] = exhaustive([one for one in guards.values() if one is not None]) is not Coverage.NO
        return self._gapless[key]

    # -- the report -----------------------------------------------------------------------------------------------

    def analysis(self) -> Analysis:
        unbounded = self.space.unbounded is not None
        bound = max(self.space.peaks, default=0)
        runs_for_ever = not self.net.final
        option = proper = sound = livelock_free = None
        if not runs_for_ever:
            option = not self.lost if self.complete else False if self.deadlocks else None
            proper = False if self.improper else True if self.complete else None
            livelock_free = not self.livelocked if self.complete else None
            if self.complete:
                sound = bool(option and proper and not self.dead_transitions)
            elif proper is False or self.deadlocks or (unbounded and self.monotone):
                sound = False
        return Analysis(
            complete=self.complete,
            states=len(self.space),
            edges=len(self.space.targets),
            bounded=False if unbounded else True if self.complete else None,
            bound=bound if self.complete else None,
            safe=bound <= 1 if self.complete or bound > 1 else None,
            live=self.live if self.complete else False if self.dead_ends else None,
            reversible=len(self.graph) == 1 if self.complete else False if self.dead_ends else None,
            deadlock_free=False if self.deadlocks else True if self.complete else None,
            sound=sound,
            option_to_complete=option,
            proper_completion=proper,
            livelock_free=livelock_free,
            dead_transitions=self.dead_transitions if self.complete or not self.dead_transitions else None,
            unbounded_places=self._unbounded_places(),
            findings=tuple(self._findings()),
            invariants=invariants(self.net, self.space.moves),
            home_states=len(self.graph.bottoms) == 1 if self.complete else None,
            liveness=self.levels if self.complete else {},
            place_bounds=dict(zip(self.net.place_ids, self.space.peaks, strict=True)) if self.complete else {},
            net_class=classes(self.net),
            deadlocks=self.deadlock_kinds,
            every_deadlock=self.complete and len(self.deadlock_kinds) < MOST_DEADLOCKS,
            structure=Structure(self.net),
            on_guards=self.on_guards,
        )

    def _unbounded_places(self) -> tuple[str, ...] | None:
        if self.space.unbounded:
            return tuple(self.net.place_ids[place] for place in self.space.unbounded[1])
        return () if self.complete else None

    def _findings(self) -> Iterator[Finding]:
        yield from self._growth()
        yield from self._deadlock()
        yield from self._completion()
        yield from self._ambiguous()
        yield from self._liveness()
        if self.complete:
            yield from self._dead()
        elif not self.space.unbounded:
            seen = len(self.space)
            yield Finding(
                FindingCode.INCOMPLETE,
                Severity.INFO,
                f"The first {seen:,} states were searched, and there are more: what is not said below is not proven.",
            )

    def _growth(self) -> Iterator[Finding]:
        if self.space.unbounded:
            state, growing = self.space.unbounded
            names = tuple(self.net.place_ids[place] for place in growing)
            yield self.evidence.finding(
                FindingCode.UNBOUNDED,
                Severity.ERROR,
                f"{' and '.join(names)} can fill without end.",
                self.space.way_to(state),
                places=names,
            )
            return
        if max(self.space.peaks, default=0) > 1:
            shift = self._crowded
            crowded = self.evidence.best(n for n, marking in enumerate(self.space.packed) if marking & shift)
            assert crowded is not None
            tokens = self.space.tokens(crowded)
            names = tuple(place for place, count in zip(self.net.place_ids, tokens, strict=True) if count > 1)
            yield self._finding(
                FindingCode.UNSAFE,
                Severity.INFO,
                f"{' and '.join(names)} can hold more than one token.",
                crowded,
                places=names,
            )

    @cached_property
    def _crowded(self) -> int:
        """The bits that are set where a place has more than one token."""
        packing = self.space.packing
        return packing.values & ~packing.pack((place, 1) for place in range(len(self.net.places)))

    def _deadlock(self) -> Iterator[Finding]:
        improper = set(self.improper)
        stuck = [state for state in self.deadlocks if state not in improper]
        first = self.evidence.best(stuck)
        if first is not None:
            yield self._stuck(first, len(stuck) - 1, "state", "states")
        data = self.data_deadlock
        if data is not None:
            found = self._finding(
                FindingCode.DEADLOCK,
                Severity.WARNING,
                f"In {self._words(data)} every way on has a guard: data that none of them lets pass is stuck there.",
                data,
                places=self._marked(data),
            )
            yield replace(found, depends_on_guards=True)

    @cached_property
    def deadlock_kinds(self) -> tuple[Finding, ...]:
        """A deadlock for each set of places in which it gets stuck, the nearest of its kind."""
        kinds: dict[tuple[str, ...], list[int]] = {}
        for state in self.deadlocks:
            kinds.setdefault(self._marked(state), []).append(state)
        nearest = [(min(states, key=self.evidence.cost), len(states) - 1) for states in kinds.values()]
        nearest.sort(key=lambda one: self.evidence.cost(one[0]))
        return tuple(
            self._stuck(state, others, "marking of these places", "markings of these places")
            for state, others in nearest[:MOST_DEADLOCKS]
        )

    def _stuck(self, state: int, others: int, one: str, several: str) -> Finding:
        names = self.net.place_ids
        siphon = tuple(
            names[place] for place in never_filled(self._siphons, self.space.moves, self.space.tokens(state))
        )
        more = f" (and {others:,} more such {one if others == 1 else several})" if others else ""
        message = f"It gets stuck in {self._words(state)}: nothing can fire, and it is not an end{more}."
        found = self._finding(
            FindingCode.DEADLOCK,
            Severity.ERROR,
            message + (f" {never_again(siphon)}" if siphon else ""),
            state,
            places=self._marked(state),
        )
        return replace(found, siphon=siphon)

    @cached_property
    def _siphons(self) -> Rules:
        return siphon_rules(self.space.moves)

    def _completion(self) -> Iterator[Finding]:
        if not self.net.final:
            return
        state = self.evidence.best(self.improper)
        if state is not None:
            yield self._finding(
                FindingCode.IMPROPER_COMPLETION,
                Severity.ERROR,
                f"It can reach an end while other work is still open: {self._words(state)}.",
                state,
                places=self._marked(state),
            )
        state = self.evidence.best(self.lost) if self.complete else None
        if state is not None:
            yield self._finding(
                FindingCode.CANNOT_COMPLETE,
                Severity.ERROR,
                f"From {self._words(state)} no end can be reached any more.",
                state,
                places=self._marked(state),
            )
        elif self.complete and self.data_deadlock is None:
            yield from self._hanging()

    def _hanging(self) -> Iterator[Finding]:
        """A state that comes to an end only when some guard says yes, and no other guard stands in for it."""
        if not self.evidence.guarded:
            return
        space, modes = self.space, self.net.modes
        won = open_to_all(space, self.final_states, self._leave_no_gap)
        state = self.evidence.best(state for state, fine in enumerate(won) if not fine)
        if state is None:
            return
        hanging = {
            modes[space.labels[edge]].transition.id
            for before in range(len(space))
            for edge in range(space.starts[before], space.starts[before + 1])
            if won[space.targets[edge]] and not won[before]
        }
        names = tuple(one.id for one in self.net.transitions if one.id in hanging)
        found = self._finding(
            FindingCode.CANNOT_COMPLETE,
            Severity.INFO,
            f"From {self._words(state)} an end is reached only if the data lets {' or '.join(names)} pass some time.",
            state,
            places=self._marked(state),
        )
        yield replace(found, transitions=names, depends_on_guards=True)

    @cached_property
    def on_guards(self) -> tuple[str, ...]:
        """The verdicts that are true as long as guards say yes, and that some data may turn."""
        if not (self.complete and self.evidence.guarded):
            return ()
        found = ["deadlock_free"] if self.data_deadlock is not None and not self.deadlocks else []
        if self.net.final and not self.lost and not all(certain(self.space, self.final_states, self._leave_no_gap)):
            found.append("option_to_complete")
            found += ["sound"] if not (self.improper or self.dead_transitions) else []
        return tuple(found)

    def _ambiguous(self) -> Iterator[Finding]:
        """Transitions that two of their sources let fire at once: which one is taken is then chosen for the caller."""
        space = self.space
        for transition in self.net.transitions:
            if len(transition.sources) < 2:
                continue
            modes = {n for n, mode in enumerate(self.net.modes) if mode.transition.id == transition.id}
            rows = (
                (state, modes.intersection(space.labels[space.starts[state] : space.starts[state + 1]]))
                for state in range(space.settled)
            )
            state = self.evidence.best(state for state, able in rows if len(able) > 1)
            if state is not None:
                marked = self.space.marking(state)
                sources = tuple(source for source in transition.sources if source in marked)
                yield self._finding(
                    FindingCode.STRUCTURE,
                    Severity.WARNING,
                    f"{transition.id} can fire from {' and '.join(sources)} at once: which one it takes is ambiguous.",
                    state,
                    places=sources,
                )

    def _liveness(self) -> Iterator[Finding]:
        if not self.complete:
            return
        state = self.evidence.best(self.livelocked) if self.net.final else None
        if state is not None:
            yield self._going_round(state)
        if not self.net.final and not self.live and not self.deadlocks:
            yield Finding(
                FindingCode.NOT_LIVE,
                Severity.WARNING,
                "Some transitions can become impossible for good, though the net is meant to run for ever.",
            )

    def _going_round(self, state: int) -> Finding:
        way, length = round_trip(self.space, state)
        onward = self.evidence.steps(way)
        names = tuple(dict.fromkeys(step.transition for step in onward[-length:] if step.transition))
        found = self._finding(
            FindingCode.LIVELOCK,
            Severity.ERROR,
            f"From {self._words(state)} it moves for ever and never comes to an end: it goes round by "
            f"{' and '.join(names)}.",
            state,
            places=self._marked(state),
        )
        return replace(
            found,
            transitions=names,
            depends_on_guards=found.depends_on_guards or any(self.space.moves[mode].guarded for mode, _ in way),
            onward=onward,
            loop=len(found.trace) - 1 + len(onward) - length,
        )

    def _dead(self) -> Iterator[Finding]:
        for name in self.dead_transitions:
            yield Finding(
                FindingCode.DEAD_TRANSITION,
                Severity.ERROR,
                f"{name} can never fire.",
                transitions=(name,),
            )
        for number, mode in enumerate(self.net.modes):
            if number not in self.seen_modes and mode.transition.id not in self.dead_transitions:
                yield Finding(
                    FindingCode.DEAD_TRANSITION,
                    Severity.INFO,
                    f"{mode.transition.id} can never fire from {mode.source}.",
                    places=(mode.source or "",),
                    transitions=(mode.transition.id,),
                )

    # -- evidence -------------------------------------------------------------------------------------------------

    def _finding(
        self, code: FindingCode, severity: Severity, message: str, state: int, *, places: tuple[str, ...]
    ) -> Finding:
        """A finding about `state`, with the best run to it."""
        return self.evidence.finding(code, severity, message, self.evidence.way_to(state), places=places)

    def _words(self, state: int) -> str:
        return in_words(self.space.marking(state), self.net.place_ids)

    def _marked(self, state: int) -> tuple[str, ...]:
        return tuple(self.space.marking(state))
