"""`chat`: ask a model and print the answer as it comes."""

import argparse
import asyncio
import sys
from contextlib import aclosing

from app.commands.common import real_world, settings_of
from app.commands.printing import print_json
from engine.engine import Engine
from engine.kernel.caller import COMMAND
from engine.kernel.errors import InvalidInput, StoreUnavailable
from engine.kernel.settings import Loaded, load
from engine.kernel.world import World
from engine.llm.messages import ChatMessage, ChatRequest, ReasoningDelta, TextDelta


def run(chosen: argparse.Namespace) -> int:
    prompt = sys.stdin.read() if chosen.prompt == "-" else chosen.prompt
    if not prompt.strip():
        raise InvalidInput("The question is empty.", fix='Write it: circuit-breaker chat "Why is the sky blue?"')
    return asyncio.run(_chat(chosen, prompt))


async def _chat(chosen: argparse.Namespace, prompt: str) -> int:
    world = real_world()
    loaded = settings_of(chosen, world)
    messages = [ChatMessage.of("system", chosen.system)] if chosen.system else []
    request = ChatRequest(chosen.model or loaded.settings.default_model, (*messages, ChatMessage.of("user", prompt)))
    try:
        await _ask(loaded, world, request, chosen.json)
    except StoreUnavailable as error:
        if "pid" not in error.details:
            raise
        # The database is another process's: nothing of this question needs to be kept in it.
        await _ask(without_store(chosen, world), world, request, chosen.json)
    return 0


def without_store(chosen: argparse.Namespace, world: World) -> Loaded:
    """The settings, with a store that keeps nothing."""
    loaded = settings_of(chosen, world)
    return load(
        loaded.file, world.environ, {"store": "memory://", "data_dir": chosen.data_dir and str(chosen.data_dir)}
    )


async def _ask(loaded: Loaded, world: World, request: ChatRequest, as_json: bool) -> None:
    async with Engine.open(loaded, world) as engine:
        answer = await engine.llm.chat(request, COMMAND)
        if as_json:
            completion = await answer.whole()
            print_json(
                {
                    "model": answer.model.id,
                    "text": completion.text,
                    "finish": completion.finish,
                    "usage": {"prompt": completion.usage.prompt, "output": completion.usage.output},
                    "decision": answer.decision.as_json(),
                }
            )
            return
        async with aclosing(answer.chunks) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, TextDelta):
                    sys.stdout.write(chunk.text)
                elif isinstance(chunk, ReasoningDelta):
                    sys.stderr.write(chunk.text)
                sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stderr.write(f"({answer.model.id}: {answer.decision.ranked[answer.place].reasons[0]})\n")
