"""HTTP to model providers, and the one place where failures of a connection become our errors.

One `Wire` serves one provider at one address. It never follows a redirect and keeps no cookies, so a key stays bound to
the scheme, host and port it was given for; proxies and certificates from the environment are not used. Every wait has
a deadline and everything that is read is bounded. What the JSON means is left to the providers.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import orjson

from engine.kernel.errors import (
    ContextTooLong,
    InvalidConfig,
    ProviderAuth,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    shown,
)
from engine.kernel.world import World
from engine.llm.framing import Event, Events, FrameTooLong, Lines
from engine.llm.ports import KeptAt, label_of, not_told
from engine.llm.refusals import Refusal, encoded, retry_after_s
from engine.llm.transport import (
    Answer,
    ConnectTooSlow,
    Origin,
    ReadTooSlow,
    Transport,
    TransportError,
    Unreachable,
)

MOST_BODY_BYTES = 64 * 1024 * 1024
MOST_ERROR_BYTES = 64 * 1024
MOST_MESSAGE_CHARS = 2000
MOST_SECRETS = 300  # forms of keys
MOST_HEADS = 64  # each with a key of three forms at most
_ERROR_BODY_S = 5.0
_OK = 200
PORTS = {"http": 80, "https": 443}
_AS_ASKED = {
    "text/event-stream": (b"text/event-stream", b"text/event-stream; charset=utf-8"),
    "application/x-ndjson": (b"application/x-ndjson",),
}  # what most answers are, so that they need no closer look
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_TARGET = "/?:@!$&'()*+,;=-._~%"  # what a path and a query may have as it is (RFC 3986, 3.3 and 3.4)

Authorize = Callable[[str], Mapping[str, str]]
"""Gives the headers that carry a key. Their values never appear in an error."""

Frame = TypeVar("Frame")
Frame_co = TypeVar("Frame_co", covariant=True)


class Framing(Protocol[Frame_co]):
    def feed(self, data: bytes) -> Sequence[Frame_co]: ...
    def end(self) -> Sequence[Frame_co]: ...


def bearer(key: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to connect, from the request to the first byte of the answer, between two bytes of it, and between two
    whole pieces: comments, and bytes that come one by one, do not go on for ever."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 60.0
    piece_s: float = 600.0


REMOTE = Deadlines()
LOCAL = Deadlines(connect_s=2.0, first_byte_s=300.0, idle_s=120.0)  # a model may have to be loaded first


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is: `url` without a slash at its end. `local` says that it is on this machine."""

    url: str
    local: bool

    @classmethod
    def parse(cls, text: str, *, scheme: str = "") -> "Address":
        """An address as people write it; without a scheme it gets `scheme`, or http if it is this machine, else https.

        Raises InvalidConfig for anything but http(s)://host[:port][/path]: a password or a query could be a secret, and
        an address is shown.
        """
        given = text.strip()
        try:
            if "://" not in given:
                host = urlsplit(f"//{given}").hostname or ""
                given = f"{scheme or ('http' if is_loopback(host) else 'https')}://{given}"
            parts = urlsplit(given)
            port = parts.port
            _ascii(parts.hostname or "")
        except ValueError:
            raise _bad_address(text) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise _bad_address(text)
        if parts.username is not None or parts.query or parts.fragment or re.search(r"[\s\\]", given):
            raise _bad_address(text)
        return cls(given.rstrip("/"), is_loopback(parts.hostname))


def _bad_address(text: str) -> InvalidConfig:
    host = text.rpartition("@")[2].partition("?")[0]  # what stands before or after these may be a secret
    return InvalidConfig(
        f"{shown(host)} is not the address of a provider.",
        why="An address is http:// or https://, a host, perhaps a port and a path; no user, password or query.",
        fix="Write it like http://127.0.0.1:11434 or https://api.example.com/v1.",
    )


def _ascii(host: str) -> str:
    """A name as it is looked up. Raises ValueError for one that is none, and for letters that Python's codec (RFC 3490)
    takes for others than browsers do (RFC 5892): a key would go to somebody else."""
    if re.search("[\u00df\u03c2\u200c\u200d]", host):
        raise ValueError(host)
    return host.encode("idna").decode()


