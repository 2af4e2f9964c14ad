"""What all providers in the cloud are made of: where one is, how it takes a key, and which of its models were named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.kernel.errors import ProviderAuth
from engine.kernel.world import World
from engine.llm.endpoints import Given
from engine.llm.model import FREE, Ability, Model
from engine.llm.ports import KeptAt, KeySource, not_told
from engine.llm.wire import REMOTE, Address, Authorize, Deadlines, Wire, bearer


@dataclass(frozen=True, slots=True)
class Site:
    """One provider at one address. `authorize` gives the headers that carry a key; without `needs_key` it is also asked
    without one. `given` are the models that the user named; when there are none it is asked what it has. `catalog` is
    the provider whose prices hold here, where it is not `id`."""

    id: str
    title: str
    address: Address
    keys: KeySource
    needs_key: bool = True
    local: bool = False
    authorize: Authorize = bearer
    headers: Mapping[str, str] = field(default_factory=dict)
    key_fix: str = ""
    kept: KeptAt = not_told
    unreachable_fix: str = "Check the network."
    deadlines: Deadlines = REMOTE
    given: tuple[Given, ...] = ()
    catalog: str = ""

    def wire(self, world: World) -> Wire:
        return Wire(
            self.address,
            provider=self.id,
            title=self.title,
            world=world,
            authorize=self._authorization,
            headers=self.headers,
            deadlines=self.deadlines,
            unreachable_fix=self.unreachable_fix,
            auth_fix=self.key_fix,
            kept=self.kept,
        )

    def usable_keys(self) -> Sequence[str]:
        return self.keys() or (() if self.needs_key else ("",))

    def model(self, found: Model) -> Model:
        """A model that the provider told of, as it is here."""
        details = {**found.details, **({"catalog": self.catalog} if self.catalog else {})}
        price = found.price if found.price is not None else FREE if self.local else None
        return replace(found, price=price, local=self.local, details=details)

    def named(self, abilities_of: Callable[[str], frozenset[Ability]]) -> tuple[Model, ...]:
        """The models that the user named; what they can is taken from the name where it was not said."""
        return tuple(
            self.model(
                Model(
                    self.id,
                    one.name,
                    one.abilities or abilities_of(one.base or one.name),
                    one.context,
                    price=one.price,
                    most_output=one.most_output,
                    details=({"base_model": one.base} if one.base else {})
                    | ({"abilities": "given"} if one.abilities else {}),
                )
            )
            for one in self.given
        )

    def _authorization(self, key: str) -> Mapping[str, str]:
        if not key:
            if self.needs_key:
                raise ProviderAuth(
                    f"There is no key for {self.title}.", fix=self.key_fix, details={"provider": self.id}
                )
            return {}
        return self.authorize(key)


def in_header(name: str) -> Authorize:
    """A key as the whole value of a header."""
    return lambda key: {name: key}
