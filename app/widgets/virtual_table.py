"""A table for a million rows, of which it holds some pages.

Rows come from an async loader in key-set pages, so that no page costs more than another; the table keeps one window of
loaded rows around what is seen, paints only those, and shows `·` where a page is on its way. The cursor is a key, not
a number: rows that come in above it do not move it. What the user types filters the loaded rows at once, and the
answer of the store replaces them.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from app.widgets.transcript.lines import safe

PAGE = 200
WINDOW = 10 * PAGE
FILTER_PAUSE_S = 0.12
LEAST_WIDTH = 16  # cells for a column that takes what the others leave

Key = Hashable


class Column(NamedTuple):
    """`width` is in cells; 0 takes what the others leave. On a narrow screen the last columns are left out."""

    name: str
    title: str
    width: int = 0
    sortable: bool = False
    right: bool = False


class Row(NamedTuple):
    key: Key
    cells: Sequence[str]


class Query(NamedTuple):
    """A page: `limit` rows past `key` (from the end that `backward` begins at, when None), `skip` of them left out.

    `skip` is above zero only when someone dragged the scrollbar far away, or reloads there. Rows come in the order of
    the table in any case.
    """

    sort: str
    descending: bool
    filter: str
    key: Key | None = None
    backward: bool = False
    skip: int = 0
    limit: int = PAGE


class Page(NamedTuple):
    """`total` counts all rows that match the filter."""

    rows: Sequence[Row]
    total: int


Loader = Callable[[Query], Awaitable[Page]]
"""Answers a query. What goes wrong is its own to handle: the table shows rows and nothing else."""


def matches(row: Row, text: str) -> bool:
    needle = text.casefold()
    return any(needle in cell.casefold() for cell in row.cells)


def listing(rows: Callable[[], Sequence[Row]]) -> Loader:
    """The loader for rows that are all at hand, shown in the order in which `rows` gives them."""

    async def load(query: Query) -> Page:
        found = [row for row in rows() if matches(row, query.filter)] if query.filter else rows()
        at = next((number for number, row in enumerate(found) if row.key == query.key), None)
        if query.backward:
            end = (len(found) if at is None else at) - query.skip
            return Page(found[max(0, end - query.limit) : max(0, end)], len(found))
        start = (0 if at is None else at + 1) + query.skip
        return Page(found[start : start + query.limit], len(found))

    return load


def fitted(columns: Sequence[Column], width: int) -> list[int]:
    """The widths of the columns that fit, with a cell on either side of each; the last ones give way."""
    kept = list(columns)
    while len(kept) > 1 and sum((column.width or LEAST_WIDTH) + 2 for column in kept) > width:
        kept.pop()
    spare = width - sum(column.width + 2 for column in kept)
    flexible = [number for number, column in enumerate(kept) if not column.width]
    widths = [column.width for column in kept]
    for done, number in enumerate(flexible):
        widths[number] = max(1, spare // (len(flexible) - done))
        spare -= widths[number]
    return widths


class Asked(NamedTuple):
    """A query on its way. `first` is the number of its first row; `fresh` rows replace what is held.

    A `jump` shows rows far from the cursor, which it leaves where it is.
    """

    query: Query
    first: int = 0
    fresh: bool = True
    jump: bool = False


class Rows:
    """The window of rows that are held: `held[0]` is number `first` of `total`."""

    def __init__(self) -> None:
        self.held: list[Row] = []
        self.first = 0
        self.total = 0

    @property
    def end(self) -> int:
        return self.first + len(self.held)

    def at(self, number: int) -> Row | None:
        return self.held[number - self.first] if self.first <= number < self.end else None

    def number(self, key: Key | None) -> int | None:
        return next((number for number, row in enumerate(self.held, self.first) if row.key == key), None)

    def put(self, rows: Sequence[Row], first: int) -> None:
        self.held, self.first = list(rows), first

    def keep(self, text: str) -> None:
        """Keep the rows that match, as if there were no others."""
        self.put([row for row in self.held if matches(row, text)], 0)
        self.total = len(self.held)

    def prepend(self, rows: Sequence[Row]) -> None:
        self.total += len(rows)
        if self.first:
            self.first += len(rows)
        else:
            self.held = [*rows, *self.held][:WINDOW]

    def take(self, asked: Asked, page: Page) -> None:
        """Put an answer where it belongs; the other end of the window gives way."""
        self.total = page.total
        if asked.fresh:
            from_end = asked.query.backward and asked.query.key is None
            self.put(page.rows, max(0, page.total - len(page.rows)) if from_end else asked.first)
        elif asked.query.backward:
            self.put([*page.rows, *self.held][:WINDOW], max(0, self.first - len(page.rows)))
        else:
            over = max(0, len(self.held) + len(page.rows) - WINDOW)
            self.put([*self.held, *page.rows][over:], self.first + over)
        if not page.rows:  # there is no more, whatever was counted: not to be asked for again
            self.total = self.end

    def missing(self, query: Query, top: int, height: int) -> Asked | None:
        """The page that is not held though it is on the screen, or will be soon."""
        if not self.held:
            return None
        query = query._replace(limit=max(PAGE, 3 * height))
        bottom = min(self.total, top + height)
        if top - query.limit > self.end:
            return Asked(query._replace(key=self.held[-1].key, skip=top - self.end), top, jump=True)
        if bottom + query.limit < self.first:
            return Asked(query._replace(skip=top), top, jump=True)
        if bottom + height > self.end and self.end < self.total:
            return Asked(query._replace(key=self.held[-1].key), self.end, fresh=False)
        if top - height < self.first and self.first > 0:
            return Asked(query._replace(key=self.held[0].key, backward=True), self.first, fresh=False)
        return None


class VirtualTable(ScrollView, can_focus=True):
    """Rows below a header that stays, with a cursor."""

    DEFAULT_CSS = """
    VirtualTable {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 18%;
        scrollbar-color-hover: $foreground 30%;
        scrollbar-color-active: $foreground 40%;
        background: $background;
        color: $foreground;

        .virtual-table--header { color: $foreground 60%; text-style: bold underline; }
        .virtual-table--cursor { background: $foreground 10%; text-style: bold; }
        .virtual-table--waiting, .virtual-table--empty { color: $foreground 45%; }
        &:focus .virtual-table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }

        &:ansi {
            scrollbar-color: $scrollbar;
            scrollbar-color-hover: $scrollbar-hover;
            scrollbar-color-active: $scrollbar-active;
            .virtual-table--header { color: $foreground; }
            .virtual-table--cursor { background: $background; text-style: bold underline; }
            .virtual-table--waiting, .virtual-table--empty { color: $foreground; text-style: dim; }
            &:focus .virtual-table--cursor { background: $background; color: $foreground; text-style: bold reverse; }
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "virtual-table--header",
        "virtual-table--cursor",
        "virtual-table--waiting",
        "virtual-table--empty",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "first", "Top", show=False),
        Binding("G,end", "last", "End", show=False),
        Binding("s", "sort", "Sort"),
        Binding("S", "sort(True)", "Reverse", show=False),
        Binding("enter", "choose", "Open"),
    ]

    class Highlighted(Message):
        """The cursor came to another row, or to none."""

        def __init__(self, key: Key | None) -> None:
            super().__init__()
            self.key = key

    class Chosen(Message):
        """The row under the cursor was opened."""

        def __init__(self, key: Key) -> None:
            super().__init__()
            self.key = key

    def __init__(
        self,
        columns: Sequence[Column],
        loader: Loader,
        *,
        sort: str = "",
        descending: bool = True,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`empty` is shown in the middle when there is no row."""
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self.empty = empty
        self._loader = loader
        self._query = Query(sort, descending, "")
        self._rows = Rows()
        self._cursor: Key | None = None
        self._wanted = 0  # the number of the cursor's row, once it has come
        self._asked: Asked | None = None
        self._answered = False
        self._pause: Timer | None = None

    # -- rows ---------------------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> Key | None:
        """The key of the row under the cursor; None when there is none, or it is on its way."""
        return self._cursor

    @property
    def total(self) -> int:
        return self._rows.total

    @property
    def query_now(self) -> Query:
        """How the rows are sorted and filtered."""
        return self._query

    def on_mount(self) -> None:
        self._ask_all()

    def on_resize(self) -> None:
        self._resized()
        self._need()

    def reload(self) -> None:
        """Ask again for the rows that are held. The cursor stays on its key, and its row where it is on the screen;
        if the row is gone, the cursor goes to the one that took its place."""
        self._wanted = self._number()
        elsewhere = self._cursor is not None and self._rows.number(self._cursor) is None
        limit = max(PAGE, len(self._rows.held))
        query = self._query._replace(skip=self._rows.first, limit=limit)
        self._ask(Asked(query, self._rows.first, jump=elsewhere))

    def prepend(self, rows: Sequence[Row]) -> None:
        """New rows came in at the top. What is seen and chosen stays, but at the very top they show."""
        scrolled = self.scroll_y > 0
        self._rows.prepend(rows)
        self._wanted += len(rows)
        self._resized()
        if scrolled:
            self.scroll_to(y=self.scroll_y + len(rows), animate=False)

    def filter(self, text: str) -> None:
        """Show rows with `text`: of the loaded ones now, of all when the store has answered."""
        self._query = self._query._replace(filter=text)
        self._asked = None
        self._wanted = self._number()
        self._rows.keep(text)
        if self._rows.number(self._cursor) is None:
            self._wanted = 0
        self._place_cursor(fresh=True)
        self._resized()
        if self._pause:
            self._pause.stop()
        self._pause = self.set_timer(FILTER_PAUSE_S, self._ask_all)

    def _ask_all(self) -> None:
        self._ask(Asked(self._query))

    def _ask(self, asked: Asked) -> None:
        """Load a page. A newer question makes an older answer worthless."""
        self._asked = asked
        load = partial(self._load, asked)  # not a coroutine yet: one that is given up would complain
        self.run_worker(load, exclusive=True, group="load")  # type: ignore[arg-type]

    async def _load(self, asked: Asked) -> None:
        page = await self._loader(asked.query)
        if asked is not self._asked:
            return
        self._asked, self._answered = None, True
        self._rows.take(asked, page)
        self._place_cursor(fresh=asked.fresh and not asked.jump)
        self._resized()
        self._need()

    def _need(self) -> None:
        if self._asked is None and (missing := self._rows.missing(self._query, self.scroll_offset.y, self.size.height)):
            self._ask(missing)

    def _resized(self) -> None:
        self.virtual_size = Size(self._width, self._rows.total + 1)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._need()

    # -- the cursor ---------------------------------------------------------------------------------------------------

    def _number(self) -> int:
        """The number of the cursor's row; where it should be, when it is not held."""
        found = self._rows.number(self._cursor) if self._cursor is not None else None
        return self._wanted if found is None else found

    def _set_cursor(self, key: Key | None) -> None:
        if key != self._cursor:
            self._cursor = key
            self.post_message(self.Highlighted(key))

    def _place_cursor(self, *, fresh: bool = False) -> None:
        """Find the cursor's row among rows that have come; in its place, when it is not there, another."""
        rows = self._rows
        found = rows.number(self._cursor) if self._cursor is not None else None
        if found is not None:
            moved, self._wanted = found - self._wanted, found
            if fresh and moved and self.scroll_y > 0:
                self.call_after_refresh(self.scroll_to, y=self.scroll_y + moved, animate=False)
        elif not rows.held:
            self._set_cursor(None)
        elif self._cursor is None or fresh:
            self._wanted = min(max(rows.first, self._wanted), rows.end - 1)
            row = rows.at(self._wanted)
            self._set_cursor(row.key if row else None)

    def _move(self, number: int) -> None:
        if not self._rows.total:
            return
        number = min(max(0, number), self._rows.total - 1)
        row = self._rows.at(number)
        self._wanted = number
        self._set_cursor(row.key if row else None)
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        self.scroll_to(y=min(max(top, number - height + 1), number), animate=False)
        self.refresh()

    @property
    def _width(self) -> int:
        """Cells beside the scrollbar, which is always there; `size` counts it in."""
        return max(0, self.size.width - self.styles.scrollbar_size_vertical)

    # -- painting -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._strip(self._titles(), "virtual-table--header")
        number = self.scroll_offset.y + y - 1
        if number >= self._rows.total:
            return self._empty_line(y)
        row = self._rows.at(number)
        if row is None:
            return self._strip(["·"] * len(self.columns), "virtual-table--waiting")
        return self._strip(row.cells, "virtual-table--cursor" if row.key == self._cursor else "")

    def _titles(self) -> Iterable[str]:
        arrow = "▼" if self._query.descending else "▲"
        for column in self.columns:
            yield f"{column.title} {arrow}" if column.sortable and column.name == self._query.sort else column.title

    def _empty_line(self, y: int) -> Strip:
        """A row below the last one: of the empty text, when there is nothing else."""
        if self._rows.total or not self._answered:
            return Strip.blank(self._width, self.rich_style)
        lines = safe(self.empty).expandtabs().split("\n")
        number = y - max(1, (self.size.height - len(lines)) // 2)
        text = lines[number] if 0 <= number < len(lines) else ""
        left = max(0, (self._width - max(map(cell_len, lines))) // 2)
        style = self.get_component_rich_style("virtual-table--empty")
        return Strip([Segment(" " * left + text, style)]).adjust_cell_length(self._width, self.rich_style)

    def _strip(self, cells: Iterable[str], name: str) -> Strip:
        style = self.get_component_rich_style(name) if name else self.rich_style
        widths = fitted(self.columns, self._width)
        segments = [
            Segment(f" {_fit(cell, width, column.right)} ", style)
            for cell, column, width in zip(cells, self.columns, widths, strict=False)
        ]
        return Strip(segments).adjust_cell_length(self._width, style)

    # -- keys and mouse -----------------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        self._move(self._number() + rows)

    def action_page(self, pages: int) -> None:
        self._move(self._number() + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        if self._rows.first > 0:
            self._ask_all()
        self._move(0)

    def action_last(self) -> None:
        if self._rows.end < self._rows.total:
            self._ask(Asked(self._query._replace(backward=True)))
        self._move(self._rows.total - 1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are left to the screen."""
        return action != "sort" or any(column.sortable for column in self.columns)

    def action_sort(self, reverse: bool = False) -> None:
        """Sort by the next column that may be; or the same the other way round."""
        names = [column.name for column in self.columns if column.sortable]
        if not names:
            return
        sort = self._query.sort
        following = names[(names.index(sort) + 1) % len(names)] if sort in names else names[0]
        self.sort_by(sort if reverse and sort in names else following)

    def sort_by(self, name: str) -> None:
        """Sort by a column, or the other way round if that is how it is sorted. The cursor goes to the top."""
        same = name == self._query.sort
        self._query = self._query._replace(sort=name, descending=not self._query.descending if same else True)
        self._wanted = 0
        self._rows.put([], 0)
        self._set_cursor(None)
        self.scroll_to(y=0, animate=False)
        self.refresh()
        self._ask_all()

    def action_choose(self) -> None:
        if self._cursor is not None:
            self.post_message(self.Chosen(self._cursor))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor on a row, a second one opens it; on a title it sorts."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_title(offset.x)
            return
        number = self.scroll_offset.y + offset.y - 1
        if number < self._rows.total:
            self._move(number)
            if event.chain > 1:
                event.prevent_default().stop()  # Textual would select the text of the whole screen
                self.action_choose()

    def _click_title(self, x: int) -> None:
        right = 0
        for column, width in zip(self.columns, fitted(self.columns, self._width), strict=False):
            right += width + 2
            if x < right:
                if column.sortable:
                    self.sort_by(column.name)
                return


def _fit(cell: str, width: int, right: bool) -> str:
    """`cell` in exactly `width` cells; what is cut ends in an ellipsis."""
    text = safe(cell).replace("\n", " ").replace("\t", " ")
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)
