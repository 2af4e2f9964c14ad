"""How a token of Google's is got: for the credentials in a file, or from the metadata server of a machine of theirs.

A secret goes only to the addresses that the file names; redirects are not followed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.kernel.errors import ProviderAuth, ProviderRejected
from engine.kernel.world import World
from engine.llm.providers.tokens import WITHIN_S, Issue, Issued, granted, issued_in
from engine.llm.providers.vertex.credentials import (
    PUBLIC,
    Account,
    Become,
    Credentials,
    Subject,
    read_credentials,
)
from engine.llm.wire import Address, Wire, bearer

_ENABLED = "Look whether the account is enabled, and its key still there."
_POOL = "Look whether the identity pool takes that issuer, subject and audience."
_CREATOR = "Give it the role Service Account Token Creator, or Workload Identity User, on that account."
_ATTACHED = "Give this machine a service account, or name credentials in GOOGLE_APPLICATION_CREDENTIALS."


def from_file(file: Path, world: World, title: str, token_url: str = "") -> Issue:
    """The file is read anew each time. `token_url` takes the place of the address in it."""

    async def issue() -> Issued:
        credentials = await asyncio.to_thread(read_credentials, file, token_url)
        own = await _own(credentials, world, title)
        return own if credentials.become is None else await _became(credentials.become, own, credentials.who, world)

    return issue


def from_metadata(host: str, world: World) -> Issue:
    """Tokens of the service account that a machine was given ("Authenticate workloads", cloud.google.com, 2026-08)."""

    async def issue() -> Issued:
        title = "Google's metadata server"
        async with _wire(f"http://{host}", title, world, {"metadata-flavor": "Google"}, _ATTACHED) as wire:
            try:
                path = "/computeMetadata/v1/instance/service-accounts/default/token"
                return issued_in(await wire.get_json(path, within_s=WITHIN_S), wire)
            except (ProviderAuth, ProviderRejected) as error:
                raise ProviderAuth(
                    f"{title} gave no token.", why=error.why, fix=_ATTACHED, details=error.details
                ) from None

    return issue


async def _own(credentials: Credentials, world: World, title: str) -> Issued:
    service, no = f"The token service of {title}", f"Google gave no token to {credentials.who}."
    if isinstance(credentials, Account):
        form = await asyncio.to_thread(credentials.form, world.now())
        async with _wire(credentials.token_url, service, world) as wire:
            return await granted(wire, form, no=no, fix=_ENABLED)
    form = credentials.form(await _subject_token(credentials.subject, world))
    async with _wire(credentials.token_url, service, world, credentials.headers) as wire:
        return await granted(wire, form, no=no, fix=_POOL, public=PUBLIC)


async def _subject_token(subject: Subject, world: World) -> str:
    if subject.file is not None:
        try:
            return subject.token_in(await asyncio.to_thread(subject.file.read_text, "utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise subject.missing(f"{getattr(error, 'strerror', '') or 'It is no text'}.") from None
    parts = urlsplit(subject.url)
    root, path = f"{parts.scheme}://{parts.netloc}", parts._replace(scheme="", netloc="").geturl()
    async with _wire(root, f"The identity service at {root}", world, subject.headers) as wire:
        try:
            return subject.token_in(await wire.get_text(path, within_s=WITHIN_S))
        except ProviderRejected as error:
            raise subject.missing(error.why) from None


async def _became(become: Become, own: Issued, who: str, world: World) -> Issued:
    async with _wire(become.url, "Google's IAM", world) as wire:
        try:
            answer = await wire.post_json("", become.body, key=own.token, within_s=WITHIN_S)
        except (ProviderAuth, ProviderRejected) as error:
            account = become.url.rpartition("/")[2].partition(":")[0]
            what = f"{who[:1].upper()}{who[1:]} cannot become {account}."
            raise ProviderAuth(what, why=error.why, fix=_CREATOR, details=error.details) from None
        token, until = (answer.get(name) for name in ("accessToken", "expireTime")) if answer else (None, None)
        if not isinstance(token, str) or not token:
            raise wire.broken("It gave no token.")
        return Issued(token, _seconds_to(until, world))


def _seconds_to(until: Any, world: World) -> float:
    try:
        return (datetime.fromisoformat(str(until)) - world.now()).total_seconds()
    except (ValueError, TypeError):
        return 0.0


@asynccontextmanager
async def _wire(
    url: str, title: str, world: World, headers: Mapping[str, str] | None = None, fix: str = ""
) -> AsyncIterator[Wire]:
    """One that is opened for one exchange. `headers` are secrets; without any a key is a token."""
    authorize = (lambda _: headers) if headers else bearer
    wire = Wire(
        Address.parse(url), provider="vertex", title=title, world=world, authorize=authorize, unreachable_fix=fix
    )
    try:
        yield wire
    finally:
        await wire.close()
