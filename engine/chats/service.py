"""The use cases of conversations: start, say, stop, list, delete. Every turn is stored before the next one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from engine.chats.model import Conversation, Turn
from engine.kernel.caller import Caller
from engine.kernel.errors import CircuitBreakerError, InvalidInput, NotFound
from engine.kernel.world import World
from engine.llm.answering import Answer
from engine.llm.counting import CHARACTERS_PER_TOKEN
from engine.llm.messages import ChatMessage, ChatRequest, ReasoningDelta, TextDelta
from engine.llm.service import Llm
from engine.store.ports import Shelf

_CONVERSATION, _TURN = "conversation", "turn"
MOST_CHARACTERS = 1_000_000  # of one question
_RESERVED = 0.35  # of a context, for the answer
_TITLE = 48


@dataclass(frozen=True, slots=True)
class Begun:
    """A model has begun to answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of the answer."""

    text: str = ""
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer as it is stored."""

    turn: Turn


Progress = Begun | Piece | Ended


class Chats:
    def __init__(self, shelf: Shelf, llm: Llm, world: World) -> None:
        self._shelf, self._llm, self._world = shelf, llm, world

    async def start(self, model: str) -> Conversation:
        """A new conversation; it is stored with its first turn."""
        now = self._world.now()
        return Conversation(self._world.new_id(), "", model, now, now)

    async def all(self, limit: int = 200) -> Sequence[Conversation]:
        """Newest first."""
        return [_conversation(id, body) for id, body in await self._shelf.list(_CONVERSATION, newest=True, limit=limit)]

    async def turns(self, conversation: str) -> Sequence[Turn]:
        found = await self._shelf.list(_TURN, parent=conversation, limit=100_000)
        return [Turn(id=id, **body) for id, body in found]

    async def delete(self, conversation: str) -> None:
        """Raises NotFound."""
        if not await self._shelf.delete(_CONVERSATION, conversation, children=_TURN):
            raise NotFound(f"There is no conversation {conversation}.", fix="It may have been deleted already.")

    async def choose_model(self, conversation: Conversation, model: str) -> Conversation:
        """Send the next question to `model`. Gives the conversation as it is now."""
        changed = replace(await self._latest(conversation), model=model)
        if changed.title:
            await self._store(changed)
        return changed

    async def say(self, conversation: Conversation, text: str, caller: Caller) -> AsyncGenerator[Progress, None]:
        """Send a question with what was said before, and give the answer as it comes.

        Closing the generator stops the model; what came so far is stored and marked. An error before the first word
        leaves the question stored, so that it can be sent again. Raises what `Llm.chat` raises, and InvalidInput for a
        question that is empty or too long.
        """
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise InvalidInput(
                "The question is empty." if not text.strip() else f"The question has {len(text):,} characters.",
                fix=f"Write 1 to {MOST_CHARACTERS:,} characters.",
            )
        earlier = await self.turns(conversation.id)
        title = (await self._latest(conversation)).title or _titled(text)
        await self._store(replace(conversation, title=title, updated_at=self._world.now()))
        question = Turn(self._world.new_id(), "user", text)
        await self._add(conversation.id, question)
        request, left_out = await self._request(conversation.model, [*earlier, question])
        answer = await self._llm.chat(request, caller)
        turn = Turn(self._world.new_id(), "assistant", "", model=answer.model.id, request=answer.id, left_out=left_out)
        pieces: list[str] = []
        thoughts: list[str] = []
        finished = False
        try:
            yield Begun(answer)
            async with aclosing(answer.chunks) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, TextDelta):
                        pieces.append(chunk.text)
                        yield Piece(text=chunk.text)
                    elif isinstance(chunk, ReasoningDelta):
                        thoughts.append(chunk.text)
                        yield Piece(thinking=chunk.text)
            finished = True
        except CircuitBreakerError as error:
            turn = replace(turn, error=error.code)
            raise
        finally:
            await answer.chunks.aclose()
            turn = replace(turn, text="".join(pieces), thinking="".join(thoughts), stopped=not finished)
            turn = _measured(turn, answer)
            await asyncio.shield(self._add_answer(conversation.id, turn))
        yield Ended(turn)

    def outlook(self, model: str, characters: int) -> str:
        """In words: which model would answer now, and how full its context would be with so many characters."""
        try:
            best = self._llm.decide(ChatRequest(model, (ChatMessage.of("user", "x"),))).ranked[0].model
        except CircuitBreakerError as error:
            return f"{model}: {error.what}"
        tokens = round(characters / CHARACTERS_PER_TOKEN)
        if not best.context:
            return f"{best.id} · about {tokens:,} tokens"
        room = round(best.context * (1 - _RESERVED))
        full = " · the oldest messages will be left out" if tokens > room else ""
        return f"{best.id} · context {tokens:,} of {best.context:,}{full}"

    async def _request(self, model: str, turns: Sequence[Turn]) -> tuple[ChatRequest, int]:
        """The request for the last of `turns`, with as many of those before as fit the context."""
        said = [turn for turn in turns if turn.text]
        kept = _fitting(said, await self._context_of(model))
        messages = tuple(ChatMessage.of(turn.role, turn.text) for turn in kept)
        return ChatRequest(model, messages), len(said) - len(kept)

    async def _context_of(self, model: str) -> int:
        """The context of the model that would answer, in tokens; 0 when it is not known."""
        try:
            decision = await self._llm.explain(ChatRequest(model, (ChatMessage.of("user", "x"),)))
        except CircuitBreakerError:
            return 0  # the request itself will say what is wrong
        return decision.ranked[0].model.context

    async def _store(self, conversation: Conversation) -> None:
        body = {
            "title": conversation.title,
            "model": conversation.model,
            "created_at": conversation.created_at.isoformat(),
            "updated_at": conversation.updated_at.isoformat(),
        }
        await self._shelf.put(_CONVERSATION, conversation.id, body)

    async def _latest(self, conversation: Conversation) -> Conversation:
        """`conversation` as it is stored, for who has it from before its first turn."""
        body = await self._shelf.get(_CONVERSATION, conversation.id)
        return conversation if body is None else _conversation(conversation.id, body)

    async def _add_answer(self, conversation: str, turn: Turn) -> None:
        if await self._shelf.get(_CONVERSATION, conversation) is not None:  # not deleted meanwhile
            await self._add(conversation, turn)

    async def _add(self, conversation: str, turn: Turn) -> None:
        body = asdict(turn)
        await self._shelf.put(_TURN, body.pop("id"), body, parent=conversation)


def _fitting(turns: Sequence[Turn], context: int) -> Sequence[Turn]:
    """The last turns that leave room for an answer, beginning with a question; always at least the last one."""
    if not context:
        return turns
    room = context * (1 - _RESERVED) * CHARACTERS_PER_TOKEN
    kept = len(turns) - 1
    used = len(turns[kept].text)
    while kept > 0 and used + len(turns[kept - 1].text) <= room:
        kept -= 1
        used += len(turns[kept].text)
    while kept < len(turns) - 1 and turns[kept].role != "user":
        kept += 1
    return turns[kept:]


def _measured(turn: Turn, answer: Answer) -> Turn:
    record = answer.record
    if record is None:
        return turn
    return replace(
        turn,
        output_tokens=record.usage.output,
        ttft_s=record.ttft_s or 0.0,
        duration_s=record.duration_s,
        cost_usd="" if record.cost_usd is None else str(record.cost_usd),
    )


def _titled(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"


def _conversation(id: str, body: object) -> Conversation:
    assert isinstance(body, dict)
    created, updated = (datetime.fromisoformat(body[key]) for key in ("created_at", "updated_at"))
    return Conversation(id, body["title"], body["model"], created, updated)
