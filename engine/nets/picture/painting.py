"""A layout at one moment: cheap enough to do at every firing.

Nothing is said by colour alone. Wires of enabled transitions are heavy and their labels are buttons, and every arc ends
in its own head: `▶` input, output and (on a dotted wire) read, `○` inhibitor, `⊗` reset.
"""

from collections.abc import Iterator, Sequence

from engine.nets.picture.canvas import Ink, Picture, Role, Scene, dots
from engine.nets.picture.graph import DrawnPlace
from engine.nets.picture.lettering import cells_of, centred, fitted, legible
from engine.nets.picture.tracing import Box, Layout, ways_of

# Line characters by the ways they lead, as `ways_of` adds them up; the heavy ones twice.
_LINES = " ╴╸╷┐┑╻┒┓╶─╾┌┬┭┎┰┱╺╼━┍┮┯┏┲┳╵┘┙│┤┥╽┧┪└┴┵├┼┽┟╁╅┕┶┷┝┾┿┢╆╈╹┚┛╿┦┩┃┨┫┖┸┹┞╀╃┠╂╉┗┺┻┡╄╇┣╊╋"
_VERTICAL, _HORIZONTAL, _CROSSING = (27, 3, 30), (9, 1, 10), 40
_DOTTED = {"─": "┄", "━": "┅", "│": "┆", "┃": "┇", "-": ".", "=": ".", "|": ":"}
_HEADS = {">": "▶", "<": "◀", "v": "▼", "^": "▲", "o": "○", "x": "⊗"}
_BRACKETS = {"(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦"}  # top, middle and bottom of a box of several rows

_Piece = tuple[str, Role]


def paint(layout: Layout, scene: Scene, *, ascii: bool = False) -> Picture:
    """Draw `layout` at one moment. In `ascii`, a `|` amid `-` is a crossing, `+` a join."""
    ink = Ink(scene, ascii)
    _paint_wires(ink, layout)
    for at, head in layout.heads.items():
        ink.put(at, _HEADS[head], "head", layout.arcs_at[at])
    for (x, y), tag in layout.weights.items():
        ink.put((x, y), tag, "weight", layout.arcs_at.get((x, y)) or layout.arcs_at[x - 1, y])
    for box in layout.boxes:
        _paint_box(ink, box)
    return ink.picture(layout.width, layout.height, (box.element for box in layout.boxes), layout.runs)


def _paint_wires(ink: Ink, layout: Layout) -> None:
    """Wires of enabled transitions are heavy: their ways count twice, which makes the sum a number in base three."""
    heavy = ways_of(path for arc, path in layout.wires.items() if arc.mode in ink.scene.enabled)
    for at, arcs in layout.arcs_at.items():
        ways, more = layout.ways[at], heavy.get(at, 0)
        line = _LINES[ways + more]
        if ink.ascii:
            line = _ascii_line(ways, heavy=more == ways)
        if all(arc.kind == "read" for arc in arcs):
            line = _DOTTED.get(line, line)
        ink.dot(at, line, "wire", arcs, live=more > 0)


def _ascii_line(ways: int, *, heavy: bool) -> str:
    if ways in _VERTICAL:
        return "|"
    if ways in _HORIZONTAL:
        return "=" if heavy else "-"
    return "|" if ways == _CROSSING else "+"


def _paint_box(ink: Ink, box: Box) -> None:
    for row, pieces in enumerate(_rows(box, ink.scene, ink.ascii)):
        x = box.corner[0]
        for text, role in pieces:
            x = ink.put((x, box.corner[1] + row), text, role, (box.element,))


def _rows(box: Box, scene: Scene, ascii: bool) -> Iterator[Sequence[_Piece]]:
    """The text of a box, row by row, each in pieces of one role."""
    left, right = _brackets(box, scene)
    role: Role = "place" if isinstance(box.element, DrawnPlace) else "transition"
    room = box.width - 2 * len(left)
    for row in range(box.rows):
        part = 0 if row == 0 else 2 if row == box.rows - 1 else 1
        tall = box.rows > 1 and not ascii
        opening, closing = ("".join(_BRACKETS[char][part] for char in text) if tall else text for text in (left, right))
        blank: list[_Piece] = [(" " * room, role)]
        middle = _inscription(box, scene, room) if row == (box.rows - 1) // 2 else blank
        yield [(opening, role), *middle, (closing, role)]


def _brackets(box: Box, scene: Scene) -> tuple[str, str]:
    if isinstance(box.element, DrawnPlace):
        return ("((", "))") if box.element.final else ("(", ")")
    return (" ", " ") if box.bare and box.element.mode not in scene.enabled else ("[", "]")


def _inscription(box: Box, scene: Scene, room: int) -> Sequence[_Piece]:
    """Tokens and name of a place, or the name of a transition with `▸` if it is enabled, centred in `room`."""
    element = box.element
    role: Role = "place" if isinstance(element, DrawnPlace) else "transition"
    if isinstance(element, DrawnPlace):
        mark = dots(scene.tokens.get(element.id, 0), followed=scene.focus == element.id)
        label = " " if mark else ""
    else:
        # A bare label turns into a button when it is enabled; one that always has brackets needs another sign.
        mark = "▸" if element.mode in scene.enabled and not box.bare else ""
        label = ""
    label += fitted(legible(element.name), room - cells_of(mark + label))
    before, after = centred(mark + label, room)
    return [(before, role), (mark, "token" if role == "place" else role), (label + after, role)]
