"""Nets with known verdicts through the API, as a client would: verified, and each finding's run played again."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Served, served

KNOWN = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parents[1] / "nets_known").glob("*.json")}
ANALYSE = """query($input: WorkflowInput!) { analyzeWorkflow(input: $input) {
  complete states edges bounded bound safe live reversible homeStates deadlockFree sound optionToComplete
  properCompletion livelockFree deadTransitions unboundedPlaces invariants { kind weights value words }
  findings { code severity places transitions dependsOnGuards trace { transition source marking { place tokens } } }
} }"""
SHORTEST = {"DEADLOCK": "deadlock", "UNSAFE": "unsafe", "IMPROPER_COMPLETION": "improper",
            "CANNOT_COMPLETE": "cannot_complete", "LIVELOCK": "livelock"}  # fmt: skip


def as_input(source: dict[str, Any]) -> dict[str, Any]:
    def arcs(pairs: list[list[Any]]) -> list[dict[str, Any]]:
        return [{"place": place, "weight": weight} for place, weight in pairs]

    return {
        "name": source["name"],
        "places": [place["id"] for place in source["places"]],
        "initialMarking": [
            {"place": place["id"], "tokens": place["initial"]} for place in source["places"] if place["initial"]
        ],
        "finalPlaces": source["final"] or [],
        "transitions": [
            {
                "id": one["id"],
                "inputs": arcs(one["in"]),
                "outputs": arcs(one["out"]),
                "reads": arcs(one["read"]),
                "inhibitors": arcs(one["inhibit"]),
                "resets": one["reset"],
            }
            for one in source["transitions"]
        ],
    }


def counted(marking: list[dict[str, Any]]) -> dict[str, int]:
    return {one["place"]: one["tokens"] for one in marking if one["tokens"]}


async def play(app: Served, workflow: str, trace: list[dict[str, Any]]) -> None:
    """Create a token and fire along the trace; each marking must be as it says."""
    made = await app.data(
        "mutation($w: String!) { createToken(input: {workflowId: $w}) { id marking { place tokens } } }", w=workflow
    )
    token = made["createToken"]
    assert counted(token["marking"]) == counted(trace[0]["marking"])
    for step in trace[1:]:
        fired = await app.data(
            """mutation($t: String!, $x: String!, $m: String) {
                 fireTransition(input: {tokenId: $t, transitionId: $x, mode: $m}) { marking { place tokens } } }""",
            t=token["id"],
            x=step["transition"],
            m=step["source"],
        )
        assert counted(fired["fireTransition"]["marking"]) == counted(step["marking"])


@pytest.mark.parametrize("name", sorted(KNOWN))
async def test_a_known_net_through_the_api(name: str) -> None:
    source = KNOWN[name]
    wanted, input = source["verdicts"], as_input(source)
    async with served() as app:
        found = (await app.data(ANALYSE, input=input))["analyzeWorkflow"]
        said = {
            "bounded": found["bounded"],
            "bound": found["bound"],
            "safe": found["safe"],
            "live": found["live"],
            "reversible": found["reversible"],
            "home_states": found["homeStates"],
            "option_to_complete": found["optionToComplete"],
            "proper_completion": found["properCompletion"],
            "dead_transitions": found["deadTransitions"],
            "sound": found["sound"],
            "deadlock": None if found["deadlockFree"] is None else not found["deadlockFree"],
            "livelock": None if found["livelockFree"] is None else not found["livelockFree"],
            "states": found["states"],
            "edges": found["edges"],
        }
        known = {key: value for key, value in wanted.items() if key in said and value is not None}
        assert {key: said[key] for key in known} == known
        made = await app.data("mutation($input: WorkflowInput!) { createWorkflow(input: $input) { id } }", input=input)
        for finding in found["findings"]:
            if finding["trace"]:
                await play(app, made["createWorkflow"]["id"], finding["trace"])
            shortest = wanted["shortest"].get(SHORTEST.get(finding["code"], ""))
            if shortest is not None and finding["severity"] == "ERROR":
                assert len(finding["trace"]) - 1 == shortest, finding["code"]
        for invariant in found["invariants"]:
            if invariant["kind"] == "place":
                start = counted(input["initialMarking"])
                assert sum(n * start.get(p, 0) for p, n in invariant["weights"].items()) == invariant["value"]


async def test_a_net_of_which_the_verdict_is_wrong_would_be_seen() -> None:
    """The control: with a transition taken out the verdict is another one."""
    source = deepcopy(KNOWN["02_free_choice_sound"])
    source["transitions"].pop()
    async with served() as app:
        found = (await app.data(ANALYSE, input=as_input(source)))["analyzeWorkflow"]
    assert found["sound"] is not source["verdicts"]["sound"]
