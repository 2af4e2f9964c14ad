"""`models`: what is there, what is known of it, whether it fits this machine, and how fast it is; and asking again."""

import argparse
import asyncio
import sys
from decimal import Decimal
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table
from engine.kernel import folders
from engine.kernel.errors import NotFound
from engine.kernel.settings import Loaded
from engine.kernel.world import World
from engine.llm import library
from engine.llm.budgets import dollars

_PRICE = "price { input output cacheRead cacheWrite tiers asOf source }"
_MODEL = f"id provider name abilities context sizeBytes local loaded tiny {_PRICE} ttftS tokensPerS"
_MODELS = f"{{ models {{ {_MODEL} }} }}"
_SHOW = f"query ($id: String!) {{ model(id: $id) {{ {_MODEL} maxTokens released details }} models {{ id }} }}"
_FIT = """query ($model: String!, $context: Int) { modelFit(model: $model, context: $context) {
  model verdict context weightsBytes cacheBytes neededBytes freeBytes freeGraphicsBytes mostContext reasons } }"""
_BENCH = """mutation ($model: String!, $tokens: Int!) { benchModel(model: $model, tokens: $tokens) {
  loadS meanTtftS meanTokensPerS
  request { provider model ttftS durationS tokensPerS costUsd usage { promptTokens completionTokens counted } } } }"""
_BREAKERS = "{ breakers { provider model key state why } }"
_RESET = "mutation ($provider: String) { resetBreakers(provider: $provider) }"
_VERDICTS = {
    "graphics": "fits the graphics memory",
    "memory": "fits the memory",
    "split": "fits in part: slower",
    "no": "does not fit",
    "unknown": "not known",
}


def run(chosen: argparse.Namespace) -> int:
    world = real_world()
    loaded = settings_of(chosen, world)
    return asyncio.run(_update(chosen, loaded, world) if chosen.action == "update" else _asked(chosen, loaded, world))


async def _asked(chosen: argparse.Namespace, loaded: Loaded, world: World) -> int:
    async with open_door(loaded, world) as door:
        match chosen.action:
            case "show":
                return await _show(door, chosen)
            case "fit":
                return await _fit(door, chosen)
            case "bench":
                return await _bench(door, chosen)
            case "reset":
                return await _reset(door, chosen)
            case _:
                return await _list(door, chosen)


async def _list(door: Door, chosen: argparse.Namespace) -> int:
    models = (await door.ask(_MODELS))["models"]
    models = [model for model in models if chosen.provider in (None, model["provider"])]
    if chosen.json:
        print_json(models)
    elif models:
        print_table(
            ["model", "provider", "abilities", "context", "size", "in/out $", "tok/s", ""],
            [
                [
                    model["name"],
                    model["provider"],
                    " ".join(model["abilities"]),
                    f"{model['context']:,}" if model["context"] else "?",
                    f"{model['sizeBytes'] / 1e9:.1f} GB" if model["sizeBytes"] else "?",
                    _price(model["price"]),
                    f"{model['tokensPerS']:.0f}" if model["tokensPerS"] else "?",
                    " ".join(word for word in ("loaded", "tiny", "local") if model[word]),
                ]
                for model in models
            ],
        )
    else:
        sys.stdout.write("No models. `circuit-breaker doctor` says why.\n")
    return 0


async def _show(door: Door, chosen: argparse.Namespace) -> int:
    answer = await door.ask(_SHOW, id=chosen.model)
    model = answer["model"]
    if model is None:
        raise NotFound.named(
            "model",
            chosen.model,
            [one["id"] for one in answer["models"]],
            fix="`circuit-breaker models list` has them.",
        )
    if chosen.json:
        print_json(model)
        return 0
    where = "stays on this machine" if model["local"] else "asked over the network"
    lines = {
        "model": model["id"],
        "where": where + (", in memory now" if model["loaded"] else ""),
        "abilities": " ".join(model["abilities"]),
        "context": f"{model['context']:,} tokens" if model["context"] else "not known",
        "answer": f"up to {model['maxTokens']:,} tokens" if model["maxTokens"] else "not known",
        "size": f"{model['sizeBytes'] / 1e9:.1f} GB" if model["sizeBytes"] else "not known",
        "released": model["released"] or "not known",
        "speed": _speed(model["ttftS"], model["tokensPerS"]),
        "price": "\n".join(_prices(model["price"])),
        "facts": ", ".join(f"{name} {value}" for name, value in model["details"].items() if isinstance(value, str)),
    }
    for name, text in lines.items():
        first, *more = text.split("\n")
        sys.stdout.write(f"{name:<10} {first}\n" + "".join(f"{'':<10} {line}\n" for line in more))
    return 0


