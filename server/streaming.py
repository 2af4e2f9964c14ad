"""Answers of models on their way to a client, whichever face it speaks to: opened, kept alive, given up.

A stream begins when the model does, or after a moment without it: then comments keep the client while a model loads.
The upstream is closed as soon as the client is gone, also before the first chunk.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sanic import Request

from engine.kernel.caller import Caller
from engine.kernel.errors import CircuitBreakerError
from engine.llm.answering import Answer, Completion
from engine.llm.books import WARNINGS
from engine.llm.messages import Noted
from server.errors import bug
from server.protocol import Limits, agent_of

SSE, SSE_HEADERS = "text/event-stream; charset=utf-8", {"cache-control": "no-cache", "x-accel-buffering": "no"}
log = logging.getLogger("server")

Opening = Awaitable[Answer]


@dataclass(frozen=True, slots=True)
class Form:
    """How a face writes a stream. `waiting` is what keeps a client; `events` are the answer's, in bytes; `failure` is
    what an error after the beginning looks like, given how many events were sent before."""

    content_type: str
    waiting: bytes
    events: Callable[[Answer], AsyncGenerator[bytes, None]]
    failure: Callable[[CircuitBreakerError], bytes]


async def whole(opening: Opening) -> tuple[Answer, Completion]:
    """An answer to its end. Cancelled, or failing, it leaves nothing open: `opening` closes what it has opened."""
    answer = await opening
    return answer, await answer.whole()


async def all_whole(openings: Iterable[Opening]) -> list[tuple[Answer, Completion]]:
    """Several answers to their ends. When one fails, or nobody waits any more, the others are closed."""
    tasks = [asyncio.ensure_future(whole(opening)) for opening in openings]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def stream(request: Request, opening: Opening, form: Form, limits: Limits) -> None:
    """Answer `request` with a stream. An error before it has begun is raised; later it is said in the stream."""
    task = asyncio.ensure_future(opening)
    try:
        await _stream(request, task, form, limits)
    except BaseException:
        await abandon(task)
        raise


async def _stream(request: Request, task: "asyncio.Future[Answer]", form: Form, limits: Limits) -> None:
    await asyncio.wait([task], timeout=limits.headers_s)
    headers = headers_of(task.result()) if task.done() else {}
    response = await request.respond(content_type=form.content_type, headers=SSE_HEADERS | headers)
    if not task.done() and form.waiting:
        await response.send(form.waiting)
        while not task.done():
            await asyncio.wait([task], timeout=limits.keep_alive_s)
            await response.send(form.waiting)
    try:
        answer = await task
        async with aclosing(answer.chunks), aclosing(form.events(answer)) as events:
            async for event in events:
                await response.send(event)
    except Exception as error:  # the status is out: all that is left is to say it in the stream
        await response.send(form.failure(known(error, request)))
    await response.eof()


async def abandon(*openings: "asyncio.Future[Answer]") -> None:
    """Give up requests that may or may not have begun to be answered."""
    for opening in openings:
        opening.cancel()
    for answer in await asyncio.gather(*openings, return_exceptions=True):
        if isinstance(answer, Answer):
            await answer.chunks.aclose()


def known(error: Exception, request: Request) -> CircuitBreakerError:
    """An error in our words; of a bug, only where to look."""
    if isinstance(error, CircuitBreakerError):
        return error
    log.error("a bug", exc_info=error)
    return bug(request.ctx.id)


def caller_of(request: Request, face: str) -> Caller:
    """Who asks, by what it calls itself."""
    agent = agent_of(request)
    return Caller(agent.split(" ")[0][:80] or "program", face, agent=agent)


def headers_of(answer: Answer, notes: Sequence[Noted] = (), others: Sequence[Answer] = ()) -> dict[str, str]:
    """What is said of the decision in the head of an answer; the cost when it is over, with that of the `others` that
    go with it."""
    costs = [one.record.cost_usd if one.record else None for one in (answer, *others)]
    told = [one for one in costs if one is not None]
    cost = sum(told, Decimal(0)) if len(told) == len(costs) else None
    dropped = [note.text for note in notes if note.code in WARNINGS]
    return (
        {
            "x-cb-model": answer.model.name.encode("ascii", "replace").decode(),
            "x-cb-provider": answer.model.provider,
            "x-cb-route": answer.id,
            "x-cb-attempts": str(answer.attempts),
            "x-cb-overhead-ms": f"{answer.overhead_s * 1000:.2f}",
        }
        | ({} if cost is None else {"x-cb-cost-usd": f"{cost:f}"})
        | ({"x-cb-notes": " ".join(dropped).encode("ascii", "replace").decode()[:1000]} if dropped else {})
    )


def brief(answer: Answer) -> Mapping[str, Any]:
    """The decision in a few words, for bodies; `/v1/routes/{id}` has it in full."""
    chosen = answer.decision.ranked[answer.place]
    return {
        "route": answer.id,
        "provider": answer.model.provider,
        "policy": answer.decision.policy,
        "reasons": list(chosen.reasons),
        "attempts": answer.attempts,
    }
