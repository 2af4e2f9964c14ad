"""The schema as a whole: it is written down, explained, and does not lose what is promised."""

import subprocess
import sys
from collections.abc import Iterator

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    is_introspection_type,
    is_specified_scalar_type,
)

from server.graphql.schema import schema
from tests.serving import ROOT

FILE = ROOT / "docs" / "reference" / "schema.graphql"
CORE: GraphQLSchema = schema._schema


def undescribed(found: GraphQLSchema) -> Iterator[str]:
    for name, kind in found.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        if not kind.description:
            yield name
        yield from (f"{name}.{inner}" for inner in _undescribed_within(kind))


def _undescribed_within(kind: GraphQLNamedType) -> Iterator[str]:
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        for name, field in kind.fields.items():
            if not field.description:
                yield name
            for argument, value in getattr(field, "args", {}).items():
                if not value.description:
                    yield f"{name}({argument})"
    if isinstance(kind, GraphQLEnumType):
        yield from (name for name, value in kind.values.items() if not value.description)


def test_it_is_written_down_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/export_schema.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_nothing_that_was_written_down_is_lost() -> None:
    assert find_breaking_changes(build_schema(FILE.read_text()), CORE) == []


def test_a_lost_field_would_be_seen() -> None:
    fewer = build_schema(FILE.read_text().replace("  livelockFree: Boolean\n", "  other: Boolean\n", 1))
    assert find_breaking_changes(build_schema(FILE.read_text()), fewer)


def test_everything_is_described() -> None:
    assert list(undescribed(CORE)) == []


def test_a_missing_description_would_be_seen() -> None:
    bare = build_schema('"A" type Query { "x" a("y" b: Int, c: Int): E, d: Int } "E" enum E { "x" A B }')
    assert list(undescribed(bare)) == ["Query.a(c)", "Query.d", "E.B"]


def test_both_dialects_of_the_names_of_places_are_there() -> None:
    transition = CORE.type_map["TransitionInput"]
    assert isinstance(transition, GraphQLInputObjectType)
    assert {"fromStates", "toState", "from_places", "to_place"} <= transition.fields.keys()
