"""`workflow`: list, show and verify workflows."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import orjson

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.printing import print_json, print_table
from engine.kernel.errors import InvalidInput, NotFound
from engine.nets import notation
from engine.nets.analysis import notation as analysis_notation
from engine.nets.analysis.model import Analysis, Finding, Severity
from engine.nets.analysis.verdicts import analyse
from engine.nets.marking import in_words
from engine.nets.model import Net
from engine.nets.picture import Scene, draw, graph_of
from engine.workflows.checking import read_checked

_LIST = "{ workflows { id name version states counts { state tokens } analysis { sound findings { severity } } } }"
_ONE = "query ($id: String!) { workflow(id: $id) { id name description definition } workflows { id } }"


def run(chosen: argparse.Namespace) -> int:
    match chosen.action:
        case "list":
            return asyncio.run(_list(chosen))
        case "show":
            return asyncio.run(_show(chosen))
        case _:
            return _verify(chosen)


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
    found = await _stored(chosen, chosen.workflow)
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


async def _stored(chosen: argparse.Namespace, id: str) -> dict[str, Any]:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        answer = await door.ask(_ONE, id=id)
    if answer["workflow"] is None:
        raise NotFound.named("workflow", id, [one["id"] for one in answer["workflows"]])
    found: dict[str, Any] = answer["workflow"]
    return found


def _verify(chosen: argparse.Namespace) -> int:
    definition = read_checked(_source(chosen))
    analysis = analyse(definition.net)
    if chosen.json:
        print_json(analysis_notation.write(analysis))
    else:
        _print_analysis(definition.name, definition.net, analysis)
    return int(any(finding.severity is Severity.ERROR for finding in analysis.findings))


def _source(chosen: argparse.Namespace) -> dict[str, Any]:
    """The workflow in a file, on standard input, or in the store."""
    path = Path(chosen.file)
    if chosen.file != "-" and not path.exists() and "." not in path.name and "/" not in chosen.file:
        found: dict[str, Any] = asyncio.run(_stored(chosen, chosen.file))["definition"]
        return found
    try:
        text = sys.stdin.buffer.read() if chosen.file == "-" else path.read_bytes()
        source: dict[str, Any] = orjson.loads(text)
    except OSError as error:
        raise InvalidInput(f"{chosen.file} cannot be read.", why=f"{error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"{chosen.file} is not valid JSON.",
            why=f"{error.msg} (line {error.lineno}, column {error.colno}).",
            details={"line": error.lineno, "column": error.colno},
        ) from None
    return source


_WORDS = {
    "sound": ("sound: it can always end, properly, and every transition can fire", "not sound"),
    "deadlock_free": ("no deadlock", "can get stuck"),
    "bounded": ("bounded", "can fill without end"),
    "live": (
        "live: every transition can always become possible again",
        "some transitions can become impossible for good",
    ),
}


def _print_analysis(name: str, net: Net, analysis: Analysis) -> None:
    searched = "all of them" if analysis.complete else "there are more"
    sys.stdout.write(f"{name}: {analysis.states:,} states, {analysis.edges:,} steps ({searched})\n")
    for attribute, (yes, no) in _WORDS.items():
        verdict = getattr(analysis, attribute)
        sign, words = ("?", f"{attribute.replace('_', ' ')}: not proven") if verdict is None else ("✓", yes)
        sign, words = ("✗", no) if verdict is False else (sign, words)
        if attribute != ("live" if net.final else "sound"):  # what ends is not live; what runs for ever is not sound
            sys.stdout.write(f"  {sign} {words}\n")
    for finding in analysis.findings:
        _print_finding(finding, net)


def _print_finding(finding: Finding, net: Net) -> None:
    depends = " (if its guards allow it)" if finding.depends_on_guards else ""
    sys.stdout.write(f"\n{finding.severity.lower()}: {finding.message}{depends}\n")
    for step in finding.trace:
        fired = f"─ {step.transition} ─▶ " if step.transition else "start      "
        sys.stdout.write(f"    {fired}{in_words(step.marking, net.place_ids)}\n")
