"""Workflows in files: every format, every error with its line, and nothing that takes long or gets in."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput, TooLarge
from engine.nets import notation
from engine.nets.exports import export
from engine.nets.notation.text import MOST_TEXT, detect, locate, read_text
from tests.engine.nets.test_net_notation import WORKFLOW
from tests.support import APPROVAL, FORK

YAML = """\
name: Approval            # a comment
states: [draft, review, approved, rejected]
initialState: draft
transitions:
  - {id: submit, fromStates: [draft], toState: review}
  - id: approve
    fromStates: [review]
    toState: approved
    conditions: [score >= 80]
  - {id: reject, from_states: review, to_state: rejected}
  - {id: rework, fromStates: [review, rejected], toState: draft}
finalPlaces: [approved]
"""
GRAPHQL = '''\
# The seed's dialect
mutation Create {
  createWorkflow(input: {
    name: "Approval"
    states: ["draft", "review", "approved", "rejected"], initialState: "draft"
    transitions: [
      { id: "submit", from_places: ["draft"], to_place: "review" }
      { id: "approve", fromStates: ["review"], toState: "approved", conditions: ["score >= 80"] }
      { id: "reject", fromStates: "review", toState: "rejected" }
      { id: """rework""", fromStates: ["review", "rejected"], toState: "draft" }
    ]
    finalPlaces: ["approved"]
  }) { id name }
}
'''


# -- formats ----------------------------------------------------------------------------------------------------------


def test_the_same_workflow_in_every_format():
    wanted = notation.read(APPROVAL)
    assert read_text(json.dumps(APPROVAL), "json") == wanted
    assert read_text("\ufeff" + YAML, "yaml") == wanted
    assert read_text(GRAPHQL, "graphql") == wanted
    literal = GRAPHQL[GRAPHQL.index("input: ") + 7 : GRAPHQL.index(") { id")]
    assert read_text(literal, "graphql") == wanted


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("a.json", "", "json"),
        ("a.YML", "", "yaml"),
        ("a.gql", "", "graphql"),
        ("a.pnml", "", "pnml"),
        ("a", ' {"name": 1}', "json"),
        ("a", "{ name: 1 }", "graphql"),
        ("a", GRAPHQL, "graphql"),
        ("a.txt", YAML, "yaml"),
        ("a.xml", "<?xml?><pnml>", "pnml"),
        ("a.xml", "<bpmn:definitions>", "bpmn"),
    ],
)
def test_the_format_is_seen(name, text, format):
    assert detect(name, text) == format


@pytest.mark.parametrize(("name", "text"), [("a.txt", "hello"), ("a.xml", "<html>"), ("a", "")])
def test_what_is_no_workflow_is_said_to_be_none(name, text):
    with pytest.raises(InvalidInput):
        detect(name, text)


def test_yaml_is_that_of_version_1_2():
    text = "name: W\nplaces: [no, on, 'true', 2026-01-01]\ndescription: |\n  two\n  lines\ntransitions: []\n"
    definition = read_text(text, "yaml")
    assert definition.net.place_ids == ("no", "on", "true", "2026-01-01")
    assert definition.description == "two\nlines\n"
    metadata = read_text(
        "name: W\nplaces: [a]\nmetadata: {a: 012, b: 1e3, c: 12:30, d: ~, e: -.5, f: 'no', g: 0o7}", "yaml"
    ).metadata
    assert metadata == {"a": 12, "b": 1000.0, "c": "12:30", "d": None, "e": -0.5, "f": "no", "g": "0o7"}


# -- errors -----------------------------------------------------------------------------------------------------------

NET = '{"name": "W", "places": ["a", "b"], "transitions": [\n%s\n]}'


@pytest.mark.parametrize(
    ("text", "format", "line", "column", "words"),
    [
        (NET % ' {"id": "t", "toSate": "b"}', "json", 2, 24, "Did you mean toState"),
        (NET % ' {"id": "t", "toState": "bb"}', "json", 2, 25, "Did you mean b?"),
        (NET % ' {"id": "t", "outputs": ["a", {"place": "x"}]}', "json", 2, 31, "'x', which does not exist"),
        (NET % ' {"id": "t", "from_states": "aa"}', "json", 2, 29, "Did you mean a?"),
        (NET % ' {"id": "t", "conditions": ["a", "b >"]}', "json", 2, 34, "stands where"),
        (NET % ' {"id": "t", "inputs": [{"place": "a", "weight": %d}]}' % 10**30, "json", 2, 50, "1 to 1000000000"),
        (NET % ' {"id": "t", "priority": 1e999}', "json", 2, 26, "more than a number can be"),
        (NET % (' {"id": "t", "priority": %s}' % ("9" * 5_000)), "json", 2, 26, "5000 digits"),
        (NET % ' {"id": "t", "priority": NaN}', "json", 2, 26, "'NaN' stands where a value belongs"),
        (NET % ' {"id": "t", "priority": -Infinity}', "json", 2, 26, "not understood"),
        (NET % ' {"id": "t", "id": "u"}', "json", 2, 14, "given twice"),
        (NET % ' {"id": "\\ud83d"}', "json", 2, 9, "surrogate"),
        (NET % ' {"id": "t"},', "json", 3, 1, "a comma comes before the end"),
        (NET % ' {"id": "t" "name": "x"}', "json", 2, 13, "stands where ',' belongs"),
        (NET % " {'id': 't'}", "json", 2, 3, "YAML does"),
        (NET % " {id: 1}", "json", 2, 3, "double quotes"),
        (NET % ' {"id": "t}', "json", 2, 9, "has no end"),
        (NET % ' {"id": 01}', "json", 2, 9, "begins with a zero"),
        ('{"name": "W"} {}', "json", 1, 15, "one too many"),
        ("", "json", 1, 1, "the end"),
        ('{"name": "W", "places": ["a"], "initialState": "b"}', "json", 1, 48, "'b', which does not exist"),
        ('{"name": "W", "places": ["a"], "finalPlaces": ["b"]}', "json", 1, 47, "'b', which does not exist"),
        ("[" * 100_000, "json", 1, 62, "nested"),
        (YAML.replace("toState: approved", "toState: aproved"), "yaml", 8, 14, "Did you mean approved"),
        (YAML.replace("conditions: [score", "conditions: [scor e"), "yaml", 9, 18, "one too many"),
        (YAML + "name: again\n", "yaml", 13, 1, "given twice"),
        ("name: W\nplaces: &p [a]\nstates: *p\n", "yaml", 2, 9, "anchors"),
        ("a: !!python/object/apply:os.system ['id']", "yaml", 1, 4, "tag"),
        ("a: {<<: {b: 1}}", "yaml", 1, 5, "merge keys"),
        ("a: .inf", "yaml", 1, 4, "no number that JSON can hold"),
        ("a: [1, 2", "yaml", 1, 1, "no YAML"),
        ("a: 1\n\tb: 2", "yaml", 2, 1, "no YAML"),
        ("a: 1\n---\nb: 1", "yaml", 2, 1, "second document"),
        ("? [a]\n: 1", "yaml", 1, 3, "not a text"),
        ("# nothing", "yaml", 1, 1, "nothing in it"),
        ("[" * 100_000, "yaml", 1, 62, "nested"),
        ("a:\n " + "- " * 100_000 + "b", "yaml", 2, 122, "nested"),
        (GRAPHQL.replace("to_place", "to_palce"), "graphql", 7, 57, "Did you mean toPlace"),
        ("mutation { createWorkflow(input: $input) { id } }", "graphql", 1, 34, "variable"),
        ("query { workflows { id } }", "graphql", 1, 1, "no createWorkflow"),
        ('{ name: "W", name: "V" }', "graphql", 1, 14, "given twice"),
        ('{ "name": "W" }', "graphql", 1, 3, "name of a field"),
        ("name: \ud800", "yaml", 1, 7, "no valid Unicode"),
    ],
)  # fmt: skip
def test_errors_say_line_column_and_the_nearest(text, format, line, column, words):
    with pytest.raises(InvalidInput) as caught:
        read_text(text, format)
    assert words in str(caught.value)
    assert (caught.value.details["line"], caught.value.details["column"]) == (line, column)
    assert len(str(caught.value)) < 1_500


def test_a_billion_laughs_do_not_make_it():
    names = "abcdefghijklmnopqrstu"
    laughs = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise(names))
    with pytest.raises(InvalidInput, match="anchors"):
        read_text(laughs, "yaml")
    expanded = yaml.safe_load(laughs)  # the control: they would
    assert expanded["u"][0] is expanded["u"][1]


def test_size_has_an_end():
    for text in (" " * (MOST_TEXT + 1), "[" + "1," * 600_000 + "1]"):
        with pytest.raises(TooLarge):
            read_text(text, "json")
    with pytest.raises(TooLarge):
        read_text("- 1\n" * 600_000, "yaml")
    many = json.dumps({"name": "W", "places": [f"p{number}" for number in range(100_000)]})
    with pytest.raises(InvalidInput, match="100000 items"):
        read_text(many, "json")


def test_a_field_can_be_found_again():
    assert locate(YAML, "yaml", "transitions[1].conditions[0]") == (9, 18)
    assert locate(YAML, "yaml", "transitions[2].fromStates[0]") == (10, 31)
    assert locate(YAML, "yaml", "transitions[9].nothing") == (5, 3)
    assert locate("<pnml/>", "pnml", "x") is None


@given(st.text(max_size=60) | st.text("{}[]:,\"'\\ \nab01-#&*!|>%@`?nul", max_size=60))
def test_whatever_comes_is_read_or_refused(text):
    for format in ("json", "yaml", "graphql", "bpmn", "pnml"):
        try:
            read_text(text, format)
        except InvalidInput as error:
            lines = text.count("\n") + text.count("\r") + 3
            assert 1 <= error.details["line"] <= lines  # noqa: PT017 - either may happen
    with suppress(InvalidInput):
        detect("x", text)


# -- there and back ---------------------------------------------------------------------------------------------------

ODD = ["no", "~", "1", "1.0", "null", "- a", "a: b", "#", "<<", "=", "2026-01-01", "\x85", "\u2028", " a ", "0o7"]
TEXTS = st.text(max_size=6) | st.sampled_from([*ODD, "1:30", "!", "&a", "%"])
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)


@given(WORKFLOW, st.dictionaries(TEXTS, VALUES, max_size=3))
def test_what_is_exported_is_read_back(source, metadata):
    definition = notation.read(source | {"places": ["a", {"id": "b", "name": "B"}, "c"], "metadata": metadata})
    known = {*definition.net.place_ids} >= definition.net.final
    for format in ("json", "yaml"):
        text = export(definition, format)
        if known:
            assert read_text(text, format) == definition
        else:
            with pytest.raises(InvalidInput, match="does not exist"):
                read_text(text, format)


def test_what_is_exported_is_short():
    assert yaml.safe_load(export(notation.read(FORK), "yaml")) == {
        "name": "Fork",
        "places": ["start", "a", "b", "end"],
        "initialState": "start",
        "transitions": [
            {"id": "split", "inputs": ["start"], "outputs": ["a", "b"]},
            {"id": "join", "inputs": ["a", "b"], "outputs": ["end"]},
        ],
        "finalPlaces": ["end"],
    }
    assert '"toState": "review"' in export(notation.read(APPROVAL), "json")
