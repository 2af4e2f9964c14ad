"""What a request may cost, settled before validation and before any resolver runs.

Three things are bounded: the text (characters and tokens, by the parser), the document (fields, definitions, nesting,
and how often one name comes, for graphql-core compares all fields of one name with each other), and the answer (fields,
each as often as the lists above it are long). One walk that remembers each fragment finds them, so that fragments
within fragments cannot make the walk itself expensive.
"""

from collections import Counter
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

from engine.kernel.errors import TooLarge

MOST_CHARACTERS = 100_000
MOST_TOKENS = 4_000
MOST_DEFINITIONS = 50
MOST_FIELDS = 1_000  # in the text
MOST_COMPARISONS = 20_000  # of two fields of one name
MOST_DEPTH = 15
MOST_NESTING = 60  # with fragments, and in introspection
MOST_COST = 40_000

_LENGTHS: Mapping[str, int] = {
    "tokens": 50,
    "workflows": 20,
    "history": 20,
    "models": 20,
    "llmProviders": 10,
    "routes": 10,
    "ranked": 30,
    "rejected": 30,
    "breakers": 5,
    "replayRoutes": 50,
    "groups": 30,
    "budgets": 5,
    "agents": 5,
    "keys": 5,
    "doctor": 10,
    "transitions": 10,
    "availableTransitions": 5,
    "findings": 5,
    "trace": 10,
    "counts": 5,
    "edges": 50,
    "nodes": 50,
    "steps": 10,
    "events": 10,
    "jobs": 2,
    "invariants": 5,
    "places": 10,
    "throughput": 30,
    "follows": 30,
    "deviations": 20,
    "types": 40,
    "fields": 6,
    "inputFields": 6,
    "args": 1,
    "enumValues": 2,
    "directives": 6,
}
"""How long lists are thought to be, where the request does not say `first` or `last`."""

_PAGED = frozenset({"edges", "nodes"})


class CostLimit(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        limits: dict[str, Any] = {"max_source_length": MOST_CHARACTERS, "max_tokens": MOST_TOKENS}
        self.execution_context.parse_options = limits  # type: ignore[assignment]
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.graphql_document is not None:
            try:
                check(context.graphql_document, context.variables or {})
            except GraphQLError as error:
                context.pre_execution_errors = [error]  # raised, it would be lost in a subscription
        yield


def check(document: DocumentNode, variables: Mapping[str, Any]) -> None:
    """Raises GraphQLError when the document would cost too much."""
    if len(document.definitions) > MOST_DEFINITIONS:
        raise _refused(f"It has {len(document.definitions)} operations and fragments", MOST_DEFINITIONS)
    walk = _Walk(document, variables)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            cost, depth = walk.of(definition.selection_set, 0, frozenset())
            if depth > MOST_DEPTH:
                raise _refused(f"It is nested {depth} deep", MOST_DEPTH)
            if cost > MOST_COST:
                raise _refused(f"It would ask for about {cost:,} fields", MOST_COST)
    for name in walk.fragments:  # those that nothing uses are validated too
        walk.fragment(name, 0, frozenset())


class _Walk:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._variables = variables
        self._known: dict[str, tuple[int, int]] = {}
        self._names: Counter[str] = Counter()
        self._fields = self._comparisons = 0

    def of(
        self, selections: SelectionSetNode | None, level: int, inside: frozenset[str], page: int = 0
    ) -> tuple[int, int]:
        """Cost and depth of a selection, in a page of so many if it is one. Introspection has no depth: it may nest as
        GraphiQL nests it."""
        if level > MOST_NESTING:
            raise _refused("It is nested too deep", MOST_NESTING)
        cost = depth = 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FragmentSpreadNode):
                self._note(f"...{selection.name.value}")
                found = self.fragment(selection.name.value, level + 1, inside)
            elif isinstance(selection, FieldNode):
                self._note(selection.alias.value if selection.alias else selection.name.value)
                length = self._length(selection)
                is_page = _is_page(selection)
                below, levels = self.of(selection.selection_set, level + 1, inside, length if is_page else 0)
                hidden = selection.name.value.startswith("__")
                times = 1 if is_page else page if page and selection.name.value in _PAGED else length
                found = (1 + below * times, 0 if hidden else 1 + levels)
            else:
                found = self.of(getattr(selection, "selection_set", None), level + 1, inside)
            cost, depth = cost + found[0], max(depth, found[1])
        return min(cost, 10 * MOST_COST), depth

    def fragment(self, name: str, level: int, inside: frozenset[str]) -> tuple[int, int]:
        if name in inside or name not in self.fragments:
            return 0, 0  # validation says what is wrong
        if name not in self._known:
            self._known[name] = self.of(self.fragments[name].selection_set, level, inside | {name})
        return self._known[name]

    def _note(self, name: str) -> None:
        """Count a field of the text."""
        self._fields += 1
        self._comparisons += self._names[name]
        self._names[name] += 1
        if self._fields > MOST_FIELDS:
            raise _refused("It has more fields than are taken", MOST_FIELDS)
        if self._comparisons > MOST_COMPARISONS:
            raise _refused(f"It asks for `{name[:80]}` and others too often", MOST_COMPARISONS)

    def _length(self, field: FieldNode) -> int:
        for argument in field.arguments or ():
            if argument.name.value in ("first", "last"):
                value = argument.value
                if isinstance(value, IntValueNode):
                    return max(1, int(value.value[:12]))
                given = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
                if isinstance(given, int):
                    return max(1, given)
        return _LENGTHS.get(field.name.value, 1)


def _is_page(field: FieldNode) -> bool:
    """Whether `first` says how long the lists of a connection are, and not how often the field itself comes. Only where
    all of them can be seen: what a fragment has is counted as if it were both."""
    inside = field.selection_set.selections if field.selection_set else ()
    return (
        any(argument.name.value == "first" for argument in field.arguments or ())
        and all(isinstance(one, FieldNode) for one in inside)
        and any(isinstance(one, FieldNode) and one.name.value in _PAGED for one in inside)
    )


def _refused(why: str, most: int) -> GraphQLError:
    error = TooLarge(
        "The query is too expensive.",
        why=f"{why}; {most:,} is the most.",
        fix="Ask for less, or in several requests.",
        details={"limit": most},
    )
    return GraphQLError(str(error), original_error=error)
