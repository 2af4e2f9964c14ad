"""Expressions: what they calculate, how they fail, and that nothing makes them raise or run on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput
from engine.rules import compiled, notation
from engine.rules.compiled import FUEL, steps
from engine.rules.evaluation import OUT_OF_FUEL, Evaluation, evaluate, holds
from engine.rules.expression import MOST_CHARACTERS, parse
from engine.rules.model import And, Expression, FieldContains, Not, Or

DATA = {
    "a": 7,
    "b": 2,
    "zero": 0,
    "half": 0.5,
    "big": 2**63 - 1,
    "name": "Ada",
    "yes": True,
    "none": None,
    "list": [1, "two", {"three": 3}],
    "same": [1.0, "two", {"three": 3}],
    "document": {"type": "memo", "pages": [4, 5], "odd key": 1},
    "a-b": 9,
}


def answer(source):
    found = evaluate(parse(source), DATA, {"team": "red"}, {"review": 2})
    assert holds(parse(source), DATA, {"team": "red"}, {"review": 2}) is found.passed
    return found


@pytest.mark.parametrize(
    "source",
    [
        "a + b == 9",
        "a - b == 5",
        "a * b == 14",
        "a / b == 3",
        "-a / b == -3",
        "a % b == 1",
        "-a % b == -1",
        "a / 2.0 == 3.5",
        "7.5 % 2 == 1.5",
        "2 + 3 * 4 == 14",
        "(2 + 3) * 4 == 20",
        "10 - 3 - 2 == 5",
        "-(a) == -7",
        "--a == 7",
        "!(a == 8)",
        "a > b",
        "b < a && a >= 7 && a <= 7",
        "half < a",
        "name > 'Aaa'",
        "'abc' < 'abd'",
        "a != b",
        "list == same",
        "list == [1, 'two', list[2]]",
        "list[0] == 1",
        "list[2].three == 3",
        "list[2]['three'] == 3",
        "document['odd key'] == 1",
        "document.pages[1] - document.pages[0] == 1",
        "1 in list",
        "!('1' in list)",
        "'type' in document",
        "name in ['Ada', 'Bob']",
        "name + ' L' == 'Ada L'",
        "[1] + [2] == [1, 2]",
        "size(name) == 3 && size(list) == 3 && document.size() == 3 && 'abc'.size() == 3",
        "name.startsWith('A') && name.endsWith('a') && name.contains('d')",
        "(name + '!').contains('a!')",
        "name.lowerAscii() == 'ada' && name.upperAscii() == 'ADA'",
        "'É'.lowerAscii() == 'É'",
        "int('42') == 42 && int(3.9) == 3 && int('-7') == -7",
        "double('1.5') == 1.5 && double(3) == 3.0",
        "string(a) == '7' && string(true) == 'true' && string('x') == 'x'",
        "min(a, b) == 2 && max(a, b, 99) == 99 && max([1, 5, 3]) == 5 && abs(-3) == 3",
        "a > 5 ? yes : zero",
        "(has(missing) ? missing : 3) == 3",
        "yes ? a > 3 : missing > 3",
        "a > 3 ? b > 3 ? zero : yes : zero",
        "has(list[2].three) && !has(list[9]) && !has(list[2].four)",
        "metadata.team == team && data.a == a",
        "marking.review > 1 && marking.elsewhere == 0",
        "marking.review + 1 == 3",
        "a-b == 9",
        "none == null && null == none",
        "yes == (a > b)",
        "true || missing > 3",
        "missing / 0 > 3 || true",
        "!(missing + 1 > 3)",
        "yes && !zero",
        "true",
        "[] == []",
    ],
)
def test_it_is_true(source):
    assert answer(source).passed, answer(source).reason
    assert not answer(f"!({source})").passed


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a + b > 9", "a + b 9 ≤ 9"),
        ("a + b >= 10", "a + b 9 < 10"),
        ("a < b", "a 7 ≥ b 2"),
        ("a == b", "a is 7, not b 2"),
        ("a != a", "a is 7"),
        ("missing + 1 > 0", "missing is missing"),
        ("b-a > 0 && false", "b-a is missing; false is false"),
        ("b-a + 1 > 0", "b-a is missing (spaces around the minus would subtract: b - a)"),
        ("a / zero > 0", "a / zero divides by zero"),
        ("a % zero == 0", "a % zero divides by zero"),
        ("a / 0.0 > 0", "a / 0.0 divides by zero"),
        ("a % 0.0 > 0", "a % 0.0 divides by zero"),
        ("big + 1 > 0", "big + 1 is more than 64 bits can hold"),
        ("-big - 2 < 0", "-big - 2 is more than 64 bits can hold"),
        ("1e308 * 10 > 0", "1e308 * 10 is more than a double can be"),
        ("name - 1 > 0", 'name - 1: "Ada" is not a number'),
        ("yes + 1 > 0", "yes + 1: true is not a number"),
        ("name > 1", 'name is "Ada", which is not a number'),
        ("name + '' > a", "name + '' is \"Ada\", which is not a number"),
        ("list > 'x'", 'list is [1, "two", {"three": 3}], which is not a text'),
        ("list[3] == 1", "list[3] is missing"),
        ("list[-1] == 1", "list[-1] is missing"),
        ("list['x'] == 1", 'list[\'x\']: [1, "two", {"three": 3}] has no item "x"'),
        ("3 in a", "a is 7, which is neither a list nor an object"),
        ("3 in list", '3 is not in list [1, "two", {"three": 3}]'),
        ("name in ['Bob']", 'name "Ada" is not in ["Bob"]'),
        ("size(a) > 0", "size(a): 7 has no size"),
        ("int('x') > 0", "int('x'): \"x\" is no whole number"),
        ("double('inf') > 0", "double('inf'): \"inf\" is no number"),
        ("max([]) > 0", "max([]) has no number to choose from"),
        ("a.startsWith('x')", "a.startsWith('x'): 7 is not a text"),
        ("name.startsWith('x')", "name.startsWith('x') is false"),
        ("a > 3 ? b > 3 : yes", "a 7 > 3; b 2 ≤ 3"),
        ("a + b", "a + b is 9, which is neither true nor false"),
        ("a > 3 ? (b > 3 || zero) : yes", "a 7 > 3; b 2 ≤ 3 and zero is 0, which is neither true nor false"),
    ],
)
def test_it_is_not_and_says_why(source, reason):
    assert (answer(source).passed, answer(source).reason) == (False, reason)


def test_without_a_marking_its_places_are_missing():
    assert not holds(parse("marking.a == 0"), {}, {})
    assert holds(parse("marking.a == 0"), {}, {}, {})
    assert holds(parse("marking.a == 3"), {"marking": {"a": 3}}, {}, {"a": 1})


def test_parts_are_told_one_by_one():
    found = answer("a > 3 ? b > 3 : yes")
    assert [part.passed for part in found.parts] == [True, False]


# -- totality ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "data.a", "metadata.b", "marking.p", "a.b", "a[0]", "a['k']"])
CONSTANTS = st.sampled_from(
    ["0", "-1", "2.5", "9223372036854775807", "1e308", "''", "'xy'", "true", "null", "[]", "[1,'x']"]
)
EXPRESSIONS = st.recursive(
    NAMES | CONSTANTS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "in", "&&", "||"]), inner).map(
            lambda t: "({} {} {})".format(*t)
        ),
        st.tuples(NAMES, st.sampled_from(["<", "<=", ">", ">="]), NAMES).map(lambda t: "({} {} {})".format(*t)),
        inner.map("!({})".format),
        inner.map("-({})".format),
        st.tuples(inner, inner, inner).map(lambda t: "({} ? {} : {})".format(*t)),
        st.tuples(st.sampled_from(["size", "int", "double", "string", "abs", "min", "max"]), inner).map(
            lambda t: "{}({})".format(*t)
        ),
        st.tuples(inner, st.sampled_from(["lowerAscii", "upperAscii", "size"])).map(lambda t: "({}).{}()".format(*t)),
        st.tuples(NAMES, st.sampled_from(["contains", "startsWith", "endsWith"]), NAMES).map(
            lambda t: "({}).{}({})".format(*t)
        ),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(2**63),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "k"]), inner, max_size=3),
)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(["a", "b", "c", "data", "marking"]), VALUES))
def test_every_expression_over_every_data_gives_an_answer(source, data):
    rule = parse(source)
    found = evaluate(rule, data, {"b": 1}, {"p": 1})
    assert found.reason
    assert holds(rule, data, {"b": 1}, {"p": 1}) is found.passed
    assert evaluate(Not(rule), data, {"b": 1}, {"p": 1}).passed is not found.passed
    assert notation.read(json.loads(json.dumps(notation.write(rule)))) == rule


@given(EXPRESSIONS, EXPRESSIONS, st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES))
def test_and_and_or_do_not_care_about_the_order(one, other, data):
    for sign in ("&&", "||"):
        assert holds(parse(f"({one}) {sign} ({other})"), data, {}) is holds(
            parse(f"({other}) {sign} ({one})"), data, {}
        )


# -- fuel -------------------------------------------------------------------------------------------------------------

LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    "source",
    [
        "size(" + "+".join(["t"] * 1_900) + ") > 0",
        "||".join(["t.contains('yz')"] * 200),
        "||".join(["t.upperAscii() == 'a'"] * 150),
        "||".join(["l == m"] * 500),
        "||".join(["'z' in l"] * 400),
        "size(" + "+".join(["l"] * 1_900) + ") > 0",
        "||".join(["max(l) > 3"] * 300),
    ],
)
def test_what_takes_too_much_is_false(source):
    assert len(source) <= MOST_CHARACTERS
    rule, data = parse(source), {"t": LONG, "l": ["y"] * 50_000, "m": ["y"] * 49_999 + ["z"]}
    assert evaluate(rule, data, {}) == Evaluation(False, OUT_OF_FUEL)
    assert not holds(rule, data, {})
    assert not holds(Not(rule), data, {})


@pytest.mark.parametrize("source", ["size(t + t) > 0", "t.contains('yz')", "l == m", "'z' in l", "max(l) > 3"])
def test_what_takes_less_is_answered(source):
    data = {"t": LONG, "l": ["y"] * 20_000, "m": ["y"] * 19_999 + ["z"]}
    assert evaluate(parse(source), data, {}).reason != OUT_OF_FUEL


def test_structured_rules_burn_fuel_too():
    rule = Or((FieldContains("t", "y"),) * 20)
    assert evaluate(rule, {"t": LONG}, {}).reason == OUT_OF_FUEL
    assert evaluate(Or((FieldContains("t", "x"), *rule.rules)), {"t": LONG}, {}).passed


def test_steps_are_paid_for_before_the_first():
    many = And((Expression("+".join(["1"] * 1_000) + " > 0"),) * 120)
    assert steps(many) > FUEL
    assert evaluate(many, {}, {}).reason == OUT_OF_FUEL
    assert holds(And(many.rules[:20]), {}, {})


def test_a_rule_is_compiled_once(monkeypatch):
    rule = parse("a + b > 3 && once")
    assert not holds(rule, {"a": 1}, {})
    monkeypatch.setattr(compiled, "test_of", lambda *_: pytest.fail("it was compiled again"))
    assert holds(rule, {"a": 1, "b": 3, "once": True}, {})


def test_the_compiled_ones_do_not_pile_up():
    for number in range(compiled._REMEMBERED + 10):
        holds(Expression(f"{number} > 0"), {}, {})
    assert len(compiled._compiled) <= compiled._REMEMBERED


@pytest.mark.parametrize("source", ["(" * 10_000 + "a" + ")" * 10_000, "a" * 1_000_000, "'" + "x" * 1_000_000 + "'"])
def test_huge_sources_are_refused(source):
    with pytest.raises(InvalidInput, match="At most"):
        parse(source)


def test_a_long_chain_is_not_a_deep_one():
    assert holds(parse("+".join(["1"] * 1_990) + " == 1990"), {}, {})
    with pytest.raises(InvalidInput, match="nested"):
        parse("(" * 51 + "1" + ")" * 51 + " == 1")
    with pytest.raises(InvalidInput, match="nested"):
        parse("a ? 1 : " * 51 + "2")


def test_an_expression_in_json_is_checked():
    with pytest.raises(InvalidInput) as caught:
        notation.read({"type": "Not", "rule": {"type": "Expression", "expression": "a +"}})
    assert caught.value.details["path"] == "rule.rule.expression"
    assert caught.value.details["column"] == 4


def test_an_unknown_function_comes_with_the_nearest():
    with pytest.raises(InvalidInput, match=r"Did you mean startsWith\?"):
        parse("a.startWith('x')")
    with pytest.raises(InvalidInput, match="no regular expressions"):
        parse("a.matches('x')")
