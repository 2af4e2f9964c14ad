"""The keys of the providers: what people list, set and delete, by the provider's name alone."""

from collections.abc import Callable, Mapping, Sequence

from engine.kernel.errors import InvalidInput, NotFound
from engine.keys.environment import VARIABLES
from engine.keys.service import KeyInfo, Keys

_WHERE: Mapping[str, str] = {"custom": "CUSTOM_LLM_ENDPOINT", "azure": "AZURE_OPENAI_ENDPOINT"}


class ProviderKeys:
    """`addresses` is where each provider is asked, which its key is bound to; `changed` is told of a provider whose key
    is another one now. `variables` are those of each provider."""

    def __init__(
        self,
        keys: Keys,
        addresses: Mapping[str, str],
        changed: Callable[[str], None],
        variables: Mapping[str, tuple[str, ...]] = VARIABLES,
    ) -> None:
        self._keys, self._addresses, self._changed, self._variables = keys, addresses, changed, variables

    @property
    def providers(self) -> Sequence[str]:
        """Those that take a key."""
        return tuple(self._variables)

    def all(self) -> Sequence[KeyInfo]:
        """All keys, those of the environment first."""
        return self._keys.known(self._addresses)

    async def set(self, provider: str, secret: str, *, address: str = "") -> KeyInfo:
        """Keep a key, for the address that the provider has or will have. Raises NotFound for a provider that takes
        none, and what `Keys.set` raises."""
        info = await self._keys.set(provider, self._address(provider, address), secret)
        self._changed(provider)
        return info

    async def delete(self, provider: str) -> None:
        """Forget a key. Raises what `Keys.delete` raises."""
        await self._keys.delete(provider, self._address(provider))
        self._changed(provider)

    def _address(self, provider: str, wanted: str = "") -> str:
        if provider not in self._variables:
            fix = f"Known: {', '.join(self._variables)}."
            raise NotFound.named("provider that takes a key", provider, self._variables, fix=fix)
        address = wanted or self._addresses.get(provider, "")
        if not address:
            raise InvalidInput(
                f"It is not known where {provider} is.",
                why="A key is bound to the address it is for.",
                fix=f"Set {_WHERE.get(provider, f'endpoints.{provider}.url')} first.",
                details={"path": "provider"},
            )
        return address
