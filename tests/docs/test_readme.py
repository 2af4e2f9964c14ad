"""What the pages say can be followed: links lead somewhere, and every example is well formed."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from graphql import parse, validate

from app.cli import parser
from server.graphql.schema import schema
from server.graphql.spelling import respelled

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(str(page.relative_to(ROOT)), line, match["language"], match["text"])


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_are_the_first_two_blocks() -> None:
    first, second = list(_blocks(ROOT / "README.md"))[:2]
    assert (first.text, second.text) == ("uv run circuit-breaker\n", "uv run pytest -n 2\n")


def test_the_readme_has_the_parts_that_people_look_for() -> None:
    titles = re.findall(r"^## (.+)$", readme(), re.M)
    assert titles == [
        *("Two commands", "What you get", "The APIs", "From Python", "On the command line", "Keys and privacy"),
        *("Where things are", "The embedded model", "What is not here yet", "Development", "Licence"),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match["target"] for match in _LINK.finditer(page.read_text(encoding="utf-8"))]
    inside = [target for target in targets if not target.startswith(("http://", "https://", "#"))]
    assert not [target for target in inside if not (page.parent / target.partition("#")[0]).exists()]


def test_every_page_is_linked() -> None:
    linked = {
        (page.parent / match["target"].partition("#")[0]).resolve()
        for page in PAGES
        for match in _LINK.finditer(page.read_text(encoding="utf-8"))
    }
    assert not [str(page) for page in PAGES if page.name != "README.md" and page not in linked]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", blocks("json", "toml"), ids=str)
def test_data_can_be_read(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else tomllib.loads(block.text)


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_shell_commands_are_well_formed(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for words in _commands(block.text):
        if words[0] == "curl" and "-d" in words:
            body = json.loads(words[words.index("-d") + 1])
            if "query" in body:
                _check_graphql(body["query"])


@pytest.mark.parametrize("block", blocks("bash", ""), ids=str)
def test_our_commands_have_the_options_that_are_named(block: Block) -> None:
    for words in _commands(block.text):
        ours = next((number for number, word in enumerate(words) if word == "circuit-breaker"), None)
        if ours not in (0, 2) or any(word.isupper() or word.startswith("[") for word in words):
            continue  # not a command of ours, or a form with words to fill in
        parser().parse_args([word for word in words[ours + 1 :] if word != "--version"])


@pytest.mark.parametrize("block", blocks("graphql"), ids=str)
def test_graphql_fits_the_schema(block: Block) -> None:
    _check_graphql(block.text)


def test_a_wrong_field_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        _check_graphql("{ workflows { id nome } }")


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command; one may go over several lines, by a backslash or within quotes."""
    begun = ""
    for line in text.replace("\\\n", " ").splitlines():
        begun += line + "\n"
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:  # a quote is still open
            continue
        begun = ""
        if words:
            yield words


def _check_graphql(text: str) -> None:
    document = respelled(parse(text), schema._schema)
    problems = validate(schema._schema, document)
    assert not problems, problems
