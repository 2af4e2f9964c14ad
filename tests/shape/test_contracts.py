"""The directions of imports hold, and the tool that says so can say otherwise."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = ("app", "engine", "server")
COMES_WITH = {
    "cross-web": "strawberry-graphql",
    "graphql-core": "strawberry-graphql",
    "httptools": "sanic",
    "jsonschema-specifications": "jsonschema",
    "markdown-it-py": "textual",
    "pygments": "textual",
    "referencing": "jsonschema",
    "rich": "textual",
    "websockets": "sanic",
}
PACKAGE_OF = {
    "backports": "backports-zstd",
    "cross_web": "cross-web",
    "dotenv": "python-dotenv",
    "graphql": "graphql-core",
    "jsonschema_specifications": "jsonschema-specifications",
    "markdown_it": "markdown-it-py",
    "opentelemetry": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
    "strawberry": "strawberry-graphql",
    "yaml": "pyyaml",
}


# What each contract is there to stop: a line, the file it must not stand in, and the contract that says so.
FORBIDDEN = [
    ("engine/kernel/bus.py", "import server.errors", "1. app > server > engine"),
    ("engine/nets/marking.py", "import engine.kernel.world", "2. nets and rules are pure"),
    ("engine/rules/model.py", "import orjson", "2. nets and rules are pure"),
    ("engine/nets/firing.py", "import yaml", "5. yaml only in its notation"),
    ("engine/kernel/caller.py", "import engine.llm.model", "3. kernel imports no other room"),
    ("engine/chats/model.py", "import engine.store.sqlite.store", "4. only bootstrap imports adapters"),
    ("server/edge.py", "import engine.bootstrap", "4. only engine builds"),
    ("engine/llm/routing.py", "import httpx", "5. httpx only where the web is read"),
    ("engine/llm/schemas.py", "import referencing", "5. jsonschema only where answers are held against schemas"),
    ("app/commands/doctor.py", "import sanic", "5. sanic only in server"),
    ("app/commands/token.py", "import strawberry", "5. strawberry and graphql only in server.graphql"),
    ("engine/bootstrap.py", "import opentelemetry", "5. opentelemetry only in engine.telemetry"),
    ("server/pages.py", "import prometheus_client", "5. prometheus_client only in server.metrics"),
    ("engine/doctor.py", "import textual", "5. textual and rich only in app"),
    ("engine/store/memory/store.py", "import aiosqlite", "5. aiosqlite and filelock only in the SQLite store"),
    ("engine/keys/service.py", "import keyring", "5. keyring only in its adapter"),
    ("engine/nets/notation/text.py", "import yaml", "5. yaml only in its notation"),
    ("engine/jobs/retry.py", "import engine.workflows.model", "6. jobs know no room that has them"),
    ("engine/llm/catalog.py", "import engine.agents.model", "6. llm knows no workflows, agents or chats"),
    ("engine/workflows/events.py", "import engine.llm.model", "6. workflows know no models, agents, chats or keys"),
]


def verdicts(folder: Path) -> dict[str, str]:
    """What `lint-imports` says of each contract: KEPT or BROKEN."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = dict(line.rsplit(" ", 1) for line in outcome.stdout.splitlines() if line.endswith((" KEPT", " BROKEN")))
    assert outcome.returncode == int("BROKEN" in found.values()), outcome.stdout + outcome.stderr
    return found


def test_the_contracts_hold() -> None:
    found = verdicts(ROOT)
    assert len(found) >= 20
    assert not [name for name, verdict in found.items() if verdict != "KEPT"]


def test_each_forbidden_import_is_seen(tmp_path: Path) -> None:
    for name in OURS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line, _ in FORBIDDEN:
        with (tmp_path / file).open("a", encoding="utf-8") as changed:
            changed.write(f"\n{line}\n")
    broken = {name for name, verdict in verdicts(tmp_path).items() if verdict == "BROKEN"}
    unseen = [wanted for _, _, wanted in FORBIDDEN if not any(name.startswith(wanted) for name in broken)]
    assert not unseen
    assert "5. pydantic only at the edge" not in broken  # nothing was put against this one


def test_nets_and_rules_import_the_standard_library_each_other_errors_and_records() -> None:
    allowed = (*sys.stdlib_module_names, "engine.nets", "engine.rules", "engine.kernel.errors", "engine.kernel.records")
    files = [*ROOT.glob("engine/nets/**/*.py"), *ROOT.glob("engine/rules/**/*.py")]
    foreign = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in imports_of(file)
        if not any(name == one or name.startswith(f"{one}.") for one in allowed)
    }
    foreign.remove("engine/nets/notation/yaml_text.py: yaml")  # a parser is pure too
    assert len(files) > 10
    assert not foreign


def test_every_import_is_of_a_package_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        [one for one in project["dependency-groups"]["models"] if not one.startswith(project["project"]["name"])],
    ]
    asked = {canonicalize_name(Requirement(one).name) for some in lists for one in some}
    assert set(COMES_WITH.values()) <= asked
    imported = {
        name.partition(".")[0] for part in OURS for file in ROOT.glob(f"{part}/**/*.py") for name in imports_of(file)
    }
    used = {PACKAGE_OF.get(name, name) for name in imported - set(sys.stdlib_module_names) - set(OURS)}
    assert not used - asked - set(COMES_WITH)
    assert not set(COMES_WITH) - used - {"httptools"}


def test_each_dependency_is_accounted_for() -> None:
    page = (ROOT / "docs/decisions/dependencies.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {Requirement(one).name for some in lists for one in some if isinstance(one, str)} - {"circuit-breaker"}
    assert not {name for name in names if name not in page}


def imports_of(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
