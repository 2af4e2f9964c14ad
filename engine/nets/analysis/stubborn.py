"""Deadlocks without the whole state space: stubborn sets (Valmari 1991). Pure.

In each state only a set of moves is followed that the others can neither hinder nor be hindered by, until one of the
set fires; every deadlock that can be reached is still reached, though not always in the fewest steps. Two moves are
dependent when one takes, empties or fills what the other needs or must stay under, or when one empties a place that the
other changes. A move that is not enabled brings in those that could enable it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.nets.analysis.packing import Move, Packed, Packing

_TRIED = 6  # enabled moves from which a set is grown; the smallest is taken


@dataclass(slots=True)
class Reduced:
    """What was searched: the dead markings with no way on, and how each state was reached (state before, mode)."""

    packed: list[int]
    parents: list[tuple[int, int]]
    dead: list[int]
    complete: bool = False

    def way_to(self, state: int) -> list[tuple[int, int]]:
        steps = []
        while state:
            before, mode = self.parents[state]
            steps.append((mode, state))
            state = before
        return steps[::-1]


def search(
    moves: Sequence[Move],
    packing: Packing,
    first: int,
    most_states: int,
    keep_going: Callable[[], bool],
    *,
    deep: bool = False,
) -> Reduced:
    """Reach every deadlock; not complete when the budget, or the width of the fields, ends the search. `deep`: depth
    first, which comes to some deadlock sooner and by longer runs, and ends with it."""
    packed = [Packed(move, packing) for move in moves]
    closure = _Closure(moves, len(packing.bits))
    found = Reduced([first], [(0, 0)], [])
    number = {first: 0}
    waiting = deque([0])
    looked = 0
    while waiting:
        if looked % 256 == 0 and not keep_going():
            return found
        looked += 1
        state = waiting.pop() if deep else waiting.popleft()
        marking = found.packed[state]
        enabled = [move.mode for move in packed if move.enabled(marking)]
        if not enabled:
            found.dead.append(state)
            if deep:
                return found
            continue
        for mode in closure.smallest(enabled, packing.unpack(marking)):
            after = packed[mode].fired(marking)
            if after & packing.guards:
                return found
            if after not in number:
                if len(number) >= most_states:
                    return found
                waiting.append(len(number))
                number[after] = len(number)
                found.packed.append(after)
                found.parents.append((state, mode))
    found.complete = True
    return found


class _Closure:
    def __init__(self, moves: Sequence[Move], places: int) -> None:
        self._moves = moves
        self._fills: list[set[int]] = [set() for _ in range(places)]
        self._drains: list[set[int]] = [set() for _ in range(places)]
        self._needs: list[set[int]] = [set() for _ in range(places)]
        self._below: list[set[int]] = [set() for _ in range(places)]
        self._empties: list[set[int]] = [set() for _ in range(places)]
        for move in moves:
            for at, places_of in (
                (self._fills, [place for place, _ in move.puts]),
                (self._drains, [*(place for place, _ in move.takes), *move.empties]),
                (self._needs, [place for place, _ in move.needs]),
                (self._below, [place for place, _ in move.below]),
                (self._empties, list(move.empties)),
            ):
                for place in places_of:
                    at[place].add(move.mode)
        self._dependents: dict[int, frozenset[int]] = {}

    def smallest(self, enabled: Sequence[int], tokens: Sequence[int]) -> Iterable[int]:
        """Of the stubborn sets grown from single moves, the enabled moves of the one with the fewest."""
        if len(enabled) == 1:
            return enabled
        able = set(enabled)
        best: Sequence[int] = enabled
        for seed in enabled[:_TRIED]:
            chosen = self._closed(seed, able, tokens, len(best))
            if chosen is not None and len(chosen) < len(best):
                best = chosen
                if len(best) == 1:
                    break
        return best

    def _closed(self, seed: int, able: set[int], tokens: Sequence[int], most: int) -> list[int] | None:
        inside, waiting, chosen = {seed}, [seed], []
        while waiting:
            mode = waiting.pop()
            if mode in able:
                chosen.append(mode)
                if len(chosen) >= most:
                    return None
                near: Iterable[int] = self._depending(mode)
            else:
                near = self._enabling(mode, tokens)
            for one in near:
                if one not in inside:
                    inside.add(one)
                    waiting.append(one)
        return chosen

    def _depending(self, mode: int) -> frozenset[int]:
        near = self._dependents.get(mode)
        if near is None:
            move, found = self._moves[mode], set[int]()
            for place, _ in move.needs:
                found |= self._drains[place]
            for place, _ in move.below:
                found |= self._fills[place]
            for place in (*(place for place, _ in move.takes), *move.empties):
                found |= self._needs[place] | self._empties[place]
            for place, _ in move.puts:
                found |= self._below[place] | self._empties[place]
            for place in move.empties:
                found |= self._fills[place] | self._drains[place]
            near = self._dependents[mode] = frozenset(found)
        return near

    def _enabling(self, mode: int, tokens: Sequence[int]) -> set[int]:
        move = self._moves[mode]
        lacking = [self._fills[place] for place, count in move.needs if tokens[place] < count]
        lacking += [self._drains[place] for place, count in move.below if tokens[place] >= count]
        return min(lacking, key=len)
