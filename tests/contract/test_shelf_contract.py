"""What every shelf must do, on each kind of store."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.errors import InvalidInput
from engine.store.memory.store import MemoryShelf
from engine.store.ports import Document


@pytest.fixture
def shelf(store):
    return store.shelf


async def test_a_document_comes_back_as_it_was(shelf):
    body = {"a": [1, None, {"ü": 1.5}], "b": ""}
    await shelf.put("note", "1", body)
    assert await shelf.get("note", "1") == body


async def test_putting_again_replaces(shelf):
    await shelf.put("note", "1", {"a": 1})
    await shelf.put("note", "1", {"b": 2})
    assert await shelf.get("note", "1") == {"b": 2}
    assert len(await shelf.list("note")) == 1


async def test_what_is_not_there_is_none(shelf):
    await shelf.put("note", "1", {})
    assert await shelf.get("note", "2") is None
    assert await shelf.get("other", "1") is None
    assert await shelf.list("other") == []


async def test_lists_are_in_order_and_may_be_cut(shelf):
    for id in ("b", "c", "a"):
        await shelf.put("note", id, {"id": id})
    assert await shelf.list("note") == [(id, {"id": id}) for id in "abc"]
    assert [id for id, _ in await shelf.list("note", newest=True, limit=2)] == ["c", "b"]


async def test_children_are_apart_from_others(shelf):
    await shelf.put("talk", "1", {})
    await shelf.put("turn", "x", {"of": 1}, parent="1")
    await shelf.put("turn", "x", {"of": 2}, parent="2")
    assert await shelf.list("turn", parent="1") == [("x", {"of": 1})]
    assert await shelf.list("turn") == []
    assert await shelf.get("turn", "x") is None


async def test_a_child_is_found_by_its_parent(shelf):
    await shelf.put("turn", "x", {"of": 1}, parent="1")
    assert await shelf.get("turn", "x", parent="1") == {"of": 1}
    assert await shelf.get("turn", "x", parent="2") is None


async def test_every_document_comes_once_in_order(shelf):
    assert [one async for one in shelf.every()] == []
    for number in range(450):
        await shelf.put("turn", f"{number:03}", {"n": number}, parent=str(number % 2))
    await shelf.put("note", "1", {"a": 1})
    found = [one async for one in shelf.every()]
    assert found[0] == Document("note", "", "1", {"a": 1})
    assert [(one.parent, one.id) for one in found[1:]] == [(p, f"{n:03}") for p in "01" for n in range(int(p), 450, 2)]


async def test_deleting_takes_the_children_along_and_nothing_else(shelf):
    for parent in ("1", "2"):
        await shelf.put("talk", parent, {})
        await shelf.put("turn", "x", {}, parent=parent)
        await shelf.put("note", "n", {}, parent=parent)
    assert await shelf.delete("talk", "1", children="turn") is True
    assert await shelf.get("talk", "1") is None
    assert await shelf.list("turn", parent="1") == []
    assert len(await shelf.list("turn", parent="2")) == len(await shelf.list("note", parent="1")) == 1
    assert await shelf.get("talk", "2") == {}
    assert await shelf.delete("talk", "1", children="turn") is False


async def test_what_was_given_may_change_afterwards(shelf):
    body = {"a": [1]}
    await shelf.put("note", "1", body)
    body["a"].append(2)
    assert await shelf.get("note", "1") == {"a": [1]}


@pytest.mark.parametrize("body", [{"a": "\ud800"}, {"a": 2**70}, {"a": object()}])
async def test_what_json_cannot_hold_is_refused(shelf, body):
    with pytest.raises(InvalidInput):
        await shelf.put("note", "1", body)
    assert await shelf.get("note", "1") is None


IDS = st.sampled_from(["1", "2", "3"])
STEPS = st.lists(
    st.tuples(st.just("put"), IDS, st.sampled_from(["", "1"]), st.integers(0, 9))
    | st.tuples(st.just("delete"), IDS, st.just(""), st.just(0)),
    max_size=10,
)


@settings(max_examples=30)
@given(STEPS)
async def test_both_stores_agree_on_any_sequence(store, steps):
    """Each step on the store and on a plain model in memory; they show the same."""
    shelf, model = store.shelf, MemoryShelf()
    for id, _ in await shelf.list("doc"):
        await shelf.delete("doc", id, children="doc")
    await shelf.delete("doc", "1", children="doc")
    for what, id, parent, number in steps:
        for one in (shelf, model):
            if what == "put":
                await one.put("doc", id, {"n": number}, parent=parent)
            else:
                await one.delete("doc", id, children="doc")
    for parent in ("", "1", "2"):
        assert await shelf.list("doc", parent=parent) == await model.list("doc", parent=parent)
