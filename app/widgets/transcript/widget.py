"""A chat transcript that works only for what is seen: `Window` says which lines these are, this draws them.

What streams in is put together and shown at most PAINTS_PER_SECOND times a second. Selecting is Textual's own (mouse,
its copy key) with logical offsets: see `strips`. Copying is left to the app, which `Transcript.Copied` tells.
"""

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message as Event
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from app.widgets.transcript.blocks import Block
from app.widgets.transcript.caret import Caret
from app.widgets.transcript.copying import markdown, plain, plain_message
from app.widgets.transcript.document import Document, Place, Point
from app.widgets.transcript.empty import lay_empty
from app.widgets.transcript.lines import COPY, FOLD, Line
from app.widgets.transcript.look import COMPONENTS, CSS, Look
from app.widgets.transcript.message import THINKING, Message
from app.widgets.transcript.search import Search
from app.widgets.transcript.strips import MARGIN, Mark, draw, points_of, selection_of
from app.widgets.transcript.window import Window

PAINTS_PER_SECOND = 12
HINT_END = " ↓ end "
HINT_NEW = " ↓ new "

_STRIPS = 4096
_NEAR = 4  # screens that are scrolled line by line; beyond, guessed heights say where it lands
_FAR = 5000  # lines to look through for another code block


class Transcript(ScrollView, can_focus=True):
    """Messages one below the other, with folding, searching, selecting and copying."""

    DEFAULT_CSS = CSS
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(0, 1)", "Down", show=False),
        Binding("k,up", "move(0, -1)", "Up", show=False),
        Binding("h,left", "move(-1, 0)", "Left", show=False),
        Binding("l,right", "move(1, 0)", "Right", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("pageup,b", "page(-1)", "Page up", show=False),
        Binding("g,home", "first", "Top", show=False),
        Binding("G,end", "last", "End", show=False),
        Binding("n", "match(1)", "Next match", show=False),
        Binding("N", "match(-1)", "Match before", show=False),
        Binding("right_curly_bracket", "code(1)", "Next code"),
        Binding("left_curly_bracket", "code(-1)", "Code before", show=False),
        Binding("enter", "fold", "Fold"),
        Binding("v", "caret", "Select"),
        Binding("y", "copy", "Copy"),
        Binding("Y", "copy(True)", "Copy Markdown"),
        Binding("escape", "back", "Back", show=False),
    ]

    class Copied(Event):
        """`text` is to be copied; `what` says in a word or two what it is."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text = text
            self.what = what

    class LinkClicked(Event):
        """A link was clicked, whose address the model wrote."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    def __init__(
        self, messages: Iterable[Message] = (), *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        """`empty` is Markdown to show while there are no messages."""
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._look = Look(self)
        self._strips: LRUCache[tuple[Block, int], Strip] = LRUCache(_STRIPS)
        self._shown: list[Strip] = []  # what is on the screen
        self._arrived: list[tuple[str, str]] = []
        self._arrived_meta = ""
        self._resting = False  # between two paints of what streams in
        self._settling = False
        self._begin(messages)

    def _begin(self, messages: Iterable[Message]) -> None:
        self._document = Document(messages)
        self._window = Window(self._document)
        self._window.height = self.size.height
        self._search = Search(self._document)
        self._caret: Caret | None = None
        self._code: tuple[int, int] | None = None  # message and fence that the keys act on
        self._unseen = False  # something was said below the window
        self._arrived.clear()
        self._arrived_meta = ""
        self._strips.clear()

    # -- what is said -------------------------------------------------------------------------------------------------

    @property
    def messages(self) -> tuple[Message, ...]:
        self._take()
        return self._document.messages

    @property
    def following(self) -> bool:
        """Whether the view stays at the end: it does, until the reader goes up, and again once they are back."""
        return self._window.following

    @property
    def empty(self) -> str:
        return self._empty

    @empty.setter
    def empty(self, markdown: str) -> None:
        self._empty = markdown
        self._draw()

    def load(self, messages: Iterable[Message]) -> None:
        """Show these messages, from their end, instead of what was shown."""
        self._begin(messages)
        self._document.resize(self._text_width)
        if self.is_attached and self.text_selection:
            self.screen.clear_selection()
        self._settle()

    def clear(self) -> None:
        self.load(())

    def add(self, message: Message) -> None:
        """Put a message at the end."""
        self._take()
        self._document.add(message)
        self._grown()

    def extend(self, text: str = "", thinking: str = "", meta: str = "") -> None:
        """Let the last message say more; `meta` takes the place of the line that was there.

        It is shown at once, unless something was just shown: then with all that comes until it is time again.
        """
        self._arrived.append((text, thinking))
        self._arrived_meta = meta or self._arrived_meta
        if not self._resting:
            self.flush()
            self._rest()

    def flush(self) -> None:
        """Show what arrived now, as at the end of an answer."""
        if self._arrived:
            self._take()
            self._grown()

    def replace_last(self, message: Message) -> None:
        """Put `message` in the place of the last one, as when an answer is made again or ends in an error."""
        self._take()
        self._document.replace_last(message)
        self._grown()

    def _take(self) -> None:
        if self._arrived:
            text, thinking = ("".join(parts) for parts in zip(*self._arrived, strict=True))
            meta = self._arrived_meta
            self._arrived.clear()
            self._arrived_meta = ""
            self._document.extend(text, thinking, meta)

    def _rest(self) -> None:
        """Gather what arrives until it is time to paint again."""
        if self.is_running:
            self._resting = True
            self.set_timer(1 / PAINTS_PER_SECOND, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if self._arrived:
            self.flush()
            self._rest()

    def _grown(self) -> None:
        self._unseen = not self.following
        self._settle()

    # -- the window ---------------------------------------------------------------------------------------------------

    @property
    def _width(self) -> int:
        """Cells beside the scrollbar, which is always there; `size` counts it in."""
        return max(0, self.size.width - self.styles.scrollbar_size_vertical)

    @property
    def _text_width(self) -> int:
        return max(0, self._width - 2 * MARGIN)

    def _settle(self, top: Place | None = None) -> None:
        """Lay out what is seen, from `top` on, and show it."""
        if self._document.width:
            self._window.settle(top)
            self._show()

    def _go(self, top: Place) -> None:
        """Move the window because the reader asked for it."""
        self._window.go(top)
        self._show()

    def _bring(self, place: Place) -> None:
        self._window.bring(place)
        self._show()

    def _show(self) -> None:
        """Bring Textual's height and scroll position in line with what is known now, and draw."""
        self._unseen = self._unseen and not self.following
        self._settling = True
        height = self._document.heights.total
        if self.virtual_size.height != height:
            # Assigning it would lay out and paint the whole screen, so Textual is told what it needs.
            self.set_reactive(ScrollView.virtual_size, Size(self._width, height))
            self.vertical_scrollbar.window_virtual_size = height
        self.scroll_y = self._document.row(self._window.top) if self._window.rows else 0
        self.scroll_target_y = self.scroll_y
        self._settling = False
        self._draw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Textual scrolled: the wheel, the scrollbar, or its own keys."""
        super().watch_scroll_y(old_value, new_value)
        lines = round(new_value) - round(old_value)
        if not lines or self._settling or not self._window.rows:
            return
        if abs(lines) < _NEAR * self.size.height:
            self._go(self._document.moved(self._window.top, lines))
        else:
            self._go(self._document.at_row(round(new_value)))

    def on_mount(self) -> None:
        self.screen.screen_layout_refresh_signal.subscribe(self, self._laid_out)

    def _laid_out(self, _: object) -> None:
        """Textual sends no Resize to what shrinks because something was mounted beside it and asked for its place."""
        if self._window.height != self.size.height:
            self.on_resize()

    def on_resize(self) -> None:
        """What is seen is laid out anew, all else when it is seen; the text at the top stays at the top."""
        self._window.height = self.size.height
        if self._text_width != self._document.width:
            top = self._document.point(self._window.top) if self._window.rows else None
            self._document.resize(self._text_width)
            self._strips.clear()
            if top and self._text_width:
                self._window.top = self._document.place(top)
        self._settle()

    # -- drawing ------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if not self._shown:
            self._shown = self._drawn()
        return self._shown[y] if y < len(self._shown) else self._blank()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._look.clear()
        self._strips.clear()
        self._shown = []  # drawn when painted: the new styles are not complete before
        self.refresh()

    def _draw(self) -> None:
        """Paint the rows that changed."""
        if not self.is_attached:
            return
        shown = self._drawn()
        changed = [y for y in range(self.size.height) if shown[y : y + 1] != self._shown[y : y + 1]]
        self._shown = shown
        if changed:
            self.refresh(*(Region(0, y, self._width, 1) for y in changed))

    def _drawn(self) -> list[Strip]:
        if not self._document.entries:
            return self._drawn_empty()
        strips = [self._strip(place) for place in self._window.rows]
        if strips and not self.following:
            strips[-1] = self._with_hint(strips[-1])
        return strips

    def _drawn_empty(self) -> list[Strip]:
        lines = lay_empty(self._empty, self._text_width, self.size.height)
        return [draw(line, (), self._width, self._look, Point(0)) for line in lines]

    def _blank(self) -> Strip:
        return Strip.blank(self._width, self._look("", ""))

    def _with_hint(self, strip: Strip) -> Strip:
        """Say over the end of the lowest row that there is more below."""
        hint = HINT_NEW if self._unseen else HINT_END
        room = self._width - cell_len(hint) - MARGIN
        first = next(iter(strip), Segment("")).style
        offset = Style.from_meta(first.meta if first else {})  # each cell has one: see `strips`
        over = Segment(hint, self._look("", "hint") + offset), Segment(" " * MARGIN, self._look("", "") + offset)
        return Strip([*strip.crop(0, room), *over])

    def _strip(self, place: Place) -> Strip:
        """One line, drawn; those without marks are kept."""
        block, line = self._document.block(place), self._document.line(place)
        marks = self._marks(place, line)
        over = "current" if line.heads and self._document.code_at(place) == self._code else ""
        strip = None if marks or over else self._strips.get((block, place.line))
        if strip is None:
            origin = Point(place.message, place.block)
            strip = draw(line, marks, self._width, self._look, origin, over)
            if not marks and not over:
                self._strips[block, place.line] = strip
        return strip

    def _marks(self, place: Place, line: Line) -> list[Mark]:
        """What of a line was found, is selected, or is under the caret."""
        here, end, marks = place[:2], line.at + line.length, []
        for start, stop in self._search.spans(self._document.laid(*here).text if line.runs else ""):
            current = self._search.point == (*here, start)
            marks.append(Mark(start, stop, "hit-here" if current else "hit"))
        if selection := self.text_selection:
            low, high = points_of(selection, len(self._document.entries))
            if low[:2] <= here <= high[:2]:
                start, stop = (low.at if here == low[:2] else 0), (high.at if here == high[:2] else end)
                marks.append(Mark(start, stop, "selected"))
        if self._caret and self._caret.point[:2] == here:
            marks.append(Mark(self._caret.point.at, self._caret.point.at + 1, "caret"))
        return [mark for mark in marks if mark.start < end and mark.end > line.at]

    # -- selecting and copying ----------------------------------------------------------------------------------------

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """For Textual's own copy key."""
        if not self._document.entries:
            return None
        return plain(self._document, *points_of(selection, len(self._document.entries))), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        if self._window.rows:
            self._draw()

    def action_caret(self) -> None:
        """Show a caret; with one, select from it on, or no longer."""
        if self._caret:
            self._caret.mark = None if self._caret.mark else self._caret.point
        else:
            texts = (place for place in self._window.rows if self._document.line(place).runs)
            first = next(texts, None)
            self._caret = Caret(self._document, self._document.point(first)) if first else None
        self._caret_moved()

    def _caret_moved(self) -> None:
        if self._caret is None:
            return
        if selected := self._caret.selected():
            self.screen.selections = {self: selection_of(*selected)}
        self._bring(self._document.place(self._caret.point))

    def action_copy(self, as_markdown: bool = False) -> None:
        """Copy what is selected; else the chosen code block; else the lowest message that is seen."""
        self._take()
        if selection := self.text_selection:
            points = points_of(selection, len(self._document.entries))
            self._copy((markdown if as_markdown else plain)(self._document, *points), "selection")
        elif self._code:
            self._copy_code(self._code, as_markdown)
        elif self._window.rows:
            index = self._window.rows[-1].message
            message = self._document.entries[index].message
            self._copy(
                message.text if as_markdown else plain_message(self._document, index), f"message of {message.name}"
            )

    def _copy_code(self, code: tuple[int, int], as_markdown: bool = False) -> None:
        entry = self._document.opened(code[0])
        text = entry.code(code[1])
        if as_markdown:
            fence = next(entry.fence(code[1])).fence
            assert fence is not None
            text = f"{fence.marker}{fence.language}\n{text}{fence.marker}\n"
        self._copy(text, "code block")

    def _copy(self, text: str, what: str) -> None:
        self.post_message(self.Copied(text, what))

    # -- moving -------------------------------------------------------------------------------------------------------

    def action_move(self, columns: int, lines: int) -> None:
        """Move the caret; without one, scroll."""
        if self._caret:
            self._caret.move(columns, lines)
            self._caret_moved()
        elif lines:
            self._go(self._document.moved(self._window.top, lines))

    def action_page(self, pages: int) -> None:
        lines = pages * max(1, self.size.height - 2)
        if self._caret:
            self._caret.page(lines)
            self._caret_moved()
        else:
            self._go(self._document.moved(self._window.top, lines))

    def action_first(self) -> None:
        self._go(Place(0))

    def action_last(self) -> None:
        self._go(self._document.end)

    def action_back(self) -> None:
        """Leave the innermost: the selection with its caret, the chosen code block, the search. Then it is not ours."""
        if self._caret or self.text_selection:
            self._caret = None
            self.screen.clear_selection()
        elif self._code:
            self._code = None
        elif len(self._search):
            self.find("")
        else:
            raise SkipAction
        self._draw()

    # -- folding ------------------------------------------------------------------------------------------------------

    def action_code(self, step: int) -> None:
        """Choose the next code block, or the one before."""
        document = self._document
        seen = [place for place in self._window.rows if self._code and document.code_at(place) == self._code]
        if step > 0:
            walk = document.forward(seen[-1] if seen else self._window.top)
        else:
            walk = document.backward(seen[0] if seen else self._window.top)
        for _, place in zip(range(_FAR), walk, strict=False):
            if document.line(place).heads and document.code_at(place) != self._code:
                self._code = document.code_at(place)
                self._bring(place)
                return

    def action_fold(self) -> None:
        """Fold or unfold the chosen code block; else the first thinking that is seen."""
        thinking = (place for place in self._window.rows if self._document.group_at(place) == THINKING)
        if self._code:
            self._fold(*self._code)
        elif place := next(thinking, None):
            self._fold(place.message, THINKING)

    def _fold(self, message: int, group: int) -> None:
        top = self._document.point(self._window.top)
        self._document.fold(message, group)
        self._strips.clear()
        self._go(self._document.place(top))

    # -- the mouse ----------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """A click on a title folds or copies, on a link opens it, on the hint goes to the end; two select the block."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y >= len(self._window.rows):
            return
        place = self._window.rows[offset.y]
        if event.chain > 1:
            event.prevent_default().stop()  # Textual would select everything, which nobody wants of a transcript
            self._select_block(place)
        elif self._on_hint(offset.x, offset.y):
            self.action_last()
        else:
            self._follow(place, offset.x)

    def _on_hint(self, x: int, y: int) -> bool:
        last = len(self._window.rows) - 1
        return not self.following and y == last and x >= self._width - MARGIN - cell_len(HINT_NEW)

    def _select_block(self, place: Place) -> None:
        first = Point(place.message, place.block)
        last = first._replace(at=len(self._document.laid(place.message, place.block).text))
        self.screen.selections = {self: selection_of(first, last)}

    def _follow(self, place: Place, x: int) -> None:
        """Do what a click at column `x` of a line asks for."""
        line, column = self._document.line(place), MARGIN
        group, code = self._document.group_at(place), self._document.code_at(place)
        for run in (*line.lead, *line.runs):
            column += cell_len(run.text)
            if column <= x:
                continue
            if run.link == FOLD and group is not None:
                self._fold(place.message, group)
            elif run.link == COPY and code:
                self._copy_code(code)
            elif run.link:
                self.post_message(self.LinkClicked(run.link))
            return

    # -- searching ----------------------------------------------------------------------------------------------------

    def find(self, query: str) -> int:
        """Mark `query` wherever it was said, and say how often that is; `n` and `N` go through them. Nothing is looked
        for when it is empty."""
        self._take()
        self._search = Search(self._document, query)
        self._draw()
        return len(self._search)

    @property
    def match(self) -> tuple[int, int]:
        """Which match is the current one, counted from 1 (0 before the first `next_match`), and of how many."""
        return self._search.number, len(self._search)

    def next_match(self) -> None:
        self.action_match(1)

    def previous_match(self) -> None:
        self.action_match(-1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are left to the screen."""
        return self.match[1] > 0 if action == "match" else action != "copy" or bool(self._document.entries)

    def action_match(self, step: int) -> None:
        self._take()
        if point := self._search.step(step, self._window.top):
            self._strips.clear()  # a fence may have been unfolded
            self._bring(self._document.place(point))
