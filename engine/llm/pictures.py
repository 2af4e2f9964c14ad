"""Pictures that a prompt only names, for providers that take nothing but the picture itself.

Nothing is fetched unless the user allows it: an address in a prompt may come from anybody, and asking there tells that
somebody reads it. A name is resolved once, and what is asked is the address that was looked at, so that it cannot mean
another machine a moment later. Redirects are not followed; size, time and kind are bounded.
"""

import asyncio
import base64
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from engine.kernel.errors import CircuitBreakerError, ProviderRejected, shown
from engine.kernel.world import World
from engine.llm.messages import ChatRequest, Image, Part
from engine.llm.wire import PORTS, Address, Deadlines, Wire

MOST_BYTES = 20 * 1024 * 1024
MOST_PICTURES = 20  # of one prompt
WITHIN_S = 20.0  # for one picture
SETTING = "providers.ollama.fetch_pictures"
_AS_DATA = "Send the picture itself, as a `data:` URL"
_DEADLINES = Deadlines(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)
_NAT64 = IPv6Network("64:ff9b::/96")
# what Python takes for global: a network's own translator (RFC 8215), a site, IPv4 written as IPv6 (RFC 4291)
_NEAR = tuple(map(IPv6Network, ("64:ff9b:1::/48", "fec0::/10", "::/96")))
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Pictures:
    """`fetched` says which: `no`, `public` for those on the open internet, `any` also for those on this machine and its
    network."""

    def __init__(self, world: World, fetched: str = "no", resolve: Resolve = resolved) -> None:
        self._world, self._fetched, self._resolve = world, fetched, resolve

    async def inside(self, request: ChatRequest, provider: str, model: str) -> ChatRequest:
        """The request with its pictures in it. Raises ProviderRejected for one that cannot or may not be fetched."""
        urls = {part.url for message in request.messages for part in message.parts if isinstance(part, Image)}
        away = sorted(url for url in urls if url.partition(":")[0].casefold() in ("http", "https"))
        if not away:
            return request

        def no(url: str, why: str, fix: str = f"{_AS_DATA}.") -> ProviderRejected:
            what = f"The picture {shown(url, 60)} cannot be given to {model}."
            return ProviderRejected(what, why=why, fix=fix, details={"provider": provider, "model": model})

        if self._fetched == "no":
            why = "This provider takes only the picture itself, and nothing is fetched without your leave."
            raise no(away[0], why, f'{_AS_DATA}, or set {SETTING} = "public".')
        if request.preferences.local_only:
            raise no(away[0], "The prompt must not leave this machine, and to fetch a picture tells somebody of it.")
        if len(away) > MOST_PICTURES:
            raise no(away[-1], f"There are {len(away)} to fetch, and {MOST_PICTURES} is the most.")
        data = dict[str, str]()
        for url in away:
            try:
                data[url] = await self._data_url(url)
            except (_Refused, CircuitBreakerError) as error:
                why = error.why if isinstance(error, CircuitBreakerError) else str(error)
                raise no(url, why or str(error)) from None

        def part_with(part: Part) -> Part:
            return Image(data[part.url]) if isinstance(part, Image) and part.url in data else part

        messages = tuple(replace(one, parts=tuple(map(part_with, one.parts))) for one in request.messages)
        return replace(request, messages=messages)

    async def _data_url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        except ValueError:
            raise _Refused("That is no address.") from None
        root = Address.parse(f"{parts.scheme}://{parts.netloc}")
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        at = await self._at(host, port)
        wire = Wire(
            root, provider="pictures", title=f"The host {host}", world=self._world, deadlines=_DEADLINES,
            at=at,
        )  # fmt: skip
        try:
            received = await wire.get_bytes(path, accept="image/*", most=MOST_BYTES, within_s=WITHIN_S)
        finally:
            await wire.close()
        kind = next((kind for start, kind in _STARTS.items() if received.startswith(start)), "")
        if not kind or (kind == "image/webp" and received[8:12] != b"WEBP"):
            raise _Refused("What is there is no PNG, JPEG, GIF or WebP.")
        return f"data:{kind};base64,{base64.b64encode(received).decode()}"

    async def _at(self, host: str, port: int) -> str:
        """The address that is asked; all that a name stands for have to be allowed."""
        try:
            async with asyncio.timeout(_DEADLINES.connect_s):
                found = [ip_address(one.partition("%")[0]) for one in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):  # a timeout is an OSError
            raise _Refused("There is no host of that name.") from None
        near = [one for one in found if not is_public(one)]
        if self._fetched != "any" and near:
            raise _Refused(f"{host} is {near[0]}, which is not on the open internet: {SETTING} forbids to ask there.")
        if not found:
            raise _Refused("There is no host of that name.")
        return str(found[0])


class _Refused(Exception):
    """Why a picture is not fetched."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address, and an IPv4 one that is written in it, is on the open internet."""
    written: list[IPv4Address] = []
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in near for near in _NEAR):
            return False
        written = [one for one in (address.sixtofour, *(address.teredo or ())) if one]
        written += [IPv4Address(int(address) & 0xFFFFFFFF)] if address in _NAT64 else []
    return address.is_global and not address.is_multicast and all(map(is_public, written))
