"""A database of the first version is brought up to date: nothing is lost, chains hold, and a copy was made before."""

import sqlite3
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.kernel.caller import PROGRAM
from engine.kernel.instants import microseconds
from engine.llm.messages import Usage
from engine.nets import notation
from engine.nets.firing import choose_mode, fire
from engine.nets.token import Event, Token
from engine.store import codec
from engine.store.definitions import definition_digest
from engine.store.ports import Spend, SpendKey, SpendSums, TokenQuery
from engine.store.sqlite.migrations import m0001_foundation
from engine.store.sqlite.store import SqliteStore
from engine.workflows import chain
from tests.contract.test_journal_contract import record
from tests.support import APPROVAL, NOON

COSTS = [*((NOON, "0.1") for _ in range(10)), (NOON, None), (NOON.replace(hour=0) + timedelta(days=1), "5")]
ENDS = {"t1": (), "t2": ("submit",), "t3": ("submit", "approve")}


def run_of(id, transitions):
    """A token and its events, as the first version sealed them."""
    net = notation.read(APPROVAL).net
    token = Token(id, "approval_v1", dict(net.initial), {"score": 90}, {"by": "me"}, 1, NOON, NOON)
    events = [
        chain.seal(Event(id, 1, "created", token.marking, NOON, data=token.data, actor="me"), chain.origin(token))
    ]
    for name in transitions:
        at = token.updated_at + timedelta(seconds=1)
        fired = fire(net, token, choose_mode(net, token, name), at, patch=None, actor="me")
        events.append(chain.seal(fired.events[0], events[-1].hash))
        token = fired.token
    return token.with_head(events[-1].hash), events


@pytest.fixture
def first_version(database):
    database.parent.mkdir(parents=True)
    connection = sqlite3.connect(database)
    for statement in m0001_foundation.STATEMENTS:
        connection.execute(statement)
    definition = notation.read(APPROVAL)
    body, digest = codec.dumps(notation.write(definition)), definition_digest(definition)
    connection.execute(
        "insert into workflows values ('approval_v1', 'approval', 1, ?, ?, ?)", (body, digest, microseconds(NOON))
    )
    for id, transitions in ENDS.items():
        token, events = run_of(id, transitions)
        (state,) = token.marking
        connection.execute(
            "insert into tokens values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id, token.workflow, state, codec.dumps(token.marking), codec.dumps(token.data),
             codec.dumps(token.metadata), token.version, microseconds(token.created_at),
             microseconds(token.updated_at), token.head),
        )  # fmt: skip
        for event in events:
            connection.execute(
                "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (id, event.sequence, event.kind, event.transition, event.source,
                 None if event.before is None else codec.dumps(event.before), codec.dumps(event.after),
                 None if event.data is None else codec.dumps(event.data),
                 microseconds(event.at), event.actor, event.hash),
            )  # fmt: skip
        connection.execute("insert into counts values ('approval_v1', ?, 1)", (state,))
    for number, (at, cost) in enumerate(COSTS):
        connection.execute(
            "insert into requests values "
            "(?, ?, 'command', 'auto', 'openai', 'gpt', 1, 2, 3, 4, 1, ?, 0.5, 1.5, '', '{}')",
            (f"r{number}", microseconds(at), cost),
        )
    connection.execute("insert into spend values ('2026-08-01', 11, 1, '1.0')")
    connection.execute("pragma user_version=1")
    connection.commit()
    connection.close()
    return database


async def test_tokens_histories_and_chains_come_over(first_version, workflows_on):
    store = await SqliteStore.open(first_version, NOON)
    workflows = workflows_on(store)
    found = {token.id: (dict(token.marking), token.status) for token in await workflows.tokens(TokenQuery())}
    assert found == {
        "t1": ({"draft": 1}, "active"),
        "t2": ({"review": 1}, "active"),
        "t3": ({"approved": 1}, "completed"),
    }
    for id, transitions in ENDS.items():
        token, events = run_of(id, transitions)
        assert await workflows.token(id) == token
        assert list(await workflows.history(id)) == events
    assert await workflows.damages() == []
    assert [event.position for event in await store.ledger.events(0)] == [1, 2, 3, 4, 5, 6]
    assert (await workflows.fire("t2", "approve", caller=PROGRAM)).status == "completed"
    await store.close()


@pytest.fixture
async def upgraded(first_version):
    store = await SqliteStore.open(first_version, NOON)
    yield store
    await store.close()


async def test_requests_come_over_with_their_sums(upgraded):
    store = upgraded
    found = [one async for one in store.journal.every()]
    assert [(one.at, one.cost_usd) for one in sorted(found, key=lambda one: int(one.id[1:]))] == [
        (at, None if cost is None else Decimal(cost)) for at, cost in COSTS
    ]
    assert {(one.app, one.usage, one.price, one.warnings) for one in found} == {
        ("command", Usage(1, 2, 3, 4), None, ())
    }
    day = NOON.date()
    assert await store.journal.sums(day, day + timedelta(days=2)) == [
        (
            SpendKey(day, "openai", "gpt", "command"),
            SpendSums(11, 0, 1, 0, 11, 22, 33, 44, Decimal("1.0")),  # exact: ten times 0.1 is no 0.9999999999999999
        ),
        (SpendKey(day + timedelta(days=1), "openai", "gpt", "command"), SpendSums(1, 0, 0, 0, 1, 2, 3, 4, Decimal(5))),
    ]
    assert await store.journal.spend(day) == Spend(11, 1, Decimal("1.0"))
    await store.journal.record(record("z", "0.1", provider="openai", model="gpt", app="command"))
    assert (await store.journal.spend(day)).cost_usd == Decimal("1.1")


async def test_a_copy_of_the_first_version_is_kept(first_version):
    before = first_version.read_bytes()
    await (await SqliteStore.open(first_version, NOON)).close()
    (copy,) = first_version.parent.glob("*.v1-*.backup")
    connection = sqlite3.connect(copy)
    assert connection.execute("pragma user_version").fetchone() == (1,)
    assert connection.execute("select count(*) from events").fetchone() == (6,)
    connection.close()
    assert first_version.read_bytes() != before
