"""What must be remembered of a tool call until its result comes: who asked for it, and the signature that goes back.

A model's provider is kept inside a tool loop, and clients that drop signatures get them put back: Gemini refuses a
conversation without them ("Thought signatures", ai.google.dev, 2026-08). Some upstreams count their calls anew in each
answer (`call_0`): calls that share an id are told apart by what they ask for.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from engine.llm.messages import ChatRequest, Signature, ToolCall

MOST = 10_000  # ids
MOST_ALIKE = 100  # calls with one id


@dataclass(frozen=True, slots=True)
class _Made:
    """A call that a model has made."""

    model_id: str
    name: str
    asked: bytes
    signature: Signature | None


@dataclass
class ToolLoops:
    _calls: "OrderedDict[str, tuple[_Made, ...]]" = field(default_factory=OrderedDict)

    def note(self, model_id: str, calls: Iterable[ToolCall]) -> None:
        """A model has asked for tools."""
        for call in calls:
            if not call.id:
                continue
            made = _Made(model_id, call.name, _digest(call.arguments), call.signature)
            others = [one for one in self._calls.pop(call.id, ()) if (one.name, one.asked) != (made.name, made.asked)]
            self._calls[call.id] = (*others[1 - MOST_ALIKE :], made)
            while len(self._calls) > MOST:
                self._calls.popitem(last=False)

    def model_of(self, request: ChatRequest) -> str:
        """The id of the model that waits for the tools' results with which `request` ends; empty when there are none
        or it is not known."""
        if request.in_tool_loop:
            for message in reversed(request.messages):
                for call in message.tool_calls:
                    if (made := self._made(call)) is not None:
                        return made.model_id
        return ""

    def restored(self, request: ChatRequest) -> ChatRequest:
        """The request with the signatures that its client has dropped."""
        if not any(self._lost(call) for message in request.messages for call in message.tool_calls):
            return request
        messages = tuple(
            replace(message, tool_calls=tuple(map(self._whole, message.tool_calls))) if message.tool_calls else message
            for message in request.messages
        )
        return replace(request, messages=messages)

    def _lost(self, call: ToolCall) -> Signature | None:
        """The signature that a call had, if it has none now."""
        if call.signature is not None or not any(one.signature for one in self._calls.get(call.id, ())):
            return None
        made = self._made(call)
        return made.signature if made else None

    def _whole(self, call: ToolCall) -> ToolCall:
        return replace(call, signature=signature) if (signature := self._lost(call)) else call

    def _made(self, call: ToolCall) -> _Made | None:
        """An id that was used once is enough: clients may write the arguments otherwise."""
        alike = self._calls.get(call.id, ())
        if len(alike) > 1:
            asked = _digest(call.arguments)
            alike = tuple(one for one in alike if (one.name, one.asked) == (call.name, asked))
        return alike[-1] if alike else None


def _digest(arguments: str) -> bytes:
    """The same for the same JSON, however it is spaced, ordered and whichever way its whole numbers are written."""
    try:
        canonical = orjson.dumps(_plain(orjson.loads(arguments or "{}")), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        canonical = arguments.encode("utf-8", "replace")
    return hashlib.blake2b(canonical, digest_size=16).digest()


def _plain(value: Any) -> Any:
    """Whole numbers as integers, as clients in JavaScript write them."""
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value
