"""PNML: real files of other tools, hostile ones, and there and back again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput, TooLarge
from engine.nets import notation
from engine.nets.exports import export
from engine.nets.model import Arc, merged
from engine.nets.notation.pnml import read_pnml
from engine.nets.notation.text import detect, read_text
from tests.engine.nets.test_net_notation import WORKFLOW

FILES = Path(__file__).parent / "notation_files"


def net_of(name):
    text = (FILES / name).read_text(encoding="utf-8")
    assert detect(name, text) == "pnml"
    return read_text(text, "pnml").net


# -- files of other tools ---------------------------------------------------------------------------------------------


def test_pm4py_long_ids_become_names_and_final_markings_are_read():
    net = net_of("pm4py_running_example.pnml")
    assert net.place_ids == ("source", "p_4", "p_6", "sink")
    assert list(net.transition_of) == ["register_request", "transition", "decide"]
    assert net.transition_of["register_request"].label == "register request"
    assert net.transition_of["register_request"].outputs == (Arc("p_4", 2),)
    assert net.transition_of["decide"].inhibitors == (Arc("p_4"),)
    assert (net.initial, net.final) == ({"source": 1}, {"sink"})


def test_woped_nets_have_no_pages():
    net = net_of("woped_claim.pnml")
    assert [place.label for place in net.places][:2] == ["claim received", "to check"]
    assert [len(t.inputs) for t in net.transitions] == [1, 1, 1, 2]
    assert (net.initial, net.final) == ({"p1": 1}, {"p6"})


def test_tapaal_writes_attributes():
    net = net_of("tapaal_tickets.pnml")
    assert net.initial == {"Waiting": 3, "Counter": 1}
    close = net.transition_of["Close"]
    assert close.inhibitors == (Arc("Waiting"),)
    assert close.inputs == (Arc("Counter"), Arc("Served", 3))


def test_pipe_counts_classes_of_tokens():
    net = net_of("pipe_buffer.xml")
    assert net.initial == {"P0": 2}
    assert net.transition_of["T1"].inputs == (Arc("P1", 2),)
    assert net.transition_of["T0"].inhibitors == (Arc("P1", 2),)
    assert net.places[0].label == "free slots"


def test_pages_and_reference_nodes_are_resolved():
    net = net_of("iso_pages.pnml")
    assert net.place_ids == ("begin", "middle", "end", "lock")
    assert net.transition_of["go"].outputs == (Arc("middle"),)
    finish = net.transition_of["finish"]
    assert (finish.inputs, finish.resets, finish.reads) == ((Arc("middle"),), ("lock",), (Arc("begin"),))


# -- what is wrong ----------------------------------------------------------------------------------------------------


def pnml(inside, kind="ptnet", more=""):
    return f'<?xml version="1.0"?>\n<pnml>\n<net id="n" type="x/{kind}">\n{inside}\n</net>{more}\n</pnml>'


TWO = '<place id="a"><initialMarking><text>1</text></initialMarking></place><place id="b"/><transition id="t"/>'


def arc(inside):
    return f'\n<arc id="x" source="a" target="t">{inside}</arc>'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<pnml>\n<net", 2, "no XML"),
        ("<pnml></pnml>", 1, "holds no net"),
        (pnml("", more='<net id="m"/>'), 5, "second net"),
        (pnml("", "symmetricnet"), 3, "coloured"),
        (pnml("<place/>"), 4, "has no id"),
        (pnml(TWO + '\n<place id="a"/>'), 5, "id that is taken"),
        (pnml(TWO + '\n<arc id="x" source="aa" target="t"/>'), 5, "Did you mean a"),
        (pnml(TWO + '\n<arc id="x" source="a"/>'), 5, "has no target"),
        (pnml(TWO + '\n<arc id="x" source="a" target="b"/>'), 5, "joins two places"),
        (pnml(TWO + '\n<arc id="x" source="t" target="b" type="inhibitor"/>'), 5, "inhibits a place"),
        (pnml(TWO + arc('<type value="inhibiter"/>')), 5, "Did you mean inhibitor"),
        (pnml(TWO + arc('<type value="transport"/>')), 5, "not known here"),
        (
            pnml(TWO + '\n<arc id="x" source="a" target="t">\n<inscription><text>x+1</text></inscription></arc>'),
            6,
            "no whole number",
        ),
        (pnml(TWO + f'\n<arc id="x" source="a" target="t" inscription="{10**30}"/>'), 4, "10000000"),
        (pnml(TWO + '\n<arc id="x" source="a" target="t" inscription="0"/>'), 5, "weight 0"),
        (pnml(TWO + '\n<arc id="x" source="a" target="t" inscription="-1"/>'), 5, "no whole number"),
        (pnml('<referencePlace id="a" ref="a"/><transition id="t"/>' + arc("")), 5, "not exist"),
        (pnml('<place id="a"/><place id="b"/>'), 3, "no token at the beginning"),
        (pnml(TWO + '\n<toolspecific tool="circuit-breaker">{"colour": 1}</toolspecific>'), 3, "colour"),
        (pnml(TWO + '\n<toolspecific tool="circuit-breaker">nonsense</toolspecific>'), 5, "not what was written"),
        (
            pnml(TWO + '<finalmarkings>\n<marking><place idref="a">1</place><place idref="b">1</place></marking>'
                 "</finalmarkings>"),
            5,
            "one token on one place",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text, line, words):
    with pytest.raises(InvalidInput) as caught:
        read_pnml(text)
    assert words in str(caught.value)
    assert caught.value.details["line"] == line
    assert caught.value.details["column"] >= 1
    assert len(str(caught.value)) < 900


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(
        f'<!ENTITY lol{n} "{f"&lol{n - 1 if n > 1 else chr(0)};".replace(chr(0), "") * 10}">' for n in range(1, 10)
    )
    + "]>\n<pnml><net id='n'><name><text>&lol9;</text></name></net></pnml>"
)
STEAL = (
    '<?xml version="1.0"?>\n<!DOCTYPE pnml [<!ENTITY steal SYSTEM "file:///etc/passwd">]>\n'
    "<pnml><net id='n'><name><text>&steal;</text></name></net></pnml>"
)


@pytest.mark.parametrize("text", [BOMB, STEAL, '<!DOCTYPE pnml SYSTEM "http://127.0.0.1:1/x.dtd"><pnml/>'])
def test_entities_are_refused_before_they_are_read(text):
    for format in ("pnml", "bpmn"):
        with pytest.raises(InvalidInput, match="document type"):
            read_text(text, format)


def test_depth_and_size_have_an_end():
    with pytest.raises(InvalidInput, match="deep"):
        read_pnml("<pnml><net id='n'>" + "<page id='p'>" * 5_000)
    with pytest.raises(InvalidInput, match="100000 places"):
        read_pnml(pnml("".join(f'<place id="p{n}"/>' for n in range(100_000))))
    with pytest.raises(TooLarge):
        read_text("<pnml>" + " " * 10_000_000, "pnml")


@given(st.text("<>/&;\"' =abcpnmlet\n", max_size=60) | st.text(max_size=30))
def test_whatever_comes_is_read_or_refused(inside):
    for text in (inside, f"<pnml><net id='n'>{inside}</net></pnml>", pnml(TWO + inside)):
        try:
            read_text(text, "pnml")
        except InvalidInput as error:
            assert error.details["line"] >= 1  # noqa: PT017 - either may happen


# -- there and back ---------------------------------------------------------------------------------------------------


def whole(definition):
    """A definition up to what is the same to a net: two arcs from one place are one with their sum."""
    found = notation.write(definition)
    found["initialMarking"] = sorted(found["initialMarking"], key=str)
    for transition in found.get("transitions", []):
        for key in ("inputs", "outputs"):
            arcs = merged(Arc(**arc) for arc in transition.pop(key, []))
            transition[key] = [(arc.place, arc.weight) for arc in arcs]
    return found


def fits(definition):
    """Whether its parts fit together: PNML has no arc to a place that does not exist."""
    net, known = definition.net, set(definition.net.place_ids)
    named = {arc.place for t in net.transitions for arc in (*t.inputs, *t.outputs, *t.reads, *t.inhibitors)}
    named |= {name for t in net.transitions for name in (*t.sources, *t.resets)} | set(net.initial)
    return (
        named <= known
        and len(known) == len(net.places)
        and len({t.id for t in net.transitions}) == len(net.transitions)
        and all(len(set(t.sources)) == len(t.sources) for t in net.transitions)
    )


@given(WORKFLOW)
def test_what_is_exported_is_read_back(source):
    source = source | {"places": ["a", {"id": "b", "name": " B <&> "}, {"id": "c", "name": "b"}]}
    definition = notation.read(source)
    if fits(definition):
        assert whole(read_text(export(definition, "pnml"), "pnml")) == whole(definition)


def test_what_pnml_has_no_words_for_comes_back():
    source = {
        "id": "x_v1",
        "name": "Everything  at  once",
        "description": "a\x00b",
        "metadata": {"owner": "]]>", "deep": [{"a": None}]},
        "indexes": ["customer", "metadata.team"],
        "rules": {"big": "amount > 100"},
        "places": [{"id": "to pay", "timeoutSeconds": 60, "notify": True}, "ä", {"id": "net", "metadata": {"x": 1}}],
        "initialMarking": [{"place": "ä", "tokens": 7}],
        "finalPlaces": [],
        "transitions": [
            {
                "id": "t 1",
                "fromStates": ["to pay", "ä"],
                "inputs": [{"place": "net", "weight": 3}],
                "outputs": ["ä"],
                "conditions": ["big", "x < 3 && y > 4"],
                "rule": {"type": "FieldExists", "field": "z"},
                "automatic": True,
                "priority": 3,
                "timer": {"afterSeconds": 1.5},
            },
            {"id": "call", "inputs": ["ä"], "subWorkflow": "other", "timer": {"at": "due"}, "resets": ["net"]},
        ],
    }
    definition = notation.read(source)
    assert read_text(export(definition, "pnml"), "pnml") == definition


def test_a_mode_that_somebody_changed_stays_apart():
    definition = notation.read({"name": "W", "places": ["a", "b", "c"],
                                "transitions": [{"id": "t", "fromStates": ["a", "b"], "toState": "c"}]})  # fmt: skip
    text = export(definition, "pnml")
    changed = text.replace('source="t.b" target="c"', 'source="t.b" target="a"')
    assert changed != text
    net = read_text(changed, "pnml").net
    assert [(t.inputs, t.outputs) for t in net.transitions] == [
        ((Arc("a"),), (Arc("c"),)),
        ((Arc("b"),), (Arc("a"),)),
    ]
