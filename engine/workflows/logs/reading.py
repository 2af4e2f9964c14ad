"""Event logs from outside, in whichever of the three notations."""

from collections.abc import Callable, Mapping
from typing import Literal

from engine.kernel.errors import InvalidInput, NotFound, TooLarge
from engine.workflows.logs import jsonl, table, xes
from engine.workflows.logs.model import MOST_BYTES, EventLog

Format = Literal["xes", "jsonl", "csv"]
_READERS: Mapping[str, Callable[[str], EventLog]] = {"xes": xes.read, "jsonl": jsonl.read, "csv": table.read}


def read(text: str, format: str | None = None) -> EventLog:
    """The log in `text`; without a format, in the one that it looks like. Raises InvalidInput with the line, NotFound
    for a format, TooLarge."""
    if len(text) > MOST_BYTES:
        raise TooLarge(
            f"The log has {len(text):,} characters.",
            why=f"Up to {MOST_BYTES:,} are read.",
            fix="Cut it into several, by case.",
            details={"limit": MOST_BYTES},
        )
    name = format.casefold() if format else looks_like(text)
    if name not in _READERS:
        raise NotFound.named("format", name, _READERS, fix=f"Use one of {', '.join(_READERS)}.")
    log = _READERS[name](text)
    if not log.cases:
        raise InvalidInput("There is no case in the log.", fix="Check its format; it was read as " + name + ".")
    return log


def looks_like(text: str) -> Format:
    first = text.removeprefix("\ufeff").lstrip()[:1]
    return "xes" if first == "<" else "jsonl" if first == "{" else "csv"
