"""Where the parts of a net picture go: places, transitions and wires on a grid of terminal cells.

The steps are those of Sugiyama, Tagawa & Toda (1981): open the loops and stand the nodes in layers (`layers`), let long
wires bend (`bends`), order the layers (`order`), align the nodes (`align`), route the wires (`routing`) and turn it
all into cells (`tracing`). The same graph always gives the same layout.
"""

from engine.nets.picture.align import aligned, measured
from engine.nets.picture.bends import bent
from engine.nets.picture.graph import Graph
from engine.nets.picture.layers import layered
from engine.nets.picture.order import ordered
from engine.nets.picture.sketch import sketched
from engine.nets.picture.tracing import Layout, traced

LABEL_WIDTH = 24


def lay_out(
    graph: Graph, *, down: bool = False, merge: bool = True, label_width: int = LABEL_WIDTH, gap: int = 1
) -> Layout:
    """Place and wire `graph`, left to right or `down`.

    `merge` is the state-machine view: a transition with one input and one output is a bare label on its wire. Labels
    are cut to `label_width` cells. `gap` is the space between neighbours of one layer: rows, or threes of columns.
    """
    sketch = sketched(graph, merge=merge, label_width=label_width)
    layers = layered(sketch)
    channels = bent(sketch.wires, layers, down=down)
    ordered(layers, channels)
    measured(layers, down=down)
    aligned(layers, channels, gap=3 * gap if down else gap, down=down)
    return traced(layers, channels, sketch.wires, down=down)
