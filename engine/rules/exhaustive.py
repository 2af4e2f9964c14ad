"""Whether one of several rules always holds, whatever the data: then a choice between them cannot get stuck.

The truth of a structured rule depends on a field only through comparisons with constants. These cut all values into
finitely many kinds: missing, null, true, false, each constant, the numbers between two neighbours, any other text, a
list or an object. One sample of each is enough, so trying every combination of samples decides the question; the parts
that samples cannot stand for (expressions, `contains`) count as yes and no in turn. That can only make the answer more
careful: FULL and IF_PRESENT are proofs, NO is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise, product
from math import isfinite, prod
from typing import Any, TypeAlias

from engine.rules.fields import MISSING
from engine.rules.model import (
    And,
    Expression,
    FieldContains,
    FieldEquals,
    FieldExists,
    FieldGreaterThan,
    FieldLessThan,
    Not,
    Or,
    Rule,
)
from engine.rules.values import is_number, same_json

MOST_COMBINATIONS = 20_000


class Coverage(StrEnum):
    """FULL: one of the rules holds of any data. IF_PRESENT: one holds whenever each field that they compare is there
    and of a kind that it is compared with, as `x < 5` and `x >= 5` for a number x. NO: neither was proven."""

    FULL = "full"
    IF_PRESENT = "if_present"
    NO = "no"


@dataclass(frozen=True, slots=True)
class _Something:
    """A value that equals none of the constants."""

    kind: str


_Opaque: TypeAlias = Expression | FieldContains
_Case: TypeAlias = tuple[Mapping[str, Any], Mapping[_Opaque, bool]]


def exhaustive(rules: Sequence[Rule]) -> Coverage:
    """How much of all data `rules` cover together."""
    constants: dict[str, list[Any]] = {}
    opaque: dict[_Opaque, None] = {}
    for rule in rules:
        _collect(rule, constants, opaque)
    if any(isinstance(one, float) and not isfinite(one) for several in constants.values() for one in several):
        return Coverage.NO
    samples = {field: list(_samples(several)) for field, several in constants.items()}
    if _covers(rules, samples, list(opaque)):
        return Coverage.FULL
    present = {field: _expected(several, samples[field]) for field, several in constants.items()}
    if all(present.values()) and _covers(rules, present, list(opaque)):
        return Coverage.IF_PRESENT
    return Coverage.NO


def _covers(rules: Sequence[Rule], samples: Mapping[str, Sequence[Any]], opaque: Sequence[_Opaque]) -> bool:
    if len(opaque) > 20 or prod(map(len, samples.values())) * 2 ** len(opaque) > MOST_COMBINATIONS:
        return False
    return all(
        any(
            _holds(rule, dict(zip(samples, values, strict=True)), dict(zip(opaque, truths, strict=True)))
            for rule in rules
        )
        for values in product(*samples.values())
        for truths in product((True, False), repeat=len(opaque))
    )


def _collect(rule: Rule, constants: dict[str, list[Any]], opaque: dict[_Opaque, None]) -> None:
    match rule:
        case And(rules) | Or(rules):
            for one in rules:
                _collect(one, constants, opaque)
        case Not(inner):
            _collect(inner, constants, opaque)
        case Expression() | FieldContains():
            opaque[rule] = None
        case FieldExists(field):
            constants.setdefault(field, [])
        case FieldEquals(field, value) | FieldGreaterThan(field, value) | FieldLessThan(field, value):
            constants.setdefault(field, []).append(value)


def _samples(constants: Sequence[Any]) -> Iterator[Any]:
    """One value of each kind that the constants tell apart."""
    yield from (MISSING, None, True, False, _Something("text"), _Something("list or object"))
    yield from dict.fromkeys(one for one in constants if isinstance(one, str))
    yield from (one for one in constants if isinstance(one, list | tuple | Mapping))
    numbers = sorted({Fraction(one) for one in constants if is_number(one)}) or [Fraction(0)]
    yield from (numbers[0] - 1, *numbers, numbers[-1] + 1)
    yield from ((one + other) / 2 for one, other in pairwise(numbers))


def _expected(constants: Sequence[Any], samples: Sequence[Any]) -> list[Any]:
    """Those samples that are of a kind that the field is compared with; a field that is only asked for is there."""
    kinds = {_kind(one) for one in constants} - {"null"}
    return [one for one in samples if (_kind(one) in kinds if kinds else one is not MISSING)]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "truth"
        case int() | float() | Fraction():
            return "number"
        case str():
            return "text"
        case _Something(kind):
            return kind
        case _:
            return "missing" if value is MISSING else "list or object"


def _holds(rule: Rule, values: Mapping[str, Any], truths: Mapping[_Opaque, bool]) -> bool:
    match rule:
        case And(rules):
            return all(_holds(one, values, truths) for one in rules)
        case Or(rules):
            return any(_holds(one, values, truths) for one in rules)
        case Not(inner):
            return not _holds(inner, values, truths)
        case Expression() | FieldContains():
            return truths[rule]
        case FieldExists(field):
            return values[field] is not MISSING
        case FieldEquals(field, wanted):
            return same_json(values[field], wanted)
        case FieldGreaterThan(field, bound):
            return isinstance(values[field], Fraction) and values[field] > Fraction(bound)
        case FieldLessThan(field, bound):
            return isinstance(values[field], Fraction) and values[field] < Fraction(bound)
