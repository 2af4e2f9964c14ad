"""What must be remembered of a tool call until its result comes: who asked for it, and the signature that goes back.

A model's provider is kept inside a tool loop, and clients that drop signatures get them put back: Gemini refuses a
conversation without them ("Thought signatures", ai.google.dev, 2026-08).
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from engine.llm.messages import ChatRequest, Signature, ToolCall, ToolCallDelta

MOST = 10_000


@dataclass
class ToolLoops:
    _calls: "OrderedDict[str, tuple[str, Signature | None]]" = field(default_factory=OrderedDict)

    def note(self, model_id: str, call: ToolCallDelta) -> None:
        """A model has asked for a tool."""
        if call.id:
            self._calls[call.id] = model_id, call.signature
            while len(self._calls) > MOST:
                self._calls.popitem(last=False)

    def model_of(self, request: ChatRequest) -> str:
        """The id of the model that waits for the tools' results with which `request` ends; empty when there are none
        or it is not known."""
        if request.in_tool_loop:
            for message in reversed(request.messages):
                for call in message.tool_calls:
                    if call.id in self._calls:
                        return self._calls[call.id][0]
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

    def _lost(self, call: ToolCall) -> bool:
        return call.signature is None and self._calls.get(call.id, ("", None))[1] is not None

    def _whole(self, call: ToolCall) -> ToolCall:
        return replace(call, signature=self._calls[call.id][1]) if self._lost(call) else call
