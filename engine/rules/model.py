"""Rules: conditions over a token's data, metadata and marking, as data.

A closed union; each evaluates to yes or no with a reason (`engine.rules.evaluation`). A field is a dotted path:
`score`, `document.type`, `metadata.priority`, `marking.review`; data is looked at first, then metadata.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class FieldExists:
    field: str


@dataclass(frozen=True, slots=True)
class FieldEquals:
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class FieldGreaterThan:
    field: str
    value: float


@dataclass(frozen=True, slots=True)
class FieldLessThan:
    field: str
    value: float


@dataclass(frozen=True, slots=True)
class FieldContains:
    field: str
    substring: str


@dataclass(frozen=True, slots=True)
class Expression:
    """What the forms above cannot say, in the language of `engine.rules.expression`: `paid + credit >= total`."""

    source: str


@dataclass(frozen=True, slots=True)
class And:
    rules: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Or:
    rules: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Not:
    rule: "Rule"


OfField: TypeAlias = FieldExists | FieldEquals | FieldGreaterThan | FieldLessThan | FieldContains
Rule: TypeAlias = OfField | Expression | And | Or | Not
