"""One Markdown block as lines at one width. Pure.

markdown-it is imported when the first block is laid out, and never before.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

from app.widgets.transcript.code import LEAD, TAB
from app.widgets.transcript.lines import Laid, Page, Run, cells_of, safe
from app.widgets.transcript.tables import Cell, add_table

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

DEEPEST = 100  # levels; markdown-it leaves out what is deeper, and its own 20 are nine lists

_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TASK = re.compile(r"\[([ xX])\] ")
_MARKUP = "*_`~"
_QUOTE = Run("│ ", "quote")


def lay(source: str, width: int, *, indent: int = 0, keep_breaks: bool = False) -> Laid:
    """Lay out one block that stands `indent` cells inside a list. `keep_breaks` shows line ends as typed, which is
    what people mean in a prompt."""
    text = safe(source)
    if indent:
        text = re.sub(rf"^ {{1,{indent}}}", "", text, flags=re.MULTILINE)
    writer = _Writer(Page(width, indent), keep_breaks)
    for token in _parser().parse(text):
        writer.write(token)
    return writer.page.laid()


def source_offsets(source: str, text: str, reach: int = 400) -> list[int]:
    """For each character of a laid `text`, and its end, where it came from in the Markdown.

    markdown-it keeps no positions inside a paragraph, so this walks both: what is drawn is nearly always the source
    with markup left out. A character that is not in the source within `reach` (a bullet, the padding of a table) stays
    where it is.
    """
    offsets: list[int] = []
    at = 0
    for character in text:
        if character.isspace():
            found = at if source[at : at + 1].isspace() else -1
        else:
            found = source.find(character, at, at + reach)
        offsets.append(at if found < 0 else found)
        at = at if found < 0 else found + 1
    end = max(at, len(source.rstrip("\n"))) if at >= len(source.rstrip()) else at
    return [*offsets, end]


def outside_markup(source: str, edge: int, *, end: bool) -> int:
    """`edge` moved over the markup that touches it, so that what is copied keeps both of its halves."""
    touching = source[edge - end : edge + 1 - end]
    if touching.isspace():
        return edge
    beyond = source[edge:] if end else reversed(source[:edge])
    moved = len(list(takewhile(_MARKUP.__contains__, beyond)))
    return edge + moved if end else edge - moved


@lru_cache(maxsize=1)
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # lazy: see the top

    return MarkdownIt("gfm-like", {"html": False, "maxNesting": DEEPEST})


class _Writer:
    """Turns tokens into lines; `lead` is what goes before each of them: list indents and quote bars."""

    def __init__(self, page: Page, keep_breaks: bool) -> None:
        self.page = page
        self._keep_breaks = keep_breaks
        self._lead: list[Run] = []
        self._bullets: list[Run] = []  # waiting for their first line
        self._numbers: list[int | None] = []  # of the lists around; None counts nothing
        self._style = ""
        self._table: list[list[Cell]] = []
        self._aligns: list[str] = []
        self._line = 0  # of the source, up to which it was written

    def write(self, token: "Token") -> None:
        self._keep_blank_lines(token)
        kind = token.type
        match kind.removesuffix("_open").removesuffix("_close"):
            case "heading":
                self._heading(token)
            case "bullet_list" | "ordered_list" | "list_item":
                self._list(token)
            case "blockquote":
                self._quote(token)
            case "table" | "tr" | "th" | "td":
                self._table_part(token)
            case "inline":
                self._inline(token)
            case "fence" | "code_block":
                self._code(token)
            case "hr":
                self.page.rule(self._lead, Run("─" * self.page.room(self._lead), "rule"))

    def _keep_blank_lines(self, token: "Token") -> None:
        """A blank line in the source is one on the screen. Inside a table or a paragraph there are none."""
        if not token.map or token.nesting < 0 or token.type in ("tr_open", "inline"):
            return
        if token.map[0] > self._line and self.page.lines:
            self.page.add([Run("")], self._lead)
        self._line = max(self._line, token.map[0] if token.nesting else token.map[1])

    def _heading(self, token: "Token") -> None:
        if token.nesting > 0:
            self._style = f"heading {token.tag}"
            return
        if token.tag == "h1" and self.page.lines:
            words = (run for run in self.page.lines[-1].runs if run.style != "bullet")
            self.page.rule(self._lead, Run("━" * cells_of(words), self._style))
        self._style = ""

    def _list(self, token: "Token") -> None:
        if token.type == "list_item_open":
            number = self._numbers[-1]
            bullet = "• " if number is None else f"{number}. "
            self._numbers[-1] = None if number is None else number + 1
            self._lead.append(Run(" " * len(bullet)))
            self._bullets.append(Run(bullet, "bullet"))
        elif token.type == "list_item_close":
            self._flush_bullets()
            self._lead.pop()
        elif token.nesting > 0:
            ordered = token.type == "ordered_list_open"
            self._numbers.append(int(token.attrs.get("start", 1)) if ordered else None)
        else:
            self._numbers.pop()

    def _quote(self, token: "Token") -> None:
        if token.nesting > 0:
            self._flush_bullets()
            self._lead.append(_QUOTE)
        else:
            self._lead.pop()

    def _table_part(self, token: "Token") -> None:
        match token.type:
            case "table_open":
                self._table, self._aligns = [], []
            case "tr_open":
                self._table.append([])
            case "th_open":
                self._aligns.append(str(token.attrs.get("style", "")).removeprefix("text-align:"))
                self._style = "strong"
            case "td_open":
                self._style = ""
            case "table_close":
                add_table(self.page, self._table, self._aligns, self._lead)
                self._table, self._style = [], ""

    def _inline(self, token: "Token") -> None:
        if self._table:
            self._table[-1].append(list(_runs(token, self._style, self._keep_breaks)))
            return
        style = "quoted" if _QUOTE in self._lead else self._style
        runs = _runs(token, style, self._keep_breaks)
        self._put(_with_box(runs) if self._bullets else runs)
        self._line = token.map[1] if token.map else self._line

    def _code(self, token: "Token") -> None:
        """Code inside a quote, or by indentation: it has no title, hence no folding."""
        for row in safe(token.content).rstrip("\n").split("\n"):
            self._put([Run(row.expandtabs(TAB), "inline-code")], [LEAD] if token.type == "code_block" else [])

    def _flush_bullets(self) -> None:
        """Bullets that have no text beside them stand alone."""
        if self._bullets:
            self._put([Run("")])

    def _put(self, runs: Iterable[Run], deeper: list[Run] | None = None) -> None:
        if self._bullets:
            self.page.add(runs, self._lead, self._bullets)
            self._bullets = []
        else:
            self.page.add(runs, [*self._lead, *(deeper or [])])


def _runs(token: "Token", style: str, keep_breaks: bool) -> Iterator[Run]:
    """The text of a paragraph. It is made safe again here, because "&#x202E;" becomes a character only now."""
    marks = [style] if style else []
    link = ""
    for child in token.children or ():
        look = " ".join(marks)
        match child.type:
            case "text" | "text_special" | "html_inline":
                yield Run(_BREAK_TAG.sub("\n", _spoken(child.content)), look, link)
            case "code_inline":
                yield Run(_spoken(child.content), " ".join([*marks, "inline-code"]), link)
            case "softbreak" | "hardbreak":
                yield Run("\n" if keep_breaks or child.type == "hardbreak" else " ", look, link)
            case "image":
                name = f"▣ {_spoken(child.content) or 'image'}"
                yield Run(name, " ".join([*marks, "link"]), str(child.attrs.get("src", "")))
            case "link_open":
                link = str(child.attrs.get("href", ""))
                marks.append("link")
            case "link_close":
                link = ""
                marks.remove("link")
            case _ if child.nesting > 0:
                marks.append(child.tag)
            case _ if child.nesting < 0 and child.tag in marks:
                marks.remove(child.tag)


def _spoken(text: str) -> str:
    return safe(text).replace("\t", " ")


def _with_box(runs: Iterable[Run]) -> Iterator[Run]:
    """Show "[ ] " and "[x] " at the beginning of a list item as boxes."""
    for number, run in enumerate(runs):
        task = _TASK.match(run.text) if number == 0 else None
        yield run._replace(text=("☐ " if task[1] == " " else "☑ ") + run.text[task.end() :]) if task else run
