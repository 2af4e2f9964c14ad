"""What a request may cost: fields, each as often as the lists above it are long, and levels of nesting.

Both are found in one walk that remembers each fragment, so that fragments within fragments cannot make the walk itself
expensive, and before any resolver runs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension

MOST_COST = 100_000
MOST_DEPTH = 15
MOST_CHARACTERS = 100_000
PAGE = 50  # of a list whose size was not given
_PAGED = ("tokens",)


class CostLimit(SchemaExtension):
    def on_parse(self) -> Iterator[None]:
        if len(self.execution_context.query or "") > MOST_CHARACTERS:
            raise _refused(f"The query has more than {MOST_CHARACTERS:,} characters.")
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.graphql_document is not None:
            check(context.graphql_document, context.variables or {})
        yield


def check(document: DocumentNode, variables: Mapping[str, Any]) -> None:
    """Raises GraphQLError when the document would cost too much."""
    walk = _Walk(document, variables)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            cost, depth = walk.of(definition.selection_set, frozenset())
            if depth > MOST_DEPTH:
                raise _refused(f"The query is nested {depth} deep; {MOST_DEPTH} is the most.")
            if cost > MOST_COST:
                raise _refused(f"The query would ask for about {cost:,} fields; {MOST_COST:,} is the most.")


class _Walk:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._variables = variables
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, selections: SelectionSetNode | None, inside: frozenset[str]) -> tuple[int, int]:
        """Cost and depth of a selection. Introspection is counted once a field and may nest as GraphiQL nests it."""
        cost = depth = 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FragmentSpreadNode):
                found = self._fragment(selection.name.value, inside)
            elif isinstance(selection, FieldNode) and selection.name.value.startswith("__"):
                found = (1, 0)
            elif isinstance(selection, FieldNode):
                below, levels = self.of(selection.selection_set, inside)
                found = (1 + below * self._length(selection), 1 + levels)
            else:
                found = self.of(getattr(selection, "selection_set", None), inside)
            cost, depth = cost + found[0], max(depth, found[1])
        return min(cost, 10 * MOST_COST), depth

    def _fragment(self, name: str, inside: frozenset[str]) -> tuple[int, int]:
        if name in inside or name not in self._fragments:
            return 0, 0  # validation says what is wrong
        if name not in self._known:
            self._known[name] = self.of(self._fragments[name].selection_set, inside | {name})
        return self._known[name]

    def _length(self, field: FieldNode) -> int:
        for argument in field.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return max(1, int(value.value))
                if isinstance(value, VariableNode):
                    given = self._variables.get(value.name.value)
                    return max(1, given) if isinstance(given, int) else PAGE
        return PAGE if field.name.value in _PAGED else 1


def _refused(why: str) -> GraphQLError:
    return GraphQLError(f"The query is too expensive. {why}", extensions={"code": "too_large"})
