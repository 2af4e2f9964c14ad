"""Structured logs: one JSON object a line, with the request it belongs to, and no secret in it.

Everything goes to one rotating file in the data folder, or to stderr for `--serve`: nothing may write on the terminal
that the workbench draws on.
"""

import logging
import logging.handlers
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import orjson

request_id: ContextVar[str] = ContextVar("request_id", default="")

# What looks like a key, wherever it stands: OpenAI, Anthropic, Google, GitHub, and what follows `Bearer` or `api-key`.
_LEADS = r"(?:bearer|api[-_]?key|token|password|secret)"
_LOOKS_SECRET = re.compile(
    r"sk-[\w-]{8,}|AIza[\w-]{20,}|gh[pousr]_\w{20,}"
    rf"|(?P<lead>{_LEADS}[\"']?\s*[:=]?\s*[\"']?)(?P<secret>[\w.~+/-]{{8,}})",
    re.I,
)
_SIGNS = ("sk-", "aiza", "gh", "bearer", "api", "token", "password", "secret")  # one is in all that looks like one
_NAMES_SECRET = re.compile(rf"{_LEADS}$", re.I)
_MASK = "•••"
_PLAIN = {float, bool, type(None)}


class Redactor:
    """Takes secrets out of texts: those it was told, and what looks like one."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()  # the longest first: one may be the beginning of another

    def learn(self, secrets: Iterable[str]) -> None:
        known = {*self._known, *(secret for secret in secrets if len(secret) >= 4)}
        self._known = tuple(sorted(known, key=len, reverse=True))

    def clean(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, _MASK)
        small = text.lower()
        if not any(sign in small for sign in _SIGNS):
            return text
        return _LOOKS_SECRET.sub(lambda match: (match["lead"] or "") + _MASK, text)

    def clean_line(self, facts: Mapping[str, object]) -> Any:
        """`facts` as `clean_json` gives them. Of what nearly all lines are, plain values without a secret, only one
        look is taken, over all of them."""
        texts = list(facts)
        for value in facts.values():
            if type(value) is str:
                texts.append(value)
            elif type(value) not in _PLAIN and not _is_small(value):
                return self.clean_json(facts)
        text = "\n".join(texts)
        if text.isascii() and not _some_name_secrets(tuple(facts)) and self.clean(text) == text:
            return facts
        return self.clean_json(facts)

    def clean_json(self, value: object) -> Any:
        """`value` as plain JSON, each text in it cleaned before quotes and backslashes hide what is in it."""
        match value:
            case None | bool() | float():
                return value
            case int():
                return value if -(2**63) <= value < 2**64 else str(value)
            case Mapping():
                return {
                    self.clean(_valid(str(key))): _MASK if _names_secret(key, item) else self.clean_json(item)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.clean_json(item) for item in value]
            case _:
                return self.clean(_valid(str(value)))


def _is_small(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**64


@lru_cache(maxsize=256)
def _some_name_secrets(names: tuple[str, ...]) -> bool:
    return any(map(_NAMES_SECRET.search, names))


def _names_secret(key: object, value: object) -> bool:
    return bool(_NAMES_SECRET.search(str(key))) and isinstance(value, str | int) and len(str(value)) >= 8


def _valid(text: str) -> str:
    return text.encode(errors="replace").decode()


class _JsonLines(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(self._redactor.clean_line(line)).decode()


def open_log(target: Path | IO[str], level: str, redactor: Redactor) -> logging.Handler:
    """Send every logger's records to `target`, and nowhere else."""
    handler: logging.Handler
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(target, maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    else:
        handler = logging.StreamHandler(target)
    handler.setFormatter(_JsonLines(redactor))
    # what no line says is not looked up for each: the place in the code, the thread, the process
    logging._srcfile = None  # as "Optimization" in Python's logging HOWTO has it
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "asyncio", "aiosqlite", "websockets", "sanic", "strawberry.execution"):
        logging.getLogger(noisy).setLevel("WARNING" if noisy != "strawberry.execution" else "CRITICAL")
    return handler


@contextmanager
def in_request(id: str) -> Iterator[None]:
    """Log lines inside belong to this request."""
    token = request_id.set(id)
    try:
        yield
    finally:
        request_id.reset(token)
