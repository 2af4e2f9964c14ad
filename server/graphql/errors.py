"""Errors in GraphQL: the words are the error's own, `extensions` has its code and details."""

import logging
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError

from engine.kernel.errors import CircuitBreakerError, InvalidInput, TooLarge
from engine.kernel.world import World
from server.errors import bug, plain_body

log = logging.getLogger("server.graphql")
_TOO_LARGE = "Parsing aborted"  # how graphql-core ends what it says of a document over one of its limits


def translate(error: GraphQLError, world: World) -> None:
    """Give an error its code, and hide what a bug would say."""
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        if isinstance(error, GraphQLSyntaxError) and _TOO_LARGE in error.message:
            fix = "Send large values as variables, or several requests."
            said: CircuitBreakerError = TooLarge("The document is too large.", why=error.message, fix=fix)
            error.message += f" {fix}"
        elif isinstance(error, GraphQLSyntaxError):
            said = _unreadable(error)
        else:
            said = InvalidInput(error.message)
        error.extensions = {**_extensions(said), **(error.extensions or {})}
        return
    if not isinstance(original, CircuitBreakerError):
        id = world.new_id()
        log.error("a bug", exc_info=original, extra={"facts": {"bug": id}})
        original = bug(id)
    error.message = str(original)
    error.extensions = _extensions(original)


def _unreadable(error: GraphQLSyntaxError) -> InvalidInput:
    at = error.locations[0] if error.locations else None
    return InvalidInput(
        "The document is not GraphQL.",
        why=error.message,
        fix=f"Correct it at line {at.line}, column {at.column}." if at else "Correct it.",
        details={"line": at.line, "column": at.column} if at else {},
    )


def graphql_error(error: CircuitBreakerError) -> dict[str, Any]:
    """An error of a request that did not come as far as the schema."""
    return {"message": str(error), "extensions": _extensions(error)}


def _extensions(error: CircuitBreakerError) -> dict[str, Any]:
    return {name: value for name, value in plain_body(error).items() if name != "message"}
