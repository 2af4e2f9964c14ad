"""What is there: every provider with its state, and the models of all of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.kernel.bus import Bus
from engine.llm.model import Model, ProviderStatus


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """A provider came, went, or has other models."""

    provider: ProviderStatus


class Catalog:
    """Kept up to date by `engine.llm.discovery`; reading it asks nobody."""

    def __init__(
        self,
        bus: Bus,
        order: Sequence[str],
        enrich: Callable[[ProviderStatus], ProviderStatus] = lambda status: status,
    ) -> None:
        """`order` is the ids of the providers, as they are shown. `enrich` adds what providers do not say of their
        models (`engine.llm.library`)."""
        self._bus, self._order, self._enrich = bus, order, enrich
        self._providers: dict[str, ProviderStatus] = {}
        self.models: Sequence[Model] = ()
        """The models of all providers that are up."""

    @property
    def providers(self) -> Mapping[str, ProviderStatus]:
        return {id: self._providers[id] for id in self._order if id in self._providers}

    def down(self, name: str) -> ProviderStatus | None:
        """The provider that has the model which `name` means, when it has it and is down now."""
        for status in self.providers.values():
            if status.state == "down" and next(named(name, status.models), None):
                return status
        return None

    def update(self, status: ProviderStatus) -> None:
        status = self._enrich(status)
        if self._providers.get(status.id) != status:
            self._providers[status.id] = status
            up = [one for one in self.providers.values() if one.state == "up"]
            self.models = tuple(model for one in up for model in one.models)
            self._bus.publish([CatalogChanged(status)])


def listed(providers: Iterable[ProviderStatus], taken: Iterable[str] = ()) -> Iterator[tuple[str, Model]]:
    """The models of all, also of those that are down now, under names that no two share: a name that another provider
    has too, or that is `taken`, comes with its provider before it."""
    seen = set(taken)
    for status in providers:
        for model in status.models:
            name = model.id if model.name in seen else model.name
            seen.add(name)
            yield name, model


def named(name: str, models: Sequence[Model]) -> Iterator[Model]:
    """The models that `name` means: `provider/name`, `name`, or `name` without `:latest`; then those that are this
    model under a name of their own, as deployments are."""
    others = []
    for model in models:
        if name in (model.id, model.name) or (":" not in name and f"{name}:latest" in (model.name, model.id)):
            yield model
        elif name and name == model.details.get("base_model"):
            others.append(model)
    yield from others
