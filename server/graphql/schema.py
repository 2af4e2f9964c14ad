"""The schema. Its text is in `docs/reference/schema.graphql`; it only grows."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from graphql import DocumentNode, GraphQLError, execute, get_operation_ast
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from server.graphql.cost import CostLimit, check
from server.graphql.errors import translate
from server.graphql.operations import Mutation, Query, Subscription
from server.graphql.remembered import Documents, Remembering
from server.graphql.spelling import EitherCase, respelled_variables


class Translating(Schema):
    """Gives every error its code; logs bugs, and not what a client did wrong. Remembers valid documents, and executes
    one that it knows without Strawberry's way there, which is as long as to execute it."""

    documents: Documents

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        document = self.documents.get(query)
        if document is None or not _settled(document, variable_values, operation_name, allowed_operation_types):
            return await super().execute(
                query,
                variable_values,
                context_value,
                root_value,
                operation_name,
                allowed_operation_types,
                operation_extensions,
            )
        result = await await_maybe(
            execute(
                self._schema,
                document,
                root_value,
                context_value,
                respelled_variables(document, variable_values, self._schema) if variable_values else None,
                operation_name,
                executor_class=self.execution_context_class,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # it says no type
                operation_extensions=operation_extensions,
            )
        )
        assert context_value is not None
        for error in result.errors or ():
            translate(error, context_value.engine.world)
        return ExecutionResult(data=result.data, errors=result.errors)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        assert execution_context is not None
        for error in errors:
            translate(error, execution_context.context.engine.world)


def _settled(
    document: DocumentNode,
    variables: dict[str, Any] | None,
    operation_name: str | None,
    allowed: Iterable[OperationType] | None,
) -> bool:
    """Whether a valid document may be executed at once: it says which operation, of a kind that may be asked for so, at
    a cost that is taken. What stands against it is said where all other documents go."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or (allowed is not None and OperationType(operation.operation.value) not in allowed):
        return False
    with suppress(GraphQLError):
        check(document, variables or {})
        return True
    return False


schema = Translating(Query, Mutation, Subscription, extensions=[CostLimit, EitherCase, Remembering])
schema.documents = Documents()