async def _fit(door: Door, chosen: argparse.Namespace) -> int:
    names = [chosen.model] if chosen.model else None
    if names is None:
        names = [one["id"] for one in (await door.ask(_MODELS))["models"] if one["local"] and not one["tiny"]]
    found = [(await door.ask(_FIT, model=name, context=chosen.context))["modelFit"] for name in names]
    if chosen.json:
        print_json(found[0] if chosen.model else found)
    elif chosen.model:
        (one,) = found
        sys.stdout.write(f"{one['model']}: {_VERDICTS[one['verdict']]}, with {one['context']:,} tokens of context.\n")
        sys.stdout.write("".join(f"  {reason}\n" for reason in one["reasons"]))
    elif found:
        rows = [
            [one["model"], _VERDICTS[one["verdict"]], f"{one['neededBytes'] / 1e9:.1f} GB", f"{one['context']:,}"]
            for one in found
        ]
        print_table(["model", "here", "needs", "with context"], rows)
    else:
        sys.stdout.write("There are no local models.\n")
    return 1 if chosen.model and found[0]["verdict"] == "no" else 0


async def _bench(door: Door, chosen: argparse.Namespace) -> int:
    found = (await door.ask(_BENCH, model=chosen.model, tokens=chosen.tokens))["benchModel"]
    if chosen.json:
        print_json(found)
        return 0
    request = found["request"]
    sys.stdout.write(f"{request['provider']}/{request['model']}: {_speed(request['ttftS'], request['tokensPerS'])}\n")
    if found["loadS"] is not None:
        sys.stdout.write(f"  It took {found['loadS']:.1f} s to be in memory.\n")
    mean = _speed(found["meanTtftS"], found["meanTokensPerS"])
    cost = "not known" if request["costUsd"] is None else dollars(Decimal(request["costUsd"]))
    usage = request["usage"]
    sys.stdout.write(f"  {usage['completionTokens']:,} tokens, cost {cost}. Mean of its requests: {mean}\n")
    return 0


async def _reset(door: Door, chosen: argparse.Namespace) -> int:
    open_ones = (await door.ask(_BREAKERS))["breakers"]
    count = (await door.ask(_RESET, provider=chosen.provider))["resetBreakers"]
    if chosen.json:
        print_json({"reset": count})
        return 0
    for one in open_ones:
        if chosen.provider in (None, one["provider"]):
            name = f"{one['provider']}/{one['model']}" if one["model"] else f"{one['provider']} with key {one['key']}"
            sys.stdout.write(f"{name} is asked again: {one['why']}\n")
    if not count:
        sys.stdout.write("Nothing was left alone.\n")
    return 0


async def _update(chosen: argparse.Namespace, loaded: Loaded, world: World) -> int:
    folder = (loaded.settings.data_dir or folders.data_folder()) / "models"
    found = await library.update(folder, chosen.source)
    if chosen.json:
        told = {"date": found.date, "providers": found.providers, "models": found.models, "priced": found.priced}
        print_json(told | {"file": str(folder / library.DATA)})
    else:
        sys.stdout.write(
            f"The model data of {found.date} is in use: {found.models:,} models of {found.providers} providers, "
            f"{found.priced:,} with a price.\n"
        )
    return 0


def _price(price: dict[str, Any] | None) -> str:
    if price is None:
        return "?"
    if not float(price["input"]) and not float(price["output"]):
        return "free"
    return f"{price['input']}/{price['output']}" + ("+" if price["tiers"] else "")


def _prices(price: dict[str, Any] | None) -> list[str]:
    if price is None:
        return ["not known"]
    if _price(price) == "free":
        return [f"free: {price['source']}"]
    cached = [
        f"{name} ${price[key]}"
        for name, key in (("read from cache", "cacheRead"), ("written to cache", "cacheWrite"))
        if price[key] is not None
    ]
    lines = [", ".join([f"in ${price['input']}", f"out ${price['output']}", *cached]) + " for a million tokens"]
    lines += [
        f"over {tier['over']:,} tokens of prompt: "
        + ", ".join(f"{name} ${value}" for name, value in tier.items() if name != "over")
        for tier in price["tiers"]
    ]
    return [*lines, f"of {price['asOf'] or 'an unknown day'}, {price['source']}"]


def _speed(ttft: float | None, speed: float | None) -> str:
    parts = [
        *([f"{ttft:.2f} s to the first token"] if ttft is not None else []),
        *([f"{speed:.1f} tokens/s"] if speed is not None else []),
    ]
    return ", ".join(parts) or "not measured yet: `circuit-breaker models bench`"
