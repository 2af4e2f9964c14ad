"""`workflow stats`, `conform` and `log`: what the tokens of a workflow did, and how well a log fits it."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.files import text_of
from app.commands.printing import print_json, print_table
from engine.workflows.analytics import duration
from engine.workflows.logs.model import MOST_BYTES
from engine.workflows.logs.reading import looks_like

_SPREAD = "{ count meanSeconds p50Seconds p95Seconds longestSeconds }"
_STATS = f"""query ($id: String!, $tokens: Int!, $bucket: TimeBucket!) {{
  workflowAnalytics(id: $id, tokens: $tokens, bucket: $bucket) {{
    workflowId at tokens active completed cancelled archived eventCount reworked cycle {_SPREAD} mermaid dot
    throughput {{ begins tokens }}
    places {{ place tokens ages {_SPREAD} visits stays {_SPREAD} enteredAgain returns }}
    transitions {{ transition fired tokens firedAgain repeats }}
    follows {{ source target count meanSeconds }}
  }} }}"""
_CONFORM = """query ($id: String!, $log: String!, $format: LogFormat!) {
  conformance(workflowId: $id, log: $log, format: $format) {
    cases eventCount fitting fitness produced consumed missing remaining
    deviations { kind activity place times cases examples words }
  } }"""
_LOG = """query ($id: String!, $format: LogFormat!, $tokens: Int!) {
  exportHistory(workflowId: $id, format: $format, tokens: $tokens) }"""


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_mining(chosen))


async def _mining(chosen: argparse.Namespace) -> int:
    world = real_world()
    log = (
        text_of(chosen.file, most_bytes=MOST_BYTES, fix="Cut it into several, by case.")
        if chosen.action == "conform"
        else ""
    )
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "stats":
                return await _stats(door, chosen)
            case "conform":
                return await _conform(door, chosen, log)
            case _:
                wanted = {"id": chosen.workflow, "format": chosen.format.upper(), "tokens": chosen.tokens}
                sys.stdout.write((await door.ask(_LOG, **wanted))["exportHistory"])
                return 0


async def _stats(door: Door, chosen: argparse.Namespace) -> int:
    wanted = {"id": chosen.workflow, "tokens": chosen.tokens, "bucket": chosen.by.upper()}
    found = (await door.ask(_STATS, **wanted))["workflowAnalytics"]
    if chosen.picture:
        sys.stdout.write(found[chosen.picture])
    elif chosen.json:
        print_json(found)
    else:
        _print_stats(found)
    return 0


def _print_stats(found: Mapping[str, Any]) -> None:
    sys.stdout.write(
        f"{found['workflowId']}: {found['tokens']:,} tokens, {found['active']:,} under way, "
        f"{found['completed']:,} completed, {found['cancelled']:,} cancelled\n"
    )
    if found["cycle"]:
        sys.stdout.write(f"from the creation to the end: {_spread(found['cycle'])}\n")
    sys.stdout.write(f"on {found['reworked']:,} of them a transition fired again\n\n")
    places = [
        [
            one["place"],
            f"{one['tokens']:,}",
            _spread(one["ages"]),
            f"{one['visits']:,}",
            _spread(one["stays"]),
            f"{one['returns']:,}",
        ]
        for one in found["places"]
    ]
    print_table(["place", "now", "for", "visits", "stay", "returns"], places)
    if found["transitions"]:
        sys.stdout.write("\n")
        rows = [
            [one["transition"], f"{one['fired']:,}", f"{one['repeats']:,} on {one['firedAgain']:,} tokens"]
            for one in found["transitions"]
        ]
        print_table(["transition", "fired", "again"], rows)
    if found["follows"]:
        sys.stdout.write("\n")
        rows = [
            [f"{one['source']} → {one['target']}", f"{one['count']:,}", duration(one["meanSeconds"])]
            for one in found["follows"][:30]
        ]
        print_table(["follows", "times", "after"], rows)
    if found["throughput"]:
        sys.stdout.write("\n")
        rows = [[one["begins"][:16].replace("T", " "), f"{one['tokens']:,}"] for one in found["throughput"][-14:]]
        print_table(["from (UTC)", "completed"], rows)


def _spread(spread: Mapping[str, Any] | None) -> str:
    if spread is None:
        return "–"
    return f"p50 {duration(spread['p50Seconds'])}, p95 {duration(spread['p95Seconds'])}"


async def _conform(door: Door, chosen: argparse.Namespace, log: str) -> int:
    format = (chosen.format or looks_like(log)).upper()
    found = (await door.ask(_CONFORM, id=chosen.workflow, log=log, format=format))["conformance"]
    if chosen.json:
        print_json(found)
        return 0
    sys.stdout.write(
        f"fitness {found['fitness']:.4f}: {found['fitting']:,} of {found['cases']:,} cases fit "
        f"({found['eventCount']:,} events; missing {found['missing']:,} of {found['consumed']:,}, "
        f"remaining {found['remaining']:,} of {found['produced']:,})\n"
    )
    for one in found["deviations"]:
        some = ", ".join(one["examples"])
        sys.stdout.write(f"  {one['times']:,}× in {one['cases']:,} cases: {one['words']} ({some})\n")
    return 0
