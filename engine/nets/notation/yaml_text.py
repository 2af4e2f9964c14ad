"""YAML in and out: the core schema of YAML 1.2 (section 10.3.2), so that `no` is a text and `12:30` no number.

Read from the parser's events, which builds nothing by itself: no tags, no anchors, no merge keys, no key twice, a
bounded depth, and a mark for every value.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from engine.kernel.errors import InvalidInput, shown
from engine.nets.notation.marks import MOST_DEPTH, MOST_DIGITS, MOST_VALUES, Mark, malformed, too_many_values

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_WHOLE = re.compile(r"[-+]?[0-9]+")
_DOUBLE = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def read_yaml(text: str) -> tuple[Any, Mark]:
    """The one document in `text`, and where its parts are. Raises InvalidInput with line and column, TooLarge."""
    reader = _Reader(text)
    try:
        return reader.document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        at = reader.offset(mark) if mark else getattr(error, "position", 0)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not understood"
        if "nesting depth" in problem:  # libyaml reads ahead and met its own limit; this one comes to ours first
            return _Reader(text, yaml.SafeLoader).document()
        raise malformed(text, at, f"this is no YAML: {problem}.") from None


def write_yaml(value: object) -> str:
    """`value` as a YAML document. Comments of the text that it was read from are not kept."""
    written: str = yaml.dump(
        value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    return written


class _Reader:
    def __init__(self, text: str, loader: Any = None) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in re.finditer("\r\n|[\n\r\x85\u2028\u2029]", text))]
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader or _LOADER))
        self._values = 0

    def offset(self, mark: Any) -> int:
        line, column = int(mark.line), int(mark.column)
        return min(self._lines[min(line, len(self._lines) - 1)] + column, len(self._text))

    def document(self) -> tuple[Any, Mark]:
        found: tuple[Any, Mark] | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if found:
                    raise self._error(event, "a second document begins here.", "Keep one in a file.")
                found = self._value(next(self._events), 0)
        if found is None:
            raise malformed(self._text, 0, "there is nothing in it.")
        return found

    def _error(self, event: Any, problem: str, fix: str = "") -> InvalidInput:
        return malformed(self._text, self.offset(event.start_mark), problem, fix=fix)

    def _value(self, event: Any, depth: int) -> tuple[Any, Mark]:
        self._values += 1
        if self._values > MOST_VALUES:
            raise too_many_values()
        if depth > MOST_DEPTH:
            raise self._error(event, f"it is nested more than {MOST_DEPTH} deep.", "Flatten it.")
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise self._error(event, "anchors and aliases are not taken.", "Write the value in each place.")
        if event.tag and event.tag != "!":
            raise self._error(event, f"the tag {shown(event.tag, 40)} is not taken.", "Write plain values.")
        at = self.offset(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event), Mark(at)
        if isinstance(event, yaml.SequenceStartEvent):
            values, items = [], []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                value, mark = self._value(inner, depth + 1)
                values.append(value)
                items.append(mark)
            return values, Mark(at, items=items)
        return self._mapping(at, depth)

    def _mapping(self, at: int, depth: int) -> tuple[dict[str, Any], Mark]:
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "the name of a field is not a text.")
            self._value(event, depth)  # the same is refused as of a value
            if event.value in values:
                raise self._error(event, f"{shown(event.value)} is given twice in one object.", "Keep one.")
            if event.value == "<<" and event.implicit[0]:
                raise self._error(event, "merge keys are not taken.", "Write the fields in each place.")
            values[event.value], marks[event.value] = self._value(next(self._events), depth + 1)
        return values, Mark(at, fields=marks)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style is not None and event.style != "":  # quoted, or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NO_NUMBER.fullmatch(text):
            raise self._error(event, f"{text} is no number that JSON can hold.", "Leave the field out, or quote it.")
        if (whole := _WHOLE.fullmatch(text)) or _DOUBLE.fullmatch(text):
            if len(text) > MOST_DIGITS:
                raise self._error(event, f"a number has {len(text)} digits.", "Write a smaller one.")
            if whole:
                return int(text)
            if not math.isfinite(number := float(text)):
                raise self._error(event, f"{text} is more than a number can be.", "Write a smaller one.")
            return number
        return text
