"""The one tree of errors.

Every error that a caller may meet says three things: what happened, why, and how to fix it. `code` is stable and part
of the interface; `details` is JSON for programs. Edges (HTTP, GraphQL, the terminal) translate by walking the MRO and
add no words of their own.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar


class CircuitBreakerError(Exception):
    """The root. `what` is one sentence; `why` and `fix` may be empty when there is nothing to add."""

    code: ClassVar[str] = "internal"

    def __init__(self, what: str, *, why: str = "", fix: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.fix) if part)


class Internal(CircuitBreakerError):
    """A bug of ours. Carries a request id to look up in the log, never a traceback."""

    code = "internal"


class InvalidInput(CircuitBreakerError):
    """Malformed or failing validation; `details.path` names the field."""

    code = "invalid_input"


class InvalidWorkflow(CircuitBreakerError):
    """A workflow whose structure is refused; `details.findings` lists why."""

    code = "invalid_workflow"


class InvalidConfig(InvalidInput):
    """A settings file or option that cannot be read; `details` has file, line and column where they are known."""

    code = "invalid_input"


class Unauthenticated(CircuitBreakerError):
    """Nobody we know."""

    code = "unauthenticated"


class Forbidden(CircuitBreakerError):
    """Known, but not allowed."""

    code = "forbidden"


class NotFound(CircuitBreakerError):
    """There is no such thing; `details.nearest` has the names that come closest."""

    code = "not_found"

    @classmethod
    def named(cls, kind: str, name: str, known: Iterable[str], *, fix: str = "") -> "NotFound":
        """The error for an unknown `name` among `known` ones, with the nearest of them."""
        close = nearest(name, known)
        hint = f"Did you mean {' or '.join(repr(one) for one in close)}?" if close else ""
        details = {"kind": kind, "id": name, "nearest": close}
        return cls(f"There is no {kind} {shown(name)}.", why=hint, fix=fix, details=details)


class Conflict(CircuitBreakerError):
    """It changed meanwhile; `details.current` is how it is now."""

    code = "conflict"


class NotEnabled(CircuitBreakerError):
    """A transition cannot fire; `details.blockers` says which place lacks what and which guard said no."""

    code = "not_enabled"


class TooLarge(CircuitBreakerError):
    """More than we take; `details.limit` says how much that is."""

    code = "too_large"


class RateLimited(CircuitBreakerError):
    """Too many; `details.retry_after_s` says when to come back."""

    code = "rate_limited"


class BudgetExceeded(CircuitBreakerError):
    """A budget does not allow it; `details.budget` is its id, and `details.until` the day on which it begins anew."""

    code = "budget_exceeded"


class ProviderError(CircuitBreakerError):
    """A provider did not do its part; `details` has provider, model and, where it was given, upstream_status."""

    code = "provider_unavailable"


class ProviderUnavailable(ProviderError):
    """It could not be reached, or broke off."""

    code = "provider_unavailable"


class ProviderAuth(ProviderError):
    """It does not accept our key, or there is none."""

    code = "provider_auth"


class ProviderRateLimited(ProviderError):
    """It wants fewer requests; `details.retry_after_s` where it said when."""

    code = "provider_rate_limited"


class ProviderRejected(ProviderError):
    """It understood and said no."""

    code = "provider_rejected"


class ProviderTimeout(ProviderError):
    """It did not answer within the deadline."""

    code = "provider_timeout"


class ContextTooLong(ProviderError):
    """The prompt does not fit the model's context; `details.context` and `details.prompt` in tokens, where known."""

    code = "context_too_long"


class NoModelFits(CircuitBreakerError):
    """Every candidate was rejected; `details.rejected` says why for each."""

    code = "no_model_fits"


class StoreUnavailable(CircuitBreakerError):
    """The database cannot be used now: held by another process, no space, no permission."""

    code = "store_unavailable"


class StoreCorrupt(CircuitBreakerError):
    """The database is damaged, of a newer version, or not one at all. It is never overwritten."""

    code = "store_corrupt"


class KeyringUnavailable(CircuitBreakerError):
    """No safe keyring answers: none installed, locked, or only one that writes plain text."""

    code = "keyring_unavailable"


class PortTaken(CircuitBreakerError):
    """Another program listens there; `details.port`, and `details.holder` where the system tells."""

    code = "port_taken"


class Cancelled(CircuitBreakerError):
    """The one who asked went away."""

    code = "cancelled"


def shown(name: str, limit: int = 80) -> str:
    """A name from outside, quoted for a message: cut when long, control characters made visible."""
    return repr(name if len(name) <= limit else name[:limit] + "…")


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of `known` that look like `name`, the likeliest first."""
    by_folded = {one.casefold(): one for one in known}
    return [by_folded[one] for one in get_close_matches(name[:200].casefold(), by_folded, count, 0.5)]
