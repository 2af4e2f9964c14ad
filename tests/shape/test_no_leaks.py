"""What is in the repository: no registry, no path of somebody's machine, no key, nothing large."""

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
MOST_BYTES = 2 * 1024 * 1024
LOCKS = {"uv.lock", "package-lock.json", "poetry.lock", "Pipfile.lock"}

FORBIDDEN = {
    "a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|artifactory|nexus/repository"
        r"|--(?:extra-)?index-url|index-url\s*=|find-links\s*=",
        re.I,
    ),
    "a path of somebody's machine": re.compile(r"(?<![\w.~])/(?:root|work|home/\w+|Users/\w+)/"),
    "a key": re.compile(
        r"\bsk-(?:ant-|proj-)?[A-Za-z0-9]{32,}|\bAIza[\w-]{30,}|\bgh[pousr]_\w{30,}|\bAKIA[A-Z0-9]{16}\b"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    ),
}
CONTROLS = {
    "a package registry": "https://pypi.org/simple",
    "a path of somebody's machine": "see /home/somebody/project",
    "a key": "sk-proj-" + "a1B2" * 10,
}


def files() -> list[Path]:
    """Everything that is tracked, or would be with the next `git add`; not this file, which names what it looks for."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if outcome.returncode:
        pytest.skip("not in a git checkout")
    return [path for name in outcome.stdout.split("\0") if name and (path := ROOT / name).is_file() and path != HERE]


def test_no_lock_file_is_tracked() -> None:
    assert not [file for file in files() if file.name in LOCKS]


def test_nothing_is_large() -> None:
    assert not [f"{file.relative_to(ROOT)}: {size:,}" for file in files() if (size := file.stat().st_size) > MOST_BYTES]


def test_nothing_leaks() -> None:
    found = []
    for file in files():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {kind}: {match[0]}"
            for kind, pattern in FORBIDDEN.items()
            for match in pattern.finditer(text)
        ]
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_a_leak_would_be_seen(kind: str) -> None:
    assert FORBIDDEN[kind].search(CONTROLS[kind])
