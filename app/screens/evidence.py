"""What was proven of a net, and the runs that show it: read, and choose one to be played."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from app.screens.dialogs import FRAME
from app.screens.walks import Walk, run

if TYPE_CHECKING:
    from engine.nets.analysis.asking.model import Answer
    from engine.nets.analysis.model import Analysis, Finding

_SIGNS = {"ERROR": "[$text-error]✗ error[/]", "WARNING": "[$text-warning]▲ warning[/]", "INFO": "[dim]· note[/dim]"}
_VERDICTS = (
    ("sound", "sound"),
    ("deadlock_free", "no deadlock"),
    ("livelock_free", "no livelock"),
    ("option_to_complete", "can always end"),
    ("proper_completion", "ends properly"),
    ("bounded", "bounded"),
    ("live", "live"),
    ("reversible", "reversible"),
)


class Shown(NamedTuple):
    """A line to choose; `walk` is None when no run shows it."""

    line: Content
    walk: Walk | None


class Evidence(ModalScreen[Walk | None]):
    """A verdict, what was found, and the facts behind it. Gives the run that is to be played."""

    DEFAULT_CSS = f"""
    Evidence {{
        {FRAME}
        & OptionList {{ max-height: 50%; margin: 1 0 0 0; &:focus {{ border: none; }} }}
        & VerticalScroll {{ height: auto; margin: 1 0 0 0; background: $surface; scrollbar-size: 1 1; }}
        & #verdict {{ height: auto; }}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Back", show=False),
        Binding("space", "choose", "Play", show=False),
        Binding("pagedown,right_square_bracket", "scroll_facts(5)", show=False, priority=True),
        Binding("pageup,left_square_bracket", "scroll_facts(-5)", show=False, priority=True),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
    ]

    def __init__(self, title: str, verdict: Content, shown: Sequence[Shown], facts: Content) -> None:
        super().__init__()
        self._title, self._verdict, self._shown, self._facts = title, verdict, shown, facts

    def compose(self) -> ComposeResult:
        plays = "⏎ play · " if any(one.walk for one in self._shown) else ""
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = f"{plays}PgDn more · esc back"
            yield Static(self._verdict, id="verdict")
            if self._shown:
                yield OptionList(*(Option(one.line, id=str(n)) for n, one in enumerate(self._shown)))
            with VerticalScroll():
                yield Static(self._facts)

    def on_mount(self) -> None:
        self.query_one(OptionList if self._shown else VerticalScroll).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        chosen = self._shown[event.option_index]
        if chosen.walk is None:
            self.notify("No run shows this: it is about how the net is built.")
        else:
            self.dismiss(chosen.walk)

    def action_choose(self) -> None:
        if self._shown:
            self.query_one(OptionList).action_select()

    def action_move(self, step: int) -> None:
        if not self._shown:
            self.action_scroll_facts(step)
        elif step > 0:
            self.query_one(OptionList).action_cursor_down()
        else:
            self.query_one(OptionList).action_cursor_up()

    def action_scroll_facts(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


# -- of a whole net ---------------------------------------------------------------------------------------------------


def evidence_of(name: str, analysis: "Analysis") -> Evidence:
    """The findings of an analysis, the gravest first as they come."""
    searched = "all there are" if analysis.complete else "there are more"
    lines = [Content.from_markup(_verdict(analysis))]
    states = f"{analysis.states:,} states and {analysis.edges:,} steps were seen: {searched}"
    lines.append(Content.from_markup("[dim]$states[/dim]", states=states))
    return Evidence(
        f"{name}: verified",
        Content("\n").join(lines),
        [Shown(_finding_line(one), _shown(one) if one.trace else None) for one in analysis.told],
        Content("\n").join(_facts(analysis)),
    )


def _shown(finding: "Finding") -> Walk:
    return run(finding.message, (*finding.trace, *finding.onward), finding.loop)


def _verdict(analysis: "Analysis") -> str:
    errors = sum(finding.severity == "ERROR" for finding in analysis.findings)
    if errors:
        return f"[b $text-error]✗ {errors} {'error' if errors == 1 else 'errors'}[/]"
    if analysis.sound:
        return "[b $text-success]✓ sound[/]: it can always end, ends properly, and every transition can fire"
    if not analysis.complete:
        return "[b $text-warning]◐ not proven[/]: the search came to the end of its budget"
    return "[b $text-success]✓ no error[/] [dim](sound is said of nets with final places)[/dim]"


def _finding_line(finding: "Finding") -> Content:
    steps = len(finding.trace) - 1
    how = _steps(steps) if steps > 0 else "at the beginning" if finding.trace else "no run to show"
    how += ", then round and round" if finding.loop is not None else ""
    depends = " · if its guards allow it" if finding.depends_on_guards else ""
    line = f"{_SIGNS[finding.severity]}  $message [dim]$how[/dim]"
    return Content.from_markup(line, message=finding.message, how=f"({how}{depends})")


def _steps(count: int) -> str:
    return f"{count} {'step' if count == 1 else 'steps'}"


def _facts(analysis: "Analysis") -> Iterator[Content]:
    yield Content.from_markup("[dim]─ what is certain ─[/dim]")
    for attribute, name in _VERDICTS:
        value, by = getattr(analysis, attribute), analysis.by.get(attribute, "")
        sign = {True: "[$text-success]✓[/]", False: "[$text-error]✗[/]", None: "[dim]?[/dim]"}[value]
        if value is False and attribute in ("live", "reversible"):  # no fault of a net that ends
            sign = "[dim]–[/dim]"
        why = f"by {by}" if value is not None and by else "" if value is not None else "not proven"
        why += " · data may turn it" if attribute in analysis.on_guards else ""
        yield Content.from_markup(f"{sign} {'not ' if sign == '[dim]–[/dim]' else ''}{name} [dim]{why}[/dim]")
    if analysis.bound is not None:
        yield Content.from_markup(f"[dim]a place holds at most[/dim] {analysis.bound}")
    if analysis.net_class:
        yield Content.from_markup("[dim]class of net[/dim] $kinds", kinds=", ".join(analysis.net_class))
    if analysis.invariants:
        yield Content.from_markup("\n[dim]─ laws of the net ─[/dim]")
        yield from (Content(f"· {one.words}") for one in analysis.invariants)
    if analysis.structure is not None:
        yield Content.from_markup("\n[dim]─ what the arcs say ─[/dim]")
        yield from (Content(f"· {line}") for line in analysis.structure.in_words())


# -- of a question ----------------------------------------------------------------------------------------------------

_ANSWERS = {
    "HOLDS": "[b $text-success]✓ it holds[/]",
    "FAILS": "[b $text-error]✗ it does not hold[/]",
    "NOT_PROVEN": "[b $text-warning]◐ not proven[/]",
}


def evidence_for(question: str, answer: "Answer") -> Evidence:
    """The answer to a question, with its witness or counter-example."""
    lines = [Content.from_markup("“$question”", question=question), Content.from_markup(_ANSWERS[answer.verdict])]
    shown: list[Shown] = []
    if len(answer.trace) > 1:
        steps = len(answer.trace) - 1
        what = "witness" if answer.verdict == "HOLDS" else "counter-example"
        ends = f", then again from step {answer.loop + 1}" if answer.loop is not None else ""
        depends = " · if its guards allow it" if answer.depends_on_guards else ""
        line = Content.from_markup(
            "▶ $what [dim]$how[/dim]",
            what=f"play the {what}",
            how=f"({_steps(steps)}{ends}{depends})",
        )
        about = f"{what}: {question}"
        shown.append(Shown(line, run(about, answer.trace, answer.loop)))
    facts = [
        Content.from_markup("[dim]$seen states were looked at, guards taken as “may”[/dim]", seen=f"{answer.states:,}")
    ]
    if answer.verdict == "NOT_PROVEN":
        facts.insert(0, Content(answer.words))
    elif answer.trace and not shown:
        facts.insert(0, Content("It is decided at the very beginning: there is nothing to play."))
    elif not shown:
        facts.insert(0, Content("It is so on all runs: no one run shows it."))
    return Evidence("Asked", Content("\n").join(lines), shown, Content("\n").join(facts))
