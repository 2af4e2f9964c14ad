"""Conditions as people write them: `score >= 80 && status == "ok"`, read into rules.

The syntax is a part of CEL's (github.com/google/cel-spec, langdef.md), with its precedence:

    e ? a : b     ||     &&     == != < <= > >= in     + -     * / %     ! -     a.b a[0] a["k"] f(x) a.f(x)

Literals are whole numbers of 64 bits, doubles, texts, true, false, null and lists. There are `has`, `size`, `int`,
`double`, `string`, `abs`, `min` and `max`, and of texts `contains`, `startsWith`, `endsWith`, `lowerAscii` and
`upperAscii`. A field alone means that it is true. There is nothing here that loops, and no regular expressions: a
step of an evaluation costs as much as the values are long, which fuel bounds (`engine.rules.compiled`).

What the structured forms can say becomes a structured form, so that the analysis can reason about it; all else
becomes an `Expression`.
"""

from functools import lru_cache

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
from engine.rules.parsing import MOST_CHARACTERS, MOST_NESTING, tree
from engine.rules.syntax import Call, Comparison, Every, Field, Has, Literal, Node, Opposite, Some

__all__ = ["MOST_CHARACTERS", "MOST_NESTING", "parse"]

_TURNED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


@lru_cache(maxsize=4096)
def parse(source: str) -> Rule:
    """The rule that `source` means.

    Raises InvalidInput with the column where it went wrong; `details.column` counts from 1.
    """
    return _rule(tree(source).root)


def _rule(node: Node) -> Rule:
    match node:
        case Every(_, parts):
            return And(tuple(map(_rule, parts)))
        case Some(_, parts):
            return Or(tuple(map(_rule, parts)))
        case Opposite(_, of):
            return Not(_rule(of))
        case Has(_, Field(_, path)):
            return FieldExists(path)
        case Field(_, path):
            return FieldEquals(path, True)
        case Call(_, "contains", (Field(_, path), Literal(_, str(substring)))):
            return FieldContains(path, substring)
        case Comparison(text, sign, Field(_, path), Literal(_, value)):
            return _compared(path, sign, value) or Expression(text)
        case Comparison(text, sign, Literal(_, value), Field(_, path)) if sign in _TURNED:
            return _compared(path, _TURNED[sign], value) or Expression(text)
        case _:
            return Expression(node.text)


def _compared(field: str, sign: str, value: object) -> Rule | None:
    if sign == "==":
        return FieldEquals(field, value)
    if sign == "!=":
        return And((FieldExists(field), Not(FieldEquals(field, value))))
    if sign == "in" or not isinstance(value, int | float):
        return None
    strict: Rule = FieldGreaterThan(field, value) if sign[0] == ">" else FieldLessThan(field, value)
    return Or((strict, FieldEquals(field, value))) if sign[1:] else strict
