"""`models` and `spend`, from the command line to the store and back, with a scripted provider."""

import csv
import io
import json
import re
from decimal import Decimal

import orjson
import pytest

from app.cli import WAYS, main, parser
from engine.llm import spending
from tests.servers.scripted_openai import Reply, ScriptedOpenAI

USAGE = {"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 8_000}}
COST = Decimal("0.00034")  # gpt-5-nano: 2,000 at 0.05, 8,000 cached at 0.005, 500 at 0.40 for a million


@pytest.fixture
def upstream():
    with ScriptedOpenAI(["gpt-5-nano", "gpt-unheard-of"], reply=lambda body: Reply("Hi.", usage=USAGE)) as running:
        yield running


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, upstream):
    """Run a command in an empty folder, before a scripted OpenAI: exit code, output, errors."""
    monkeypatch.setenv("CIRCUIT_BREAKER_EMBEDDED", "0")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main([*words, "--data-dir", "data"])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def read(run, *words):
    code, out, error = run(*words, "--json")
    assert code == 0, error
    return json.loads(out)


def asked(run, model="gpt-5-nano"):
    code, _, error = run("chat", "hello", "--model", model)
    assert code == 0, error


# -- models -----------------------------------------------------------------------------------------------------------


def test_models_are_listed_with_and_without_the_word(run):
    assert run("models")[1] == run("models", "list")[1]
    line = next(line for line in run("models", "list", "--provider", "openai")[1].splitlines() if "nano" in line)
    assert "0.05/0.4" in line
    assert "400,000" in line
    assert "?" in next(line for line in run("models")[1].splitlines() if "unheard" in line)
    assert [one["id"] for one in read(run, "models", "--provider", "none")] == []


def test_a_model_is_shown_with_its_price_and_the_day_of_it(run):
    out = run("models", "show", "openai/gpt-5-nano")[1]
    assert "in $0.05, out $0.4, read from cache $0.005 for a million tokens" in out
    assert "of 2026-" in out
    assert read(run, "models", "show", "gpt-5-nano")["price"]["source"] == "genai-prices"
    assert "price      not known" in run("models", "show", "gpt-unheard-of")[1]
    code, _, error = run("models", "show", "gpt-5-nan")
    assert (code, "Did you mean 'openai/gpt-5-nano'?" in error) == (1, True)


def test_a_model_is_measured_and_the_measure_is_known_from_then_on(run):
    assert read(run, "models", "show", "gpt-5-nano")["ttftS"] is None
    found = read(run, "models", "bench", "gpt-5-nano", "--tokens", "20")
    assert Decimal(found["request"]["costUsd"]) == COST
    assert read(run, "models", "show", "gpt-5-nano")["ttftS"] == pytest.approx(found["meanTtftS"])
    assert "s to the first token" in run("models", "bench", "gpt-5-nano")[1]


def test_what_runs_elsewhere_needs_no_memory_here(run):
    code, out, _ = run("models", "fit", "gpt-5-nano")
    assert (code, "It runs elsewhere" in out) == (0, True)
    assert "no local models" in run("models", "fit")[1]


def test_the_data_is_replaced_once_it_is_checked(run, tmp_path):
    price = {"prices": [{"input": "77", "output": "78"}], "from": ["here"]}
    data = {
        "format": "circuit-breaker models",
        "version": 1,
        "date": "2026-12-24",
        "sources": {"here": {"date": "2026-12-24"}},
        "providers": {"openai": {"title": "OpenAI", "host": "", "models": {"gpt-5-nano": price}}},
    }
    (tmp_path / "bad.json").write_text("{}")
    code, _, error = run("models", "update", "--from", "bad.json")
    assert (code, "cannot be taken" in error) == (1, True)
    assert read(run, "models", "show", "gpt-5-nano")["price"]["input"] == "0.05"
    (tmp_path / "good.json").write_bytes(orjson.dumps(data))
    assert "The model data of 2026-12-24 is in use: 1 models" in run("models", "update", "--from", "good.json")[1]
    assert read(run, "models", "show", "gpt-5-nano")["price"] == {
        "input": "77", "output": "78", "cacheRead": None, "cacheWrite": None, "tiers": [], "asOf": "2026-12-24",
        "source": "here",
    }  # fmt: skip


