"""Workflows, tokens and their histories in words."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
from textual.content import Content

from app.screens.dialogs import Choice
from engine.nets.marking import in_words

if TYPE_CHECKING:
    from engine.jobs.model import Job
    from engine.nets.analysis.model import Analysis
    from engine.nets.firing import Availability
    from engine.nets.token import Event, Token
    from engine.workflows.model import Workflow

_GUARD = "the guard says no"
MOST_LINES = 200  # of a history
NEARBY = 1  # how many lines are shown before the one that is stood on


def state_of(marking: Mapping[str, int], places: Sequence[str]) -> str:
    """The marking as people read it; places of another workflow, from before a migration, come last."""
    return in_words(marking, [*places, *sorted(marking.keys() - set(places))])


def workflow_line(workflow: "Workflow") -> Content:
    return Content.from_markup("$name [dim]v$version[/dim]", name=workflow.name, version=str(workflow.version))


def title_of(workflow: "Workflow", analysis: "Analysis | None") -> Content:
    """A workflow with its verdict and what kind of net it is."""
    counts = f"{len(workflow.net.places)} places · {len(workflow.net.transitions)} transitions"
    kind = f" · {analysis.net_class[0]}" if analysis and analysis.net_class else ""
    line = f"[b]$id[/b]  {verdict_of(analysis)}  [dim]{counts}{kind}[/dim]"
    return Content.from_markup(line, id=workflow.id)


def verdict_of(analysis: "Analysis | None") -> str:
    """The verdict in a few words of markup."""
    if analysis is None:
        return "[dim]verifying…[/dim]"
    errors = sum(finding.severity == "ERROR" for finding in analysis.findings)
    warnings = sum(finding.severity == "WARNING" for finding in analysis.findings)
    if errors:
        return f"[$text-error]✗ {errors} {'error' if errors == 1 else 'errors'}, v shows[/]"
    more = f" [$text-warning]▲ {warnings}, v shows[/]" if warnings else ""
    if analysis.sound:
        return f"[$text-success]✓ sound[/]{more}"
    if not analysis.complete:
        return f"[$text-warning]◐ not proven[/] [dim]after {analysis.states:,} states[/dim]{more}"
    return f"[$text-success]✓ no deadlock[/]{more}" if analysis.deadlock_free else more.strip()


def choice_of(one: "Availability") -> Choice:
    name = one.transition.label or one.transition.id
    target = one.transition.outputs[0].place if one.transition.outputs else ""
    only_guard = bool(one.blockers) and all(blocker.startswith(_GUARD) for blocker in one.blockers)
    about = "; ".join(one.blockers) or (f"→ {target}" if target else "")
    return Choice(one.transition.id, name, about, off=not one.enabled and not only_guard)


# -- a token ----------------------------------------------------------------------------------------------------------


def described_token(
    token: "Token", places: Sequence[str], available: "Sequence[Availability]", jobs: "Sequence[Job]" = ()
) -> Content:
    """Where a token is, what it carries, what it waits for, and what it can do."""
    lines = [*_standing(token, places), *_data(token.data)]
    waits = [*_running(token), *_waiting(jobs, token.updated_at)]
    if waits:
        lines += [_heading("waits for"), *waits]
    lines.append(_heading("can fire"))
    for one in available:
        sign = "[$text-success]✓[/]" if one.enabled else "[dim]✗[/dim]"
        lines.append(Content.from_markup(f"{sign} $name", name=one.transition.label or one.transition.id))
        if one.blockers and any(blocker.startswith(_GUARD) for blocker in one.blockers):
            lines.append(Content.from_markup("[dim]  $why[/dim]", why="; ".join(one.blockers)))
    return Content("\n").join(lines)


def described_past(token: "Token", event: "Event", places: Sequence[str], versions: int) -> Content:
    """A token as it was after `event`: how it came there, who did it and why, and what it carried."""
    at = event.at.astimezone().strftime("%Y-%m-%d %H:%M")
    line = "[b]$state[/b]  [dim]v$version of $versions[/dim]"
    lines = [
        Content.from_markup(
            line, state=state_of(token.marking, places), version=str(token.version), versions=str(versions)
        ),
        Content(what_happened(event, places)),
        Content.from_markup("[dim]by[/dim] $actor[dim], $at[/dim]", actor=event.actor or "nobody", at=at),
    ]
    if event.reason:
        lines.append(Content.from_markup("“$reason”", reason=event.reason))
    then = "data now" if token.version == versions else "data then"
    data = list(_data(token.data))
    return Content("\n").join([*lines, _heading(then), *(data or [Content.from_markup("[dim]nothing[/dim]")])])


def described_history(history: "Sequence[Event]", places: Sequence[str], standing: int | None = None) -> Content:
    """What a token did, the newest first; `standing` is the version that is looked at."""
    lines = [Content.from_markup("[dim]─ history ─[/dim]")]
    last = len(history)
    if standing is not None:
        at = next((n for n, event in enumerate(history) if event.sequence == standing), last - 1)
        last = min(last, at + 1 + NEARBY)
        if last < len(history):
            lines.append(Content.from_markup("[dim]… $count later[/dim]", count=str(len(history) - last)))
    seen = history[max(0, last - MOST_LINES) : last]
    lines += [_event_line(event, places, event.sequence == standing) for event in reversed(seen)]
    return Content("\n").join(lines)


def what_happened(event: "Event", places: Sequence[str]) -> str:
    """One event in words, without when and by whom."""
    state, detail = state_of(event.after, places), event.detail
    match event.kind:
        case "created":
            origin = (
                f", forked from …{str(detail['forkOf'])[-6:]} v{detail.get('version')}" if "forkOf" in detail else ""
            )
            return f"created in {state}{origin}"
        case "fired":
            return f"{event.transition} → {state}"
        case "started":
            return f"{event.transition} began {detail.get('workflow', 'its work')}"
        case "abandoned":
            return f"the work inside {event.transition} was given up"
        case "overdue":
            return f"overdue in {detail.get('place', state)}"
        case "rolled_back":
            return f"rolled back to v{detail.get('to')} → {state}"
        case "cancelled":
            return "cancelled"
        case "migrated":
            return f"migrated to {detail.get('to')} → {state}"
        case "archived":
            return f"{detail.get('events')} earlier events were archived, in {state}"


def _event_line(event: "Event", places: Sequence[str], here: bool) -> Content:
    at = event.at.astimezone().strftime("%H:%M:%S")
    why = f" “{event.reason}”" if event.reason else ""
    lead = "[b]▸$sequence $what[/b]" if here else "$sequence $what"
    return Content.from_markup(
        f"{lead}[dim]$why $at $actor[/dim]",
        sequence=str(event.sequence), what=what_happened(event, places), why=why, at=at, actor=event.actor,
    )  # fmt: skip


def _standing(token: "Token", places: Sequence[str]) -> Iterator[Content]:
    state = "cancelled" if token.status == "cancelled" else state_of(token.marking, places)
    ended = " · completed" if token.status == "completed" else ""
    line = "[b]$state[/b]  [dim]v$version$ended[/dim]"
    yield Content.from_markup(line, state=state, version=str(token.version), ended=ended)
    yield Content.from_markup("[dim]$id[/dim]", id=token.id)


def _data(data: Mapping[str, object]) -> Iterator[Content]:
    for key, value in data.items():
        yield Content.from_markup("[dim]$key[/dim] $value", key=key, value=_brief(value))


def _running(token: "Token") -> Iterator[Content]:
    for transition, child in token.running.items():
        line = "◐ $transition [dim]works inside, …$child[/dim]"
        yield Content.from_markup(line, transition=transition, child=child[-8:])


def _waiting(jobs: "Sequence[Job]", since: datetime) -> Iterator[Content]:
    """The clocks of a token; a job that failed for good says so."""
    for job in jobs:
        if job.state == "dead":
            line = "[$text-error]✗ $name[/] [dim]failed: $error[/dim]"
            yield Content.from_markup(line, name=job.name, error=job.error)
        elif job.kind in ("timer", "timeout"):
            what = f"{job.name} fires" if job.kind == "timer" else f"overdue in {job.name}"
            line = "◷ $what [dim]at $due[/dim]"
            yield Content.from_markup(line, what=what, due=_moment(job.due, since))


def _moment(at: datetime, beside: datetime) -> str:
    """The time, with the day when it is another one."""
    local, other = at.astimezone(), beside.astimezone()
    return local.strftime("%H:%M:%S" if local.date() == other.date() else "%Y-%m-%d %H:%M")


def _heading(text: str) -> Content:
    return Content.from_markup("\n[dim]─ $text ─[/dim]", text=text)


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:199] + "…"


# -- typed and told ---------------------------------------------------------------------------------------------------


def json_of(text: str) -> object:
    """What was typed; nothing is None. Raises InvalidInput."""
    from engine.kernel.errors import InvalidInput

    if not text.strip():
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            "That is not JSON.", why=f"{error.msg} (column {error.colno}).", fix='Write it like {"title": "Q3 report"}.'
        ) from None
