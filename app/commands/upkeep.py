"""`export`, `import` and `archive`: everything as text and back, and what becomes of old histories."""

import argparse
import asyncio
import re
import sys
from datetime import timedelta
from pathlib import Path

from app.commands.common import real_world, settings_of
from app.commands.printing import print_json
from engine.kernel.errors import InvalidInput, shown
from engine.upkeep import Exchanged, Upkeep

_AGE = re.compile(r"(\d{1,6})\s*(d|h|m|s)")
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def run(chosen: argparse.Namespace) -> int:
    world = real_world()
    upkeep = Upkeep(settings_of(chosen, world), world)
    match chosen.command:
        case "export":
            return asyncio.run(_export(upkeep, chosen))
        case "import":
            return asyncio.run(_import(upkeep, chosen))
        case _:
            return asyncio.run(_archive(upkeep, chosen))


async def _export(upkeep: Upkeep, chosen: argparse.Namespace) -> int:
    found = await upkeep.export(Path(chosen.file), force=chosen.force)
    if chosen.json:
        print_json({"file": chosen.file, "exported": dict(found.stored), "damaged": found.damaged})
    else:
        sys.stdout.write(f"{chosen.file} has {_in_words(found)}.\n")
    return _tell_damaged(found.damaged, "were left out")


async def _import(upkeep: Upkeep, chosen: argparse.Namespace) -> int:
    found = await upkeep.import_(Path(chosen.file))
    if chosen.json:
        print_json({"file": chosen.file, "imported": dict(found.stored), "skipped": dict(found.skipped)})
    else:
        sys.stdout.write(f"Stored {_in_words(found)}; {found.skipped.total():,} were here already.\n")
    return 0


async def _archive(upkeep: Upkeep, chosen: argparse.Namespace) -> int:
    done = await upkeep.archive(age(chosen.older_than), export=chosen.export, dry_run=chosen.dry_run)
    if chosen.json:
        print_json(
            {"tokens": done.tokens, "events": done.events, "damaged": list(done.damaged), "dryRun": chosen.dry_run}
        )
    else:
        verb = "would be" if chosen.dry_run else "were"
        sys.stdout.write(f"{done.events:,} events of {done.tokens:,} tokens {verb} folded.\n")
    return _tell_damaged(done.damaged, "were left as they are")


def age(text: str) -> timedelta:
    """`30d`, `12h`, `90m` or `10s`. Raises InvalidInput."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise InvalidInput(
            f"{shown(text)} is no age.", fix="Write 30d, 12h, 90m or 10s.", details={"path": "olderThan"}
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _in_words(found: Exchanged) -> str:
    counts = (f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in found.stored.items())
    return ", ".join(counts) or "nothing"


def _tell_damaged(tokens: list[str] | tuple[str, ...], what: str) -> int:
    if tokens:
        some = ", ".join(tokens[:5])
        sys.stderr.write(f"{len(tokens):,} histories that do not fit their hash chain {what}: {some}\n")
    return int(bool(tokens))
