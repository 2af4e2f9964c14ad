"""The formats that a workflow can be written in."""

import json
from typing import Literal, TypeAlias, assert_never, get_args

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.exports.dot import dot
from engine.nets.exports.mermaid import mermaid
from engine.nets.exports.pnml import pnml
from engine.nets.exports.svg import svg
from engine.nets.notation.definition import Definition
from engine.nets.notation.writing import write_short
from engine.nets.notation.yaml_text import write_yaml

Export: TypeAlias = Literal["json", "yaml", "pnml", "mermaid", "dot", "svg"]
EXPORTS: tuple[Export, ...] = get_args(Export)


def export(definition: Definition, format: str) -> str:
    """`definition` as a text that ends with a line feed. Raises InvalidInput for a format that is not known."""
    if format not in EXPORTS:
        close = nearest(format, EXPORTS)
        raise InvalidInput(
            f"{shown(format)} is no format to write.",
            why=f"Did you mean {close[0]}?" if close else "",
            fix=f"Use one of {', '.join(EXPORTS)}.",
            details={"path": "format", "nearest": close},
        )
    known: Export = format
    match known:
        case "json":
            return json.dumps(write_short(definition), indent=2, ensure_ascii=False) + "\n"
        case "yaml":
            return write_yaml(write_short(definition))
        case "pnml":
            return pnml(definition)
        case "mermaid":
            return mermaid(definition)
        case "dot":
            return dot(definition)
        case "svg":
            return svg(definition)
        case _:
            assert_never(known)
