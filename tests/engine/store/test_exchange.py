"""Everything out and in again: the same on each kind of store, checked first, and never over something."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.jobs.model import Job
from engine.kernel.caller import PROGRAM
from engine.kernel.errors import Conflict, InvalidInput, TooLarge
from engine.store import exchange
from engine.store.exchange import Exchanged, export, import_, look_through
from engine.store.memory.store import MemoryStore
from engine.store.ports import TokenQuery
from engine.workflows.archive import Archive
from tests.contract.test_journal_contract import FULL, record
from tests.support import APPROVAL, FORK, NOON


@pytest.fixture
async def full(workflows, store, clock):
    """A store with something of each kind in it, also archived, migrated and waiting."""
    await workflows.create(APPROVAL)
    await workflows.create({**APPROVAL, "description": "two"})
    await workflows.create({**FORK, "id": "mine"})
    done = await workflows.create_token("approval_v1", caller=PROGRAM, data={"score": 90, "ü": [1.5, None]})
    for transition in ("submit", "approve"):
        await workflows.fire(done.id, transition, caller=PROGRAM, reason="so")
    clock.move(1)
    assert (await Archive(store.ledger, clock.world).fold(timedelta(0))).tokens == 1
    token = await workflows.create_token("mine", caller=PROGRAM, metadata={"a": 1})
    token = await workflows.fire(token.id, "split", caller=PROGRAM, data={"a": 1})
    born = workflows.born("w", await workflows.workflow("approval_v2"), {"draft": 1}, {}, {}, PROGRAM)
    await store.ledger.add([replace(born, jobs=[Job("w", "timer", "x", NOON, 1, {"p": 1}, 2, "broke")])])
    await store.shelf.put("conversation", "1", {"title": "x"})
    await store.shelf.put("turn", "2", {"text": "y"}, parent="1")
    await store.shelf.put("key", "openai", {"provider": "openai"})
    await store.journal.record(record())
    await store.journal.record(record("2", None, **FULL))
    return store


async def written(store):
    found = Exchanged()
    return [line async for line in export(store, NOON, found)], found


async def contents(store):
    tokens = await store.ledger.tokens(TokenQuery(first=1000))
    ids = [token.id for token in tokens]
    return (
        await store.ledger.workflows(),
        tokens,
        {id: list(events) for id, events in (await store.ledger.histories(ids)).items()},
        {id: list(jobs) for id, jobs in (await store.jobs.of(ids)).items()},
        [one async for one in store.shelf.every() if one.kind != "key"],
        [one async for one in store.journal.every()],
        await store.journal.spend(NOON.date()),
        [await store.ledger.counts(one.id) for one in await store.ledger.workflows()],
    )


async def test_all_of_it_comes_back_on_any_kind_of_store(full, workflows_on):
    lines, found = await written(full)
    assert found.stored == {"workflow": 3, "token": 3, "document": 2, "request": 2}
    assert look_through(lines) == 10
    other = MemoryStore()
    assert (await import_(other, lines)).stored == found.stored
    assert await contents(other) == await contents(full)
    assert await workflows_on(other).damages() == []
    assert await other.shelf.get("key", "openai") is None  # the key itself is in a keyring elsewhere
    again, _ = await written(other)
    assert sorted(again) == sorted(lines)


async def test_the_same_again_is_skipped(full):
    lines, found = await written(full)
    before = await contents(full)
    done = await import_(full, lines)
    assert (done.stored.total(), done.skipped) == (0, found.stored)
    assert await contents(full) == before


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("workflow", lambda store: store.ledger.put_workflow),
        ("token", None),
        ("conversation", lambda store: store.shelf.put("conversation", "1", {"title": "other"})),
        ("request", None),
    ],
)
async def test_what_is_here_and_not_the_same_is_named_and_kept(full, workflows, kind, change):
    lines, _ = await written(full)
    other = MemoryStore()
    match kind:
        case "workflow":
            from engine.nets import notation

            await other.ledger.add_workflow(notation.read({**FORK, "name": "Other", "id": "mine"}), NOON)
        case "token":
            token = (await workflows.tokens(workflow="mine"))[0]
            await import_(other, lines)
            await workflows.fire(token.id, "join", caller=PROGRAM)
            lines, _ = await written(full)
        case "conversation":
            await change(other)
        case _:
            await other.journal.record(record("2", "0.5"))
    before = await contents(other) if kind == "token" else None
    with pytest.raises(Conflict, match=f"{kind} .* is (here, and is not the same|not the)"):
        await import_(other, lines)
    if before:
        assert (await contents(other))[1:4] == before[1:4]


async def test_a_history_that_does_not_fit_its_chain_is_not_stored(full):
    lines, _ = await written(full)
    number = next(n for n, line in enumerate(lines) if b'"workflow":"mine"' in line)
    for old, new in ((b'"actor":"program"', b'"actor":"nobody"'), (b'"metadata":{"a":1}', b'"metadata":{"a":2}')):
        assert old in lines[number]
        bad = [*lines[:number], lines[number].replace(old, new, 1), *lines[number + 1 :]]
        with pytest.raises(InvalidInput, match=f"Line {number + 1}") as caught:
            look_through(bad)
        assert "does not fit its hash chain" in caught.value.why
        other = MemoryStore()
        with pytest.raises(InvalidInput):
            await import_(other, bad)
        assert not [t for t in await other.ledger.tokens(TokenQuery()) if t.workflow == "mine"]
    look_through(lines)  # control


async def test_a_damaged_history_is_left_out_and_named(sqlite, workflows_on):
    workflows = workflows_on(sqlite)
    await workflows.create(APPROVAL)
    good, bad = [(await workflows.create_token("approval_v1", caller=PROGRAM)).id for _ in range(2)]
    await sqlite.database.write(
        lambda connection: connection.execute("update events set at = 1 where token = ?", (bad,))
    )
    lines, found = await written(sqlite)
    assert found.damaged == [bad]
    assert found.stored["token"] == 1
    assert any(good.encode() in line for line in lines)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda lines: lines[:-1], "cut off"),
        (lambda lines: [*lines[:3], *lines[4:]], "lines were written"),
        (lambda lines: lines[1:], "does not begin"),
        (lambda lines: [*lines, lines[1]], "after its end"),
        (lambda lines: [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]], "version 2"),
        (lambda lines: [lines[0], lines[1].replace(b"rework", b"remark"), *lines[2:]], "digest"),
        (lambda lines: [lines[0], b"[]", *lines[2:]], "Line 2"),
        (lambda lines: [lines[0], b'{"kind": "x"}', *lines[2:]], "not known"),
        (lambda lines: [lines[0], b"\xff", *lines[2:]], "Line 2"),
    ],
)
async def test_what_is_no_whole_export_is_refused_before_anything_is_stored(full, spoil, says):
    lines, _ = await written(full)
    with pytest.raises(InvalidInput) as caught:
        look_through(spoil(lines))
    assert says in str(caught.value)


async def test_a_line_without_end_is_refused(full, monkeypatch):
    lines, _ = await written(full)
    monkeypatch.setattr(exchange, "MOST_LINE_BYTES", 100)
    with pytest.raises(TooLarge, match="more than 100 bytes"):
        look_through(lines)


@settings(max_examples=60)
@given(data=st.data())
async def test_whatever_is_wrong_with_a_token_is_said_with_its_line(full, data):
    """A value of another kind anywhere in a token's line."""
    lines, _ = await written(full)
    number = next(n for n, line in enumerate(lines) if b'"workflow":"mine"' in line)
    row = orjson.loads(lines[number])
    inside = data.draw(st.sampled_from([row, row["events"][0]]))
    name = data.draw(st.sampled_from(sorted(inside)))
    old = inside[name]
    inside[name] = data.draw(
        st.sampled_from([None, 1, "x", [], [1], {"a": 1}, -(2**62), {}]).filter(lambda v: v != old)
    )
    bad = [*lines[:number], orjson.dumps(row), *lines[number + 1 :]]
    says = refusal(bad)
    if inside is row and name in ("createdAt", "running", "jobs"):  # no part of the chain
        assert not says or f"Line {number + 1} " in says
    elif inside is not row and name in ("detail", "reason") and not inside[name]:
        assert not says  # nothing is nothing, however it is written
    else:
        assert f"Line {number + 1} " in says


def refusal(lines):
    """What is said against lines; nothing when they are taken."""
    try:
        look_through(lines)
    except InvalidInput as error:
        return error.what
    return ""
