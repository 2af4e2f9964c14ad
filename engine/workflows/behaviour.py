"""How long transitions take, for a simulation: what a workflow's author wrote in their metadata. Pure.

A transition's metadata may have `simulation`: `{"meanSeconds": 60}` (exponential), `{"seconds": 60}` (always so long),
or `{"fromSeconds": 30, "toSeconds": 90}` (uniform), each with `weight`, how often it is chosen among those that can
fire, and `capacity`, on how many tokens it works at once.
"""

from collections.abc import Mapping
from typing import Any

from engine.kernel.errors import InvalidInput, NotFound, nearest
from engine.nets.model import Net
from engine.nets.simulation import Behaviour, Duration, Exponential, Fixed, Uniform

_KNOWN = ("seconds", "meanSeconds", "fromSeconds", "toSeconds", "weight", "capacity")
MOST_SECONDS = 10 * 366 * 86_400


def behaviours(net: Net, given: Mapping[str, Any] | None = None) -> Mapping[str, Behaviour]:
    """The behaviour of each transition that has one: `given` by its id, else what stands in its metadata.

    Raises InvalidInput and NotFound.
    """
    found = {t.id: t.metadata["simulation"] for t in net.transitions if "simulation" in t.metadata}
    for name in given or {}:
        if name not in net.transition_of:
            raise NotFound.named("transition", name, net.transition_of)
    return {name: behaviour(value, name) for name, value in {**found, **(given or {})}.items()}


def behaviour(given: object, path: str) -> Behaviour:
    """One behaviour from JSON; a number alone is `meanSeconds`."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = {"meanSeconds": given}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"The behaviour of {path} is not an object.", fix='Write {"meanSeconds": 60}.')
    for key in given:
        if key not in _KNOWN:
            close = nearest(str(key), _KNOWN)
            why = f"Did you mean {close[0]}?" if close else ""
            raise InvalidInput(f"{path}.{key} is not known here.", why=why, fix=f"Known are {', '.join(_KNOWN)}.")
    weight, capacity = _number(given, "weight", path, 1.0), given.get("capacity")
    if capacity is not None and (isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1):
        raise InvalidInput(f"{path}.capacity is no whole number from 1.", details={"path": f"{path}.capacity"})
    return Behaviour(duration(given, path), weight, capacity)


def duration(given: Mapping[str, Any], path: str) -> Duration:
    if "meanSeconds" in given:
        return Exponential(_number(given, "meanSeconds", path, 0.0))
    if "fromSeconds" in given or "toSeconds" in given:
        low, high = _number(given, "fromSeconds", path, 0.0), _number(given, "toSeconds", path, 0.0)
        if low > high:
            raise InvalidInput(f"{path}.fromSeconds is more than toSeconds.", details={"path": path})
        return Uniform(low, high)
    return Fixed(_number(given, "seconds", path, 0.0))


def _number(given: Mapping[str, Any], key: str, path: str, default: float) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        raise InvalidInput(
            f"{path}.{key} is no number that can be used.",
            fix="Give a number from 0 to ten years of seconds.",
            details={"path": f"{path}.{key}"},
        )
    return float(value)
