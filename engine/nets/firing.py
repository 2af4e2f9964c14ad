"""Firing: how one transition moves one token, and what moves by itself after it.

Pure: no clock, no I/O. Semantics follow Murata (1989) for weighted place/transition nets, with read, inhibitor and
reset arcs as in Christensen & Hansen (1993) and Dufourd et al. (1998): enabledness looks at the marking before the
firing; resets empty their places after the inputs are taken and before the outputs are put. The guard looks at the data
as the firing would leave it, so that what comes with a firing can allow it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.kernel.errors import Conflict, NotEnabled, NotFound
from engine.kernel.records import record
from engine.nets.effects import Abandon, Begin, Effect, asked_again, clocks, possible
from engine.nets.marking import Marking, enabled, in_words, lacking, moved
from engine.nets.model import Mode, Net, Transition
from engine.nets.token import Event, Status, Token
from engine.rules.evaluation import evaluate, holds

MOST_AUTOMATIC = 100
AUTOMATIC = "automatic"
"""The actor of what fires by itself."""


@record
class Firing:
    """What a firing does: the token after it, the events that happened, in order, and what is to be done, as data."""

    token: Token
    events: tuple[Event, ...]
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a transition can fire now; `blockers` says in words what stands against each of its modes."""

    transition: Transition
    enabled: bool
    sources: tuple[str | None, ...]
    blockers: tuple[str, ...]


def fire(
    net: Net,
    token: Token,
    mode: Mode,
    at: datetime,
    *,
    patch: Mapping[str, Any] | None,
    actor: str,
    reason: str = "",
    finished: bool = False,
) -> Firing:
    """Move `token` through `mode` of one transition and merge `patch` into its data; then let the automatic transitions
    fire until none can.

    A mode is one way to fire it: `fromStates: [a, b]` gives two. Each event takes the version one up; their hashes are
    still empty. A transition with a sub-workflow only begins it; `finished` says that it has come to its end.

    Raises NotEnabled naming each place that lacks or holds too many, and each guard that said no, with its reason.
    Conflict when the automatic transitions do not come to rest.
    """
    data = merged(token.data, patch) if patch else token.data
    marking, allows = token.marking, mode.allows
    if (
        token.status == "cancelled"
        or not enabled(marking, mode)
        or (allows and not allows(data, token.metadata, marking))
    ):
        raise not_enabled(net, token, mode.transition, obstacles(token, mode, data))
    if not net.restless:
        return _moved(net, token, mode, at, data, patch, actor, reason)
    if mode.transition.sub_workflow and not finished:
        if mode.transition.id in token.running:
            raise not_enabled(net, token, mode.transition, obstacles(token, mode, data))
        first = _begun(token, mode, at, data, patch, actor, reason)
    else:
        first = _moved(net, token, mode, at, data, patch, actor, reason)
    return settled(net, _with_clocks(net, token, first, mode), at)


def settled(net: Net, firing: Firing, at: datetime) -> Firing:
    """`firing`, and what fires by itself after it: the most urgent automatic transition that can, again and again.

    Raises Conflict after MOST_AUTOMATIC of them.
    """
    token, events, effects = firing.token, firing.events, firing.effects
    while mode := _next_automatic(net, token):
        if len(events) > MOST_AUTOMATIC:
            raise Conflict(
                f"The automatic transitions of {token.workflow} do not come to rest.",
                why=f"After {MOST_AUTOMATIC} of them {mode.transition.id} could still fire.",
                fix="Give one of them a guard that says when to stop. Nothing was changed.",
                details={"transition": mode.transition.id, "limit": MOST_AUTOMATIC},
            )
        if mode.transition.sub_workflow:
            step = _begun(token, mode, at, token.data, None, AUTOMATIC, "")
        else:
            step = _moved(net, token, mode, at, token.data, None, AUTOMATIC, "")
        step = _with_clocks(net, token, step, mode)
        token, events, effects = step.token, events + step.events, effects + step.effects
    return Firing(token, events, effects)


def _next_automatic(net: Net, token: Token) -> Mode | None:
    for transition in net.automatic:
        if transition.id in token.running:
            continue
        if transition.guard is not None and not holds(transition.guard, token.data, token.metadata, token.marking):
            continue
        for mode in net.modes_of[transition.id]:
            if enabled(token.marking, mode):
                return mode
    return None


