"""`keys`: list, set, test and delete API keys. A key is never an argument: `ps` and the history would show it."""

import argparse
import asyncio
import getpass
import sys

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table

_LIST = "{ keys { provider origin where ending } }"
_SET = (
    "mutation ($provider: String!, $key: String!) { setKey(provider: $provider, key: $key) { provider where ending } }"
)
_TEST = "mutation ($provider: String!) { testKey(provider: $provider) }"
_DELETE = "mutation ($provider: String!) { deleteKey(provider: $provider) }"


def run(chosen: argparse.Namespace) -> int:
    secret = _read_key(chosen.provider) if chosen.action == "set" else ""
    return asyncio.run(_keys(chosen, secret))


def _read_key(provider: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"Key for {provider}: ")
    return sys.stdin.readline()


async def _keys(chosen: argparse.Namespace, secret: str) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "list":
                return await _list(door, chosen.json)
            case "set":
                kept = (await door.ask(_SET, provider=chosen.provider, key=secret))["setKey"]
                said = f"{kept['provider']} {kept['ending']}: kept by {kept['where']}."
                result: object = kept
            case "test":
                names = (await door.ask(_TEST, provider=chosen.provider))["testKey"]
                said, result = f"{chosen.provider} answers: {len(names)} models.", names
            case _:
                await door.ask(_DELETE, provider=chosen.provider)
                said, result = f"The key for {chosen.provider} is gone.", {"deleted": chosen.provider}
    if chosen.json:
        print_json(result)
    else:
        sys.stdout.write(said + "\n")
    return 0


async def _list(door: Door, as_json: bool) -> int:
    keys = (await door.ask(_LIST))["keys"]
    if as_json:
        print_json(keys)
    elif keys:
        rows = [[key["provider"], key["ending"], key["where"], key["origin"]] for key in keys]
        print_table(["provider", "key", "kept by", "sent to"], rows)
    else:
        sys.stdout.write("No keys. `circuit-breaker keys set openai` keeps one in the keyring.\n")
    return 0
