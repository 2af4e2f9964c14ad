"""`workflow`: list, show, new, import, export and migrate; `app.commands.proving` has verify, ask and simulate."""

import argparse
import asyncio
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.printing import print_json, print_table
from app.commands.sources import definition_of, format_of, stored, workflow_text
from engine.kernel import assets
from engine.kernel.errors import InvalidInput
from engine.nets import notation
from engine.nets.notation.templates import template
from engine.nets.picture import Scene, draw, graph_of

_LIST = "{ workflows { id name version states counts { state tokens } analysis { sound findings { severity } } } }"
_IMPORT = (
    "mutation ($text: String!, $format: String!, $strict: Boolean) { "
    "importWorkflow(text: $text, format: $format, strict: $strict) { "
    "id name analysis { sound findings { severity code message } } } }"
)
_MIGRATE = (
    "mutation ($input: MigrateTokensInput!) { migrateTokens(input: $input) { "
    "dryRun carried refused moved skipped steps { state tokens acceptance reason after { place tokens } } } }"
)
_SIGNS = {"ACCEPTED": "✓", "WITH_REMARK": "◐", "REFUSED": "✗"}


def run(chosen: argparse.Namespace) -> int:
    match chosen.action:
        case "list":
            return asyncio.run(_list(chosen))
        case "show":
            return asyncio.run(_show(chosen))
        case "new":
            return _new(chosen)
        case "import":
            return asyncio.run(_import(chosen))
        case "export":
            return _export(chosen)
        case "migrate":
            return asyncio.run(_migrate(chosen))
        case _:
            code: int = import_module("app.commands.proving").run(chosen)
            return code


async def _list(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        workflows = (await door.ask(_LIST))["workflows"]
    if chosen.json:
        print_json(workflows)
    else:
        rows = [
            [one["id"], one["name"], _verdict(one["analysis"]), str(sum(count["tokens"] for count in one["counts"]))]
            for one in workflows
        ]
        print_table(["workflow", "name", "verdict", "tokens"], rows)
    return 0


def _verdict(analysis: dict[str, Any]) -> str:
    errors = sum(finding["severity"] == "ERROR" for finding in analysis["findings"])
    if errors:
        return f"✗ {errors} {'error' if errors == 1 else 'errors'}"
    return {True: "✓ sound", False: "✗ not sound", None: "–"}[analysis["sound"]]


async def _show(chosen: argparse.Namespace) -> int:
    found = await stored(chosen, chosen.workflow)
    if chosen.json:
        print_json(found["definition"])
        return 0
    net = notation.read(found["definition"]).net
    sys.stdout.write(f"{found['id']}  {found['name']}\n")
    if found["description"]:
        sys.stdout.write(f"{found['description']}\n")
    picture = draw(graph_of(net), Scene(net.initial), shutil.get_terminal_size().columns, ascii=chosen.plain)
    sys.stdout.write(f"\n{picture.text}\n")
    return 0


def _new(chosen: argparse.Namespace) -> int:
    """Write a template into a file, to be changed."""
    text = template(assets.folder() / "templates", chosen.template)
    target = Path(chosen.file or f"{chosen.template}.yaml")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{target} is there already.", fix="Give another name.") from None
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written.", why=f"{error.strerror}.") from None
    sys.stdout.write(
        f"{target}\nChange it, then `circuit-breaker workflow verify {target}` and "
        f"`circuit-breaker workflow import {target}`.\n"
    )
    return 0


async def _import(chosen: argparse.Namespace) -> int:
    text = workflow_text(chosen.file)
    format = format_of(chosen, chosen.file, text)
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        made = (await door.ask(_IMPORT, text=text, format=format, strict=chosen.strict))["importWorkflow"]
    if chosen.json:
        print_json(made)
        return 0
    sys.stdout.write(f"{made['id']}  {made['name']}  {_verdict(made['analysis'])}\n")
    for finding in made["analysis"]["findings"]:
        sys.stdout.write(f"  {finding['severity'].lower()}: {finding['message']}\n")
    return 0


def _export(chosen: argparse.Namespace) -> int:
    definition = definition_of(chosen, chosen.workflow)
    text: str = import_module("engine.nets.exports").export(definition, chosen.to)
    if chosen.output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return 0
    try:
        Path(chosen.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{chosen.output} cannot be written.", why=f"{error.strerror}.") from None
    return 0


async def _migrate(chosen: argparse.Namespace) -> int:
    places = [_place(one) for one in chosen.place or ()]
    input = {
        "fromWorkflow": chosen.source,
        "toWorkflow": chosen.target,
        "places": places,
        "dryRun": not chosen.run,
        "reason": chosen.reason,
    }
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        done = (await door.ask(_MIGRATE, input=input))["migrateTokens"]
    if chosen.json:
        print_json(done)
        return int(done["refused"] > 0)
    for step in done["steps"]:
        after = " + ".join(one["place"] for one in step["after"]) or "–"
        sys.stdout.write(f"{_SIGNS[step['acceptance']]} {step['tokens']:>6}  {step['state']} → {after}\n")
        if step["acceptance"] != "ACCEPTED":
            sys.stdout.write(f"           {step['reason']}\n")
    if done["dryRun"]:
        sys.stdout.write(f"{done['carried']} would go over, {done['refused']} would stay. --run does it.\n")
    else:
        sys.stdout.write(f"{done['moved']} went over, {done['skipped']} stayed.\n")
    return int(done["refused"] > 0)


def _place(text: str) -> dict[str, str]:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise InvalidInput(f"--place {text} says no place.", fix="Write --place old=new.")
    return {"fromPlace": old, "toPlace": new}
