"""Tool calls that are remembered until their results come: by their ids, and by what they ask where ids are shared."""

import pytest

from engine.llm.messages import ChatMessage, ChatRequest, Signature, Text, ToolCall
from engine.llm.tool_loops import MOST, MOST_ALIKE, ToolLoops

ONE, TWO = Signature("google", "one"), Signature("google", "two")


def asked(call: ToolCall) -> ChatRequest:
    result = ChatMessage("tool", (Text("42"),), tool_call_id=call.id)
    return ChatRequest("auto", (ChatMessage.of("user", "hi"), ChatMessage("assistant", (), (call,)), result))


def signature(loops: ToolLoops, call: ToolCall) -> Signature | None:
    return loops.restored(asked(call)).messages[1].tool_calls[0].signature


def call(arguments: str = "{}", name: str = "f", id: str = "call_0", signature: Signature | None = None) -> ToolCall:
    return ToolCall(id, name, arguments, signature)


@pytest.mark.parametrize(
    ("one", "two"),
    [(call('{"x":1}'), call('{"x":2}')), (call(name="f"), call(name="g")), (call("no json"), call("nor this"))],
)
def test_calls_of_two_conversations_with_one_id_are_told_apart(one, two):
    loops = ToolLoops()
    loops.note("a/one", [call(one.arguments, one.name, signature=ONE)])
    loops.note("b/two", [call(two.arguments, two.name, signature=TWO)])
    assert (loops.model_of(asked(one)), loops.model_of(asked(two))) == ("a/one", "b/two")
    assert (signature(loops, one), signature(loops, two)) == (ONE, TWO)
    assert loops.model_of(asked(call('{"another":1}', "h"))) == ""


@pytest.mark.parametrize("back", ['{"b": [1, 2.5], "a": 1e0}', '{ "a":1.0,"b":[1.0,2.5]}'])
def test_arguments_that_are_written_otherwise_are_the_same(back):
    loops = ToolLoops()
    loops.note("a/one", [call('{"a":1,"b":[1,2.5]}')])
    loops.note("b/two", [call('{"a":2}')])
    assert loops.model_of(asked(call(back))) == "a/one"


def test_an_id_that_was_used_once_is_enough():
    loops = ToolLoops()
    loops.note("a/one", [call('{"id":123456789012345678901234567890}', id="call_x9", signature=ONE)])
    assert signature(loops, call('{"id":"cut"}', id="call_x9")) == ONE
    assert loops.model_of(asked(call(id="call_other"))) == ""


def test_the_last_of_those_that_are_the_same_counts():
    loops = ToolLoops()
    for model in ("a/one", "b/two"):
        loops.note(model, [call()])
    assert loops.model_of(asked(call())) == "b/two"


def test_what_is_remembered_is_bounded():
    loops = ToolLoops()
    for number in range(MOST + 1):
        loops.note("a/one", [call(id=f"call_{number}")])
    for number in range(MOST_ALIKE + 1):
        loops.note("a/one", [call(f'{{"x":{number}}}', id="call_0")])
    assert sum(map(len, loops._calls.values())) == MOST - 1 + MOST_ALIKE
    assert loops.model_of(asked(call('{"x":0}'))) == ""
    assert loops.model_of(asked(call('{"x":1}'))) == "a/one"


def test_a_call_without_an_id_is_not_remembered():
    loops = ToolLoops()
    loops.note("a/one", [call(id="")])
    assert loops.model_of(asked(call(id=""))) == ""
