"""Live tokens move to another workflow, where the analysis says that they can."""

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidInput, NotFound
from engine.workflows.migration import Acceptance
from engine.workflows.migrations import Migrations
from tests.support import APPROVAL

LEGAL = {
    **APPROVAL,
    "states": ["draft", "legal", "review", "approved", "refused", "cellar"],
    "transitions": [
        {"id": "check", "fromStates": ["draft"], "toState": "legal"},
        {"id": "pass", "fromStates": ["legal"], "toState": "review"},
        {"id": "approve", "fromStates": ["review"], "toState": "approved"},
        {"id": "refuse", "fromStates": ["review", "cellar"], "toState": "refused"},
    ],
    "finalPlaces": ["approved", "refused"],
}


@pytest.fixture
async def migrations(workflows):
    await workflows.create(APPROVAL)
    await workflows.create(LEGAL)
    tokens = [await workflows.create_token("approval_v1", caller=PROGRAM, data={"n": n}) for n in range(4)]
    await workflows.fire(tokens[0].id, "submit", caller=PROGRAM)
    await workflows.fire(tokens[1].id, "submit", caller=PROGRAM)
    await workflows.fire(tokens[1].id, "reject", caller=PROGRAM)
    await workflows.cancel(tokens[2].id, caller=PROGRAM)
    return Migrations(workflows)


async def test_the_plan_says_for_each_marking_what_becomes_of_it(migrations, workflows):
    plan = await migrations.plan("approval_v1", "approval_v2", {})
    assert {tuple(step.marking): (step.tokens, step.acceptance) for step in plan.steps} == {
        ("draft",): (1, Acceptance.ACCEPTED),
        ("rejected",): (1, Acceptance.REFUSED),
        ("review",): (1, Acceptance.ACCEPTED),
    }
    assert (plan.carried, plan.refused) == (2, 1)
    assert "no place rejected" in next(step.reason for step in plan.steps if "rejected" in step.marking)
    assert await workflows.counts("approval_v2") == {}


async def test_what_the_new_one_does_not_reach_goes_over_when_it_can_end(migrations):
    plan = await migrations.plan("approval_v1", "approval_v2", {"rejected": "cellar"})
    (step,) = [step for step in plan.steps if "rejected" in step.marking]
    assert (step.acceptance, step.after) == (Acceptance.WITH_REMARK, {"cellar": 1})
    assert "does not reach cellar by itself" in step.reason


async def test_tokens_that_are_accepted_go_over_with_their_history_and_the_others_stay(migrations, workflows):
    done = await migrations.migrate("approval_v1", "approval_v2", {}, caller=PROGRAM, reason="law")
    assert (done.moved, done.skipped) == (2, 1)
    assert await workflows.counts("approval_v2") == {"draft": 1, "review": 1}
    assert await workflows.counts("approval_v1") == {"nowhere": 1, "rejected": 1}
    moved = await workflows.tokens(workflow="approval_v2")
    last = (await workflows.history(moved[0].id))[-1]
    assert (last.kind, last.reason) == ("migrated", "law")
    assert last.detail == {"from": "approval_v1", "to": "approval_v2", "places": {}}
    assert await workflows.damages() == []
    assert (await migrations.migrate("approval_v1", "approval_v2", {}, caller=PROGRAM)).moved == 0
    fired = await workflows.fire(moved[-1].id, "approve", caller=PROGRAM)
    assert fired.marking == {"approved": 1}


async def test_a_token_is_not_rolled_back_to_a_place_that_its_workflow_does_not_have(migrations, workflows):
    tokens = await workflows.tokens(workflow="approval_v1", state="rejected")
    await migrations.migrate("approval_v1", "approval_v2", {"rejected": "refused"}, caller=PROGRAM)
    assert (await workflows.token(tokens[0].id)).status == "completed"
    with pytest.raises(InvalidInput, match="was in rejected"):
        await workflows.roll_back(tokens[0].id, 3, caller=PROGRAM)


@pytest.mark.parametrize("places", [{"drafft": "draft"}, {"draft": "drafft"}])
async def test_a_map_names_places_that_are_there(migrations, places):
    with pytest.raises(NotFound, match="drafft"):
        await migrations.plan("approval_v1", "approval_v2", places)


async def test_a_workflow_is_not_migrated_to_itself(migrations):
    with pytest.raises(InvalidInput, match="to itself"):
        await migrations.plan("approval_v1", "approval_v1", {})
