"""How messages look, line by line."""

import pytest

from app.widgets.transcript.blocks import PAGE_LINES, split
from app.widgets.transcript.code import highlighted
from app.widgets.transcript.document import Document, Place
from app.widgets.transcript.empty import lay_empty
from app.widgets.transcript.lines import Run, safe, text_of, word_breaks
from app.widgets.transcript.markdown import lay
from app.widgets.transcript.message import THINKING, Message


def shown(*messages: Message, width: int = 40) -> list[str]:
    document = Document(messages)
    document.resize(width)
    lines = (document.line(place) for place in document.forward(Place(0)))
    return [text_of((*line.lead, *line.runs, *line.tail)).rstrip() for line in lines]


def rows(markdown: str, width: int = 40) -> list[str]:
    return [text_of((*line.lead, *line.runs, *line.tail)).rstrip() for line in lay(markdown, width).lines]


def test_each_role_has_its_own_mark():
    roles = ("user", "assistant", "error", "system", "tool")
    marks = [shown(Message(role=role, text="hello"))[1][0] for role in roles]
    assert marks == ["┃", "◆", "✗", "▪", "▫"]


def test_a_bar_stands_beside_all_that_the_user_said():
    assert shown(Message(role="user", text="one\ntwo\n\nthree")) == ["", "┃ you", "┃ one", "┃ two", "┃", "┃ three"]


def test_an_answer_has_its_title_thinking_text_and_small_line():
    said = Message(role="assistant", title="qwen · ollama", thinking="Let me see.", text="Yes.", meta="4 tok")
    assert shown(said, width=24) == [
        "",
        "◆ qwen · ollama",
        "  ▸ thinking · 3 words",
        "",
        "  Yes.",
        "",
        "  4 tok ────────────────",
    ]


def test_an_error_says_what_why_and_fix_with_its_lines_aligned():
    failed = Message.error("Ollama does not answer.", "Nothing listens on port 11434 of this machine.", "ollama serve")
    assert shown(failed, width=36) == [
        "",
        "✗ error",
        "  What  Ollama does not answer.",
        "  Why   Nothing listens on port",
        "        11434 of this machine.",
        "  Fix   ollama serve",
    ]


def test_an_error_is_not_markdown():
    assert "  What  # *no* `heading`" in shown(Message.error("# *no* `heading`"))


def test_an_error_without_labels_is_what_happened():
    assert shown(Message(role="error", text="It broke.\nBadly."))[2:] == ["  What  It broke.", "        Badly."]


def test_a_table_is_as_wide_as_what_is_in_it_and_its_header_stands_left():
    table = "| name | tokens |\n|---|--:|\n| a | 12 |\n| bb | 1234567 |"
    assert rows(table, 100) == ["name │ tokens", "─────┼────────", "a    │      12", "bb   │ 1234567"]


def test_the_widest_column_of_a_table_wraps_first():
    table = "| key | what it says |\n|---|---|\n| a | many words that do not fit in here |"
    assert rows(table, 24) == [
        "key │ what it says",
        "────┼─" + "─" * 18,
        "a   │ many words that do",
        "    │ not fit in here",
    ]


def test_a_table_with_too_many_columns_becomes_a_list():
    table = "| a | b | c | d |\n|---|---|---|---|\n| long one | long two | long three | long four |"
    assert rows(table, 20) == ["a  long one", "b  long two", "c  long three", "d  long four"]


def test_lists_hang_under_their_bullets():
    assert rows("10. ten and more words\n    - [x] done\n    - [ ] open", 16) == [
        "10. ten and more",
        "    words",
        "    • ☑ done",
        "    • ☐ open",
    ]


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\x07", "a␇"),
        ("\u202egnp", "\ufffdgnp"),
        ("\u2028", "\ufffd"),
        ("\x9b1m", "\ufffd1m"),
    ],
)
def test_what_would_drive_the_terminal_is_shown(said, seen):
    assert safe(said) == seen


