"""SVG 1.1: the picture of the workbench, drawn with lines instead of characters.

It stands alone (no scripts, no fonts, nothing fetched) and follows the light or dark scheme of where it is shown.
Places are round, final ones with two outlines, transitions square. An inhibitor arc ends in a circle, a reset arc in a
cross, a read arc is dashed.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from engine.kernel.errors import TooLarge
from engine.nets.notation.definition import Definition
from engine.nets.picture.graph import DrawnArc, DrawnPlace, graph_of
from engine.nets.picture.layout import lay_out
from engine.nets.picture.lettering import fitted, legible
from engine.nets.picture.tracing import Box, Cell, Layout

MOST_DRAWN = 400  # places and modes of transitions

_WIDTH, _HEIGHT = 9, 30  # of a cell, in pixels
_INSET = 3  # of a box in its cells, above and below
_MARGIN = 12
_DOTS = 3  # tokens that are drawn one by one

_STYLE = """\
    svg { color-scheme: light dark }
    .wire { fill: none; stroke: #57606a; stroke-width: 1.4 }
    .read { stroke-dasharray: 4 3 }
    .head { fill: #57606a; stroke: #57606a; stroke-width: 1.4 }
    .hollow { fill: #ffffff }
    .place { fill: #f6f8fa; stroke: #24292f; stroke-width: 1.5 }
    .outline { fill: none; stroke: #24292f; stroke-width: 1.2 }
    .transition { fill: #dde3ea; stroke: #24292f; stroke-width: 1.5 }
    .token { fill: #24292f }
    text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #24292f; dominant-baseline: central }
    .weight { font-size: 11px; fill: #57606a }
    @media (prefers-color-scheme: dark) {
      .wire { stroke: #9aa4ae } .head { fill: #9aa4ae; stroke: #9aa4ae } .hollow { fill: #0d1117 }
      .place { fill: #161b22; stroke: #d0d7de } .outline { stroke: #d0d7de }
      .transition { fill: #2d333b; stroke: #d0d7de } .token { fill: #e6edf3 }
      text { fill: #e6edf3 } .weight { fill: #9aa4ae }
    }"""


def svg(definition: Definition) -> str:
    """`definition` as an SVG document. Raises TooLarge for a net that no picture could show."""
    net = definition.net
    count = len(net.places) + len(net.modes)
    if count > MOST_DRAWN:
        raise TooLarge(
            f"The net has {count} places and transitions.",
            why=f"A picture shows at most {MOST_DRAWN}.",
            fix="Export it as DOT and draw that with Graphviz.",
            details={"limit": MOST_DRAWN},
        )
    layout = lay_out(graph_of(net), merge=False)
    return "\n".join(_lines(definition.name, layout)) + "\n"


def _lines(name: str, layout: Layout) -> Iterator[str]:
    width = layout.width * _WIDTH + 2 * _MARGIN
    height = layout.height * _HEIGHT + 2 * _MARGIN
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"  <title>{_text(name)}</title>"
    yield f"  <style>\n{_STYLE}\n  </style>"
    boxes = {_key(box): box for box in layout.boxes}
    for arc, path in layout.wires.items():
        yield from _wire(arc, path, boxes[arc.place if arc.kind == "output" else _mode(arc)])
    for (x, y), weight in layout.weights.items():
        left, top = _at((x, y))
        yield f'  <text class="weight" x="{left:g}" y="{top - 8:g}">{_text(weight)}</text>'
    for box in layout.boxes:
        yield from _box(box)
    yield "</svg>"


def _key(box: Box) -> str:
    return box.element.id if isinstance(box.element, DrawnPlace) else f"\0{box.element.mode}"


def _mode(arc: DrawnArc) -> str:
    return f"\0{arc.mode}"


def _text(text: str) -> str:
    return escape(legible(text))


def _at(cell: Cell) -> tuple[float, float]:
    """The middle of a cell."""
    return _MARGIN + (cell[0] + 0.5) * _WIDTH, _MARGIN + (cell[1] + 0.5) * _HEIGHT


def _wire(arc: DrawnArc, path: Sequence[Cell], target: Box) -> Iterator[str]:
    """A line from box to box, and its head where it enters `target`."""
    if not _holds(target, path[-1]):
        path = path[::-1]
    points = [_edge(path[0], path[1]), *map(_at, path[1:-1]), _edge(path[-1], path[-2])]
    corners = [points[0]]
    for (before, here), (_, after) in pairwise(pairwise(points)):
        if not (before[0] == here[0] == after[0] or before[1] == here[1] == after[1]):
            corners.append(here)
    corners.append(points[-1])
    line = " ".join(f"{x:g},{y:g}" for x, y in corners)
    yield f'  <polyline class="wire{" read" if arc.kind == "read" else ""}" points="{line}"/>'
    (from_x, from_y), (x, y) = corners[-2:]
    step_x, step_y = (x > from_x) - (x < from_x), (y > from_y) - (y < from_y)
    match arc.kind:
        case "inhibitor":
            yield f'  <circle class="head hollow" cx="{x - 4 * step_x:g}" cy="{y - 4 * step_y:g}" r="4"/>'
        case "reset":
            at_x, at_y = x - 5 * step_x, y - 5 * step_y
            cross = f"M{at_x - 4:g},{at_y - 4:g} l8,8 M{at_x - 4:g},{at_y + 4:g} l8,-8"
            yield f'  <path class="wire" d="{cross}"/>'
        case _:
            back_x, back_y = x - 8 * step_x, y - 8 * step_y
            side_x, side_y = 4 * step_y, 4 * step_x
            ends = f"{x:g},{y:g} {back_x + side_x:g},{back_y + side_y:g} {back_x - side_x:g},{back_y - side_y:g}"
            yield f'  <polygon class="head" points="{ends}"/>'


def _holds(box: Box, cell: Cell) -> bool:
    (x, y), (left, top) = cell, box.corner
    return left <= x < left + box.width and top <= y < top + box.rows


def _edge(inside: Cell, outside: Cell) -> tuple[float, float]:
    """Where a line between two cells crosses the border of the box that the first is in."""
    (x, y), (out_x, out_y) = _at(inside), _at(outside)
    if inside[1] == outside[1]:
        return (x + out_x) / 2, y
    return x, (y + out_y) / 2 + (_INSET if out_y < y else -_INSET)


def _box(box: Box) -> Iterator[str]:
    left, top = _MARGIN + box.corner[0] * _WIDTH, _MARGIN + box.corner[1] * _HEIGHT + _INSET
    width, height = box.width * _WIDTH, box.rows * _HEIGHT - 2 * _INSET
    middle_x, middle_y = left + width / 2, top + height / 2
    element = box.element
    name = _text(fitted(legible(element.name), box.width))
    if not isinstance(element, DrawnPlace):
        yield f'  <rect class="transition" x="{left}" y="{top}" width="{width}" height="{height}" rx="2"/>'
        yield f'  <text x="{middle_x:g}" y="{middle_y:g}" text-anchor="middle">{name}</text>'
        return
    radius = (_HEIGHT - 2 * _INSET) / 2
    yield f'  <rect class="place" x="{left}" y="{top}" width="{width}" height="{height}" rx="{radius:g}"/>'
    if element.final:
        inner = f'x="{left + 3}" y="{top + 3}" width="{width - 6}" height="{height - 6}"'
        yield f'  <rect class="outline" {inner} rx="{radius - 3:g}"/>'
    yield f'  <text x="{middle_x:g}" y="{middle_y:g}" text-anchor="middle">{name}</text>'
    if 0 < element.initial <= _DOTS:
        for number in range(element.initial):
            x = middle_x + (number - (element.initial - 1) / 2) * 11
            yield f'  <circle class="token" cx="{x:g}" cy="{top:g}" r="4"/>'
    elif element.initial:
        yield f'  <text class="weight" x="{middle_x:g}" y="{top - 5:g}" text-anchor="middle">●×{element.initial}</text>'
