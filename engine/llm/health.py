"""How providers, models and keys have done lately: breakers, load and speed, learned from use.

A breaker stands for a provider's model asked with one key; what is wrong with the key itself (not taken, out of quota)
counts for all models asked with it. Keys are known by their last characters only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.kernel.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
)
from engine.kernel.world import World
from engine.llm.breaker import CLOSED, Breaker, State
from engine.llm.model import Model
from engine.llm.ports import label_of
from engine.store.ports import RequestRecord

REFUSED_S = 600.0  # a key that was refused is not tried for so long, unless another one is set
TOKEN_REFUSED_S = 10.0  # where a token is got in place of a key: the next one is another
USED_UP_S = 3600.0  # also the longest that a provider which says when to come back is left alone
USED_UP = ("insufficient_quota", "billing_error")  # of OpenAI and of Anthropic: waiting does not help
OF_THE_KEY = ("invalid_api_key", "authentication_error", "API_KEY_")  # codes, or their beginnings, of a 403 too
REMEMBERED = 500  # requests of the log that are recalled at the start
_SMOOTHING = 0.2  # of the newest observation, in an exponentially weighted mean


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of a model: seconds to its first token, tokens a second after it, and the share of requests
    that went well. None is not known yet."""

    ttft_s: float | None = None
    tokens_per_s: float | None = None
    success: float = 0.95
    observations: int = 0


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """A breaker that is not closed, for people. An empty `model` stands for all that are asked with the key."""

    provider: str
    model: str
    key: str
    state: State
    failures: int
    opens_in_s: float
    why: str


