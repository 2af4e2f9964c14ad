"""Tokens that run, over HTTP and over sockets that break off."""

import asyncio
from typing import Any

import pytest

from tests.server.graphql.test_graphql_subscriptions import client, subscribers
from tests.serving import APPROVAL, Served

FIRE = "mutation($i: FireTransitionInput!) { fireTransition(input: $i) { id version } }"
EVENTS = """subscription($after: Int) {
  workflowEvents(workflowId: "approval_v1", after: $after) { sequence tokenId event { kind transition } }
}"""


async def fire(app: Served, token: str, transition: str, **more: Any) -> Any:
    return await app.data(FIRE, i={"tokenId": token, "transitionId": transition, **more})


async def test_pages_of_tokens_by_what_they_carry(alone: Served) -> None:
    await alone.token()
    inputs = [
        {"workflowId": "approval_v1", "data": {"n": n, "deep": {"odd": bool(n % 2)}}, "metadata": {"team": "a"}}
        for n in range(5)
    ]
    made = (await alone.data("mutation($i: [CreateTokenInput!]!) { createTokens(inputs: $i) { id } }", i=inputs))[
        "createTokens"
    ]
    query = """query($f: TokenFilter, $n: Int!, $after: String) {
      tokensConnection(filter: $f, first: $n, after: $after) {
        edges { cursor node { id } } nodes { data } pageInfo { hasNextPage endCursor } } }"""
    wanted = {"workflowId": "approval_v1", "data": {"deep": {"odd": False}}, "metadata": {"team": "a"}}
    page = (await alone.data(query, f=wanted, n=2))["tokensConnection"]
    assert [node["data"]["n"] for node in page["nodes"]] == [4, 2]
    assert page["pageInfo"] == {"hasNextPage": True, "endCursor": made[2]["id"]}
    rest = (await alone.data(query, f=wanted, n=2, after=page["pageInfo"]["endCursor"]))["tokensConnection"]
    assert [node["data"]["n"] for node in rest["nodes"]] == [0]
    assert rest["pageInfo"]["hasNextPage"] is False
    assert (await alone.data(query, f={"createdAfter": "2999-01-01"}, n=2))["tokensConnection"]["edges"] == []
    assert await alone.code(query, f={"createdAfter": "soon"}, n=2) == "invalid_input"
    assert await alone.code(query, f={"status": "idle"}, n=2) == "invalid_input"
    assert await alone.code(query, f={}, n=0) == "invalid_input"


async def test_a_batch_of_firings_tells_each_outcome(alone: Served) -> None:
    token = await alone.token()
    wanted = [{"tokenId": token, "transitionId": name} for name in ("submit", "submit", "back")]
    query = """mutation($i: [FireTransitionInput!]!) {
      fireTransitions(inputs: $i) { token { state } error { code what } } }"""
    outcomes = (await alone.data(query, i=wanted))["fireTransitions"]
    assert [one["token"] and one["token"]["state"] for one in outcomes] == ["review", None, "draft"]
    assert outcomes[1]["error"]["code"] == "not_enabled"


async def test_back_aside_away_and_only_tried(alone: Served) -> None:
    token = await alone.token()
    await fire(alone, token, "submit", data={"score": 90}, reason="ready")
    tried = await alone.data(
        """query($t: String!) { whatIf(tokenId: $t, steps: [{transitionId: "accept"}, {transitionId: "back"}]) {
             steps { state status } events { transition } error { code } } }""",
        t=token,
    )
    assert [step["state"] for step in tried["whatIf"]["steps"]] == ["review", "done"]
    assert tried["whatIf"]["error"]["code"] == "not_enabled"
    back = await alone.data(
        """mutation($t: String!) { rollbackToken(input: {tokenId: $t, toVersion: 1, reason: "no"}) {
             state data version status history { kind reason detail } } }""",
        t=token,
    )
    assert back["rollbackToken"]["state"] == "draft"
    assert back["rollbackToken"]["data"] == {}
    assert back["rollbackToken"]["history"][1]["reason"] == "ready"
    assert back["rollbackToken"]["history"][2] == {"kind": "rolled_back", "reason": "no", "detail": {"to": 1}}
    fork = await alone.data("mutation($t: String!) { forkToken(input: {tokenId: $t}) { id state version } }", t=token)
    assert (fork["forkToken"]["state"], fork["forkToken"]["version"]) == ("draft", 1)
    gone = await alone.data("mutation($t: String!) { cancelToken(input: {token_id: $t}) { status } }", t=token)
    assert gone["cancelToken"]["status"] == "cancelled"
    stale = "mutation($t: String!) { rollbackToken(input: {tokenId: $t, toVersion: 1, expectedVersion: 1}) { id } }"
    assert await alone.code(stale, t=token) == "conflict"


