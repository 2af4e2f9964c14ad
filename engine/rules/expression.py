"""Conditions as people write them: `score >= 80 && status == "ok"`, read into rules.

The syntax is a part of CEL's (github.com/google/cel-spec, langdef.md): comparisons of a field with a literal,
`has(field)`, `field.contains("text")`, `!`, `&&`, `||` and parentheses. A field alone means that it is true. There is
nothing here that loops, and evaluation walks the rule once, so no source can take long.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.kernel.errors import InvalidInput, shown
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

MOST_CHARACTERS = 4_000
MOST_NESTING = 50

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*)
    | (?P<sign>&&|\|\||==|!=|>=|<=|[><!()])
    )""",
    re.X,
)
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse(source: str) -> Rule:
    """The rule that `source` means.

    Raises InvalidInput with the column where it went wrong; `details.column` counts from 1.
    """
    if len(source) > MOST_CHARACTERS:
        raise InvalidInput(
            f"The condition has {len(source)} characters.",
            why=f"At most {MOST_CHARACTERS} are read.",
            fix="Split it into several conditions; all of them must hold.",
        )
    return _Parser(source).whole()


@dataclass(slots=True)
class _Word:
    kind: str
    text: str
    at: int


class _Parser:
    """Recursive descent, one method for a level of precedence."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._words = [*self._split(), _Word("end", "", len(source))]
        self._next = 0
        self._depth = 0

    def _split(self) -> Iterator[_Word]:
        at = 0
        while self._source[at:].strip():
            match = _TOKEN.match(self._source, at)
            if not match or not match.lastgroup:
                at += len(self._source[at:]) - len(self._source[at:].lstrip())
                raise self._error("is not understood", at, self._source[at])
            yield _Word(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
            at = match.end()

    def whole(self) -> Rule:
        rule = self._any()
        if self._peek.kind != "end":
            raise self._error("is one too many", self._peek.at, self._peek.text)
        return rule

    @property
    def _peek(self) -> _Word:
        return self._words[self._next]

    def _take(self, *texts: str) -> bool:
        if self._peek.kind == "sign" and self._peek.text in texts:
            self._next += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"stands where {text!r} belongs", self._peek.at, self._peek.text or "the end")

    def _any(self) -> Rule:
        rules = [self._all()]
        while self._take("||"):
            rules.append(self._all())
        return rules[0] if len(rules) == 1 else Or(tuple(rules))

    def _all(self) -> Rule:
        rules = [self._one()]
        while self._take("&&"):
            rules.append(self._one())
        return rules[0] if len(rules) == 1 else And(tuple(rules))

    def _one(self) -> Rule:
        self._depth += 1
        if self._depth > MOST_NESTING:
            raise self._error("is nested too deeply", self._peek.at, self._peek.text)
        try:
            if self._take("!"):
                return Not(self._one())
            if self._take("("):
                rule = self._any()
                self._expect(")")
                return rule
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Rule:
        word = self._peek
        if word.kind != "name" or word.text in _LITERALS:
            raise self._error("stands where a field belongs", word.at, word.text or "the end")
        self._next += 1
        if word.text == "has" and self._take("("):
            field = self._name()
            self._expect(")")
            return FieldExists(field)
        if word.text.endswith(".contains") and self._take("("):
            at, value = self._peek.at, self._literal()
            if not isinstance(value, str):
                raise self._error("is not a text", at, str(value))
            self._expect(")")
            return FieldContains(word.text.removesuffix(".contains"), value)
        for sign in ("==", "!=", ">=", "<=", ">", "<"):
            if self._take(sign):
                return self._compared(word.text, sign, self._peek.at)
        return FieldEquals(word.text, True)

    def _compared(self, field: str, sign: str, at: int) -> Rule:
        value = self._literal()
        if sign == "==":
            return FieldEquals(field, value)
        if sign == "!=":
            return And((FieldExists(field), Not(FieldEquals(field, value))))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error("is not a number", at, str(value))
        strict: Rule = FieldGreaterThan(field, value) if sign[0] == ">" else FieldLessThan(field, value)
        return Or((strict, FieldEquals(field, value))) if sign[1:] else strict

    def _name(self) -> str:
        word = self._peek
        if word.kind != "name":
            raise self._error("stands where a field belongs", word.at, word.text or "the end")
        self._next += 1
        return word.text

    def _literal(self) -> Any:
        word = self._peek
        self._next += word.kind != "end"
        if word.kind == "number":
            return float(word.text) if set(word.text) & set(".eE") else int(word.text)
        if word.kind == "text":
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), word.text[1:-1])
        if word.kind == "name" and word.text in _LITERALS:
            return _LITERALS[word.text]
        raise self._error("stands where a number, a text, true, false or null belongs", word.at, word.text or "the end")

    def _error(self, problem: str, at: int, found: str) -> InvalidInput:
        return InvalidInput(
            f"The condition {shown(self._source)} cannot be read: {found!r} {problem}.",
            why=f"At column {at + 1}.",
            fix='Write conditions like: score >= 80 && status == "ok" && !has(rejected_by).',
            details={"column": at + 1},
        )
