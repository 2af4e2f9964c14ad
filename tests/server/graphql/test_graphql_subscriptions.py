"""Subscriptions over WebSockets (graphql-transport-ws) and server-sent events, with a real client."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.workflows.events import TokenChanged
from tests.servers.loopback import PATIENCE_S
from tests.serving import Served, engine_for, serve

UPDATES = "subscription($token: String) { tokenUpdates(tokenId: $token) { id state version } }"
FIRE = "mutation($t: String!, $x: String!) { fireTransition(input: {tokenId: $t, transitionId: $x}) { id } }"


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribe(self, id: str, query: str, **variables: Any) -> None:
        await self.say(id=id, type="subscribe", payload={"query": query, "variables": variables})

    async def hear(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self.socket.recv())

    async def closed(self) -> tuple[int, str]:
        """Wait for the server to close it: with which code and why."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as gone:
                return (gone.rcvd.code, gone.rcvd.reason) if gone.rcvd else (1006, "")


def opened(app: Served, protocols: Sequence[str] = ("graphql-transport-ws",), **options: Any) -> Any:
    url = app.graphql.replace("http", "ws", 1)
    return connect(url, subprotocols=list(protocols) or None, open_timeout=PATIENCE_S, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def client(app: Served) -> AsyncIterator[Client]:
    async with opened(app) as socket:
        found = Client(socket)
        await found.say(type="connection_init")
        assert await found.hear() == {"type": "connection_ack"}
        yield found


async def subscribers(app: Served, count: int) -> None:
    """Wait until so many subscriptions wait for changes of tokens."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(TokenChanged in one._kinds for one in app.engine.bus.subscriptions) != count:  # noqa: ASYNC110  the bus tells nobody
            await asyncio.sleep(0)


async def test_updates_come_in_order_and_end_when_asked(alone: Served) -> None:
    token, other = await alone.token(), await alone.token()
    async with client(alone) as one:
        await one.subscribe("1", UPDATES, token=token)
        await one.subscribe("2", "subscription { tokenUpdates(workflowId: \"approval_v1\") { id } }")  # fmt: skip
        await subscribers(alone, 2)
        for transition in ("submit", "back"):
            await alone.data(FIRE, t=token, x=transition)
        heard = [await one.hear() for _ in range(4)]
        states = [message["payload"]["data"]["tokenUpdates"] for message in heard if message["id"] == "1"]
        assert states == [
            {"id": token, "state": "review", "version": 2},
            {"id": token, "state": "draft", "version": 3},
        ]
        await one.say(id="1", type="complete")
        await subscribers(alone, 1)
        await alone.data(FIRE, t=other, x="submit")
        last = await one.hear()
        assert (last["id"], last["payload"]["data"]["tokenUpdates"]["id"]) == ("2", other)
    await subscribers(alone, 0)


async def test_queries_and_mutations_go_over_it_too(alone: Served) -> None:
    token = await alone.token()
    async with client(alone) as one:
        await one.say(type="ping")
        assert await one.hear() == {"type": "pong"}
        await one.subscribe("1", FIRE, t=token, x="submit")
        assert (await one.hear())["payload"]["data"]["fireTransition"] == {"id": token}
        assert await one.hear() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "invalid_input"),
        ("{ nothing }", "invalid_input"),
        ('subscription { tokenUpdates(tokenId: "x") { id } }', "not_found"),
        ('subscription { tokenUpdates(workflowId: "x") { id } }', "not_found"),
        ("subscription { tokenUpdates { " + "workflow { " * 16 + "id" + " }" * 18, "too_large"),
        ("{" + "health " * 5_000 + "}", "too_large"),
    ],
)
async def test_what_is_wrong_is_said_and_the_others_go_on(alone: Served, query: str, code: str) -> None:
    token = await alone.token()
    async with client(alone) as one:
        await one.subscribe("good", UPDATES, token=token)
        await one.subscribe("bad", query)
        message = await one.hear()
        assert message["id"] == "bad"
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == code
        await subscribers(alone, 1)
        await alone.data(FIRE, t=token, x="submit")
        while (message := await one.hear())["id"] == "bad":
            pass
        assert message["payload"]["data"]["tokenUpdates"]["state"] == "review"


@pytest.mark.parametrize(
    "message",
    [
        *("nonsense", "[]", "5", "null", "{}", '{"type": "dance"}', '{"type": 5}', '{"type": "subscribe"}'),
        '{"type": "subscribe", "id": [], "payload": {"query": "{ health }"}}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ health }", "variables": []}}',
        '{"type": "complete"}',
        b"bytes",
    ],
)
async def test_an_invalid_message_closes_the_socket(
    alone: Served, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(alone) as one:
        await one.socket.send(message)
        code, reason = await one.closed()
        assert (code, bool(reason)) == (4400, True)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_what_comes_before_the_greeting_is_refused(alone: Served) -> None:
    async with opened(alone) as socket:
        one = Client(socket)
        await one.subscribe("1", "{ health }")
        assert (await one.closed())[0] == 4401


async def test_a_message_over_a_mebibyte_closes_the_socket(alone: Served) -> None:
    async with client(alone) as one:
        await one.say(type="ping", payload={"x": "x" * 1_100_000})
        assert (await one.closed())[0] == 1009


async def test_other_subprotocols_are_refused(alone: Served) -> None:
    async with opened(alone, ["mqtt"]) as socket:
        assert (await Client(socket).closed())[0] == 4406


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
async def test_a_foreign_origin_gets_no_socket(alone: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(alone, origin=origin):
            pytest.fail("it must not come here")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:4000"])
async def test_pages_of_this_machine_get_one(alone: Served, origin: str) -> None:
    async with opened(alone, origin=origin) as socket:
        await Client(socket).say(type="connection_init")
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}


async def test_a_thousand_subscriptions_on_one_socket_are_too_many(alone: Served) -> None:
    async with client(alone) as one:
        for number in range(1_000):
            await one.subscribe(str(number), "subscription { tokenUpdates { id } }")
        refused = [await one.hear() for _ in range(900)]
        assert {message["type"] for message in refused} == {"error"}
        await subscribers(alone, 100)
    await subscribers(alone, 0)


async def test_a_client_that_vanishes_leaves_nothing_behind(alone: Served) -> None:
    async with client(alone) as one:
        await one.subscribe("1", UPDATES)
        await subscribers(alone, 1)
        one.socket.transport.abort()
        await subscribers(alone, 0)


async def test_sockets_are_closed_when_the_server_stops() -> None:
    async with engine_for() as engine:
        async with serve(engine, openai_port=None, graphql_port=0) as serving:
            socket = await connect(
                (serving.graphql or "").replace("http", "ws", 1), subprotocols=["graphql-transport-ws"]
            )  # type: ignore[list-item]
            one = Client(socket)
            await one.say(type="connection_init")
            await one.hear()
            await one.subscribe("1", UPDATES)
        assert (await one.closed())[0] == 1001


async def test_server_sent_events(alone: Served) -> None:
    token = await alone.token()
    body = {"query": UPDATES, "variables": {"token": token}}
    async with alone.http.stream("POST", alone.graphql, json=body, headers={"accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        await subscribers(alone, 1)
        await alone.data(FIRE, t=token, x="submit")
        event, lines = "", response.aiter_lines()
        assert await anext(lines) == ": open"  # at once, and not with the first event
        async for line in lines:
            event = line.removeprefix("event: ") if line.startswith("event: ") else event
            if line.startswith("data: ") and event == "next":
                found = json.loads(line.removeprefix("data: "))
                break
    assert found["data"]["tokenUpdates"] == {"id": token, "state": "review", "version": 2}
    await subscribers(alone, 0)
