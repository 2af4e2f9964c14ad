"""`backup`: copy the database into a file, also while it is in use."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.printing import print_json
from engine.upkeep import Copied, Upkeep


def run(chosen: argparse.Namespace) -> int:
    world = real_world()
    upkeep = Upkeep(settings_of(chosen, world), world)
    made = asyncio.run(upkeep.back_up(Path(chosen.file), force=chosen.force))
    if chosen.json:
        print_json({"database": str(upkeep.database), **figures(made)})
    else:
        sys.stdout.write(f"{upkeep.database} was copied to {made.file}: {in_words(made)}.\n")
    return 0


def figures(copy: Copied) -> dict[str, Any]:
    return {
        "file": str(copy.file),
        "sizeBytes": copy.size_bytes,
        "schema": copy.version,
        "workflows": copy.workflows,
        "tokens": copy.tokens,
        "events": copy.events,
    }


def in_words(copy: Copied) -> str:
    return (
        f"{copy.workflows:,} workflows, {copy.tokens:,} tokens, {copy.events:,} events, {copy.size_bytes:,} bytes, "
        "healthy"
    )
