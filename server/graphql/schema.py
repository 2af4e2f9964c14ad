"""The schema. Its text is in `docs/reference/schema.graphql`; it only grows."""

from graphql import GraphQLError
from strawberry import Schema
from strawberry.types import ExecutionContext

from server.graphql.cost import CostLimit
from server.graphql.errors import translate
from server.graphql.operations import Mutation, Query, Subscription
from server.graphql.remembered import Documents, Remembering
from server.graphql.spelling import EitherCase


class Translating(Schema):
    """Gives every error its code; logs bugs, and not what a client did wrong. Remembers valid documents."""

    documents: Documents

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        assert execution_context is not None
        for error in errors:
            translate(error, execution_context.context.engine.world)


schema = Translating(Query, Mutation, Subscription, extensions=[CostLimit, EitherCase, Remembering])
schema.documents = Documents()
