"""A net drawn in terminal cells. Pure: nets and scenes in, characters out.

graph_of(net)                what to draw of a net
draw(graph, scene, width)    the best picture for a width
plan(graph, width)           its layout, which a firing does not change
paint(layout, scene)         that layout at one moment
rails(graph, scene, width)   one line per transition, for where no picture fits
travel(graph, picture, t)    the way of a token when a mode fires
"""

from engine.nets.picture.canvas import Glyph, Picture, Role, Scene
from engine.nets.picture.drawing import draw, plan
from engine.nets.picture.graph import ArcKind, DrawnArc, DrawnPlace, DrawnTransition, Element, Graph, graph_of
from engine.nets.picture.layout import lay_out
from engine.nets.picture.painting import paint
from engine.nets.picture.rails import rails
from engine.nets.picture.tracing import Box, Cell, Layout
from engine.nets.picture.travel import Frame, travel

__all__ = [
    "ArcKind",
    "Box",
    "Cell",
    "DrawnArc",
    "DrawnPlace",
    "DrawnTransition",
    "Element",
    "Frame",
    "Glyph",
    "Graph",
    "Layout",
    "Picture",
    "Role",
    "Scene",
    "draw",
    "graph_of",
    "lay_out",
    "paint",
    "plan",
    "rails",
    "travel",
]
