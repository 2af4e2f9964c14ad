"""Lock the dependencies without writing down where they come from.

    uv run python scripts/lock.py            the newest versions that pyproject.toml allows
    uv run python scripts/lock.py --check    is everything in step? asks no network

Two places hold the same pins. `constraints.txt` has them with hashes, for pip:
`pip install --no-deps --require-hashes -r constraints.txt`. The block between the `pins` marks in `pyproject.toml` has
them for `uv run` and `uv sync`, which read no constraints file. `uv.lock` is not kept: it names a registry with
every file, and a machine whose packages come from elsewhere could not use it.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT, CONSTRAINTS = ROOT / "pyproject.toml", ROOT / "constraints.txt"
BLOCK = re.compile(r"# pins:begin.*?# pins:end\n", re.S)
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*==[^\\\n]+)", re.M)


def pins() -> list[str]:
    """The pins in constraints.txt, with their markers, without their hashes."""
    return [match[1].strip() for match in PIN.finditer(CONSTRAINTS.read_text(encoding="utf-8"))]


def with_pins(text: str, found: list[str]) -> str:
    """`text` of pyproject.toml with these pins in its block, which ends the table `tool.uv`."""
    rows = "".join(f'  "{pin.replace(chr(34), chr(39))}",\n' for pin in found)
    block = f"# pins:begin (written by scripts/lock.py)\nconstraint-dependencies = [\n{rows}]\n# pins:end\n"
    return BLOCK.sub("", text).rstrip("\n") + "\n" + block


def declared(project: dict[str, Any]) -> Iterator[Requirement]:
    """What pyproject.toml asks for: the program, its extras and its groups."""
    lists = [
        project["project"]["dependencies"],
        *project["project"].get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
    ]
    for requirement in (one for some in lists for one in some if isinstance(one, str)):
        found = Requirement(requirement)
        if canonicalize_name(found.name) != project["project"]["name"]:
            yield found


def problems() -> Iterator[str]:
    """What is out of step, a sentence each."""
    text, found = PYPROJECT.read_text(encoding="utf-8"), pins()
    if with_pins(text, found) != text:
        yield "The pins in pyproject.toml are not those of constraints.txt."
    pinned: dict[str, list[str]] = {}
    for pin in map(Requirement, found):
        pinned.setdefault(canonicalize_name(pin.name), []).append(next(iter(pin.specifier)).version)
    for requirement in declared(tomllib.loads(text)):
        versions = pinned.get(canonicalize_name(requirement.name), [])
        if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{requirement} has no pin that fits."


def lock() -> None:
    """Resolve anew. The old pins are taken out first: they would hold every version where it is."""
    before = PYPROJECT.read_text(encoding="utf-8")
    PYPROJECT.write_text(with_pins(before, []), encoding="utf-8")
    try:
        _uv("lock", "--upgrade")
        _uv("export", "--frozen", "--all-extras", "--all-groups", "--no-emit-project", "--no-header", "-o", CONSTRAINTS)
        PYPROJECT.write_text(with_pins(before, pins()), encoding="utf-8")
    except BaseException:
        PYPROJECT.write_text(before, encoding="utf-8")
        raise
    _uv("lock")


def _uv(*words: str | Path) -> None:
    subprocess.run(["uv", *map(str, words), "-q"], cwd=ROOT, check=True)


def main() -> int:
    if "--check" not in sys.argv:
        lock()
    found = list(problems())
    for problem in found:
        print(f"lock: {problem} Run `make lock`.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
