"""What is built has what the program needs: code, assets, licences, entry points."""

import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def built(folder: Path, kind: str) -> Path:
    """What hatchling builds of this tree, in the environment that runs the tests: nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own, as an installation without dependencies lays them."""
    wheel = built(tmp_path_factory.mktemp("wheel"), "wheel")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, code: str) -> str:
    """What a Python prints that sees the standard library and the wheel, and nothing of this tree."""
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); {code}"
    command = [sys.executable, "-B", "-I", "-S", "-c", code]
    return subprocess.run(command, cwd=installed, capture_output=True, text=True, check=True).stdout


def test_the_wheel_has_the_assets(installed: Path) -> None:
    folder = ROOT / "assets"
    wanted = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    there = {str(file.relative_to(installed / "engine/assets")) for file in (installed / "engine/assets").rglob("*.*")}
    assert wanted == there


def test_an_asset_is_read_out_of_the_wheel(installed: Path) -> None:
    code = "from engine.kernel import assets; print((assets.folder() / 'workflows/document_approval.json').read_text())"
    assert '"Document Approval"' in run(installed, code)
    where = run(installed, "from engine.kernel import assets; print(assets.folder())").strip()
    assert where == str(installed / "engine" / "assets")


def test_the_wheel_has_every_source_file_and_nothing_else(installed: Path) -> None:
    ours = {"app", "engine", "server"}
    wanted = {
        str(file.relative_to(ROOT))
        for name in ours
        for file in (ROOT / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    there = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    extra = {name for name in there - wanted if not name.startswith("engine/assets/") and ".dist-info/" not in name}
    assert wanted <= there
    assert not extra


def test_the_command_line_starts_from_the_wheel(installed: Path) -> None:
    assert run(installed, "sys.argv = ['circuit-breaker', '--version']; import app.cli; app.cli.main()").startswith(
        "circuit-breaker "
    )


def test_the_wheel_has_licences_and_entry_points(installed: Path) -> None:
    info = next(installed.glob("*.dist-info"))
    licences = {file.name for file in (info / "licenses").rglob("*") if file.is_file()}
    assert {"LICENSE", "LICENSE.graphiql", "LICENSE.react"} <= licences
    entries = ConfigParser()
    entries.read(info / "entry_points.txt")
    assert dict(entries["console_scripts"]) == {"circuit-breaker": "app.cli:main", "cb": "app.cli:main"}


def test_a_wheel_can_be_built_from_the_sdist(tmp_path: Path) -> None:
    with tarfile.open(built(tmp_path / "sdist", "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert {
        "assets/workflows/document_approval.json",
        "engine/bootstrap.py",
        "app/cli.py",
        "server/serving.py",
    } <= names
    assert not {name for name in names if name.startswith(("tests/", "bench/", ".venv"))}
