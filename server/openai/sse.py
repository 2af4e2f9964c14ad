"""Server-sent events as OpenAI's clients read them (WHATWG HTML, section 9.2)."""

from collections.abc import Mapping
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
_NAMES = ("id", "created", "model")
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
    `created` and `model` become those of `frame`. Within a text a quote is never bare, so only fields are replaced.
    A client that has usage `counted` is told in each event that there is none yet, where the upstream does not say so.
    """

    def __init__(self, frame: Mapping[str, Any], *, counted: bool = False) -> None:
        self._frame, self._counted = frame, counted
        self._names: list[tuple[bytes, bytes]] = []

    def __call__(self, events: bytes) -> bytes:
        """The events as ours; empty when they are written in another way than ours can be."""
        if not self._names or not all(theirs in events for theirs, _ in self._names):
            self._names = self._named(events)
        for theirs, ours in self._names:
            events = events.replace(theirs, ours)
        return events if self._names else b""

    def _named(self, events: bytes) -> list[tuple[bytes, bytes]]:
        """What is replaced by what, each with the byte after it, as a number may go on; nothing for another form."""
        first, found = events.partition(b"\n\n")[0].removeprefix(b"data: "), []
        body = orjson.loads(first)
        if not _as_ours(body, self._frame):
            return []
        for name in _NAMES:
            for colon in (b":", b": "):
                theirs = orjson.dumps(name) + colon + orjson.dumps(body.get(name))
                if (place := first.find(theirs)) >= 0:
                    after = first[place + len(theirs) :][:1]
                    found.append((theirs + after, orjson.dumps(name) + colon + orjson.dumps(self._frame[name]) + after))
        if self._counted and found and "usage" not in body:
            theirs, ours = found[-1]
            found[-1] = theirs, ours[:-1] + b',"usage":null' + ours[-1:]
        for theirs, ours in found:
            first = first.replace(theirs, ours)
        body = orjson.loads(first)
        named = all(body.get(name) == self._frame[name] for name in _NAMES)
        return found if named and ("usage" in body or not self._counted) else []


def _as_ours(body: Any, frame: Mapping[str, Any]) -> bool:
    """Whether a chunk of nothing but text has the form that `chunk` gives it, so that no client stumbles over it."""
    match body:
        case {"object": kind, "choices": [{"index": 0, "delta": delta} as choice]} if kind == frame["object"]:
            none = (body.get("usage"), body.get("error"), choice.get("finish_reason"), choice.get("logprobs"))
            others = (value for name, value in delta.items() if name != "content")
            return not any(one is not None for one in (*none, *others))
        case _:
            return False


def failure(error: Mapping[str, Any], frame: Mapping[str, Any]) -> bytes:
    """An error after the stream began: clients that know of errors raise it, the others see the end."""
    return data({**frame, "error": error, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})
