"""`backup`, `restore`, `export`, `import` and `archive`, on a database of their own."""

import json

import pytest

from app.cli import main
from app.commands.upkeep import age
from engine.kernel.errors import InvalidInput
from engine.store.sqlite.holder import Holder

WORKFLOW = "document_approval_v1"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder: exit code, output, errors."""
    monkeypatch.setenv("CIRCUIT_BREAKER_EMBEDDED", "0")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main([*words, *(() if "--data-dir" in words else ("--data-dir", "data"))])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.fixture
def token(run):
    return json.loads(run("token", "create", WORKFLOW, "--json")[1])["id"]


def tokens(run):
    return [one["id"] for one in json.loads(run("token", "show", "--json")[1])]


def test_a_backup_goes_back_and_says_what_it_did(run, token, tmp_path):
    code, out, _ = run("backup", "a.backup", "--json")
    told = json.loads(out)
    assert (code, told["tokens"], told["file"]) == (0, 1, "a.backup")
    code, _, error = run("backup", "a.backup")
    assert (code, "there already" in error, "--force" in error) == (1, True, True)
    assert run("backup", "a.backup", "--force")[0] == 0
    run("token", "create", WORKFLOW)
    assert len(tokens(run)) == 2
    code, out, _ = run("restore", "a.backup")
    assert code == 0
    assert "What was there before is in data/circuit-breaker.db." in out
    assert tokens(run) == [token]


def test_a_database_that_is_held_is_not_restored_imported_into_or_archived(run, token, tmp_path):
    run("backup", "a.backup")
    run("export", "all.jsonl")
    holder = Holder(tmp_path / "data" / "circuit-breaker.db")
    try:
        for words in (("restore", "a.backup"), ("import", "all.jsonl"), ("archive", "--older-than", "0d")):
            code, _, error = run(*words)
            assert (code, "in use by another" in error) == (1, True)
        assert run("backup", "b.backup")[0] == run("export", "more.jsonl")[0] == 0  # beside it
    finally:
        holder.release()
    assert run("import", "all.jsonl")[0] == run("restore", "a.backup")[0] == 0  # control


def test_everything_goes_out_and_into_another_database(run, token, tmp_path):
    code, out, _ = run("export", "all.jsonl")
    assert code == 0
    assert "1 token" in out
    assert "there already" in run("export", "all.jsonl")[2]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["all.jsonl", "data"]
    into = ("--data-dir", "other")
    assert "1 token" in run("import", "all.jsonl", *into)[1]
    assert json.loads(run("import", "all.jsonl", "--json", *into)[1])["skipped"]["token"] == 1
    assert json.loads(run("token", "show", token, "--json", *into)[1])["id"] == token
    (tmp_path / "all.jsonl").write_bytes((tmp_path / "all.jsonl").read_bytes()[:-30])
    code, _, error = run("import", "all.jsonl", "--data-dir", "third")
    assert (code, "error:" in error) == (1, True)
    assert not (tmp_path / "third").exists()  # nothing was begun
    assert "cannot be read" in run("import", "none.jsonl")[2]


def test_old_histories_are_folded_after_they_were_written_elsewhere(run, token, tmp_path):
    for words in (("submit", "--data", '{"title": "x"}'), ("approve",)):
        run("token", "fire", token, *words)
    state = json.loads(run("token", "show", token, "--json")[1])
    events = len(state["history"])
    told = json.loads(run("archive", "--older-than", "0s", "--dry-run", "--json")[1])
    assert (told["dryRun"], told["tokens"]) == (True, 1)
    code, out, _ = run("archive", "--older-than", "0s", "--export", "before.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["events"] == told["events"]
    rows = [json.loads(line) for line in (tmp_path / "before.jsonl").read_text().splitlines()]
    assert [row["sequence"] for row in rows] == list(range(1, events))
    assert "there already" in run("archive", "--older-than", "0s", "--export", "before.jsonl")[2]
    code, out, _ = run("doctor", "--json")
    assert any("all histories verified" in check["says"] for check in json.loads(out))


NO_DATABASE = {
    "text": b"no database at all, but long enough to be read " * 9,
    "damaged": b"SQLite format 3\0" + b"\xff" * 9000,
}


@pytest.mark.parametrize("holds", NO_DATABASE.values(), ids=NO_DATABASE)
def test_the_doctor_looks_at_the_rest_when_the_file_is_no_database(run, tmp_path, holds):
    run("doctor")  # makes the folder
    file = next((tmp_path / "data").glob("*.db"))
    file.write_bytes(holds)
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)
    code, out, err = run("doctor", "--json")
    checks = {check["id"]: check for check in json.loads(out)}
    assert (code, err) == (1, "")
    assert checks["database"]["state"] == "problem"
    assert str(file.name) in checks["database"]["says"]
    assert checks["database"]["fix"]
    assert checks.keys() >= {"ollama", "keys", "keyring", "settings"}
    assert "cannot be read" in checks["keys"]["says"]
    assert file.read_bytes() == holds


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), (" 5 m ", 300), ("0s", 0)])
def test_ages(text, seconds):
    assert age(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1y", "9999999d"])
def test_what_is_no_age(text):
    with pytest.raises(InvalidInput, match="no age"):
        age(text)
