"""Every query, mutation and subscription over HTTP, and every error with its code."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.kernel import errors as e
from engine.kernel.errors import CircuitBreakerError
from engine.workflows.events import TokenChanged
from tests.servers.loopback import PATIENCE_S
from tests.servers.scripted_openai import ScriptedOpenAI
from tests.serving import APPROVAL, Served

FIRE = """mutation($token: String!, $transition: String!, $data: JSON, $version: Int, $key: String, $mode: String) {
  fireTransition(input: {tokenId: $token, transitionId: $transition, data: $data, expectedVersion: $version,
                         idempotencyKey: $key, mode: $mode})
  { id state version data history { sequence kind transition fromState toState timestamp data hash } }
}"""


async def fire(app: Served, token: str, transition: str, **more: Any) -> Any:
    return (await app.data(FIRE, token=token, transition=transition, **more))["fireTransition"]


# -- workflows and tokens ---------------------------------------------------------------------------------------------


async def test_workflows(alone: Served) -> None:
    assert await alone.data("{ health }") == {"health": "ok"}
    assert (await alone.data(APPROVAL))["createWorkflow"] == {"id": "approval_v1"}
    assert (await alone.data(APPROVAL))["createWorkflow"] == {"id": "approval_v1"}  # the same again
    names = [one["id"] for one in (await alone.data("{ workflows { id } }"))["workflows"]]
    assert names[-1] == "approval_v1"
    assert "document_approval_v1" in names  # an example
    found = await alone.data(
        """{ workflow(id: "approval_v1") {
          id name description version states places initialState initialMarking { place tokens } finalPlaces
          transitions { id name description fromStates toState inputs { place weight } outputs { place weight }
                        reads { place } inhibitors { place } resets conditions }
          metadata createdAt definition counts { state tokens }
          analysis { complete states edges bounded bound safe live reversible deadlockFree sound optionToComplete
                     properCompletion livelockFree deadTransitions unboundedPlaces
                     findings { code severity message places transitions dependsOnGuards
                                trace { transition source marking { place tokens } } } }
        } }"""
    )
    workflow = found["workflow"]
    assert workflow["states"] == workflow["places"] == ["draft", "review", "done"]
    assert workflow["finalPlaces"] == ["done"]
    assert workflow["transitions"][1]["conditions"] == ["score >= 80"]
    assert workflow["analysis"]["sound"] is True
    assert workflow["definition"]["name"] == "Approval"
    assert (await alone.data('{ workflow(id: "nothing") { id } }'))["workflow"] is None


async def test_analysing_without_storing(alone: Served) -> None:
    trap = {"name": "Trap", "states": ["a", "b", "c"], "finalPlaces": ["c"], "transitions": [
        {"id": "x", "fromStates": ["a"], "toState": "b"}, {"id": "y", "fromStates": ["a"], "toState": "c"},
    ]}  # fmt: skip
    query = """query($input: WorkflowInput) {
      analyzeWorkflow(input: $input, maxStates: 100, timeoutMs: 500) {
        sound findings { code severity trace { transition marking { place tokens } } } } }"""
    found = (await alone.data(query, input=trap))["analyzeWorkflow"]
    assert found["sound"] is False
    deadlock = next(one for one in found["findings"] if one["code"] == "DEADLOCK")
    assert [step["transition"] for step in deadlock["trace"]] == [None, "x"]
    stored = [one["id"] for one in (await alone.data("{ workflows { id } }"))["workflows"]]
    assert "trap_v1" not in stored
    assert await alone.code("{ analyzeWorkflow { sound } }") == "invalid_input"
    by_id = await alone.data('{ analyzeWorkflow(id: "document_approval_v1") { complete } }')
    assert by_id["analyzeWorkflow"]["complete"] is True


async def test_an_analysis_brings_its_reasons(alone: Served) -> None:
    net = {"name": "Join", "states": ["a", "b", "c", "d"], "finalPlaces": ["d"], "transitions": [
        {"id": "x", "fromStates": ["a"], "toState": "b"}, {"id": "y", "fromStates": ["a"], "toState": "c"},
        {"id": "join", "inputs": [{"place": "b"}, {"place": "c"}], "toState": "d"},
    ]}  # fmt: skip
    query = """query($input: WorkflowInput) { analyzeWorkflow(input: $input) {
        everyDeadlock onGuards deadlocks { places siphon trace { transition } onward { transition } loop }
        structure { wellHandled everyHandle everySiphon everyTrap siphons traps
          handles { start end first second words } } } }"""
    found = (await alone.data(query, input=net))["analyzeWorkflow"]
    assert (found["everyDeadlock"], found["onGuards"]) == (True, [])
    assert [(one["places"], one["siphon"]) for one in found["deadlocks"]] == [(["b"], ["a", "c"]), (["c"], ["a", "b"])]
    assert [one["onward"] for one in found["deadlocks"]] == [[], []]
    structure = found["structure"]
    assert (structure["wellHandled"], structure["siphons"], structure["traps"]) == (False, [["a"]], [["d"]])
    assert (structure["handles"][0]["first"], structure["handles"][0]["end"]) == (["a", "x@a", "b", "join"], "join")


async def test_a_token_from_beginning_to_end(alone: Served) -> None:
    token = await alone.token()
    moved = await fire(alone, token, "submit", data={"score": 10})
    assert (moved["state"], moved["version"], moved["data"]) == ("review", 2, {"score": 10})
    assert [event["kind"] for event in moved["history"]] == ["created", "fired"]
    assert moved["history"][1]["transition"] == "submit"
    assert (moved["history"][1]["fromState"], moved["history"][1]["toState"]) == ("draft", "review")
    assert len({event["hash"] for event in moved["history"]}) == 2
    query = """query($id: String!, $all: Boolean!) {
      availableTransitions(tokenId: $id, includeBlocked: $all) { id enabled modes fromStates toState blockers }
      token(id: $id) { state workflow { name } availableTransitions(includeBlocked: $all) { id name } }
    }"""
    some = await alone.data(query, id=token, all=False)
    assert [one["id"] for one in some["availableTransitions"]] == ["back"]
    every = await alone.data(query, id=token, all=True)
    blocked = next(one for one in every["availableTransitions"] if one["id"] == "accept")
    assert not blocked["enabled"]
    assert blocked["blockers"]
    assert every["token"]["workflow"]["name"] == "Approval"
    assert len(every["token"]["availableTransitions"]) == 3
    done = await fire(alone, token, "accept", data={"score": 90})
    assert done["state"] == "done"
    assert (await alone.data('{ token(id: "nothing") { id } }'))["token"] is None


async def test_tokens_by_pages(alone: Served) -> None:
    first = await alone.token()
    make = 'mutation { createToken(input: {workflowId: "approval_v1"}) { id } }'
    others = [(await alone.data(make))["createToken"]["id"] for _ in range(4)]
    await fire(alone, first, "submit")
    query = """query($first: Int!, $after: String, $state: String, $workflow: String) {
      tokens(first: $first, after: $after, state: $state, workflowId: $workflow) { id state marking { place tokens }
        metadata createdAt updatedAt } }"""
    page = (await alone.data(query, first=2))["tokens"]
    assert [one["id"] for one in page] == [others[3], others[2]]
    rest = (await alone.data(query, first=50, after=page[-1]["id"], workflow="approval_v1"))["tokens"]
    assert [one["id"] for one in rest] == [others[1], others[0], first]
    moved = (await alone.data(query, first=1, state="review"))["tokens"]
    assert [one["id"] for one in moved] == [first]
    assert await alone.code(query, first=0) == "invalid_input"
    assert await alone.code(query, first=1001) == "invalid_input"
    assert await alone.code(query, first=1, workflow="nothing") == "not_found"


async def test_an_idempotency_key_makes_one_of_many(alone: Served) -> None:
    await alone.data(APPROVAL)
    make = 'mutation { createToken(input: {workflowId: "approval_v1", idempotencyKey: "k"}) { id } }'
    ids = {(await alone.data(make))["createToken"]["id"] for _ in range(3)}
    (token,) = ids
    versions = [(await fire(alone, token, "submit", key="fire"))["version"] for _ in range(3)]
    assert versions == [2, 2, 2]
    assert await alone.code(FIRE, token=token, transition="back", key="fire") == "conflict"


async def test_ten_at_once_move_a_token_once(alone: Served) -> None:
    token = await alone.token()
    answers = await asyncio.gather(
        *(alone.ask(FIRE, token=token, transition="submit", version=1) for _ in range(10))
    )  # fmt: skip
    codes = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert codes == ["conflict"] * 9
    assert (await alone.data(f'{{ token(id: "{token}") {{ version }} }}'))["token"]["version"] == 2


# -- models, keys, agents, the doctor ---------------------------------------------------------------------------------


async def test_models_keys_and_the_doctor(app: Served, upstream: ScriptedOpenAI) -> None:
    found = await app.data(
        "{ models { id provider name abilities context sizeBytes local loaded tiny } "
        "keys { provider origin where ending } doctor { id title state says fix } }"
    )
    assert {one["id"] for one in found["models"]} == {"openai/gpt-5-nano", "openai/text-embedding-3-small"}
    (key,) = found["keys"]
    assert (key["provider"], key["ending"]) == ("openai", "…6789")
    assert found["doctor"]
    assert "sk-test" not in str(found)
    names = await app.data('mutation { testKey(provider: "openai") }')
    assert "gpt-5-nano" in names["testKey"]
    assert await app.code('mutation { testKey(provider: "nobody") }') == "not_found"


async def test_a_key_goes_in_and_does_not_come_out(alone: Served) -> None:
    secret = "sk-ant-very-secret-1234"
    made = await alone.ask(
        'mutation($k: String!) { setKey(provider: "anthropic", key: $k) { where ending } }', k=secret
    )
    assert made["data"]["setKey"]["ending"] == "…1234"
    everything = await alone.ask("{ keys { provider where ending origin } doctor { says } }")
    assert secret not in str(everything) + str(made)
    assert (await alone.data('mutation { deleteKey(provider: "anthropic") }'))["deleteKey"] is True
    assert (await alone.data("{ keys { provider } }"))["keys"] == []


async def test_agents(alone: Served) -> None:
    made = await alone.data(
        """mutation { createAgent(input: {name: "Helper", description: "AI Assistant", prompts: {system: "Be kind."},
             llm_provider: {provider_type: "openai", model: "gpt-4", api_key: "sk-agent-key-9876"}}) {
             id name description status createdAt llmProvider { providerType model baseUrl } } }"""
    )
    agent = made["createAgent"]
    assert agent["llmProvider"] == {"providerType": "openai", "model": "gpt-4", "baseUrl": None}
    found = await alone.data(
        f'{{ agents {{ id }} agent(id: "{agent["id"]}") {{ name }} none: agent(id: "x") {{ id }} }}'
    )
    assert found == {"agents": [{"id": agent["id"]}], "agent": {"name": "Helper"}, "none": None}
    assert "sk-agent" not in str(made) + str(await alone.ask("{ keys { ending origin where } agents { id } }"))
    assert (await alone.data(f'mutation {{ deleteAgent(id: "{agent["id"]}") }}'))["deleteAgent"] is True
    assert (await alone.data("{ agents { id } }"))["agents"] == []


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_errors_say_what_why_how_and_where(alone: Served) -> None:
    token = await alone.token()
    answer = await alone.ask(FIRE, token=token, transition="accept")
    (error,) = answer["errors"]
    assert error["path"] == ["fireTransition"]
    assert error["extensions"]["code"] == "not_enabled"
    assert error["extensions"]["details"]["blockers"]
    assert error["message"].startswith(error["extensions"]["what"])
    gone = (await alone.ask(FIRE, token=token, transition="submit", version=7))["errors"][0]
    assert gone["extensions"]["code"] == "conflict"
    assert gone["extensions"]["details"]["current"] == {"version": 1, "state": "draft"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "invalid_input"),
        ("{ nothing }", "invalid_input"),
        ("{ tokens(first: \"many\") { id } }", "invalid_input"),
        ('mutation { fireTransition(input: {tokenId: "x", transitionId: "y"}) { id } }', "not_found"),
        ('mutation { createToken(input: {workflowId: "x"}) { id } }', "not_found"),
        ('mutation { createToken(input: {workflowId: "document_approval_v1", data: [1]}) { id } }', "invalid_input"),
        ('mutation { createWorkflow(input: {name: "x", states: [], transitions: []}) { id } }', "invalid_workflow"),
        ('mutation { setKey(provider: "nobody", key: "x") { where } }', "not_found"),
        ("query($x: Int!) { tokens(first: $x) { id } }", "invalid_input"),
    ],
)  # fmt: skip
async def test_codes(alone: Served, query: str, code: str) -> None:
    found = await alone.code(query)
    assert found == code or (code == "invalid_workflow" and found == "invalid_input")


KINDS = [kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, CircuitBreakerError)]


def raising(error: Exception) -> Callable[..., Any]:
    async def raises(*_: object, **__: object) -> Any:
        raise error

    return raises


@pytest.mark.parametrize("kind", KINDS)
async def test_each_class_of_error_comes_with_its_code_and_details(
    alone: Served, monkeypatch: pytest.MonkeyPatch, kind: type[CircuitBreakerError]
) -> None:
    error = kind("What.", why="Why.", fix="Fix.", details={"limit": 5})
    monkeypatch.setattr(alone.engine.workflows, "all", raising(error))
    answer = await alone.ask("{ workflows { id } }")
    assert answer["data"] is None
    extensions = answer["errors"][0]["extensions"]
    assert extensions == {"code": kind.code, "what": "What.", "why": "Why.", "fix": "Fix.", "details": {"limit": 5}}


async def test_a_bug_is_hidden_and_logged(
    alone: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alone.engine.workflows, "all", raising(ValueError("password=hunter2")))
    answer = await alone.ask("{ workflows { id } }")
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "internal"
    assert "hunter2" not in str(answer)
    assert "hunter2" in caplog.text
    assert extensions["details"]["request"] in {getattr(one, "facts", {}).get("bug") for one in caplog.records}


async def test_one_field_that_fails_leaves_the_others(alone: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone.engine.workflows, "workflow", raising(e.StoreUnavailable("No space.")))
    answer = await alone.ask('{ health workflow(id: "x") { id } }')
    assert answer["data"] == {"health": "ok", "workflow": None}
    assert answer["errors"][0]["extensions"]["code"] == "store_unavailable"


# -- clients that leave -----------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_during_a_firing_does_not_undo_it(
    alone: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed and published all the same; and the handler ends only then."""
    token = await alone.token()
    reached, go_on = asyncio.Event(), asyncio.Event()
    commit = alone.engine.store.ledger.commit

    async def slow(*arguments: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await commit(*arguments)

    monkeypatch.setattr(alone.engine.store.ledger, "commit", slow)
    with alone.engine.bus.subscribe(TokenChanged) as changes:
        asking = asyncio.create_task(alone.ask(FIRE, token=token, transition="submit"))
        await reached.wait()
        asking.cancel()
        await _until_the_server_has_seen_it()
        go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            async for change in changes:
                assert change.token.version == 2  # type: ignore[union-attr]
                break
    assert (await alone.data(f'{{ token(id: "{token}") {{ state }} }}'))["token"]["state"] == "review"


async def _until_the_server_has_seen_it() -> None:
    """Its client left: the task of the connection is being cancelled."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(  # noqa: ASYNC110  there is nothing else to wait on
            task.cancelling() for task in asyncio.all_tasks() if "connection_task" in repr(task)
        ):
            await asyncio.sleep(0)


async def test_a_client_that_leaves_during_an_analysis_ends_it(alone: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what changes nothing is given up."""
    reached, ended = asyncio.Event(), asyncio.Event()

    async def endless(*_: object, **__: object) -> Any:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(alone.engine.workflows, "analyse", endless)
    asking = asyncio.create_task(alone.ask('{ analyzeWorkflow(id: "document_approval_v1") { sound } }'))
    await reached.wait()
    asking.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
