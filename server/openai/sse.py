"""Server-sent events as OpenAI's clients read them (WHATWG HTML, section 9.2)."""

from collections.abc import Mapping
from typing import Any

import orjson

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
DONE = b"data: [DONE]\n\n"


def data(body: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body, default=str) + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients skip and that keeps them waiting."""
    return f": {text}\n\n".encode()


def chunk(frame: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None, rest: Mapping[str, Any]) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return data({**frame, "choices": [choice], **rest})


def failure(error: Mapping[str, Any], frame: Mapping[str, Any]) -> bytes:
    """An error after the stream began: clients that know of errors raise it, the others see the end."""
    return data({**frame, "error": error, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})
