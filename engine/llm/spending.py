"""What was spent, in the ways in which people ask. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, get_args

from engine.store.ports import SpendKey, SpendSums

By = Literal["day", "model", "provider", "app", "workflow"]
WAYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, slots=True)
class Report:
    """What the days from `since` up to, and not including, `until` came to, in all and by what was asked for. Days are
    in order; the others come with the dearest first. `reference` is the model that costs are compared with."""

    since: date
    until: date
    by: By
    total: SpendSums
    groups: Sequence[tuple[str, SpendSums]]
    reference: str = ""


def report(rows: Sequence[tuple[SpendKey, SpendSums]], by: By, since: date, until: date, reference: str = "") -> Report:
    groups: dict[str, SpendSums] = {}
    for key, sums in rows:
        name = group_of(key, by)
        groups[name] = groups.get(name, SpendSums()) + sums
    dearest = sorted(groups.items(), key=lambda one: (-one[1].cost_usd, -one[1].requests, one[0]))
    total = sum(groups.values(), SpendSums())
    return Report(since, until, by, total, sorted(groups.items()) if by == "day" else dearest, reference)


def group_of(key: SpendKey, by: By) -> str:
    match by:
        case "day":
            return key.day.isoformat()
        case "model":
            return f"{key.provider}/{key.model}"
        case "provider":
            return key.provider
        case "app":
            return key.app
        case "workflow":
            return key.workflow


def saved(sums: SpendSums) -> Decimal:
    """What the reference model would have cost more, of the requests for which both costs are known; below zero when it
    would have been cheaper."""
    return sums.reference_usd - sums.compared_usd


def as_json(sums: SpendSums) -> Mapping[str, Any]:
    return {
        "requests": sums.requests,
        "failed": sums.failed,
        "unpriced": sums.unpriced,
        "uncounted": sums.uncounted,
        "inputTokens": sums.input,
        "cacheReadTokens": sums.cache_read,
        "cacheWriteTokens": sums.cache_write,
        "outputTokens": sums.output,
        "totalTokens": sums.tokens,
        "costUsd": str(sums.cost_usd),
        "savedUsd": str(saved(sums)),
    }


COLUMNS = (
    *("id", "at", "app", "face", "asked", "provider", "model", "key", "workflow", "token"),
    *("inputTokens", "cacheReadTokens", "cacheWriteTokens", "outputTokens", "counted", "costUsd", "referenceUsd"),
    *("ttftS", "durationS", "tokensPerS", "attempts", "retries", "error"),
)
"""Of an export of requests. An unknown cost is an empty cell of it, not a zero."""


def csv_lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """CSV as RFC 4180 has it, with a line of titles. A text that a spreadsheet would run as a formula gets an
    apostrophe before it: names come from outside."""
    yield ",".join(columns) + "\r\n"
    for row in rows:
        yield ",".join(_cell(row[name]) for name in columns) + "\r\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(one in text for one in ',"\r\n') else text


def _is_number(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdecimal()
