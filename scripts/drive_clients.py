"""Clients that are too large for the tests, unchanged and each in an environment of its own, against a running server.

    uv run python scripts/drive_clients.py [litellm] [llm] [aider]        all of them without a name

`make clients` calls it. LiteLLM and llm ask a scripted model; aider asks the embedded one. Everything stays on
loopback. One that cannot be installed is named and left out; one that fails makes the exit code 1.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.servers.scripted_openai import Reply, ScriptedOpenAI, echo  # noqa: E402
from tests.serving import Process  # noqa: E402

LITELLM = "litellm==1.108.7"  # not 1.82.7, 1.82.8 or 1.107.0: those were tampered with
LLM, AIDER = "llm==0.36", "aider-chat==0.86.2"
PATIENCE_S = 300

ASK_BY_LITELLM = """
import json, sys
import litellm
litellm.telemetry = False
base = sys.argv[1]
hello = [{"role": "user", "content": "Hello"}]
whole = litellm.completion(model="openai/gpt-5-nano", api_base=base, api_key="none", messages=hello)
pieces = list(litellm.completion(model="openai/auto", api_base=base, api_key="none", messages=hello, stream=True))
# its Ollama provider sends JSON as another content type, to the same port
face = base.removesuffix("/v1")
ollama = litellm.completion(model="ollama_chat/gpt-5-nano", api_base=face, messages=hello)
tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
call = [{"role": "user", "content": "call"}]
called = litellm.completion(model="openai/gpt-5-nano", api_base=base, api_key="none", messages=call, tools=[tool])
vectors = litellm.embedding(model="openai/text-embedding-3-small", api_base=base, api_key="none", input=["a", "b"])
claude = litellm.completion(model="anthropic/gpt-5-nano", api_base=face, api_key="none", messages=hello)
print(json.dumps({
    "whole": whole.choices[0].message.content,
    "streamed": "".join(piece.choices[0].delta.content or "" for piece in pieces),
    "ollama": ollama.choices[0].message.content,
    "anthropic": claude.choices[0].message.content,
    "tool": called.choices[0].message.tool_calls[0].function.name,
    "vectors": len(vectors.data),
}))
"""


class Missing(Exception):
    """It cannot be installed here."""


def made(folder: Path, package: str) -> Path:
    """The commands of an environment with `package`."""
    place = folder / "environment"
    for words in (["venv", str(place)], ["pip", "install", "--python", str(place / "bin/python"), package]):
        done = subprocess.run(["uv", words[0], "--quiet", *words[1:]], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise Missing(f"{package}: {done.stderr.strip()[-300:]}")
    return place / "bin"


def run(command: Sequence[str | Path], folder: Path, environ: Mapping[str, str], said: str = "") -> str:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env={**kept, **quiet, **environ}, input=said, capture_output=True, text=True,
        timeout=PATIENCE_S,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError((done.stderr or done.stdout)[-2000:])
    return done.stdout


def litellm(folder: Path, base: str) -> str:
    found = json.loads(run([made(folder, LITELLM) / "python", "-c", ASK_BY_LITELLM, base], folder, {}).splitlines()[-1])
    said = "You said: Hello"
    wanted = dict.fromkeys(("whole", "streamed", "ollama", "anthropic"), said) | {"tool": "look", "vectors": 2}
    assert found == wanted, found
    return ", ".join(found)


def llm(folder: Path, base: str) -> str:
    """Its file of further OpenAI models, then a question, streamed and not, and a conversation that goes on."""
    command = made(folder, LLM) / "llm"
    model = {"model_id": "cb", "model_name": "gpt-5-nano", "api_base": base, "supports_tools": True}
    (folder / "extra-openai-models.yaml").write_text(json.dumps([model]))
    environ = {"LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"}
    for words in (["-m", "cb", "Hello"], ["-m", "cb", "--no-stream", "Hello"], ["-c", "Hello"]):
        answer = run([command, *words], folder, environ)
        assert answer.strip() == "You said: Hello", (words, answer)
    counted = json.loads(run([command, "logs", "-n", "1", "--json"], folder, environ))[0]
    assert counted["input_tokens"] > 0, counted
    return "streamed, whole, continued, counted"


def aider(folder: Path, base: str) -> str:
    """One question to the embedded model: it is too small to edit code, but it must be asked and answer."""
    command = made(folder, AIDER) / "aider"
    environ = {"OPENAI_API_BASE": base, "OPENAI_API_KEY": "none", "AIDER_ANALYTICS": "false"}
    options = [
        *("--model", "openai/auto", "--no-git", "--yes-always", "--no-check-update", "--no-show-release-notes"),
        *(
            "--analytics-disable",
            "--no-show-model-warnings",
            "--no-pretty",
            "--map-tokens",
            "0",
            "--edit-format",
            "ask",
        ),
        *("--no-gitignore", "--message", "Say hello in one word."),
    ]
    said = run([command, *options], folder, environ)
    assert "Tokens:" in said, said[-2000:]
    return next(line for line in said.splitlines() if line.startswith("Tokens:"))


DRILLS: Mapping[str, Callable[[Path, str], str]] = {"litellm": litellm, "llm": llm, "aider": aider}


def answer(body: Mapping[str, object]) -> Reply:
    messages = body["messages"]
    assert isinstance(messages, list)
    return Reply(tool_calls=[("look", "{}")]) if messages[-1].get("content") == "call" else echo(body)


def drive(name: str) -> bool:
    with tempfile.TemporaryDirectory() as place, ScriptedOpenAI(reply=answer) as upstream:
        folder = Path(place)
        scripted = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-drill-0123456789"}
        environ: dict[str, Any] = {"CIRCUIT_BREAKER_EMBEDDED": "1"} if name == "aider" else scripted
        with Process(folder / "data", **environ) as process:
            (folder / "home").mkdir()
            try:
                print(f"{name:10} ok: {DRILLS[name](folder / 'home', process.openai)}")
            except Missing as missing:
                print(f"{name:10} left out, it cannot be had here: {missing}")
            except (AssertionError, subprocess.TimeoutExpired) as error:
                print(f"{name:10} FAILED: {error}")
                return False
            finally:
                process.stop()
    return True


def main() -> int:
    went = [drive(name) for name in sys.argv[1:] or DRILLS]
    return 0 if all(went) else 1


if __name__ == "__main__":
    raise SystemExit(main())
