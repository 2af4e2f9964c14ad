"""A span for each request to a model, as OpenTelemetry's conventions for generative AI have it.

Built from `RequestEnded` on the bus, so that the way of a request knows nothing of it. Loaded only when the setting
`telemetry.endpoint` says where to; the packages come with the extra `otel`. What was asked and answered is in no span,
nor what an error said.

Names: open-telemetry/semantic-conventions-genai, status Development (2026-08); what has no name there begins with
`circuit_breaker`. Finish reasons are left out: the log does not keep them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from engine.kernel.bus import Bus, Missed
from engine.kernel.tasks import ended
from engine.llm.books import RequestEnded
from engine.store.ports import RequestRecord

EXPORT_S = 3.0  # for one batch, with what is tried again
_PATH = "/v1/traces"
_NAMES: Mapping[str, str] = {"google": "gcp.gemini", "vertex": "gcp.vertex_ai", "azure": "azure.ai.openai"}
"""What the conventions call our providers, where it is not the same."""

log = logging.getLogger("telemetry")


def exporting(endpoint: str) -> SpanProcessor:
    """Sends spans in batches, on a thread, to an OTLP endpoint over HTTP: its base address, or the one for traces."""
    address = endpoint if endpoint.endswith(_PATH) else endpoint + _PATH
    return BatchSpanProcessor(OTLPSpanExporter(address, timeout=EXPORT_S))


@asynccontextmanager
async def spans(bus: Bus, processor: SpanProcessor) -> AsyncIterator[None]:
    """Give `processor` a span for each request that ends, until the block is left; then what is left is sent."""
    about = {"service.name": "circuit-breaker", "service.version": version("circuit-breaker")}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = _Tracer(provider)
    with bus.subscribe(RequestEnded) as requests:

        async def follow() -> None:
            async for event in requests:
                if isinstance(event, Missed):
                    log.warning("spans were left out", extra={"facts": {"count": event.count}})
                else:
                    tracer.note(event.record)

        task = asyncio.create_task(follow(), name="telemetry")
        try:
            yield
        finally:
            await ended(task)
            for event in requests.take():
                tracer.note(event.record)
            await asyncio.to_thread(provider.shutdown)


class _Tracer:
    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("circuit_breaker")

    def note(self, record: RequestRecord) -> None:
        found = attributes(record)
        end = record.at
        start = end - timedelta(seconds=record.duration_s)
        span = self._tracer.start_span(
            f"{found['gen_ai.operation.name']} {record.model}",
            kind=SpanKind.CLIENT,
            attributes=found,
            start_time=round(start.timestamp() * 1e9),
        )
        for failed in record.decision.get("attempts", ()):
            told = {"gen_ai.response.model": str(failed.get("model", "")), "error.type": str(failed.get("error", ""))}
            span.add_event("circuit_breaker.failed_attempt", told, timestamp=round(end.timestamp() * 1e9))
        if record.error:
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(round(end.timestamp() * 1e9))


def attributes(record: RequestRecord) -> dict[str, Any]:
    """What a span says of a request."""
    usage, decision = record.usage, record.decision
    needs = decision.get("needs") or {}
    found: dict[str, Any] = {
        "gen_ai.operation.name": "chat" if needs.get("prompt_tokens") else "embeddings",
        "gen_ai.provider.name": _NAMES.get(record.provider, record.provider),
        "gen_ai.request.model": record.asked,
        "gen_ai.response.model": record.model,
        "gen_ai.response.id": record.id,
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.output,
        "circuit_breaker.route": record.id,
        "circuit_breaker.policy": str(decision.get("policy", "")),
        "circuit_breaker.face": record.face,
        "circuit_breaker.attempts": record.attempts,
        "circuit_breaker.retries": record.retries,
    }
    if usage.cache_read:
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
    if usage.cache_write:
        found["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write
    if record.ttft_s is not None:
        found["gen_ai.response.time_to_first_chunk"] = record.ttft_s
    if record.cost_usd is not None:
        found["circuit_breaker.cost_usd"] = float(record.cost_usd)
    if record.error:
        found["error.type"] = record.error
    return found
