"""`token`: create, fire, list, show, try, roll back, fork and cancel tokens."""

import argparse
import asyncio
import sys
from typing import Any

import orjson

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table
from engine.kernel.errors import InvalidInput, NotFound

_FIELDS = "id workflowId state status version data updatedAt"
_WHOLE = (
    f"{_FIELDS} running jobs {{ kind name due attempts state error }} "
    "history { sequence kind transition fromState toState timestamp actor reason detail } "
    "availableTransitions(includeBlocked: true) { id enabled blockers }"
)
_SHOW = f"query ($id: String!) {{ token(id: $id) {{ {_WHOLE} }} }}"
_LIST = (
    f"query ($filter: TokenFilter, $first: Int!) {{ tokensConnection(filter: $filter, first: $first) {{ "
    f"nodes {{ {_FIELDS} }} pageInfo {{ hasNextPage }} }} }}"
)
_TRY = (
    "query ($id: String!, $steps: [WhatIfStepInput!]!) { whatIf(tokenId: $id, steps: $steps) { "
    "steps { state status } events { transition actor } error { code what why fix } } }"
)


def _changing(field: str, input: str) -> str:
    """A mutation that answers with a token."""
    return f"mutation ($input: {input}!) {{ {field}(input: $input) {{ {_FIELDS} }} }}"


_CHANGES = {
    "create": ("createToken", "CreateTokenInput"),
    "fire": ("fireTransition", "FireTransitionInput"),
    "rollback": ("rollbackToken", "RollbackTokenInput"),
    "fork": ("forkToken", "ForkTokenInput"),
    "cancel": ("cancelToken", "CancelTokenInput"),
}


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_token(chosen))


async def _token(chosen: argparse.Namespace) -> int:
    world = real_world()
    wanted = _wanted(chosen)
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "list":
                await _list(door, chosen)
            case "try":
                return await _try(door, chosen)
            case "show" if chosen.token:
                await _show(door, chosen)
            case "show":
                await _list(door, chosen)
            case action:
                field, input = _CHANGES[action]
                _print_line((await door.ask(_changing(field, input), input=wanted))[field], chosen.json)
    return 0


def _wanted(chosen: argparse.Namespace) -> dict[str, Any]:
    """The input of what changes a token."""
    match chosen.action:
        case "create":
            return {"workflowId": chosen.workflow, "data": _data(chosen.data)}
        case "fire":
            return {
                "tokenId": chosen.token,
                "transitionId": chosen.transition,
                "data": _data(chosen.data),
                "mode": chosen.source,
                "expectedVersion": chosen.expect,
                "reason": chosen.reason,
            }
        case "rollback":
            return {"tokenId": chosen.token, "toVersion": chosen.version, "reason": chosen.reason}
        case "fork" | "cancel":
            return {"tokenId": chosen.token, "reason": chosen.reason}
        case _:
            return {}


async def _list(door: Door, chosen: argparse.Namespace) -> None:
    filter = {
        "workflowId": getattr(chosen, "workflow", None),
        "state": getattr(chosen, "state", None),
        "status": getattr(chosen, "status", None),
        "data": dict(_pair(one) for one in getattr(chosen, "where", None) or ()) or None,
    }
    given = {key: value for key, value in filter.items() if value is not None}
    page = (await door.ask(_LIST, filter=given, first=getattr(chosen, "first", 50)))["tokensConnection"]
    tokens = page["nodes"]
    if chosen.json:
        print_json(tokens)
    elif tokens:
        rows = [[one["id"], one["workflowId"], one["state"], one["status"], f"v{one['version']}"] for one in tokens]
        print_table(["token", "workflow", "state", "status", "version"], rows)
        if page["pageInfo"]["hasNextPage"]:
            sys.stdout.write("There are more: --first N shows more of them.\n")
    else:
        sys.stdout.write("No tokens. `circuit-breaker token create document_approval_v1` starts one.\n")


