"""Server-sent events as OpenAI's clients read them (WHATWG HTML, section 9.2)."""

from collections.abc import Mapping
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
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


class Passing:
    """Events of an upstream that speaks OpenAI too, passed on as they are but for what names the answer: its `id`,
    `created` and `model` become those of `frame`. Within a text a quote is never bare, so only fields are replaced."""

    def __init__(self, frame: Mapping[str, Any]) -> None:
        self._frame = frame
        self._names: list[tuple[bytes, bytes]] = []

    def __call__(self, events: bytes) -> bytes:
        """The events as ours; empty when they are written in another way than ours can be."""
        if not self._names or not all(theirs in events for theirs, _ in self._names):
            self._names = self._named(events)
        for theirs, ours in self._names:
            events = events.replace(theirs, ours)
        return events if self._names else b""

    def _named(self, events: bytes) -> list[tuple[bytes, bytes]]:
        first = orjson.loads(events.partition(b"\n\n")[0].removeprefix(b"data: "))
        found = []
        for name in ("id", "created", "model"):
            for colon in (b":", b": "):
                theirs = orjson.dumps(name) + colon + orjson.dumps(first.get(name))
                if theirs in events:
                    found.append((theirs, orjson.dumps(name) + colon + orjson.dumps(self._frame[name])))
        return found if len(found) == 3 else []


def failure(error: Mapping[str, Any], frame: Mapping[str, Any]) -> bytes:
    """An error after the stream began: clients that know of errors raise it, the others see the end."""
    return data({**frame, "error": error, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})
