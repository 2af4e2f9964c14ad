"""The schema. Its text is in `docs/reference/schema.graphql`; it only grows."""

from graphql import GraphQLError
from strawberry import Schema
from strawberry.extensions import MaxTokensLimiter
from strawberry.types import ExecutionContext

from server.graphql.cost import CostLimit
from server.graphql.errors import Translated
from server.graphql.operations import Mutation, Query, Subscription
from server.graphql.spelling import EitherCase


class Quiet(Schema):
    """Does not log what a client did wrong; bugs are logged where they are translated."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        return None


schema = Quiet(
    Query,
    Mutation,
    Subscription,
    extensions=[lambda: MaxTokensLimiter(max_token_count=20_000), CostLimit, EitherCase, Translated],
)
