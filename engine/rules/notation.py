"""Rules as JSON, in and out: `{"type": "FieldGreaterThan", "field": "score", "value": 80}`."""

import math
from collections.abc import Mapping
from typing import Any

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.rules.expression import MOST_NESTING, parse
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
from engine.rules.values import is_number

TYPES = (
    "FieldExists",
    "FieldEquals",
    "FieldGreaterThan",
    "FieldLessThan",
    "FieldContains",
    "Expression",
    "And",
    "Or",
    "Not",
)


def read(source: object, path: str = "rule", depth: int = 0) -> Rule:
    """The rule that JSON `source` describes. Raises InvalidInput with the path of what is wrong."""
    if depth > MOST_NESTING:
        raise InvalidInput(
            f"{path} is nested more than {MOST_NESTING} deep.", fix="Flatten it.", details={"path": path}
        )
    if not isinstance(source, Mapping):
        raise InvalidInput(f"{path} is not an object.", fix='Write {"type": ...}.', details={"path": path})
    kind = source.get("type", source.get("conditionType"))
    match kind:
        case "FieldExists":
            return FieldExists(_text(source, "field", path))
        case "FieldEquals":
            return FieldEquals(_text(source, "field", path), _present(source, "value", path))
        case "FieldGreaterThan":
            return FieldGreaterThan(_text(source, "field", path), _number(source, path))
        case "FieldLessThan":
            return FieldLessThan(_text(source, "field", path), _number(source, path))
        case "FieldContains":
            return FieldContains(_text(source, "field", path), _text(source, "substring", path))
        case "Expression":
            return Expression(_expression(source, path))
        case "And" | "Or":
            rules = source.get("rules")
            if not isinstance(rules, list):
                raise InvalidInput(f"{path}.rules is not a list.", fix="Give the rules in it.", details={"path": path})
            inner = tuple(read(rule, f"{path}.rules[{number}]", depth + 1) for number, rule in enumerate(rules))
            return And(inner) if kind == "And" else Or(inner)
        case "Not":
            return Not(read(source.get("rule"), f"{path}.rule", depth + 1))
        case _:
            close = nearest(str(kind), TYPES)
            raise InvalidInput(
                f"{path}.type {shown(str(kind))} is no kind of rule.",
                why=f"Did you mean {close[0]}?" if close else "",
                fix=f"Use one of {', '.join(TYPES)}.",
                details={"path": f"{path}.type", "nearest": close},
            )


def write(rule: Rule) -> dict[str, Any]:
    """The JSON of `rule`; `read` gives the same rule back."""
    kind = type(rule).__name__
    match rule:
        case FieldExists(field):
            return {"type": kind, "field": field}
        case FieldEquals(field, value) | FieldGreaterThan(field, value) | FieldLessThan(field, value):
            return {"type": kind, "field": field, "value": value}
        case FieldContains(field, substring):
            return {"type": kind, "field": field, "substring": substring}
        case Expression(text):
            return {"type": kind, "expression": text}
        case And(rules) | Or(rules):
            return {"type": kind, "rules": [write(one) for one in rules]}
        case Not(inner):
            return {"type": kind, "rule": write(inner)}


def _present(source: Mapping[str, Any], key: str, path: str) -> Any:
    if key not in source:
        raise InvalidInput(f"{path}.{key} is missing.", fix="Add it.", details={"path": f"{path}.{key}"})
    return source[key]


def _text(source: Mapping[str, Any], key: str, path: str) -> str:
    value = _present(source, key, path)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{path}.{key} is not a text.", fix="Give a text.", details={"path": f"{path}.{key}"})
    return value


def _expression(source: Mapping[str, Any], path: str) -> str:
    text = _text(source, "expression", path)
    try:
        parse(text)
    except InvalidInput as error:
        error.details["path"] = f"{path}.expression"
        raise
    return text


def _number(source: Mapping[str, Any], path: str) -> float:
    value = _present(source, "value", path)
    if not is_number(value) or not math.isfinite(value):
        raise InvalidInput(f"{path}.value is not a number.", fix="Give a number.", details={"path": f"{path}.value"})
    return float(value) if isinstance(value, float) else int(value)
