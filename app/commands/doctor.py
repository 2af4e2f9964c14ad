"""`doctor`: look at everything and say what is missing. Ends with 1 when something is broken."""

import argparse
import asyncio
import sys

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.printing import print_json

SIGNS = {"ok": "●", "note": "○", "problem": "✗"}
_DOCTOR = "{ doctor { id title state says fix } }"


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_doctor(chosen))


async def _doctor(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        checks = (await door.ask(_DOCTOR))["doctor"]
    if chosen.json:
        print_json(checks)
    else:
        room = max(len(check["title"]) for check in checks)
        for check in checks:
            sys.stdout.write(f"{SIGNS[check['state']]} {check['title']:<{room}}  {check['says']}\n")
            if check["fix"]:
                sys.stdout.write(f"  {'':<{room}}  → {check['fix']}\n")
    return int(any(check["state"] == "problem" for check in checks))
