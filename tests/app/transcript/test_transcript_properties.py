"""What holds for any text: cut, laid out, drawn and pointed at, however it arrived."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from app.widgets.transcript.blocks import Block, split
from app.widgets.transcript.code import lay_code
from app.widgets.transcript.document import Document, Place
from app.widgets.transcript.heights import Heights
from app.widgets.transcript.lines import Laid, cells_of, text_of
from app.widgets.transcript.markdown import lay, source_offsets
from app.widgets.transcript.message import Message
from app.widgets.transcript.strips import draw
from app.widgets.transcript.tables import shares

PIECES = [
    "# Heading", "## Second", "Title\n===", "- item", "* other", "  - nested", "    - deeper", "1. one", "12) twelve",
    "- [x] done", "- [ ] open", "```python", "```", "~~~~", "~~~", "  ```", "    ```", "def f(x): return 'é'", '"""',
    "> quote", "> - in a quote", "- > in a list", "- - twice", "-", "---", "***", "    indented code", "\tafter a tab",
    "| a | b |\n|---|--:|\n| 1 | 日本 |", "| x<br>y | **z** |\n|:-:|---|\n| `c` |", "para **bold *and* it** `code`",
    "日本語のテキスト。これは長い。", "👩‍👩‍👧", "🇩🇪✌️", "e\u0301", "x" * 90, "word " * 30, "[link](https://a.b)", "https://a.b/c",
    "![picture](p.png)", "&#x202E;", "&amp;", "\x1b[31m", "\u202e", "\r", "<b>", "\\*", "hard  ", "1234567890. big",
]  # fmt: skip
piece = st.one_of(st.sampled_from(PIECES), st.text(max_size=12))
markdown = st.lists(st.tuples(piece, st.sampled_from(["\n", "\n\n", "\n", " ", ""])), max_size=14).map(
    lambda parts: "".join(text + end for text, end in parts)
)
widths = st.integers(min_value=12, max_value=100)


