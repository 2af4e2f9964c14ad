"""From text to the tree of an expression: a lexer and a recursive descent, one method for a level of precedence.

Depth is counted and bounded, operators of one level are read in a loop, every word is looked at a bounded number of
times: the work grows with the length of the source, and no source makes the stack deep.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.kernel.errors import InvalidInput, nearest, shown
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
    Tree,
)

MOST_CHARACTERS = 4_000
MOST_NESTING = 50

# Name to the least and the most arguments; those of a method without its receiver.
FUNCTIONS = {
    "has": (1, 1),
    "size": (1, 1),
    "int": (1, 1),
    "double": (1, 1),
    "string": (1, 1),
    "abs": (1, 1),
    "min": (1, 20),
    "max": (1, 20),
}
METHODS = {
    "contains": (1, 1),
    "startsWith": (1, 1),
    "endsWith": (1, 1),
    "lowerAscii": (0, 0),
    "upperAscii": (0, 0),
    "size": (0, 0),
}
_LEFT_OUT = {
    "matches": "There are no regular expressions here: they cannot be kept to a bounded time.",
    "all": "There are no loops here: they cannot be kept to a bounded time.",
    "exists": "There are no loops here: they cannot be kept to a bounded time.",
    "exists_one": "There are no loops here: they cannot be kept to a bounded time.",
    "map": "There are no loops here: they cannot be kept to a bounded time.",
    "filter": "There are no loops here: they cannot be kept to a bounded time.",
}
_OF_TEXTS = ("contains", "startsWith", "endsWith")

_WORD = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*)
    | (?P<sign>&&|\|\||==|!=|>=|<=|[><!()\[\].,?:+*/%-])
    | (?P<end>\Z)
    )""",
    re.X,
)
_SPACE = re.compile(r"\s*")
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")


