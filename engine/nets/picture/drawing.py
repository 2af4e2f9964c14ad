"""The best picture for a width: left to right, else top down, else with shorter labels, else rails."""

from collections.abc import Iterator

from engine.nets.picture.canvas import Picture, Scene
from engine.nets.picture.graph import Graph
from engine.nets.picture.layout import LABEL_WIDTH, lay_out
from engine.nets.picture.painting import paint
from engine.nets.picture.rails import rails
from engine.nets.picture.tracing import Layout

SHORT_LABELS, SHORTEST_LABELS = 12, 8


def draw(
    graph: Graph, scene: Scene, width: int, *, merge: bool = True, compact: bool = False, ascii: bool = False
) -> Picture:
    """The best picture of `graph` that is at most `width` cells wide, and rails where none is."""
    layout = plan(graph, width, merge=merge, compact=compact)
    return rails(graph, scene, width, ascii=ascii) if layout is None else paint(layout, scene, ascii=ascii)


def plan(graph: Graph, width: int, *, limit: int = 0, merge: bool = True, compact: bool = False) -> Layout | None:
    """The best layout of `graph` for a view `width` cells wide, to be kept for as long as both stay the same.

    Where none fits, the narrowest one of at most `limit` cells, for views that can be moved over it; else None.
    `compact` begins with short labels and leaves no rows free between neighbours.
    """
    narrowest: Layout | None = None
    for layout in _layouts(graph, merge=merge, compact=compact):
        if layout.width <= width:
            return layout
        if narrowest is None or layout.width < narrowest.width:
            narrowest = layout
    return narrowest if narrowest and narrowest.width <= limit else None


def _layouts(graph: Graph, *, merge: bool, compact: bool) -> Iterator[Layout]:
    """From what is best to read to what needs the least width."""
    for label_width in (SHORT_LABELS, SHORTEST_LABELS) if compact else (LABEL_WIDTH, SHORT_LABELS, SHORTEST_LABELS):
        gap = 0 if compact else 1
        if label_width > SHORTEST_LABELS:
            yield lay_out(graph, merge=merge, label_width=label_width, gap=gap)
        yield lay_out(graph, down=True, merge=merge, label_width=label_width, gap=gap)
