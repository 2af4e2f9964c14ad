"""Whether a rule holds, and why. Pure and total: every rule over every data gives an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from engine.rules.compiled import (
    FUEL,
    ORDERS,
    OutOfFuel,
    Run,
    Undefined,
    comparable,
    compiled,
    decision,
    equal,
    within,
)
from engine.rules.compiled import (
    value_of as value_in,
)
from engine.rules.fields import MISSING, value_of
from engine.rules.model import (
    And,
    Expression,
    FieldContains,
    FieldEquals,
    FieldExists,
    FieldGreaterThan,
    FieldLessThan,
    Not,
    OfField,
    Or,
    Rule,
)
from engine.rules.parsing import tree
from engine.rules.syntax import Choice, Comparison, Every, Items, Literal, Node, Opposite, Some
from engine.rules.values import brief, is_number, same_json

OUT_OF_FUEL = "out of fuel: the rule takes more steps than are allowed"
_TOO_LONG = "it takes too many steps to tell why"
_NOTHING = "there is no rule to ask"
_FAILED = {">": "≤", "<": "≥", ">=": "<", "<=": ">"}
_PASSED = {">": ">", "<": "<", ">=": "≥", "<=": "≤"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer with its reason in words; `parts` are those of the rules inside."""

    passed: bool
    reason: str
    parts: tuple["Evaluation", ...] = ()


def holds(
    rule: Rule, data: Mapping[str, Any], metadata: Mapping[str, Any], marking: Mapping[str, int] | None = None
) -> bool:
    """Whether `rule` holds of a token's data, metadata and marking. A field that is missing or of another type makes a
    comparison false; it is never an error. A rule that runs out of fuel does not hold."""
    return decision(rule)(data, metadata, marking)


def evaluate(
    rule: Rule, data: Mapping[str, Any], metadata: Mapping[str, Any], marking: Mapping[str, int] | None = None
) -> Evaluation:
    """The same answer with its reason, clause by clause."""
    known = compiled(rule)
    if known.steps > FUEL:
        return Evaluation(False, OUT_OF_FUEL)
    try:
        passed = known.test(Run(data, metadata, marking, FUEL - known.steps))
    except OutOfFuel:
        return Evaluation(False, OUT_OF_FUEL)
    try:
        answer = _of_rule(rule, Run(data, metadata, marking))
    except OutOfFuel:  # the answer needed fewer of the parts than its reason
        return Evaluation(passed, _TOO_LONG)
    assert answer.passed is passed
    return answer


def _of_rule(rule: Rule, run: Run) -> Evaluation:
    match rule:
        case And(rules):
            return _every(tuple(_of_rule(one, run) for one in rules))
        case Or(rules):
            return _some(tuple(_of_rule(one, run) for one in rules))
        case Not(inner):
            return _opposite(_of_rule(inner, run))
        case Expression(source):
            return _of_node(tree(source).root, run)
        case _:
            return _of_field(rule, run)


def _every(parts: tuple[Evaluation, ...]) -> Evaluation:
    failed = [part.reason for part in parts if not part.passed]
    return Evaluation(not failed, "; ".join(failed or [part.reason for part in parts]) or _NOTHING, parts)


def _some(parts: tuple[Evaluation, ...]) -> Evaluation:
    held = [part.reason for part in parts if part.passed]
    return Evaluation(bool(held), " and ".join(held or [part.reason for part in parts]) or _NOTHING, parts)


def _opposite(part: Evaluation) -> Evaluation:
    return Evaluation(not part.passed, part.reason, (part,))


def _of_field(rule: OfField, run: Run) -> Evaluation:
    name, value = rule.field, value_of(rule.field, run.data, run.metadata, run.marking)
    if value is MISSING:
        return Evaluation(False, f"{name} is missing")
    match rule:
        case FieldExists():
            return Evaluation(True, f"{name} is there")
        case FieldEquals(_, wanted):
            return _equality(same_json(value, wanted), name, value, brief(wanted))
        case FieldGreaterThan(_, bound):
            if not is_number(value):
                return Evaluation(False, f"{name} is {brief(value)}, which is not a number")
            return _order(value > bound, name, value, ">", brief(bound))
        case FieldLessThan(_, bound):
            if not is_number(value):
                return Evaluation(False, f"{name} is {brief(value)}, which is not a number")
            return _order(value < bound, name, value, "<", brief(bound))
        case FieldContains(_, substring):
            if not isinstance(value, str):
                return Evaluation(False, f"{name} is {brief(value)}, which is not a text")
            found = substring in value
            return Evaluation(found, f"{name} {'contains' if found else 'does not contain'} {brief(substring)}")
        case _:
            assert_never(rule)


def _equality(same: bool, name: str, value: object, wanted: str) -> Evaluation:
    return Evaluation(same, f"{name} is {brief(value)}" + ("" if same else f", not {wanted}"))


def _order(passed: bool, name: str, value: object, sign: str, bound: str) -> Evaluation:
    return Evaluation(passed, f"{name} {brief(value)} {(_PASSED if passed else _FAILED)[sign]} {bound}")


# -- expressions ------------------------------------------------------------------------------------------------------


def _of_node(node: Node, run: Run) -> Evaluation:
    match node:
        case Every(_, parts):
            return _every(tuple(_of_node(part, run) for part in parts))
        case Some(_, parts):
            return _some(tuple(_of_node(part, run) for part in parts))
        case Opposite(_, of):
            return _opposite(_of_node(of, run))
    try:
        match node:
            case Comparison():
                return _of_comparison(node, run)
            case Choice(_, test, yes, no):
                asked = _of_node(test, run)
                then = _of_node(yes if asked.passed else no, run)
                return Evaluation(then.passed, f"{asked.reason}; {then.reason}", (asked, then))
            case _:
                value = value_in(node)(run)
                wrong = "" if isinstance(value, bool) else ", which is neither true nor false"
                return Evaluation(value is True, f"{node.text} is {brief(value)}{wrong}")
    except Undefined as error:
        return Evaluation(False, str(error))


def _of_comparison(node: Comparison, run: Run) -> Evaluation:
    one, other = value_in(node.left)(run), value_in(node.right)(run)
    right = _told(node.right, other)
    match node.sign:
        case "==":
            return _equality(equal(run, one, other), node.left.text, one, right)
        case "!=":
            same = equal(run, one, other)
            return Evaluation(not same, _equality(same, node.left.text, one, right).reason)
        case "in":
            found = within(run, one, other, node)
            return Evaluation(found, f"{_told(node.left, one)} is {'' if found else 'not '}in {right}")
    passed = ORDERS[node.sign](*comparable(run, one, other, node))
    return _order(passed, node.left.text, one, node.sign, right)


def _told(node: Node, value: object) -> str:
    return brief(value) if isinstance(node, Literal | Items) else f"{node.text} {brief(value)}"
