"""What the arcs of a net say by themselves, whatever its marking: worked out when it is asked for. Pure.

It explains verdicts and is none: see `siphons`, `handles` and `classes`. Each part has a budget of its own, some
hundredths of a second, and says when it was not enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from engine.nets.analysis import siphons
from engine.nets.analysis.handles import Handles, Path, handles
from engine.nets.analysis.packing import Move, moves_of
from engine.nets.analysis.siphons import Family
from engine.nets.model import Net

_FEW = 3  # of a kind that are told in words


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of places by their names, the smallest first; each is minimal. `complete`: there are no others."""

    sets: tuple[tuple[str, ...], ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Handle:
    """Two ways from `start` to `end`, both included, of places and modes in turn. `words` says what they may do."""

    start: str
    end: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Structure:
    net: Net

    @cached_property
    def siphons(self) -> Sets:
        return self._named(siphons.siphons(self._moves, len(self.net.places)))

    @cached_property
    def traps(self) -> Sets:
        return self._named(siphons.traps(self._moves, len(self.net.places)))

    @cached_property
    def well_handled(self) -> bool | None:
        """Whether no place and transition are joined by two ways that have nothing else in common; None when that is
        not known."""
        return False if self._handles.pairs else True if self._handles.complete else None

    @cached_property
    def handles(self) -> tuple[Handle, ...]:
        """The pairs of ways that keep it from being well-handled, the first ones when there are many."""
        return tuple(self._handle(one, other) for one, other in self._handles.pairs)

    @property
    def every_handle(self) -> bool:
        """Whether `handles` are all there are."""
        return self._handles.complete

    def in_words(self) -> Iterator[str]:
        """A line for each thing to know."""
        if self.well_handled:
            yield "well-handled: what parts at a choice meets at one, what begins together meets together"
        for handle in self.handles[:_FEW]:
            yield f"not well-handled: {handle.words[0].lower()}{handle.words[1:-1]}"
        if len(self.handles) > _FEW:
            more = f"{len(self.handles) - _FEW}{'' if self.every_handle else ' and more'}"
            yield f"not well-handled in {more} other ways"
        for found, name in ((self.siphons, "siphon"), (self.traps, "trap")):
            if found.sets:
                few = "; ".join(" + ".join(places) for places in found.sets[:_FEW])
                rest = len(found.sets) - _FEW
                more = f"; {rest} others" if rest > 0 else ""
                more += "" if found.complete else "; there are more"
                yield f"minimal {name}{'s' if len(found.sets) > 1 else ''}: {few}{more}"

    @cached_property
    def _moves(self) -> tuple[Move, ...]:
        return moves_of(self.net)

    @cached_property
    def _handles(self) -> Handles:
        return handles(self._moves, len(self.net.places))

    def _handle(self, one: Path, other: Path) -> Handle:
        names = [*self.net.place_ids, *(mode.name for mode in self.net.modes)]
        first, second = (tuple(names[node] for node in path) for path in (one, other))
        start, end = first[0], first[-1]
        if one[0] < len(self.net.places):
            words = f"The ways that part in {start} meet in {end}, which needs both: one may wait for ever."
        else:
            words = f"The ways that {start} begins together meet in {end} one by one: it may get a token from each."
        return Handle(start, end, first, second, words)

    def _named(self, found: Family) -> Sets:
        names = self.net.place_ids
        return Sets(tuple(tuple(names[place] for place in one) for one in found.sets), found.complete)
