"""The transcript on a screen, with its keys and the mouse."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.message import Message as Event

from app.widgets.transcript import Message, Transcript, document

ANSWER = "Some **bold** words.\n\n```python\ndef f():\n    return 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
LONG = "\n\n".join(f"Paragraph {number} has some words in it." for number in range(100))


class Bench(App[None]):
    """One transcript, and what it said."""

    CSS = "Transcript { height: 1fr; }"

    def __init__(self, *messages: Message, empty: str = "", theme: str = "textual-dark") -> None:
        super().__init__()
        self.said: list[Event] = []
        self._messages, self._empty, self._theme = messages, empty, theme

    def compose(self) -> ComposeResult:
        yield Transcript(self._messages, empty=self._empty)

    def on_mount(self) -> None:
        self.theme = self._theme
        self.transcript.focus()

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    def on_transcript_copied(self, event: Transcript.Copied) -> None:
        self.said.append(event)

    def on_transcript_link_clicked(self, event: Transcript.LinkClicked) -> None:
        self.said.append(event)

    def copied(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Transcript.Copied)]


def screen_of(app: Bench) -> list[str]:
    transcript = app.transcript
    return [transcript.render_line(y).text.rstrip() for y in range(transcript.size.height)]


def row_with(app: Bench, text: str) -> int:
    return next(y for y, row in enumerate(screen_of(app)) if text in row)


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Each block that is laid out."""
    blocks: list[object] = []
    original: Callable[..., object] = document.lay_block

    def counted(entry, block, width, *, folded):
        blocks.append(block)
        return original(entry, block, width, folded=folded)

    monkeypatch.setattr(document, "lay_block", counted)
    return blocks


async def test_it_opens_at_the_end_and_follows_what_is_said():
    app = Bench(Message(role="user", text=LONG))
    async with app.run_test(size=(60, 20)):
        assert screen_of(app)[-1] == " ┃ Paragraph 99 has some words in it."
        app.transcript.add(Message(role="assistant", title="qwen"))
        for number in range(500):
            app.transcript.extend(f"word{number} ")
        app.transcript.flush()
        assert app.transcript.following
        assert screen_of(app)[-1].endswith("word499")
        assert app.transcript.messages[-1].text.startswith("word0 word1 ")
        assert "↓" not in "".join(screen_of(app))


async def test_streaming_lays_out_little_more_than_what_is_seen(laid_out):
    app = Bench(*(Message(role="assistant", text=LONG) for _ in range(50)))
    async with app.run_test(size=(60, 20)):
        app.transcript.add(Message(role="assistant"))
        laid_out.clear()
        for number in range(500):
            app.transcript.extend(f"Paragraph {number}.\n\n")
        app.transcript.flush()
        assert len(laid_out) < 100


async def test_a_reader_who_went_up_stays_there_and_is_told_of_news():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("pageup")
        assert not app.transcript.following
        assert screen_of(app)[-1].endswith("↓ end")
        before = screen_of(app)[:-1]
        app.transcript.extend("\n\nSomething new.")
        app.transcript.flush()
        assert screen_of(app)[:-1] == before
        assert screen_of(app)[-1].endswith("↓ new")
        await pilot.press("G")
        assert app.transcript.following
        assert screen_of(app)[-1] == "   Something new."


async def test_a_click_on_the_hint_goes_to_the_end():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("g")
        await pilot.click(Transcript, offset=(55, 19))
        assert app.transcript.following


async def test_there_is_a_margin_on_either_side_and_none_of_it_under_the_scrollbar():
    app = Bench(Message(role="assistant", text="word " * 99 + "\n```\n" + "x" * 99 + "\n```\n", meta="3 tok"))
    async with app.run_test(size=(60, 20)):
        for strip in map(app.transcript.render_line, range(20)):
            assert strip.cell_length == 59
            assert strip.text[0] == strip.text[-1] == " "


async def test_the_keys_move_by_line_page_and_end():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("g")
        assert screen_of(app)[1] == " ◆ assistant"
        await pilot.press("j", "j", "k")
        assert screen_of(app)[0] == " ◆ assistant"
        await pilot.press("pagedown")
        assert screen_of(app)[1] == "   Paragraph 9 has some words in it."
        await pilot.press("pageup", "k")
        assert screen_of(app)[1] == " ◆ assistant"


async def test_what_scrolls_by_rows_lands_on_its_line():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("g")
        app.transcript.scroll_to(y=10, animate=False)
        await pilot.pause()
        assert app.transcript.scroll_offset.y == 10
        assert screen_of(app)[0] == "   Paragraph 4 has some words in it."


