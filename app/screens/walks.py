"""Ways over a net, as data: a run that shows something, the history of a token, steps that are only tried. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from textual.content import Content

from app.screens.workflow_words import MOST_LINES, NEARBY, state_of, what_happened
from engine.nets.firing import Availability, availability
from engine.nets.marking import Marking
from engine.nets.marking import enabled as enabled_in
from engine.workflows.chain import data_after

if TYPE_CHECKING:
    from engine.nets.analysis.model import Step
    from engine.nets.model import Net
    from engine.nets.token import Event, Token
    from engine.workflows.service import Fire, Tried


@dataclass(frozen=True, slots=True)
class Stop:
    """Where one can stand: a marking, and the transition that led to it. A history has its event and the token as it
    was then; a trial has the token as it would be."""

    marking: Marking
    transition: str | None = None
    source: str | None = None
    event: "Event | None" = None
    token: "Token | None" = None


@dataclass(frozen=True, slots=True)
class Walk:
    """`at` is the number of the stop that is stood on. `loop` is that of the stop to which the way comes back at its
    end. `about` says what it shows; `steps` are those of a trial, between its stops; `outdated` when the token has
    moved since."""

    kind: Literal["run", "history", "trial"]
    about: str
    stops: tuple[Stop, ...]
    at: int = 0
    loop: int | None = None
    steps: "tuple[Fire, ...]" = ()
    outdated: bool = False

    @property
    def here(self) -> Stop:
        return self.stops[self.at]

    @property
    def ended(self) -> bool:
        """Whether there is nothing after where one stands."""
        return self.at == len(self.stops) - 1 and self.loop is None

    def moved(self, step: int) -> "Walk":
        """One stop on or back; at its end a loop goes on from where it began."""
        at = self.at + step
        if at >= len(self.stops) and self.loop is not None:
            at = self.loop + 1
        return replace(self, at=max(0, min(at, len(self.stops) - 1)))

    def outdated_by(self, version: int) -> "Walk":
        """As the token has this version now."""
        first = self.stops[0].token
        return replace(self, outdated=first is not None and first.version != version)


def run(about: str, trace: "Sequence[Step]", loop: int | None = None) -> Walk:
    """A run that the analysis found, from its beginning."""
    stops = tuple(Stop(step.marking, step.transition, step.source) for step in trace)
    return Walk("run", about, stops, loop=loop if loop is not None and loop < len(stops) - 1 else None)


def history(token: "Token", events: "Sequence[Event]", at: int | None = None) -> Walk:
    """All that a token was; `at` is a version, the last one without."""
    stops, data = [], dict[str, Any]()
    for event in events:
        data = dict(data_after(data, event))
        then = replace(token, marking=event.after, data=data, version=event.sequence, updated_at=event.at)
        stops.append(Stop(event.after, event.transition, event.source, event, then))
    numbers = [event.sequence for event in events]
    return Walk("history", "", tuple(stops), at=numbers.index(at) if at in numbers else len(stops) - 1)


def trial(tried: "Tried", steps: "Sequence[Fire]") -> Walk:
    """What becomes of a copy of a token; stands on the last of it."""
    led: list[Fire | None] = [None, *steps]
    stops = tuple(
        Stop(token.marking, step.transition if step else None, step.source if step else None, token=token)
        for token, step in zip(tried.tokens, led, strict=False)
    )
    return Walk("trial", "", stops, at=len(stops) - 1, steps=tuple(steps[: len(stops) - 1]))


def enabled_at(walk: Walk, net: "Net") -> frozenset[str]:
    """The modes that can fire where one stands: by the places alone on a run, that has no data; none in the past."""
    here = walk.here
    if walk.kind == "run" or here.token is None:
        return frozenset(mode.name for mode in net.modes if enabled_in(here.marking, mode))
    return modes_of(availability(net, here.token)) if walk.kind == "trial" or walk.ended else frozenset()


def modes_of(available: Sequence[Availability]) -> frozenset[str]:
    """The names of the modes that can fire."""
    return frozenset(
        one.transition.id if source is None else f"{one.transition.id}@{source}"
        for one in available
        for source in one.sources
    )


# -- in words ---------------------------------------------------------------------------------------------------------


def headline(walk: Walk) -> Content:
    """What is looked at, in place of the title of the net."""
    match walk.kind:
        case "run":
            return Content.from_markup("[reverse b] a run [/]  $about", about=walk.about)
        case "history":
            now = walk.ended
            here, of = str(_version(walk.here)), str(_version(walk.stops[-1]))
            line = f"[reverse b] {'now' if now else 'the past'} [/]  v$here of $of [dim]· nothing is changed[/dim]"
            return Content.from_markup(line, here=here, of=of)
        case "trial":
            line = "[$text-warning reverse b] what if [/]  [$text-warning]nothing is stored[/]"
            if walk.outdated:
                line += "  [$text-error]✗ the token has moved since[/]"
            return Content.from_markup(line)


def caption(walk: Walk, places: Sequence[str], playing: bool) -> Content:
    """Where one stands: the number of the step, what fired, and the marking; below it the keys."""
    sign = "" if walk.kind == "trial" else "▶ " if playing else "‖ "
    again = ""
    if walk.loop is not None and walk.at == len(walk.stops) - 1:
        again = f"  ↺ step {walk.loop + 1}"
    first = Content.from_markup(
        f"{sign}[b]step $at of $last[/b]  $what[$text-accent]{again}[/]",
        at=str(walk.at + 1), last=str(len(walk.stops)), what=_what(walk.here, places),
    )  # fmt: skip
    return Content("\n").join([first, Content.from_markup(f"[dim]{_KEYS[walk.kind]}[/dim]")])


_STEP = "[@click=screen.step_back][b]←[/b][/][@click=screen.step_on][b]→[/b] step[/]"
_PLAY = "[@click=screen.play][b]space[/b] play[/]"
_BACK = "[@click=screen.roll_back][b]b[/b] roll back[/]"
_LEAVE, _NOW = (f"[@click=screen.leave][b]esc[/b] {where}[/]" for where in ("leave", "now"))
_KEYS = {
    "run": f"{_STEP}  {_PLAY}  {_LEAVE}",
    "history": f"{_STEP}  {_PLAY}  {_BACK}  {_NOW}",
    "trial": f"{_STEP}  [@click=screen.fire][b]f[/b] fire[/]  [@click=screen.commit][b]c[/b] for real[/]  {_LEAVE}",
}


def listed(walk: Walk, places: Sequence[str]) -> Content:
    """All stops, one below the other, with a sign before the one that is stood on."""
    lines = [Content.from_markup("[dim]─ steps ─[/dim]")]
    first = max(0, walk.at - NEARBY)
    if first:
        lines.append(Content.from_markup("[dim]… $count before[/dim]", count=str(first)))
    for number, stop in enumerate(walk.stops[first : first + MOST_LINES], first):
        line = "[b]▸$number $what[/b]" if number == walk.at else "$number $what"
        lines.append(Content.from_markup(line, number=str(number + 1), what=_what(stop, places)))
    if walk.loop is not None:
        lines.append(Content.from_markup("[dim]↺ and again from $number[/dim]", number=str(walk.loop + 1)))
    return Content("\n").join(lines)


def described_run(walk: Walk, places: Sequence[str]) -> Content:
    """What a run shows, and the tokens where one stands."""
    lines = [Content.from_markup("[b]$state[/b]", state=state_of(walk.here.marking, places))]
    lines.append(Content.from_markup("[dim]no token: a run of the net[/dim]"))
    lines.append(Content(f"\n{walk.about}"))
    return Content("\n").join(lines)


def _what(stop: Stop, places: Sequence[str]) -> str:
    state = state_of(stop.marking, places)
    if stop.event is not None:
        return what_happened(stop.event, places)
    return f"{stop.transition} → {state}" if stop.transition else f"begins in {state}"


def _version(stop: Stop) -> int:
    return stop.event.sequence if stop.event else 0
