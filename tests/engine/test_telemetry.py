"""Spans of requests: by OpenTelemetry's own in-memory exporter, and as they come to an OTLP endpoint."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import SpanKind, StatusCode

from engine.engine import Engine
from engine.kernel.bus import Bus
from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidConfig, ProviderAuth
from engine.kernel.settings import load
from engine.kernel.world import World
from engine.llm.books import RequestEnded
from engine.llm.messages import ChatMessage, ChatRequest, EmbeddingRequest, Usage
from engine.store.ports import RequestRecord
from engine.telemetry import attributes, spans
from tests.servers.loopback import Answer, LoopbackServer, Received, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import NOWHERE, engine_for
from tests.support import NOON, turns_of_the_loop

USAGE = {"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 8_000}}


@pytest.fixture
def upstream() -> Iterator[ScriptedOpenAI]:
    reply = Reply("The planted answer.", usage=USAGE)
    with ScriptedOpenAI(["gpt-5-nano", "gpt-5.4", "text-embedding-3-small"], reply=lambda body: reply) as server:
        yield server


class Kept:
    """An engine whose spans are kept in memory."""

    def __init__(self, engine: Engine, exporter: InMemorySpanExporter) -> None:
        self.engine, self._exporter = engine, exporter

    async def chat(self, model: str = "gpt-5-nano", said: str = "The planted question.") -> None:
        answer = await self.engine.llm.chat(ChatRequest(model, (ChatMessage.of("user", said),)), PROGRAM)
        await answer.whole()

    async def spans(self, count: int) -> Sequence[ReadableSpan]:
        await turns_of_the_loop(lambda: len(self._exporter.get_finished_spans()) == count)
        return self._exporter.get_finished_spans()


@pytest.fixture
async def kept(upstream: ScriptedOpenAI) -> AsyncIterator[Kept]:
    exporter = InMemorySpanExporter()
    async with engine_for(upstream) as engine, spans(engine.bus, SimpleSpanProcessor(exporter)):
        yield Kept(engine, exporter)


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_request_is_a_span_with_the_names_of_the_conventions(kept: Kept) -> None:
    await kept.chat()
    (span,) = await kept.spans(1)
    (record,) = await kept.engine.llm.requests(1)
    found = told(span)
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-5-nano", SpanKind.CLIENT, StatusCode.UNSET)
    assert (found["gen_ai.operation.name"], found["gen_ai.provider.name"]) == ("chat", "openai")
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "gpt-5-nano"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (10_000, 500)
    assert found["gen_ai.usage.cache_read.input_tokens"] == 8_000
    assert found["gen_ai.response.time_to_first_chunk"] == record.ttft_s
    assert found["circuit_breaker.route"] == record.id
    assert found["circuit_breaker.cost_usd"] == pytest.approx(0.00034)
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(record.duration_s * 1e9, abs=2_000)
    assert dict(span.resource.attributes)["service.name"] == "circuit-breaker"


def test_the_names_are_those_of_the_conventions() -> None:
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    usage = Usage(1, 2, 3, 4)
    record = RequestRecord("r", NOON, "openai", "auto", "openai", "m", usage, Decimal(1), 0.2, 1.5, "x", {})
    ours = {name for name in attributes(record) if not name.startswith("circuit_breaker.")}
    assert ours - {error_attributes.ERROR_TYPE} <= known
    assert error_attributes.ERROR_TYPE in ours


async def test_no_word_of_what_was_said_and_no_key_is_in_a_span(kept: Kept, upstream: ScriptedOpenAI) -> None:
    await kept.chat()
    upstream.script.append(Status(400, {"error": {"message": "Your planted question is not allowed."}}))
    with pytest.raises(Exception, match="planted"):
        await kept.chat()
    found = await kept.spans(2)
    assert "planted" not in "".join(span.to_json() for span in found)
    assert "sk-test" not in "".join(span.to_json() for span in found)


async def test_errors_and_failed_attempts_are_marked(kept: Kept, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Status(404, {"error": {"message": "planted", "code": "model_not_found"}}))
    messages = (ChatMessage.of("user", "Hi"),)
    request = ChatRequest("gpt-5-nano", messages)
    request = replace(request, preferences=replace(request.preferences, fallback_models=("gpt-5.4",)))
    await (await kept.engine.llm.chat(request, PROGRAM)).whole()
    upstream.script.append(Status(401))
    with pytest.raises(ProviderAuth):
        await kept.chat("gpt-5.4")
    good, bad = await kept.spans(2)
    assert told(good)["gen_ai.response.model"] == "gpt-5.4"
    (event,) = good.events
    assert dict(event.attributes or {})["gen_ai.response.model"] == "openai/gpt-5-nano"
    assert (bad.status.status_code, told(bad)["error.type"]) == (StatusCode.ERROR, "provider_auth")


async def test_embeddings_are_another_operation(kept: Kept) -> None:
    await kept.engine.llm.embed(EmbeddingRequest("text-embedding-3-small", ("a",)), PROGRAM)
    (span,) = await kept.spans(1)
    assert span.name == "embeddings text-embedding-3-small"


async def test_what_ends_at_the_very_end_is_not_lost() -> None:
    bus, exporter = Bus(), InMemorySpanExporter()
    record = RequestRecord("r", NOON, "openai", "auto", "google", "m", Usage(), None, None, 1.5, "", {})
    async with spans(bus, SimpleSpanProcessor(exporter)):
        bus.publish([RequestEnded(record)])
    (span,) = exporter.get_finished_spans()
    assert told(span)["gen_ai.provider.name"] == "gcp.gemini"
    assert not [name for name in told(span) if name.endswith(("cost_usd", "first_chunk", "error.type"))]
    assert bus.subscriptions == []


# -- over the wire ----------------------------------------------------------------------------------------------------


class Collector(LoopbackServer):
    """Takes OTLP over HTTP (opentelemetry.io/docs/specs/otlp, 1.7)."""

    async def answer(self, request: Received, answer: Answer) -> None:
        await answer.whole(b"")


async def test_spans_come_to_an_otlp_endpoint(upstream: ScriptedOpenAI) -> None:
    with Collector() as collector:
        async with engine_for(upstream, CIRCUIT_BREAKER_TELEMETRY_ENDPOINT=collector.url) as engine:
            await Kept(engine, InMemorySpanExporter()).chat()
        (request,) = collector.requests  # closing the engine sends what is left
    assert (request.method, request.path) == ("POST", "/v1/traces")
    found = ExportTraceServiceRequest.FromString(request.raw)
    (span,) = found.resource_spans[0].scope_spans[0].spans
    assert span.name == "chat gpt-5-nano"
    assert b"planted" not in request.raw


async def test_an_endpoint_that_is_not_there_disturbs_nobody(upstream: ScriptedOpenAI) -> None:
    async with engine_for(upstream, CIRCUIT_BREAKER_TELEMETRY_ENDPOINT=NOWHERE) as engine:
        await Kept(engine, InMemorySpanExporter()).chat()
        assert (await engine.llm.requests(1))[0].error == ""


async def test_without_its_packages_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engine.telemetry", None)
    world = World.real({"CIRCUIT_BREAKER_STORE": "memory://", "CIRCUIT_BREAKER_TELEMETRY_ENDPOINT": NOWHERE})
    with pytest.raises(InvalidConfig, match="OpenTelemetry is not there") as refused:
        async with Engine.open(load(Path(os.devnull), world.environ, {}), world):
            pass
    assert "circuit-breaker[otel]" in refused.value.fix


def test_it_is_not_loaded_unless_it_is_wanted() -> None:
    code = (
        "import asyncio, os, pathlib, sys; from engine.engine import Engine; from engine.kernel.settings import load; "
        "from engine.kernel.world import World; world = World.real({'CIRCUIT_BREAKER_STORE': 'memory://'})\n"
        "async def run():\n"
        "    async with Engine.open(load(pathlib.Path(os.devnull), world.environ, {}), world):\n"
        "        print('opentelemetry' in sys.modules)\n"
        "asyncio.run(run())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