@dataclass
class Health:
    world: World
    _breakers: dict[tuple[str, str, str], Breaker] = field(default_factory=dict)
    _errors: dict[tuple[str, str, str], ProviderError] = field(default_factory=dict)
    _speeds: dict[str, Speed] = field(default_factory=dict)
    _busy: dict[tuple[str, str], int] = field(default_factory=dict)

    # -- breakers ---------------------------------------------------------------------------------------------------

    @property
    def troubled(self) -> bool:
        """Whether there is a breaker that is not closed."""
        return bool(self._breakers)

    def lets_through(self, model: Model, key: str) -> bool:
        if not self._breakers:
            return True
        now = self.world.monotonic()
        return all(self._breakers.get(place, CLOSED).lets_through(now) for place in _places(model, key))

    def refusal(self, model: Model, key: str) -> ProviderError | None:
        """The error that there is no use in provoking again now: a rate limit that says when it ends, or an upstream
        that keeps everybody waiting. Other failures come at once, and asking is how one learns that they are mended."""
        now = self.world.monotonic()
        for place in _places(model, key):
            breaker, error = self._breakers.get(place, CLOSED), self._errors.get(place)
            told = isinstance(error, ProviderRateLimited) and "retry_after_s" in error.details
            if breaker.lets_through(now) or not (told or isinstance(error, ProviderTimeout)) or error is None:
                continue
            left = max(0.0, (breaker.open_until or now) - now)
            fix = f"Wait {left:.0f} s, or use another model."
            return type(error)(error.what, why=error.why, fix=fix, details=error.details | {"retry_after_s": left})
        return None

    def open_reason(self, model: Model, keys: Sequence[str]) -> str:
        """Why nothing may be asked of a model now; empty when something may."""
        if not keys or any(self.lets_through(model, key) for key in keys):
            return ""
        now = self.world.monotonic()
        rows = [self._breakers[place] for key in keys for place in _places(model, key) if place in self._breakers]
        soonest = min((row.open_until or now for row in rows if not row.lets_through(now)), default=now)
        return f"left alone for {max(0.0, soonest - now):.0f} s: {rows[0].why}" if rows else ""

    def began(self, model: Model, key: str) -> None:
        if self._breakers:
            now = self.world.monotonic()
            for place in _places(model, key):
                if place in self._breakers:
                    self._breakers[place] = self._breakers[place].began(now)
        self._busy[model.provider, key] = self._busy.get((model.provider, key), 0) + 1

    def ended(self, model: Model, key: str) -> None:
        """However a request ended."""
        left = self._busy.get((model.provider, key), 1) - 1
        if left > 0:
            self._busy[model.provider, key] = left
        else:
            self._busy.pop((model.provider, key), None)

    def succeeded(self, model: Model, key: str) -> None:
        for place in _places(model, key):
            if place in self._breakers:
                del self._breakers[place], self._errors[place]

    def failed(self, model: Model, key: str, error: ProviderError) -> None:
        """Count what may be our upstream's fault; a request that was refused for what it says is not."""
        now, (of_model, of_key) = self.world.monotonic(), _places(model, key)
        told = error.details.get("retry_after_s")
        wait = min(float(told), USED_UP_S) if isinstance(told, int | float) else None
        if isinstance(error, ProviderAuth):
            place, wait = of_model if _forbidden(error) else of_key, REFUSED_S if key else TOKEN_REFUSED_S
        elif isinstance(error, ProviderRateLimited) and error.details.get("upstream_code") in USED_UP:
            place, wait = of_key, USED_UP_S
        elif isinstance(error, ProviderRejected | ContextTooLong):
            return
        else:
            place = of_model
        breaker = self._breakers.get(place, CLOSED)
        self._breakers[place], self._errors[place] = breaker.failed(now, error.what, open_for_s=wait), error
        if not model.local or isinstance(error, ProviderTimeout):
            self._observe(model.id, success=0.0)

    def reset(self, provider: str = "", model: str = "") -> int:
        """Close the breakers of a provider, of one of its models, or all. How many were closed."""
        gone = [
            place
            for place in self._breakers
            if (not provider or place[0] == provider) and (not model or place[1] in ("", model))
        ]
        for place in gone:
            del self._breakers[place], self._errors[place]
        return len(gone)

    def rows(self) -> Iterator[BreakerRow]:
        now = self.world.monotonic()
        for (provider, model, key), breaker in self._breakers.items():
            wait = max(0.0, (breaker.open_until or now) - now)
            state = breaker.state(now)
            yield BreakerRow(provider, model, label_of(key), state, breaker.failures, wait, breaker.why)

    def busy(self, model: Model) -> int:
        """How many requests its provider has."""
        return sum(count for (provider, _), count in self._busy.items() if provider == model.provider)

    def under_way(self) -> dict[str, int]:
        """How many requests each provider has that has any."""
        found: dict[str, int] = {}
        for (provider, _), count in self._busy.items():
            found[provider] = found.get(provider, 0) + count
        return found

    # -- keys -------------------------------------------------------------------------------------------------------

    def order(self, model: Model, keys: Sequence[str]) -> list[str]:
        """The keys that may be used, the least busy first."""
        able = [key for key in keys if self.lets_through(model, key)]
        return able if len(able) < 2 else sorted(able, key=lambda key: self._busy.get((model.provider, key), 0))

    # -- speed ------------------------------------------------------------------------------------------------------

    def speed(self, model: Model) -> Speed:
        return self._speeds.get(model.id, Speed())

    def learn(self, model: Model, ttft_s: float | None, tokens_per_s: float | None) -> None:
        """An answer went well; what is None was not to be measured."""
        self._observe(model.id, ttft_s, tokens_per_s, 1.0)

    def recall(self, newest_first: Sequence[RequestRecord]) -> None:
        """Learn from the requests of the log, as if they had ended here; what was learned since is newer and stays."""
        here = dict(self._speeds)
        self._speeds.clear()
        for record in reversed(newest_first):
            if not record.error and (record.ttft_s is not None or record.tokens_per_s is not None):
                self._observe(f"{record.provider}/{record.model}", record.ttft_s, record.tokens_per_s)
        self._speeds |= here

    def _observe(
        self, model_id: str, ttft_s: float | None = None, tokens_per_s: float | None = None, success: float = 1.0
    ) -> None:
        old = self._speeds.get(model_id, Speed())
        self._speeds[model_id] = Speed(
            _mean(old.ttft_s, ttft_s),
            _mean(old.tokens_per_s, tokens_per_s),
            old.success + 0.05 * (success - old.success),
            old.observations + 1,
        )


def _places(model: Model, key: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    return (model.provider, model.name, key), (model.provider, "", key)


def _forbidden(error: ProviderAuth) -> bool:
    """Whether the key is good, but not for this: 403, unless what is said is that the key itself is not."""
    code = str(error.details.get("upstream_code", ""))
    return error.details.get("upstream_status") == 403 and not code.startswith(OF_THE_KEY)


def _mean(old: float | None, new: float | None) -> float | None:
    return old if new is None else new if old is None else old + _SMOOTHING * (new - old)
