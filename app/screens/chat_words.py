"""What the chat says in words: the greeting, the line below an answer, the reasons for a model, the export. Pure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from app.widgets.transcript import Message

if TYPE_CHECKING:
    from engine.chats.model import Turn
    from engine.doctor import Check
    from engine.llm.model import Model
    from engine.llm.routing import Decision

_SIGNS = {"ok": "●", "note": "○", "problem": "✗"}


def welcome(checks: "Sequence[Check]") -> str:
    """What is shown before the first question, as Markdown."""
    lines = []
    for check in checks:
        if check.id in ("ollama", "embedded", "keys") or check.state == "problem":
            fix = f"  \n→ {check.fix}" if check.fix and check.state != "ok" else ""
            lines += [f"{_SIGNS[check.state]} **{check.title}** {check.says}{fix}", ""]
    return "\n".join(
        [
            *("# Circuit Breaker", "", *lines),
            "Ask below. `F1` says what the keys do, `^p` lists all commands, `F4` shows the workflows.",
        ]
    )


def message_of(turn: "Turn") -> Message:
    if turn.role == "user":
        return Message(role="user", text=turn.text)
    return Message(role="assistant", title=turn.model, text=turn.text, thinking=turn.thinking, meta=measures(turn))


def measures(turn: "Turn") -> str:
    """The small line below an answer."""
    generating = turn.duration_s - turn.ttft_s
    parts = ["stopped, o goes on"] if turn.stopped else []
    parts.append(f"{turn.output_tokens} tok")
    if turn.ttft_s:
        parts.append(f"TTFT {turn.ttft_s:.1f} s")
    if generating > 0.05 and turn.output_tokens > 1:
        parts.append(f"{turn.output_tokens / generating:.0f} tok/s")
    parts.append("$?" if not turn.cost_usd else "$0" if float(turn.cost_usd) == 0 else f"${float(turn.cost_usd):.4f}")
    if turn.left_out:
        parts.append(f"{turn.left_out} earlier left out")
    return " · ".join(parts)


def about_model(model: "Model") -> str:
    """What a model can do, or why it cannot chat."""
    if "chat" not in model.abilities:
        return f"does not chat: {model.provider} has it for {', '.join(sorted(model.abilities)) or 'nothing known'}"
    parts = [model.provider, *(sorted(model.abilities - {"chat"}))]
    if model.context:
        parts.append(f"{model.context // 1024}k context")
    if model.loaded:
        parts.append("loaded")
    if model.tiny:
        parts.append("tiny demonstration model")
    return " · ".join(parts)


def why(decision: "Decision | None") -> Content:
    """The candidates with what speaks for each, and the others with what stood against them."""
    if decision is None:
        return Content.from_markup("[dim]Shown with the next answer.[/dim]")
    asked = " · ".join(dict.fromkeys((decision.asked, decision.policy)))
    lines = [Content.from_markup("[dim]$asked[/dim]\n", asked=asked)]
    for number, one in enumerate(decision.ranked[:6], 1):
        name = Content.from_markup(
            f"{'[b]' if number == 1 else ''}{number} $name  [dim]{one.score:.2f}[/dim]{'[/b]' if number == 1 else ''}",
            name=one.model.name,
        )
        lines += [name, *(Content.from_markup("[dim]  $reason[/dim]", reason=reason) for reason in one.reasons)]
    for no in decision.rejected[:8]:
        lines.append(Content.from_markup("✗ $name\n[dim]  $reason[/dim]", name=no.model.name, reason=no.reason))
    return Content("\n").join(lines)


def exported(title: str, messages: Iterable[Message]) -> str:
    """A conversation as Markdown."""
    parts = [f"# {title}"]
    for message in messages:
        parts += [f"## {message.name}", message.text.strip(), f"*{message.meta}*" if message.meta else ""]
    return "\n\n".join(part for part in parts if part) + "\n"
