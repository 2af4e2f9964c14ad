"""Where commands take workflows from: a file, standard input, or the store."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import open_door
from app.commands.files import text_of
from engine.kernel.errors import NotFound
from engine.nets import notation
from engine.nets.notation import Definition
from engine.nets.notation.text import Format, detect, read_text
from engine.workflows.checking import check_structure

MOST_BYTES = 40_000_000  # what is too long as text is refused when it is read
_ONE = "query ($id: String!) { workflow(id: $id) { id name description definition } workflows { id } }"


def definition_of(chosen: argparse.Namespace, name: str) -> Definition:
    """The workflow that `name` means: `-`, a file, or the id of a stored one. Its parts fit together.

    Raises InvalidInput with line and column, InvalidWorkflow, NotFound.
    """
    path = Path(name)
    if name != "-" and not path.exists() and "." not in path.name and "/" not in name:
        return notation.read(asyncio.run(stored(chosen, name))["definition"])
    text = workflow_text(name)
    found = read_text(text, format_of(chosen, name, text))
    check_structure(found)
    return found


def workflow_text(name: str) -> str:
    """What is in a workflow file, or on standard input for `-`."""
    return text_of(name, most_bytes=MOST_BYTES, fix="Cut the workflow into smaller ones.")


def format_of(chosen: argparse.Namespace, name: str, text: str) -> Format:
    """What was chosen, else what the name or the text says."""
    given: Format | None = getattr(chosen, "format", None)
    return given or detect(name, text)


async def stored(chosen: argparse.Namespace, id: str) -> dict[str, Any]:
    """A stored workflow: id, name, description and definition. Raises NotFound."""
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        answer = await door.ask(_ONE, id=id)
    if answer["workflow"] is None:
        raise NotFound.named("workflow", id, [one["id"] for one in answer["workflows"]])
    found: dict[str, Any] = answer["workflow"]
    return found
