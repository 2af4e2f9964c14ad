"""How far a pull is, as a line of text."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.llm.ports import Progress


def progress_line(step: "Progress", width: int = 30) -> str:
    """`pulling 3f2a  ━━━━━━──────  42%  0.8 of 1.9 GB`; the provider's own words while no size is known."""
    if not step.total:
        return step.status
    part = min(1.0, step.completed / step.total)
    bar = "━" * round(part * width)
    done, whole = step.completed / 1e9, step.total / 1e9
    return f"{step.status}  {bar:─<{width}}  {part:.0%}  {done:.1f} of {whole:.1f} GB"
