"""Errors in GraphQL: the words are the error's own, `extensions` has its code and details."""

import logging
from collections.abc import Iterator

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from engine.kernel.errors import CircuitBreakerError
from server.errors import bug, plain_body

log = logging.getLogger("server.graphql")


def graphql_error(error: CircuitBreakerError) -> GraphQLError:
    return GraphQLError(str(error), original_error=error, extensions=_extensions(error))


class Translated(SchemaExtension):
    """Gives every error of a resolver its code, and hides what a bug would say."""

    def on_operation(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        for error in getattr(result, "errors", None) or ():
            original = error.original_error
            if original is None or isinstance(original, GraphQLError):
                error.extensions = {"code": "invalid_input", **(error.extensions or {})}
                continue
            if not isinstance(original, CircuitBreakerError):
                id = self.execution_context.context.engine.world.new_id()
                log.error("a bug", exc_info=original, extra={"facts": {"request": id}})
                original = bug(id)
            error.message = str(original)
            error.extensions = _extensions(original)


def _extensions(error: CircuitBreakerError) -> dict[str, object]:
    body = plain_body(error)
    body.pop("message")
    return body
