"""Server-sent events as OpenAI's clients read them (WHATWG HTML, section 9.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
_EMPTY = b'"content":""'
WAITING = b": waiting for the model\n\n"
"""A comment: clients skip it, and go on waiting."""


def data(body: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body, default=str) + b"\n\n"


def event(body: Mapping[str, Any]) -> bytes:
    """An event that is named as its `type` says."""
    return b"event: " + str(body["type"]).encode() + b"\n" + data(body)


def chunk(
    frame: Mapping[str, Any],
    delta: Mapping[str, Any],
    finish: str | None,
    rest: Mapping[str, Any],
    *,
    index: int = 0,
    logprobs: Any = None,
) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return data({**frame, "choices": [choice], **rest})


class Texts:
    """Chunks of nothing but text, as `chunk` gives them, of texts that are written as JSON already."""

    def __init__(self, frame: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
        # within what is said a quote is never bare, so the first place is the one
        before, _, after = chunk(frame, {"content": ""}, None, rest).partition(_EMPTY)
        self._before, self._after = before + _EMPTY[:-1], _EMPTY[-1:] + after

    def __call__(self, texts: Sequence[bytes]) -> bytes:
        return self._before + (self._after + self._before).join(texts) + self._after


def failure(error: Mapping[str, Any], frame: Mapping[str, Any]) -> bytes:
    """An error after the stream began: clients that know of errors raise it, the others see the end."""
    return data({**frame, "error": error, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})
