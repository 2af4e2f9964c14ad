"""Answers that are to be JSON of a schema: what is said of those that are not, and that it is never said wrongly."""

import json
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.kernel.caller import PROGRAM
from engine.llm.messages import ChatMessage, ChatRequest, Finished, Noted, Sampling, TextDelta, Usage
from engine.llm.schemas import MOST_CHARACTERS, problem_in
from engine.store.memory.store import MemoryStore
from tests.support import ScriptedProvider, llm_of, model

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "maxItems": 2},
        "boss": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
        "at": {"$ref": "#/$defs/place"},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "array", "prefixItems": [{"type": "number"}, {"const": 1}], "items": False}},
}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"name": "Ada", "age": 36.0, "tags": ["a", "b"], "boss": {"name": "Bob"}, "at": [1.5, 1]}, ""),
        ([], "$ is no object"),
        ({}, "$ has no 'name'"),
        ({"name": ""}, "$.name is too short"),
        ({"name": "Ada", "age": True}, "$.age is no integer"),
        ({"name": "Ada", "age": 1.5}, "$.age is no integer"),
        ({"name": "Ada", "age": -1}, "$.age is not within its limits (minimum)"),
        ({"name": "Ada", "more": 1}, "$.* may not be there"),
        ({"name": "Ada", "tags": ["a", "c"]}, "$.tags[1] is none of the values that it may have"),
        ({"name": "Ada", "tags": ["a", "a"]}, "$.tags has something twice"),
        ({"name": "Ada", "tags": ["a", "b", "c"]}, "$.tags[2] is none of the values that it may have"),
        ({"name": "Ada", "boss": {"name": 1}}, "$.boss is none of the kinds that it may be"),
        ({"name": "Ada", "boss": {"age": 1}}, "$.boss is none of the kinds that it may be"),
        ({"name": "Ada", "at": [1, 2]}, "$.at[1] is not the one value that it may have"),
        ({"name": "Ada", "at": [1, 1, 1]}, "$.at has more in it than it may have"),
    ],
)
def test_the_first_thing_that_is_wrong_is_said_by_its_path(answer, problem):
    assert problem_in(json.dumps(answer), PERSON) == problem


def test_words_around_it_make_it_no_json():
    assert problem_in("Sure! {}", None) == "it is no JSON"
    assert problem_in("{}", None) == ""


