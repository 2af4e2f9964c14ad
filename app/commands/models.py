"""`models`: list the models that are there."""

import argparse
import asyncio
import sys

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.printing import print_json, print_table

_MODELS = "{ models { id provider name abilities context sizeBytes local loaded tiny } }"


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_models(chosen))


async def _models(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        models = (await door.ask(_MODELS))["models"]
    models = [model for model in models if chosen.provider in (None, model["provider"])]
    if chosen.json:
        print_json(models)
    elif models:
        print_table(
            ["model", "provider", "abilities", "context", "size", ""],
            [
                [
                    model["name"],
                    model["provider"],
                    " ".join(model["abilities"]),
                    f"{model['context']:,}" if model["context"] else "?",
                    f"{model['sizeBytes'] / 1e9:.1f} GB" if model["sizeBytes"] else "?",
                    " ".join(word for word in ("loaded", "tiny", "local") if model[word]),
                ]
                for model in models
            ],
        )
    else:
        sys.stdout.write("No models. `circuit-breaker doctor` says why.\n")
    return 0
