"""Without a command: the workbench."""

import argparse
import asyncio
import os
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING

from app.bridge import Bridge, Ports
from app.commands.common import real_world, settings_of
from app.workbench import Workbench
from engine.kernel import folders
from engine.kernel.logs import Redactor, open_log

if TYPE_CHECKING:
    from engine.engine import Engine


def run(chosen: argparse.Namespace) -> int:
    world, redactor = real_world(), Redactor()
    loaded = settings_of(chosen, world)
    settings = loaded.settings
    data_dir = settings.data_dir or folders.data_folder()
    open_log(data_dir / "logs" / "workbench.log", settings.log_level, redactor)
    if chosen.no_color:
        os.environ["NO_COLOR"] = "1"  # noqa: TID251  where Textual looks

    def open_engine() -> "AbstractAsyncContextManager[Engine]":
        opened: AbstractAsyncContextManager[Engine] = import_module("engine.engine").Engine.open(
            loaded, world, redactor
        )
        return opened

    bridge = Bridge(open_engine, Ports(settings.host, settings.openai_port, settings.graphql_port), folder=data_dir)
    return asyncio.run(_run(Workbench(bridge, theme=settings.theme, plain=settings.plain), bridge))


async def _run(app: Workbench, bridge: Bridge) -> int:
    """The terminal is given back before the engine is closed."""
    try:
        await app.run_async()
    finally:
        await bridge.close()
    return app.return_code or 0
