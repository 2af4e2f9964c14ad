"""`models pull` and `models rm`: what a provider keeps on its disk.

The provider is asked directly, as `chat` asks one: nothing of it needs the database, and Ctrl-C ends the connection.
"""

import argparse
import asyncio
import sys
from contextlib import aclosing

from app.commands.chat import without_store
from app.commands.common import real_world
from app.commands.printing import print_json
from app.progress import progress_line
from engine.engine import Engine
from engine.llm.ports import ModelKeeper, Progress


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_kept(chosen))


async def _kept(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with Engine.open(without_store(chosen, world), world) as engine:
        keeper = engine.llm.keeper(chosen.provider or "ollama")
        if chosen.action == "pull":
            await _pull(keeper, chosen)
        else:
            await keeper.remove(chosen.model)
            _say(chosen, {"removed": chosen.model}, f"{chosen.model} is gone.")
    return 0


async def _pull(keeper: ModelKeeper, chosen: argparse.Namespace) -> None:
    shown = _Line(quiet=chosen.json)
    try:
        async with aclosing(keeper.pull(chosen.model)) as steps:
            async for step in steps:
                shown.show(step)
    except asyncio.CancelledError:
        shown.end()
        sys.stderr.write("Stopped. The same command goes on where it was.\n")
        raise
    finally:
        shown.end()
    _say(chosen, {"pulled": chosen.model}, f"{chosen.model} is there.")


def _say(chosen: argparse.Namespace, told: object, words: str) -> None:
    if chosen.json:
        print_json(told)
    else:
        sys.stdout.write(words + "\n")


class _Line:
    """Progress on standard error: one line that is written over on a terminal, a line for each step elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._live = quiet, sys.stderr.isatty()
        self._last, self._open = "", False

    def show(self, step: Progress) -> None:
        if self._quiet:
            return
        text = progress_line(step) if self._live else step.status
        if text == self._last:
            return
        self._last = text
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text}")
            self._open = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._open:
            sys.stderr.write("\n")
            self._open = False
