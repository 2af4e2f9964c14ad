"""Pictures for other programs: right, complete, and nothing gets out of its quotes."""

import re
import xml.etree.ElementTree as ET

import pytest

from engine.kernel import assets
from engine.kernel.errors import InvalidInput, TooLarge
from engine.nets import notation
from engine.nets.exports import EXPORTS, export
from engine.nets.notation.text import read_text
from tests.support import APPROVAL, FORK

ARCS = {
    "name": 'W "<script>alert(1)</script>',
    "places": [{"id": "a", "name": '"];x[" <b>&'}, "b", {"id": "c", "name": "c\\"}],
    "initialMarking": [{"place": "a", "tokens": 5}, {"place": "b", "tokens": 2}],
    "transitions": [
        {
            "id": "t",
            "name": 'go "--> x',
            "inputs": [{"place": "a", "weight": 2}],
            "outputs": ["c"],
            "reads": ["b"],
            "inhibitors": [{"place": "c", "weight": 3}],
            "resets": ["b"],
            "conditions": ['x == "]"'],
        }
    ],
}


def test_a_state_machine_is_a_state_diagram():
    assert export(notation.read(APPROVAL), "mermaid").splitlines() == [
        "stateDiagram-v2",
        '    state "draft" as s0',
        '    state "review" as s1',
        '    state "approved" as s2',
        '    state "rejected" as s3',
        "    [*] --> s0",
        "    s0 --> s1 : submit",
        "    s1 --> s2 : approve #91;score #62;#61; 80#93;",
        "    s1 --> s3 : reject",
        "    s1 --> s0 : rework",
        "    s3 --> s0 : rework",
        "    s2 --> [*]",
    ]


def test_any_other_net_is_a_flowchart():
    assert export(notation.read(FORK), "mermaid").splitlines() == [
        "flowchart LR",
        '    p0(("start ●"))',
        '    p1(("a"))',
        '    p2(("b"))',
        '    p3((("end")))',
        '    t0["split"]',
        "    p0 --> t0",
        "    t0 --> p1",
        "    t0 --> p2",
        '    t1["join"]',
        "    p1 --> t1",
        "    p2 --> t1",
        "    t1 --> p3",
    ]


def test_every_kind_of_arc_is_drawn():
    mermaid, dot, svg = (export(notation.read(ARCS), format) for format in ("mermaid", "dot", "svg"))
    for line in ('p0 -->|"2"| t0', 'p1 <-.->|"reads"| t0', 'p2 --o|"3"| t0', 'p1 --x|"empties"| t0', "t0 --> p2"):
        assert line in mermaid
    for line in (
        'p0 -> t0 [label="2"];',
        "p1 -> t0 [style=dashed dir=both];",
        'p2 -> t0 [label="3" arrowhead=odot];',
        "p1 -> t0 [style=dotted arrowhead=diamond];",
        "t0 -> p2;",
    ):
        assert line in dot
    root = ET.fromstring(svg)
    kinds = [element.get("class") for element in root.iter()]
    assert kinds.count("wire read") == 1
    assert kinds.count("head hollow") == 1
    assert kinds.count("wire") == 4 + 1  # input, inhibitor, reset, output; and the cross of the reset
    assert kinds.count("token") == 2
    assert "●×5" in svg


def test_nothing_gets_out_of_its_quotes():
    definition = notation.read(ARCS)
    mermaid = export(definition, "mermaid")
    for line in mermaid.splitlines():
        assert line.count('"') in (0, 2)
        assert "<b>" not in line
    dot = export(definition, "dot")
    assert '"W \\"<script>alert(1)</script>"' in dot
    assert re.search(r'label="c\\\\"\];', dot)
    root = ET.fromstring(export(definition, "svg"))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert root[0].text == 'W "<script>alert(1)</script>'


def test_an_svg_has_every_place_and_transition_inside_of_its_frame():
    for source in (APPROVAL, FORK, ARCS):
        definition = notation.read(source)
        root = ET.fromstring(export(definition, "svg"))
        width, height = float(root.get("width")), float(root.get("height"))
        rects = [element for element in root if element.get("class") in ("place", "transition")]
        assert len(rects) == len(definition.net.places) + len(definition.net.modes)
        for rect in rects:
            assert 0 <= float(rect.get("x")) <= float(rect.get("x")) + float(rect.get("width")) <= width
            assert 0 <= float(rect.get("y")) <= float(rect.get("y")) + float(rect.get("height")) <= height
        final = [element for element in root if element.get("class") == "outline"]
        assert len(final) == len(definition.net.final)


def test_a_picture_of_too_much_is_refused():
    source = {"name": "W", "places": [f"p{number}" for number in range(500)]}
    with pytest.raises(TooLarge, match="DOT"):
        export(notation.read(source), "svg")
    assert export(notation.read(source), "dot").count("shape=") == 500


def test_an_unknown_format_comes_with_the_nearest():
    with pytest.raises(InvalidInput, match="Did you mean mermaid"):
        export(notation.read(FORK), "mermade")


@pytest.mark.parametrize("file", sorted((assets.folder() / "workflows").glob("*.json")), ids=lambda file: file.stem)
@pytest.mark.parametrize("format", EXPORTS)
def test_the_examples_are_exported(file, format):
    definition = read_text(file.read_text(encoding="utf-8"), "json")
    text = export(definition, format)
    assert text.endswith("\n")
    if format in ("json", "yaml", "pnml"):
        assert read_text(text, format) == definition


def test_arcs_of_other_kinds_say_what_they_are_in_both_dialects():
    arcs = [arc for arc in ET.fromstring(export(notation.read(ARCS), "pnml")).iter() if arc.tag.endswith("}arc")]
    said = [
        {child.tag.rpartition("}")[2]: child.get("value") or "".join(child.itertext()) for child in arc} for arc in arcs
    ]
    kinds = [(one.get("type"), one.get("arctype")) for one in said]
    assert kinds == [(None, None), ("read", "read"), ("inhibitor", "inhibitor"), ("reset", "reset"), (None, None)]
