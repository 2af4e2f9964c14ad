"""`spend`: what requests cost, by day, model, provider, app or workflow; budgets; the log for other programs."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import orjson

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table
from engine.kernel.errors import Conflict, InvalidInput, shown
from engine.kernel.world import World
from engine.llm.budgets import dollars
from engine.llm.spending import COLUMNS, csv_lines

_PAGE = 500
_SUMS = (
    "name requests failed unpriced uncounted inputTokens cacheReadTokens cacheWriteTokens outputTokens totalTokens "
    "costUsd savedUsd"
)
_COSTS = f"""query ($input: CostAnalyticsInput!, $by: CostBy!) {{ costAnalytics(input: $input, by: $by) {{
  periodStart periodEnd reference total {{ {_SUMS} }} groups {{ {_SUMS} }} }} }}"""
_STATUS = (
    "budgetId limit used percentageUsed isExhausted isWarning remaining message period app workflow warningThreshold "
    "held unpriced resets"
)
_BUDGETS = f"{{ budgets {{ {_STATUS} }} }}"
_SET = f"mutation ($input: BudgetInput!) {{ setBudget(input: $input) {{ {_STATUS} }} }}"
_REMOVE = "mutation ($id: String!) { removeBudget(id: $id) }"
_REQUESTS = """query ($filter: RequestFilter!, $first: Int!, $after: String) {
  requests(filter: $filter, first: $first, after: $after) { pageInfo { hasNextPage endCursor } nodes {
    id at app face asked provider model key workflowId tokenId costUsd referenceUsd ttftS durationS tokensPerS attempts
    retries error usage { promptTokens cacheReadTokens cacheWriteTokens completionTokens counted } } } }"""
_GROUP_COLUMNS = tuple(_SUMS.split())


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_spend(chosen))


async def _spend(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "budget":
                return await _budget(door, chosen)
            case "export":
                return await _export(door, chosen, world)
            case _:
                return await _costs(door, chosen, world)


async def _costs(door: Door, chosen: argparse.Namespace, world: World) -> int:
    today = world.now().date()
    wanted = {
        "startDate": _day(chosen.since, today, "since"),
        "endDate": _day(chosen.until, today, "until"),
        "app": chosen.app,
        "workflow": chosen.workflow,
    }
    found = (await door.ask(_COSTS, input=wanted, by=chosen.by.upper()))["costAnalytics"]
    total, groups = found["total"], found["groups"]
    if chosen.json:
        print_json(found)
    elif chosen.csv:
        sys.stdout.write("".join(csv_lines(groups, _GROUP_COLUMNS)))
    else:
        if groups:
            rows = [[*_row(one)] for one in [*groups, total | {"name": "total"}]]
            print_table([chosen.by, "requests", "tokens", "cost", "saved"], rows)
        sys.stdout.write(_said(found))
    return 0


def _row(sums: Mapping[str, Any]) -> list[str]:
    unknown = f" + {sums['unpriced']} ?" if sums["unpriced"] else ""
    return [
        sums["name"] or "–",
        f"{sums['requests']:,}",
        f"{sums['totalTokens']:,.0f}",
        dollars(Decimal(sums["costUsd"])) + unknown,
        _signed(Decimal(sums["savedUsd"])),
    ]


def _said(found: Mapping[str, Any]) -> str:
    total = found["total"]
    if not total["requests"]:
        return f"No requests from {found['periodStart']} to {found['periodEnd']}.\n"
    lines = [f"{found['periodStart']} to {found['periodEnd']}."]
    if total["unpriced"]:
        lines.append(f"{_requests(total['unpriced'])} without a known price: what that cost is not in the sums.")
    if total["uncounted"]:
        lines.append(f"{_requests(total['uncounted'])} not counted by the provider: the tokens are estimated.")
    if found["reference"]:
        lines.append(f"Saved: against {found['reference']}, where both costs are known.")
    return "\n".join(lines) + "\n"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _signed(amount: Decimal) -> str:
    return f"-{dollars(-amount)}" if amount < 0 else dollars(amount)


async def _budget(door: Door, chosen: argparse.Namespace) -> int:
    match chosen.step:
        case "set":
            wanted = {
                "limit": chosen.limit,
                "period": chosen.per,
                "app": chosen.app,
                "workflow": chosen.workflow,
                "warningThreshold": chosen.warn,
            }
            found = (await door.ask(_SET, input=wanted))["setBudget"]
            if chosen.json:
                print_json(found)
            else:
                sys.stdout.write(f"{found['budgetId']}: {found['message']}\n")
        case "rm":
            await door.ask(_REMOVE, id=chosen.budget)
            if chosen.json:
                print_json({"removed": chosen.budget})
            else:
                sys.stdout.write(f"The budget {chosen.budget} is gone.\n")
        case _:
            _list(chosen, (await door.ask(_BUDGETS))["budgets"])
    return 0


def _list(chosen: argparse.Namespace, budgets: list[Mapping[str, Any]]) -> None:
    if chosen.json:
        print_json(budgets)
    elif budgets:
        rows = [
            [
                one["budgetId"],
                dollars(Decimal(str(one["limit"]))),
                dollars(Decimal(str(one["used"]))) + (f" + {one['unpriced']} ?" if one["unpriced"] else ""),
                f"{one['percentageUsed']:.0f} %",
                one["resets"],
                "exhausted" if one["isExhausted"] else "warning" if one["isWarning"] else "",
            ]
            for one in budgets
        ]
        print_table(["budget", "limit", "used", "", "anew on", ""], rows)
    else:
        sys.stdout.write("No budgets. `circuit-breaker spend budget set 5 --per day` sets one.\n")


async def _export(door: Door, chosen: argparse.Namespace, world: World) -> int:
    today = world.now().date()
    since, until = _day(chosen.since, today, "since"), _day(chosen.until, today, "until")
    wanted = {
        "since": f"{since}T00:00:00Z" if since else None,
        "until": f"{date.fromisoformat(until) + timedelta(days=1)}T00:00:00Z" if until else None,
        "app": chosen.app,
        "workflowId": chosen.workflow,
    }
    if chosen.output is None:
        await _write(door, wanted, chosen.format, sys.stdout)
        return 0
    file = Path(chosen.output)
    with _new(file) as out:
        count = await _write(door, wanted, chosen.format, out)
    if chosen.json:
        print_json({"file": str(file), "requests": count})
    else:
        sys.stdout.write(f"{file} has {count:,} requests.\n")
    return 0


@contextmanager
def _new(file: Path) -> Iterator[IO[str]]:
    """A file that was not there. Raises Conflict, and InvalidInput when it cannot be written."""
    try:
        with file.open("x", encoding="utf-8", newline="") as out:
            yield out
    except FileExistsError:
        raise Conflict(f"{file} is there already.", fix="Name another file.", details={"path": str(file)}) from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written.", why=f"{error.strerror}.") from None


async def _write(door: Door, wanted: Mapping[str, Any], format: str, out: IO[str]) -> int:
    count = 0
    if format == "csv":
        out.writelines(csv_lines([]))
    async for row in _rows(door, wanted):
        count += 1
        if format == "csv":
            out.writelines(list(csv_lines([row]))[1:])
        else:
            out.write(orjson.dumps(row).decode() + "\n")
    return count


async def _rows(door: Door, wanted: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    """The requests as rows with COLUMNS, newest first, a page at a time."""
    after: str | None = None
    while True:
        page = (await door.ask(_REQUESTS, filter=wanted, first=_PAGE, after=after))["requests"]
        for node in page["nodes"]:
            usage = node.pop("usage")
            cached = usage["cacheReadTokens"] + usage["cacheWriteTokens"]
            known = node | {
                "workflow": node["workflowId"] or "",
                "token": node["tokenId"] or "",
                "error": node["error"] or "",
                "inputTokens": usage["promptTokens"] - cached,
                "cacheReadTokens": usage["cacheReadTokens"],
                "cacheWriteTokens": usage["cacheWriteTokens"],
                "outputTokens": usage["completionTokens"],
                "counted": usage["counted"],
            }
            yield {name: known[name] for name in COLUMNS}
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _day(text: str | None, today: date, path: str) -> str | None:
    """A day, or how many days ago: `2026-11-01`, `7d`."""
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,5})d", text.strip()):
        return (today - timedelta(days=int(found[1]))).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidInput(
            f"{shown(text)} is no day.", fix="Write 2026-11-01, or 7d for seven days ago.", details={"path": path}
        ) from None
