"""Rules made into closures, once each, so that asking again costs a few calls.

Every evaluation is total. What has no value (a missing field, a text minus a number, a division by zero, a whole number
beyond 64 bits) is `Undefined` up to the comparison around it, which is then false: so `&&` and `||` absorb errors in
either order, as CEL's do. Unlike CEL's, `!` of such a comparison is true: a rule and its opposite leave no third case.

Fuel bounds the work. An expression has no loops, so its steps are at most its nodes, which are paid for at the
beginning; what grows with the data (joining, searching and changing texts, comparing and searching lists) is paid for
as it happens. A rule that runs out of fuel is false as a whole.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.rules.fields import MISSING, Objects, reader
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
from engine.rules.parsing import tree
from engine.rules.syntax import (
    Call,
    Chain,
    Choice,
    Comparison,
    Every,
    Field,
    Has,
    Item,
    Items,
    Literal,
    Negative,
    Node,
    Opposite,
    Some,
)
from engine.rules.values import NUMBERS, brief, is_number, same_json

FUEL = 100_000  # about 30 ms at the worst
CHARACTERS_A_UNIT = 128
_REMEMBERED = 4096  # rules
_LEAST, _MOST = -(2**63), 2**63 - 1


class Undefined(Exception):
    """A value that cannot be had; the message says why."""


class OutOfFuel(Exception):
    """The evaluation has taken all the steps it may."""


class Run:
    """One evaluation: what it looks at, and the fuel that is left."""

    __slots__ = ("data", "fuel", "marking", "metadata")

    def __init__(self, data: Objects, metadata: Objects, marking: Mapping[str, int] | None, fuel: int = FUEL) -> None:
        self.data, self.metadata, self.marking, self.fuel = data, metadata, marking, fuel

    def burn(self, units: int) -> None:
        self.fuel -= units
        if self.fuel < 0:
            raise OutOfFuel


Test: TypeAlias = Callable[[Run], bool]
Value: TypeAlias = Callable[[Run], Any]
Decision: TypeAlias = Callable[[Objects, Objects, Mapping[str, int] | None], bool]


@dataclass(frozen=True, slots=True)
class Compiled:
    """`test` asks a rule within a run, and takes up to `steps` of its fuel; `decide` is the whole of it: whether the
    rule holds."""

    rule: Rule
    test: Test
    steps: int
    decide: Decision


_compiled: dict[int, Compiled] = {}  # by identity: not every rule can be hashed, and it is faster


def compiled(rule: Rule) -> Compiled:
    """What tests `rule`; made once for each rule object."""
    found = _compiled.get(id(rule))
    if found is None or found.rule is not rule:
        if len(_compiled) >= _REMEMBERED:
            _compiled.clear()
        test, most = test_of(rule), steps(rule)
        found = _compiled[id(rule)] = Compiled(rule, test, most, _decision(rule, test, most))
    return found


def decision(rule: Rule) -> Decision:
    """What says whether `rule` holds, to be kept where it is asked often."""
    return compiled(rule).decide


def _decision(rule: Rule, test: Test, most: int) -> Decision:
    """What says whether `rule` holds. What costs no fuel is asked without a run: to make one takes longer than to
    compare a field."""
    if most > FUEL:
        return lambda data, metadata, marking: False
    if plain := _plain(rule):
        return plain

    def decide(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> bool:
        try:
            return test(Run(data, metadata, marking, FUEL - most))
        except OutOfFuel:
            return False

    return decide


def steps(rule: Rule) -> int:
    """The most steps that an evaluation of `rule` takes, but for the length of the values."""
    match rule:
        case And(rules) | Or(rules):
            return 1 + sum(map(steps, rules))
        case Not(inner):
            return 1 + steps(inner)
        case Expression(source):
            return tree(source).nodes
        case _:
            return 1


# -- rules ------------------------------------------------------------------------------------------------------------


def test_of(rule: Rule) -> Test:
    match rule:
        case And(rules):
            return _every(list(map(test_of, rules)))
        case Or(rules):
            return _some(list(map(test_of, rules)))
        case Not(inner):
            return _opposite(test_of(inner))
        case Expression(source):
            return truth_of(tree(source).root)
        case FieldContains(field, substring):
            return _contains(field, substring)
        case _:
            return _asked(_of_field(rule))


def _asked(decide: Decision) -> Test:
    return lambda run: decide(run.data, run.metadata, run.marking)


def _plain(rule: Rule) -> Decision | None:
    """What most guards are: comparisons of fields, all of which must hold. None for all else."""
    match rule:
        case And(rules):
            decisions = [decide for one in rules if (decide := _plain(one))]
            return _all(decisions) if len(decisions) == len(rules) else None
        case Or((FieldGreaterThan(field, bound), FieldEquals(same, value))) if _is_bound(field, bound, same, value):
            return _beyond(field, operator.ge, bound)
        case Or((FieldLessThan(field, bound), FieldEquals(same, value))) if _is_bound(field, bound, same, value):
            return _beyond(field, operator.le, bound)
        case Or() | Not() | Expression() | FieldContains():
            return None
        case _:
            return _of_field(rule)


def _is_bound(field: str, bound: object, same: str, value: object) -> bool:
    """Whether "beyond `bound`, or equal to `value`" says `>=` or `<=`, as `engine.rules.expression` writes it."""
    return field == same and is_number(bound) and is_number(value) and bound == value


def _all(decisions: Sequence[Decision]) -> Decision:
    def every(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> bool:
        for decide in decisions:  # noqa: SIM110 - a generator costs as much again
            if not decide(data, metadata, marking):
                return False
        return True

    return every


def _of_field(rule: FieldExists | FieldEquals | FieldGreaterThan | FieldLessThan) -> Decision:
    match rule:
        case FieldExists(field):
            return _exists(field)
        case FieldEquals(field, value):
            return _equals(field, value)
        case FieldGreaterThan(field, bound):
            return _beyond(field, operator.gt, bound)
        case FieldLessThan(field, bound):
            return _beyond(field, operator.lt, bound)


def _every(tests: Sequence[Test]) -> Test:
    def every(run: Run) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs as much again
            if not test(run):
                return False
        return True

    return every


def _some(tests: Sequence[Test]) -> Test:
    def some(run: Run) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs as much again
            if test(run):
                return True
        return False

    return some


def _opposite(test: Test) -> Test:
    return lambda run: not test(run)


def _exists(field: str) -> Decision:
    read = reader(field)
    return lambda data, metadata, marking: read(data, metadata, marking) is not MISSING


def _equals(field: str, wanted: object) -> Decision:
    read = reader(field)
    if wanted is None or isinstance(wanted, bool):
        return lambda data, metadata, marking: read(data, metadata, marking) is wanted
    if isinstance(wanted, str):
        return lambda data, metadata, marking: read(data, metadata, marking) == wanted

    def equals(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> bool:
        value = read(data, metadata, marking)
        return value is not MISSING and same_json(value, wanted)

    return equals


def _contains(field: str, substring: str) -> Test:
    read = reader(field)

    def contains(run: Run) -> bool:
        value = read(run.data, run.metadata, run.marking)
        if not isinstance(value, str):
            return False
        run.burn(len(value) // CHARACTERS_A_UNIT)
        return substring in value

    return contains


def _beyond(field: str, compare: Callable[[Any, Any], bool], bound: float) -> Decision:
    read = reader(field)

    def beyond(data: Objects, metadata: Objects, marking: Mapping[str, int] | None) -> bool:
        value = read(data, metadata, marking)
        return isinstance(value, NUMBERS) and value is not True and value is not False and compare(value, bound)

    return beyond


# -- expressions ------------------------------------------------------------------------------------------------------


def truth_of(node: Node) -> Test:
    """Whether `node` is true. What has no value, or another one than true, is not."""
    match node:
        case Every(_, parts):
            return _every(list(map(truth_of, parts)))
        case Some(_, parts):
            return _some(list(map(truth_of, parts)))
        case Opposite(_, of):
            return _opposite(truth_of(of))
        case Field(_, path):
            return _asked(_equals(path, True))
    value = value_of(node)

    def truth(run: Run) -> bool:
        try:
            return value(run) is True
        except Undefined:
            return False

    return truth


def value_of(node: Node) -> Value:
    """What gives the value of `node`, or raises Undefined."""
    match node:
        case Literal(_, constant):
            return lambda run: constant
        case Field():
            return _field(node)
        case Item():
            return _item(node)
        case Items(_, items):
            values = list(map(value_of, items))
            return lambda run: [value(run) for value in values]
        case Chain():
            return _chain(node)
        case Negative(text, of):
            inner = value_of(of)
            return lambda run: _whole(-_number(inner(run), text), text)
        case Comparison():
            return _comparison(node)
        case Choice(_, test, yes, no):
            holds, then, otherwise = truth_of(test), value_of(yes), value_of(no)
            return lambda run: then(run) if holds(run) else otherwise(run)
        case Has(_, of):
            return _has(value_of(of))
        case Call(text, name, arguments):
            call, values = CALLS[name], list(map(value_of, arguments))
            return lambda run: call(run, text, *[value(run) for value in values])
        case Every() | Some() | Opposite():
            return truth_of(node)


def _field(node: Field) -> Value:
    read, path = reader(node.path), node.path
    hint = f" (spaces around the minus would subtract: {path.replace('-', ' - ')})" if "-" in path else ""

    def field(run: Run) -> object:
        value = read(run.data, run.metadata, run.marking)
        if value is MISSING:
            raise Undefined(f"{path} is missing{hint}")
        return value

    return field


def _item(node: Item) -> Value:
    of, key, text = value_of(node.of), value_of(node.key), node.text

    def item(run: Run) -> object:
        holder, at = of(run), key(run)
        if isinstance(holder, Mapping) and isinstance(at, str):
            if at in holder:
                return holder[at]
        elif isinstance(holder, list | tuple) and isinstance(at, int) and not isinstance(at, bool):
            if 0 <= at < len(holder):
                return holder[at]
        else:
            raise Undefined(f"{text}: {brief(holder)} has no item {brief(at)}")
        raise Undefined(f"{text} is missing")

    return item


def _has(value: Value) -> Value:
    def has(run: Run) -> bool:
        try:
            value(run)
        except Undefined:
            return False
        return True

    return has


def _chain(node: Chain) -> Value:
    first, text = value_of(node.first), node.text
    rest = [(OPERATORS[sign], value_of(operand)) for sign, operand in node.rest]

    def chain(run: Run) -> object:
        result = first(run)
        for operate, operand in rest:
            result = operate(run, text, result, operand(run))
        return result

    return chain


def _comparison(node: Comparison) -> Value:
    left, right = value_of(node.left), value_of(node.right)
    match node.sign:
        case "==":
            return lambda run: equal(run, left(run), right(run))
        case "!=":
            return lambda run: not equal(run, left(run), right(run))
        case "in":
            return lambda run: within(run, left(run), right(run), node)
    compare = ORDERS[node.sign]
    return lambda run: compare(*comparable(run, left(run), right(run), node))


ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def comparable(run: Run, one: object, other: object, node: Comparison) -> tuple[Any, Any]:
    """Both, when they are two numbers or two texts."""
    if is_number(one) and is_number(other):
        return one, other
    if isinstance(one, str) and isinstance(other, str):
        run.burn(min(len(one), len(other)) // CHARACTERS_A_UNIT)
        return one, other
    for value, of, beside in ((one, node.left, other), (other, node.right, one)):
        if not (is_number(value) or (isinstance(value, str) and not is_number(beside))):
            kind = "number" if is_number(beside) else "text" if isinstance(beside, str) else "number or a text"
            raise Undefined(f"{of.text} is {brief(value)}, which is not a {kind}")
    raise AssertionError("two numbers, or two texts")


def equal(run: Run, one: object, other: object) -> bool:
    """`same_json`, paid for element by element."""
    run.burn(3)  # what it costs beside a step
    match one, other:
        case str(), str():
            if len(one) != len(other):
                return False
            run.burn(len(one) // CHARACTERS_A_UNIT)
            return one == other
        case Mapping(), Mapping():
            if len(one) != len(other):
                return False
            return all(key in other and equal(run, value, other[key]) for key, value in one.items())
        case ((list() | tuple()), (list() | tuple())):
            if len(one) != len(other):
                return False
            return all(equal(run, a, b) for a, b in zip(one, other, strict=True))
        case _:
            return same_json(one, other)


def within(run: Run, item: object, holder: object, node: Comparison) -> bool:
    """`item in holder`: an element of a list, or a key of an object."""
    if isinstance(holder, Mapping):
        return isinstance(item, str) and item in holder
    if isinstance(holder, list | tuple):
        return any(equal(run, item, one) for one in holder)
    raise Undefined(f"{node.right.text} is {brief(holder)}, which is neither a list nor an object")


# -- operators and functions ------------------------------------------------------------------------------------------


def _whole(result: float, text: str) -> float:
    """A result that fits: 64 bits when whole, finite when not."""
    if isinstance(result, int):
        if not _LEAST <= result <= _MOST:
            raise Undefined(f"{text} is more than 64 bits can hold")
    elif not math.isfinite(result):
        raise Undefined(f"{text} is more than a double can be")
    return result


def _number(value: object, text: str) -> float:
    """A number to calculate with."""
    if not is_number(value):
        raise Undefined(f"{text}: {brief(value)} is not a number")
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise Undefined(f"{text}: {brief(value)} is more than 64 bits can hold")
    return value


def _text(value: object, text: str) -> str:
    if not isinstance(value, str):
        raise Undefined(f"{text}: {brief(value)} is not a text")
    return value


def _arithmetic(operate: Callable[[float, float], float]) -> Callable[[Run, str, Any, Any], Any]:
    def arithmetic(run: Run, text: str, one: object, other: object) -> float:
        try:
            return _whole(operate(_number(one, text), _number(other, text)), text)
        except OverflowError:
            raise Undefined(f"{text} is more than a double can be") from None
        except ZeroDivisionError:
            raise Undefined(f"{text} divides by zero") from None

    return arithmetic


def _quotient(one: float, other: float) -> float:
    """Whole numbers divide into whole numbers, towards zero."""
    if isinstance(one, int) and isinstance(other, int):
        quotient = abs(one) // abs(other)
        return quotient if (one < 0) == (other < 0) else -quotient
    return one / other


def _remainder(one: float, other: float) -> float:
    """With the sign of the dividend."""
    if isinstance(one, int) and isinstance(other, int):
        return one - other * int(_quotient(one, other))
    if other == 0:
        raise ZeroDivisionError
    return math.fmod(one, other)


def _plus(run: Run, text: str, one: Any, other: Any) -> Any:
    """Numbers are added, two texts or two lists joined."""
    if isinstance(one, str) and isinstance(other, str):
        run.burn((len(one) + len(other)) // CHARACTERS_A_UNIT)
        return one + other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        run.burn((len(one) + len(other)) // 8)
        return [*one, *other]
    return _sum(run, text, one, other)


_sum = _arithmetic(operator.add)
OPERATORS: Mapping[str, Callable[[Run, str, Any, Any], Any]] = {
    "+": _plus,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_quotient),
    "%": _arithmetic(_remainder),
}


def _searching(search: Callable[[str, str], bool]) -> Callable[..., bool]:
    def searching(run: Run, text: str, one: object, other: object) -> bool:
        whole, part = _text(one, text), _text(other, text)
        run.burn(len(whole) // CHARACTERS_A_UNIT)
        return search(whole, part)

    return searching


def _size(run: Run, text: str, value: object) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise Undefined(f"{text}: {brief(value)} has no size")


def _int(run: Run, text: str, value: object) -> float:
    """Of a double, its whole part; of a text, the decimal number in it."""
    if isinstance(value, str):
        digits = value[1:] if value[:1] in ("-", "+") else value
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
            raise Undefined(f"{text}: {brief(value)} is no whole number")
        return _whole(int(value), text)
    return _whole(int(_number(value, text)), text)


def _double(run: Run, text: str, value: object) -> float:
    if isinstance(value, str):
        try:
            number = float(value) if len(value) <= 400 and value.isascii() and "_" not in value else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise Undefined(f"{text}: {brief(value)} is no number")
        return number
    return float(_number(value, text))


def _string(run: Run, text: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_number(value, text))


def _changed(change: Callable[[str], str]) -> Callable[..., str]:
    """ASCII letters only, as CEL's extension for strings has it: the length stays."""

    def changed(run: Run, text: str, value: object) -> str:
        given = _text(value, text)
        run.burn(len(given) // (CHARACTERS_A_UNIT if given.isascii() else 4))
        return change(given) if given.isascii() else "".join(change(c) if c.isascii() else c for c in given)

    return changed


def _extreme(choose: Callable[[Sequence[float]], float]) -> Callable[..., float]:
    """Of the arguments, or of one list."""

    def extreme(run: Run, text: str, *values: object) -> float:
        several = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
        run.burn(len(several))
        numbers = [_number(value, text) for value in several]
        if not numbers:
            raise Undefined(f"{text} has no number to choose from")
        return choose(numbers)

    return extreme


CALLS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "int": _int,
    "double": _double,
    "string": _string,
    "abs": lambda run, text, value: _whole(abs(_number(value, text)), text),
    "min": _extreme(min),
    "max": _extreme(max),
    "contains": _searching(lambda whole, part: part in whole),
    "startsWith": _searching(str.startswith),
    "endsWith": _searching(str.endswith),
    "lowerAscii": _changed(str.lower),
    "upperAscii": _changed(str.upper),
}