def _origin(address: Address, at: str) -> Origin:
    url = urlsplit(address.url)
    return Origin(url.scheme, _ascii(url.hostname or ""), url.port or PORTS[url.scheme], at)


def is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.casefold().rstrip(".") == "localhost" or host.casefold().endswith(".localhost")
    return address.is_loopback


@dataclass(slots=True)
class _Ask:
    """One request. `accept` is the media type that the answer must have; `ended` says that all of it was read."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    accept: str
    key: str = ""
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    form: bool = False
    ended: bool = False


class Wire:
    """JSON requests to one provider.

    `provider` and `title` name it in errors. `unreachable_fix` and `auth_fix` say what to do when it does not answer
    and when it does not take the key; `kept` says where a key is. `headers` go with every request. All methods raise
    ProviderErrors whose details have provider, model and, where they were given, upstream_status, upstream_code and
    upstream_message (scrubbed of keys, 2,000 characters at most).
    """

    def __init__(
        self,
        address: Address,
        *,
        provider: str,
        title: str,
        world: World,
        authorize: Authorize = bearer,
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines = REMOTE,
        unreachable_fix: str = "",
        auth_fix: str = "",
        kept: KeptAt = not_told,
        at: str = "",
    ) -> None:
        """`at` is the IP address to connect to, where it was looked up before."""
        self.address = address
        self.deadlines = deadlines
        self._provider, self._title, self._world = provider, title, world
        self._authorize, self._headers = authorize, dict(headers or {})
        self._unreachable_fix, self._auth_fix, self._kept = unreachable_fix, auth_fix, kept
        self._origin = _origin(address, at)
        self._transport: Transport | None = None
        self._heads: dict[tuple[Any, ...], bytes] = {}  # the same for all requests to a model with a key
        self._secrets: dict[str, None] = {}  # what was sent as a key lately, to be kept out of errors

    async def get_json(self, path: str, *, key: str = "", within_s: float | None = None) -> Any:
        """The JSON at `path`; `within_s` bounds the whole exchange."""
        return await self._json(_Ask("GET", path, None, "application/json", key), within_s)

    async def post_json(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str = "",
        model: str = "",
        within_s: float | None = None,
        method: str = "POST",
    ) -> Any:
        """The JSON answer to `body`; None when the answer is empty."""
        return await self._json(_Ask(method, path, body, "application/json", key, model), within_s)

    async def get_text(self, path: str, *, within_s: float | None = None) -> str:
        """What is at `path`, whatever it is: a secret perhaps, so no error shows any of it."""
        return (await self._whole(_Ask("GET", path, None, "*/*"), within_s)).decode("utf-8", "replace")

    async def get_bytes(self, path: str, *, accept: str, most: int, within_s: float) -> bytes:
        """What is at `path`, of a media type like `image/*`, and of so many bytes at most."""
        return await self._whole(_Ask("GET", path, None, accept), within_s, most)

    async def post_form(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        public: Collection[str] = ("grant_type",),
        within_s: float | None = None,
    ) -> Any:
        """The JSON answer to `form`, whose values but for those of `public` are secrets (RFC 6749, 4)."""
        secrets = (value for name, value in form.items() if name not in public)
        for value in secrets:
            self._keep_out(value)
        return await self._json(_Ask("POST", path, form, "application/json", form=True), within_s)

    def lines(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str = "",
        model: str = "",
        last: Callable[[bytes], bool] = lambda _: False,
    ) -> AsyncGenerator[bytes, None]:
        """Stream the answer as lines (NDJSON). After the one that `last` recognises nothing more is given.

        Closing the generator, or cancelling who waits for it, closes the upstream at once.
        """
        return self._frames(_Ask("POST", path, body, "application/x-ndjson", key, model), Lines(), last)

    def events(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str = "",
        model: str = "",
        headers: Mapping[str, str] | None = None,
        last: Callable[[Event], bool] = lambda _: False,
    ) -> AsyncGenerator[Event, None]:
        """Stream the answer as server-sent events; otherwise like `lines`. `headers` go along and are no secrets."""
        return self.framed(path, body, Events(), key=key, model=model, headers=headers, last=last)

    def framed(
        self,
        path: str,
        body: Mapping[str, Any],
        framing: Framing[Frame],
        *,
        key: str = "",
        model: str = "",
        headers: Mapping[str, str] | None = None,
        last: Callable[[Frame], bool] = lambda _: False,
    ) -> AsyncGenerator[Frame, None]:
        """Stream server-sent events as `framing` cuts them; otherwise like `events`."""
        return self._frames(_Ask("POST", path, body, "text/event-stream", key, model, headers or {}), framing, last)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # What the provider said no with

    def refusal(
        self,
        status: int | None,
        problem: Any,
        *,
        model: str = "",
        retry_after_s: float | None = None,
        key: str = "",
        server: str = "",
    ) -> ProviderError:
        """The error for an answer with `status` (None when it came inside a stream) and `problem`, its JSON or text.
        `key` is what it was asked with; `server` is what the one who answered calls itself."""
        words = Refusal.read(problem)
        retry_after_s = words.retry_after_s() if retry_after_s is None else retry_after_s
        message = self.scrubbed(words.message)[:MOST_MESSAGE_CHARS]
        status = status if status is not None else words.status
        details: dict[str, Any] = {"provider": self._provider, "model": model, "upstream_message": message}
        if status is not None:
            details["upstream_status"] = status
        if words.code:
            details["upstream_code"] = self.scrubbed(words.code)[:100]
        if retry_after_s is not None:
            details["retry_after_s"] = retry_after_s
        if words.context_exceeded(status):
            details.update(words.sizes())
        end = "" if message.endswith((".", "!", "?")) else "."
        said = f"It said: {message}{end}" if message else (f"Status {status} without a word." if status else "")
        kind, what, fix = self._verdict(words, status, model, retry_after_s)
        if kind is ProviderAuth and key:
            where, mend = self._kept(key)
            what, fix = f"{what.removesuffix('.')} {label_of(key)}{f' ({where})' if where else ''}.", mend or fix
        if server and status is not None and status != 401 and (status == 404 or status < 400):
            said = f"{said} The server calls itself {shown(server, 40)}.".strip()
        return kind(what, why=said, fix=fix, details=details)

    def _verdict(
        self, words: "Refusal", status: int | None, model: str, retry_after_s: float | None
    ) -> tuple[type[ProviderError], str, str]:
        """The kind of error, what happened and how to fix it."""
        title, subject = self._title, f"{self._title} ({model})" if model else self._title
        if words.context_exceeded(status):
            fix = "Shorten the conversation, or pick a model with a larger context."
            return ContextTooLong, f"The prompt does not fit {model or 'the model'} of {title}.", fix
        if status in (401, 403) or words.code in _OF_THE_KEY:
            what = f"{title} refused {model} to the key." if status == 403 and model else f"{title} refused the key."
            return ProviderAuth, what, self._auth_fix
        if words.code in ("insufficient_quota", "billing_error") or status == 402:
            return ProviderRateLimited, f"The quota at {title} is used up.", "Look at its billing page."
        if status == 429 or words.code in ("rate_limit_exceeded", "rate_limit_error"):
            wait = f"Wait {retry_after_s:.0f} s" if retry_after_s is not None else "Wait a little"
            return ProviderRateLimited, f"{title} wants fewer requests.", f"{wait}, or use another model."
        if words.code == "content_filter":
            fix = "Say it otherwise, or use another model."
            return ProviderRejected, f"The content filter of {title} refused the prompt.", fix
        if words.code == "DeploymentNotFound":
            fix = "Correct the names of its deployments; a new one takes some minutes."
            return ProviderRejected, f"{title} has no deployment {shown(model)}.", fix
        if status == 404 and model and (words.code == "model_not_found" or "model" in words.message.casefold()):
            return ProviderRejected, f"{title} has no model {shown(model)}.", "Refresh the models and pick another."
        if status == 404:
            fix = "Correct its address; many end in /v1."
            return ProviderRejected, f"{title} does not know what was asked at {self.address.url}.", fix
        if status == 408:
            return ProviderTimeout, f"{subject} gave up waiting.", "Try again."
        if status is not None and 400 <= status < 500:
            return ProviderRejected, f"{subject} rejected the request.", ""
        if status is not None and 300 <= status < 400:
            fix = "Correct its address: redirects are not followed, as a key must not go elsewhere."
            return ProviderUnavailable, f"{title} is not at {self.address.url} any more.", fix
        return ProviderUnavailable, f"{subject} failed.", "Try again, or use another model."

    def broken(self, why: str, *, model: str = "") -> ProviderUnavailable:
        """The error for an answer that breaks off or makes no sense."""
        details = {"provider": self._provider, "model": model}
        why = self.scrubbed(why)[:MOST_MESSAGE_CHARS]
        return ProviderUnavailable(
            f"{self._title} did not give a whole answer.",
            why=why,
            fix="Try again, or use another model.",
            details=details,
        )

    def parsed(self, text: bytes | str, *, model: str = "") -> Any:
        """`text` as JSON. Raises ProviderUnavailable that shows how it begins."""
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            start = text[:5000] if isinstance(text, str) else text[:5000].decode("utf-8", "replace")
            raise self.broken(f"What it sent is not JSON: {shown(self.scrubbed(start))}.", model=model) from None

    def object_in(self, text: bytes | str, *, model: str = "", what: str = "piece") -> Mapping[str, Any]:
        """One piece of a stream, which is an object and no error. Raises ProviderError for anything else."""
        data = self.parsed(text, model=model)
        if not isinstance(data, dict):
            raise self.broken(f"A {what} of its answer is not an object.", model=model)
        if data.get("error"):
            raise self.refusal(None, data, model=model)
        return data

    def _keep_out(self, secret: str) -> None:
        """Of errors. Those that were not used for long are forgotten: tokens change every hour."""
        for form in _forms(secret):
            self._secrets.pop(form, None)
            self._secrets[form] = None
        while len(self._secrets) > MOST_SECRETS:
            del self._secrets[next(iter(self._secrets))]

    def scrubbed(self, text: str) -> str:
        """`text` without our keys, and without what looks like OpenAI's."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "[key]")
        return re.sub(r"\bsk-[\w*-]{8,}", "[key]", text)

    # The exchange

    async def _json(self, ask: "_Ask", within_s: float | None) -> Any:
        received = await self._whole(ask, within_s)
        return self.parsed(received, model=ask.model) if received or ask.method == "GET" else None

    async def _whole(self, ask: "_Ask", within_s: float | None, most: int = MOST_BODY_BYTES) -> bytes:
        received = bytearray()
        try:
            async with asyncio.timeout(within_s), aclosing(self._bytes(ask)) as chunks:
                async for chunk in chunks:
                    received += chunk
                    if len(received) > most:
                        raise self.broken(f"Its answer is longer than {most:,} bytes.", model=ask.model)
        except TimeoutError:
            raise self._late(f"It gave no whole answer within {within_s:g} s.", ask.model) from None
        return bytes(received)

    async def _frames(
        self, ask: "_Ask", framing: Framing[Frame], last: Callable[[Frame], bool]
    ) -> AsyncGenerator[Frame, None]:
        now = asyncio.get_running_loop().time
        last_frame = now()
        async with aclosing(self._bytes(ask)) as chunks:
            async for chunk in chunks:
                try:
                    frames = framing.feed(chunk)
                except FrameTooLong as error:
                    raise self.broken(f"A piece of its answer is {error}.", model=ask.model) from None
                if frames:
                    last_frame = now()
                elif now() - last_frame > self.deadlines.piece_s:
                    late = f"Nothing but bytes without a meaning came for {self.deadlines.piece_s:g} s."
                    raise self._late(late, ask.model)
                for frame in frames:
                    yield frame
                    if last(frame):
                        ask.ended = True
                        return
        for frame in framing.end():
            yield frame

    async def _bytes(self, ask: "_Ask") -> AsyncGenerator[bytes, None]:
        """The raw body of a good answer, piece by piece."""
        request, model, begun = self._request(ask), ask.model, False
        try:
            answer = await self._open().ask(self._origin, request)
        except TransportError as error:
            raise self._failed(error, model, begun) from None
        try:
            if answer.status != _OK:
                raise await self._refused(answer, ask)
            if (
                answer.headers.get(b"content-type") not in _AS_ASKED.get(ask.accept, ())
                or b"content-encoding" in answer.headers
            ):
                await self._must_be(ask.accept, answer, model)
            while True:
                try:
                    chunk = await answer.more()
                except TransportError as error:
                    raise self._failed(error, model, begun) from None
                if not chunk:
                    return
                begun = True
                yield chunk
        finally:
            if ask.ended:
                answer.release()
            else:
                answer.close()

    def _open(self) -> Transport:
        if self._transport is None:
            # Nothing can be verified over plain HTTP, so reading the certificates is left out there.
            context = _certificates() if self._origin.scheme == "https" else None
            limits = self.deadlines
            self._transport = Transport(context, limits.connect_s, limits.first_byte_s, limits.idle_s)
        return self._transport

    def _request(self, ask: "_Ask") -> bytes:
        """The request as it goes out. Raises ProviderAuth for a key that is none."""
        body = b"" if ask.body is None else urlencode(ask.body).encode() if ask.form else encoded(ask.body)
        kind = "" if ask.body is None else "application/x-www-form-urlencoded" if ask.form else "application/json"
        place = ask.method, ask.path, ask.accept, kind, ask.key, tuple(ask.headers.items())
        head = self._heads.get(place)
        if head is None:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()  # so that a key in use is kept out of errors anew before it could be forgotten
            head = self._heads[place] = self._head(*place)
        return b"%s\r\ncontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    def _head(
        self, method: str, path: str, accept: str, kind: str, key: str, more: tuple[tuple[str, str], ...]
    ) -> bytes:
        """The request line and the headers but for the length."""
        keys = self._authorize(key)
        for value in keys.values():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                what = f"The key for {self._title} has characters that a key cannot have."
                why = "A line end or a space was probably copied with it."
                raise ProviderAuth(what, why=why, fix=self._auth_fix, details={"provider": self._provider})
            self._keep_out(value)
        ours = {"accept": accept, "accept-encoding": "identity", "user-agent": "circuit-breaker"}
        if kind:
            ours["content-type"] = kind
        url = urlsplit(f"{self.address.url}{path}")
        target = quote(f"{url.path or '/'}?{url.query}" if url.query else url.path or "/", safe=_IN_TARGET)
        name = f"[{self._origin.host}]" if ":" in self._origin.host else self._origin.host
        usual = self._origin.port == PORTS[self._origin.scheme]  # is left out (RFC 9110, 4.2.3)
        lines = [f"{method} {target} HTTP/1.1", f"host: {name}" if usual else f"host: {name}:{self._origin.port}"]
        for name, value in {**self._headers, **dict(more), **ours, **keys}.items():
            if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
                raise self.broken(f"The header {shown(name)} cannot be sent.")
            lines.append(f"{name}: {value}")
        return "\r\n".join(lines).encode("utf-8", "replace")

    async def _must_be(self, accept: str, answer: Answer, model: str) -> None:
        """Refuse an answer of another kind: a page of a proxy, or an error that came with status 200."""
        coding = _header(answer, b"content-encoding") or "identity"
        if coding.casefold() != "identity":
            raise self.broken(
                f"Its answer is compressed ({shown(coding)}), though we asked for it as it is.", model=model
            )
        kind = _media_type(answer)
        if kind == "text/html":
            page = _page(await self._problem(answer), _header(answer, b"server"))
            raise self.broken(f"{self.address.url} answered with a web page{page}.", model=model)
        if accept.endswith("/*") and accept != "*/*" and not kind.startswith(accept[:-1]):
            raise self.broken(f"What is there is {shown(kind) if kind else 'of no kind'}, not {accept}.", model=model)
        if accept == "text/event-stream" and kind == "application/json":
            problem = await self._problem(answer)
            if isinstance(problem, Mapping) and problem.get("error"):
                raise self.refusal(None, problem, model=model)
            raise self.broken("It answered in one piece, not as a stream.", model=model)

    async def _refused(self, answer: Answer, ask: "_Ask") -> ProviderError:
        problem, server = await self._problem(answer), _header(answer, b"server")
        if _media_type(answer) == "text/html":
            problem, server = f"A web page{_page(problem, server)}", ""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers.items()}
        return self.refusal(
            answer.status,
            problem,
            model=ask.model,
            retry_after_s=retry_after_s(headers, self._world),
            key=ask.key,
            server=server,
        )

    async def _problem(self, answer: Answer) -> Any:
        """The body of an error as JSON or text; what cannot be had of it in time is left out."""
        received = bytearray()
        with suppress(TimeoutError, TransportError):
            async with asyncio.timeout(_ERROR_BODY_S):
                while len(received) <= MOST_ERROR_BYTES and (piece := await answer.more()):
                    received += piece
        try:
            return orjson.loads(bytes(received))
        except orjson.JSONDecodeError:
            text = self.scrubbed(received.decode("utf-8", "replace"))
            if len(received) <= MOST_ERROR_BYTES:
                return text
            # A key that we cut in half was not recognised: what may be left of it goes.
            return text[: len(text) - max((len(one) for one in self._secrets), default=0)]

    def _failed(self, error: TransportError, model: str, begun: bool) -> ProviderError:
        """A failed exchange in our words. `begun` says whether something of the answer was there."""
        limits = self.deadlines
        if isinstance(error, ConnectTooSlow):
            return self._late(f"No connection within {limits.connect_s:g} s.", model)
        if isinstance(error, ReadTooSlow):
            silent = f"It fell silent for {limits.idle_s:g} s."
            return self._late(
                silent if begun else f"Not one byte of an answer came within {limits.first_byte_s:g} s.", model
            )
        if isinstance(error, Unreachable):
            what = f"{self._title} does not answer at {self.address.url}."
            details = {"provider": self._provider, "model": model}
            return ProviderUnavailable(what, why=_reason(error), fix=self._unreachable_fix, details=details)
        return self.broken(f"The connection broke off: {_reason(error)}", model=model)

    def _late(self, why: str, model: str) -> ProviderTimeout:
        what = f"{self._title} ({model}) took too long." if model else f"{self._title} took too long."
        fix = self._unreachable_fix if not model else "Try again, or use another model."
        return ProviderTimeout(what, why=why, fix=fix, details={"provider": self._provider, "model": model})


