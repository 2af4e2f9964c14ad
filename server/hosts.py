"""Which hosts and origins are this machine. Pure.

A page in the user's browser must not drive this server: the Host header must name this machine (against DNS rebinding),
and an Origin, where there is one, must be this machine's or one that was allowed.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")


def is_this_machine(host: str) -> bool:
    """Whether a host name or address means the loopback of this machine."""
    if host.casefold() == "localhost" or host.casefold().endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def names_this_machine(header: str) -> bool:
    """Whether a Host header, with or without a port, means this machine."""
    found = _HOST.fullmatch(header)
    return found is not None and is_this_machine(found[1])


def may(origin: str, allowed: Collection[str]) -> bool:
    """Whether pages of `origin` may use the server. `null`, a page without an origin, may not."""
    if origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and not parts.path and names_this_machine(parts.netloc)
