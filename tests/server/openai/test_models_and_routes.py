"""/v1/models, /v1/embeddings and /v1/routes over sockets."""

import base64
import struct
from typing import Any
from urllib.parse import quote

import pytest

from engine.llm.routing.policies import BUILT_IN
from tests.servers.scripted_openai import ScriptedOpenAI, vector
from tests.serving import Served, served

NAMES = ["gpt-5-nano", "org/team/model:7b", "späte-größe:1b", "a%2Fb", "with space"]


async def test_all_models_are_listed_the_virtual_ones_first(app: Served) -> None:
    answer = (await app.http.get(f"{app.openai}/models")).json()
    assert answer["object"] == "list"
    assert [row["id"] for row in answer["data"]] == [*BUILT_IN, "gpt-5-nano", "text-embedding-3-small"]
    assert all({"id", "object", "created", "owned_by"} <= row.keys() for row in answer["data"])


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_is_found_by_any_spelling_of_its_name(name: str) -> None:
    with ScriptedOpenAI(NAMES) as upstream:
        async with served(environ={"CUSTOM_LLM_ENDPOINT": f"{upstream.url}/v1"}) as app:
            for path in {quote(name), quote(name, safe=""), quote(f"custom/{name}"), quote(name, safe="/:")}:
                answer = await app.http.get(f"{app.openai}/models/{path}")
                assert (answer.status_code, answer.json()["id"]) == (200, name), path


async def test_an_unknown_model_is_not_found_with_what_is_near(app: Served) -> None:
    answer = await app.http.get(f"{app.openai}/models/gpt-5-nan")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.json()["error"]["details"]["nearest"][0] == "gpt-5-nano"
    assert (await app.http.get(f"{app.openai}/models/cb:cost-optimal")).json()["owned_by"] == "circuit-breaker"


async def test_embeddings_in_order_as_floats_and_packed(app: Served) -> None:
    body: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["a", "b"]}
    plain = (await app.http.post(f"{app.openai}/embeddings", json=body)).json()
    assert [row["index"] for row in plain["data"]] == [0, 1]
    assert [row["embedding"] for row in plain["data"]] == [vector("a"), vector("b")]
    packed = (await app.http.post(f"{app.openai}/embeddings", json={**body, "encoding_format": "base64"})).json()
    floats = struct.unpack("<32f", base64.b64decode(packed["data"][1]["embedding"]))
    assert floats == pytest.approx(vector("b"), abs=1e-6)
    single = (await app.http.post(f"{app.openai}/embeddings", json={**body, "input": "a"})).json()
    assert len(single["data"]) == 1


@pytest.mark.parametrize("input", [[], "", ["a", ""], [-1], [[]], [10**9], ["x"] * 2049])
async def test_nothing_to_embed_is_refused(app: Served, input: Any) -> None:
    body = {"model": "text-embedding-3-small", "input": input}
    answer = await app.http.post(f"{app.openai}/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


async def test_a_chat_model_does_not_embed(app: Served) -> None:
    answer = await app.http.post(f"{app.openai}/embeddings", json={"model": "gpt-5-nano", "input": "a"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_explaining_asks_nobody(app: Served, upstream: ScriptedOpenAI) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
    answer = (await app.http.post(f"{app.openai}/routes/explain", json=body)).json()
    assert answer["policy"] == "auto"
    assert answer["ranked"][0]["model"] == "openai/gpt-5-nano"
    assert answer["rejected"][0]["code"] == "no_chat"
    assert all(request.method == "GET" for request in upstream.requests)


async def test_an_unknown_route_and_strategy(app: Served) -> None:
    assert (await app.http.get(f"{app.openai}/routes/nothing")).status_code == 404
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "x"}],
        "circuit_breaker": {"routing_strategy": "?"},
    }
    answer = await app.http.post(f"{app.openai}/routes/explain", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "circuit_breaker.routing_strategy")


async def test_without_any_model_the_reason_is_said(alone: Served) -> None:
    answer = await alone.chat(model="auto")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model_fits")
