"""What a request may cost is settled before a resolver runs, and by counting, not by the clock."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from engine.kernel.world import World
from server.graphql import cost
from server.graphql.operations import Query
from server.graphql.schema import schema

MOST_CALLS = 150_000  # of Python functions; a resolved field of a list costs about twenty

HOSTILE = {
    "deep": "{" + "a{" * 10_000 + "b" + "}" * 10_001,
    "deep, few enough tokens": "{" + "a{" * 1_300 + "b" + "}" * 1_301,
    "a bit too deep": "{" + "workflow(id:1){" * 16 + "id" + "}" * 17,
    "deep inline fragments": "{" + "... on Query{" * 70 + "health" + "}" * 71,
    "deep list": "{analyzeWorkflow(id:" + "[" * 5_000 + "]" * 5_000 + "){complete}}",
    "deep object": 'mutation{createToken(input:{workflowId:"x",data:' + "{a:" * 500 + "1" + "}" * 500 + "}){id}}",
    "aliases": "{" + " ".join(f"a{n}:health" for n in range(10_000)) + "}",
    "aliases, few enough tokens": "{" + " ".join(f"a{n}:health" for n in range(1_100)) + "}",
    "one field again and again": "{" + "health " * 900 + "}",
    "a megabyte": "{" + "health " * 150_000 + "}",
    "a megabyte of comment": "#" + "x" * 1_000_000 + "\n{health}",
    "fragment bomb": "{...f0}" + "".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 1}}}" for n in range(40))
    + "fragment f40 on Query{health}",
    "many fragments": "{...f0}" + "".join(f"fragment f{n} on Query{{...f{n + 1}}}" for n in range(600))
    + "fragment f600 on Query{health}",
    "pairs of fragments": "{" + "".join(f"...f{n} " for n in range(300)) + "}"
    + "".join(f"fragment f{n} on Query{{health}}" for n in range(300)),
    "cycle": "{...a} fragment a on Query{...b} fragment b on Query{...a health}",
    "cycle of one": "{...a} fragment a on Query{health ...a}",
    "operations": " ".join(f"query q{n}{{health}}" for n in range(900)),
    "arguments": "{health(" + " ".join(f"a{n}:1" for n in range(5_000)) + ")}",
    "directives": "{health " + " ".join("@skip(if:false)" for _ in range(3_000)) + "}",
    "variables": "query(" + " ".join(f"$v{n}:String" for n in range(4_000)) + "){health}",
    "pages of pages": "{tokens(first:1000){history{sequence hash}}}",
    "workflows of tokens": "{tokens(first:1000){workflow{transitions{id name inputs{place weight}}}}}",
    "introspection again and again": "{" + " ".join(f"a{n}:__schema{{types{{name kind}}}}" for n in range(250)) + "}",
}  # fmt: skip


class _Engine:
    world = World.real()


class _Context:
    engine = _Engine()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields that were resolved."""
    seen: list[str] = []
    for name in ("health", "analyzeWorkflow", "createToken", "tokens", "workflow"):
        for kind in ("Query", "Mutation"):
            field = schema._schema.type_map[kind].fields.get(name)  # type: ignore[attr-defined]
            if field:
                monkeypatch.setattr(field, "resolve", lambda *_, name=name, **__: seen.append(name) or "x")
    assert Query
    return seen


