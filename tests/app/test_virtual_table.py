"""The table that holds a window of its rows."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from app.widgets.virtual_table import (
    PAGE,
    WINDOW,
    Column,
    Loader,
    Page,
    Query,
    Row,
    VirtualTable,
    _fit,
    fitted,
    listing,
    matches,
)

COLUMNS = (
    Column("name", "Name", sortable=True),
    Column("size", "Size", 8, sortable=True, right=True),
    Column("note", "Note", 12),
)


class Store:
    """Rows behind a table, sorted and filtered as they are asked for; it remembers the questions."""

    def __init__(self, count: int) -> None:
        self.rows = [Row(number, (f"row {number:06}", str(number % 97), "日本語")) for number in range(count)]
        self.asked: list[Query] = []

    async def load(self, query: Query) -> Page:
        self.asked.append(query)
        column = [column.name for column in COLUMNS].index(query.sort)
        rows = sorted(self.rows, key=lambda row: (row.cells[column], row.key), reverse=query.descending)
        return await listing(lambda: rows)(query)


class Bench(App[None]):
    CSS = "VirtualTable { height: 1fr; }"

    def __init__(self, loader: Loader, *, empty: str = "", columns: Sequence[Column] = COLUMNS) -> None:
        super().__init__()
        self.said: list[tuple[str, object]] = []
        self._table = VirtualTable(columns, loader, sort="name", descending=False, empty=empty)

    def compose(self) -> ComposeResult:
        yield self._table

    def on_mount(self) -> None:
        self._table.focus()

    def on_virtual_table_highlighted(self, event: VirtualTable.Highlighted) -> None:
        self.said.append(("highlighted", event.key))

    def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        self.said.append(("chosen", event.key))


def screen_of(app: Bench) -> list[str]:
    table = app.query_one(VirtualTable)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


def cursor_row(app: Bench) -> int:
    table = app.query_one(VirtualTable)
    return next(y for y, row in enumerate(screen_of(app)) if y and row.startswith(f" row {table.cursor:06}"))


async def test_it_shows_a_header_and_rows_with_the_cursor_on_the_first():
    app = Bench(Store(1000).load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        rows = screen_of(app)
        assert rows[0].startswith(" Name ▲ ")
        assert rows[0].split()[2:] == ["Size", "Note"]
        assert rows[1].startswith(" row 000000 ")
        assert rows[1].endswith(" 0  日本語")
        assert app.query_one(VirtualTable).cursor == 0
        assert app.query_one(VirtualTable).total == 1000
        assert app.said == [("highlighted", 0)]


async def test_the_keys_move_the_cursor_and_open_its_row():
    app = Bench(Store(1000).load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("j", "down", "k", "enter", "pagedown", "pageup", "pageup", "k")
        await pilot.pause()
        assert app.said == [
            *(("highlighted", key) for key in (0, 1, 2, 1)),
            ("chosen", 1),
            *(("highlighted", key) for key in (19, 1, 0)),
        ]


async def test_the_end_of_a_hundred_thousand_rows_is_two_pages_away():
    store = Store(100_000)
    app = Bench(store.load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("G")
        await app.workers.wait_for_complete()
        await pilot.pause()
        table = app.query_one(VirtualTable)
        assert table.cursor == 99_999
        assert screen_of(app)[-1].startswith(" row 099999 ")
        assert len(store.asked) <= 3
        assert len(table._rows.held) <= WINDOW
        await pilot.press("g")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert table.cursor == 0
        assert screen_of(app)[1].startswith(" row 000000 ")


async def test_a_walk_down_asks_for_pages_by_key_and_keeps_a_window():
    store = Store(5000)
    app = Bench(store.load)
    async with app.run_test(size=(60, 40)) as pilot:
        table = app.query_one(VirtualTable)
        for _ in range(56):
            await pilot.press("pagedown")
            await app.workers.wait_for_complete()
        await pilot.pause()
        assert table.cursor == 56 * 38
        assert cursor_row(app)
        assert len(table._rows.held) <= WINDOW
        assert all(query.skip == 0 and query.limit <= PAGE for query in store.asked)


async def test_a_far_jump_of_the_scrollbar_shows_the_rows_and_leaves_the_cursor():
    app = Bench(Store(50_000).load)
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        await app.workers.wait_for_complete()
        for y in (30_000, 10_000):
            table.scroll_to(y=y, animate=False)
            await pilot.pause()
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert screen_of(app)[1].startswith(f" row {y:06} ")
        assert table.cursor == 0


async def test_the_first_row_has_not_come_yet_and_the_screen_says_so():
    app = Bench(Store(50_000).load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        table = app.query_one(VirtualTable)
        table._rows.put([], 0)
        assert screen_of(app)[1].split() == ["·", "·", "·"]
        await pilot.pause()


async def test_a_reload_keeps_the_cursor_on_its_key_and_its_row_on_the_screen():
    store = Store(1000)
    app = Bench(store.load)
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        await app.workers.wait_for_complete()
        await pilot.press(*["pagedown"] * 10)
        row, key = cursor_row(app), table.cursor
        store.rows += [Row(f"new {number}", (f"row 000000 {number}", "0", "")) for number in range(7)]
        app.said.clear()
        table.reload()
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert (table.cursor, cursor_row(app), table.total) == (key, row, 1007)
        assert app.said == []


async def test_a_reload_after_the_row_is_gone_goes_to_the_one_in_its_place():
    store = Store(10)
    app = Bench(store.load)
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        await app.workers.wait_for_complete()
        await pilot.press("j", "j", "j")
        for gone, cursor in ((3, 4), (9, 4), (4, 5)):
            store.rows = [row for row in store.rows if row.key != gone]
            table.reload()
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert table.cursor == cursor
        store.rows = []
        table.reload()
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert table.cursor is None
        assert app.said[-1] == ("highlighted", None)
        await pilot.press("j", "k", "g", "G", "pagedown", "enter", "s")
        assert table.cursor is None


async def test_new_rows_at_the_top_move_neither_the_cursor_nor_the_view():
    app = Bench(Store(1000).load)
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        await app.workers.wait_for_complete()
        await pilot.press(*["pagedown"] * 3)
        before, key = screen_of(app), table.cursor
        table.prepend([Row("new", ("row new", "", ""))])
        await pilot.pause()
        assert (screen_of(app), table.cursor) == (before, key)
        await pilot.press("g")
        assert table.cursor == "new"


async def test_a_filter_shows_loaded_rows_at_once_and_asks_for_all():
    store = Store(3000)
    app = Bench(store.load)
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        await app.workers.wait_for_complete()
        table.filter("ROW 00011")
        assert table.total == 10
        assert table.cursor == 110
        table._ask_all()
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert store.asked[-1].filter == "ROW 00011"
        assert table.total == 10


async def test_a_click_on_a_title_sorts_and_another_turns_it_round():
    app = Bench(Store(300).load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        column = screen_of(app)[0].index("Size")
        for arrow, first in (("▼", "96"), ("▲", "0")):
            await pilot.click(VirtualTable, offset=(column, 0))
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert f"Size {arrow}" in screen_of(app)[0]
            assert screen_of(app)[1].split()[2] == first
        await pilot.press("s")
        await app.workers.wait_for_complete()
        assert app.query_one(VirtualTable).query_now.sort == "name"
        await pilot.press("S")
        await app.workers.wait_for_complete()
        assert not app.query_one(VirtualTable).query_now.descending


async def test_a_click_puts_the_cursor_and_a_second_opens():
    app = Bench(Store(300).load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.click(VirtualTable, offset=(5, 4))
        assert app.said[-1] == ("highlighted", 3)
        await pilot.click(VirtualTable, offset=(5, 6), times=2)
        assert app.said[-2:] == [("highlighted", 5), ("chosen", 5)]


async def test_an_empty_table_says_so_in_the_middle_once_it_knows():
    app = Bench(Store(0).load, empty="No tokens yet.\nPress n to make one.")
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        rows = screen_of(app)
        assert rows[9] == " " * 19 + "No tokens yet."
        assert rows[10] == " " * 19 + "Press n to make one."
        assert [row for row in rows[1:] if row] == rows[9:11]


async def test_a_count_that_is_too_high_does_not_ask_for_ever():
    asked: list[Query] = []

    async def load(query: Query) -> Page:
        asked.append(query)
        return Page([Row(1, ("one", "", ""))] if query.key is None else [], 500)

    app = Bench(load)
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert len(asked) == 2
        assert app.query_one(VirtualTable).total == 1


async def test_what_would_drive_the_terminal_is_shown():
    app = Bench(listing(lambda: [Row(1, ("\x1b[31mred\nline", "\u202e", ""))]))
    async with app.run_test(size=(60, 20)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert screen_of(app)[1].startswith(" ␛[31mred line ")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.integers(1, 20), st.booleans())
def test_a_cell_is_exactly_as_wide_as_its_column(text, width, right):
    from rich.cells import cell_len

    assert cell_len(_fit(text, width, right)) == width


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(10, 150))
def test_the_columns_that_are_kept_fit(sizes, width):
    widths = fitted([Column(str(number), "", size) for number, size in enumerate(sizes)], width)
    assert len(widths) >= 1
    assert len(widths) == 1 or sum(size + 2 for size in widths) <= width
    assert all(got == wanted for got, wanted in zip(widths, sizes, strict=False) if wanted)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 30), st.integers(1, 7), st.integers(0, 9), st.booleans(), st.none() | st.integers(0, 40))
async def test_pages_of_a_listing_follow_each_other(count, limit, skip, backward, key):
    rows = [Row(number, (str(number),)) for number in range(count)]
    page = await listing(lambda: rows)(Query("", False, "", key, backward, skip, limit))
    numbers = [row.key for row in page.rows]
    known = key if key is not None and key < count else None
    if backward:
        end = (count if known is None else known) - skip
        assert numbers == list(range(max(0, end - limit), max(0, end)))
    else:
        start = (0 if known is None else known + 1) + skip
        assert numbers == list(range(start, min(count, start + limit)))
    assert page.total == count


def test_a_filter_looks_at_all_cells_and_not_at_their_case():
    row = Row(1, ("Alpha", "Straße"))
    assert matches(row, "STRASSE")
    assert not matches(row, "beta")
