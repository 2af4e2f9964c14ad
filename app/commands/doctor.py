"""`doctor`: look at everything and say what is missing. Ends with 1 when something is broken."""

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.printing import print_json
from engine.kernel.errors import CircuitBreakerError, StoreCorrupt, StoreUnavailable
from engine.kernel.settings import Loaded
from engine.kernel.world import World

SIGNS = {"ok": "●", "note": "○", "problem": "✗"}
_DOCTOR = "{ doctor { id title state says fix } }"


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_doctor(chosen))


async def _doctor(chosen: argparse.Namespace) -> int:
    world = real_world()
    loaded = settings_of(chosen, world)
    try:
        checks = await _checks(loaded, world)
    except (StoreCorrupt, StoreUnavailable) as error:
        without = replace(loaded, settings=replace(loaded.settings, store="memory://"))
        checks = [_without_database(check, error) for check in await _checks(without, world)]
    if chosen.json:
        print_json(checks)
    else:
        room = max(len(check["title"]) for check in checks)
        for check in checks:
            sys.stdout.write(f"{SIGNS[check['state']]} {check['title']:<{room}}  {check['says']}\n")
            if check["fix"]:
                sys.stdout.write(f"  {'':<{room}}  → {check['fix']}\n")
    return int(any(check["state"] == "problem" for check in checks))


async def _checks(loaded: Loaded, world: World) -> list[dict[str, Any]]:
    async with open_door(loaded, world) as door:
        found: list[dict[str, Any]] = (await door.ask(_DOCTOR))["doctor"]
        return found


def _without_database(check: dict[str, Any], error: CircuitBreakerError) -> dict[str, Any]:
    """A check as it is when the database cannot be opened: all others are made without it."""
    match check:
        case {"id": "database"}:
            return check | {"state": "problem", "says": f"{error.what} {error.why}", "fix": error.fix}
        case {"id": "keys", "state": "note"}:
            return check | {"says": "Which keys are kept stands in the database, which cannot be read.", "fix": ""}
        case _:
            return check
