"""Start and stop: ports, pages, and what happens to those who are being answered."""

import asyncio
import gzip
import re
import socket
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

from engine.kernel.errors import InvalidConfig, PortTaken
from server.protocol import Limits
from server.serving import bind, serve
from tests.servers.loopback import PATIENCE_S, Stall
from tests.servers.scripted_openai import ScriptedOpenAI
from tests.serving import Served, engine_for, events, served


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


# -- ports ------------------------------------------------------------------------------------------------------------


async def test_both_ports_answer_all_routes_and_their_root_pages_differ(alone: Served) -> None:
    bases = [alone.openai.removesuffix("/v1"), alone.graphql.removesuffix("/graphql")]
    for base in bases:
        assert (await alone.http.get(f"{base}/v1/models")).status_code == 200
        assert (await alone.http.get(f"{base}/graphql?query=%7Bhealth%7D")).json() == {"data": {"health": "ok"}}
    openai, graphql = [await alone.http.get(base) for base in bases]
    assert openai.json()["models"] == "/v1/models"
    assert graphql.headers["content-type"] == "text/html; charset=utf-8"


async def test_either_port_can_be_off() -> None:
    async with served(graphql_port=None) as app:
        assert app.serving.addresses() == {"openai": app.openai}
        assert (await app.http.get(app.openai.replace("/v1", "/graphql?query={health}"))).status_code == 200
    async with served(openai_port=None) as app:
        assert app.serving.addresses() == {"graphql": app.graphql}
        assert (await app.http.get(app.graphql.replace("/graphql", "/v1/models"))).status_code == 200


async def test_both_off_listens_nowhere() -> None:
    async with engine_for() as engine, serve(engine, openai_port=None, graphql_port=None) as serving:
        assert serving.addresses() == {}


async def test_a_taken_port_is_said_before_anything_listens() -> None:
    with socket.socket() as holder, socket.socket() as free:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        free.bind(("127.0.0.1", 0))
        other = free.getsockname()[1]
        free.close()
        async with engine_for() as engine:
            with pytest.raises(PortTaken) as refused:
                async with serve(engine, openai_port=other, graphql_port=taken):
                    pytest.fail("it must not come here")
            assert refused.value.details["port"] == taken
            assert str(taken) in refused.value.what
            assert refused.value.fix
            assert not listens(other)
            bind("127.0.0.1", other).close()  # nothing was left open
            async with serve(engine, openai_port=other, graphql_port=0):  # and it can be tried again
                assert listens(other)
            assert not listens(other)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
async def test_other_addresses_than_loopback_are_refused(host: str) -> None:
    async with engine_for() as engine:
        with pytest.raises(InvalidConfig) as refused:
            async with serve(engine, host=host, openai_port=0, graphql_port=0):
                pytest.fail("it must not come here")
        assert refused.value.fix


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
async def test_loopback_under_other_names(host: str) -> None:
    async with served(host=host) as app:
        assert (await app.http.get(f"{app.openai}/models")).status_code == 200


async def test_ipv6_loopback() -> None:
    try:
        bind("::1", 0).close()
    except PortTaken:
        pytest.skip("no IPv6 here")
    async with served(host="::1") as app:
        assert app.openai.startswith("http://[::1]:")
        assert (await app.http.get(f"{app.openai}/models")).status_code == 200


async def test_it_can_be_started_again_and_twice_at_once_in_one_process() -> None:
    async with engine_for() as engine:
        for _ in range(3):
            async with serve(engine, openai_port=0, graphql_port=0) as first, httpx.AsyncClient() as http:
                async with serve(engine, openai_port=0, graphql_port=0) as second:
                    for serving in (first, second):
                        assert (await http.get(f"{serving.openai}/models")).status_code == 200
                assert (await http.get(f"{first.openai}/models")).status_code == 200


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_graphiql_asks_nobody_else_for_anything(alone: Served) -> None:
    page = (await alone.http.get(alone.graphql, headers={"accept": "text/html"})).text
    assert page == (await alone.http.get(alone.graphql.removesuffix("graphql"))).text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 6
    assert all(source.startswith(("/assets/", "data:")) for source in sources)
    assert not re.findall(r"https?://", page)
    for source in sources:
        if source.startswith("/"):
            found = await alone.http.get(alone.graphql.replace("/graphql", source))
            assert found.status_code == 200
            assert found.content


