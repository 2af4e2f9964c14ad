"""Answers that are to be JSON of a schema: what is said of those that are not, and that it is never said wrongly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.llm.messages import ChatMessage, ChatRequest, Finished, Noted, Sampling, TextDelta, Usage
from engine.llm.schemas import STEPS, problem_in
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
        ({"name": ""}, "$.name is too short or too long"),
        ({"name": "Ada", "age": True}, "$.age is no integer"),
        ({"name": "Ada", "age": 1.5}, "$.age is no integer"),
        ({"name": "Ada", "age": -1}, "$.age is not within its limits (minimum)"),
        ({"name": "Ada", "more": 1}, "$.* may not be there"),
        ({"name": "Ada", "tags": ["a", "c"]}, "$.tags[1] is none of the values that it may have"),
        ({"name": "Ada", "tags": ["a", "a"]}, "$.tags has something twice"),
        ({"name": "Ada", "boss": {"age": 1}}, "$.boss is none of the kinds that it may be"),
        ({"name": "Ada", "at": [1, 2]}, "$.at[1] is not the one value that it may have"),
        ({"name": "Ada", "at": [1, 1, 1]}, "$.at[2] may not be there"),
    ],
)
def test_the_first_thing_that_is_wrong_is_said_by_its_path(answer, problem):
    assert problem_in(json.dumps(answer), PERSON) == problem


def test_words_around_it_make_it_no_json():
    assert problem_in("Sure! {}", None) == "it is no JSON"
    assert problem_in("{}", None) == ""


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(a+)+$", "format": "email"},
        {"not": {"pattern": "x"}},
        {"if": {"type": "string"}, "then": False},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/nothing/here"},
        {"$ref": "#"},
        {"type": "uuid"},
        {"type": 7, "enum": 3, "properties": [], "required": "name", "anyOf": {}, "minLength": "x"},
    ],
)
def test_what_is_not_looked_at_is_no_problem(schema):
    assert problem_in('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"', schema) == ""


def test_a_schema_that_doubles_with_each_step_ends():
    names = [f"a{number}" for number in range(50)]
    doubled = {
        name: {"anyOf": [{"$ref": f"#/$defs/{after}"}] * 2}
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    }
    schema = {"$ref": "#/$defs/a0", "$defs": {**doubled, "end": {"type": "object"}}}
    assert problem_in("1", schema) == ""
    assert problem_in(json.dumps([1] * (STEPS + 1)), {"items": {"type": "object"}}) == "$[0] is no object"
    assert problem_in(json.dumps([1] * (STEPS + 1)), {"items": {"type": "integer"}}) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_any_schema_and_any_answer_come_to_an_end_and_what_is_asked_for_is_right(answer, schema):
    problem_in(json.dumps(answer), schema)
    assert problem_in(json.dumps(answer), {"const": answer, "enum": [answer]}) == ""


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
