"""Rules as JSON: what is refused, and where it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput
from engine.rules import notation
from engine.rules.expression import MOST_NESTING
from engine.rules.model import FieldExists, FieldGreaterThan

INSIDE = {"type": "FieldExists", "field": "a"}


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (None, "rule"),
        ([], "rule"),
        ({}, "rule.type"),
        ({"type": "FieldExist", "field": "a"}, "rule.type"),
        ({"type": ["FieldExists"], "field": "a"}, "rule.type"),
        ({"type": "FieldExists"}, "rule.field"),
        ({"type": "FieldExists", "field": ""}, "rule.field"),
        ({"type": "FieldExists", "field": 3}, "rule.field"),
        ({"type": "FieldEquals", "field": "a"}, "rule.value"),
        ({"type": "FieldGreaterThan", "field": "a", "value": "3"}, "rule.value"),
        ({"type": "FieldGreaterThan", "field": "a", "value": True}, "rule.value"),
        ({"type": "FieldLessThan", "field": "a", "value": float("nan")}, "rule.value"),
        ({"type": "FieldLessThan", "field": "a", "value": float("inf")}, "rule.value"),
        ({"type": "FieldContains", "field": "a"}, "rule.substring"),
        ({"type": "And", "rules": INSIDE}, "rule"),
        ({"type": "And", "rules": [INSIDE, {"type": "Not"}]}, "rule.rules[1].rule"),
        ({"type": "Or", "rules": [{"type": "Nor"}]}, "rule.rules[0].type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(source, path):
    with pytest.raises(InvalidInput) as caught:
        notation.read(source)
    assert caught.value.details["path"] == path


def test_an_unknown_kind_comes_with_the_nearest():
    with pytest.raises(InvalidInput, match=r"Did you mean FieldExists\?"):
        notation.read({"type": "fieldexist", "field": "a"})


def test_an_endless_kind_is_cut():
    with pytest.raises(InvalidInput) as caught:
        notation.read({"type": "x" * 1_000_000})
    assert len(str(caught.value)) < 400


def nested(depth):
    source = INSIDE
    for _ in range(depth):
        source = {"type": "Not", "rule": source}
    return source


def test_nesting_has_an_end():
    notation.read(nested(MOST_NESTING))
    with pytest.raises(InvalidInput, match="nested"):
        notation.read(nested(MOST_NESTING + 1))
    with pytest.raises(InvalidInput, match="nested"):
        notation.read(nested(20_000))


def test_the_kind_may_be_called_condition_type():
    assert notation.read({"conditionType": "FieldExists", "field": "a"}) == FieldExists("a")


def test_whole_numbers_stay_whole():
    assert repr(notation.read({"type": "FieldGreaterThan", "field": "a", "value": 80})) == repr(
        FieldGreaterThan("a", 80)
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.sampled_from(notation.TYPES),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "field", "value", "rules", "rule", "substring"]), inner, max_size=4
            )
        ),
    )
)
def test_whatever_comes_is_read_or_refused(source):
    try:
        rule = notation.read(source)
    except InvalidInput as error:
        assert error.details["path"].startswith("rule")  # noqa: PT017 - either may happen
    else:
        assert notation.read(notation.write(rule)) == rule or "nan" in repr(rule)
