"""What stands in the middle of a transcript that has no messages. Pure."""

from app.widgets.transcript.blocks import split
from app.widgets.transcript.lines import Line, Run, cells_of
from app.widgets.transcript.markdown import lay

WIDEST = 64  # cells; longer lines are hard to read


def lay_empty(markdown: str, width: int, height: int) -> list[Line]:
    """`markdown` as a column in the middle of `width` and `height`, so that its own lines stay aligned."""
    if not markdown.strip() or width <= 0:
        return []
    lines: list[Line] = []
    for block in split(markdown):
        lines += [Line((), (), 0)] * block.gap
        lines += lay(markdown[block.start : block.end], min(width, WIDEST), indent=block.indent).lines
    left = (width - max(cells_of((*line.lead, *line.runs, *line.tail)) for line in lines)) // 2
    margin = Run(" " * max(0, left), "margin")
    above = [Line((), (), 0)] * max(0, (height - len(lines)) // 2)
    return [*above, *(_dimmed(line, margin) for line in lines)][:height]


def _dimmed(line: Line, margin: Run) -> Line:
    runs = tuple(run._replace(style=f"empty {run.style}") for run in line.runs)
    return line._replace(lead=(margin, *line.lead), runs=runs)
