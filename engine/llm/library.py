"""The data about models as files: what comes with the program, what the user put in its place, and the user's own rows.

It is read when the first provider with models in the cloud is found, and again when a file has changed: a start reads
nothing. A file of the user's that cannot be read is left out and said, for it must not keep models from being found.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.kernel import assets
from engine.kernel.errors import InvalidInput
from engine.llm import knowledge
from engine.llm.knowledge import Knowledge, Summary
from engine.llm.model import Price, ProviderStatus

log = logging.getLogger("llm")
DATA, MINE = "catalog.json", "mine.json"
FETCH_S = 60.0


class Library:
    """`folder` is where the user's files are."""

    def __init__(self, folder: Path, today: Callable[[], date]) -> None:
        self._folder, self._today = folder, today
        self._stamps: tuple[Any, ...] | None = None
        self._knowledge: Knowledge | None = None
        self._prices: dict[tuple[str, date], Price | None] = {}
        self._summary = Summary("", 0, 0, 0)
        self.problems: tuple[str, ...] = ()

    def enriched(self, status: ProviderStatus) -> ProviderStatus:
        """A provider's models with what they do not say themselves."""
        if all(model.local for model in status.models):
            return status
        known, today = self.knowledge(), self._today()
        host = urlsplit(status.address).hostname or ""
        return replace(status, models=tuple(known.enriched(model, today, host) for model in status.models))

    def knowledge(self) -> Knowledge:
        stamps = tuple(_stamp(self._folder / name) for name in (DATA, MINE))
        if self._knowledge is None or stamps != self._stamps:
            self.problems = ()
            data = self._read(DATA) or _ours()
            self._summary = knowledge.summary(data)
            self._knowledge, self._stamps = Knowledge(data, self._read(MINE)), stamps
            self._prices.clear()
        return self._knowledge

    def price(self, model_id: str) -> Price | None:
        """The price of `provider/name` today; None when it is not known."""
        key = model_id, self._today()
        if self._knowledge is None or key not in self._prices:
            provider, _, name = model_id.partition("/")
            found = self.knowledge().find(provider, name, key[1]) if name else None
            self._prices[key] = found.price if found else None
        return self._prices[key]

    @property
    def summary(self) -> Summary:
        """What the catalog in use is."""
        self.knowledge()
        return self._summary

    def _read(self, name: str) -> Mapping[str, Any] | None:
        file = self._folder / name
        try:
            return knowledge.read(file.read_bytes(), whole=name == DATA)
        except FileNotFoundError:
            return None
        except (OSError, InvalidInput) as error:
            why = error.why if isinstance(error, InvalidInput) else f"{error.strerror}."
            self.problems += (f"{file} is left out. {why}",)
            log.warning("model data left out", extra={"facts": {"file": str(file), "why": why}})
            return None


def _ours() -> Mapping[str, Any]:
    """The catalog that comes with the program. The tests have checked it: the first answer need not wait for that."""
    data: Mapping[str, Any] = orjson.loads((assets.folder() / "models" / DATA).read_bytes())
    return data


async def update(folder: Path, source: str) -> Summary:
    """Put the catalog at `source`, a file or an http(s) address, in the place of what is there, once it was checked.

    The only thing here that may use the network. Raises InvalidInput, and ProviderError for an address that does not
    answer.
    """
    if source.startswith(("http://", "https://")):
        from engine.llm.web import fetched  # httpx, which nothing else here needs

        data = await fetched(source, most_bytes=knowledge.MOST_BYTES, within_s=FETCH_S)
    else:
        data = _at(Path(source))
    catalog = knowledge.read(data)
    found = knowledge.summary(catalog)
    await asyncio.to_thread(_put, folder, orjson.dumps(catalog))
    return found


def _put(folder: Path, data: bytes) -> None:
    file = folder / DATA
    fresh = file.with_name(f"{DATA}.new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written.", why=f"{error.strerror}.", details={"path": "from"}) from None


def _at(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be read.", why=f"{error.strerror}.", fix="Name another file.", details={"path": "from"}
        ) from None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