@lru_cache(maxsize=4096)
def tree(source: str) -> Tree:
    """The tree of `source`.

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
    end: int


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._words = list(self._split())
        self._next = 0
        self._depth = 0
        self._nodes = 0

    def _split(self) -> Iterator[_Word]:
        at, kind = 0, ""
        while kind != "end":
            match = _WORD.match(self._source, at)
            if not match or not match.lastgroup:
                space = _SPACE.match(self._source, at)
                at = space.end() if space else at
                raise self._error("is not understood", at, self._source[at])
            kind, at = match.lastgroup, match.end()
            yield _Word(kind, match[kind], match.start(kind) if kind != "end" else len(self._source), at)

    def whole(self) -> Tree:
        root = self._choice()
        if self._peek.kind != "end":
            raise self._error("is one too many", self._peek.at, self._peek.text)
        return Tree(root, self._nodes)

    # -- words --------------------------------------------------------------------------------------------------------

    @property
    def _peek(self) -> _Word:
        return self._words[self._next]

    def _take(self, *texts: str) -> str:
        word = self._words[self._next]
        if word.kind == "sign" and word.text in texts:
            self._next += 1
            return word.text
        return ""

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"stands where {text!r} belongs", self._peek.at, self._peek.text or "the end")

    def _since(self, at: int) -> str:
        """The source from `at` to the end of the last word that was taken."""
        self._nodes += 1
        return self._source[at : self._words[self._next - 1].end]

    # -- levels, the loosest first ------------------------------------------------------------------------------------

    def _choice(self) -> Node:
        """Everything that can stand in parentheses; the one place where the tree gets deeper."""
        self._depth += 1
        at = self._peek.at
        if self._depth > MOST_NESTING:
            raise self._error("is nested too deeply", at, self._peek.text)
        node = self._some()
        if self._take("?"):
            yes = self._choice()
            self._expect(":")
            no = self._choice()
            node = Choice(self._since(at), node, yes, no)
        self._depth -= 1
        return node

    def _some(self) -> Node:
        at, parts = self._peek.at, [self._every()]
        while self._take("||"):
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Some(self._since(at), tuple(parts))

    def _every(self) -> Node:
        at, parts = self._peek.at, [self._comparison()]
        while self._take("&&"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else Every(self._since(at), tuple(parts))

    def _comparison(self) -> Node:
        at, left = self._peek.at, self._sum()
        if self._peek.kind == "name" and self._peek.text == "in":
            self._next += 1
            sign = "in"
        else:
            sign = self._take(*_COMPARISONS)
        if not sign:
            return left
        right_at, right = self._peek.at, self._sum()
        if sign[0] in "<>":
            for one, where in ((left, at), (right, right_at)):
                if isinstance(one, Literal) and (one.value is None or isinstance(one.value, bool)):
                    raise self._error("is neither a number nor a text", where, one.text)
        return Comparison(self._since(at), sign, left, right)

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._single, "*", "/", "%")

    def _chain(self, operand: Callable[[], Node], *signs: str) -> Node:
        at, first = self._peek.at, operand()
        rest = []
        while sign := self._take(*signs):
            rest.append((sign, operand()))
        return Chain(self._since(at), first, tuple(rest)) if rest else first

    def _single(self) -> Node:
        at = self._peek.at
        signs: list[str] = []
        while sign := self._take("!", "-"):
            signs.append(sign)
            if len(signs) + self._depth > MOST_NESTING:
                raise self._error("is nested too deeply", self._peek.at, self._peek.text)
        self._depth += len(signs)
        node = self._member(negative=signs[-1:] == ["-"])
        self._depth -= len(signs)
        if signs[-1:] == ["-"] and isinstance(node, Literal):
            signs.pop()  # it is in the literal
        for sign in reversed(signs):
            node = Opposite(self._since(at), node) if sign == "!" else Negative(self._since(at), node)
        return node

    def _member(self, *, negative: bool) -> Node:
        at = self._peek.at
        node = self._primary(negative=negative)
        while self._peek.kind == "sign":
            if self._take("["):
                key = self._choice()
                self._expect("]")
                node = Item(self._since(at), node, key)
            elif self._take("."):
                name = self._name()
                node = self._path(at, node, name.text.split("."), name)
            else:
                break
        return node

    def _path(self, at: int, node: Node, steps: list[str], word: _Word) -> Node:
        """`.a.b` or `.a.b(...)` after what is not a name."""
        called = self._peek.kind == "sign" and self._peek.text == "("
        for step in steps[:-1] if called else steps:
            node = Item(self._since(at), node, Literal(step, step))
        return self._method(at, node, steps[-1], word) if called else node

    def _primary(self, *, negative: bool) -> Node:
        word = self._peek
        self._next += word.kind != "end"
        match word.kind:
            case "number":
                return self._number(word, negative=negative)
            case "text":
                return Literal(self._since(word.at), self._unescaped(word))
            case "name" if word.text in _LITERALS:
                return Literal(self._since(word.at), _LITERALS[word.text])
            case "name":
                return self._named(word)
            case "sign" if word.text == "(":
                node = self._choice()
                self._expect(")")
                return node
            case "sign" if word.text == "[":
                items = tuple(self._arguments("]"))
                return Items(self._since(word.at), items)
        raise self._error("stands where a field or a value belongs", word.at, word.text or "the end")

    def _named(self, word: _Word) -> Node:
        """A field, or what is called by this name."""
        if not (self._peek.kind == "sign" and self._peek.text == "("):
            return Field(self._since(word.at), word.text)
        path, _, method = word.text.rpartition(".")
        if path:
            end = word.at + len(path)
            self._nodes += 1
            return self._method(word.at, Field(self._source[word.at : end], path), method, word)
        self._check_name(word.text, FUNCTIONS, word.at)
        arguments = self._called(word.text, FUNCTIONS)
        if word.text != "has":
            return Call(self._since(word.at), word.text, arguments)
        if not isinstance(arguments[0], Field | Item):
            raise self._error("stands where a field belongs", self._words[self._next - 2].at, arguments[0].text)
        return Has(self._since(word.at), arguments[0])

    def _method(self, at: int, receiver: Node, name: str, word: _Word) -> Node:
        self._check_name(name, METHODS, word.end - len(name))
        first = self._words[self._next + 1]
        arguments = self._called(name, METHODS)
        if name in _OF_TEXTS and isinstance(arguments[0], Literal) and not isinstance(arguments[0].value, str):
            raise self._error("is not a text", first.at, arguments[0].text)
        return Call(self._since(at), name, (receiver, *arguments))

    def _check_name(self, name: str, known: dict[str, tuple[int, int]], at: int) -> None:
        if name in known:
            return
        close = nearest(name, known)
        why = _LEFT_OUT.get(name) or (f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}.")
        raise self._error("is no function that is known here", at, name, why)

    def _called(self, name: str, known: dict[str, tuple[int, int]]) -> tuple[Node, ...]:
        at = self._peek.at
        self._expect("(")
        arguments = tuple(self._arguments(")"))
        least, most = known[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise self._error(f"is given {len(arguments)} arguments and takes {wanted}", at, name)
        return arguments

    def _arguments(self, end: str) -> Iterator[Node]:
        if self._take(end):
            return
        yield self._choice()
        while self._take(","):
            yield self._choice()
        self._expect(end)

    # -- words that are values ----------------------------------------------------------------------------------------

    def _name(self) -> _Word:
        word = self._peek
        if word.kind != "name":
            raise self._error("stands where a field belongs", word.at, word.text or "the end")
        self._next += 1
        return word

    def _number(self, word: _Word, *, negative: bool) -> Literal:
        sign = "-" if negative else ""
        self._nodes += 1
        if set(word.text) & set(".eE"):
            double = float(sign + word.text)
            if not math.isfinite(double):
                raise self._error("is more than a double can be", word.at, word.text)
            return Literal(sign + word.text, double)
        whole = int(sign + word.text[:30])
        if not -(2**63) <= whole < 2**63 or len(word.text) > 30:
            raise self._error("is more than 64 bits can hold", word.at, word.text)
        return Literal(sign + word.text, whole)

    def _unescaped(self, word: _Word) -> str:
        value = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), word.text[1:-1])
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._error("is not valid Unicode", word.at, word.text) from None
        return value

    def _error(self, problem: str, at: int, found: str, hint: str = "") -> InvalidInput:
        found = found if len(found) <= 40 else found[:40] + "…"
        return InvalidInput(
            f"The condition {shown(self._source)} cannot be read: {found!r} {problem}.",
            why=f"At column {at + 1}. {hint}".strip(),
            fix='Write conditions like: score >= 80 && status == "ok" && !has(rejected_by).',
            details={"column": at + 1},
        )
