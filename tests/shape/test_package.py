"""The package says the same of itself everywhere."""

import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest

from app.cli import PROGRAM, main

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_that_of_the_changelog() -> None:
    newest = next(
        line.split("[")[1].split("]")[0]
        for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("## [") and "Unreleased" not in line
    )
    assert PROJECT["version"] == newest


def test_the_command_line_says_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{PROGRAM} {metadata.version(PROGRAM)}\n"


@pytest.mark.parametrize("name", ["circuit-breaker", "cb"])
def test_entry_points_are_there(name: str) -> None:
    module, _, attribute = PROJECT["scripts"][name].partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_licences_are_there() -> None:
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for packed in (ROOT / "assets/graphiql").glob("*.gz"):
        package = packed.name.partition(".")[0]
        assert (ROOT / "assets/graphiql" / f"LICENSE.{package}").is_file(), package
    assert "OpenAI" in (ROOT / "assets/tokens/LICENSE.tiktoken").read_text(encoding="utf-8")


def test_each_python_that_is_promised_is_named() -> None:
    named = {
        one.rpartition(" ")[2]
        for one in PROJECT["classifiers"]
        if one.startswith("Programming Language :: Python :: 3.")
    }
    assert named == {"3.11", "3.12", "3.13"}
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_what_is_built_in_is_a_package() -> None:
    for folder in ("app", "engine", "server"):
        for file in (ROOT / folder).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), file