def _moved(
    net: Net,
    token: Token,
    mode: Mode,
    at: datetime,
    data: Mapping[str, Any],
    patch: Mapping[str, Any] | None,
    actor: str,
    reason: str,
) -> Firing:
    before, sequence = token.marking, token.version + 1
    after = moved(before, mode)
    running = token.running
    if running:
        running = {name: child for name, child in running.items() if name != mode.transition.id}
    event = Event(
        token.id,
        sequence,
        "fired",
        after,
        at,
        before,
        mode.transition.id,
        mode.source,
        patch or None,
        actor,
        b"",
        reason,
        {},
        0,
    )
    fired = Token(
        token.id,
        token.workflow,
        after,
        data,
        token.metadata,
        sequence,
        token.created_at,
        at,
        token.head,
        status_of(net, after) if net.final else "active",
        running,
    )
    return Firing(fired, (event,), ())


def _begun(
    token: Token,
    mode: Mode,
    at: datetime,
    data: Mapping[str, Any],
    patch: Mapping[str, Any] | None,
    actor: str,
    reason: str,
) -> Firing:
    """The sub-workflow of a transition is started; the marking stays until it has ended."""
    transition, sequence = mode.transition, token.version + 1
    child = f"{token.id}.{sequence}"
    event = Event(
        token.id,
        sequence,
        "started",
        token.marking,
        at,
        token.marking,
        transition.id,
        mode.source,
        patch or None,
        actor,
        b"",
        reason,
        {"workflow": transition.sub_workflow, "token": child},
    )
    begun = replace(token, data=data, version=sequence, updated_at=at, running={**token.running, transition.id: child})
    return Firing(begun, (event,), (Begin(transition.id, mode.source, transition.sub_workflow, child),))


def _with_clocks(net: Net, before: Token, step: Firing, mode: Mode | None) -> Firing:
    """`step` with the clocks it sets and the timers that ask again, and without the sub-workflows whose transitions it
    has made impossible."""
    token = step.token
    lost = [name for name in token.running if not possible(net, net.transition_of[name], token.marking)]
    if lost:
        token = replace(token, running={name: child for name, child in token.running.items() if name not in lost})
    ended = tuple(Abandon(step.token.running[name]) for name in lost)
    beginning = step.events[-1].kind == "started"
    ticking = () if beginning else tuple(clocks(net, before, token, mode))
    return Firing(token, step.events, step.effects + ended + ticking + tuple(asked_again(net, before, token)))


def changed(net: Net, token: Token, event: Event, data: Mapping[str, Any], *, status: Status | None = None) -> Firing:
    """What an event that is no firing makes of `token`: its marking is the event's, its clocks begin anew, the work
    inside is abandoned. Two leave the marking as it is: `overdue`, and `abandoned`, after which nothing runs for its
    transition.
    """
    stays = event.kind in ("overdue", "abandoned")
    going_on = {name: child for name, child in token.running.items() if stays and name != event.transition}
    after = replace(
        token,
        marking=event.after,
        data=data,
        version=event.sequence,
        updated_at=event.at,
        status=status or status_of(net, event.after),
        running=going_on,
    )
    if stays:
        return Firing(after, (event,))
    ended = tuple(Abandon(child) for child in token.running.values())
    return Firing(after, (event,), ended + tuple(clocks(net, token, after, None)))


def status_of(net: Net, marking: Marking) -> Status:
    """`completed` for a final marking: one token on one final place and nothing else."""
    if len(marking) == 1:
        for place, count in marking.items():
            if count == 1 and place in net.final:
                return "completed"
    return "active"


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
        answer = evaluate(transition.guard, data, token.metadata, token.marking)
        if not answer.passed:
            found.append(f"the guard says no: {answer.reason}")
    if transition.id in token.running:
        found.append(f"its sub-workflow is at work: {token.running[transition.id]}")
    if token.status == "cancelled":
        found.append("the token was cancelled")
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
    if len(modes) > 1:
        return next((mode for mode in modes if enabled(token.marking, mode)), modes[0])
    return modes[0]


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
