"""Questions as people write them.

    can shipped be reached                    can shipped be reached without paid
    never shipped without paid                never a and b
    always eventually done                    always a + b <= 1
    EF shipped                                AG (a + 2*b == 3 or deadlock)
    E[not paid U shipped]                     AF final and EX enabled(pay)

A place alone means that it holds a token; a name with other characters stands in "quotes". `always` is AG, `never` is
AG not, `eventually` AF, `possibly` EF. `never x without y`: no run comes to x before it has been at y.
"""

import re

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.analysis.asking.model import (
    Always,
    Compared,
    Enabled,
    Joined,
    Named,
    Negated,
    Next,
    Question,
    Until,
)
from engine.nets.model import Net

MOST_CHARACTERS = 2_000
MOST_NESTING = 50

_WORD = re.compile(
    r"""\s*(?:(?P<number>\d{1,40}(?![\w.]))|(?P<text>"[^"]*")|(?P<name>[^\W\d][\w.\-]*)|(?P<sign>&&|\|\||->|[<>=!]=|[-+*<>=!()\[\],?]))""",
    re.X,
)
_TRUE = Named("true")
_SIGNS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "=": "==", "==": "==", "!=": "!="}
_OPERATORS = frozenset(["not", "and", "or", "implies", "ef", "ag", "af", "eg", "ex", "ax", "e", "a", "u", "until"])
_SUGAR = frozenset(["can", "be", "reached", "without", "never", "always", "eventually", "possibly"])
_KEYWORDS = _OPERATORS | _SUGAR | {"deadlock", "final", "true", "false", "enabled"}


def parse(source: str, net: Net) -> Question:
    """The question that `source` asks of `net`.

    Raises InvalidInput with `details.column`, counted from 1, and `details.nearest` for an unknown name.
    """
    if len(source) > MOST_CHARACTERS:
        raise InvalidInput(
            f"The question has {len(source)} characters.",
            why=f"At most {MOST_CHARACTERS} are read.",
            fix="Ask several shorter ones.",
        )
    return _Parser(source, net).whole()


def possible(goal: Question, hold: Question = _TRUE) -> Question:
    return Until(hold, goal)


def always(inner: Question) -> Question:
    return Negated(Until(_TRUE, Negated(inner)))


def inevitable(inner: Question) -> Question:
    return Negated(Always(Negated(inner)))


