"""JSON texts, and the input literals of GraphQL, which look alike: one reader, that knows where everything was.

JSON is RFC 8259: no comments, no NaN, and no key twice in an object. GraphQL literals are those of the October 2021
specification, section 2.9: keys are bare, commas are space, `#` begins a comment, enum values are read as their names.
A document is searched for the `input` of its `createWorkflow`; its variables are not known here.
"""

import json
import math
import re
from typing import Any, Literal, NamedTuple, TypeAlias

from engine.kernel.errors import InvalidInput, shown
from engine.nets.notation.marks import MOST_DEPTH, MOST_DIGITS, MOST_VALUES, Mark, malformed, too_many_values

Dialect: TypeAlias = Literal["json", "graphql"]

_SPACE = {"json": re.compile(r"[ \t\n\r]*"), "graphql": re.compile(r"(?:[\s,\ufeff]|#[^\n]*)*")}
_WORD = re.compile(
    r"""(?P<block>\"{3}(?:[^"\\]|\\(?:\"{3})?|"(?!""))*\"{3})
    | (?P<text>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>[{}\[\]:,()$!=@|&]|\.\.\.)""",
    re.X,
)
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}


class _Word(NamedTuple):
    kind: str
    text: str
    at: int


def read_literal(text: str, dialect: Dialect) -> tuple[Any, Mark]:
    """The value that `text` is, or, in GraphQL, that it gives to `createWorkflow`; and where its parts are.

    Raises InvalidInput with line and column, TooLarge.
    """
    reader = _Reader(text, dialect)
    if dialect == "graphql":
        reader.skip_to_input()
        return reader.value(0)
    found = reader.value(0)
    reader.expect_end()
    return found


