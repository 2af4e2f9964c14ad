"""`workflow verify` as people and as programs read it."""

import json

import pytest

from app.cli import main

NET = {
    "name": "Desk",
    "initialState": "a",
    "places": ["a", "b", "c", "d", "e", "f"],
    "finalPlaces": ["d"],
    "transitions": [
        {"id": "x", "inputs": ["a"], "outputs": ["b"]},
        {"id": "y", "inputs": ["a"], "outputs": ["c"]},
        {"id": "join", "inputs": ["b", "c"], "outputs": ["d"]},
        {"id": "over", "inputs": ["a"], "outputs": ["e"]},
        {"id": "there", "inputs": ["e"], "outputs": ["f"]},
        {"id": "back", "inputs": ["f"], "outputs": ["e"]},
    ],
}


@pytest.fixture
def verify(tmp_path, capsys):
    def run(net, *words):
        (tmp_path / "net.json").write_text(json.dumps(net), encoding="utf-8")
        code = main(["workflow", "verify", str(tmp_path / "net.json"), *words])
        return code, capsys.readouterr().out

    return run


def test_reasons_are_in_words(verify):
    code, out = verify(NET)
    assert code == 1
    assert "It gets stuck in b: nothing can fire, and it is not an end (and 1 more such state)." in out
    assert "a and c can never be filled again" in out
    assert "It gets stuck in c: nothing can fire, and it is not an end. a and b" in out
    assert "it goes round by there and back." in out
    assert "─ over ─▶ e  ↺ from here on again\n    ─ there ─▶ f\n    ─ back ─▶ e\n" in out
    assert "not well-handled: the ways that part in a meet in join" in out
    assert "minimal siphon: a\n" in out


def test_the_same_is_there_for_programs(verify):
    code, out = verify(NET, "--json")
    found = json.loads(out)
    assert code == 1
    assert [(one["places"], one["siphon"]) for one in found["deadlocks"]] == [(["b"], ["a", "c"]), (["c"], ["a", "b"])]
    assert found["everyDeadlock"] is True
    (livelock,) = [one for one in found["findings"] if one["code"] == "LIVELOCK"]
    assert [step["transition"] for step in livelock["onward"]] == ["there", "back"]
    assert (livelock["loop"], livelock["transitions"]) == (1, ["there", "back"])
    structure = found["structure"]
    assert (structure["wellHandled"], structure["siphons"], structure["everySiphon"]) == (False, [["a"]], True)
    assert structure["handles"][0]["start"] == "a"


def test_a_verdict_that_data_may_turn_says_so(verify):
    ways = [
        {"id": "go", "inputs": ["a"], "outputs": ["b"]},
        {"id": "back", "inputs": ["b"], "outputs": ["a"]},
        {"id": "ok", "inputs": ["b"], "outputs": ["d"], "conditions": ["x > 1"]},
    ]
    guarded = {**NET, "places": ["a", "b", "d"], "transitions": ways}
    code, out = verify(guarded)
    assert code == 0
    assert "every transition can fire  (data may turn it: see the guards)" in out
    assert "an end is reached only if the data lets ok pass some time" in out
    assert json.loads(verify(guarded, "--json")[1])["onGuards"] == ["option_to_complete", "sound"]
    free = {**guarded, "transitions": [*ways[:2], {"id": "ok", "inputs": ["b"], "outputs": ["d"]}]}
    assert "data may turn it" not in verify(free)[1]
