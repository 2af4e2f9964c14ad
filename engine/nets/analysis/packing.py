"""Markings as single integers: one field of bits for each place, the top bit of each a guard. Pure.

With `guards` the mask of the guard bits, `needs` and `marking` packed, every place has what is needed exactly when
`((marking | guards) - needs) & guards == guards`: a field that lacks something borrows its own guard and no other.
A firing is one addition. A sum that sets a guard does not fit, and the search begins anew with wider fields.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.nets.model import Net

Counts = tuple[tuple[int, int], ...]
"""(number of a place, tokens) for some places."""


@dataclass(frozen=True, slots=True)
class Move:
    """A mode of a transition by the numbers of its places. `needs` is for inputs and reads together; `below` has for
    each inhibiting place the number of tokens it must stay under."""

    mode: int
    needs: Counts
    below: Counts
    takes: Counts
    empties: tuple[int, ...]
    puts: Counts
    guarded: bool

    @property
    def plain(self) -> bool:
        return not self.below and not self.empties


def moves_of(net: Net) -> tuple[Move, ...]:
    """One move for each of `net.modes`, in their order."""
    at = {place: number for number, place in enumerate(net.place_ids)}
    return tuple(_move(net, at, number) for number in range(len(net.modes)))


def _move(net: Net, at: dict[str, int], number: int) -> Move:
    mode = net.modes[number]
    transition = mode.transition
    takes: dict[int, int] = {}
    for arc in mode.inputs:
        takes[at[arc.place]] = takes.get(at[arc.place], 0) + arc.weight
    needs = dict(takes)
    for arc in transition.reads:
        needs[at[arc.place]] = max(needs.get(at[arc.place], 0), arc.weight)
    below: dict[int, int] = {}
    for arc in transition.inhibitors:
        below[at[arc.place]] = min(below.get(at[arc.place], arc.weight), arc.weight)
    puts: dict[int, int] = {}
    for arc in transition.outputs:
        puts[at[arc.place]] = puts.get(at[arc.place], 0) + arc.weight
    empties = tuple(sorted({at[place] for place in transition.resets}))
    return Move(
        number,
        needs=tuple(needs.items()),
        below=tuple(below.items()),
        takes=tuple(takes.items()),
        empties=empties,
        puts=tuple(puts.items()),
        guarded=transition.guard is not None,
    )


class Packing:
    """Where the field of each place is. `spare` bits are given to every field at least, besides its guard."""

    def __init__(self, least: Sequence[int], spare: int) -> None:
        self.bits = [max(bits, spare) for bits in least]
        self.shifts: list[int] = []
        at = 0
        for bits in self.bits:
            self.shifts.append(at)
            at += bits + 1
        self.size = at

    @cached_property
    def guards(self) -> int:
        return self.mask_of_guards(range(len(self.bits)))

    @cached_property
    def values(self) -> int:
        """The bits that are not guards."""
        return ((1 << self.size) - 1) ^ self.guards

    @cached_property
    def _fields(self) -> list[tuple[int, int]]:
        return [(shift, (1 << bits) - 1) for shift, bits in zip(self.shifts, self.bits, strict=True)]

    def pack(self, counts: Iterable[tuple[int, int]]) -> int:
        shifts = self.shifts
        return sum(count << shifts[place] for place, count in counts)

    def unpack(self, packed: int) -> tuple[int, ...]:
        return tuple([packed >> shift & mask for shift, mask in self._fields])

    def mask(self, places: Iterable[int]) -> int:
        """The fields of `places` without their guards."""
        return sum(((1 << self.bits[place]) - 1) << self.shifts[place] for place in places)

    def mask_of_guards(self, places: Iterable[int]) -> int:
        bits = bytearray(self.size // 8 + 1)
        for place in places:
            at = self.shifts[place] + self.bits[place]
            bits[at >> 3] |= 1 << (at & 7)
        return int.from_bytes(bits, "little")


class Packed:
    """A move over packed markings."""

    __slots__ = ("delta", "empties", "guards", "keeps", "limit", "looks", "mode", "needs", "plain", "puts", "takes")

    def __init__(self, move: Move, packing: Packing) -> None:
        self.mode = move.mode
        self.plain = move.plain
        self.guards = packing.guards
        self.needs = packing.pack(move.needs)
        self.takes = packing.pack(move.takes)
        self.puts = packing.pack(move.puts)
        self.delta = self.puts - self.takes
        self.empties = packing.mask(move.empties)
        self.keeps = packing.values & ~self.empties
        self.looks = packing.mask(place for place, _ in move.below)
        never = any(limit < 1 for _, limit in move.below)
        self.limit = packing.mask_of_guards(place for place, _ in move.below)
        if never:
            self.looks, self.limit = -1, 0
        else:
            self.limit |= packing.pack((place, limit - 1) for place, limit in move.below)

    def enabled(self, marking: int) -> bool:
        guards = self.guards
        if ((marking | guards) - self.needs) & guards != guards:
            return False
        if self.plain or not self.looks:
            return True
        if self.looks < 0:
            return False
        watched = self.limit & guards
        return (self.limit - (marking & self.looks)) & watched == watched

    def fired(self, marking: int) -> int:
        if self.plain:
            return marking + self.delta
        return ((marking - self.takes) & self.keeps) + self.puts
