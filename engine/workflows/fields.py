"""The fields of tokens that a workflow keeps searchable. Pure."""

from collections.abc import Iterator

from engine.nets.token import Token
from engine.rules.fields import MISSING, value_of
from engine.store import codec
from engine.workflows.model import Workflow

MOST_CHARACTERS = 500


def lookups(workflow: Workflow, token: Token) -> Iterator[tuple[str, str]]:
    """The paths that the workflow names in `indexes` with the values that the token has there, as JSON text. What is
    longer than MOST_CHARACTERS is left out."""
    for path in workflow.definition.indexes:
        value = value_of(path, token.data, token.metadata)
        if value is not MISSING and len(text := codec.dumps(value)) <= MOST_CHARACTERS:
            yield path, text
