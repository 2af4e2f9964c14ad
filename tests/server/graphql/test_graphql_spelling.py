"""Either case in the names of inputs, in literals and in variables; what is inside JSON is the user's own."""

from typing import Any

import pytest

from tests.serving import Served

CAMEL = {"workflowId": "approval_v1", "initialState": "review", "data": {"user_name": {"fromStates": 1, "to_place": 2}}}
SNAKE = {
    "workflow_id": "approval_v1",
    "initial_state": "review",
    "data": {"user_name": {"fromStates": 1, "to_place": 2}},
}
LITERAL = """mutation {{ createToken(input: {{
  {}: "approval_v1", {}: "review", data: {{user_name: {{fromStates: 1, to_place: 2}}}}
}}) {{ state data }} }}"""


@pytest.mark.parametrize(
    "names", [("workflowId", "initialState"), ("workflow_id", "initial_state"), ("WorkflowID", "initial_State")]
)
async def test_literals(alone: Served, names: tuple[str, str]) -> None:
    await alone.token()
    made = await alone.data(LITERAL.format(*names))
    assert made["createToken"] == {"state": "review", "data": CAMEL["data"]}


@pytest.mark.parametrize("input", [CAMEL, SNAKE], ids=["camel", "snake"])
async def test_variables(alone: Served, input: Any) -> None:
    await alone.token()
    made = await alone.data("mutation($i: CreateTokenInput!) { createToken(input: $i) { state data } }", i=input)
    assert made["createToken"] == {"state": "review", "data": CAMEL["data"]}


@pytest.mark.parametrize(
    "transition",
    [
        '{id: "go", fromStates: ["a"], toState: "b"}',
        '{id: "go", from_states: ["a"], to_state: "b"}',
        '{id: "go", from_places: ["a"], to_place: "b"}',
        '{id: "go", fromPlaces: ["a"], toPlace: "b"}',
        '{id: "go", inputs: [{place: "a"}], outputs: [{place: "b", weight: 1}]}',
        '{id: "go", from_places: "a", toState: "b"}',
    ],
)
@pytest.mark.parametrize("places", ["states", "places"])
async def test_both_dialects_make_the_same_net(alone: Served, places: str, transition: str) -> None:
    made = await alone.data(
        f'mutation {{ createWorkflow(input: {{name: "W", {places}: ["a", "b"], transitions: [{transition}]}}) '
        "{ states places transitions { id fromStates toState } initialState finalPlaces } }"
    )
    assert made["createWorkflow"] == {
        "states": ["a", "b"],
        "places": ["a", "b"],
        "transitions": [{"id": "go", "fromStates": ["a"], "toState": "b"}],
        "initialState": "a",
        "finalPlaces": ["b"],
    }


async def test_variables_within_literals_and_lists(alone: Served) -> None:
    made = await alone.data(
        """mutation($to: String!, $more: [TransitionInput!]!) {
          a: createWorkflow(input: {
            name: "A", states: ["a", "b"], transitions: [{id: "go", from_places: ["a"], to_place: $to}]
          }) { transitions { toState } }
          b: createWorkflow(input: {name: "B", states: ["a", "b"], transitions: $more}) { transitions { toState } }
        }""",
        to="b",
        more=[{"id": "go", "from_states": ["a"], "to_state": "b"}],
    )
    assert made == {"a": {"transitions": [{"toState": "b"}]}, "b": {"transitions": [{"toState": "b"}]}}


async def test_an_unknown_name_is_refused_with_the_nearest(alone: Served) -> None:
    answer = await alone.ask('mutation { createToken(input: {workflow: "x"}) { id } }')
    assert "workflowId" in str(answer["errors"])
    assert answer["errors"][0]["extensions"]["code"] == "invalid_input"
    wrong = await alone.ask("mutation($i: CreateTokenInput!) { createToken(input: $i) { id } }", i={"workflow": "x"})
    assert wrong["errors"][0]["extensions"]["code"] == "invalid_input"


async def test_the_same_field_in_two_spellings_is_refused(alone: Served) -> None:
    literal = 'mutation { createToken(input: {workflowId: "x", workflow_id: "y"}) { id } }'
    assert await alone.code(literal) == "invalid_input"
    query = "mutation($i: CreateTokenInput!) { createToken(input: $i) { id } }"
    for one, other in (("workflowId", "workflow_id"), ("workflow_id", "workflowId"), ("workflow_id", "workflowID")):
        assert await alone.code(query, i={one: "x", other: "y"}) == "invalid_input"
