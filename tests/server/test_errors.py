"""Errors at the edge: each class has a status and a shape, found by walking its MRO."""

from collections.abc import Iterator

import pytest

from engine.kernel import errors as e
from engine.kernel.errors import CircuitBreakerError
from server.errors import STATUS, body_for, bug, openai_body, openai_status, plain_body, retry_after, status_of
from server.ollama.wire import failure


def every_error() -> Iterator[type[CircuitBreakerError]]:
    for kind in vars(e).values():
        if isinstance(kind, type) and issubclass(kind, CircuitBreakerError):
            yield kind


STATUSES = {
    "CircuitBreakerError": 500,
    "Internal": 500,
    "InvalidInput": 400,
    "InvalidConfig": 400,
    "InvalidWorkflow": 422,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "Conflict": 409,
    "NotEnabled": 409,
    "TooLarge": 413,
    "RateLimited": 429,
    "BudgetExceeded": 402,
    "ProviderError": 502,
    "ProviderUnavailable": 502,
    "ProviderAuth": 502,
    "ProviderRateLimited": 429,
    "ProviderRejected": 400,
    "ProviderTimeout": 504,
    "ContextTooLong": 400,
    "NoModelFits": 503,
    "StoreUnavailable": 503,
    "StoreCorrupt": 500,
    "KeyringUnavailable": 503,
    "PortTaken": 500,
    "Cancelled": 499,
}


def test_every_class_of_the_tree_has_its_status() -> None:
    assert {kind.__name__: status_of(kind("x")) for kind in every_error()} == STATUSES


def test_an_unlisted_class_takes_the_status_of_its_nearest_parent() -> None:
    class Gone(e.NotFound):
        pass

    assert Gone not in STATUS
    assert status_of(Gone("x")) == 404


@pytest.mark.parametrize("kind", list(every_error()))
def test_each_has_openais_shape_and_our_own(kind: type[CircuitBreakerError]) -> None:
    error = kind("What.", why="Why.", fix="Fix.", details={"path": "messages"})
    body = openai_body(error)
    assert (body["message"], body["param"]) == ("What. Why. Fix.", "messages")
    assert body["code"]
    named = {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        429: "rate_limit_error",
    }
    usual = "invalid_request_error" if status_of(error) < 500 else "api_error"
    assert body["type"] == named.get(status_of(error), usual)
    assert plain_body(error).items() >= {"code": kind.code, "what": "What.", "why": "Why.", "fix": "Fix."}.items()


def test_codes_that_openais_clients_look_at() -> None:
    assert openai_body(e.ContextTooLong("x"))["code"] == "context_length_exceeded"
    unknown = openai_body(e.NotFound.named("model", "x", ()))
    assert (unknown["code"], unknown["param"]) == ("model_not_found", "model")
    assert openai_body(e.NotFound.named("token", "x", ()))["code"] == "not_found"


@pytest.mark.parametrize(
    ("upstream", "status"), [(401, 401), (403, 403), (404, 404), (500, 502), (None, 502), (200, 502)]
)
def test_what_a_provider_refused_keeps_its_status_for_openais_clients(upstream: int | None, status: int) -> None:
    error = e.ProviderAuth("x", details={} if upstream is None else {"upstream_status": upstream})
    assert openai_status(error) == status
    assert status_of(error) == 502


def test_a_prompt_that_is_too_long_is_said_in_the_words_of_each_face() -> None:
    sizes = {"prompt": 9000, "context": 8192, "upstream_status": 413}
    error = e.ContextTooLong("It does not fit.", fix="Shorten it.", details=sizes)
    bodies = {path: body_for(path, error) for path in ("/v1/chat/completions", "/v1/messages", "/api/chat")}
    assert {status for status, _ in bodies.values()} == {400}
    openais = bodies["/v1/chat/completions"][1]["error"]
    assert (openais["type"], openais["code"]) == ("invalid_request_error", "context_length_exceeded")
    assert openais["message"].endswith("Shorten it. This model's maximum context length is 8192 tokens.")
    anthropics = bodies["/v1/messages"][1]["error"]
    assert anthropics["type"] == "invalid_request_error"
    assert anthropics["message"].startswith("prompt is too long: 9000 tokens > 8192 maximum. It does not fit.")
    assert bodies["/api/chat"][1]["error"].startswith("the input length exceeds the context length")
    assert failure(error, chat=True).startswith(b'{"error":"the input length exceeds the context length')
    unknown = e.ContextTooLong("It does not fit.")
    assert body_for("/v1/messages", unknown)[1]["error"]["message"] == "It does not fit."


def test_when_to_come_back_is_a_header_of_whole_seconds() -> None:
    assert retry_after(e.RateLimited("x", details={"retry_after_s": 7.4})) == {"retry-after": "7"}
    assert retry_after(e.RateLimited("x", details={"retry_after_s": 0.01})) == {"retry-after": "1"}
    assert retry_after(e.RateLimited("x")) == {}


def test_a_bug_says_where_to_look_and_nothing_else() -> None:
    assert plain_body(bug("01X"))["details"] == {"request": "01X"}
