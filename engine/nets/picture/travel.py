"""The way of a token when a mode fires: along all input wires at once, through the transition, along all outputs."""

from collections.abc import Iterator, Sequence

from engine.nets.picture.canvas import Picture
from engine.nets.picture.graph import DrawnTransition, Graph
from engine.nets.picture.tracing import Cell

Frame = frozenset[Cell]


def travel(graph: Graph, picture: Picture, transition: DrawnTransition) -> tuple[Frame, ...]:
    """The cells in which tokens are, step by step. The paths of one side take equally long, however far they go.

    Read, inhibitor and reset arcs move no token. Empty if the picture does not have the transition.
    """
    arcs = graph.arcs_of.get(transition.mode, ())
    taken = [picture.cells.get(arc, ()) for arc in arcs if arc.kind == "input"]
    given = [picture.cells.get(arc, ()) for arc in arcs if arc.kind == "output"]
    through = _through(picture.cells.get(transition, ()), taken, given)
    return (*_side_by_side(taken), *(frozenset([cell]) for cell in through), *_side_by_side(given))


def _side_by_side(paths: Sequence[Sequence[Cell]]) -> Iterator[Frame]:
    steps = max(map(len, paths), default=0)
    for step in range(steps):
        yield frozenset(path[step * len(path) // steps] for path in paths if path)


def _through(box: Sequence[Cell], taken: Sequence[Sequence[Cell]], given: Sequence[Sequence[Cell]]) -> Sequence[Cell]:
    """The cells of the box that a token passes: its middle row where wires come to both its ends, else its middle."""
    if not box:
        return ()
    middle = box[(len(box) - 1) // 2]
    row = [cell for cell in box if cell[1] == middle[1]]
    ends = [path[-1] for path in taken if path][:1] + [path[0] for path in given if path][:1]
    if len(ends) < 2 or abs(ends[1][0] - ends[0][0]) <= len(row):
        return [middle]
    return row if ends[0][0] < ends[1][0] else row[::-1]
