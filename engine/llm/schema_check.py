"""What is wrong with a value by a JSON schema, as jsonschema finds it. It is imported when an answer is to be held
against a schema, and not before: by `engine.llm.schemas`.

Both come from outside, so some of what the library does is left out. It asks no network: references are followed
within the schema and to the specifications. It matches no regular expression, in which it could hang, and does without
what takes long for many values (`unevaluatedItems`) and what is inexact for fractions (`multipleOf`); where a schema
has such a word, those that turn what is right within into what is wrong without (`not`) are left out too. And looking
ends: each word asks whether there is time left. What is done between two words grows with the size of the schema or
of the value, which `engine.llm.schemas` bounds; how deep it goes is bounded by Python's stack.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import orjson
from jsonschema import Draft3Validator, Draft202012Validator, ValidationError
from jsonschema.validators import extend, validator_for
from jsonschema_specifications import REGISTRY
from referencing import Registry
from referencing.jsonschema import specification_with

from engine.kernel.errors import shown

Check = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]

SECONDS = 0.5  # of a processor, for the schema and for the value each
MOST_OF_A_PATH = 400

LEFT_OUT = {"format", "pattern", "patternProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"}
HALF_SEEN = {"multipleOf", "uniqueItems"}
TURNING = {"contains", "if", "not"}

SAID: Mapping[str | None, str] = {
    None: "may not be there",
    "additionalItems": "has more in it than it may have",
    "anyOf": "is none of the kinds that it may be",
    "const": "is not the one value that it may have",
    "contains": "has nothing of what must be in it",
    "dependencies": "lacks what belongs to something that it has",
    "dependentRequired": "lacks what belongs to something that it has",
    "enum": "is none of the values that it may have",
    "items": "has more in it than it may have",
    "maxContains": "has too much of what must be in it",
    "minContains": "has too little of what must be in it",
    "not": "is what it may not be",
    "oneOf": "is of more than one kind",
    "uniqueItems": "has something twice",
    **dict.fromkeys(("minItems", "minLength", "minProperties"), "is too short"),
    **dict.fromkeys(("maxItems", "maxLength", "maxProperties"), "is too long"),
}


class OutOfTime(Exception):
    """There is more to look at than is looked at."""


def problem_of(value: Any, schema: bytes) -> str:
    """The first thing that is wrong, by its path and with nothing of what the value says; empty when nothing was found.
    Raises OutOfTime, and whatever the library does over a schema that it cannot read."""
    root = orjson.loads(schema)
    draft = validator_for(root, default=Draft202012Validator)
    bare = _bare(root)
    if draft is Draft3Validator or b'"$schema"' in orjson.dumps(bare) or not _is_sound(schema):
        return ""
    error = next(_checker(draft, schema)(bare, registry=_specifications()).iter_errors(value), None)
    return _said(error, schema) if error else ""


@lru_cache(16)
def _is_sound(schema: bytes) -> bool:
    """Whether it is a schema at all, by the draft that it names. It takes longer than to look at most answers."""
    root = orjson.loads(schema)
    draft = validator_for(root, default=Draft202012Validator)
    meta = _checker(draft, schema)(_bare(draft.META_SCHEMA), registry=_specifications())
    return bool(meta.is_valid(_bare(root)))


def _checker(draft: Any, schema: bytes) -> Any:
    """The library's class for a draft, with our words in it, that has its time from now on."""
    ends = time.thread_time() + SECONDS
    in_doubt = any(b'"%b"' % word.encode() in schema for word in LEFT_OUT | HALF_SEEN)
    words = draft.VALIDATORS | {"additionalProperties": _others(draft), "anyOf": _any_of, "uniqueItems": _unique}
    words |= {"multipleOf": _multiple, "oneOf": _any_of if in_doubt else _one_of}
    words |= dict.fromkeys(LEFT_OUT | TURNING if in_doubt else LEFT_OUT, _nothing)
    return extend(draft, {word: _until(ends, check) for word, check in words.items()})


def _until(ends: float, check: Check) -> Check:
    def step(checker: Any, wanted: Any, value: Any, schema: Any) -> Iterable[ValidationError] | None:
        if time.thread_time() > ends:
            raise OutOfTime
        return check(checker, wanted, value, schema)

    return step


def _nothing(checker: Any, wanted: Any, value: Any, schema: Any) -> None:
    pass


def _others(draft: Any) -> Check:
    """`additionalProperties` are those that match no regular expression either."""

    def others(checker: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if "patternProperties" not in schema:
            yield from draft.VALIDATORS["additionalProperties"](checker, wanted, value, schema)

    return others


# The library's own keep every error of every kind, each with the value written out in it.
def _any_of(checker: Any, kinds: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not any(checker.evolve(schema=kind).is_valid(value) for kind in kinds):
        yield ValidationError("", validator="anyOf")


def _one_of(checker: Any, kinds: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    found = sum(checker.evolve(schema=kind).is_valid(value) for kind in kinds)
    if found != 1:
        yield ValidationError("", validator="oneOf" if found else "anyOf")


def _multiple(checker: Any, step: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Of whole numbers: 0.07 is a multiple of 0.01, and its float is not."""
    if type(value) is int and type(step) is int and value % step:
        yield ValidationError("")


def _unique(checker: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """By how they are written: the library compares each with each."""
    if wanted is True and isinstance(value, list):
        different = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in value}
        if len(different) < len(value):
            yield ValidationError("")


@cache
def _specifications() -> Any:
    """The drafts' own schemas, bare as well."""
    found = {uri: REGISTRY[uri].contents for uri in REGISTRY}
    return Registry().with_resources(
        (uri, specification_with(one["$schema"]).create_resource(_bare(one))) for uri, one in found.items()
    )


def _bare(schema: Any) -> Any:
    """Without the name of its draft, at which the library goes on with its own class."""
    return {name: one for name, one in schema.items() if name != "$schema"} if isinstance(schema, Mapping) else schema


def _said(error: ValidationError, schema: bytes) -> str:
    path, word, wanted = "$", error.validator, error.validator_value
    for step in error.absolute_path:
        path += f"[{step}]" if isinstance(step, int) else f".{_name(step, schema)}"
    path = path if len(path) <= MOST_OF_A_PATH else f"{path[:MOST_OF_A_PATH]}…"
    match word:
        case "type":
            return f"{path} is no {' or '.join([wanted] if isinstance(wanted, str) else wanted)}"
        case "required":
            return f"{path} has no {shown(next(name for name in wanted if name not in error.instance), 40)}"
        case "additionalProperties":
            return f"{path}.* may not be there"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{path} is not within its limits ({word})"
        case "multipleOf":
            return f"{path} is no multiple of {wanted}"
        case _:
            return f"{path} {SAID.get(word, 'is not as it must be')}"


def _name(name: str, schema: bytes) -> str:
    """A name that the schema does not have is the answer's."""
    return shown(name, 40)[1:-1] if orjson.dumps(name) in schema else "*"
