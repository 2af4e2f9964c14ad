"""Setting up a provider from outside: its address in the settings file, its key in the keyring.

The address is read when the program starts, so that a change counts from the next start on; a key counts at once. A key
is bound to the address that it is for: given together, it is bound to the new one.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from engine.kernel.errors import InvalidInput, NotFound
from engine.kernel.settings import Loaded, Spec, save, specs
from engine.keys.providers import ProviderKeys
from engine.keys.service import KeyInfo

_NAMES = ("url", "endpoint")


@dataclass(frozen=True, slots=True)
class Configured:
    """What was done. `restart` says what counts only from the next start on, or not before something else is done."""

    provider: str
    address: str
    key: KeyInfo | None
    restart: tuple[str, ...]


async def configure(
    loaded: Loaded, keys: ProviderKeys, provider: str, *, address: str = "", key: str = ""
) -> Configured:
    """Set the address of a provider, its key, or both; what is empty stays as it is. The key is never given back.

    Raises NotFound for a provider that is not known, InvalidInput when there is nothing to set or it is wrong,
    InvalidConfig when the settings file cannot be written, and what setting a key raises.
    """
    if not address and not key:
        raise InvalidInput(
            "There is nothing to set.", fix="Give an address, a key, or both.", details={"path": "input"}
        )
    known = dict(addresses())
    attribute, spec = known.get(provider, ("", None))
    if spec is None and address:
        raise NotFound.named("provider whose address can be set", provider, known, fix=f"Known: {', '.join(known)}.")
    now = str(getattr(loaded.settings, attribute)) if attribute else ""
    wanted, restart = now, list[str]()
    if spec is not None and address and (wanted := _parsed(spec, address)) != now:
        await asyncio.to_thread(save, loaded.file, spec.key, wanted)
        origin, where = loaded.origins[attribute]
        restart.append(f"{provider} is asked at {wanted} after a restart.")
        if origin in ("environment", "flag"):
            restart = [f"{where} says where {provider} is, and goes before the settings file: take it away first."]
    info = await keys.set(provider, key, address=wanted) if key else None
    return Configured(provider, wanted, info, tuple(restart))


def addresses() -> Iterator[tuple[str, tuple[str, Spec]]]:
    """The providers whose address is a setting, each with its attribute and its spec."""
    for attribute, spec, _ in specs():
        group, _, rest = spec.key.partition(".")
        provider, _, name = rest.partition(".")
        if group == "providers" and name in _NAMES:
            yield provider, (attribute, spec)


def _parsed(spec: Spec, address: str) -> str:
    try:
        return str(spec.parse(address))
    except ValueError as error:
        raise InvalidInput(
            "The address is not right.", fix=f"Give {error}.", details={"path": "input.baseUrl", "setting": spec.key}
        ) from None
