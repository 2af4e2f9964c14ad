"""Texts that an upstream has written as JSON become the events that would be written of them anew."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.openai import sse

FRAME = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 9, "model": "m"}


@pytest.mark.parametrize("rest", [{}, {"usage": None}])
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_texts_as_they_came_are_the_chunks_of_them(rest: dict[str, Any], texts: list[str]) -> None:
    written = sse.Texts(FRAME, rest)([orjson.dumps(text)[1:-1] for text in texts])
    assert written == b"".join(sse.chunk(FRAME, {"content": text}, None, rest) for text in texts)


def test_a_model_may_be_called_anything() -> None:
    frame = FRAME | {"model": '"content":"","id":"content'}
    assert sse.Texts(frame, {})([b"a"]) == sse.chunk(frame, {"content": "a"}, None, {})
