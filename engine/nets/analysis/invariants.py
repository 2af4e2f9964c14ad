"""Place and transition invariants: what never changes, and what changes nothing. Pure.

A place invariant y >= 0 has y·C = 0 for the incidence matrix C, so the weighted sum of tokens stays what it was; a
transition invariant x >= 0 has C·x = 0, so firing so often leads back. Minimal ones by Farkas' elimination over the
integers (Colom & Silva 1991, "Convex geometry and semiflows"): the column with the fewest combinations goes first, rows
are divided by their greatest common divisor, and rows whose support contains another's are dropped.

A reset takes an unknown number of tokens: no place invariant goes through a place that is reset, and no transition
invariant through a transition that resets. Reads and inhibitors change nothing.
"""

from collections.abc import Mapping, Sequence
from math import gcd

from engine.nets.analysis.model import Invariant
from engine.nets.analysis.packing import Move
from engine.nets.model import Net

_MOST_ROWS = 500
_MOST_WORK = 500_000  # looks at entries, about a tenth of a second

Row = tuple[dict[int, int], dict[int, int]]
"""What is left of the columns, and how often each row of the matrix went in."""


def invariants(net: Net, moves: Sequence[Move]) -> tuple[Invariant, ...]:
    """The minimal invariants, those of places first; none of a kind when there are too many to find."""
    return (*place_invariants(net, moves), *_transition_invariants(net, moves))


def place_invariants(net: Net, moves: Sequence[Move]) -> tuple[Invariant, ...]:
    reset = {place for move in moves for place in move.empties}
    rows: dict[int, dict[int, int]] = {place: {} for place in range(len(net.places)) if place not in reset}
    for move in moves:
        for place, change in _changes(move).items():
            if place in rows:
                rows[place][move.mode] = change
    found = []
    for weights in farkas(rows):
        named = {net.place_ids[place]: weight for place, weight in sorted(weights.items())}
        value = sum(weight * net.initial.get(place, 0) for place, weight in named.items())
        found.append(Invariant("place", named, value, f"{_sum(named)} is always {value}"))
    return tuple(found)


def _transition_invariants(net: Net, moves: Sequence[Move]) -> tuple[Invariant, ...]:
    rows = {move.mode: _changes(move) for move in moves if not move.empties}
    found = []
    for weights in farkas(rows):
        named = {net.modes[mode].name: weight for mode, weight in sorted(weights.items())}
        times = " and ".join(name if count == 1 else f"{name} {count} times" for name, count in named.items())
        found.append(Invariant("transition", named, None, f"firing {times} leads back to the same marking"))
    return tuple(found)


def _changes(move: Move) -> dict[int, int]:
    changes: dict[int, int] = {}
    for counts, sign in ((move.takes, -1), (move.puts, 1)):
        for place, count in counts:
            changes[place] = changes.get(place, 0) + sign * count
    return {place: change for place, change in changes.items() if change}


def _sum(weights: Mapping[str, int]) -> str:
    return " + ".join(name if weight == 1 else f"{weight}×{name}" for name, weight in weights.items())


def farkas(matrix: Mapping[int, Mapping[int, int]]) -> list[dict[int, int]]:
    """The minimal combinations of rows, with positive integers, that are zero in every column."""
    rows: list[Row] = [(dict(row), {name: 1}) for name, row in matrix.items()]
    work = 0
    while True:
        signs: dict[int, list[int]] = {}
        for row, _ in rows:
            work += len(row) + 1
            for column, value in row.items():
                signs.setdefault(column, [0, 0])[value > 0] += 1
        if not signs:
            break
        column = min(signs, key=lambda one: (signs[one][0] * signs[one][1] - sum(signs[one]), one))
        below = [row for row in rows if row[0].get(column, 0) < 0]
        above = [row for row in rows if row[0].get(column, 0) > 0]
        rows = [row for row in rows if column not in row[0]]
        work += len(below) * len(above) * (1 + len(rows) // 4)
        if len(rows) + len(below) * len(above) > _MOST_ROWS or work > _MOST_WORK:
            return []
        rows = _minimal(rows + [_combined(one, other, column) for one in below for other in above])
    return [support for _, support in rows]


def _combined(below: Row, above: Row, column: int) -> Row:
    down, up = -below[0][column], above[0][column]
    parts = []
    for one, other in zip(below, above, strict=True):
        sums = {name: value * up for name, value in one.items()}
        for name, value in other.items():
            sums[name] = sums.get(name, 0) + value * down
        parts.append({name: value for name, value in sums.items() if value})
    divisor = gcd(*parts[0].values(), *parts[1].values())
    first, second = ({name: value // divisor for name, value in part.items()} for part in parts)
    return first, second


def _minimal(rows: list[Row]) -> list[Row]:
    """`rows` without those whose support contains that of another."""
    kept: list[tuple[frozenset[int], Row]] = []
    for row in sorted(rows, key=lambda row: len(row[1])):
        support = frozenset(row[1])
        if not any(other <= support for other, _ in kept):
            kept.append((support, row))
    return [row for _, row in kept]
