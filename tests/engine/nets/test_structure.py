"""What refuses a net before it is stored, and what is only remarked."""

import pytest

from engine.nets import notation, structure
from engine.nets.analysis.model import Severity
from tests.support import APPROVAL, FORK


def found(change=None, **transition):
    source = {
        "name": "W",
        "places": ["draft", "done"],
        "transitions": [{"id": "t", "fromStates": ["draft"], "toState": "done", **transition}],
    }
    return structure.check(notation.read(source | (change or {})).net)


@pytest.mark.parametrize("source", [APPROVAL, FORK])
def test_a_good_net_has_no_findings(source):
    assert structure.check(notation.read(source).net) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"places": ["draft", "done", "draft"]}, "The place draft is defined 2 times."),
        (
            {"transitions": [{"id": "t", "fromStates": ["draft"], "toState": "done"}] * 3},
            "The transition t is defined 3 times.",
        ),
        ({"initialState": "drafft"}, "The initial place drafft does not exist. Did you mean draft?"),
        ({"finalPlaces": ["zzz"]}, "The final place zzz does not exist."),
        ({"initialMarking": [{"place": "draft", "tokens": 0}]}, "No place holds a token at the beginning."),
        ({"transitions": [{"id": "t", "reads": ["draft"]}]}, "The transition t moves nothing."),
        (
            {"transitions": [{"id": "t@a", "fromStates": ["draft"]}]},
            "The transition id t@a has an @, which names the modes of a transition.",
        ),
        (
            {"transitions": [{"id": "t", "fromStates": ["draft", "draft"]}]},
            "The transition t names the source draft 2 times.",
        ),
    ],
)
def test_each_error_is_said(change, message):
    errors = [one.message for one in found(change) if one.severity is Severity.ERROR]
    assert message in errors


@pytest.mark.parametrize("field", ["fromStates", "inputs", "outputs", "reads", "inhibitors", "resets"])
def test_an_arc_to_nowhere_is_an_error_wherever_it_is(field):
    (error,) = [one for one in found(**{field: ["dome"]}) if one.severity is Severity.ERROR]
    assert error.message == "The transition t names the place dome, which does not exist. Did you mean done?"
    assert (error.places, error.transitions) == (("dome",), ("t",))


def test_a_place_that_no_arc_touches_is_a_warning():
    (warning,) = found({"places": ["draft", "done", "island"]})
    assert (warning.severity, warning.places) == (Severity.WARNING, ("island",))


def test_a_place_that_is_only_reset_is_touched():
    assert found({"places": ["draft", "done", "bin"]}, resets=["bin"]) == ()
