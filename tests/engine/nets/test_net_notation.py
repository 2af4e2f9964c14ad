"""Workflows as JSON: both dialects, every error with its path, and there and back again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import assets
from engine.kernel.errors import InvalidInput
from engine.nets import notation
from engine.nets.firing import availability
from engine.nets.model import Arc
from engine.nets.notation.words import TRANSITION, WORKFLOW
from engine.nets.token import Token
from engine.rules.model import And, FieldEquals, FieldExists, FieldGreaterThan
from tests.support import APPROVAL, FORK, NOON


def one(**transition):
    return {"name": "W", "places": ["a", "b", "c"], "transitions": [{"id": "t", **transition}]}


def read_one(**transition):
    return notation.read(one(**transition)).net.transitions[0]


# -- dialects ---------------------------------------------------------------------------------------------------------


def snake(value):
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(item) for key, item in value.items()}
    return [snake(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("source", [APPROVAL, FORK, one(fromStates=["a"], toState="b", inhibitors=["c"])])
def test_snake_and_camel_case_are_the_same(source):
    assert notation.read(snake(json.loads(json.dumps(source)))) == notation.read(source)


def test_states_and_places_are_the_same():
    states = {"name": "W", "states": ["a", "b"], "initialState": "b", "finalStates": ["a"], "transitions": []}
    places = {"name": "W", "places": ["a", "b"], "initialPlace": "b", "finalPlaces": ["a"], "transitions": []}
    assert notation.read(states) == notation.read(places)
    assert read_one(fromStates=["a", "b"], toState="c") == read_one(from_places=["a", "b"], to_place="c")


def test_any_of_and_join_differ():
    any_of, join = read_one(fromStates=["a", "b"]), read_one(inputs=["a", "b"])
    assert (any_of.sources, any_of.inputs) == (("a", "b"), ())
    assert (join.sources, join.inputs) == ((), (Arc("a"), Arc("b")))


def test_one_name_alone_is_a_list_of_one():
    assert read_one(fromStates="a").sources == ("a",)


def test_arcs_may_have_weights():
    assert read_one(outputs=["a", {"place": "b", "weight": 3}]).outputs == (Arc("a"), Arc("b", 3))
    assert read_one(toState="c", outputs=["a"]).outputs == (Arc("c"), Arc("a"))


def test_the_first_place_is_the_beginning_unless_said_otherwise():
    assert notation.read(one()).net.initial == {"a": 1}
    marking = [{"place": "b", "tokens": 2}, {"place": "c", "tokens": 0}, {"place": "b", "tokens": 1}]
    assert notation.read(one() | {"initialMarking": marking}).net.initial == {"b": 3}


def test_places_that_nothing_leaves_are_final_unless_said_otherwise():
    assert notation.read(one(fromStates=["a"], toState="b")).net.final == {"b", "c"}
    assert notation.read(one() | {"finalPlaces": []}).net.final == frozenset()


def test_conditions_and_a_rule_must_all_hold():
    rule = {"type": "FieldExists", "field": "x"}
    assert read_one(conditions=["a"]).guard == FieldEquals("a", True)
    assert read_one(rule=rule).guard == FieldExists("x")
    assert read_one(conditions=["a", "b > 1"], rule=rule).guard == And(
        (FieldEquals("a", True), FieldGreaterThan("b", 1), FieldExists("x"))
    )
    assert read_one().guard is None


def test_an_empty_text_is_no_text():
    source = one(name="", description="", toState="") | {"id": "", "description": "", "initialState": ""}
    assert notation.read(source) == notation.read(one())


def test_a_condition_may_be_the_name_of_a_rule():
    source = one(conditions=["big", "x"]) | {
        "rules": {"big": "amount > 100", "open": {"type": "FieldExists", "field": "o"}}
    }
    found = notation.read(source)
    assert found.net.transitions[0].guard == And((FieldGreaterThan("amount", 100), FieldEquals("x", True)))
    assert found.net.transitions[0].conditions == ("big", "x")
    assert notation.write(found)["rules"] == source["rules"]
    assert notation.read(notation.write(found)) == found


def test_a_named_rule_comes_back_beside_a_structured_one():
    rule = {"type": "FieldExists", "field": "z"}
    source = one(conditions=["big"], rule=rule) | {"rules": {"big": "amount > 100"}}
    found = notation.read(source)
    assert found.net.transitions[0].guard == And((FieldGreaterThan("amount", 100), FieldExists("z")))
    assert notation.write(found)["transitions"][0]["rule"] == rule


def test_fields_to_search_by_are_kept():
    found = notation.read(one() | {"indexes": ["customer", "metadata.team"]})
    assert found.indexes == ("customer", "metadata.team")
    assert notation.read(notation.write(found)) == found
    assert notation.read(one()).indexes == ()


def test_a_guard_sees_the_marking():
    net = notation.read(one(inputs=["a"], outputs=["b"], conditions=["marking.a > 1"])).net
    for tokens in (1, 2):
        token = Token("x", "w", {"a": tokens}, {}, {}, 1, NOON, NOON)
        assert availability(net, token)[0].enabled is (tokens == 2)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"id": 3}, "id"),
        ({"places": []}, "places"),
        ({"places": None}, "places"),
        ({"places": "a"}, "states"),
        ({"places": [3]}, "states[0]"),
        ({"places": ["a", {"id": "b", "nam": "x"}]}, "states[1].nam"),
        ({"places": [{"id": "b", "metadata": []}]}, "states[0].metadata"),
        ({"states": ["a"]}, "places"),
        ({"colour": 1}, "colour"),
        ({"transitions": [3]}, "transitions[0]"),
        ({"transitions": [{}]}, "transitions[0].id"),
        ({"transitions": [{"id": "t", "from": "a"}]}, "transitions[0].from"),
        ({"transitions": [{"id": "t", "inputs": [{"place": "a", "weight": 0}]}]}, "transitions[0].inputs[0].weight"),
        ({"transitions": [{"id": "t", "inputs": [{"weight": 1}]}]}, "transitions[0].inputs[0].place"),
        ({"transitions": [{"id": "t", "reads": [{"place": "a", "weight": 10**30}]}]}, "transitions[0].reads[0].weight"),
        ({"transitions": [{"id": "t", "reads": [{"place": "a", "weight": True}]}]}, "transitions[0].reads[0].weight"),
        ({"transitions": [{"id": "t", "conditions": ["a", "b >"]}]}, "transitions[0].conditions[1]"),
        ({"transitions": [{"id": "t", "rule": {"type": "Not"}}]}, "transitions[0].rule.rule"),
        ({"transitions": [{"id": "t", "fromStates": ["a"], "fromPlaces": ["b"]}]}, "transitions[0].fromPlaces"),
        ({"transitions": [{"id": "t", "toState": "a", "to_state": "b"}]}, "transitions[0].toState"),
        ({"initialMarking": [{"place": "a", "tokens": -1}]}, "initialMarking[0].tokens"),
        ({"initialMarking": [{"place": "a", "tokens": 1}], "initialState": "b"}, "initialMarking"),
        ({"transitions": [{"id": "t"}] * 20_001}, "transitions"),
        ({"metadata": "x"}, "metadata"),
        ({"rules": ["x"]}, "rules"),
        ({"rules": {"1x": "a"}}, "rules"),
        ({"rules": {"big": "a >"}}, "rules.big"),
        ({"rules": {"big": {"type": "Not"}}}, "rules.big.rule"),
        ({"rules": {"big": 3}}, "rules.big"),
        ({"indexes": ["a b"]}, "indexes[0]"),
        ({"indexes": ["a", "a"]}, "indexes[1]"),
        ({"indexes": [f"f{n}" for n in range(21)]}, "indexes"),
        ({"transitions": [{"id": "t", "conditions": ["a"] * 101}]}, "transitions[0].conditions"),
    ],
)
def test_each_error_names_the_field(change, path):
    with pytest.raises(InvalidInput) as caught:
        notation.read(one() | change)
    assert caught.value.details["path"] == path
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("source", [None, [], "x", 3])
def test_what_is_no_object_is_refused(source):
    with pytest.raises(InvalidInput, match="not an object"):
        notation.read(source)


def test_a_misspelt_field_comes_with_the_nearest():
    with pytest.raises(InvalidInput, match=r"Did you mean toState\?"):
        notation.read(one(toSate="b"))


FIELDS = [*WORKFLOW, *TRANSITION, "place", "tokens", "weight", "type", "field"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["a", "b"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
        ),
    )
)
def test_whatever_comes_is_read_or_refused(source):
    try:
        found = notation.read({"name": "W", "places": ["a", "b"]} | source)
    except InvalidInput as error:
        assert "path" in error.details  # noqa: PT017 - either may happen
    else:
        assert notation.read(notation.write(found)) == found


# -- there and back ---------------------------------------------------------------------------------------------------

NAME = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=8)
IDS = st.sampled_from(["a", "b", "c"])
ARC = IDS | st.fixed_dictionaries({"place": IDS}, optional={"weight": st.integers(1, 9)})
CONDITION = st.sampled_from(["x", "score >= 80", "a && b", 'has(x) || y == "z"', "n == 1", "n == true"])
TRANSITION = st.fixed_dictionaries(
    {"id": NAME},
    optional={
        "name": NAME,
        "description": NAME,
        "fromStates": st.lists(IDS, max_size=2),
        "toState": IDS,
        "inputs": st.lists(ARC, max_size=2),
        "outputs": st.lists(ARC, max_size=2),
        "reads": st.lists(ARC, max_size=2),
        "inhibitors": st.lists(ARC, max_size=2),
        "resets": st.lists(IDS, max_size=2),
        "conditions": st.lists(CONDITION, max_size=3),
        "rule": st.sampled_from(
            [
                {"type": "FieldExists", "field": "x"},
                {"type": "And", "rules": []},
                {"type": "Not", "rule": {"type": "FieldEquals", "field": "x", "value": None}},
                {"type": "And", "rules": [{"type": "FieldEquals", "field": "a", "value": True}]},
            ]
        ),
    },
)
WORKFLOW = st.fixed_dictionaries(
    {"name": NAME, "places": st.lists(IDS | st.fixed_dictionaries({"id": IDS, "name": NAME}), min_size=1, max_size=4)},
    optional={
        "id": NAME,
        "description": NAME,
        "initialMarking": st.lists(st.fixed_dictionaries({"place": IDS, "tokens": st.integers(1, 3)}), max_size=3),
        "finalPlaces": st.lists(NAME, max_size=2),
        "transitions": st.lists(TRANSITION, max_size=3),
        "metadata": st.dictionaries(NAME, st.integers() | st.none()),
    },
)


@given(WORKFLOW)
def test_what_is_written_is_read_back_and_is_json(source):
    found = notation.read(source)
    written = json.loads(json.dumps(notation.write(found)))
    assert notation.read(written) == found
    assert notation.write(notation.read(written)) == written


@pytest.mark.parametrize("file", sorted((assets.folder() / "workflows").glob("*.json")), ids=lambda file: file.stem)
def test_the_examples_come_back(file):
    found = notation.read(json.loads(file.read_text()))
    assert notation.read(notation.write(found)) == found


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Document Approval", "document_approval"), ("  ÄÖ!", "workflow"), ("a--b", "a_b"), ("x" * 200, "x" * 80)],
)
def test_a_slug_comes_from_a_name(name, slug):
    assert notation.slug(name) == slug
