"""GraphQL over HTTP: status codes, media types, GET, and what is not a request (graphql-over-http, draft of 2025)."""

from typing import Any

import pytest

from tests.serving import Served

RESPONSE = "application/graphql-response+json"


async def post(app: Served, body: Any, **headers: str) -> Any:
    return await app.http.post(
        app.graphql, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


async def test_get_asks_and_does_not_change(alone: Served) -> None:
    asked = await alone.http.get(alone.graphql, params={"query": "{ health }"})
    assert (asked.status_code, asked.json()) == (200, {"data": {"health": "ok"}})
    variables = {"query": "query A($id: String!) { workflow(id: $id) { id } } query B { health }", "operationName": "A"}
    found = await alone.http.get(alone.graphql, params={**variables, "variables": '{"id": "document_approval_v1"}'})
    assert found.json()["data"]["workflow"]["id"] == "document_approval_v1"
    change = {"query": 'mutation { deleteAgent(id: "x") }'}
    refused = await alone.http.get(alone.graphql, params=change)
    assert 400 <= refused.status_code < 500
    assert "errors" in refused.json()


@pytest.mark.parametrize(
    ("body", "old", "new"),
    [
        ({"query": "{ health }"}, 200, 200),
        ({"query": "{"}, 200, 400),
        ({"query": "{ nothing }"}, 200, 400),
        ({"query": "query($x: Int!) { tokens(first: $x) { id } }"}, 200, 400),
        ({"query": '{ tokens(workflowId: "nothing") { id } }'}, 200, 200),
        ({}, 400, 400),
        ({"query": 5}, 400, 400),
        ({"query": "{ health }", "variables": "x"}, 400, 400),
        ({"query": "query A { health } query B { health }", "operationName": "C"}, 400, 400),
        ([], 400, 400),
        ([{"query": "{ health }"}], 400, 400),
        (5, 400, 400),
        (None, 400, 400),
        ("text", 400, 400),
    ],
    ids=str,
)
async def test_statuses_for_both_media_types(alone: Served, body: Any, old: int, new: int) -> None:
    plain = await post(alone, body, accept="application/json")
    assert (plain.status_code, plain.headers["content-type"].split(";")[0]) == (old, "application/json")
    modern = await post(alone, body, accept=RESPONSE)
    assert modern.status_code == new
    if new == 400 and old == 200:
        assert modern.headers["content-type"].startswith(RESPONSE)
        assert "data" not in modern.json()
    for answer in (plain, modern):
        for error in answer.json().get("errors", ()):
            assert error["extensions"]["code"]


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b'{"query":', "application/json", "line 1, column 10"),
        (b'{"query": "{ health }", "query": "{ x }"}', "application/json", "comes twice"),
        (b'{"query": "{health}", "variables": {"a": {"b": 1, "b": 2}}}', "application/json", "comes twice"),
        (b'{"query": "{ health }", "variables": {"x": NaN}}', "application/json", "line 1"),
        (b"[" * 5_000, "application/json", ""),
        (b"query=%7Bhealth%7D", "application/x-www-form-urlencoded", "content type"),
        (b"{ health }", "text/plain", "content type"),
        (b"", "application/json", ""),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", "content type"),
    ],
)
async def test_what_is_no_request_is_refused_as_json(alone: Served, content: bytes, kind: str, says: str) -> None:
    answer = await alone.http.post(alone.graphql, content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert says in answer.json()["errors"][0]["message"]
    assert answer.json()["errors"][0]["extensions"]["code"] == "invalid_input"


async def test_other_methods_are_refused(alone: Served) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await alone.http.request(method, alone.graphql)).status_code == 405


async def test_a_request_that_is_too_large_says_so(alone: Served) -> None:
    answer = await alone.ask("{" + "health " * 150_000 + "}")
    assert answer["errors"][0]["extensions"]["code"] == "too_large"
    assert "variables" in answer["errors"][0]["message"]


async def test_text_of_any_language_goes_in_and_out(alone: Served) -> None:
    text = 'Zürich 東京 🦀 \u2028 " \\ \n'
    token = await alone.token()
    fired = await alone.data(
        """mutation($t: String!, $d: JSON) {
          fireTransition(input: {tokenId: $t, transitionId: "submit", data: $d}) { data }
        }""",
        t=token,
        d={"text": text},
    )
    assert fired["fireTransition"]["data"]["text"] == text


async def test_what_is_not_graphql_is_told_with_what_why_and_fix(alone: Served) -> None:
    (error,) = (await post(alone, {"query": "{ health\n  workflows("})).json()["errors"]
    assert error["message"].startswith("Syntax Error")
    said = error["extensions"]
    assert (said["code"], said["what"]) == ("invalid_input", "The document is not GraphQL.")
    assert said["why"] == error["message"]
    assert said["fix"] == "Correct it at line 2, column 13."
    assert said["details"] == {"line": 2, "column": 13}
    for body in ({"query": "{ nothing }"}, {"query": "{ health " + "a " * 5_000 + "}"}, {}):
        (error,) = (await post(alone, body)).json()["errors"]
        assert error["extensions"].keys() >= {"code", "what", "why", "fix", "details"}