async def test_a_new_width_keeps_the_line_at_the_top():
    words = "\n\n".join(f"Begin{number} " + "word " * 40 for number in range(40))
    app = Bench(Message(role="assistant", text=words))
    async with app.run_test(size=(100, 20)) as pilot:
        await pilot.press("g")
        while not screen_of(app)[0].startswith("   Begin3 "):
            await pilot.press("j")
        for width in (50, 140, 30):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            assert screen_of(app)[0].startswith("   Begin3 ")
            assert all(len(row) <= width for row in screen_of(app))


async def test_200_000_characters_are_not_laid_out_to_be_shown(laid_out):
    texts = [LONG] * 60
    assert sum(map(len, texts)) > 200_000
    app = Bench(*(Message(role="assistant", text=text) for text in texts))
    async with app.run_test(size=(140, 45)) as pilot:
        assert len(laid_out) < 250
        laid_out.clear()
        await pilot.press("g", "G", "pageup", "pageup")
        app.transcript.scroll_to(y=6000, animate=False)
        await pilot.resize_terminal(80, 45)
        await pilot.pause()
        assert len(laid_out) < 1000
        assert sum(len(entry.blocks) for entry in app.transcript._document.entries) < 2000


async def test_code_is_chosen_folded_and_copied():
    app = Bench(Message(role="assistant", text=ANSWER))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("right_curly_bracket", "enter")
        assert "▸ python · 2 lines" in screen_of(app)[row_with(app, "python")]
        await pilot.press("enter", "y", "Y")
        assert row_with(app, "def f():")
        assert app.copied() == ["def f():\n    return 1\n", "```python\ndef f():\n    return 1\n```\n"]


async def test_the_title_of_code_folds_and_copies_with_the_mouse():
    app = Bench(Message(role="assistant", text=ANSWER))
    async with app.run_test(size=(60, 20)) as pilot:
        row = row_with(app, "python")
        await pilot.click(Transcript, offset=(screen_of(app)[row].index("copy") + 1, row))
        assert app.copied() == ["def f():\n    return 1\n"]
        await pilot.click(Transcript, offset=(6, row))
        assert "def f():" not in "".join(screen_of(app))


async def test_thinking_is_folded_until_asked_for():
    app = Bench(Message(role="assistant", thinking="Let me see.", text="Yes."))
    async with app.run_test(size=(60, 20)) as pilot:
        assert "Let me see." not in "".join(screen_of(app))
        await pilot.press("enter")
        assert row_with(app, "┊ Let me see.")


async def test_thinking_streams_in_and_is_counted():
    app = Bench(Message(role="assistant"))
    async with app.run_test(size=(60, 20)):
        app.transcript.extend(thinking="one ")
        app.transcript.extend(thinking="two", meta="thinking")
        app.transcript.extend("Said.", meta="3 tok")
        app.transcript.flush()
        assert row_with(app, "▸ thinking · 2 words") < row_with(app, "Said.") < row_with(app, "3 tok ─")