class _Parser:
    def __init__(self, source: str, net: Net) -> None:
        self._source, self._net = source, net
        self._places, self._transitions = frozenset(net.place_ids), frozenset(net.transition_of)
        self._words: list[tuple[str, str, int]] = []
        self._depth = 0
        self._next = 0
        at = 0
        while source[at:].strip():
            match = _WORD.match(source, at)
            if not match or not match.lastgroup:
                at += len(source[at:]) - len(source[at:].lstrip())
                raise self._error("is not understood", at, source[at])
            self._words.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()
        self._words.append(("end", "", len(source)))

    def whole(self) -> Question:
        question = self._implication()
        self._take("?")
        if self._kind != "end":
            raise self._error("is one too many", self._at, self._text)
        return question

    # -- words ----------------------------------------------------------------------------------------------------

    @property
    def _kind(self) -> str:
        return self._words[self._next][0]

    @property
    def _text(self) -> str:
        return self._words[self._next][1]

    @property
    def _at(self) -> int:
        return self._words[self._next][2]

    def _is(self, *words: str) -> bool:
        if self._kind == "name" and self._text in self._places:
            return False
        return self._kind in ("name", "sign") and self._text.casefold() in words

    def _take(self, *words: str) -> bool:
        found = self._is(*words)
        self._next += found
        return found

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._error(f"stands where {word!r} belongs", self._at, self._text or "the end")

    # -- levels of precedence ---------------------------------------------------------------------------------------

    def _implication(self) -> Question:
        left = self._either()
        if self._take("implies", "->"):
            return Joined("or", (Negated(left), self._implication()))
        return left

    def _either(self) -> Question:
        parts = [self._both()]
        while self._take("or", "||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def _both(self) -> Question:
        parts = [self._one()]
        while self._take("and", "&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def _one(self) -> Question:
        self._depth += 1
        if self._depth > MOST_NESTING:
            raise self._error("is nested too deeply", self._at, self._text)
        try:
            return self._prefixed()
        finally:
            self._depth -= 1

    def _prefixed(self) -> Question:
        if self._take("not", "!"):
            return Negated(self._one())
        if self._take("ef", "possibly"):
            return possible(self._one())
        if self._take("ag", "always"):
            return always(self._one())
        if self._take("af", "eventually"):
            return inevitable(self._one())
        if self._take("eg"):
            return Always(self._one())
        if self._take("ex"):
            return Next(self._one())
        if self._take("ax"):
            return Negated(Next(Negated(self._one())))
        if self._take("never"):
            goal = self._either()
            return Negated(possible(goal, self._without()))
        if self._take("can"):
            goal = self._either()
            if self._take("be"):
                self._expect("reached")
            return possible(goal, self._without())
        if self._is("e", "a"):
            return self._until()
        return self._atom()

    def _without(self) -> Question:
        return Negated(self._either()) if self._take("without") else _TRUE

    def _until(self) -> Question:
        every = self._take("a") or not self._take("e")
        self._expect("[")
        hold = self._implication()
        if not self._take("u", "until"):
            raise self._error("stands where 'U' belongs", self._at, self._text or "the end")
        goal = self._implication()
        self._expect("]")
        if not every:
            return Until(hold, goal)
        lost = Joined("and", (Negated(hold), Negated(goal)))
        return Joined("and", (Negated(Until(Negated(goal), lost)), inevitable(goal)))

    def _atom(self) -> Question:
        if self._take("("):
            question = self._implication()
            self._expect(")")
            return question
        for name in ("deadlock", "final", "true"):
            if self._take(name):
                return Named(name)
        if self._take("false"):
            return Negated(_TRUE)
        if self._take("enabled"):
            self._expect("(")
            transition = self._name(self._transitions, "transition")
            self._expect(")")
            return Enabled(transition)
        return self._comparison()

    def _comparison(self) -> Question:
        weights, number = self._sum()
        sign = _SIGNS.get(self._text) if self._kind == "sign" else None
        if sign is None:
            if len(weights) == 1 and not number:
                return Compared(tuple(weights.items()), ">=", 1)
            raise self._error("stands where a comparison belongs", self._at, self._text or "the end")
        self._next += 1
        others, other = self._sum()
        for place, weight in others.items():
            weights[place] = weights.get(place, 0) - weight
        return Compared(tuple(weights.items()), sign, other - number)

    def _sum(self) -> tuple[dict[str, int], int]:
        weights: dict[str, int] = {}
        number, sign = 0, 1
        while True:
            factor, alone = 1, False
            if self._kind == "number":
                factor = int(self._text)
                self._next += 1
                alone = not self._take("*")
            if alone:
                number += sign * factor
            else:
                place = self._name(self._places, "place")
                weights[place] = weights.get(place, 0) + sign * factor
            if self._take("+"):
                sign = 1
            elif self._take("-"):
                sign = -1
            else:
                return weights, number

    def _name(self, known: frozenset[str], kind: str) -> str:
        at, text = self._at, self._text.strip('"') if self._kind == "text" else self._text
        if self._kind not in ("name", "text") or (text not in known and text.casefold() in _KEYWORDS):
            raise self._error(f"stands where a {kind} belongs", at, self._text or "the end")
        if text not in known:
            close = nearest(text, known)
            raise InvalidInput(
                f"There is no {kind} {shown(text)}.",
                why=f"At column {at + 1}.",
                fix=f"Did you mean {' or '.join(close)}?" if close else f"Name a {kind} of the workflow.",
                details={"column": at + 1, "nearest": close},
            )
        self._next += 1
        return text

    def _error(self, problem: str, at: int, found: str) -> InvalidInput:
        return InvalidInput(
            f"The question {shown(self._source)} cannot be read: {found!r} {problem}.",
            why=f"At column {at + 1}.",
            fix="Ask like: can shipped be reached without paid, or: always eventually done.",
            details={"column": at + 1},
        )
