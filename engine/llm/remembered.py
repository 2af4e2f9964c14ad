"""Answers that are given again to the very same request, where it asks for that. Bounded, in memory."""

import hashlib
from collections import OrderedDict
from dataclasses import asdict, dataclass, field

from engine.llm.messages import ChatRequest, Chunk, TextDelta
from engine.llm.model import Model
from engine.llm.refusals import encoded

MOST_ANSWERS = 256
MOST_CHUNKS, MOST_CHARACTERS = 20_000, 1_000_000  # of one answer


@dataclass
class Remembered:
    _answers: "OrderedDict[bytes, tuple[Model, tuple[Chunk, ...]]]" = field(default_factory=OrderedDict)

    def get(self, request: ChatRequest) -> tuple[Model, tuple[Chunk, ...]] | None:
        """The model that answered the same request before, and its chunks."""
        key = fingerprint(request)
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def put(self, request: ChatRequest, model: Model, chunks: tuple[Chunk, ...]) -> None:
        self._answers[fingerprint(request)] = model, _joined(chunks)
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)


def too_much(chunks: int, characters: int) -> bool:
    """Whether an answer that has come so far is too long to be kept."""
    return chunks > MOST_CHUNKS or characters > MOST_CHARACTERS


def fingerprint(request: ChatRequest) -> bytes:
    """32 bytes that are the same only for the same request, down to its last field."""
    return hashlib.sha256(encoded(asdict(request))).digest()


def _joined(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """Neighbouring pieces of text as one."""
    out: list[Chunk] = []
    for chunk in chunks:
        last = out[-1] if out else None
        if isinstance(chunk, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(last.text + chunk.text, last.logprobs + chunk.logprobs)
        else:
            out.append(chunk)
    return tuple(out)
