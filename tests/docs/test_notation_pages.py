"""The pages about files and expressions say what the code does."""

import json
import re
import runpy
from pathlib import Path

from engine.nets.exports import EXPORTS
from engine.nets.notation.definition import MOST_CONDITIONS, MOST_INDEXES, MOST_PLACES, MOST_TRANSITIONS
from engine.nets.notation.text import read_text
from engine.nets.notation.words import PLACE, TRANSITION, WORKFLOW
from engine.rules import notation as rules
from engine.rules.compiled import FUEL
from engine.rules.expression import MOST_CHARACTERS, MOST_NESTING, parse
from engine.rules.parsing import FUNCTIONS, METHODS

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "tests/engine/nets/notation_files"


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(name, language):
    return re.findall(rf"```{language}\n(.*?)```", page(name), re.S)


def test_the_examples_are_read():
    assert read_text(blocks("reference/notation.md", "yaml")[0], "yaml").net.transitions[1].guard
    for source in blocks("reference/expressions.md", "cel"):
        parse(source)
    for source in blocks("reference/expressions.md", "json"):
        rules.read(json.loads(source))


def test_every_field_is_described():
    text = page("reference/notation.md")
    for name in (*WORKFLOW, *PLACE, *TRANSITION):
        assert f"`{name}`" in text or name == "strict", name
    for number in (MOST_PLACES, MOST_TRANSITIONS, MOST_CONDITIONS, MOST_INDEXES):
        assert f"{number:,}" in text


def test_every_function_and_type_is_described():
    text = page("reference/expressions.md")
    for name in {*FUNCTIONS, *METHODS}:
        assert f"{name}(" in text, name
    for name in rules.TYPES:
        assert f"`{name}`" in text
    for number in (MOST_CHARACTERS, MOST_NESTING, FUEL):
        assert f"{number:,}" in text


def test_every_format_is_described():
    text = page("how-to/import-and-export.md")
    assert not [name for name in EXPORTS if f"`{name}`" not in text]


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "invoice.bpmn").write_bytes((FILES / "invoice.bpmn").read_bytes())
    (tmp_path / "example.py").write_text(blocks("how-to/import-and-export.md", "python")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert capsys.readouterr().out.startswith("flowchart LR")
