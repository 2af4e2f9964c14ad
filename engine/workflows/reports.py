"""The use cases of analytics: histories are read some at a time, and counted off the loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from threading import Event as Flag

from engine.kernel.errors import InvalidInput, NotFound, TooLarge
from engine.kernel.world import World
from engine.nets.token import Event, Token
from engine.store.ports import Ledger, TokenQuery
from engine.workflows.analytics import Bucket, Report, Tally
from engine.workflows.conformance import Conformance, conform
from engine.workflows.logs import jsonl, xes
from engine.workflows.logs.reading import read

MOST_TOKENS = 10_000
MOST_EXPORTED_CHARACTERS = 50_000_000
CONFORMANCE_TIMEOUT_S = 60.0
_PAGE = 200

History = tuple[Token, Sequence[Event]]


class Analytics:
    def __init__(self, ledger: Ledger, world: World) -> None:
        self._ledger, self._world = ledger, world

    async def report(self, workflow_id: str, *, tokens: int = MOST_TOKENS, bucket: Bucket = "day") -> Report:
        """Figures of the newest `tokens` of a workflow. Raises NotFound, InvalidInput."""
        workflow = await self._ledger.workflow(workflow_id)
        tally = Tally(self._world.now(), bucket)
        async for page in self._histories(workflow_id, tokens):
            await asyncio.to_thread(tally.add, page)
        net = workflow.net
        return await asyncio.to_thread(tally.report, workflow_id, net.place_ids, tuple(net.transition_of))

    async def conform(
        self, workflow_id: str, log: str, format: str | None = None, *, timeout_s: float = CONFORMANCE_TIMEOUT_S
    ) -> Conformance:
        """How well an event log (XES, JSON Lines or CSV) fits a workflow. Raises NotFound, InvalidInput with the line,
        TooLarge for a log that is, or takes longer than `timeout_s`."""
        net = (await self._ledger.workflow(workflow_id)).net
        found = await asyncio.to_thread(read, log, format)
        stopped = Flag()
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.to_thread(conform, net, found, stopped.is_set)
        except TimeoutError:
            raise TooLarge(
                f"The log could not be replayed in {timeout_s:g} seconds.",
                fix="Cut it into several, by case.",
                details={"limit": timeout_s},
            ) from None
        finally:
            stopped.set()

    async def log(self, workflow_id: str, format: str = "xes", *, tokens: int = MOST_TOKENS) -> str:
        """The histories of the newest `tokens` of a workflow, the oldest of them first, as an event log in `xes` or
        `jsonl`. Raises NotFound for the workflow or the format, InvalidInput, TooLarge."""
        if format not in ("xes", "jsonl"):
            raise NotFound.named("format", format, ("xes", "jsonl"), fix="Use xes or jsonl.")
        await self._ledger.workflow(workflow_id)
        histories = [one async for page in self._histories(workflow_id, tokens) for one in page]
        histories.reverse()
        return await asyncio.to_thread(_written, workflow_id, format, histories)

    async def _histories(self, workflow_id: str, tokens: int) -> AsyncIterator[Sequence[History]]:
        """Newest first, in pages."""
        if not 1 <= tokens <= MOST_TOKENS:
            raise InvalidInput(
                f"{tokens} tokens are too few or too many.",
                fix=f"Ask for 1 to {MOST_TOKENS:,}.",
                details={"path": "tokens", "limit": MOST_TOKENS},
            )
        left, before = tokens, None
        while left:
            query = TokenQuery(workflow_id, first=min(_PAGE, left), before=before)
            page = await self._ledger.tokens(query)
            if not page:
                return
            events = await self._ledger.histories([token.id for token in page])
            yield [(token, _until(token, events[token.id])) for token in page]
            left -= len(page)
            before = page[-1].id


def _until(token: Token, events: Sequence[Event]) -> Sequence[Event]:
    """The history as it was when the token was read."""
    return [event for event in events if event.sequence <= token.version]


def _written(workflow_id: str, format: str, histories: Sequence[History]) -> str:
    pieces, size = list[str](), 0
    for piece in xes.write(workflow_id, histories) if format == "xes" else jsonl.write(histories):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_EXPORTED_CHARACTERS:
            raise TooLarge(
                f"The log has more than {MOST_EXPORTED_CHARACTERS:,} characters.",
                fix="Ask for fewer tokens.",
                details={"limit": MOST_EXPORTED_CHARACTERS},
            )
    return "".join(pieces)