async def test_a_migration_is_planned_first(alone: Served) -> None:
    token = await alone.token()
    await alone.data(APPROVAL.replace('"done"', '"done", "archive"', 1).replace('initialState: "draft"', 'id: "new"'))
    query = """mutation($dry: Boolean) {
      migrateTokens(input: {fromWorkflow: "approval_v1", toWorkflow: "new", dryRun: $dry}) {
        dryRun carried refused moved skipped steps { state tokens acceptance reason after { place tokens } } } }"""
    plan = (await alone.data(query))["migrateTokens"]
    assert (plan["dryRun"], plan["carried"], plan["moved"]) == (True, 1, 0)
    assert plan["steps"][0]["acceptance"] == "ACCEPTED"
    done = (await alone.data(query, dry=False))["migrateTokens"]
    assert (done["dryRun"], done["moved"], done["skipped"]) == (False, 1, 0)
    found = await alone.data("query($t: String!) { token(id: $t) { workflowId } }", t=token)
    assert found["token"]["workflowId"] == "new"
    assert await alone.code(query.replace('"new"', '"nowhere"')) == "not_found"


async def test_timers_and_work_inside_can_be_seen(alone: Served) -> None:
    await alone.token()
    await alone.data(
        """mutation { createWorkflow(input: {name: "Outer", states: ["a", "b"], indexes: ["customer"],
             placeSettings: [{id: "a", timeoutSeconds: 3600, notify: true}],
             transitions: [{id: "inner", fromStates: ["a"], toState: "b", sub_workflow: "approval_v1"},
                           {id: "late", fromStates: ["a"], toState: "b", timer: {after_seconds: 60}}]}) { id } }"""
    )
    made = await alone.data(
        """mutation { createToken(input: {workflowId: "outer_v1"}) { id jobs { kind name state } workflow {
             transitions { id timer { afterSeconds at } subWorkflow automatic priority } } } }"""
    )
    assert [(job["kind"], job["name"]) for job in made["createToken"]["jobs"]] == [("timer", "late"), ("timeout", "a")]
    assert made["createToken"]["workflow"]["transitions"][1]["timer"] == {"afterSeconds": 60, "at": None}
    begun = await alone.data(
        """mutation($t: String!) { fireTransition(input: {tokenId: $t, transitionId: "inner"}) { running state } }""",
        t=made["createToken"]["id"],
    )
    assert begun["fireTransition"] == {"running": {"inner": f"{made['createToken']['id']}.2"}, "state": "a"}


@pytest.mark.parametrize("breaks", [1, 3])
async def test_a_client_that_is_cut_off_goes_on_where_it_was(alone: Served, breaks: int) -> None:
    token = await alone.token()
    seen: list[int] = []
    moves = ["submit", "back"] * 6

    async def watch() -> None:
        for _ in range(breaks):
            async with client(alone) as watching:
                await watching.subscribe("1", EVENTS, after=seen[-1] if seen else 0)
                for _ in range(12 // breaks):
                    message = await watching.hear()
                    assert message["type"] == "next", message
                    seen.append(message["payload"]["data"]["workflowEvents"]["sequence"])
                watching.socket.transport.abort()  # no goodbye

    async def work() -> None:
        for move in moves:
            await fire(alone, token, move)

    await asyncio.gather(watch(), work())
    stored = await alone.engine.workflows.ledger.events(0, workflow="approval_v1")
    assert seen == [event.position for event in stored][:12]


async def test_without_a_position_it_begins_now(alone: Served) -> None:
    token = await alone.token()
    await fire(alone, token, "submit")
    async with client(alone) as watching:
        await watching.subscribe("1", EVENTS)
        await subscribers(alone, 1)
        await fire(alone, token, "back")
        message = await watching.hear()
        assert message["payload"]["data"]["workflowEvents"]["event"] == {"kind": "fired", "transition": "back"}
