"""`--serve`: the engine and its server without a screen."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress

import orjson

from app.commands.common import real_world, settings_of
from engine.engine import Engine
from engine.kernel.logs import Redactor, open_log
from engine.kernel.settings import Loaded
from engine.kernel.world import World
from server.serving import Serving, serve

_REST_AFTER_S = 1.0  # who waited for the ports is answered first


def run(chosen: argparse.Namespace) -> int:
    # Pydantic would look through all installed packages for plugins of its own when the first request is read
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # noqa: TID251  where it looks
    world, redactor = real_world(), Redactor()
    loaded = settings_of(chosen, world)
    open_log(sys.stderr, loaded.settings.log_level, redactor)
    asyncio.run(_serve(loaded, world, redactor, chosen.json))
    return 0


async def _serve(loaded: Loaded, world: World, redactor: Redactor, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    settings = loaded.settings
    async with (
        Engine.open(loaded, world, redactor, whole=False) as engine,
        serve(
            engine, host=settings.host, openai_port=settings.openai_port, graphql_port=settings.graphql_port
        ) as serving,
    ):
        engine.announce(serving.addresses())
        _say_ready(serving, as_json)
        gc.set_threshold(50_000, 50, 100)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _REST_AFTER_S)
            return
        await engine.whole()
        gc.collect()
        gc.freeze()  # what is there now stays; looking through it again and again would only make pauses
        await stopped.wait()


def _say_ready(serving: Serving, as_json: bool) -> None:
    if as_json:
        ready = {"event": "ready", "pid": os.getpid(), "openai": serving.openai, "graphql": serving.graphql}
        print(orjson.dumps(ready).decode(), flush=True)
    else:
        print(f"OpenAI API   {serving.openai or 'off'}")
        print(f"GraphQL API  {serving.graphql or 'off'}", flush=True)
