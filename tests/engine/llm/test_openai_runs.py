"""Runs of text say the same as their events, whatever else is among them and however the bytes are split."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.dialects.openai_runs import Run, Runs, around_text
from engine.llm.framing import Event, Events, FrameTooLong

HEAD = '{"id":"c-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"delta":'
TAIL = ',"logprobs":null,"finish_reason":null}]}'


def text_event(text: str, head: str = HEAD, tail: str = TAIL) -> str:
    return f'data: {head}{{"content":{orjson.dumps(text).decode()}}}{tail}\n\n'


def bare_event(inside: str) -> str:
    """With `inside` as it is between the quotes: it may be more than a text."""
    return f'data: {HEAD}{{"content":"{inside}"}}{TAIL}\n\n'


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).map(text_event)
spaced = st.sampled_from(["a", 'with "quotes"', "\\"]).map(
    lambda text: text_event(text, '{"choices": [{"delta": ', "}]}")
)
later = st.sampled_from("abc").map(lambda text: text_event(text, tail=TAIL.replace("}]}", '}],"seed":8}')))
forged = st.lists(
    st.sampled_from(['"', ",", "[", "]", "{", "}", ":", "a", "\\", "\\\\", '\\"', '","', '"],["', '"}}]}']), max_size=5
).map(lambda parts: bare_event("".join(parts)))
others = st.sampled_from(
    [
        ": a comment\n\n",
        "data: [DONE]\n\n",
        f'data: {HEAD}{{"role":"assistant","content":""}}{TAIL}\n\n',
        f'data: {HEAD}{{}},"finish_reason":"stop"}}]}}\n\n',
        'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
        'data: {"error":{"message":"no"}}\n\n',
        f'event: x\ndata: {HEAD}{{"content":"named"}}{TAIL}\n\n',
        f'data: {HEAD}{{"content":"two"}}\ndata: {TAIL}\n\n',
        f'data: {HEAD}{{"content":"crlf"}}{TAIL}\r\n\r\n',
        "data: \n\n\n\n",
        "data: {",
    ]
)
streams = st.lists(st.one_of(texts, texts, texts, later, spaced, forged, others), max_size=30).map(
    lambda events: "".join(events).encode()
)


def fed(data: bytes, cuts: list[int]) -> list[Event | Run]:
    cutter = Runs()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    found = [one for start, end in pairwise(places) for one in cutter.feed(data[start:end])]
    return [*found, *cutter.end()]


def texts_of(found: list[Event | Run]) -> list[Event | str]:
    """The events, and of those that are runs each text."""
    return [one for event in found for one in (map(_read, event.raw) if isinstance(event, Run) else [event])]


def _read(text: bytes) -> str:
    said: str = orjson.loads(b'"' + text + b'"')
    return said


@given(streams, st.lists(st.integers(0, 20_000), max_size=20))
def test_with_runs_or_without_the_events_are_the_same(data: bytes, cuts: list[int]) -> None:
    plain, found = Events(), fed(data, cuts)
    events = [*plain.feed(data), *plain.end()]
    read = texts_of(found)
    assert len(read) == len(events)
    for one, event in zip(read, events, strict=True):
        if isinstance(one, str):
            assert not one or around_text(event.data) is not None
            assert orjson.loads(event.data)["choices"][0]["delta"]["content"] == one
        else:
            assert one == event
    for one in found:
        assert not isinstance(one, Run) or one.text == "".join(map(_read, one.raw))


def test_an_answer_is_runs_after_its_first_text() -> None:
    cutter = Runs()
    first = [*cutter.feed(text_event("a").encode())]
    assert [type(one) for one in first] == [Event]
    assert cutter.feed((text_event("b") + text_event('"c"\n')).encode()) == [Run('b"c"\n', [b"b", rb"\"c\"\n"])]
    assert [type(one) for one in cutter.feed((text_event("d") + "data: [DONE]\n\n").encode())] == [Run, Event]


def test_a_server_that_writes_the_time_into_each_event_has_runs_of_a_second() -> None:
    cutter = Runs()
    kinds = []
    for second in range(20):
        tail = TAIL.replace("}]}", f'}}],"created":{second}}}')
        for text in "abc":
            kinds += [type(one) for one in cutter.feed(text_event(text, tail=tail).encode())]
    assert kinds == [Event, Run, Run] * 20


def test_a_text_that_does_not_end_in_its_event_is_no_text() -> None:
    broken = bare_event("b\\").encode() + bare_event(',"c').encode()  # together they would be two texts
    cutter = Runs()
    cutter.feed(text_event("a").encode())
    assert cutter.feed(broken) == Events().feed(broken)


def test_many_events_at_once_are_a_run_from_the_first_on() -> None:
    found = Runs().feed("".join(text_event(f"{number} ") for number in range(100)).encode())
    assert [type(one) for one in found] == [Event, Event, Run]


@pytest.mark.parametrize(
    "said",
    [
        '{"choices":[{"index":1,"delta":{"content":"a"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"a","role":"assistant"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"a","reasoning":"b"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}',
        '{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}]}}]}',
        '{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}',
        '{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}',
        '{"choices":[{"index":0,"delta":{"content":""}}]}',
        "no JSON",
        "[]",
    ],
)
def test_what_says_more_than_a_text_is_no_pattern(said: str) -> None:
    assert around_text(said) is None


def test_a_text_is_found_where_it_is_the_content_of_the_delta() -> None:
    said = '{"extra":{"content":"a"},"choices":[{"index":0,"delta":{"content": "a"}}]}'
    assert around_text(said) == ('{"extra":{"content":"a"},"choices":[{"index":0,"delta":{"content": "', '"}}]}')


def test_an_event_without_end_is_too_long() -> None:
    cutter = Runs(limit=1000)
    cutter.feed(b"data: " + b"x" * 900)
    with pytest.raises(FrameTooLong):
        cutter.feed(b"x" * 100)


def test_from_a_long_event_that_comes_in_pieces_on_all_are_read_as_others_are() -> None:
    cutter, long = Runs(), text_event("a" * 40_000).encode()  # what is not complete would be copied with each piece
    found = [one for start in range(0, len(long), 1000) for one in cutter.feed(long[start : start + 1000])]
    assert found == Events().feed(long)
    assert [type(one) for _ in range(3) for one in cutter.feed(text_event("b").encode())] == [Event] * 3


@pytest.mark.parametrize(
    "said",
    [
        '{"choices":[{"index":0,"delta":{"content":"a"}}],"pad":[' + ",".join(['{"content":"b"}'] * 2000) + "]}",
        '{\n"choices":[{"index":0,"delta":{"content":"a"}}]}',
    ],
    ids=["long", "two lines"],
)
def test_what_would_take_long_or_is_written_in_two_lines_is_no_pattern(said: str) -> None:
    assert around_text(said) is None


def test_a_pattern_may_be_nested_deep() -> None:
    before, after = '{"pad":' + "[" * 1000 + "]" * 1000 + ',"choices":[{"index":0,"delta":{"content":"', '"}}]}'
    assert around_text(f"{before}another{after}") == (before, after)
