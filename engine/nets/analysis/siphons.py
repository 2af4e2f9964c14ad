"""Siphons and traps: places that stay empty together, and places that stay marked together. Pure.

A siphon is a set of places where every transition that puts a token into it needs one from it: once empty, it stays so.
A trap is one where every transition that takes from it puts into it: once marked, it stays so (Murata 1989). Reads are
needs, resets are takings, and inhibitors only forbid more. In a net with weights of one and no inhibitors the empty
places of a dead marking are a siphon, so that nothing gets stuck where every siphon has a marked trap in it (Commoner
1972).

Sets of places are integers with one bit for each. All minimal sets are found by excluding, one after the other, the
places of those that were found (Cordone, Ferrarini & Piroddi 2005).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.nets.analysis.packing import Move

MOST_SETS = 100
_MOST_WORK = 400_000  # looks at moves, about a thirtieth of a second
_MOST_REASONING = 100_000  # the same, for the reason of one dead marking


@dataclass(frozen=True, slots=True)
class Family:
    """Minimal sets of places, the smallest first; each one is minimal for certain. `complete`: there are no others."""

    sets: tuple[tuple[int, ...], ...]
    complete: bool


class Rules:
    """What makes a set one of the kind: a move that touches `first` must touch `second`, for each of `pairs`."""

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self._pairs = [pair for pair in dict.fromkeys(pairs) if pair[0]]
        self.work = 0

    def __len__(self) -> int:
        return len(self._pairs)

    def greatest(self, within: int) -> int:
        """The union of all such sets inside `within`, which is one itself; 0 when there is none."""
        before = -1
        while within != before:
            before = within
            self.work += len(self._pairs)
            for first, second in self._pairs:
                if first & within and not second & within:
                    within &= ~first
        return within

    def least(self, within: int, having: int = 0) -> int:
        """Such a set inside `within` that has `having`, and has no smaller one with it inside; 0 when there is none."""
        found = self.greatest(within)
        if having & ~found:
            return 0
        for bit in _bits(found & ~having):
            if found & bit:
                smaller = self.greatest(found & ~bit)
                if smaller and not having & ~smaller:
                    found = smaller
        return found

    def minimal(self, within: int) -> Family:
        """All the minimal ones inside `within`, as far as the budget goes."""
        found: dict[int, None] = {}
        waiting = [(0, within)]
        while waiting and self.work < _MOST_WORK and len(found) < MOST_SETS:
            having, inside = waiting.pop()
            one = self.least(inside, having)
            if one and not any(self.greatest(one & ~bit) for bit in _bits(one)):
                found[one] = None
            for bit in _bits(one & ~having):
                waiting.append((having, inside & ~bit))
                having |= bit
        sets = sorted((_places(one) for one in found), key=lambda places: (len(places), places))
        return Family(tuple(sets), complete=not waiting)


def siphon_rules(moves: Sequence[Move]) -> Rules:
    return Rules((_mask(place for place, _ in move.puts), _mask(place for place, _ in move.needs)) for move in moves)


def trap_rules(moves: Sequence[Move]) -> Rules:
    return Rules(
        (_mask((*(place for place, _ in move.takes), *move.empties)), _mask(place for place, _ in move.puts))
        for move in moves
    )


def siphons(moves: Sequence[Move], places: int) -> Family:
    return siphon_rules(moves).minimal((1 << places) - 1)


def traps(moves: Sequence[Move], places: int) -> Family:
    return trap_rules(moves).minimal((1 << places) - 1)


def never_stuck(moves: Sequence[Move], first: Sequence[int]) -> bool:
    """Whether every siphon of places that moves need is proven to hold a trap that is marked in `first`, and the net is
    one of those in which nothing gets stuck then."""
    ordinary = all(not move.below and all(count == 1 for _, count in move.needs) for move in moves)
    if not moves or not ordinary:
        return False
    needed = _mask(place for move in moves for place, _ in move.needs)
    found, keeping = siphon_rules(moves).minimal(needed), trap_rules(moves)
    marked = _mask(place for place, count in enumerate(first) if count)
    return found.complete and all(keeping.greatest(_mask(one)) & marked for one in found.sets)


def never_filled(rules: Rules, moves: Sequence[Move], tokens: Sequence[int]) -> tuple[int, ...]:
    """Why a marking that enables nothing is stuck: the fewest places, with one in them that a token beside it waits
    for, that can never be filled again. `rules` are those of siphons; none where no such set is the reason, or the net
    is too large to look."""
    cost = len(tokens) * (1 + len(rules))
    empty = _mask(place for place, count in enumerate(tokens) if not count)
    best: tuple[int, ...] = ()
    for place in _waited_for(moves, tokens)[: _MOST_REASONING // cost]:
        one = _places(rules.least(empty, 1 << place))
        if one and (not best or len(one) < len(best)):
            best = one
    return best


def never_again(names: Sequence[str]) -> str:
    """What `never_filled` found, in words."""
    there = ("there", "there") if len(names) == 1 else ("on them", "them")
    return f"{' and '.join(names)} can never be filled again: what puts a token {there[0]} needs one from {there[1]}."


def _waited_for(moves: Sequence[Move], tokens: Sequence[int]) -> list[int]:
    """The empty places that keep a move from firing for which another place has a token."""
    found: dict[int, None] = {}
    for move in moves:
        lacking = [place for place, _ in move.needs if not tokens[place]]
        if len(lacking) < len(move.needs):
            found.update(dict.fromkeys(lacking))
    return list(found)


def _mask(places: Iterable[int]) -> int:
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1


def _places(mask: int) -> tuple[int, ...]:
    return tuple(bit.bit_length() - 1 for bit in _bits(mask))
