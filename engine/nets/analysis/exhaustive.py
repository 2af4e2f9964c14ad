"""Whether some guards leave no data without a way: `score < 5` beside `score >= 5`. Pure.

Every guard compares fields with literals, so between two literals nothing changes: trying each literal, a value between
and beyond them, and for texts another text, tries all cases. A field that is compared by size is taken to be there and
a number. Where there are too many cases, or a rule of a kind that is not known here, nothing is proven.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

from engine.rules.evaluation import holds
from engine.rules.model import (
    And,
    FieldContains,
    FieldEquals,
    FieldExists,
    FieldGreaterThan,
    FieldLessThan,
    Not,
    Or,
    Rule,
)

_MOST_CASES = 4_096
_KNOWN = (FieldExists, FieldEquals, FieldGreaterThan, FieldLessThan, FieldContains)
_ANOTHER = "\x00another"


def exhaustive(guards: Sequence[Rule]) -> bool:
    """Whether at least one of `guards` holds of any data; False when that is not proven."""
    atoms: dict[str, list[Any]] = {}
    for guard in guards:
        for atom in _atoms(guard):
            if not isinstance(atom, _KNOWN) or "." in atom.field:
                return False
            atoms.setdefault(atom.field, []).append(atom)
    choices = {field: _values(found) for field, found in atoms.items()}
    cases = 1
    for values in choices.values():
        cases *= len(values)
        if not values or cases > _MOST_CASES:
            return False
    fields = list(choices)
    for case in product(*choices.values()):
        data = {field: value for field, value in zip(fields, case, strict=True) if value is not _MISSING}
        if not any(holds(guard, data, {}) for guard in guards):
            return False
    return True


_MISSING = object()


def _atoms(rule: Rule) -> Iterator[Any]:
    if isinstance(rule, And | Or):
        for one in rule.rules:
            yield from _atoms(one)
    elif isinstance(rule, Not):
        yield from _atoms(rule.rule)
    else:
        yield rule


def _values(atoms: Sequence[Any]) -> list[Any]:
    """Values of a field that stand for all there are; none when they cannot be told."""
    if any(isinstance(atom, FieldContains) for atom in atoms):
        return []
    literals = [atom.value for atom in atoms if not isinstance(atom, FieldExists)]
    if any(isinstance(atom, FieldGreaterThan | FieldLessThan) for atom in atoms):
        numbers = sorted({one for one in literals if isinstance(one, int | float) and not isinstance(one, bool)})
        between = [(a + b) / 2 for a, b in pairwise(numbers)]
        return [*numbers, *between, numbers[0] - 1, numbers[-1] + 1]
    return [_MISSING, None, True, False, _ANOTHER, *literals]
