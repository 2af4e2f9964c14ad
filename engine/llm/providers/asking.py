"""Asking a model until its answer begins: what it refuses of a request is left out, and it is asked once more."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from engine.kernel.errors import ProviderRejected
from engine.llm.messages import Chunk, Noted


@dataclass
class Body:
    """A request as it goes out. `notes` say what was left out or changed. `in_tool` says that the answer to a JSON
    schema comes as the input of a tool."""

    fields: dict[str, Any]
    notes: list[Noted] = field(default_factory=list)
    in_tool: bool = False

    def drop(self, name: str, why: str, *, field: str = "") -> None:
        """Leave a parameter out; `field` is its own name on the wire where that is another one."""
        self.fields.pop(field or name, None)
        self.notes.append(Noted("dropped", f"{name} was left out: {why}."))


@dataclass(frozen=True, slots=True)
class Asking:
    """One try: the body that is sent, what to say of it, and the answer."""

    fields: dict[str, Any]
    chunks: AsyncGenerator[Chunk, None]
    notes: Sequence[Noted] = ()


async def answered(
    model: str, ask: Callable[[], Asking], learn: Callable[[ProviderRejected, dict[str, Any]], str | None]
) -> AsyncGenerator[Chunk, None]:
    """The answer to what `ask` makes. When it is refused before it began, `learn` may say what of the request was to
    blame: then it is made and asked anew. `learn` gives each name once, so that this ends."""
    told: list[Noted] = []
    while True:
        asking = ask()
        for note in asking.notes:
            if note not in told:
                told.append(note)
                yield note
        begun = False
        try:
            async with aclosing(asking.chunks) as chunks:
                async for chunk in chunks:
                    begun = True  # what was given cannot be taken back
                    yield chunk
            return
        except ProviderRejected as error:
            refused = None if begun else learn(error, asking.fields)
            if refused is None:
                raise
            yield Noted("repaired", f"{model} refused {refused}: asked once more without it.")
