"""`token`: create, fire and show tokens."""

import argparse
import asyncio
import sys
from typing import Any

import orjson

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table
from engine.kernel.errors import InvalidInput, NotFound

_FIELDS = "id workflowId state version data updatedAt"
_WHOLE = (
    f"{_FIELDS} history {{ sequence transition fromState toState timestamp actor }} "
    "availableTransitions(includeBlocked: true) { id enabled blockers }"
)
_CREATE = f"mutation ($input: CreateTokenInput!) {{ createToken(input: $input) {{ {_FIELDS} }} }}"
_FIRE = f"mutation ($input: FireTransitionInput!) {{ fireTransition(input: $input) {{ {_FIELDS} }} }}"
_SHOW = f"query ($id: String!) {{ token(id: $id) {{ {_WHOLE} }} }}"
_NEWEST = f"{{ tokens(first: 50) {{ {_FIELDS} }} }}"


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_token(chosen))


async def _token(chosen: argparse.Namespace) -> int:
    world = real_world()
    data = _data(getattr(chosen, "data", None))
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "create":
                wanted = {"workflowId": chosen.workflow, "data": data}
                _print_line((await door.ask(_CREATE, input=wanted))["createToken"], chosen.json)
            case "fire":
                wanted = {
                    "tokenId": chosen.token,
                    "transitionId": chosen.transition,
                    "data": data,
                    "mode": chosen.source,
                    "expectedVersion": chosen.expect,
                }
                _print_line((await door.ask(_FIRE, input=wanted))["fireTransition"], chosen.json)
            case _:
                await _show(door, chosen)
    return 0


async def _show(door: Door, chosen: argparse.Namespace) -> None:
    if chosen.token is None:
        tokens = (await door.ask(_NEWEST))["tokens"]
        if chosen.json:
            print_json(tokens)
        elif tokens:
            rows = [[one["id"], one["workflowId"], one["state"], f"v{one['version']}"] for one in tokens]
            print_table(["token", "workflow", "state", "version"], rows)
        else:
            sys.stdout.write("No tokens. `circuit-breaker token create document_approval_v1` starts one.\n")
        return
    token = (await door.ask(_SHOW, id=chosen.token))["token"]
    if token is None:
        raise NotFound.named("token", chosen.token, (), fix="`circuit-breaker token show` lists the newest.")
    if chosen.json:
        print_json(token)
        return
    _print_line(token, as_json=False)
    if token["data"]:
        sys.stdout.write(f"data  {orjson.dumps(token['data']).decode()}\n")
    sys.stdout.write("\ncan fire\n")
    for one in token["availableTransitions"]:
        sys.stdout.write(
            f"  {'✓' if one['enabled'] else '✗'} {one['id']}  {'; '.join(one['blockers'])}".rstrip() + "\n"
        )
    sys.stdout.write("\nhistory\n")
    for event in token["history"]:
        what = (
            f"{event['fromState']} ─ {event['transition']} ─▶ {event['toState']}" if event["transition"] else "created"
        )
        sys.stdout.write(f"  {event['sequence']}  {event['timestamp'][:19]}  {what}  ({event['actor']})\n")


def _print_line(token: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(token)
    else:
        sys.stdout.write(f"{token['id']}  {token['workflowId']}  {token['state']}  v{token['version']}\n")


def _data(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "--data is not valid JSON.", why=f"{error.msg} (column {error.colno}).", fix='Quote it: \'{"title": "x"}\'.'
        ) from None