async def test_files_come_packed_and_plain(alone: Served) -> None:
    url = alone.openai.replace("/v1", "/assets/graphql-ws.min.js")
    async with alone.http.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    plain = await alone.http.get(url, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content
    assert plain.headers["content-type"] == "text/javascript"


@pytest.mark.parametrize(
    "name", ["nothing.js", "index.html", "..%2Findex.html", "%2e%2e%2f%2e%2e%2fpyproject.toml", "x%00"]
)
async def test_no_other_file_is_given(alone: Served, name: str) -> None:
    answer = await alone.http.get(alone.openai.replace("/v1", f"/assets/{name}"))
    assert answer.status_code == 404


async def test_the_playground_can_be_off() -> None:
    async with served(playground=False) as app:
        assert (await app.http.get(app.graphql.removesuffix("graphql"))).json()["graphql"] == "/graphql"
        assert (await app.http.get(app.graphql, headers={"accept": "text/html"})).status_code == 404
        assert await app.data("{ health }") == {"health": "ok"}


async def test_health_tells_no_secret(app: Served) -> None:
    answer = await app.http.get(app.openai.replace("/v1", "/health"))
    assert answer.json() == {
        "status": "ok", "service": "circuit-breaker", "providers": ["openai"],
        "states": {"ollama": "down", "openai": "up", "anthropic": "off", "google": "off"}, "breakers": [],
    }  # fmt: skip
    assert "sk-" not in answer.text


# -- stopping ---------------------------------------------------------------------------------------------------------

STREAM = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


async def _read(url: str, begun: asyncio.Event) -> list[Any]:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http, http.stream("POST", url, json=STREAM) as response:
        lines = []
        async for line in response.aiter_lines():
            lines.append(line)
            begun.set()
        return events(lines)


async def test_streams_are_finished_when_it_stops_and_no_new_ones_are_taken(upstream: ScriptedOpenAI) -> None:
    begun = asyncio.Event()
    upstream.script.append(Stall(after=2))
    async with engine_for(upstream) as engine:
        serving = serve(engine, openai_port=0, graphql_port=0, limits=Limits(grace_s=PATIENCE_S))
        found = await serving.__aenter__()
        reading = asyncio.create_task(_read(f"{found.openai}/chat/completions", begun))
        await begun.wait()
        stopping = asyncio.create_task(serving.__aexit__(None, None, None))
        await _until_refused(found.openai or "")
        assert not stopping.done()  # it waits for the stream
        upstream.release()
        await stopping
    read = await reading
    assert read[-1]["error"]["message"]  # the scripted server ends a stalled stream without its end
    assert upstream.disconnects == 0


async def test_what_does_not_end_within_the_grace_is_cut_and_cleaned_up(upstream: ScriptedOpenAI) -> None:
    begun = asyncio.Event()
    upstream.script.append(Stall(after=2))
    async with engine_for(upstream) as engine:
        async with serve(engine, openai_port=0, graphql_port=0, limits=Limits(grace_s=0.05)) as found:
            reading = asyncio.create_task(_read(f"{found.openai}/chat/completions", begun))
            await begun.wait()
        (record,) = await engine.llm.requests()  # written before the server said that it had stopped
        assert record.error == "cancelled"
        with pytest.raises(httpx.HTTPError):
            await reading
    await upstream.until(lambda server: server.disconnects == 1)


async def test_idle_and_half_begun_connections_do_not_hold_it_up() -> None:
    async with engine_for() as engine:
        async with serve(engine, openai_port=0, graphql_port=0, limits=Limits(grace_s=0.05)) as found:
            port = int((found.openai or "").split(":")[2].split("/")[0])
            idle = await asyncio.open_connection("127.0.0.1", port)
            begun = await asyncio.open_connection("127.0.0.1", port)
            begun[1].write(b"GET /v1/mod")
            kept = httpx.AsyncClient()
            assert (await kept.get(f"{found.openai}/models")).status_code == 200
        for reader, writer in (idle, begun):
            async with asyncio.timeout(PATIENCE_S):
                with suppress(ConnectionResetError):
                    await reader.read()
            writer.transport.abort()
        await kept.aclose()
        assert not listens(port)


async def _until_refused(url: str) -> None:
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as http:
        while True:
            try:
                await http.get(f"{url}/models")
            except httpx.ConnectError:
                return


async def test_what_was_served_is_published_once_a_request(alone: Served) -> None:
    from server.edge import RequestServed

    with alone.engine.bus.subscribe(RequestServed) as seen:
        await alone.http.get(f"{alone.openai}/models", headers={"user-agent": "tester/1.0 (x)"})
        await alone.http.get(f"{alone.openai}/nothing")
        await alone.ask("{ health }")
        found = [(one.method, one.path, one.status, one.client) for one in seen.take()]
    assert found[0] == ("GET", "/v1/models", 200, "tester/1.0")
    assert [one[:3] for one in found[1:]] == [("GET", "/v1/nothing", 404), ("POST", "/graphql", 200)]


async def test_many_clients_may_come_at_once() -> None:
    """More than the loop has taken yet: this one blocks it, and each must get its connection without a second try."""
    async with served() as server:
        with ExitStack() as clients:
            for _ in range(400):
                clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S))
