"""Documents from the web at large, by httpx: for an address that a user gives, once. Providers are asked by
`engine.llm.wire`, whose connections follow nothing and are kept."""

import asyncio

import httpx

from engine.kernel.errors import InvalidInput, ProviderRejected, ProviderTimeout, ProviderUnavailable

MOST_REDIRECTS = 5


async def fetched(address: str, *, most_bytes: int, within_s: float) -> bytes:
    """What is at `address`, unpacked; redirects are followed. Raises InvalidInput for what is no address,
    ProviderUnavailable, ProviderTimeout, and ProviderRejected for another status than 200 and for more than
    `most_bytes`."""
    found = bytearray()
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(follow_redirects=True, max_redirects=MOST_REDIRECTS, timeout=within_s) as client,
            client.stream("GET", address) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                what = f"{address} answered with {answer.status_code} {answer.reason_phrase}."
                raise ProviderRejected(what, fix="Correct the address.", details={"status": answer.status_code})
            async for piece in answer.aiter_bytes():
                found += piece
                if len(found) > most_bytes:
                    raise ProviderRejected(f"What is at {address} is larger than {most_bytes:,} bytes.")
    except (TimeoutError, httpx.TimeoutException):
        why = f"It was not there within {within_s:g} s."
        raise ProviderTimeout(f"{address} took too long.", why=why, fix="Try again.") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise InvalidInput(
            f"{address} is no address.", why=f"{error}.", fix="Write it like https://host/path."
        ) from None
    except httpx.HTTPError as error:
        why = f"{str(error).rstrip('.') or type(error).__name__}."
        raise ProviderUnavailable(f"{address} does not answer.", why=why, fix="Check the network.") from None
    return bytes(found)
