"""Events of an upstream that are passed on as they came say who answers as ours do, and have the form of ours."""

import orjson
import pytest

from server.openai.sse import Passing

FRAME = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 9, "model": "ours"}
THEIRS = {
    "id": "x",
    "object": "chat.completion.chunk",
    "created": 17,
    "model": "theirs",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
}


def event(**fields: object) -> bytes:
    return b"data: " + orjson.dumps(THEIRS | fields) + b"\n\n"


def choice(**fields: object) -> list[dict[str, object]]:
    return [{"index": 0, "delta": {"content": "a"}, "finish_reason": None} | fields]


def read(events: bytes) -> list[dict[str, object]]:
    return [orjson.loads(one.removeprefix(b"data: ")) for one in events.split(b"\n\n") if one]


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        {"id": None},
        {"created": 1700000000.5},
        {"created": -1},
        {"id": "theirs"},
        {"system_fingerprint": "x", "usage": None, "extra": {"id": "y", "created": 178}},
        {"choices": choice(delta={"content": '"id":"x","created":17,"model":"theirs"', "tool_calls": None})},
        {"choices": choice(delta={"content": "\u2028\x00 \\"})},
    ],
)
def test_only_what_names_the_answer_is_ours(theirs: dict[str, object]) -> None:
    (passed,) = read(Passing(FRAME)(event(**theirs)))
    assert passed == THEIRS | theirs | FRAME


@pytest.mark.parametrize(
    "theirs",
    [
        {"object": "chunk"},
        {"choices": choice(index=1)},
        {"choices": choice(finish_reason="")},
        {"choices": choice(logprobs={})},
        {"choices": choice(delta={"content": "a", "role": ""})},
        {"choices": choice(delta={"content": "a", "function_call": {}})},
        {"choices": [{"delta": {"content": "a"}}]},
        {"usage": {}},
        {"error": {}},
    ],
)
def test_what_has_another_form_is_not_passed(theirs: dict[str, object]) -> None:
    assert Passing(FRAME)(event(**theirs)) == b""


@pytest.mark.parametrize("theirs", [{}, {"usage": None}, {"choices": choice(delta={"content": '"model":"theirs"}'})}])
def test_a_client_that_counts_is_told_that_there_is_no_usage_yet(theirs: dict[str, object]) -> None:
    passing = Passing(FRAME, counted=True)
    for _ in range(2):
        assert read(passing(event(**theirs) * 2)) == [THEIRS | theirs | FRAME | {"usage": None}] * 2
    last = (
        b"data: "
        + orjson.dumps({name: THEIRS[name] for name in ("id", "object", "choices", "created", "model")})
        + b"\n\n"
    )
    assert read(passing(last)) == [THEIRS | FRAME | {"usage": None}]
    nested = b"data: " + orjson.dumps({"by": {"model": "theirs"}} | THEIRS | theirs) + b"\n\n"
    assert all(one["usage"] is None for one in read(Passing(FRAME, counted=True)(nested)))


def test_what_does_not_name_itself_is_not_passed() -> None:
    without = {name: value for name, value in THEIRS.items() if name != "id"}
    said = b"data: " + orjson.dumps(without | {"by": {"id": None}}) + b"\n\n"
    assert Passing(FRAME)(said) == b""
    assert Passing(FRAME)(event().replace(b'"id":', b'"\\u0069d":')) == b""


def test_names_that_change_are_found_again() -> None:
    passing = Passing(FRAME)
    for created in (17, 178, 17.5):
        assert read(passing(event(created=created) * 2)) == [THEIRS | FRAME] * 2
    assert read(passing(event(id="another"))) == [THEIRS | FRAME]
