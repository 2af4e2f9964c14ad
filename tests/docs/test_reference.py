"""The reference says what the code says."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import PROGRAM, parser
from engine.kernel.settings import Spec, specs
from engine.keys.environment import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
OF_THE_SEED = {
    *("OPENAI_API_KEY", "OPENAI_API_KEYS", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "AZURE_OPENAI_API_KEY"),
    *("AZURE_OPENAI_ENDPOINT", "OLLAMA_BASE_URL", "CUSTOM_LLM_ENDPOINT", "CUSTOM_LLM_API_KEY"),
    *("NATS_URL", "NATS_CLUSTER_NAME", "NATS_ENABLE_JETSTREAM"),
}
_VARIABLE = re.compile(r"^#?([A-Z][A-Z0-9_]+)=(.+)$", re.M)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command with its parser."""
    return next(action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))


def options(found: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser and of those inside it."""
    names = {name for action in found._actions for name in action.option_strings if name.startswith("--")}
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= {name for inner in action.choices.values() for name in options(inner)}
    return names


@pytest.mark.parametrize("script", ["docs.py", "lock.py"])
def test_what_is_written_by_scripts_is_in_step(script: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


def test_each_command_has_a_section() -> None:
    sections = set(re.findall(r"^## (.+)$", page("docs/reference/command-line.md"), re.M))
    assert sections == {"Common options", "Server", *commands()}


@pytest.mark.parametrize("command", commands())
def test_each_command_is_described_in_full(command: str) -> None:
    text = page("docs/reference/command-line.md").split(f"\n## {command}\n")[1].split("\n## ")[0]
    common = options(commands()["doctor"])
    assert not {name for name in options(commands()[command]) - common if name not in text}
    for action in commands()[command]._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert not {inner for inner in action.choices if f"{PROGRAM} {command} {inner}" not in text}


def test_each_common_option_is_described() -> None:
    text = page("docs/reference/command-line.md").split("\n## doctor\n")[0]
    assert not {name for name in options(parser()) if name not in page("docs/reference/command-line.md")}
    assert not {name for name in options(commands()["doctor"]) if name not in text}


def test_the_readme_names_each_command() -> None:
    assert not {name for name in commands() if f"`{PROGRAM} {name}" not in page("README.md")}


def test_the_example_environment_has_every_variable() -> None:
    ours = {variable for _, spec, _ in specs() for variable in spec.environment} | {"CIRCUIT_BREAKER_CONFIG"}
    keys = {variable for names in VARIABLES.values() for variable in names}
    assert {match[1] for match in _VARIABLE.finditer(page(".env.example"))} == ours | keys | OF_THE_SEED


def test_the_example_environment_sets_nothing_and_says_what_each_is() -> None:
    lines = page(".env.example").splitlines()
    assert not [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(lines):
        if _VARIABLE.match(line):
            assert lines[number - 1].startswith("# "), line


@pytest.mark.parametrize("spec", [spec for _, spec, _ in specs() if spec.environment], ids=lambda spec: spec.key)
def test_the_examples_are_values_that_are_taken(spec: Spec) -> None:
    examples = {match[1]: match[2] for match in _VARIABLE.finditer(page(".env.example"))}
    for variable in spec.environment:
        spec.parse(examples[variable])


def test_the_changelog_is_in_form() -> None:
    titles = re.findall(r"^## (.+)$", page("CHANGELOG.md"), re.M)
    assert titles[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title) for title in titles[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known limits"}
    assert set(re.findall(r"^### (.+)$", page("CHANGELOG.md"), re.M)) <= kinds


def test_decisions_have_their_three_parts() -> None:
    for file in (ROOT / "docs/decisions").glob("*.md"):
        if file.name in ("README.md", "dependencies.md"):
            continue
        titles = re.findall(r"^## (.+)$", file.read_text(encoding="utf-8"), re.M)
        assert titles == ["Context", "Decision", "Consequences"], file.name


def test_the_help_names_what_the_page_names() -> None:
    text = parser().format_help()
    assert not {
        name for name in (*commands(), "--serve", "--host", "--openai-port", "--graphql-port") if name not in text
    }
