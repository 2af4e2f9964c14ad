"""What the engine knows, for Prometheus: counted from the requests that end, since the program started.

Loaded only when the setting `server.metrics` is on. Labels are few and bounded: providers, models and codes of errors.
Who asked and what was said is in none.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from engine.kernel.bus import Bus, Missed, Subscription
from engine.kernel.tasks import ended
from engine.llm.books import RequestEnded
from engine.llm.health import Health
from engine.store.ports import RequestRecord

TTFT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
DURATION_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_WHICH = ("provider", "model")

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for


class Metrics:
    """The series of one engine. Follows the bus while `following` is open; `text` is up to date when it is asked."""

    def __init__(self, bus: Bus, health: Health) -> None:
        self._ended: Subscription[RequestEnded] = bus.subscribe(RequestEnded)
        self._registry = CollectorRegistry()
        self._registry.register(_Now(health))
        to = self._registry
        self._requests = Counter(
            "circuit_breaker_requests", "Requests to models that ended; no error is an empty one.",
            (*_WHICH, "error"), registry=to,
        )  # fmt: skip
        self._tokens = Counter(
            "circuit_breaker_tokens", "Tokens, in four kinds that do not overlap.", (*_WHICH, "kind"), registry=to
        )
        self._cost = Counter("circuit_breaker_cost_usd", "US dollars, where they are known.", _WHICH, registry=to)
        self._unpriced = Counter(
            "circuit_breaker_unpriced_requests", "Requests whose cost is not known.", _WHICH, registry=to
        )
        self._retries = Counter("circuit_breaker_retries", "How often a model was asked again.", _WHICH, registry=to)
        self._ttft = Histogram(
            "circuit_breaker_time_to_first_token_seconds", "To the first token, where there was one.",
            _WHICH, registry=to, buckets=TTFT_BUCKETS_S,
        )  # fmt: skip
        self._duration = Histogram(
            "circuit_breaker_request_duration_seconds", "To the end of a request, however it ended.",
            _WHICH, registry=to, buckets=DURATION_BUCKETS_S,
        )  # fmt: skip
        self._missed = Counter(
            "circuit_breaker_missed_requests", "Requests that came too fast to be counted here.", registry=to
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        with self._ended:
            task = asyncio.create_task(self._follow(), name="metrics")
            try:
                yield
            finally:
                await ended(task)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All series and their content type: Prometheus' text, or OpenMetrics for those who accept it."""
        for event in self._ended.take():
            self._note(event.record)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    async def _follow(self) -> None:
        async for event in self._ended:
            if isinstance(event, Missed):
                self._missed.inc(event.count)
            else:
                self._note(event.record)

    def _note(self, record: RequestRecord) -> None:
        which, usage = (record.provider, record.model), record.usage
        self._requests.labels(*which, record.error).inc()
        self._retries.labels(*which).inc(record.retries)
        for kind in ("input", "cache_read", "cache_write", "output"):
            self._tokens.labels(*which, kind).inc(getattr(usage, kind))
        if record.cost_usd is not None:
            self._cost.labels(*which).inc(float(record.cost_usd))
        elif usage.total:
            self._unpriced.labels(*which).inc()
        if record.ttft_s is not None:
            self._ttft.labels(*which).observe(record.ttft_s)
        self._duration.labels(*which).observe(record.duration_s)


class _Now(Collector):
    """What is so at the moment of the question."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        breakers = GaugeMetricFamily(
            "circuit_breaker_breaker_open",
            "1 for a model that is left alone, 0 for one that has failed and is asked; all models of a key are `*`.",
            labels=_WHICH,
        )
        states: dict[tuple[str, str], bool] = {}
        for row in self._health.rows():
            place = row.provider, row.model or "*"
            states[place] = states.get(place, False) or row.state == "open"
        for place, is_open in states.items():
            breakers.add_metric(place, float(is_open))
        yield breakers
        busy = GaugeMetricFamily(
            "circuit_breaker_requests_under_way", "Requests that a provider is working on.", labels=["provider"]
        )
        for provider, count in self._health.under_way().items():
            busy.add_metric([provider], count)
        yield busy