async def test_a_message_is_copied_as_it_reads_or_as_markdown():
    app = Bench(Message(role="user", text="why?"), Message(role="assistant", text="**bold**", meta="3 tok"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("y", "Y")
        assert app.copied() == ["bold", "**bold**"]


async def test_a_selection_from_the_keyboard_is_copied():
    app = Bench(Message(role="user", text="one two"), Message(role="assistant", text="*three* four"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("v", "j", "v", "j", "j", "l", "y", "Y", "escape")
        assert app.copied() == ["one two\n\nassistant\nth", "**you**\n\none two\n\n**assistant**\n\n*th"]
        assert app.transcript.text_selection is None


async def test_a_selection_with_the_mouse_survives_a_new_width():
    app = Bench(Message(role="assistant", text="one two three four five six seven eight nine ten"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.mouse_down(Transcript, offset=(7, 2))
        await pilot.hover(Transcript, offset=(15, 2))
        await pilot.mouse_up(Transcript, offset=(15, 2))
        await pilot.resize_terminal(24, 20)
        await pilot.pause()
        assert app.screen.get_selected_text() == "two three"


async def test_a_drag_that_ends_between_two_messages_selects_only_text_above():
    app = Bench(Message(role="user", text="one"), Message(role="assistant", text="two"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.mouse_down(Transcript, offset=(3, 2))
        await pilot.hover(Transcript, offset=(30, 3))
        await pilot.mouse_up(Transcript, offset=(30, 3))
        assert (app.screen.get_selected_text() or "").strip() == "one"


async def test_two_clicks_select_the_block():
    app = Bench(Message(role="assistant", text="one\n\ntwo words\n\nthree"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.click(Transcript, offset=(5, row_with(app, "two words")), times=2)
        await pilot.press("y")
        assert app.copied() == ["two words"]


async def test_a_link_is_for_the_app_to_open():
    app = Bench(Message(role="assistant", text="[here](https://a.b/c)"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.click(Transcript, offset=(5, row_with(app, "here")))
        assert [event.url for event in app.said if isinstance(event, Transcript.LinkClicked)] == ["https://a.b/c"]


async def test_a_search_goes_to_what_is_not_seen_and_marks_it():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)) as pilot:
        assert app.transcript.find("paragraph 1") == 11
        await pilot.press("g", "n")
        assert app.transcript.match == (1, 11)
        await pilot.press("n")
        row = row_with(app, "Paragraph 10 ")
        found = [segment.text for segment in app.transcript.render_line(row) if segment.style and segment.style.reverse]
        assert found == ["Paragraph 1"]
        app.transcript.previous_match()
        app.transcript.previous_match()
        assert app.transcript.match == (11, 11)
        await pilot.press("escape")
        assert app.transcript.match == (0, 0)


async def test_messages_are_loaded_replaced_and_cleared():
    app = Bench(Message(role="user", text="old"), empty="# Nothing yet")
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.load([Message(role="user", text="new"), Message(role="assistant", text="partial")])
        app.transcript.extend(" answer")
        app.transcript.replace_last(Message.error("It stopped.", "No more memory.", "A smaller model."))
        app.transcript.flush()
        rows = screen_of(app)
        assert [row for row in rows if row] == [
            " ┃ you",
            " ┃ new",
            " ✗ error",
            "   What  It stopped.",
            "   Why   No more memory.",
            "   Fix   A smaller model.",
        ]
        app.transcript.clear()
        assert app.transcript.messages == ()
        assert row_with(app, "Nothing yet") == 9
        await pilot.press("j", "k", "g", "G", "pagedown", "y", "enter", "v", "n", "right_curly_bracket", "escape")
        assert app.copied() == []


async def test_what_arrives_before_the_screen_is_there_is_shown_on_it():
    app = Bench()
    transcript = Transcript([Message(role="assistant")])
    transcript.extend("early")
    assert transcript.messages[0].text == "early"
    async with app.run_test(size=(60, 20)) as pilot:
        await app.transcript.remove()
        await app.mount(transcript)
        await pilot.pause()
        assert row_with(app, "early")


async def test_extending_nothing_is_a_mistake():
    async with Bench().run_test() as pilot:
        with pytest.raises(IndexError):
            pilot.app.query_one(Transcript).extend("lost")
        pilot.app.query_one(Transcript).clear()


async def test_escape_is_left_to_the_screen_when_there_is_nothing_to_leave():
    class Listening(Bench):
        BINDINGS: ClassVar = [("escape", "away", "Away")]
        left = False

        def action_away(self) -> None:
            self.left = True

    app = Listening(Message(role="user", text="x"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("v", "escape")
        assert not app.left
        await pilot.press("escape")
        assert app.left


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
async def test_a_change_of_theme_is_drawn(theme):
    app = Bench(Message(role="assistant", text=ANSWER))
    async with app.run_test(size=(60, 20)) as pilot:
        before = [app.transcript.render_line(y) for y in range(20)]
        app.theme = "dracula"
        await pilot.pause()
        app.theme = theme
        await pilot.pause()
        assert ([app.transcript.render_line(y) for y in range(20)] == before) == (theme == "textual-dark")


async def test_a_word_that_streams_in_paints_one_row():
    app = Bench(Message(role="assistant", text=LONG))
    async with app.run_test(size=(60, 20)):
        painted: list[int] = []
        app.transcript.refresh = lambda *regions, **_: painted.extend(region.y for region in regions)  # type: ignore[method-assign]
        app.transcript.extend(" More.")
        app.transcript.flush()
        assert painted == [19]


def test_parsers_are_imported_only_when_something_is_laid_out():
    code = (
        "import sys, app.widgets.transcript, app.widgets.virtual_table\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'pygments', 'markdown_it', 'linkify_it'}))\n"
        "from app.widgets.transcript.markdown import lay; lay('x', 9)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'pygments', 'markdown_it'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n['markdown_it']\n"
