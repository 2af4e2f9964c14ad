"""Conditions of BPMN models in our expressions: JUEL's `${amount gt 100 and vip}` and FEEL's `= amount > 100`.

Only words and signs are respelt; what is then no expression of ours is an error where it stands."""

import re

_WRAPPED = re.compile(r"[$#]\{(.*)\}", re.S)
_PIECE = re.compile(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_WORDS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "lt": "<",
    "ge": ">=",
    "le": "<=",
    "div": "/",
    "mod": "%",
}
_WORD = re.compile(rf"(?<![\w.-])({'|'.join(_WORDS)})(?![\w.-])")
_EQUALS = re.compile(r"(?<![=!<>])=(?!=)")


def condition_of(text: str) -> str:
    """The expression that a condition of a sequence flow means."""
    text = " ".join(text.split())
    feel = text.startswith("=")
    text = text[1:].strip() if feel else text
    if wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1].strip()
    pieces = _PIECE.split(text)
    for number in range(0, len(pieces), 2):  # what is outside of quotes
        piece = _WORD.sub(lambda match: _WORDS[match[1]], pieces[number])
        pieces[number] = _EQUALS.sub("==", piece) if feel else piece
    return re.sub(r"!\s+\(", "!(", "".join(pieces))
