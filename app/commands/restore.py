"""`restore`: put a backup in the place of the database, and keep what was there."""

import argparse
import asyncio
import sys
from pathlib import Path

from app.commands.backup import figures, in_words
from app.commands.common import real_world, settings_of
from app.commands.printing import print_json
from engine.upkeep import Upkeep


def run(chosen: argparse.Namespace) -> int:
    world = real_world()
    upkeep = Upkeep(settings_of(chosen, world), world)
    done = asyncio.run(upkeep.restore(Path(chosen.file)))
    if chosen.json:
        kept = None if done.kept is None else str(done.kept)
        print_json({"database": str(upkeep.database), "kept": kept, **figures(done.copy)})
    else:
        sys.stdout.write(f"{upkeep.database} is now what {done.copy.file} has: {in_words(done.copy)}.\n")
        kept = "There was none before." if done.kept is None else f"What was there before is in {done.kept}."
        sys.stdout.write(f"{kept}\n")
    return 0
