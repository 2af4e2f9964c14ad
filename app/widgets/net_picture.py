"""A net, drawn and alive: look at it, walk over it, choose a part of it, ask for a transition to be fired.

The widget draws and asks; what a firing does is not its business. Whoever shows it calls `show` with the next scene. A
scene changes no layout, and only lines that look different are painted again.
"""

import asyncio
from collections.abc import Iterable
from itertools import groupby
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.nets.model import Net
from engine.nets.picture import (
    Cell,
    DrawnTransition,
    Element,
    Frame,
    Glyph,
    Graph,
    Layout,
    Picture,
    Scene,
    graph_of,
    paint,
    plan,
    rails,
    travel,
)

AT_ONCE = 60  # places and transitions up to which the layout is so quick that it may hold up the screen
KEPT_LAYOUTS = 16
MARGIN = 1
NARROW = 40  # below this width a picture has to fit: too little of a larger one could be seen
OVERFLOW = 3  # how many times as wide as the view a picture may be before it becomes a list
PAN_COLUMNS, PAN_ROWS = 6, 2
TRAVEL_S = 0.35


class _Key(NamedTuple):
    """What a layout depends on."""

    graph: Graph
    width: int
    compact: bool


class NetPicture(ScrollView):
    """Shows one net at one moment.

    `chosen` is the element that the user points at. While it is `walked`, left, right and end mean something to whoever
    shows it. `compact` draws with short labels and close together, `ascii` with
    ASCII characters. With `reduced_motion`, and where the terminal asks for no animations, tokens do not travel.
    """

    ALLOW_SELECT = False  # a drag over a drawing is no text; `text` is there to be copied
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "net-picture--place",
        "net-picture--marked",
        "net-picture--token",
        "net-picture--transition",
        "net-picture--live",
        "net-picture--wire",
        "net-picture--head",
        "net-picture--weight",
        "net-picture--chosen",
        "net-picture--dim",
    }
    DEFAULT_CSS = """
    NetPicture {
        background: $surface;
        color: $foreground;
        scrollbar-gutter: stable;
        scrollbar-size: 1 1;

        .net-picture--place { color: $foreground; }
        .net-picture--marked { color: $text-warning; text-style: bold; }
        .net-picture--token { color: $text-warning; text-style: bold; }
        .net-picture--transition { color: $text-primary; }
        .net-picture--live { color: $text-success; text-style: bold; }
        .net-picture--wire { color: $foreground 55%; }
        .net-picture--head { color: $foreground 75%; }
        .net-picture--weight { color: $text-accent; text-style: italic; }
        .net-picture--chosen { text-style: reverse; }
        .net-picture--dim { color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "fire_chosen", "Fire", show=False),
        Binding("plus,equals_sign,right_square_bracket", "zoom(True)", "Full labels", show=False),
        Binding("minus,left_square_bracket", "zoom(False)", "Short labels", show=False),
    ]

    chosen: var[Element | None] = var[Element | None](None, init=False)
    compact: var[bool] = var(False, init=False)
    ascii: var[bool] = var(False, init=False)
    reduced_motion: var[bool] = var(False, init=False)
    travelled: var[float] = var(0.0, init=False)  # how much of its way the travelling token has behind it

    class Chosen(Message):
        """The user chose a place, a transition or an arc."""

        def __init__(self, element: Element) -> None:
            super().__init__()
            self.element = element

    class FireRequested(Message):
        """The user wants an enabled transition to be fired. `source` is None unless it is an any-of transition."""

        def __init__(self, transition_id: str, source: str | None) -> None:
            super().__init__()
            self.transition_id = transition_id
            self.source = source

    def __init__(
        self,
        *,
        ascii: bool = False,
        listed: bool = False,
        reduced_motion: bool = False,
        empty: str = "There is no net to draw yet.",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`listed` shows a list, to be read line by line, in place of the drawing; `empty` is what stands there as long
        as there is nothing to draw."""
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(NetPicture.ascii, ascii)
        self.set_reactive(NetPicture.reduced_motion, reduced_motion)
        self._listed = listed
        self._empty = empty
        self._net: Net | None = None
        self._graph = Graph()
        self._scene = Scene()
        self._departed: Scene | None = None  # the scene while a token travels: it has left where it was
        self._layout_now: Layout | None = None
        self._layouts: dict[_Key, Layout | None] = {}
        self._drawing = False
        self._picture: Picture | None = None
        self._strips: dict[int, Strip] = {}
        self._frames: tuple[Frame, ...] = ()
        self._travellers: Frame = frozenset()
        self._fired_by_click = False
        self.walked = False

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────

    def show(self, net: Net, scene: Scene) -> None:
        """Show `net` at one moment. While a token travels, a new scene waits until it arrives."""
        graph = self._graph if net is self._net else graph_of(net)
        self._net, self._scene = net, scene
        if graph == self._graph:
            if not self._frames:
                self._repaint()
            return
        self._arrive()
        if self.chosen not in (*graph.places, *graph.transitions, *graph.arcs):
            self.chosen = None
        self._graph, self._picture = graph, None
        self._lay_out()

    @property
    def text(self) -> str:
        """The picture as text, for copying."""
        return self._picture.text if self._picture else self._message

    @property
    def travelling(self) -> bool:
        """Whether a token is on its way."""
        return bool(self._frames)

    def region_of(self, element: Element) -> Region | None:
        """Where `element` is drawn, in the coordinates of what is scrolled; None while it is not drawn.

        In a list, where a place comes in several lines, the first of them.
        """
        cells = self._picture.cells.get(element, ()) if self._picture else ()
        if self._layout_now is None:
            cells = tuple(cell for cell in cells if cell[1] == cells[0][1])
        if not cells:
            return None
        columns, rows = {x for x, _ in cells}, {y for _, y in cells}
        corner = Offset(min(columns), min(rows)) + self._origin
        return Region(*corner, max(columns) - min(columns) + 1, max(rows) - min(rows) + 1)

    def centre_on(self, element: Element) -> None:
        """Move the view so that `element` is in its middle."""
        if region := self.region_of(element):
            self.scroll_to_region(region, center=True, animate=False, force=True)

    # ── choosing and firing ──────────────────────────────────────────────────────────────────────────────────────────

    def select_next(self) -> None:
        """Choose the next place or transition in the order in which the picture reads."""
        self._select(1)

    def select_previous(self) -> None:
        self._select(-1)

    def _select(self, step: int) -> None:
        order = self._picture.order if self._picture else ()
        if order:
            here = order.index(self.chosen) if self.chosen in order else -1 if step > 0 else 0
            self._choose(order[(here + step) % len(order)])

    def _choose(self, element: Element) -> None:
        self.chosen = element
        if region := self.region_of(element):
            self.scroll_to_region(region, animate=not self.reduced_motion)
        self.post_message(self.Chosen(element))

    def action_fire_chosen(self) -> None:
        if not self._request_firing(self.chosen):
            raise SkipAction

    def _request_firing(self, element: Element | None) -> bool:
        """Ask to fire `element` if it is an enabled transition; whether it is."""
        if not isinstance(element, DrawnTransition) or element.mode not in self._scene.enabled:
            return False
        self.post_message(self.FireRequested(element.transition, element.source))
        return True

    def on_click(self, event: events.Click) -> None:
        """Choose; the second click on an enabled transition fires it, be it a double click or not."""
        elements = self._elements_at(event)
        event.stop()
        if event.chain == 1:
            self._fired_by_click = False
        if not elements:
            self.chosen = None
        elif self.chosen not in elements:
            self._choose(elements[0])
        elif len(elements) > 1:  # arcs that share a trunk take turns
            self._choose(elements[(elements.index(self.chosen) + 1) % len(elements)])
        elif not self._fired_by_click:
            self._fired_by_click = self._request_firing(self.chosen)

    def _elements_at(self, event: events.Click) -> tuple[Element, ...]:
        at = event.get_content_offset(self)
        if at is None or self._picture is None:
            return ()
        column, row = at + self.scroll_offset - self._origin
        glyph = self._picture.glyphs.get((column, row))
        return glyph.elements if glyph else ()

    # ── a token on its way ───────────────────────────────────────────────────────────────────────────────────────────

    def play_firing(self, transition_id: str, source: str | None = None) -> None:
        """Let a token travel along the inputs, through the transition, and along the outputs.

        Call it before `show` brings the scene after the firing. Returns at once; a token that is still on its way
        arrives first. Does nothing where motion is not wanted.
        """
        self._arrive()
        drawn = next((t for t in self._graph.transitions if (t.transition, t.source) == (transition_id, source)), None)
        if drawn is None or self._picture is None or self.reduced_motion or self.app.animation_level == "none":
            return
        self._frames = travel(self._graph, self._picture, drawn)
        if not self._frames:
            return
        self._departed = _without_inputs(self._scene, self._graph, drawn)
        self._repaint()
        if region := self.region_of(drawn):
            self.scroll_to_region(region, animate=False)
        self.set_reactive(NetPicture.travelled, 0.0)
        self.animate("travelled", 1.0, duration=TRAVEL_S, easing="in_out_sine", level="basic")

    def watch_travelled(self, travelled: float) -> None:
        if not self._frames:
            return
        if travelled >= 1.0:
            self._land()
        else:
            self._move_travellers(self._frames[int(travelled * len(self._frames))])

    def _arrive(self) -> None:
        """End the travel at once, if there is one."""
        if self._frames:
            self.app.animator.force_stop_animation(self, "travelled")
            self._land()

    def _land(self) -> None:
        """Show the scene that waited for the token."""
        if self._frames:
            self._frames, self._departed = (), None
            self._move_travellers(frozenset())
            self._repaint()

    def _move_travellers(self, cells: Frame) -> None:
        rows = {row for _, row in self._travellers ^ cells}
        self._travellers = cells
        self._refresh_rows(rows, keep=True)

    # ── laying out ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _key(self) -> _Key:
        return _Key(self._graph, self._view.width - 2 * MARGIN, self.compact)

    def on_resize(self) -> None:
        self._lay_out()

    def watch_compact(self) -> None:
        self._lay_out()

    def action_zoom(self, closer: bool) -> None:
        self.compact = not closer

    def _lay_out(self) -> None:
        """Find the layout for this net and width, now or, for a large net, in a thread."""
        key = self._key
        if key.width <= 0:
            return
        if key not in self._layouts:
            if len(self._graph.places) + len(self._graph.transitions) > AT_ONCE:
                if not self._drawing:
                    self._drawing = True
                    self.run_worker(self._lay_out_elsewhere())
                self._redraw()
                return
            self._keep(key, _planned(key))
        self._use(self._layouts[key])

    async def _lay_out_elsewhere(self) -> None:
        """One layout at a time, until there is one for what is wanted by then."""
        try:
            while (key := self._key) not in self._layouts:
                self._keep(key, await asyncio.to_thread(_planned, key))
        finally:
            self._drawing = False
        self._use(self._layouts[key])

    def _keep(self, key: _Key, layout: Layout | None) -> None:
        if len(self._layouts) >= KEPT_LAYOUTS:
            del self._layouts[next(iter(self._layouts))]
        self._layouts[key] = layout

    def _use(self, layout: Layout | None) -> None:
        self._arrive()
        self._layout_now = None if self._listed else layout
        self._picture = self._painted()
        self._redraw()
        self.call_after_refresh(self.bring_into_view)

    def bring_into_view(self) -> None:
        """Where the picture is larger than the view: see what is chosen, unless it is walked, else the followed token,
        else any token."""
        marked: list[Element] = [place for place in self._graph.places if self._scene.tokens.get(place.id)]
        followed: list[Element] = [place for place in self._graph.places if place.id == self._scene.focus]
        wanted = ([self.chosen] if self.chosen and not self.walked else None) or followed or marked
        seen = self._view.region + self.scroll_offset
        regions = [region for element in wanted if (region := self.region_of(element))]
        if wanted and not any(seen.contains_region(region) for region in regions):
            self.centre_on(wanted[0])

    # ── painting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _painted(self) -> Picture:
        scene = self._departed or self._scene
        if self._layout_now is None:
            return rails(self._graph, scene, self._key.width, ascii=self.ascii)
        return paint(self._layout_now, scene, ascii=self.ascii)

    def _repaint(self) -> None:
        """The same net at another moment."""
        if self._picture is None:
            return
        before, after = self._picture, self._painted()
        self._picture = after
        if (before.width, before.height) == (after.width, after.height):
            self._refresh_rows(_differing_rows(before, after))
        else:
            self._redraw()

    def _redraw(self) -> None:
        """Everything may have changed, its size too."""
        self._strips.clear()
        picture = self._picture
        if picture is None:
            self.virtual_size = Size(0, 0)
        else:
            self.virtual_size = Size(picture.width + 2 * MARGIN, picture.height)
        self.refresh()

    def _refresh_rows(self, rows: Iterable[int], *, keep: bool = False) -> None:
        """Paint some rows of the picture again; `keep` what is known of them."""
        for row in rows:
            if not keep:
                self._strips.pop(row, None)
            self.refresh_line(row + self._origin.y)

    def watch_chosen(self, before: Element | None, after: Element | None) -> None:
        for element in (before, after):
            cells = self._picture.cells.get(element, ()) if self._picture and element else ()
            self._refresh_rows({row for _, row in cells})

    def watch_ascii(self) -> None:
        self._arrive()
        if self._picture is not None:
            self._picture = self._painted()
            self._redraw()

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    @property
    def _view(self) -> Size:
        """What is free for the picture: a vertical scrollbar keeps its column even where there is none."""
        return self.scrollable_content_region.size

    @property
    def _origin(self) -> Offset:
        """Where the picture begins: it stands in the middle of a view that is larger; a list begins at the top."""
        picture = self._picture
        if picture is None or self._layout_now is None:
            return Offset(MARGIN, 0)
        spare = self._view - Size(picture.width, picture.height)
        return Offset(max(MARGIN, spare.width // 2), spare.height // 2)

    @property
    def _message(self) -> str:
        return "drawing…" if self._drawing else self._empty

    def render_line(self, y: int) -> Strip:
        width = self._view.width
        if self._picture is None or not self._picture.height:
            text = self._message if y == 0 else ""
            line = Strip([Segment(" " * MARGIN + text, self.get_component_rich_style("net-picture--dim"))])
            return line.crop_extend(0, width, self.rich_style)
        left, top = self.scroll_offset
        line = self._line(y + top - self._origin.y)
        return line.crop_extend(left, left + width, self.rich_style)

    def _line(self, row: int) -> Strip:
        """A whole line of the picture, with what is free before it."""
        travellers = [cell for cell in self._travellers if cell[1] == row]
        if travellers:
            return self._painted_line(row, travellers)
        if row not in self._strips:
            self._strips[row] = self._painted_line(row)
        return self._strips[row]

    def _painted_line(self, row: int, travellers: Iterable[Cell] = ()) -> Strip:
        assert self._picture is not None
        segments = [Segment(" " * self._origin.x, self.rich_style)]
        for (component, chosen), run in groupby(self._picture.row(row, travellers), key=self._look):
            segments.append(Segment("".join(glyph.char for glyph in run), self._style(component, chosen)))
        return Strip(segments, self._origin.x + self._picture.width)

    def _look(self, glyph: Glyph) -> tuple[str, bool]:
        """The component that styles a cell, and whether it is part of what is chosen."""
        chosen = self.chosen is not None and self.chosen in glyph.elements
        if glyph.live and glyph.role != "token":
            return "marked" if glyph.role == "place" else "live", chosen
        return glyph.role, chosen

    def _style(self, component: str, chosen: bool) -> Style:
        style = self.get_component_rich_style(f"net-picture--{component}")
        return style + self.get_component_rich_style("net-picture--chosen", partial=True) if chosen else style

    # ── moving over it ───────────────────────────────────────────────────────────────────────────────────────────────

    def action_scroll_left(self) -> None:
        self._pan(x=-PAN_COLUMNS)

    def action_scroll_right(self) -> None:
        self._pan(x=PAN_COLUMNS)

    def action_scroll_up(self) -> None:
        self._pan(y=-PAN_ROWS)

    def action_scroll_down(self) -> None:
        self._pan(y=PAN_ROWS)

    def action_scroll_end(self) -> None:
        if self.walked:
            raise SkipAction
        super().action_scroll_end()

    def _pan(self, x: int = 0, y: int = 0) -> None:
        """Skipped where there is nothing more to see, so that the keys may mean something outside."""
        if (x and self.walked) or not (self.allow_horizontal_scroll if x else self.allow_vertical_scroll):
            raise SkipAction
        self.scroll_relative(x=x, y=y, animate=False)


def _planned(key: _Key) -> Layout | None:
    limit = OVERFLOW * key.width if key.width >= NARROW else 0
    return plan(key.graph, key.width, limit=limit, compact=key.compact)


def _without_inputs(scene: Scene, graph: Graph, transition: DrawnTransition) -> Scene:
    """The scene without the tokens that `transition` takes."""
    tokens = dict(scene.tokens)
    for arc in graph.arcs_of.get(transition.mode, ()):
        if arc.kind == "input":
            tokens[arc.place] = max(tokens.get(arc.place, 0) - arc.weight, 0)
    return Scene(tokens, scene.enabled)


def _differing_rows(before: Picture, after: Picture) -> set[int]:
    one, other = before.glyphs, after.glyphs
    return {at[1] for at in one.keys() | other.keys() if one.get(at) != other.get(at)}