def test_a_character_that_only_parsing_makes_is_shown_as_well():
    assert rows("a &#x202E; b &#13; c") == ["a \ufffd b ␍ c"]


def test_windows_line_ends_are_line_ends():
    assert rows("one\r\ntwo") == ["one two"]
    assert [text_of(line) for line in highlighted(safe("a\r\nb"), "")] == ["a", "b"]


def test_closing_punctuation_does_not_begin_a_line():
    assert word_breaks("日本。語", 4) == [1, 3]


def test_deeply_nested_lists_lose_no_text():
    text = "\n".join("  " * depth + f"- depth {depth}" for depth in range(30))
    assert "depth 29" in lay(text, 40).text


def test_a_long_fence_is_cut_in_pages():
    text = "```python\n" + "x = 1\n" * (3 * PAGE_LINES) + "```\n"
    assert [block.fence.page for block in split(text) if block.fence] == [0, 1, 2, 3]


def test_a_page_of_code_knows_that_a_string_began_on_the_page_before():
    text = "```python\n" + "x = 1\n" * (PAGE_LINES - 9) + 's = """\n' + "in it\n" * 20 + '"""\n```\n'
    document = Document([Message(role="assistant", text=text)])
    document.resize(40)
    styles = {run.style for line in document.laid(0, 2).lines for run in line.runs if run.text == "in it"}
    assert styles == {"code-string"}


def test_an_emoji_is_never_parted_between_two_styles():
    said = Message(role="assistant", text="```python\n👩‍👩‍👧 = 1\n```\n\n`👩`\u200d👧 and")
    document = Document([said])
    document.resize(40)
    runs = [run.text for place in document.forward(Place(0)) for run in document.line(place).runs]
    assert "👩‍👩‍👧" in runs
    assert "👩\u200d👧" in runs


def test_code_is_coloured_by_what_its_words_are():
    line = next(highlighted("def f(): return 'x'  # why", "python"))
    styles = {run.text: run.style for run in line}
    assert styles["def"] == "code-keyword"
    assert styles["f"] == "code-name"
    assert styles["# why"] == "code-comment"


def test_code_in_an_unknown_language_is_plain():
    assert list(highlighted("a\nb", "no-such-language")) == [[Run("a")], [Run("b")]]


def test_a_code_line_that_does_not_fit_says_that_it_goes_on():
    seen = shown(Message(role="assistant", text="```\n" + "x" * 30 + "\n```"), width=24)
    assert seen[-2:] == ["    " + "x" * 20, "  ↪ " + "x" * 10]


def test_folded_code_says_how_much_it_hides():
    document = Document([Message(role="assistant", text="```python\na\nb\n```\nafter")])
    document.resize(40)
    document.fold(0, 0)
    lines = [text_of((*line.lead, *line.runs)) for line in map(document.line, document.forward(Place(0)))]
    assert lines[2].startswith("  ▸ python · 2 lines")
    assert lines[-1] == "  after"


def test_unfolded_thinking_has_a_bar_beside_it():
    document = Document([Message(role="assistant", thinking="one\n\n```\ncode *here*\n```", text="said")])
    document.resize(40)
    document.fold(0, THINKING)
    lines = [text_of((*line.lead, *line.runs)).rstrip() for line in map(document.line, document.forward(Place(0)))]
    assert lines == ["", "◆ assistant", "  ▾ thinking · 5 words", "  ┊ one", "  ┊", "  ┊   code *here*", "", "  said"]


def test_the_empty_text_is_a_column_in_the_middle():
    lines = [text_of((*line.lead, *line.runs)).rstrip() for line in lay_empty("Nothing yet.\n\n- a\n- b", 30, 10)]
    assert lines == ["", "", "", " " * 9 + "Nothing yet.", "", " " * 9 + "• a", " " * 9 + "• b"]


def test_no_empty_text_shows_nothing():
    assert lay_empty("  \n", 30, 10) == []
