"""`/metrics` for Prometheus, read with Prometheus' own parser, and what `/health` tells."""

import math
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from engine.kernel.bus import Bus
from engine.llm.books import RequestEnded
from engine.llm.health import Health
from engine.llm.messages import Usage
from engine.store.ports import RequestRecord
from server.metrics import Metrics
from tests.servers.loopback import PATIENCE_S, Stall, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI
from tests.serving import Served, served
from tests.support import NOON, FixedWorld, turns_of_the_loop

USAGE = {"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 8_000}}
COST = 0.00034  # gpt-5-nano: 2,000 at 0.05, 8,000 cached at 0.005, 500 at 0.40 for a million
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def measured(upstream: ScriptedOpenAI) -> AsyncIterator[Served]:
    upstream.reply = lambda body: Reply("Hi.", usage=USAGE)
    async with served(upstream, environ={"CIRCUIT_BREAKER_METRICS": "1"}) as found:
        yield found


def read(text: str, parse: Any = text_string_to_metric_families) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


async def scraped(app: Served) -> Series:
    answer = await app.http.get(app.graphql.replace("/graphql", "/metrics"))
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"].startswith("text/plain")
    return read(answer.text)


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((f"circuit_breaker_{name}", frozenset(labels.items())), math.nan)


WHICH = {"provider": "openai", "model": "gpt-5-nano"}


async def test_requests_tokens_cost_and_times_are_counted(measured: Served, upstream: ScriptedOpenAI) -> None:
    for _ in range(2):
        await measured.chat()
    upstream.script.append(Status(400, {"error": {"message": "no"}}))
    await measured.chat()
    found = await scraped(measured)
    assert value(found, "requests_total", **WHICH, error="") == 2
    assert value(found, "requests_total", **WHICH, error="provider_rejected") == 1
    kinds = {kind: value(found, "tokens_total", **WHICH, kind=kind) for kind in ("input", "cache_read", "output")}
    assert kinds == {"input": 4_000, "cache_read": 16_000, "output": 1_000}
    assert value(found, "cost_usd_total", **WHICH) == pytest.approx(2 * COST)
    assert value(found, "time_to_first_token_seconds_count", **WHICH) == 2
    assert value(found, "request_duration_seconds_count", **WHICH) == 3
    assert value(found, "request_duration_seconds_bucket", **WHICH, le="+Inf") == 3


async def test_breakers_and_what_is_under_way_are_as_they_are_now(measured: Served, upstream: ScriptedOpenAI) -> None:
    assert not [name for name, _ in await scraped(measured) if name.endswith("breaker_open")]
    upstream.script.append(Status(401))
    await measured.chat()
    assert value(await scraped(measured), "breaker_open", provider="openai", model="*") == 1
    measured.engine.llm.health.reset()
    assert not [name for name, _ in await scraped(measured) if name.endswith("breaker_open")]
    upstream.script.append(Stall(after=1))
    body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with measured.http.stream("POST", f"{measured.openai}/chat/completions", json=body):
        await upstream.until(lambda server: server.stalled == 1)
        assert value(await scraped(measured), "requests_under_way", provider="openai") == 1
    await turns_of_the_loop(lambda: not measured.engine.llm.health.under_way(), 1_000_000)


async def test_nobody_and_nothing_that_was_said_is_in_it(measured: Served) -> None:
    body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "planted prompt"}]}
    await measured.http.post(
        f"{measured.openai}/chat/completions", json=body, headers={"user-agent": "planted-agent/1"}
    )
    text = (await measured.http.get(measured.graphql.replace("/graphql", "/metrics"))).text
    assert "gpt-5-nano" in text
    assert not [word for word in ("planted", "sk-test", "6789", "127.0.0.1") if word in text]


async def test_who_accepts_open_metrics_gets_them(measured: Served) -> None:
    await measured.chat()
    url = measured.openai.replace("/v1", "/metrics")  # both ports have it
    answer = await measured.http.get(url, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert value(read(answer.text, open_metrics), "requests_total", **WHICH, error="") == 1


async def test_they_are_off_unless_they_are_wanted(alone: Served) -> None:
    answer = await alone.http.get(alone.graphql.replace("/graphql", "/metrics"))
    assert (answer.status_code, "Metrics are off" in answer.text) == (404, True)


def test_what_writes_them_is_not_loaded_before() -> None:
    code = "import sys, app.commands.serve, server.serving; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def record(model: str, error: str = "", **more: Any) -> RequestRecord:
    usage = Usage(1, 2, 3, 4)
    made = RequestRecord("r", NOON, "openai", "auto", "openai", model, usage, Decimal("0.5"), 0.2, 1.5, error, {})
    return replace(made, **more)


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from(["", "provider_timeout"])), max_size=20))
async def test_whatever_models_are_called_the_sums_are_right(rows: list[tuple[str, str]]) -> None:
    bus = Bus()
    metrics = Metrics(bus, Health(FixedWorld().world))
    async with metrics.following():
        bus.publish([RequestEnded(record(name, error)) for name, error in rows])
        text, _ = metrics.text()
    found = read(text.decode())
    counted = sum(amount for (name, _), amount in found.items() if name == "circuit_breaker_requests_total")
    assert counted == len(rows)
    assert sum(amount for (name, _), amount in found.items() if name.endswith("tokens_total")) == 10 * len(rows)


async def test_what_has_no_known_price_is_counted_and_not_added() -> None:
    bus = Bus()
    metrics = Metrics(bus, Health(FixedWorld().world))
    async with metrics.following():
        bus.publish([RequestEnded(record("m", cost_usd=None, ttft_s=None))])
        found = read(metrics.text()[0].decode())
    assert value(found, "unpriced_requests_total", provider="openai", model="m") == 1
    assert math.isnan(value(found, "cost_usd_total", provider="openai", model="m"))
    assert math.isnan(value(found, "time_to_first_token_seconds_count", provider="openai", model="m"))


async def test_requests_that_nobody_scrapes_are_taken_from_the_bus_and_those_that_were_missed_are_counted() -> None:
    bus = Bus()
    metrics = Metrics(bus, Health(FixedWorld().world))
    async with metrics.following():
        bus.publish(RequestEnded(record("m")) for _ in range(1_030))  # more than a subscription holds
        await turns_of_the_loop(lambda: not metrics._ended._events)
        found = read(metrics.text()[0].decode())
    counted = value(found, "requests_total", provider="openai", model="m", error="")
    assert (counted, value(found, "missed_requests_total")) == (1_024, 6)
    assert bus.subscriptions == []


# -- health -----------------------------------------------------------------------------------------------------------


async def test_health_says_how_providers_are_and_no_secret(app: Served, upstream: ScriptedOpenAI) -> None:
    upstream.script.append(Status(401, {"error": {"message": "Incorrect API key provided: planted-word."}}))
    await app.chat()
    answer = await app.http.get(app.graphql.replace("/graphql", "/health"), timeout=PATIENCE_S)
    found = answer.json()
    assert (found["status"], found["providers"]) == ("ok", ["openai"])
    assert found["states"] == {"ollama": "down", "openai": "up", "anthropic": "off", "google": "off"}
    assert found["breakers"] == [{"provider": "openai", "model": None, "state": "open"}]
    assert not [word for word in ("sk-test", "6789", "planted", "127.0.0.1") if word in answer.text]