def chunks_of(data: st.DataObject, text: str) -> list[str]:
    cuts = sorted(data.draw(st.sets(st.integers(min_value=0, max_value=len(text)), max_size=12)))
    edges = [0, *cuts, len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def facts(blocks: Sequence[Block]) -> list[tuple[object, ...]]:
    return [(b.kind, b.start, b.end, b.gap, b.indent, b.fence, b.thought) for b in blocks]


def look(fill: str, names: str) -> Style:
    return Style(bold=True) if "strong" in names else Style()


@settings(max_examples=150, deadline=None)
@given(markdown, st.data())
def test_a_growing_message_is_cut_as_if_it_came_at_once(text, data):
    growing = Document([Message(role="assistant")])
    growing.resize(60)
    growing.opened(0)
    for chunk in chunks_of(data, text):
        growing.extend(chunk)
    whole = Document([Message(role="assistant", text=text)])
    whole.resize(60)
    assert facts(growing.opened(0).blocks) == facts(whole.opened(0).blocks)
    assert rows_of(growing) == rows_of(whole)


def test_a_fence_after_a_gap_leaves_no_gap_behind_it():
    text = "para\n\n```\ncode\n```\n# Heading"
    blocks = list(split(text))
    assert facts(list(split(text, blocks[1]))) == facts(blocks[1:])


@settings(max_examples=60, deadline=None)
@given(markdown, markdown, st.data())
def test_thinking_may_grow_while_the_text_does(thinking, text, data):
    growing = Document([Message(role="assistant")])
    growing.resize(60)
    growing.opened(0)
    waiting = [chunks_of(data, text), chunks_of(data, thinking)]
    while any(waiting):
        side = data.draw(st.sampled_from([number for number in (0, 1) if waiting[number]]))
        growing.extend(**{("text", "thinking")[side]: waiting[side].pop(0)})
    whole = Document([Message(role="assistant", text=text, thinking=thinking)])
    whole.resize(60)
    assert facts(growing.opened(0).blocks) == facts(whole.opened(0).blocks)


@settings(max_examples=100, deadline=None)
@given(markdown)
def test_blocks_cover_all_that_is_not_blank(text):
    end = 0
    for block in split(text):
        assert not text[end : block.start].strip()
        assert block.start < block.end
        end = block.end
    assert not text[end:].strip()


def test_a_cut_that_forgets_the_list_around_it_would_be_seen():
    """The control for the property above."""
    text = "- item\n  ```\n  code\n  ```\n  after it"
    *_, last = split(text)
    assert facts(list(split(text, last))) == facts([last])
    assert facts(list(split(text, Block("text", last.start)))) != facts([last])


@settings(max_examples=150, deadline=None)
@given(markdown, widths, st.booleans(), st.integers(min_value=0, max_value=4))
def test_every_line_of_markdown_fits_and_says_the_text(text, width, keep_breaks, indent):
    check_laid(lay(text, width, indent=indent, keep_breaks=keep_breaks), width)


@settings(max_examples=100, deadline=None)
@given(markdown, widths, st.sampled_from(["", "python", "json", "no-such-language"]), st.integers(0, 3))
def test_every_line_of_code_fits_and_says_the_text(text, width, language, before):
    above = "".join(f"line {number}\n" for number in range(before))
    laid = lay_code(text, width, language=language, before=above)
    check_laid(laid, width)
    assert laid.text.count("\n") == text.replace("\r\n", "\n").removesuffix("\n").count("\n")


def check_laid(laid: Laid, width: int) -> None:
    at = 0
    for line in laid.lines:
        drawn = text_of(line.runs)
        assert laid.text[line.at : line.at + line.length] == drawn
        if line.runs:
            assert line.at >= at
            assert not laid.text[at : line.at].strip("\n"), "a part of the text is not drawn"
            at = line.at + line.length
        assert cell_len((text_of((*line.lead, *line.runs, *line.tail))).rstrip()) <= width
        assert all(character.isprintable() for character in drawn if not character.isspace() and ord(character) < 160)
        assert "\u202e" not in drawn
        assert "\n" not in drawn
    assert not laid.text[at:].strip("\n")


def rows_of(document: Document) -> list[str]:
    return [text_of((*line.lead, *line.runs, *line.tail)) for line in map(document.line, document.forward(Place(0)))]


@settings(max_examples=60, deadline=None)
@given(st.lists(markdown, min_size=1, max_size=4), st.integers(min_value=16, max_value=90))
def test_a_walk_through_a_document_and_its_heights_agree(texts, width):
    document = Document(
        Message(role="assistant" if number % 2 else "user", text=text) for number, text in enumerate(texts)
    )
    document.resize(width)
    places = list(document.forward(Place(0)))
    assert list(document.backward(document.end)) == places[::-1]
    assert document.heights.total == len(places)
    for row, place in enumerate(places):
        assert document.row(place) == row
        assert document.at_row(row) == place
        assert document.place(document.point(place))[:2] == place[:2]
        assert document.point(document.place(document.point(place))) == document.point(place)


@settings(max_examples=60, deadline=None)
@given(markdown, st.integers(min_value=16, max_value=90))
def test_strips_are_as_wide_as_the_widget_and_offsets_name_their_characters(text, width):
    document = Document([Message(role="assistant", text=text)])
    document.resize(width - 2)
    for place in document.forward(Place(0)):
        line, laid = document.line(place), document.laid(place.message, place.block)
        strip = draw(line, (), width, look, document.point(place)._replace(at=0))
        assert strip.cell_length == cell_len(strip.text) == width
        for segment in strip:
            offset = segment.style.meta.get("offset") if segment.style else None
            if offset is None or not line.runs:
                continue
            at = offset[0] - place.block * (1 << 24)
            if at > line.at and at < line.at + line.length:
                shown = segment.text.rstrip()
                assert laid.text[at : at + len(shown)] == shown or shown.startswith(
                    laid.text[at : line.at + line.length]
                )


@settings(max_examples=100, deadline=None)
@given(markdown)
def test_source_offsets_stay_inside_the_source_and_never_go_back(text):
    laid = lay(text, 60)
    offsets = source_offsets(text, laid.text)
    assert len(offsets) == len(laid.text) + 1
    assert offsets == sorted(offsets)
    assert all(0 <= offset <= len(text) for offset in offsets)


@given(st.text(alphabet="abcdef \n", max_size=60))
@settings(max_examples=60, deadline=None)
def test_source_offsets_of_text_without_markup_are_its_own(text):
    plain = " ".join(text.split())
    assert source_offsets(plain, plain) == list(range(len(plain) + 1))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=1300), st.data())
def test_heights_sum_find_and_change(values, data):
    heights = Heights(values[:1])
    for value in values[1:]:
        heights.append(value)
    for _ in range(5):
        index = data.draw(st.integers(0, len(values) - 1))
        values[index] = data.draw(st.integers(0, 9))
        heights.set(index, values[index])
        assert heights.before(index) == sum(values[:index])
    assert heights.total == sum(values)
    if heights.total:
        row = data.draw(st.integers(0, heights.total - 1))
        index, rest = heights.find(row)
        assert heights.before(index) + rest == row
        assert 0 <= rest < values[index]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=12), st.integers(5, 150))
def test_columns_share_what_there_is(wanted, room):
    sizes = shares(wanted, room)
    if sizes is None:
        assert sum(wanted) > room
        return
    assert sum(sizes) <= max(room, 0)
    assert all(size <= want for size, want in zip(sizes, wanted, strict=True))
    if sum(wanted) <= room:
        assert sizes == wanted


@pytest.mark.parametrize(
    "text", ["- # Heading", "1. - - # Heading\n      ---", "- - - | a | b |\n      |---|---|\n      | 1 | 2 |"]
)
def test_rules_and_tables_in_lists_fit(text):
    for width in range(12, 30):
        check_laid(lay(text, width, indent=2), width)


@pytest.mark.parametrize("width", [12, 20, 60])
def test_deep_lists_give_up_their_indents_before_their_width(width):
    text = "\n".join("  " * depth + f"- depth {depth} with some words" for depth in range(12))
    laid = lay(text, width)
    assert all(cells_of((*line.lead, *line.runs)) <= width + 1 for line in laid.lines)
    assert "depth 11" in laid.text
