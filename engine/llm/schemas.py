"""Whether an answer is what its JSON schema asks for: not every upstream holds a model to one, and some are only told
of it in words. Pure, but for the stream that it stands in.

It looks at what can be decided in a bounded number of steps and never sounds a false alarm: regular expressions,
formats, `not`, conditions and references to elsewhere are not looked at (JSON Schema 2020-12, Validation). An answer
that is not right is passed on as it is, with a note.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import orjson

from engine.kernel.errors import shown
from engine.llm.messages import Chunk, Finished, Noted, TextDelta

STEPS = 100_000  # then nothing is said
MOST_CHARACTERS = 1_000_000  # of an answer
_DEEPEST = 60


def wants_json(form: Mapping[str, Any] | None) -> bool:
    return (form or {}).get("type") in ("json_object", "json_schema")


async def checked(stream: AsyncIterator[Chunk], form: Mapping[str, Any] | None) -> AsyncGenerator[Chunk, None]:
    """The stream, with a note before its end when the answer is not of the form that was asked for: JSON, or JSON of a
    schema (`response_format`). Closing it closes what it reads from."""
    described = (form or {}).get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    said, size = list[str](), 0
    try:
        async for chunk in stream:
            if isinstance(chunk, TextDelta) and size <= MOST_CHARACTERS:
                said.append(chunk.text)
                size += len(chunk.text)
            elif isinstance(chunk, Finished) and chunk.reason == "stop" and size <= MOST_CHARACTERS:
                problem = await asyncio.to_thread(problem_in, "".join(said), schema)
                if problem:
                    yield Noted("mismatch", f"The answer is not of the form that was asked for: {problem}.")
            yield chunk
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def problem_in(text: str, schema: Any) -> str:
    """The first thing that is wrong with an answer, by its path and with nothing of what it says; empty when nothing
    was found."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "it is no JSON"
    try:
        return _Check(schema).problem(value, schema, "$", 0)
    except _Enough:
        return ""


class _Enough(Exception):
    """There is more to look at than is looked at."""


class _Check:
    def __init__(self, root: Any) -> None:
        self._root, self._left = root, STEPS

    def problem(self, value: Any, schema: Any, path: str, depth: int) -> str:
        """What is wrong with `value`; empty when nothing is."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise _Enough
        if schema is False:
            return f"{path} may not be there"
        if not isinstance(schema, Mapping):
            return ""
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds] if isinstance(kinds, str) else []
        if kinds and not any(_IS.get(kind, _any)(value) for kind in kinds):
            return f"{path} is no {' or '.join(map(str, kinds))}"
        if isinstance(among := schema.get("enum"), list):
            self._left -= len(among)
            if not any(_same(value, one) for one in among):
                return f"{path} is none of the values that it may have"
        if "const" in schema and not _same(value, schema["const"]):
            return f"{path} is not the one value that it may have"
        where = value, schema, path, depth
        parts = (self._whole(*where), _of_a_value(value, schema, path), self._inside(*where))
        return next((found for part in parts for found in part if found), "")

    def _whole(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
        """By other schemas of the same value."""
        if isinstance(name := schema.get("$ref"), str):
            yield self.problem(value, self._at(name), path, depth + 1)
        for one in _list(schema.get("allOf")):
            yield self.problem(value, one, path, depth + 1)
        for word in ("anyOf", "oneOf"):
            if some := _list(schema.get(word)):
                found = [self.problem(value, one, path, depth + 1) for one in some]
                if all(found):
                    yield found[0] if len(found) == 1 else f"{path} is none of the kinds that it may be"

    def _inside(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
        if isinstance(value, dict):
            known, others = _mapping(schema.get("properties")), schema.get("additionalProperties", True)
            for name in _list(schema.get("required")):
                if name not in value:
                    yield f"{path} has no {shown(str(name), 40)}"
            for name, one in value.items():
                if name in known:
                    yield self.problem(one, known[name], _under(path, name), depth + 1)
                elif "patternProperties" not in schema:
                    yield self.problem(one, others, _under(path, "*"), depth + 1)
        if isinstance(value, list):
            first = _list(schema.get("prefixItems"))
            for place, one in enumerate(value):
                inner = first[place] if place < len(first) else schema.get("items", True)
                yield self.problem(one, inner, f"{path}[{place}]", depth + 1)

    def _at(self, name: str) -> Any:
        """What a reference within the schema names; anything goes where it is elsewhere, or nothing is there."""
        found = self._root
        if name != "#" and not name.startswith("#/"):
            return True
        for step in name.split("/")[1:]:
            found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"), True)
        return found


def _of_a_value(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """By how large it is."""
    if _is_number(value):
        for word, wrong in _LIMITS.items():
            if _is_number(edge := schema.get(word)) and wrong(value, edge):
                yield f"{path} is not within its limits ({word})"
        step = schema.get("multipleOf")
        if isinstance(value, int) and isinstance(step, int) and step > 0 and value % step:
            yield f"{path} is no multiple of {step}"
    for kind, unit in ((str, "Length"), (list, "Items"), (dict, "Properties")):
        if isinstance(value, kind):
            least, most = (schema.get(f"{end}{unit}") for end in ("min", "max"))
            if (isinstance(least, int) and len(value) < least) or (isinstance(most, int) and len(value) > most):
                yield f"{path} is too short or too long"
    if isinstance(value, list) and schema.get("uniqueItems") is True:
        different = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in value}
        if len(different) < len(value):
            yield f"{path} has something twice"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _any(_: Any) -> bool:
    return True


_IS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, edge: value < edge,
    "maximum": lambda value, edge: value > edge,
    "exclusiveMinimum": lambda value, edge: value <= edge,
    "exclusiveMaximum": lambda value, edge: value >= edge,
}


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _under(path: str, name: str) -> str:
    return f"{path}.{shown(name, 40)[1:-1]}" if len(path) < 400 else path
