"""What is copied, and what is found."""

from app.widgets.transcript.caret import Caret
from app.widgets.transcript.copying import PLAIN_LIMIT, markdown, plain, plain_message
from app.widgets.transcript.document import Document, Place, Point
from app.widgets.transcript.message import Message
from app.widgets.transcript.search import Search

ANSWER = "Some **bold words** here.\n\n- one\n  ```python\n  def f():\n      pass\n  ```\n- two [link](https://a.b)\n"


def opened(*messages: Message, width: int = 40) -> Document:
    document = Document(messages)
    document.resize(width)
    return document


def test_a_message_as_it_reads_has_no_markup_and_no_title():
    document = opened(Message(role="assistant", text=ANSWER, thinking="hm", meta="4 tok"))
    assert plain_message(document, 0) == "Some bold words here.\n\n• one\ndef f():\n    pass\n• two link"


def test_wrapping_is_not_copied():
    document = opened(Message(role="user", text="word " * 30), width=20)
    assert plain_message(document, 0) == ("word " * 30).rstrip()


def test_folded_code_is_copied_all_the_same():
    document = opened(Message(role="assistant", text="```\na\n```"))
    document.fold(0, 0)
    assert plain_message(document, 0) == "a"


def test_code_in_a_list_is_copied_from_its_own_left_edge():
    document = opened(Message(role="assistant", text=ANSWER))
    entry = document.opened(0)
    assert entry.code(ANSWER.index("  ```")) == "def f():\n    pass\n"


def test_markdown_keeps_both_halves_of_the_markup():
    document = opened(Message(role="assistant", text=ANSWER))
    number = next(number for number, _ in document.opened(0).said())
    bold = document.laid(0, number).text.index("bold")
    assert markdown(document, Point(0, number, bold), Point(0, number, bold + len("bold words"))) == "**bold words**"


def test_several_messages_come_under_their_titles():
    document = opened(Message(role="user", text="why?"), Message(role="assistant", title="qwen", text="because"))
    assert markdown(document, Point(0), Point(2)) == "**you**\n\nwhy?\n\n**qwen**\n\nbecause"


def test_a_very_long_selection_comes_as_markdown_without_being_laid_out():
    document = opened(*(Message(role="user", text="**x** " * (PLAIN_LIMIT // 20)) for _ in range(5)))
    assert "**x**" in plain(document, Point(0), Point(5))


def test_a_search_says_how_often_and_goes_round():
    document = opened(Message(role="user", text="Fish"), Message(role="assistant", text="**fi**sh, fish and FISH"))
    search = Search(document, "fish")
    assert len(search) == 3
    points = [search.step(1, Place(0)) for _ in range(4)]
    assert points[0] == points[3]
    assert [point.message for point in points if point] == [0, 1, 1, 0]
    assert search.step(-1, Place(0)) == points[2]


def test_a_search_unfolds_the_code_it_finds_something_in():
    document = opened(Message(role="assistant", text="```\nneedle\n```"))
    document.fold(0, 0)
    point = Search(document, "needle").step(1, Place(0))
    assert point is not None
    assert "needle" in document.laid(0, point.block).text


def test_a_search_sees_what_was_said_since():
    document = opened(Message(role="user", text="fish"))
    search = Search(document, "fish")
    document.extend(" and fish")
    assert len(search) == 2


def test_a_query_is_not_a_pattern():
    document = opened(Message(role="user", text="a.b axb"))
    assert len(Search(document, "a.b")) == 1
    assert len(Search(document)) == 0


def test_a_caret_goes_over_all_text_and_selects_it():
    document = opened(Message(role="user", text="ab\n\ncd"))
    first = next(place for place in document.forward(Place(0)) if document.line(place).runs)
    caret = Caret(document, document.point(first))
    caret.mark = caret.point
    for _ in range(100):
        caret.move(1, 0)
    low, high = caret.selected() or (Point(0), Point(0))
    assert plain(document, low, high) == "you\nab\n\ncd"
    for _ in range(100):
        caret.move(0, -1)
    assert document.place(caret.point) == first


def test_a_caret_that_pages_lands_on_a_character():
    document = opened(*(Message(role="user", text="ab") for _ in range(9)))
    caret = Caret(document, document.point(Place(0, 0, 1)))
    for lines in range(1, 7):
        caret.page(lines)
        assert caret.point.at >= 0
