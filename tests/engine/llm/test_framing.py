"""Frames come out the same however the bytes are split."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.framing import Event, Events, FrameTooLong, Lines


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def lines_in(pieces: list[bytes], limit: int = 10_000) -> list[bytes]:
    cutter = Lines(limit)
    return [line for piece in pieces for line in cutter.feed(piece)] + cutter.end()


def events_in(pieces: list[bytes], limit: int = 10_000) -> list[Event]:
    cutter = Events(limit)
    return [event for piece in pieces for event in cutter.feed(piece)] + cutter.end()


cuts = st.lists(st.integers(0, 5000), max_size=12)
stream = st.lists(
    st.sampled_from(["data", "event", "id", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "x", "ü", "🙂", "{}", "\ufeff"])
).map(lambda words: "".join(words).encode())


@given(stream, cuts)
def test_any_split_gives_the_same_lines(data, cuts):
    assert lines_in(pieces_of(data, cuts)) == lines_in([data])


@given(stream, cuts)
def test_any_split_gives_the_same_events(data, cuts):
    assert events_in(pieces_of(data, cuts)) == events_in([data])


@given(st.lists(st.text().filter(lambda text: text and not set(text) & set("\r\n"))), cuts)
def test_lines_come_back_as_they_were_sent(texts, cuts):
    data = "".join(text + "\n" for text in texts).encode("utf-8")
    assert lines_in(pieces_of(data, cuts)) == [text.encode() for text in texts]


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r", exclude_categories=["Cs"]))), cuts)
def test_event_data_comes_back_as_it_was_sent(texts, cuts):
    blocks = ("".join(f"data: {line}\n" for line in text.split("\n")) + "\n" for text in texts)
    assert [event.data for event in events_in(pieces_of("".join(blocks).encode(), cuts))] == texts


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_every_line_end_of_the_standard_ends_a_line(end):
    data = end.join(["event: ping", "data: a", "data:b", ": comment", "", "data:  c", "", ""]).encode()
    assert events_in([data]) == [Event("a\nb", "ping"), Event(" c")]


def test_a_byte_order_mark_is_no_part_of_the_first_field():
    assert events_in([b"\xef\xbb", b"\xbfdata: a\n\n"]) == [Event("a")]
    assert events_in([b"data: a\n\n\xef\xbb\xbfdata: b\n\n"]) == [Event("a")], "and only at the start"


def test_comments_ids_and_blocks_without_data_make_no_event():
    assert events_in([b": ping\n\nid: 7\nretry: 5\n\nevent: x\n\ndata\n\n"]) == [Event("")]


def test_a_last_event_needs_no_empty_line_but_a_half_line_is_dropped():
    assert events_in([b"data: [DONE]\n"]) == [Event("[DONE]")]
    assert events_in([b"data: whole\n\ndata: hal"]) == [Event("whole")]


def test_the_last_line_needs_no_end():
    assert lines_in([b'{"a":1}\r\n\n{"b"', b":2}"]) == [b'{"a":1}', b'{"b":2}']


@given(st.integers(0, 40), cuts)
def test_what_is_longer_than_the_limit_is_refused_at_any_split(size, cuts):
    line, event = b"x" * size + b"\n", b"data:" + b"x" * size + b"\n\n"
    if size <= 20:
        assert lines_in(pieces_of(line, cuts), limit=20) == ([b"x" * size] if size else [])
        assert events_in(pieces_of(event, cuts), limit=25) == [Event("x" * size)]
    else:
        with pytest.raises(FrameTooLong):
            lines_in(pieces_of(line, cuts), limit=20)
        with pytest.raises(FrameTooLong):
            events_in(pieces_of(event, cuts), limit=25)


def test_an_event_of_many_short_lines_is_bounded_too():
    with pytest.raises(FrameTooLong):
        events_in([b"data: 12345678\n" * 5], limit=30)
