"""Asking one model after another until one begins to answer.

The rule is that of all good gateways: nothing reaches the client before real output is there, and until then every
failure may be made good with another key or another model; afterwards nothing is switched. What is worth another try,
where and when, is decided here (after the table in RFC 9110, section 15, and what providers document of their errors).
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.kernel.errors import (
    BudgetExceeded,
    CircuitBreakerError,
    ContextTooLong,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.kernel.records import record
from engine.kernel.world import World
from engine.llm.health import Health
from engine.llm.model import Model
from engine.llm.ports import Provider, label_of
from engine.llm.routing import Decision

RETRIES = 2  # of one request at the same model with the same key
FIRST_PAUSE_S = 0.5
LONGEST_WAIT_S = 10.0  # for a provider that says when to come back, when nobody else can be asked

log = logging.getLogger("llm")
T = TypeVar("T")


@record
class Target:
    """A model to be asked with a key. `place` is where it stands in the decision, from 0."""

    place: int
    model: Model
    key: str


@record
class Attempt:
    """One that failed."""

    model: str
    key: str
    error: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"model": self.model, "error": self.error, "why": self.why} | ({"key": self.key} if self.key else {})


class Targets:
    """Whom to ask, one after the other: each model with each of its keys, the healthiest first.

    Two that ask at once, as hedging does, share one and never take the same.
    """

    def __init__(self, decision: Decision, providers: Mapping[str, Provider], health: Health) -> None:
        self._providers, self._health = providers, health
        self._left = self._all(decision)
        self._ahead: Target | None = None
        self.without_key: list[Model] = []
        self.refusal: ProviderError | None = None

    def next(self, *, after: Target | None = None) -> Target | None:
        """The next one, None when there is none; `after` leaves out the others of that model."""
        while True:
            found = self._ahead or next(self._left, None)
            self._ahead = None
            if found is None or after is None or found.model.id != after.model.id:
                return found

    def exhausted(self) -> bool:
        if self._ahead is None:
            self._ahead = next(self._left, None)
        return self._ahead is None

    def _all(self, decision: Decision) -> Iterator[Target]:
        """Those that are let through; when there are none, the others too: asking is how one learns that they are
        mended."""
        found = False
        for target in self._healthy(decision):
            found = True
            yield target
        if not found:
            yield from self._others(decision)

    def _others(self, decision: Decision) -> Iterator[Target]:
        for place, candidate in enumerate(decision.ranked):
            held = self._providers[candidate.model.provider].keys()
            for key in held:
                refusal = self._health.refusal(candidate.model, key)
                if refusal is None:
                    yield Target(place, candidate.model, key)
                else:
                    self.refusal = refusal

    def _healthy(self, decision: Decision) -> Iterator[Target]:
        for place, candidate in enumerate(decision.ranked):
            model = candidate.model
            keys = self._providers[model.provider].keys()
            if not keys:
                self.without_key.append(model)
            for key in self._health.order(model, keys):
                if self._health.lets_through(model, key):  # also now, after those before it were asked
                    yield Target(place, model, key)


@dataclass
class Attempts(Generic[T]):
    """The attempts of one request. `ask` asks one target; it raises what the provider raises. `asking` are those that
    are asked and have not failed."""

    targets: Targets
    health: Health
    world: World
    ask: Callable[[Target], Awaitable[T]]
    failed: list[Attempt] = field(default_factory=list)
    asked: int = 0
    retries: int = 0
    last: Target | None = None
    asking: list[Target] = field(default_factory=list)

    async def first(self) -> T:
        """What the first target gives that does not fail. Raises the last error, or one that no other target can
        make good."""
        target = self.targets.next()
        if target is None:
            raise self._nobody()
        while True:
            self.last = target
            self.asked += 1
            self.health.began(target.model, target.key)
            self.asking.append(target)
            try:
                return await self.ask(target)
            except CircuitBreakerError as error:
                self._ended(target)
                self._note(target, error)
                if not worth_another(error):
                    raise
                pause = self._pause(error)
                if pause is not None:
                    self.retries += 1
                    await self.world.sleep(pause)
                    continue
                following = self.targets.next(after=None if _of_the_key(error) else target)
                if following is None:
                    raise
                target = following
            except BaseException:
                self._ended(target)
                raise

    def _ended(self, target: Target) -> None:
        self.asking.remove(target)
        self.health.ended(target.model, target.key)

    def _note(self, target: Target, error: CircuitBreakerError) -> None:
        if isinstance(error, ProviderError):
            self.health.failed(target.model, target.key, error)
        self.failed.append(Attempt(target.model.id, label_of(target.key), error.code, error.what))
        log.warning("a model failed", extra={"facts": {"model": target.model.id, "error": error.code}})

    def _pause(self, error: CircuitBreakerError) -> float | None:
        """How long to wait before the same target is asked again; None when it is better left."""
        if self.retries >= RETRIES:
            return None
        wait = error.details.get("retry_after_s")
        busy = isinstance(error, ProviderUnavailable) and error.details.get("upstream_status") in (500, 502, 503, 529)
        if isinstance(error, ProviderRateLimited) or (busy and wait is not None):
            patient = isinstance(wait, int | float) and wait <= LONGEST_WAIT_S and self.targets.exhausted()
            return float(wait) if patient and isinstance(wait, int | float) else None
        if busy:
            jitter = 0.5 + self.world.bits(16) / 65536
            return FIRST_PAUSE_S * 2.0**self.retries * jitter if self.retries == 0 or self.targets.exhausted() else None
        return None

    def _nobody(self) -> CircuitBreakerError:
        """There was nobody to ask: all of them are left alone for now, or there is no key."""
        if self.targets.refusal is not None:
            return self.targets.refusal
        if self.targets.without_key:
            model = self.targets.without_key[0]
            return ProviderAuth(
                f"There is no key for {model.provider}.",
                fix=f"Add one with `circuit-breaker keys set {model.provider}`.",
                details={"provider": model.provider, "model": model.name},
            )
        return ProviderUnavailable(
            "All that could answer are left alone for now, because they failed.",
            fix="Wait a little, and try again.",
        )


def worth_another(error: BaseException) -> bool:
    """Whether another key or model may answer what this one did not: not when the request itself was refused."""
    if isinstance(error, ProviderRejected):
        code = error.details.get("upstream_code")
        return error.details.get("upstream_status") == 404 or code == "model_not_found"
    return isinstance(error, ProviderError | ContextTooLong | ProviderTimeout | BudgetExceeded)


def _of_the_key(error: CircuitBreakerError) -> bool:
    return isinstance(error, ProviderAuth | ProviderRateLimited)


def attempts_json(attempts: Sequence[Attempt]) -> list[dict[str, str]]:
    return [one.as_json() for one in attempts]
