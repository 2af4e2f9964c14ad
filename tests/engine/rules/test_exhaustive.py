"""Which guards leave no data without an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.evaluation import holds
from engine.rules.exhaustive import Coverage, exhaustive
from engine.rules.expression import parse
from engine.rules.model import FieldEquals, FieldGreaterThan, Not


@pytest.mark.parametrize(
    ("sources", "coverage"),
    [
        (["x < 5", "x >= 5"], Coverage.IF_PRESENT),
        (["x < 5", "!(x < 5)"], Coverage.FULL),
        (["x < 5", "x >= 5", "!has(x)"], Coverage.IF_PRESENT),
        (["x < 5", "x > 5"], Coverage.NO),
        (["x < 5", "x > 5", "x == 5"], Coverage.IF_PRESENT),
        (["x < 5", "x >= 4"], Coverage.IF_PRESENT),
        (["x < 5", "x > 4"], Coverage.IF_PRESENT),
        (["x <= 4", "x >= 5"], Coverage.NO),  # 4.5
        (["b == true", "b == false"], Coverage.IF_PRESENT),
        (["b", "!b"], Coverage.FULL),
        (["b == true", "b == true"], Coverage.NO),
        (["has(x)", "!has(x)"], Coverage.FULL),
        (['s == "a"', 's == "b"'], Coverage.NO),
        (['s == "a"', 's != "a"'], Coverage.IF_PRESENT),
        (['s == "a"', '!(s == "a")'], Coverage.FULL),
        (["a && b", "!a", "!b"], Coverage.FULL),
        (["a && b", "!a && !b"], Coverage.NO),
        (["a + b > 3", "!(a + b > 3)"], Coverage.FULL),
        (["a + b > 3", "a + b <= 3"], Coverage.NO),  # not proven: two expressions
        (['t.contains("x")', '!t.contains("x")'], Coverage.FULL),
        (["x == [1]", "!(x == [1])"], Coverage.FULL),
        (["x < 1 || x > 2", "x >= 1 && x <= 2"], Coverage.IF_PRESENT),
        (["x < 1 && y < 1", "x < 1 && y >= 1", "x >= 1"], Coverage.IF_PRESENT),
        (["amount <= 100", "amount > 100 && has(boss)"], Coverage.IF_PRESENT),
        (["amount <= 100", "amount > 100 && boss"], Coverage.NO),
        ([], Coverage.NO),
    ],
)
def test_it_says_how_much_is_covered(sources, coverage):
    assert exhaustive([parse(source) for source in sources]) is coverage


def test_numbers_that_are_none_prove_nothing():
    assert exhaustive([FieldGreaterThan("x", float("inf")), Not(FieldEquals("x", 1))]) is Coverage.NO


def test_too_many_combinations_prove_nothing():
    rules = [parse("&&".join(f"x{n} > {n}" for n in range(10)))]
    assert exhaustive([*rules, Not(rules[0])]) is Coverage.NO


ATOMS = st.sampled_from(
    ["x", "x < 1", "x <= 1", "x > 1", "x >= 2", "x == 1", 'x == "a"', "x == null", "has(x)", "y", "y < 0", "x != 2"]
)
SOURCES = st.recursive(
    ATOMS,
    lambda inner: (
        inner.map("!({})".format)
        | st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: "({} {} {})".format(*t))
    ),
    max_leaves=6,
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        name: st.none() | st.booleans() | st.floats(-3, 3) | st.integers(-3, 3) | st.sampled_from(["a", "b", [1], {}])
        for name in "xy"
    },
)


@given(st.lists(SOURCES, min_size=1, max_size=3), DATA)
def test_what_is_proven_is_so(sources, data):
    rules = [parse(source) for source in sources]
    if exhaustive(rules) is Coverage.FULL:
        assert any(holds(rule, data, {}) for rule in rules)
