"""Rules: total, explained, and true to JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import notation
from engine.rules.evaluation import MISSING, evaluate, holds, same_json, value_of
from engine.rules.model import (
    And,
    FieldContains,
    FieldEquals,
    FieldExists,
    FieldGreaterThan,
    FieldLessThan,
    Not,
    Or,
)

NAMES = st.sampled_from(["a", "b", "a.b", "data.a", "metadata.b", "data", "metadata", "a.b.a", ".", "a.", "..a"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | NAMES, inner, max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=3) | NAMES, JSON, max_size=4)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
RULES = st.recursive(
    st.builds(FieldExists, NAMES)
    | st.builds(FieldEquals, NAMES, JSON)
    | st.builds(FieldGreaterThan, NAMES, NUMBERS)
    | st.builds(FieldLessThan, NAMES, NUMBERS)
    | st.builds(FieldContains, NAMES, st.text(min_size=1, max_size=3)),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(RULES, OBJECTS, OBJECTS)
def test_every_rule_over_every_data_gives_an_answer_with_a_reason(rule, data, metadata):
    answer = evaluate(rule, data, metadata)
    assert isinstance(answer.passed, bool)
    assert holds(rule, data, metadata) is answer.passed
    assert answer.reason


@given(RULES, OBJECTS, OBJECTS)
def test_the_laws_of_logic_hold(rule, data, metadata):
    answer = evaluate(rule, data, metadata).passed
    assert evaluate(Not(rule), data, metadata).passed is not answer
    assert evaluate(Not(Not(rule)), data, metadata).passed is answer
    assert evaluate(And((rule,)), data, metadata).passed is answer
    assert evaluate(Or((rule,)), data, metadata).passed is answer
    assert not evaluate(And((rule, Not(rule))), data, metadata).passed
    assert evaluate(Or((rule, Not(rule))), data, metadata).passed


@given(RULES)
def test_what_is_written_is_read_back(rule):
    assert notation.read(notation.write(rule)) == rule


@pytest.mark.parametrize(
    ("rule", "passed", "reason"),
    [
        (FieldExists("score"), True, "score is there"),
        (FieldExists("none"), True, "none is there"),
        (FieldExists("nothing"), False, "nothing is missing"),
        (FieldEquals("score", 72), True, "score is 72"),
        (FieldEquals("score", 80), False, "score is 72, not 80"),
        (FieldEquals("none", None), True, "none is null"),
        (FieldGreaterThan("score", 80), False, "score 72 ≤ 80"),
        (FieldGreaterThan("score", 71.5), True, "score 72 > 71.5"),
        (FieldLessThan("score", 80), True, "score 72 < 80"),
        (FieldLessThan("score", 72), False, "score 72 ≥ 72"),
        (FieldGreaterThan("title", 1), False, 'title is "Plan", which is not a number'),
        (FieldGreaterThan("yes", 0), False, "yes is true, which is not a number"),
        (FieldContains("title", "la"), True, 'title contains "la"'),
        (FieldContains("score", "7"), False, "score is 72, which is not a text"),
        (FieldEquals("document.type", "memo"), True, 'document.type is "memo"'),
        (FieldEquals("priority", "high"), True, 'priority is "high"'),
        (FieldEquals("metadata.priority", "high"), True, 'metadata.priority is "high"'),
        (FieldEquals("data.score", 72), True, "data.score is 72"),
        (And((FieldExists("score"), FieldExists("x"), FieldExists("y"))), False, "x is missing; y is missing"),
        (Or((FieldExists("x"), FieldExists("y"))), False, "x is missing and y is missing"),
        (Not(FieldExists("x")), True, "x is missing"),
        (And(()), True, "there is no rule to ask"),
        (Or(()), False, "there is no rule to ask"),
    ],
)
def test_answers_come_with_their_reason(rule, passed, reason):
    data = {"score": 72, "title": "Plan", "yes": True, "none": None, "document": {"type": "memo"}}
    answer = evaluate(rule, data, {"priority": "high"})
    assert (answer.passed, answer.reason) == (passed, reason)


def test_long_values_are_cut_in_reasons():
    assert len(evaluate(FieldEquals("a", "y" * 10_000), {"a": "x" * 10_000}, {}).reason) < 120


def test_parts_are_explained_one_by_one():
    answer = evaluate(And((FieldExists("a"), Not(FieldExists("a")))), {"a": 1}, {})
    assert [part.passed for part in answer.parts] == [True, False]
    assert answer.parts[1].parts[0].passed


def test_a_key_with_a_dot_is_found_before_a_path():
    assert value_of("a.b", {"a.b": 1, "a": {"b": 2}}, {}) == 1
    assert value_of("a.b", {"a": {"b": 2}}, {}) == 2
    assert value_of("a.b.c", {"a": {"b": 2}}, {}) is MISSING


def test_data_that_has_a_field_data_keeps_it():
    assert value_of("data.x", {"data": {"x": 1}, "x": 2}, {}) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ([True], [1], False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": [0]}, {"a": [0.0]}, True),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ([], {}, False),
    ],
)
def test_equality_is_that_of_json(one, other, same):
    assert same_json(one, other) is same
    assert same_json(other, one) is same


@given(JSON)
def test_equality_is_reflexive(value):
    assert same_json(value, value)
