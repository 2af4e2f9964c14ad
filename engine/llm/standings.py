"""What is known of models beside what their providers say, for routing: put together when it is looked at."""

from collections.abc import Callable, Mapping, Sequence

from engine.kernel.machine import Machine
from engine.llm.fit import unfit
from engine.llm.health import Health
from engine.llm.model import Model
from engine.llm.priors import Prior, Priors
from engine.llm.routing.model import Standing

Votes = Mapping[str, Mapping[str, tuple[float, int]]]


class Standings:
    """Gives the standing of a model by itself. `votes` are by the model's id, then by task; `machine` is
    this machine, once it was looked at."""

    def __init__(
        self,
        health: Health,
        priors: Callable[[], Priors],
        keys: Callable[[Model], Sequence[str]],
        votes: Votes,
    ) -> None:
        self._health, self._find, self._keys = health, priors, keys
        self.machine: Machine | None = None
        self._priors: Priors | None = None
        self._known: dict[str, Prior | None] = {}
        self._looked_at: dict[str, tuple[Model, Machine, str]] = {}
        self._votes = votes

    def of(self, model: Model) -> Standing:
        prior = self._prior(model)
        return Standing(
            prior.skills if prior else {},
            prior.source if prior else "",
            self._votes.get(model.id, {}),
            self._health.speed(model),
            self._health.open_reason(model, self._keys(model)) if self._health.troubled else "",
            self._unfit(model) if model.local else "",
            self._health.busy(model),
        )

    def _unfit(self, model: Model) -> str:
        if self.machine is None:
            return ""
        known = self._looked_at.get(model.id)
        if known is None or known[0] is not model or known[1] is not self.machine:
            known = self._looked_at[model.id] = model, self.machine, unfit(model, self.machine)
        return known[2]

    def _prior(self, model: Model) -> Prior | None:
        if model.id not in self._known:
            self._priors = self._priors or self._find()
            self._known[model.id] = self._priors.of(model)
        return self._known[model.id]
