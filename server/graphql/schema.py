"""The schema. Its text is in `docs/reference/schema.graphql`; it only grows."""

from strawberry import Schema
from strawberry.extensions import MaxTokensLimiter

from server.graphql.cost import CostLimit
from server.graphql.errors import Translated
from server.graphql.operations import Mutation, Query, Subscription
from server.graphql.spelling import EitherCase

schema = Schema(
    Query,
    Mutation,
    Subscription,
    extensions=[lambda: MaxTokensLimiter(max_token_count=20_000), CostLimit, EitherCase, Translated],
)