@pytest.mark.parametrize(
    ("schema", "answer", "problem"),
    [
        ({"type": ["object", "null"]}, 1, "$ is no object or null"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, 2, "$ is of more than one kind"),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "x", "$ is none of the kinds that it may be"),
        ({"not": {"const": 1}}, 1, "$ is what it may not be"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "$ has no 'b'"),
        ({"contains": {"const": 1}}, [2], "$ has nothing of what must be in it"),
        ({"contains": {"const": 1}, "maxContains": 1}, [1, 1], "$ has too much of what must be in it"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "$ lacks what belongs to something that it has"),
        ({"multipleOf": 5}, 7, "$ is no multiple of 5"),
        ({"additionalProperties": {"type": "null"}}, {"secret": 1}, "$.* is no null"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"maxProperties": 0}}}, {"a": 1}, "$ is too long"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}], "additionalItems": False},
            [1, 2],
            "$ has more in it than it may have",
        ),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": {"$ref": "#"}, "maxItems": 1}, [[1, 2]], ""),
        (False, 1, "$ may not be there"),
    ],
)
def test_words_of_schemas(schema, answer, problem):
    if problem:
        assert problem_in(json.dumps(answer), schema) == problem
    else:
        assert problem_in(json.dumps(answer), schema).startswith("$[0] ")


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(a+)+$", "format": "email"},
        {"patternProperties": {"(a+)+$": False}, "propertyNames": {"pattern": "(a+)+$"}},
        {"allOf": [{"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "(a+)+$"}]},
        {"not": {"pattern": "x"}},
        {"oneOf": [{"pattern": "x"}, {"format": "email"}, True]},
        {"if": {"format": "email"}, "then": False},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/nothing/here"},
        {"$ref": "#"},
        {"$ref": "http://["},
        {"type": "uuid"},
        {"type": 7},
        {"type": "number", "anyOf": []},
        {"required": "name", "enum": "other"},
        {"enum": 3, "properties": [], "required": "name", "anyOf": {}, "minLength": "x"},
        {"$schema": ["x"]},
        {"$schema": "http://json-schema.org/draft-03/schema#", "disallow": "string"},
        {7: "no text"},
        [],
        "string",
    ],
)
def test_what_is_not_looked_at_is_no_problem(schema):
    assert problem_in('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"', schema) == ""


def test_names_that_match_an_expression_may_be_there():
    schema = {"patternProperties": {"^x": {}}, "additionalProperties": False}
    assert problem_in('{"x1": 1}', schema) == ""
    schema = {"patternProperties": {"(a+)+$": {}}, "additionalProperties": False, "unevaluatedProperties": False}
    assert problem_in(json.dumps({"a" * 40 + "!": 1}), schema) == ""


def test_a_fraction_is_a_multiple_of_another():
    assert problem_in("0.07", {"multipleOf": 0.01}) == ""


def test_a_reference_to_elsewhere_is_not_asked_for():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema"
        assert problem_in("1", {"$id": address, "$ref": "other"}) == ""
        assert problem_in("1", {"$ref": address}) == ""
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_schema_of_schemas_is_followed():
    asked = {"properties": {"type": {}}, "$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert problem_in('{"type": 7}', asked) == "$.type is none of the kinds that it may be"
    assert problem_in('{"type": "string"}', asked) == ""


def doubled(word: str) -> dict[str, object]:
    names = [f"a{number}" for number in range(50)]
    steps = {
        name: {word: [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in zip(names, [*names[1:], "end"], strict=True)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**steps, "end": {"type": "object"}}}


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_a_schema_that_doubles_with_each_step_ends(word):
    assert problem_in("1", doubled(word)) == ""


@pytest.mark.parametrize(
    ("answer", "schema"),
    [
        ([{"a": number} for number in range(15_000)], {"uniqueItems": True}),
        (list(range(20_000)), {"items": {"enum": [f"a{number}" for number in range(15_000)] + list(range(5_000))}}),
        ({f"a{number}": 1 for number in range(15_000)}, {"allOf": [{}], "unevaluatedProperties": False}),
        (1, {"type": [[number] if number % 2 else [str(number)] for number in range(20_000)]}),
        ("a" * 190_000, {"anyOf": [{"type": "object"}] * 8_000}),
    ],
)
def test_much_to_look_at_ends(answer, schema):
    written = json.dumps(answer)
    assert len(written) < MOST_CHARACTERS > len(json.dumps(schema))
    problem_in(written, schema)


def test_what_is_too_large_or_too_deep_is_not_looked_at():
    assert problem_in(json.dumps("a" * MOST_CHARACTERS), {"description": "a" * MOST_CHARACTERS, "type": "null"}) == ""
    nested: object = {"type": "null"}
    for _ in range(300):
        nested = {"items": nested}
    assert problem_in("[" * 299 + "]" * 299, nested) == ""
    assert problem_in("[" * 500 + "]" * 500, {"items": {"$ref": "#"}}) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_any_schema_and_any_answer_come_to_an_end_and_what_is_asked_for_is_right(answer, schema):
    problem_in(json.dumps(answer), schema)
    assert problem_in(json.dumps(answer), {"const": answer, "enum": [answer]}) == ""


NAMES = st.sampled_from(["a", "b", "secret"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, 0.07, "", "a", "secret"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
SMALL = st.integers(0, 2)


PATTERNS = st.sampled_from(["a", "^s", "^$"])
ALONE = {
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxContains"), SMALL),
    **dict.fromkeys(("minimum", "exclusiveMaximum"), st.integers(-1, 1)),
    "type": KINDS | st.lists(KINDS, min_size=1, max_size=2, unique=True),
    "const": VALUES,
    "enum": st.lists(VALUES, max_size=3),
    "required": st.lists(NAMES, max_size=2, unique=True),
}
LEFT_OUT = {
    "pattern": PATTERNS,
    "patternProperties": st.dictionaries(PATTERNS, st.booleans(), min_size=1, max_size=2),
    "propertyNames": st.fixed_dictionaries({"pattern": PATTERNS}),
    "multipleOf": st.sampled_from([0.01, 0.5, 2]),
    "uniqueItems": st.booleans(),
    "unevaluatedProperties": st.booleans(),
}


def some(words: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[object]:
    pairs = st.sampled_from(sorted(words)).flatmap(lambda word: st.tuples(st.just(word), words[word]))
    return st.lists(pairs, min_size=1, max_size=2).map(dict)


def around(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    few, named = st.lists(inner, min_size=1, max_size=2), st.dictionaries(NAMES, inner, min_size=1, max_size=2)
    return some(
        {
            **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), few),
            **dict.fromkeys(("properties", "dependentSchemas"), named),
            **dict.fromkeys(("additionalProperties", "items", "contains", "not", "if", "then", "else"), inner),
        }
    )


def both(two: tuple[dict[str, object], dict[str, object]]) -> dict[str, object]:
    return {**two[0], **two[1]}


LOOKED_AT = st.recursive(some(ALONE) | st.booleans(), around, max_leaves=4)
DOUBTED = st.recursive(some(LEFT_OUT) | some(ALONE), around, max_leaves=3)


@settings(max_examples=300)
@given(VALUES, LOOKED_AT)
def test_what_is_said_is_what_the_library_says_of_it_by_itself(answer, schema):
    assert bool(problem_in(json.dumps(answer), schema)) is not Draft202012Validator(schema).is_valid(answer)


@settings(max_examples=300)
@given(VALUES, st.tuples(around(DOUBTED), around(DOUBTED)).map(both))
@example("a", {"not": {"pattern": "b"}})
@example({"a": 1}, {"patternProperties": {"a": True}, "additionalProperties": False})
def test_with_words_that_are_left_out_there_is_no_false_alarm(answer, schema):
    if problem_in(json.dumps(answer), schema):
        assert not Draft202012Validator(schema).is_valid(answer)


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=2), around(LOOKED_AT))
@example({"secret": {"a": 1}}, {"additionalProperties": {"properties": {"a": {"const": 2}}}})
def test_nothing_of_an_answer_is_said_that_its_schema_does_not_have(answer, schema):
    if "secret" not in json.dumps(schema):
        assert "secret" not in problem_in(json.dumps(answer), schema)


async def asked(bus, clock, said: str, form: object, finish: str = "stop"):
    script = [TextDelta(said[:3]), TextDelta(said[3:]), Finished(finish, Usage(1))]
    provider = ScriptedProvider("a", [model("a", "one", abilities={"chat", "json"})], [script])
    llm = await llm_of([provider], MemoryStore().journal, bus, clock.world)
    found = await llm.chat(
        ChatRequest("one", (ChatMessage.of("user", "Who?"),), Sampling(response_format=form)), PROGRAM
    )
    whole = await found.whole()
    assert (whole.text, provider.open) == (said, 0)
    return found, whole


async def test_an_answer_that_is_not_of_its_schema_is_passed_on_and_noted(bus, clock):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    found, whole = await asked(bus, clock, '{"name": "Ada", "age": "secret"}', form)
    note = Noted("mismatch", "The answer is not of the form that was asked for: $.age is no integer.")
    assert whole.notes == (note,)
    assert found.record.warnings == (note.text,)


@pytest.mark.parametrize(
    ("said", "form", "finish"),
    [
        ('{"name": "Ada"}', {"type": "json_schema", "json_schema": {"schema": PERSON}}, "stop"),
        ('{"name": ', {"type": "json_schema", "json_schema": {"schema": PERSON}}, "length"),
        ("in words", {"type": "text"}, "stop"),
        ("in words", None, "stop"),
    ],
)
async def test_other_answers_are_not_noted(bus, clock, said, form, finish):
    _, whole = await asked(bus, clock, said, form, finish)
    assert whole.notes == ()


async def test_json_without_a_schema_is_to_be_json(bus, clock):
    _, whole = await asked(bus, clock, "```json\n{}\n```", {"type": "json_object"})
    assert [note.code for note in whole.notes] == ["mismatch"]
