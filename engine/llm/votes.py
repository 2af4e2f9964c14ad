"""The user's own thumbs: what they thought of answers, kept by request and summed by model and task."""

from dataclasses import dataclass, field

from engine.kernel.errors import NotFound
from engine.store.ports import RequestRecord, Shelf

_KIND = "vote"
MOST = 10_000


@dataclass
class Votes:
    """`sums` has, by model and then by task, the sum of the votes (from 0 for down to 1 for up) and their number."""

    shelf: Shelf
    sums: dict[str, dict[str, tuple[float, int]]] = field(default_factory=dict)

    async def load(self) -> None:
        for _, body in await self.shelf.list(_KIND, newest=True, limit=MOST):
            self._add(str(body["model"]), str(body["task"]), int(body["vote"]), 1)

    async def cast(self, record: RequestRecord | None, id: str, vote: int) -> None:
        """Note a vote of 1 or -1 for the answer of a request; 0 takes it back. A later one takes the place of an
        earlier one. Raises NotFound when the log has no such answer."""
        if record is None or record.error:
            raise NotFound.named("answered request", id, ())
        model, task = f"{record.provider}/{record.model}", _task_of(record)
        before = await self.shelf.get(_KIND, id)
        if before is not None:
            self._add(str(before["model"]), str(before["task"]), int(before["vote"]), -1)
            await self.shelf.delete(_KIND, id)
        if vote:
            await self.shelf.put(_KIND, id, {"model": model, "task": task, "vote": vote})
            self._add(model, task, vote, 1)

    def _add(self, model: str, task: str, vote: int, times: int) -> None:
        total, count = self.sums.setdefault(model, {}).get(task, (0.0, 0))
        self.sums[model][task] = total + times * (vote > 0), count + times


def _task_of(record: RequestRecord) -> str:
    needs = record.decision.get("needs")
    return str(needs.get("task", "chat")) if isinstance(needs, dict) else "chat"
