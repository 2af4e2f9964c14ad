"""What is imported when: the way to the first paint loads no server, database, GraphQL, HTTP or keyring code.

It looks at `sys.modules` in a fresh interpreter, not at a clock. `docs/decisions/lazy-start.md` says why.
"""

import subprocess
import sys

import pytest

HEAVY = {
    *("aiosqlite", "graphql", "httpx", "jsonschema", "keyring", "markdown_it", "nats", "numpy", "opentelemetry"),
    *("prometheus_client", "pydantic", "pygments", "sanic", "sqlite3", "strawberry", "xllamacpp"),
}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(outcome.stdout.split())


def loaded_by(statement: str) -> set[str]:
    """The packages that are loaded after `statement`."""
    return {name.partition(".")[0] for name in modules_after(statement)}


def test_the_command_line_loads_no_textual() -> None:
    assert not loaded_by("import app.cli") & ({"textual", "rich", "orjson", "platformdirs"} | HEAVY)


def test_serve_loads_what_answers_of_models_need_and_nothing_else() -> None:
    loaded = modules_after("import app.commands.serve")
    assert {"sanic", "engine.llm.service"} <= loaded
    assert not loaded & {"click", "pygments", "rich", "textual"}
    assert not loaded & {"dotenv", "graphql", "httpx", "jsonschema", "keyring", "strawberry", "tomlkit"}
    rooms = ("engine.nets", "engine.rules", "engine.workflows", "engine.jobs", "engine.chats", "engine.agents")
    others = ("engine.doctor", "engine.rooms", "engine.store.memory", "server.graphql", "server.metrics")
    assert sorted(name for name in loaded if name.startswith(rooms + others)) == []


@pytest.mark.parametrize("command", ["serve", "doctor", "token"])
def test_commands_load_no_textual(command: str) -> None:
    assert "textual" not in loaded_by(f"import app.commands.{command}")


def test_the_first_paint_loads_nothing_heavy() -> None:
    loaded = loaded_by("import app.cli, app.workbench, app.screens.chat")
    assert "textual" in loaded
    assert not loaded & HEAVY


def test_something_heavy_would_be_seen() -> None:
    assert loaded_by("import app.actions, sqlite3") & HEAVY == {"sqlite3"}
