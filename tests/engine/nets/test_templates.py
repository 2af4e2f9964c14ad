"""The templates: valid, sound, and what their comments say."""

from itertools import groupby

import pytest

from engine.kernel import assets
from engine.kernel.errors import NotFound
from engine.nets import structure
from engine.nets.analysis.verdicts import analyse
from engine.nets.notation.templates import template, templates
from engine.nets.notation.text import read_text
from engine.rules.exhaustive import Coverage, exhaustive

FOLDER = assets.folder() / "templates"
TEMPLATES = templates(FOLDER)


def test_there_are_five():
    assert list(TEMPLATES) == ["agent-pipeline", "approval", "fork-join", "review-loop", "timeout-escalation"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_is_sound_and_says_what_it_is(name):
    text = template(FOLDER, name)
    definition = read_text(text, "yaml")
    assert text.startswith("# ")
    assert definition.description
    assert not structure.check(definition.net)
    analysis = analyse(definition.net)
    assert analysis.sound
    assert not analysis.findings


@pytest.mark.parametrize("name", ["agent-pipeline", "review-loop"])
def test_where_conditions_choose_they_leave_no_gap(name):
    net = read_text(TEMPLATES[name], "yaml").net
    guarded = sorted((t for t in net.transitions if t.guard), key=lambda t: t.sources)
    for _, several in groupby(guarded, key=lambda t: t.sources):
        assert exhaustive([t.guard for t in several]) is Coverage.FULL


def test_an_unknown_one_comes_with_the_nearest():
    with pytest.raises(NotFound, match="'fork-join'"):
        template(FOLDER, "forkjoin")
