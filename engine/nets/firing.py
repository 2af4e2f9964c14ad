"""Firing: how one transition moves one token.

Pure: no clock, no I/O. Semantics follow Murata (1989) for weighted place/transition nets, with read, inhibitor and
reset arcs as in Christensen & Hansen (1993) and Dufourd et al. (1998): enabledness looks at the marking before the
firing; resets empty their places after the inputs are taken and before the outputs are put. The guard looks at the data
as the firing would leave it, so that what comes with a firing can allow it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.kernel.errors import NotEnabled, NotFound
from engine.nets.marking import enabled, in_words, lacking, moved
from engine.nets.model import Mode, Net, Transition
from engine.nets.token import Event, Token
from engine.rules.evaluation import evaluate, holds


@dataclass(frozen=True, slots=True)
class Firing:
    """What a firing does: the token after it, and the events that happened, in order."""

    token: Token
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a transition can fire now; `blockers` says in words what stands against each of its modes."""

    transition: Transition
    enabled: bool
    sources: tuple[str | None, ...]
    blockers: tuple[str, ...]


def fire(net: Net, token: Token, mode: Mode, at: datetime, *, patch: Mapping[str, Any] | None, actor: str) -> Firing:
    """Move `token` through `mode` of one transition and merge `patch` into its data.

    A mode is one way to fire it: `fromStates: [a, b]` gives two. Returns the next token (version + 1) and its event,
    whose hash is still empty.

    Raises NotEnabled naming each place that lacks or holds too many, and each guard that said no, with its reason.
    """
    data = merged(token.data, patch) if patch else token.data
    guard = mode.transition.guard
    if not enabled(token.marking, mode) or (guard is not None and not holds(guard, data, token.metadata)):
        raise not_enabled(net, token, mode.transition, obstacles(token, mode, data))
    after = moved(token.marking, mode)
    event = Event(
        token=token.id,
        sequence=token.version + 1,
        kind="fired",
        before=token.marking,
        after=after,
        at=at,
        transition=mode.transition.id,
        source=mode.source,
        data=patch or None,
        actor=actor,
    )
    fired = Token(
        token.id, token.workflow, after, data, token.metadata, event.sequence, token.created_at, at, token.head
    )
    return Firing(fired, (event,))


def obstacles(token: Token, mode: Mode, data: Mapping[str, Any]) -> list[str]:
    """What stands against `mode`, a sentence each; nothing when it can fire."""
    marking, transition = token.marking, mode.transition
    found = [
        f"{arc.place} has {marking.get(arc.place, 0)} of {arc.weight} {'token' if arc.weight == 1 else 'tokens'}"
        for arc in lacking(marking, mode.inputs)
    ]
    found += [
        f"{arc.place} must hold {arc.weight} and has {marking.get(arc.place, 0)}"
        for arc in lacking(marking, transition.reads)
    ]
    found += [
        f"{arc.place} must have fewer than {arc.weight} and has {marking[arc.place]}"
        for arc in transition.inhibitors
        if marking.get(arc.place, 0) >= arc.weight
    ]
    if transition.guard:
        answer = evaluate(transition.guard, data, token.metadata)
        if not answer.passed:
            found.append(f"the guard says no: {answer.reason}")
    return found


def choose_mode(net: Net, token: Token, transition_id: str, source: str | None = None) -> Mode:
    """The mode to fire: that of `source` when given, else the first in declared order that the places let fire, else
    the first.

    Raises NotFound for a transition, or a source, that the net does not have.
    """
    modes = net.modes_of.get(transition_id)
    if modes is None:
        raise NotFound.named("transition", transition_id, net.modes_of)
    if source is not None:
        named = [mode for mode in modes if mode.source == source]
        if not named:
            known = [mode.source for mode in modes if mode.source]
            raise NotFound.named(f"source of {transition_id}", source, known)
        return named[0]
    return next((mode for mode in modes if enabled(token.marking, mode)), modes[0])


def availability(net: Net, token: Token) -> tuple[Availability, ...]:
    """Each transition of the net: whether it can fire now, from which sources, and if not, why."""
    found = []
    for transition in net.transitions:
        against = [(mode, obstacles(token, mode, token.data)) for mode in net.modes_of[transition.id]]
        free = tuple(mode.source for mode, blockers in against if not blockers)
        why = () if free else _of_any(net, token, transition, against)
        found.append(Availability(transition, bool(free), free, why))
    return tuple(found)


def _of_any(
    net: Net, token: Token, transition: Transition, against: Sequence[tuple[Mode, list[str]]]
) -> tuple[str, ...]:
    """Why none of the modes can fire. Of several, the one that the places let fire speaks; when there is none, one
    sentence for all sources."""
    if len(against) == 1:
        return tuple(against[0][1])
    for mode, blockers in against:
        if enabled(token.marking, mode):
            return tuple(blockers)
    sources = " or ".join(transition.sources)
    return (f"it needs a token in {sources}, and the token is in {in_words(token.marking, net.place_ids)}",)


def not_enabled(net: Net, token: Token, transition: Transition, blockers: Sequence[str]) -> NotEnabled:
    """The error for a transition that cannot fire, with what could fire instead."""
    state = in_words(token.marking, net.place_ids)
    able = [one.transition.id for one in availability(net, token) if one.enabled]
    return NotEnabled(
        f"{transition.id} cannot fire: the token is in {state}.",
        why=f"{'; '.join(blockers)}.",
        fix=f"It can fire {', '.join(able)}." if able else "Nothing can fire any more.",
        details={"transition": transition.id, "state": state, "blockers": list(blockers), "available": able},
    )


def merged(data: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with a JSON merge patch (RFC 7396) applied: null removes, objects merge, all else replaces."""
    result = dict(data)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            old = result.get(key)
            result[key] = merged(old if isinstance(old, Mapping) else {}, value)
        else:
            result[key] = value
    return result
