"""What tests of the server build on: an engine behind sockets in this loop, raw connections, and whole processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urlsplit

import httpx

from engine.engine import Engine
from engine.kernel.settings import load
from engine.kernel.world import World
from server.protocol import Limits
from server.serving import Serving, serve
from tests.servers.loopback import PATIENCE_S, LoopbackServer

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port

APPROVAL = """mutation { createWorkflow(input: {
  name: "Approval", states: ["draft", "review", "done"], initialState: "draft",
  transitions: [{id: "submit", fromStates: ["draft"], toState: "review"}
                {id: "accept", fromStates: ["review"], toState: "done", conditions: ["score >= 80"]}
                {id: "back", fromStates: ["review"], toState: "draft"}]
}) { id } }"""


@dataclass(frozen=True)
class Served:
    """A server in this loop, with a client for each of its ports."""

    engine: Engine
    serving: Serving
    http: httpx.AsyncClient
    openai: str
    graphql: str

    @property
    def port(self) -> int:
        found = urlsplit(self.openai or self.graphql).port
        assert found
        return found

    async def ask(self, query: str, headers: Mapping[str, str] | None = None, **variables: Any) -> Any:
        """The JSON that a GraphQL request is answered with."""
        body = {"query": query, "variables": variables}
        return (await self.http.post(self.graphql, json=body, headers=headers)).json()

    async def data(self, query: str, **variables: Any) -> Any:
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def code(self, query: str, **variables: Any) -> str:
        """The code of the error that a GraphQL request must be answered with."""
        code: str = (await self.ask(query, **variables))["errors"][0]["extensions"]["code"]
        return code

    async def token(self) -> str:
        """The id of a new token in a workflow `approval_v1`."""
        await self.data(APPROVAL)
        made = await self.data('mutation { createToken(input: {workflowId: "approval_v1"}) { id } }')
        id: str = made["createToken"]["id"]
        return id

    async def chat(self, **more: Any) -> httpx.Response:
        body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}], **more}
        return await self.http.post(f"{self.openai}/chat/completions", json=body)


@asynccontextmanager
async def engine_for(upstream: LoopbackServer | None = None, **environ: str) -> AsyncIterator[Engine]:
    """An engine in memory whose OpenAI is `upstream`, and which has no other provider."""
    world = World.real(
        {"OLLAMA_BASE_URL": NOWHERE, "CIRCUIT_BREAKER_EMBEDDED": "0", "CIRCUIT_BREAKER_STORE": "memory://"}
        | ({"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "sk-test-0123456789"} if upstream else {})
        | environ
    )
    async with Engine.open(load(Path(os.devnull), world.environ, {}), world) as engine:
        yield engine


@asynccontextmanager
async def served(
    upstream: LoopbackServer | None = None,
    *,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """`engine_for` the upstream, served on free ports."""
    options = {"openai_port": 0, "graphql_port": 0, "limits": limits or Limits(grace_s=PATIENCE_S), **options}
    async with engine_for(upstream, **(environ or {})) as engine, serve(engine, **options) as serving:
        await engine.llm.discovery.first_round(PATIENCE_S)
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            yield Served(engine, serving, http, serving.openai or "", serving.graphql or "")


class Raw:
    """A connection on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def send(self, data: bytes) -> None:
        with suppress(ConnectionError):  # refused in the middle: what it said is still to be read
            self._writer.write(data)
            await self._writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        received = b""
        with suppress(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_S):
                while piece := await self._reader.read(65536):
                    received += piece
        return received

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(end)

    async def within(self, seconds: float) -> bytes:
        """What comes within a moment; nothing is an answer too."""
        with suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(seconds):
                return await self._reader.read(65536)
        return b""

    def leave(self) -> None:
        self._writer.transport.abort()


async def exchange(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """Send `pieces` on one connection and read until the server closes it: the first status, and all that came."""
    async with Raw.to(port) as raw:
        for piece in pieces:
            await raw.send(piece)
        received = await raw.rest()
    return int(received.split(b" ", 2)[1]) if received else 0, received


async def sse(response: httpx.Response) -> list[str]:
    """The lines of a stream of events that are not empty."""
    return [line async for line in response.aiter_lines() if line]


def events(lines: Iterable[str]) -> list[Any]:
    """The data of OpenAI's events, [DONE] as text."""
    found = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [one if one == "[DONE]" else json.loads(one) for one in found]


class Process:
    """`circuit-breaker --serve --json` as a process of its own. Ends with the `with` block."""

    def __init__(self, data_dir: Path, *arguments: str, ready: bool = True, **environ: str) -> None:
        defaults = {"OLLAMA_BASE_URL": NOWHERE, "CIRCUIT_BREAKER_EMBEDDED": "0", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "app.cli", "--serve", "--json", "--data-dir", str(data_dir)]
        if not any(argument.startswith("--openai-port") for argument in arguments):
            command += ["--openai-port", "0", "--graphql-port", "0"]
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, **defaults, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        self._reading = threading.Thread(target=self._read_errors, args=[self.process.stderr], daemon=True)
        self._reading.start()
        self.ready: dict[str, Any] = {}
        if ready:
            assert self.process.stdout
            line = self.process.stdout.readline()
            assert line, self.errors()
            self.ready = json.loads(line)

    @property
    def openai(self) -> str:
        return str(self.ready["openai"])

    @property
    def graphql(self) -> str:
        return str(self.ready["graphql"])

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL request."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(self.graphql, json=body, timeout=PATIENCE_S).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and give the exit code."""
        self.process.send_signal(number)
        return self.code()

    def code(self) -> int:
        return self.process.wait(PATIENCE_S)

    def errors(self) -> str:
        """All of stderr, once it has ended."""
        self.code()
        self._reading.join(PATIENCE_S)
        return "".join(self._errors)

    def _read_errors(self, stream: IO[str]) -> None:
        self._errors.extend(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reading.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
