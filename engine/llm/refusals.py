"""What upstreams say when they refuse, in whichever shape, and JSON on its way to them. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from engine.kernel.errors import InvalidInput
from engine.kernel.world import World


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an upstream's error says, in any of the shapes that providers use: OpenAI's and llama.cpp's
    `{"error": {message, type, code}}`, Anthropic's with a type alone, Google's with a number, a status and details,
    which may stand in a list, Ollama's `{"error": "text"}`, `{"message"}`, `{"detail"}`, or plain text."""

    message: str
    code: str
    status: int | None
    fields: Mapping[str, Any]

    @classmethod
    def read(cls, problem: Any) -> "Refusal":
        if isinstance(problem, list) and len(problem) == 1:
            problem = problem[0]
        outer = problem if isinstance(problem, Mapping) else {}
        inner = outer.get("error", outer)
        fields = inner if isinstance(inner, Mapping) else {}
        inner = outer.get("error_description", inner) if isinstance(inner, str) else inner
        spoken = inner if isinstance(inner, str) else problem if isinstance(problem, str) else ""
        message = spoken or next((one for key in ("message", "detail") if isinstance(one := fields.get(key), str)), "")
        if not message and problem and not isinstance(problem, str):
            message = encoded({"answer": problem}).decode()
        code = next((one for key in ("code", "type", "status") if isinstance(one := fields.get(key), str) and one), "")
        code = next((str(one["reason"]) for one in _rows(fields.get("details")) if one.get("reason")), code)
        number = fields.get("code")
        status = number if isinstance(number, int) and 400 <= number < 600 else _STATUS.get(code)
        return cls(" ".join(message.split()), code, status, fields)

    def retry_after_s(self) -> float | None:
        """Google's RetryInfo, which stands in the body: `{"retryDelay": "12s"}` (AIP-193, 2026-08)."""
        delays = (one.get("retryDelay") for one in _rows(self.fields.get("details")))
        return next((_number(one.removesuffix("s")) for one in delays if isinstance(one, str)), None)

    def context_exceeded(self, status: int | None) -> bool:
        """Whether the prompt was too long. There is no standard: codes of OpenAI and llama.cpp, else known words."""
        if self.code == "string_above_max_length" or (status is not None and status not in (400, 413, 422, 500)):
            return False
        if self.code in ("context_length_exceeded", "exceed_context_size_error"):
            return True
        return any(words in self.message.casefold() for words in _TOO_LONG)

    def sizes(self) -> dict[str, int]:
        """`prompt` and `context` in tokens, as far as they are said."""
        prompt, context = self.fields.get("n_prompt_tokens"), self.fields.get("n_ctx")
        if context is None and (found := re.search(r"context (?:length|size) is (\d+)", self.message)):
            context = int(found[1])
        if prompt is None and (found := re.search(r"(?:resulted in|requested) (\d+) tokens", self.message)):
            prompt = int(found[1])
        sizes = {"prompt": prompt, "context": context}
        return {key: value for key, value in sizes.items() if isinstance(value, int)}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an error inside a stream would have had (Anthropic, "Errors", 2026-08)."""

_TOO_LONG = (
    "maximum context length is",  # OpenAI, vLLM
    "exceed context limit",
    "exceeds the available context size",  # llama.cpp
    "prompt is too long",  # Anthropic
    "exceeds the maximum number of tokens allowed",  # Gemini
    "input length exceeds the context length",  # Ollama
    "prompt too long; exceeded",
)


def retry_after_s(headers: Mapping[str, str], world: World) -> float | None:
    """Seconds to wait: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, 10.2.3)."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    after = headers.get("retry-after")
    if after is None or (seconds := _number(after)) is not None:
        return None if after is None else seconds
    try:
        date = parsedate_to_datetime(after)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - world.now()).total_seconds())


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text, re.ASCII) else None


def encoded(body: Mapping[str, Any]) -> bytes:
    """`body` as JSON in UTF-8. Halves of surrogate pairs, which UTF-8 cannot have, become question marks.

    Raises InvalidInput for what JSON cannot say.
    """
    try:
        return orjson.dumps(body, default=_plain)
    except TypeError:
        pass  # orjson takes no lone surrogates and no integers over 64 bits
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, default=_plain).encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("The request cannot be written as JSON.", why=str(error)[:200]) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
