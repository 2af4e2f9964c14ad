"""What the router needs from outside."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings
from engine.llm.model import Model


class Provider(Protocol):
    """Something that answers chat or embeddings. Pure translation around one transport.

    `address` is where it is asked (for people, without secrets); `local` says that prompts stay on this machine.
    All methods raise `ProviderError`s that name the provider, what went wrong and what to do.
    """

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def local(self) -> bool: ...

    def keys(self) -> Sequence[str]:
        """The keys that it may be asked with now: none when it needs one and there is none, an empty one when it goes
        without."""
        ...

    async def models(self) -> tuple[Model, ...]:
        """The models that it has now, with what it says of them. Cheap: within two seconds."""
        ...

    def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncIterator[Chunk]:
        """Stream one completion of `model`, whatever `request.model` says, with one of `keys`.

        The last chunk is always `Finished`: an upstream that ends without saying that it has finished raises
        ProviderUnavailable. Closing the iterator closes the upstream at once.
        """
        ...

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings: ...

    async def close(self) -> None:
        """Give back connections and children. Called once; nothing is asked afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is: its step, in words of the provider, and bytes of all parts that are known."""

    status: str
    completed: int = 0
    total: int = 0


@runtime_checkable
class ModelKeeper(Protocol):
    """A provider that keeps models on its disk: they can be fetched, looked at, copied and removed. All methods raise
    ProviderErrors."""

    async def shown(self, name: str) -> Mapping[str, Any]: ...

    def pull(self, name: str) -> AsyncGenerator[Progress, None]: ...

    async def remove(self, name: str) -> None: ...

    async def copy(self, name: str, to: str) -> None: ...

    async def load(self, name: str, keep_alive: str | float) -> None: ...


KeySource = Callable[[], Sequence[str]]
"""Gives the keys there are at the moment of a request, so that a changed key is used at once."""


KeptAt = Callable[[str], tuple[str, str]]
"""Says of a key where it is kept, and how it is replaced, for people; both empty when that is not known."""


def no_keys() -> Sequence[str]:
    return ()


def not_told(_: str) -> tuple[str, str]:
    return "", ""


def label_of(key: str) -> str:
    """What may be shown of a key."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…" if key else ""
