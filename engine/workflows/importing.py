"""Workflows from text. Apart from the use cases, for its parsers take time to load."""

from engine.kernel.errors import InvalidInput
from engine.nets.notation import Definition
from engine.nets.notation.text import FORMATS, detect, read_text
from engine.workflows.checking import check_structure


def read_as(text: str, format: str | None) -> Definition:
    """The definition that is written in `text`, whose parts fit together. Raises InvalidInput with line and column,
    TooLarge and InvalidWorkflow."""
    if format is not None and format not in FORMATS:
        raise InvalidInput(
            f"{format} is no format of workflows.", fix=f"Use one of {', '.join(FORMATS)}.", details={"path": "format"}
        )
    chosen = next((known for known in FORMATS if known == format), None) or detect("", text)
    definition = read_text(text, chosen)
    check_structure(definition)
    return definition
