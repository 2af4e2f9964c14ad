"""From a state space to verdicts and findings. Pure.

Definitions (petri nets: Murata 1989; soundness: van der Aalst 1998; guards are taken as "may"):
a final marking has one token on one final place and nothing else; a deadlock is a reachable marking that enables
nothing and is not final; a livelock is a set of markings that is never left, in which something always moves, and that
has no final marking.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from engine.nets.analysis.components import can_reach, components
from engine.nets.analysis.model import Analysis, Finding, FindingCode, Severity, Step
from engine.nets.analysis.states import KeepGoing, StateSpace, Tokens, explore
from engine.nets.marking import in_words
from engine.nets.model import Net

MOST_STATES = 200_000


def analyse(net: Net, *, most_states: int = MOST_STATES, keep_going: KeepGoing = lambda: True) -> Analysis:
    """Everything there is to say of `net` within the budget. The net's structure has been checked before."""
    return _Report(net, explore(net, most_states, keep_going)).analysis()


@dataclass
class _Report:
    net: Net
    space: StateSpace

    # -- facts ----------------------------------------------------------------------------------------------------

    @cached_property
    def complete(self) -> bool:
        return self.space.complete

    @cached_property
    def final_places(self) -> list[int]:
        return [number for number, place in enumerate(self.net.place_ids) if place in self.net.final]

    @cached_property
    def final_states(self) -> list[int]:
        return [number for number, tokens in enumerate(self.space.states) if self._final(tokens)]

    def _final(self, tokens: Tokens) -> bool:
        return sum(tokens) == 1 and any(tokens[place] for place in self.final_places)

    @cached_property
    def dead_ends(self) -> list[int]:
        """States that enable nothing, in the order they were found; only of those whose ways out are all known."""
        return [number for number, outgoing in enumerate(self.settled) if not outgoing]

    @cached_property
    def settled(self) -> list[list[tuple[int, int]]]:
        """The edges of the states that were searched to their end."""
        edges = self.space.edges
        return edges if self.complete else edges[:-1]

    @cached_property
    def deadlocks(self) -> list[int]:
        return [state for state in self.dead_ends if not self._final(self.space.states[state])]

    @cached_property
    def improper(self) -> list[int]:
        """States with a token on a final place and another one somewhere."""
        places = self.final_places
        return [
            number
            for number, tokens in enumerate(self.space.states)
            if any(tokens[place] for place in places) and not self._final(tokens)
        ]

    @cached_property
    def seen_modes(self) -> set[int]:
        return {mode for outgoing in self.space.edges for mode, _ in outgoing}

    @cached_property
    def dead_transitions(self) -> tuple[str, ...]:
        alive = {self.net.modes[mode].transition.id for mode in self.seen_modes}
        return tuple(transition.id for transition in self.net.transitions if transition.id not in alive)

    @cached_property
    def lost(self) -> list[int]:
        """States from which no final marking can be reached."""
        good = can_reach(self.space.edges, self.final_states)
        return [state for state in range(len(self.space.states)) if state not in good]

    @cached_property
    def component(self) -> list[int]:
        return components(self.space.edges)

    @cached_property
    def bottoms(self) -> set[int]:
        """The components that are never left."""
        left = {
            self.component[state]
            for state, outgoing in enumerate(self.space.edges)
            for _, after in outgoing
            if self.component[after] != self.component[state]
        }
        return set(self.component) - left

    @cached_property
    def livelocked(self) -> list[int]:
        """States from which neither a final marking nor a dead end can be reached: something moves for ever."""
        ends = can_reach(self.space.edges, [*self.final_states, *self.dead_ends])
        return [state for state in range(len(self.space.states)) if state not in ends]

    @cached_property
    def live(self) -> bool:
        fired: dict[int, set[str]] = {component: set() for component in self.bottoms}
        for state, outgoing in enumerate(self.space.edges):
            if self.component[state] in fired:
                fired[self.component[state]].update(self.net.modes[mode].transition.id for mode, _ in outgoing)
        return all(len(names) == len(self.net.transitions) for names in fired.values())

    @cached_property
    def monotone(self) -> bool:
        """More tokens never hinder a firing. Then what can complete, properly and from everywhere, is bounded."""
        return not any(transition.inhibitors or transition.resets for transition in self.net.transitions)

    # -- the report -----------------------------------------------------------------------------------------------

    def analysis(self) -> Analysis:
        unbounded = self.space.unbounded is not None
        bound = max((max(tokens, default=0) for tokens in self.space.states), default=0)
        runs_for_ever = not self.net.final
        option = proper = sound = livelock_free = None
        if not runs_for_ever:
            option = not self.lost if self.complete else None
            proper = False if self.improper else True if self.complete else None
            livelock_free = not self.livelocked if self.complete else None
            if self.complete:
                sound = bool(option and proper and not self.dead_transitions)
            elif proper is False or self.deadlocks or (unbounded and self.monotone):
                sound = False
        return Analysis(
            complete=self.complete,
            states=len(self.space.states),
            edges=sum(map(len, self.space.edges)),
            bounded=False if unbounded else True if self.complete else None,
            bound=bound if self.complete else None,
            safe=bound <= 1 if self.complete or bound > 1 else None,
            live=self.live if self.complete else None,
            reversible=len(set(self.component)) == 1 if self.complete else None,
            deadlock_free=False if self.deadlocks else True if self.complete else None,
            sound=sound,
            option_to_complete=option,
            proper_completion=proper,
            livelock_free=livelock_free,
            dead_transitions=self.dead_transitions if self.complete or not self.dead_transitions else None,
            unbounded_places=self._unbounded_places(),
            findings=tuple(self._findings()),
        )

    def _unbounded_places(self) -> tuple[str, ...] | None:
        if self.space.unbounded:
            return tuple(self.net.place_ids[place] for place in self.space.unbounded[1])
        return () if self.complete else None

    def _findings(self) -> Iterator[Finding]:
        yield from self._growth()
        yield from self._deadlock()
        yield from self._completion()
        yield from self._liveness()
        if self.complete:
            yield from self._dead()
        elif not self.space.unbounded:
            seen = len(self.space.states)
            yield Finding(
                FindingCode.INCOMPLETE,
                Severity.INFO,
                f"The first {seen:,} states were searched, and there are more: what is not said below is not proven.",
            )

    def _growth(self) -> Iterator[Finding]:
        if self.space.unbounded:
            state, growing = self.space.unbounded
            names = tuple(self.net.place_ids[place] for place in growing)
            yield self._finding(
                FindingCode.UNBOUNDED,
                Severity.ERROR,
                f"{' and '.join(names)} can fill without end.",
                state,
                places=names,
            )
            return
        crowded = next((s for s, tokens in enumerate(self.space.states) if max(tokens, default=0) > 1), None)
        if crowded is not None:
            tokens = self.space.states[crowded]
            names = tuple(place for place, count in zip(self.net.place_ids, tokens, strict=True) if count > 1)
            yield self._finding(
                FindingCode.UNSAFE,
                Severity.INFO,
                f"{' and '.join(names)} can hold more than one token.",
                crowded,
                places=names,
            )

    def _deadlock(self) -> Iterator[Finding]:
        improper = set(self.improper)
        stuck = [state for state in self.deadlocks if state not in improper]
        if stuck:
            words = self._words(stuck[0])
            more = f" (and {len(stuck) - 1} more such states)" if len(stuck) > 1 else ""
            yield self._finding(
                FindingCode.DEADLOCK,
                Severity.ERROR,
                f"It gets stuck in {words}: nothing can fire, and it is not an end{more}.",
                stuck[0],
                places=self._marked(stuck[0]),
            )

    def _completion(self) -> Iterator[Finding]:
        if not self.net.final:
            return
        if self.improper:
            state = self.improper[0]
            yield self._finding(
                FindingCode.IMPROPER_COMPLETION,
                Severity.ERROR,
                f"It can reach an end while other work is still open: {self._words(state)}.",
                state,
                places=self._marked(state),
            )
        if self.complete and self.lost:
            state = self.lost[0]
            yield self._finding(
                FindingCode.CANNOT_COMPLETE,
                Severity.ERROR,
                f"From {self._words(state)} no end can be reached any more.",
                state,
                places=self._marked(state),
            )

    def _liveness(self) -> Iterator[Finding]:
        if not self.complete:
            return
        if self.net.final and self.livelocked:
            state = self.livelocked[0]
            yield self._finding(
                FindingCode.LIVELOCK,
                Severity.ERROR,
                f"From {self._words(state)} it moves for ever and never comes to an end.",
                state,
                places=self._marked(state),
            )
        if not self.net.final and not self.live and not self.deadlocks:
            yield Finding(
                FindingCode.NOT_LIVE,
                Severity.WARNING,
                "Some transitions can become impossible for good, though the net is meant to run for ever.",
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
        """A finding about `state`, with the shortest trace to it."""
        steps = [Step(self._marking(0))]
        guarded = False
        passed: dict[str, None] = {}
        for mode_number, reached in self.space.way_to(state):
            mode = self.net.modes[mode_number]
            guarded |= mode.transition.guard is not None
            passed[mode.transition.id] = None
            steps.append(Step(self._marking(reached), mode.transition.id, mode.source))
        return Finding(code, severity, message, places, tuple(passed), tuple(steps), guarded)

    def _marking(self, state: int) -> dict[str, int]:
        tokens = self.space.states[state]
        return {place: count for place, count in zip(self.net.place_ids, tokens, strict=True) if count}

    def _words(self, state: int) -> str:
        return in_words(self._marking(state), self.net.place_ids)

    def _marked(self, state: int) -> tuple[str, ...]:
        return tuple(self._marking(state))
