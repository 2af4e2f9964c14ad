"""Runs of text in a stream of OpenAI's chunks: events that differ in nothing but their text.

Nearly all of an answer is such events. One of them is read in full; what stands before and after its text is kept, and
whatever comes between the same two needs no reading: it is the same event with another text. So the bytes of the text
can go on as they are to a client that speaks OpenAI too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engine.llm.framing import MOST_FRAME_BYTES, Event, Events, FrameTooLong

_TRIES = 8  # a stream whose events always differ is left alone after so many in a row
_MANY = 8  # events at once
_LONG = 16 * 1024  # bytes of one event: with one that is longer runs end, as to look at it would take long
_CONTENT = re.compile(r'"content": ?"((?:[^"\\]|\\.)*)"')
_END = b"\n\n"


@dataclass(frozen=True, slots=True)
class Run:
    """The text of one or more events, and that of each as it came: JSON, but for the quotes around it."""

    text: str
    raw: Sequence[bytes]


class Runs:
    """Server-sent events as `framing.Events` gives them, and the runs among them."""

    def __init__(self, limit: int = MOST_FRAME_BYTES) -> None:
        self._events, self._limit = Events(limit), limit
        self._rest = b""  # of an event that is not complete
        self._before = self._after = b""  # a text; empty until it is known
        self._seen: Event | None = None
        self._tries = 0
        self._others = False  # whether lines end in another way than `\n`, or one is long: then there are no runs

    def feed(self, data: bytes) -> Sequence[Event | Run]:
        """What `data` completes. Raises FrameTooLong."""
        self._others = self._others or len(self._rest) > _LONG
        data = self._rest + data if self._rest else data
        if self._others or b"\r" in data:
            self._others, self._rest = True, b""
            return self._events.feed(data)
        end = data.rfind(_END)
        end = 0 if end < 0 else end + len(_END)
        whole, self._rest = data[:end], data[end:]
        if len(self._rest) > self._limit:
            raise FrameTooLong(self._limit)
        if not self._before and whole.count(_END) > _MANY:  # enough to look at the first ones alone
            place = whole.index(_END, whole.index(_END) + 1) + len(_END)
            return [*self._taken(whole[:place]), *self._taken(whole[place:])]
        return self._taken(whole)

    def end(self) -> Sequence[Event | Run]:
        """What is complete but for the empty line after it."""
        return [*self._events.feed(self._rest), *self._events.end()]

    def _taken(self, whole: bytes) -> Sequence[Event | Run]:
        """The events of `whole`: a run that it begins with, and the others."""
        self._learn()
        if self._before and whole.startswith(self._before) and (place := whole.rfind(self._after)) >= 0:
            end = place + len(self._after)
            if run := self._run(whole[:end]):
                self._tries = 0
                return [run, *self._events.feed(whole[end:])] if end < len(whole) else [run]
        found = self._events.feed(whole)
        if found and self._tries < _TRIES:
            self._seen = found[-1]
        return found

    def _learn(self) -> None:
        """Look at the last event of what came before. It is not done at once: the answer may be whole already. It may
        have to be done again: some servers write the time into each event."""
        if self._seen is None:
            return
        event, self._seen, self._tries = self._seen, None, self._tries + 1
        if found := around_text(event.data):
            self._before, self._after = b"data: " + found[0].encode(), found[1].encode() + _END

    def _run(self, events: bytes) -> Run | None:
        """All of `events` as one run; None when something else is among them."""
        before, after = self._before, self._after
        # between two texts there is the end of one event and the beginning of the next, and nothing else
        texts = events[len(before) : -len(after)].split(after + before)
        if any(_END in text for text in texts):
            return None
        try:
            # a line end may not be within a text: so each of them ends where its event says, and not in the next one
            read = orjson.loads(b'["' + b'"\n,"'.join(texts) + b'"\n]')
            return Run("".join(read), texts) if len(read) == len(texts) else None
        except (orjson.JSONDecodeError, TypeError):  # what is between is more than a text
            return None


def around_text(data: str) -> tuple[str, str] | None:
    """What stands before and after the text of a chunk that says nothing else; None for any other."""
    if len(data) > _LONG or "\n" in data:  # several lines are written in another way than what they say
        return None
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not _only_text(body):
        return None
    for found in _CONTENT.finditer(data):
        before, after = data[: found.start(1)], data[found.end(1) :]
        other = orjson.loads(f"{before}{found[1]}?{after}")
        if _content(other) == f"{_content(body)}?":
            return before, after
    return None


def _content(body: Any) -> Any:
    return body["choices"][0]["delta"]["content"]


def _only_text(body: Any) -> bool:
    match body:
        case {"choices": [{"delta": {"content": str(text)} as delta} as choice]} if text:
            others = (body.get("usage"), body.get("error"), choice.get("finish_reason"), choice.get("logprobs"))
            return not any(others) and _nothing_else(delta) and choice.get("index", 0) == 0
        case _:
            return False


def _nothing_else(delta: Mapping[str, Any]) -> bool:
    return not any(value for name, value in delta.items() if name != "content")
