"""Errors at the edge: which status and which shape. The words are the error's own."""

from collections.abc import Mapping
from typing import Any, Literal

from engine.kernel import errors as e
from engine.kernel.errors import CircuitBreakerError

STATUS: Mapping[type[Exception], int] = {
    e.InvalidInput: 400,
    e.InvalidWorkflow: 422,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.Conflict: 409,
    e.NotEnabled: 409,
    e.TooLarge: 413,
    e.RateLimited: 429,
    e.BudgetExceeded: 402,
    e.ProviderAuth: 502,
    e.ProviderRateLimited: 429,
    e.ProviderRejected: 400,
    e.ProviderTimeout: 504,
    e.ContextTooLong: 400,
    e.ProviderError: 502,
    e.NoModelFits: 503,
    e.StoreUnavailable: 503,
    e.StoreCorrupt: 500,
    e.KeyringUnavailable: 503,
    e.Cancelled: 499,
    e.CircuitBreakerError: 500,
}


def status_of(error: CircuitBreakerError) -> int:
    """The HTTP status of an error: that of the nearest class in its MRO that has one."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def openai_status(error: CircuitBreakerError) -> int:
    """The same for OpenAI's clients, which decide by it whether to try again: what a provider refused keeps the status
    that it was refused with."""
    if isinstance(error, e.ContextTooLong):
        return STATUS[e.ContextTooLong]  # whatever it was upstream: by this one they shorten it
    upstream = error.details.get("upstream_status")
    return upstream if isinstance(upstream, int) and 400 <= upstream < 500 else status_of(error)


_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_TOO_LONG = {
    "openai": "{error} This model's maximum context length is {context} tokens.",
    "anthropic": "prompt is too long: {prompt} tokens > {context} maximum. {error}",
    "ollama": "the input length exceeds the context length: {prompt} tokens > {context}. {error}",
}


def said(error: CircuitBreakerError, face: Literal["openai", "anthropic", "ollama"]) -> str:
    """An error in words. Of a prompt that is too long those are among them by which clients know it, and shorten it:
    LiteLLM and Claude Code read the message and not the code (2026-08)."""
    sizes = {name: error.details.get(name) for name in ("prompt", "context")}
    if not isinstance(error, e.ContextTooLong) or None in sizes.values():
        return str(error)
    return _TOO_LONG[face].format(error=error, **sizes)


_CODES: Mapping[type[Exception], str] = {e.ContextTooLong: "context_length_exceeded"}


def openai_body(error: CircuitBreakerError) -> dict[str, Any]:
    """The error in OpenAI's shape (platform.openai.com, API errors, 2026-08); `code` is our own, but for those that
    clients look at."""
    status = openai_status(error)
    code = _CODES.get(type(error), error.code)
    if isinstance(error, e.NotFound) and error.details.get("kind") == "model":
        code = "model_not_found"
    body: dict[str, Any] = {
        "message": said(error, "openai"),
        "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error"),
        "param": "model" if code == "model_not_found" else error.details.get("path"),
        "code": code,
    }
    return body | ({"details": error.details} if error.details else {})


_ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def anthropic_body(error: CircuitBreakerError) -> dict[str, Any]:
    """The error in Anthropic's shape (docs.anthropic.com, "Errors", 2026-08)."""
    status = openai_status(error)
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": said(error, "anthropic")}}


def body_for(path: str, error: CircuitBreakerError) -> tuple[int, dict[str, Any]]:
    """The status and the whole body of an error on the face that `path` belongs to."""
    if path.startswith("/v1/messages"):
        return openai_status(error), anthropic_body(error)
    if path == "/v1" or path.startswith("/v1/"):
        return openai_status(error), {"error": openai_body(error)}
    if path.startswith("/api/"):
        return openai_status(error), {"error": said(error, "ollama")}  # Ollama's
    return status_of(error), {"error": plain_body(error)}


def plain_body(error: CircuitBreakerError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": str(error),
        "what": error.what,
        "why": error.why,
        "fix": error.fix,
        "details": error.details,
    }


def retry_after(error: CircuitBreakerError) -> dict[str, str]:
    """The header that says when to come back, where it is known."""
    seconds = error.details.get("retry_after_s")
    return {"retry-after": str(max(1, round(seconds)))} if isinstance(seconds, int | float) else {}


def bug(request_id: str) -> e.Internal:
    return e.Internal(
        "Something went wrong that should not have.",
        why=f"The log has it under request {request_id}.",
        fix="Please report it with those lines.",
        details={"request": request_id},
    )
