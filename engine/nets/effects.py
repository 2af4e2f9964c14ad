"""What a change of a token asks for: timers, deadlines, work inside. Effects as data; they are stored with the change.

A clock begins when its transition becomes enabled by the places; it goes on while the transition stays so, also at the
moment between taking and putting, and begins anew when the transition itself fires (Merlin & Farber 1976; Berthomieu &
Diaz 1991: persistence of enabledness). Guards are asked when the time has come, for data may change meanwhile; one that
says no then is asked again when a change makes it say yes.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from engine.kernel.records import record
from engine.nets.marking import Marking, enabled
from engine.nets.model import Mode, Net, Place, Timer, Transition
from engine.nets.moments import moment_of
from engine.nets.token import Token
from engine.rules.evaluation import holds
from engine.rules.fields import value_of

Clock = Literal["timer", "timeout"]


@record
class Arm:
    """Wake the token at `due`: to fire the transition `name` (timer), or to mark the place `name` as overdue."""

    clock: Clock
    name: str
    due: datetime


@record
class Disarm:
    """Forget the clock, if there is one."""

    clock: Clock
    name: str


@record
class Ask:
    """The guard of the timer's transition `name` has come to say yes: fire it, if its time had come before."""

    name: str


@record
class Begin:
    """Start the token `child` in `workflow`, for `transition` to fire when it has come to an end."""

    transition: str
    source: str | None
    workflow: str
    child: str


@record
class Abandon:
    """Cancel the token `child`, whose transition has lost its tokens to another one."""

    child: str


Effect: TypeAlias = Arm | Disarm | Ask | Begin | Abandon


def clocks(net: Net, before: Token | None, after: Token, mode: Mode | None) -> Iterator[Effect]:
    """The clocks that begin or end between two versions of a token. `mode` is what was fired; without one everything
    that can wait begins anew."""
    for transition in net.timed:
        assert transition.timer is not None
        was = before is not None and possible(net, transition, before.marking)
        now = possible(net, transition, after.marking)
        due = moment(transition.timer, after) if now else None
        if due is None:
            if was:
                yield Disarm("timer", transition.id)
        elif not (
            was and mode and before and _persists(net, transition, mode, before) and _same(transition, before, due)
        ):
            yield Arm("timer", transition.id, due)
    for place in net.watched:
        was, now = before is not None and place.id in before.marking, place.id in after.marking
        if now and not (was and mode and before and _stays(place, mode, before.marking)):
            assert place.timeout_s is not None
            yield Arm("timeout", place.id, after.updated_at + timedelta(seconds=place.timeout_s))
        elif was and not now:
            yield Disarm("timeout", place.id)


def asked_again(net: Net, before: Token, after: Token) -> Iterator[Ask]:
    """The timers whose guards said no and say yes now, while the places let their transitions fire all along."""
    for transition in net.timed:
        guard = transition.guard
        if guard is None or holds(guard, before.data, before.metadata, before.marking):
            continue
        if (
            holds(guard, after.data, after.metadata, after.marking)
            and possible(net, transition, before.marking)
            and possible(net, transition, after.marking)
        ):
            yield Ask(transition.id)


def possible(net: Net, transition: Transition, marking: Marking) -> bool:
    """Whether the places let it fire, from any of its sources."""
    return any(enabled(marking, mode) for mode in net.modes_of[transition.id])


def moment(timer: Timer, token: Token) -> datetime | None:
    """When the clock of a transition that has just become possible goes off; None when the data names no moment."""
    if timer.after_s is not None:
        return token.updated_at + timedelta(seconds=timer.after_s)
    return at_in(timer.at, token.data, token.metadata)


def at_in(path: str, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> datetime | None:
    """The moment that stands in the data at `path` as ISO 8601; without an offset it is UTC."""
    value = value_of(path, data, metadata)
    if not isinstance(value, str):
        return None
    try:
        return moment_of(value)
    except ValueError:
        return None


def _persists(net: Net, transition: Transition, mode: Mode, before: Token) -> bool:
    """Whether the transition stays possible while `mode` has taken and not yet put."""
    if mode.transition is transition:
        return False
    between = dict(before.marking)
    for arc in mode.inputs:
        between[arc.place] -= arc.weight
    return possible(net, transition, between)


def _same(transition: Transition, before: Token, due: datetime) -> bool:
    """Whether a moment in the data is still the one that the clock was set to."""
    assert transition.timer is not None
    return transition.timer.after_s is not None or moment(transition.timer, before) == due


def _stays(place: Place, mode: Mode, marking: Marking) -> bool:
    """Whether `mode` leaves tokens of the place where they are."""
    taken = sum(arc.weight for arc in mode.inputs if arc.place == place.id)
    return taken < marking[place.id] and place.id not in mode.transition.resets