class Calls:
    """Counts the calls of Python functions while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Calls":
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, argument: Any) -> None:
        self.count += event == "call"


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_too_much_is_refused_cheaply_and_before_any_resolver(name: str, resolved: list[str]) -> None:
    with Calls() as calls:
        result = await schema.execute(HOSTILE[name], {}, _Context())
    assert result.errors
    assert resolved == []
    assert calls.count < MOST_CALLS
    codes = {error.extensions["code"] for error in result.errors if error.extensions}
    assert codes == ({"invalid_input"} if name.startswith("cycle") else {"too_large"})


async def test_what_is_too_much_in_a_subscription_is_said_too() -> None:
    deep = "subscription{tokenUpdates{" + "workflow{" * 16 + "id" + "}" * 18
    results = [result async for result in await schema.stream(deep, {}, _Context())]
    (only,) = results
    assert [error.extensions["code"] for error in only.errors] == ["too_large"]  # type: ignore[union-attr]


async def test_without_the_limits_the_same_requests_reach_resolvers(
    resolved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: it is these limits that refuse them."""
    for limit in [name for name in vars(cost) if name.startswith("MOST_")]:
        monkeypatch.setattr(cost, limit, 10**9)
    for name in ("aliases, few enough tokens", "operations"):
        operation = "q1" if name == "operations" else None
        await schema.execute(HOSTILE[name], {}, _Context(), operation_name=operation)
        assert resolved, name
        resolved.clear()


@pytest.mark.parametrize(
    "query",
    [
        "{ workflows { id name states transitions { id fromStates toState inputs { place weight } } } }",
        "{ tokens(first: 1000) { id state version createdAt workflowId data } }",
        "{ tokens { id state history { transition fromState toState timestamp } availableTransitions { id } } }",
        "{ workflows { counts { state tokens } analysis { findings { code message trace { marking { place } } } } } }",
        get_introspection_query(
            descriptions=True, specified_by_url=True, directive_is_repeatable=True, schema_description=True
        ),
        get_introspection_query(input_value_deprecation=True),
        "{" + " ".join(f'w{n}: workflow(id: "x") {{ id name }}' for n in range(100)) + "}",
    ],
    ids=["workflows", "many tokens", "histories", "analyses", "introspection", "deprecations", "aliases"],
)
def test_what_people_ask_is_taken(query: str) -> None:
    cost.check(parse(query, max_tokens=cost.MOST_TOKENS), {})


def test_the_size_of_a_page_counts_also_as_a_variable() -> None:
    query = parse("query($n: Int!) { tokens(first: $n) { history { hash } } }")
    cost.check(query, {"n": 10})
    for many in (2_100, 10**30):
        with pytest.raises(GraphQLError, match="too expensive"):
            cost.check(query, {"n": many})


_ROW = "{ id at app provider model usage { promptTokens completionTokens } ttftS durationS error decision }"


def test_the_rows_of_a_page_count_once() -> None:
    cost.check(parse(f"{{ requests(first: 500) {{ pageInfo {{ endCursor }} nodes {_ROW} }} }}"), {})
    cost.check(parse(f"{{ requests(first: 500) {{ edges {{ cursor node {_ROW} }} }} }}"), {})
    cost.check(parse(f"{{ requests {{ nodes {_ROW} }} }}"), {})


@pytest.mark.parametrize(
    "query",
    [
        f"{{ requests(first: 5000) {{ nodes {_ROW} }} }}",
        f"{{ requests(first: 500) {{ nodes {{ id }} ...More }} }} fragment More on X {{ nodes {_ROW} }}",
        f"{{ requests(first: 500) {{ nodes {{ id }} ... {{ nodes {_ROW} }} }} }}",
        "{ tokensConnection(first: 500) { nodes { history { sequence hash data at kind } } } }",
    ],
    ids=["many", "in a fragment", "in a fragment of its own", "lists in lists"],
)
def test_a_page_is_no_way_around(query: str) -> None:
    with pytest.raises(GraphQLError, match="too expensive"):
        cost.check(parse(query), {})


def _chain(length: int) -> Iterator[str]:
    yield "{...f0}"
    for number in range(length):
        yield f"fragment f{number} on Query{{...f{number + 1} ...f{number + 1}}}"
    yield f"fragment f{length} on Query{{health}}"


def test_the_walk_itself_is_linear_in_the_text() -> None:
    counts = []
    for length in (10, 40):
        document = parse("".join(_chain(length)))
        with Calls() as calls, suppress(GraphQLError):
            cost.check(document, {})
        counts.append(calls.count)
    assert counts[1] < 8 * counts[0]
