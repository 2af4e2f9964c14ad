"""OpenAI's client for Node, unchanged. Skipped where Node or the package cannot be had."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers.scripted_openai import Reply, ScriptedOpenAI, echo, vector
from tests.serving import Process

PACKAGE = "openai@6"
SCRIPT = Path(__file__).with_name("node_client.mjs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is."""
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        pytest.skip("Node and npm are not installed")
    found = tmp_path_factory.mktemp("node")
    install = [npm, "install", "--prefix", str(found), "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{PACKAGE} could not be installed in time")
    if done.returncode:
        pytest.skip(f"{PACKAGE} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return found


def test_openai_for_node(folder: Path, tmp_path: Path) -> None:
    script = folder / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    with ScriptedOpenAI() as upstream:
        upstream.reply = lambda body: (
            Reply(tool_calls=[("look", '{"at": 1}')]) if body["messages"][-1]["content"] == "call" else echo(body)
        )
        environ = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-walk-0123456789"}
        with Process(tmp_path, **environ) as process:
            ran = subprocess.run(["node", script, process.openai], capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, ran.stderr
            assert process.stop() == 0
    got = json.loads(ran.stdout)
    assert got["whole"] == got["streamed"] == got["response"] == "You said: Hello"
    assert got["total"] > 0
    assert got["call"] == {"name": "look", "arguments": '{"at": 1}'}
    assert got["vectors"] == [len(vector("a"))] * 2
    assert got["first"] == pytest.approx(vector("a")[0], abs=1e-6)
    assert {"auto", "gpt-5-nano"} <= set(got["models"])
    assert got["refused"] == "NotFoundError model_not_found"
