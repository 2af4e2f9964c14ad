"""Conditions as people write them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput
from engine.rules import parsing
from engine.rules.evaluation import evaluate
from engine.rules.expression import MOST_CHARACTERS, MOST_NESTING, parse
from engine.rules.model import (
    And,
    Expression,
    FieldContains,
    FieldEquals,
    FieldExists,
    FieldGreaterThan,
    FieldLessThan,
    Not,
    Or,
)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("score > 80", FieldGreaterThan("score", 80)),
        ("score < -1.5e3", FieldLessThan("score", -1500.0)),
        ("score >= 80", Or((FieldGreaterThan("score", 80), FieldEquals("score", 80)))),
        ("score <= 80", Or((FieldLessThan("score", 80), FieldEquals("score", 80)))),
        ('status == "ok"', FieldEquals("status", "ok")),
        ("status == 'o\\'k\\n'", FieldEquals("status", "o'k\n")),
        ('status != "ok"', And((FieldExists("status"), Not(FieldEquals("status", "ok"))))),
        ("done == true", FieldEquals("done", True)),
        ("done == null", FieldEquals("done", None)),
        ("done", FieldEquals("done", True)),
        ("!done", Not(FieldEquals("done", True))),
        ("has(a.b-c)", FieldExists("a.b-c")),
        ("has", FieldEquals("has", True)),
        ('a.b.contains("x")', FieldContains("a.b", "x")),
        ("((a))", FieldEquals("a", True)),
        ("80 <= score", Or((FieldGreaterThan("score", 80), FieldEquals("score", 80)))),
        ('"ok" == status', FieldEquals("status", "ok")),
        ("a == -9223372036854775808", FieldEquals("a", -(2**63))),
        (r"a == '\u00e9'", FieldEquals("a", "é")),
        ("a == b", Expression("a == b")),
        ("!(a + b > 3) && c", And((Not(Expression("a + b > 3")), FieldEquals("c", True)))),
        ('title > "m"', Expression('title > "m"')),
        ("true", Expression("true")),
        ("a ? b : c", Expression("a ? b : c")),
    ],
)
def test_each_form_gives_its_rule(source, rule):
    found = parse(source)
    assert found == rule
    assert repr(found) == repr(rule)  # 80 is not 80.0, true is not 1


def test_not_binds_tighter_than_and_and_and_tighter_than_or():
    a, b, c = (FieldEquals(name, True) for name in "abc")
    assert parse("!a && b || c") == Or((And((Not(a), b)), c))
    assert parse("a || b && c") == Or((a, And((b, c))))
    assert parse("(a || b) && c") == And((Or((a, b)), c))
    assert parse("a && b && c") == And((a, b, c))


FORMULAS = st.recursive(
    st.sampled_from("abc"),
    lambda inner: (
        inner.map("!{}".format)
        | st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join)
        | inner.map("({})".format)
    ),
    max_leaves=8,
)


@given(st.lists(st.booleans(), min_size=3, max_size=3), FORMULAS)
def test_it_means_what_python_means(values, formula):
    """The same formula, written for both, agrees for every assignment."""
    known = dict(zip("abc", values, strict=True))
    expected = eval(re.sub("!", " not ", formula).replace("&&", " and ").replace("||", " or "), {}, known)
    assert evaluate(parse(formula), known, {}).passed == expected


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("", 1),
        ("score >", 8),
        ("score > >", 9),
        ("score = 3", 7),
        ("a && ", 6),
        ("(a", 3),
        ("a)", 2),
        ("a b", 3),
        ("> 3", 1),
        ("  §", 3),
        ("a > true", 5),
        ("null <= a", 1),
        ("a < b < c", 7),
        ("a ? b", 6),
        ("a ? b : ", 9),
        ("[1, 2", 6),
        ("a[1", 4),
        ("a[0].3", 6),
        ("size()", 5),
        ("size(a, b)", 5),
        ("sise(a)", 1),
        ("a.b.matches('x')", 5),
        ("[1].exists(x, x)", 5),
        ("9223372036854775808 > a", 1),
        ("a == 1e999", 6),
        ("a + * b", 5),
        ("has(a + b)", 9),
        ("has(3)", 5),
        ("a.contains(3)", 12),
        ('a == "x', 6),
        ('a == "\\ud800"', 6),
        ("!" * (MOST_NESTING + 1) + "a", MOST_NESTING + 1),
    ],
)
def test_an_error_says_in_which_column(source, column):
    with pytest.raises(InvalidInput) as caught:
        parse(source)
    assert caught.value.details["column"] == column
    assert f"column {column}" in caught.value.why
    assert caught.value.fix


@given(st.text(max_size=80) | st.text("ab.!()&|<>=\"'\\ 019e-+has\n\x85\u2028", max_size=80))
@example("1" * 3_990 + " > a")
@example("a > " + "9" * 3_990)
@example("a == 1e999999")
@example('"' + "\\" * 3_999)
def test_whatever_is_written_is_read_or_refused(source):
    try:
        evaluate(parse(source), {"a": 1, "b": "x"}, {})
    except InvalidInput as error:
        assert 1 <= error.details["column"] <= len(source) + 1  # noqa: PT017 - either may happen


@pytest.mark.parametrize(
    "source",
    [
        "(" * MOST_CHARACTERS,
        "!" * MOST_CHARACTERS,
        " " * (MOST_CHARACTERS - 1) + "§",
        ("a&&" * MOST_CHARACTERS)[: MOST_CHARACTERS - 3] + "a",
        "a" * MOST_CHARACTERS,
        "'" * MOST_CHARACTERS,
        "(a)||" * (MOST_CHARACTERS // 5 - 1) + "a",
    ],
)
def test_the_work_grows_with_the_length_and_no_faster(source, monkeypatch):
    """Counted in steps of the parser, not in time."""
    steps = 0
    real = parsing._Parser._take

    def counted(self, *texts):
        nonlocal steps
        steps += 1
        return real(self, *texts)

    monkeypatch.setattr(parsing._Parser, "_take", counted)
    parsing.tree.cache_clear()
    try:
        parsing.tree(source)
    except InvalidInput as error:
        assert error.why  # noqa: PT017 - some are refused
    assert steps <= 15 * MOST_CHARACTERS


def test_what_is_too_long_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(parsing._Parser, "__init__", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InvalidInput, match="At most"):
        parse("a" * (MOST_CHARACTERS + 1))
