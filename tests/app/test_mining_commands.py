"""`workflow stats`, `conform` and `log`, from the command line to the store and back."""

import json

import pytest

from app.cli import main

WORKFLOW = "document_approval_v1"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command on a database of its own: exit code, output, errors."""
    monkeypatch.setenv("CIRCUIT_BREAKER_EMBEDDED", "0")
    monkeypatch.setenv("CIRCUIT_BREAKER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main(list(words))
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.fixture
def token(run):
    made = json.loads(run("token", "create", WORKFLOW, "--json")[1])
    code, _, error = run("token", "fire", made["id"], "submit", "--data", '{"title": "x", "author": "me"}')
    assert code == 0, error
    return made["id"]


def test_figures_for_people_and_for_programs(run, token):
    code, out, _ = run("workflow", "stats", WORKFLOW)
    assert code == 0
    assert f"{WORKFLOW}: 1 tokens, 1 under way" in out
    assert "▶ → submit" in out
    assert json.loads(run("workflow", "stats", WORKFLOW, "--json", "--by", "hour")[1])["tokens"] == 1
    assert run("workflow", "stats", WORKFLOW, "--picture", "mermaid")[1].startswith("flowchart LR")
    assert run("workflow", "stats", WORKFLOW, "--picture", "dot")[1].startswith("digraph")
    code, _, error = run("workflow", "stats", "none")
    assert (code, "no workflow 'none'" in error) == (1, True)


def test_a_log_goes_out_and_comes_back(run, token, tmp_path):
    for format in ("xes", "jsonl"):
        code, log, _ = run("workflow", "log", WORKFLOW, "--format", format)
        assert (code, token in log) == (0, True)
        (tmp_path / "log").write_text(log, encoding="utf-8")
        found = json.loads(run("workflow", "conform", WORKFLOW, "log", "--json")[1])
        assert (found["cases"], found["eventCount"]) == (1, 1)
    code, out, _ = run("workflow", "conform", WORKFLOW, "log")
    assert "fitness 0." in out
    assert "ended before a final place" in out


def test_a_file_that_cannot_be_read_is_said(run, tmp_path):
    assert "no-such-file cannot be read" in run("workflow", "conform", WORKFLOW, "no-such-file")[2]
    (tmp_path / "log").write_bytes(b"case,activity\n1,\xff\n")
    assert "not UTF-8" in run("workflow", "conform", WORKFLOW, "log")[2]
    (tmp_path / "log").write_bytes(b"case,activity\n1,\n")
    code, _, error = run("workflow", "conform", WORKFLOW, "log")
    assert (code, "Line 2." in error) == (1, True)