def test_the_doctor_says_when_a_file_of_ones_own_is_no_data(run, tmp_path):
    assert "Model data" not in run("doctor")[1]
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "mine.json").write_text("{")
    code, out, _ = run("doctor")
    assert (code, "mine.json is left out" in out) == (1, True)


# -- spend ------------------------------------------------------------------------------------------------------------


def test_the_ways_to_add_up_are_those_of_the_engine():
    assert spending.WAYS == WAYS


def test_costs_are_told_by_what_is_asked_for(run):
    assert "No requests" in run("spend")[1]
    asked(run)
    asked(run)
    asked(run, "gpt-unheard-of")
    out = run("spend", "--by", "model")[1]
    assert re.search(r"openai/gpt-5-nano +2 ", out)
    assert "$0.00068" in out
    assert "1 request without a known price" in out
    assert "$0.00 + 1 ?" in out  # said, not counted as nothing
    for way in WAYS:
        found = read(run, "spend", "--by", way)
        assert Decimal(found["total"]["costUsd"]) == 2 * COST
        assert found["total"]["unpriced"] == 1
    assert read(run, "spend", "--since", "2d", "--until", "1d")["total"]["requests"] == 0
    assert read(run, "spend", "--app", "command")["total"]["requests"] == 3
    rows = list(csv.DictReader(io.StringIO(run("spend", "--by", "app", "--csv")[1])))
    assert [(one["name"], one["requests"]) for one in rows] == [("command", "3")]
    code, _, error = run("spend", "--since", "soon")
    assert (code, "is no day" in error) == (1, True)


def test_a_budget_is_set_listed_refuses_and_is_removed(run, upstream):
    assert "No budgets" in run("spend", "budget", "list")[1]
    assert "all:day" in run("spend", "budget", "set", "0.0001", "--per", "day")[1]
    before = len(upstream.requests)
    code, _, error = run("chat", "x" * 10_000, "--model", "gpt-5-nano")
    assert code == 1
    assert "The budget of $0.0001 a day for all requests does not allow this." in error
    assert "why: $0.00 was spent" in error
    assert "fix: Ask a local model" in error
    assert [one.path for one in upstream.requests[before:] if one.method == "POST"] == []
    assert read(run, "spend", "budget", "set", "3", "--app", "aider", "--warn", "0.5")["budgetId"] == "app:aider:month"
    assert [one["budgetId"] for one in read(run, "spend", "budget", "list")] == ["all:day", "app:aider:month"]
    assert "$3.00" in run("spend", "budget", "list")[1]
    assert run("spend", "budget", "rm", "all:day")[0] == 0
    code, _, error = run("spend", "budget", "rm", "all:day")
    assert (code, "no budget 'all:day'" in error) == (1, True)
    asked(run)


def test_the_log_goes_out_as_csv_and_as_json_lines(run, tmp_path):
    asked(run)
    asked(run, "gpt-unheard-of")
    rows = list(csv.DictReader(io.StringIO(run("spend", "export")[1])))
    assert [(one["model"], one["costUsd"]) for one in rows] == [("gpt-unheard-of", ""), ("gpt-5-nano", str(COST))]
    assert rows[1]["cacheReadTokens"] == "8000"
    code, out, error = run("spend", "export", "--format", "jsonl", "-o", "log.jsonl")
    assert (code, out) == (0, "log.jsonl has 2 requests.\n"), error
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [tuple(one) for one in lines] == [spending.COLUMNS] * 2
    assert lines[0]["costUsd"] is None
    code, _, error = run("spend", "export", "-o", "log.jsonl")
    assert (code, "there already" in error) == (1, True)
    assert len(run("spend", "export", "--until", "1d")[1].splitlines()) == 1


def test_the_words_are_as_they_are_written():
    chosen = parser().parse_args(["spend", "budget", "set", "5", "--per", "day", "--workflow", "w", "--json"])
    assert (chosen.action, chosen.step, chosen.limit, chosen.per, chosen.workflow, chosen.json) == (
        *("budget", "set", 5.0, "day", "w", True),
    )
    assert parser().parse_args(["models", "--provider", "x"]).action is None
    assert parser().parse_args(["models", "--provider", "x", "list"]).provider == "x"
