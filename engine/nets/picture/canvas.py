"""Cells with characters in them: what a picture is made of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from engine.nets.picture.graph import DrawnArc, DrawnPlace, DrawnTransition, Element
from engine.nets.picture.lettering import clusters
from engine.nets.picture.tracing import Cell

Role = Literal["place", "transition", "wire", "head", "weight", "token"]

_ASCII = str.maketrans("▶◀▼▲○⊗●◉▸×…─━┄┅┃┆┇·", "><v^ox*@>x~-=..|::.")
_TRAVELLER = "◉"


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment: tokens by place, the names of the enabled modes, and the place whose token is followed (`◉`)."""

    tokens: Mapping[str, int] = field(default_factory=dict)
    enabled: frozenset[str] = frozenset()
    focus: str | None = None


@dataclass(frozen=True, slots=True)
class Glyph:
    """One cell. `char` is empty in the right half of a wide character.

    `live`: it belongs to an enabled transition, to one of its wires, or to a marked place.
    """

    char: str
    role: Role
    elements: tuple[Element, ...] = ()
    live: bool = False


_BLANK = Glyph(" ", "wire")


@dataclass(frozen=True)
class Picture:
    """What there is to see, and whose it is.

    `cells` of an arc run from end to end, the way a token travels; those of a box row by row. `order` has the places
    and transitions in the order in which the picture reads.
    """

    width: int
    height: int
    glyphs: Mapping[Cell, Glyph]
    cells: Mapping[Element, tuple[Cell, ...]]
    order: tuple[DrawnPlace | DrawnTransition, ...]
    ascii: bool = False

    def row(self, y: int, travellers: Iterable[Cell] = ()) -> list[Glyph]:
        """One line, blanks included, with a travelling token in each cell of `travellers`."""
        row = [self.glyphs.get((x, y), _BLANK) for x in range(self.width)]
        for x in (x for x, at in travellers if at == y and 0 <= x < self.width):
            owners = row[x].elements
            if not row[x].char:  # the other half of a wide character cannot stand alone
                row[x - 1] = Glyph(" ", row[x - 1].role, owners)
            elif x + 1 < self.width and not row[x + 1].char:
                row[x + 1] = Glyph(" ", row[x + 1].role, owners)
            row[x] = Glyph(spelled(_TRAVELLER, ascii=self.ascii), "token", owners)
        return row

    @cached_property
    def text(self) -> str:
        rows = ("".join(glyph.char for glyph in self.row(y)) for y in range(self.height))
        return "\n".join(row.rstrip() for row in rows)

    def __str__(self) -> str:
        return self.text


def spelled(text: str, *, ascii: bool) -> str:
    """`text` with our signs in ASCII, if it has to be."""
    return text.translate(_ASCII) if ascii else text


def dots(tokens: int, *, followed: bool) -> str:
    """The tokens of a place, in at most three cells as long as there are less than a hundred."""
    dot = _TRAVELLER if followed else "●"
    return dot * tokens if tokens < 3 else f"{dot}{tokens}"


@dataclass(slots=True)
class Ink:
    """The cells drawn so far; what is put later covers what was there."""

    scene: Scene
    ascii: bool
    glyphs: dict[Cell, Glyph] = field(default_factory=dict)

    def put(self, at: Cell, text: str, role: Role, elements: Sequence[Element]) -> int:
        """Write `text`, and return the column after it."""
        (x, y), owners = at, tuple(elements)
        live = any(map(self._is_live, owners))
        for char, width in clusters(spelled(text, ascii=self.ascii)):
            self.dot((x, y), char, role, owners, live=live)
            if width == 2:
                self.dot((x + 1, y), "", role, owners, live=live)
            x += width
        return x

    def dot(self, at: Cell, char: str, role: Role, owners: tuple[Element, ...], *, live: bool) -> None:
        """Write one cell."""
        self.glyphs[at] = Glyph(char, role, owners, live)

    def _is_live(self, element: Element) -> bool:
        if isinstance(element, DrawnPlace):
            return self.scene.tokens.get(element.id, 0) > 0
        return element.mode in self.scene.enabled

    def picture(
        self,
        width: int,
        height: int,
        order: Iterable[DrawnPlace | DrawnTransition],
        paths: Mapping[DrawnArc, tuple[Cell, ...]],
    ) -> Picture:
        """All that was drawn. `paths` are the cells of all arcs as they are walked, where that is not line by line."""
        cells: defaultdict[Element, list[Cell]] = defaultdict(list)
        for at, glyph in self.glyphs.items():
            for element in glyph.elements:
                if not paths or not isinstance(element, DrawnArc):
                    cells[element].append(at)
        found = {element: tuple(its_cells) for element, its_cells in cells.items()}
        return Picture(width, height, self.glyphs, found | dict(paths), tuple(order), self.ascii)