_OF_THE_KEY = (
    *("authentication_error", "permission_error"),  # Anthropic's
    "invalid_api_key",  # OpenAI's
    *("API_KEY_INVALID", "UNAUTHENTICATED", "PERMISSION_DENIED"),  # Google's, the first with status 400
)


def _certificates() -> ssl.SSLContext:
    """Those of Mozilla, the same on each machine."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _header(answer: Answer, name: bytes) -> str:
    return answer.headers.get(name, b"").decode("latin-1")


def _media_type(answer: Answer) -> str:
    return _header(answer, b"content-type").partition(";")[0].strip().casefold()


def _page(problem: Any, server: str) -> str:
    """What a web page calls itself, and who sent it."""
    text = problem if isinstance(problem, str) else ""
    title = re.search(r"<title[^>]*>\s*(.{1,200}?)\s*</title>", text, re.S | re.I)
    called = f" that is called {shown(' '.join(title[1].split()), 60)}" if title else ""
    return called + (f", sent by {shown(server, 40)}" if server else "")


def _forms(header: str) -> set[str]:
    """The spellings of a key in which it could come back: whole, without its scheme, as part of an address."""
    bare = header.rpartition(" ")[2]
    return {form for form in (header, bare, quote(bare, safe="")) if len(form) >= 4}


def _reason(error: BaseException) -> str:
    """The system's reason at the bottom of an exception."""
    seen: list[BaseException] = [error]
    for one in seen:
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        causes = (one.__cause__, one.__context__, *inner)
        seen += [cause for cause in causes if cause is not None and cause not in seen]
    for one in seen:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"Its certificate is not trusted: {one.verify_message}."
        if isinstance(one, socket.gaierror):
            return "There is no host of that name."
        if isinstance(one, ssl.SSLError):
            return "It does not speak TLS as we do; perhaps it is http, not https."
        if isinstance(one, OSError) and one.errno:
            return f"{os.strerror(one.errno)}."
    return f"{str(error).rstrip('.') or type(error).__name__}."