class _Reader:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text, self._dialect, self._space = text, dialect, _SPACE[dialect]
        self._values = 0
        self._word = self._after(0)

    def _after(self, at: int) -> _Word:
        """The word that begins at `at`, or after the space there."""
        space = self._space.match(self._text, at)
        at = space.end() if space else at
        match = _WORD.match(self._text, at)
        if match and match.lastgroup and (match.lastgroup != "block" or self._dialect == "graphql"):
            return _Word(match.lastgroup, match[0], at)
        if at >= len(self._text):
            return _Word("end", "", at)
        character = self._text[at]
        problem = "the text that begins here has no end." if character == '"' else f"{character!r} is not understood."
        raise malformed(self._text, at, problem, fix=self._hint(character))

    def _hint(self, character: str) -> str:
        if self._dialect == "json" and character in "#/'":
            return "JSON knows no comments and no single quotes; YAML does."
        return ""

    def _take(self) -> _Word:
        word = self._word
        self._word = self._after(word.at + len(word.text))
        return word

    def _expect(self, sign: str) -> None:
        if self._word.text != sign or self._word.kind != "sign":
            raise self._error(f"{self._seen()} stands where {sign!r} belongs.")
        self._take()

    def _seen(self) -> str:
        return shown(self._word.text, 40) if self._word.kind != "end" else "the end"

    def _error(self, problem: str, at: int | None = None, fix: str = "") -> InvalidInput:
        return malformed(self._text, self._word.at if at is None else at, problem, fix=fix)

    def expect_end(self) -> None:
        if self._word.kind != "end":
            raise self._error(f"{self._seen()} is one too many.")

    def skip_to_input(self) -> None:
        """To the value of `createWorkflow(input: ...)`, if there is one; else the text is the value."""
        first, named = self._word, False
        while self._word.kind != "end":
            word = self._take()
            if word.kind == "name" and word.text in ("createWorkflow", "create_workflow") and self._word.text == "(":
                named = True
                break
        if not named:
            if first.kind == "name":
                raise self._error(
                    "there is no createWorkflow here.",
                    first.at,
                    "Write createWorkflow(input: {...}), or the input alone.",
                )
            self._word = first
            return
        self._expect("(")
        if self._word.text != "input":
            raise self._error(f"{self._seen()} stands where the input belongs.")
        self._take()
        self._expect(":")
        if self._word.text == "$":
            raise self._error("the input is a variable.", fix="Write the input itself: createWorkflow(input: {...}).")

    def value(self, depth: int) -> tuple[Any, Mark]:
        self._values += 1
        if self._values > MOST_VALUES:
            raise too_many_values()
        word = self._word
        if depth > MOST_DEPTH:
            raise self._error(f"it is nested more than {MOST_DEPTH} deep.", fix="Flatten it.")
        match word.kind:
            case "sign" if word.text == "{":
                return self._object(depth)
            case "sign" if word.text == "[":
                return self._list(depth)
            case "text" | "block":
                return self._string(self._take()), Mark(word.at)
            case "number":
                return self._number(self._take()), Mark(word.at)
            case "name" if word.text in _LITERALS:
                return _LITERALS[self._take().text], Mark(word.at)
            case "name" if self._dialect == "graphql":
                return self._take().text, Mark(word.at)
        fix = "JSON has no such number; leave the field out." if word.text in ("NaN", "Infinity") else ""
        raise self._error(f"{self._seen()} stands where a value belongs.", fix=fix)

    def _object(self, depth: int) -> tuple[dict[str, Any], Mark]:
        at = self._take().at
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        while not self._ended("}", first=not values):
            word = self._word
            if word.kind != ("text" if self._dialect == "json" else "name"):
                fix = "Put it in double quotes." if word.kind == "name" else ""
                raise self._error(f"{self._seen()} stands where the name of a field belongs.", fix=fix)
            key = self._string(self._take()) if self._dialect == "json" else self._take().text
            if key in values:
                raise self._error(f"{shown(key)} is given twice in one object.", word.at, "Keep one.")
            self._expect(":")
            values[key], marks[key] = self.value(depth + 1)
        self._take()
        return values, Mark(at, fields=marks)

    def _list(self, depth: int) -> tuple[list[Any], Mark]:
        at = self._take().at
        values: list[Any] = []
        marks: list[Mark] = []
        while not self._ended("]", first=not values):
            value, mark = self.value(depth + 1)
            values.append(value)
            marks.append(mark)
        self._take()
        return values, Mark(at, items=marks)

    def _ended(self, end: str, *, first: bool) -> bool:
        """Whether `end` comes next; takes the comma before another element."""
        if self._word.kind == "sign" and self._word.text == end:
            return True
        if self._dialect == "json" and not first:
            self._expect(",")
            if self._word.text == end and self._word.kind == "sign":
                raise self._error("a comma comes before the end.", fix="Take it out.")
        return False

    def _number(self, word: _Word) -> float:
        if len(word.text) > MOST_DIGITS:
            raise self._error(f"a number has {len(word.text)} digits.", word.at, "Write a smaller one.")
        if re.match(r"-?0\d", word.text):
            raise self._error(f"{word.text} begins with a zero.", word.at, "Take it out.")
        if not set(word.text) & set(".eE"):
            return int(word.text)
        if not math.isfinite(number := float(word.text)):
            raise self._error(f"{word.text} is more than a number can be.", word.at, "Write a smaller one.")
        return number

    def _string(self, word: _Word) -> str:
        if word.kind == "block":
            return _dedented(word.text[3:-3].replace('\\"""', '"""'))
        try:
            value: str = json.loads(word.text, strict=True)
            value.encode()
        except UnicodeEncodeError:
            raise self._error("half of a surrogate pair is no text.", word.at, "Write the whole character.") from None
        except ValueError as error:
            raise self._error(f"the text cannot be read: {error}.", word.at) from None
        return value


def _dedented(text: str) -> str:
    """The value of a block string, as section 2.9.4 says."""
    lines = text.splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    indent = min(indents, default=0)
    lines = [line if number == 0 else line[indent:] for number, line in enumerate(lines)]
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)