def _pair(text: str) -> tuple[str, Any]:
    """`field=value`; a value that is no JSON is a text."""
    field, sign, value = text.partition("=")
    if not sign or not field:
        raise InvalidInput(f"--where {text} is no condition.", fix="Write --where field=value.")
    try:
        return field, orjson.loads(value)
    except orjson.JSONDecodeError:
        return field, value


async def _try(door: Door, chosen: argparse.Namespace) -> int:
    steps = [{"transitionId": name} for name in chosen.transitions]
    if chosen.data is not None:
        steps[0]["data"] = _data(chosen.data)
    tried = (await door.ask(_TRY, id=chosen.token, steps=steps))["whatIf"]
    error = tried["error"]
    if chosen.json:
        print_json(tried)
        return int(error is not None)
    states = [step["state"] for step in tried["steps"]]
    sys.stdout.write(f"now          {states[0]}\n")
    for name, state in zip(chosen.transitions, states[1:], strict=False):
        sys.stdout.write(f"─ {name} ─▶ {state}\n")
    if error:
        sys.stdout.write(f"✗ {chosen.transitions[len(states) - 1]}: {error['what']} {error['why']}\n")
    sys.stdout.write("Nothing was stored.\n")
    return int(error is not None)


async def _show(door: Door, chosen: argparse.Namespace) -> None:
    token = (await door.ask(_SHOW, id=chosen.token))["token"]
    if token is None:
        raise NotFound.named("token", chosen.token, (), fix="`circuit-breaker token list` lists the newest.")
    if chosen.json:
        print_json(token)
        return
    _print_line(token, as_json=False)
    if token["data"]:
        sys.stdout.write(f"data  {orjson.dumps(token['data']).decode()}\n")
    for job in token["jobs"]:
        failed = f"  failed {job['attempts']} times: {job['error']}" if job["attempts"] else ""
        sys.stdout.write(f"{job['kind']}  {job['name']}  {job['due'][:19]}{failed}\n")
    for transition, child in token["running"].items():
        sys.stdout.write(f"inside  {transition}  {child}\n")
    sys.stdout.write("\ncan fire\n")
    for one in token["availableTransitions"]:
        sys.stdout.write(
            f"  {'✓' if one['enabled'] else '✗'} {one['id']}  {'; '.join(one['blockers'])}".rstrip() + "\n"
        )
    sys.stdout.write("\nhistory\n")
    for event in token["history"]:
        because = f"  “{event['reason']}”" if event["reason"] else ""
        sys.stdout.write(
            f"  {event['sequence']}  {event['timestamp'][:19]}  {_happened(event)}  ({event['actor']}){because}\n"
        )


def _happened(event: dict[str, Any]) -> str:
    match event["kind"]:
        case "created":
            return f"created in {event['toState']}"
        case "fired":
            return f"{event['fromState']} ─ {event['transition']} ─▶ {event['toState']}"
        case "started" | "abandoned":
            return f"{event['kind']} the sub-workflow of {event['transition']}: {event['detail'].get('token', '')}"
        case "overdue":
            return f"overdue in {event['detail'].get('place', event['toState'])}"
        case "rolled_back":
            return f"rolled back to version {event['detail'].get('to', '?')}: {event['toState']}"
        case "migrated":
            return f"migrated from {event['detail'].get('from')} to {event['detail'].get('to')}: {event['toState']}"
        case "archived":
            return f"{event['detail'].get('events', 'some')} events were archived; then in {event['toState']}"
        case kind:
            return str(kind)


def _print_line(token: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(token)
    else:
        sys.stdout.write(
            f"{token['id']}  {token['workflowId']}  {token['state']}  {token['status']}  v{token['version']}\n"
        )


def _data(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "--data is not valid JSON.", why=f"{error.msg} (column {error.colno}).", fix='Quote it: \'{"title": "x"}\'.'
        ) from None
