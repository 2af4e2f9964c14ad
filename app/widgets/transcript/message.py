"""What was said, and how it is cut into blocks. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from app.widgets.transcript.blocks import Block, split
from app.widgets.transcript.heights import Heights

THINKING = -1
"""Stands in `Entry.folds` for the thinking, as the start of a fence does for the fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one side said.

    `role` is "user", "assistant", "error", or any other word. `text` and `thinking` are Markdown; `meta` is the small
    line below; `title` is the role when it is empty. The text of an "error" is not Markdown but lines that begin with
    "What:", "Why:" and "Fix:", as `Message.error` writes them.
    """

    role: str
    text: str = ""
    title: str = ""
    thinking: str = ""
    meta: str = ""

    @classmethod
    def error(cls, what: str, why: str = "", fix: str = "", *, title: str = "", meta: str = "") -> "Message":
        parts = {"What": what, "Why": why, "Fix": fix}
        text = "\n".join(f"{label}: {part}" for label, part in parts.items() if part)
        return cls(role="error", text=text, title=title, meta=meta)

    @property
    def name(self) -> str:
        """What its title row says."""
        return self.title or {"user": "you"}.get(self.role, self.role)


_FACTS = attrgetter("kind", "start", "end", "gap", "indent", "fence", "thought")
_UNKNOWN = Heights()


@dataclass(slots=True, eq=False)
class Entry:
    """A message in a document: cut into blocks once it was seen, with their heights for one width.

    Most are never seen, so what is not known yet is shared: a hundred thousand of them must not take long to make.
    """

    message: Message
    folds: frozenset[int] = frozenset({THINKING})
    blocks: tuple[Block, ...] = ()
    heights: Heights = _UNKNOWN
    width: int = 0
    _thoughts: tuple[Block, ...] = ()
    _said: tuple[Block, ...] = ()

    def change(self, message: Message) -> None:
        """Take a message that says more at its end, and cut that; blocks that cannot change stay the same objects."""
        before, self.message = self.message, message
        if self.blocks:
            self.cut(before)

    def cut(self, before: Message | None = None) -> None:
        """Bring `blocks` up to date; they were right for `before`."""
        said, title = self._said, self.blocks[0] if self.blocks else Block("title", gap=True)
        if before is None or bool(before.thinking) != bool(self.message.thinking):
            said = ()  # the gap before its first block may be another
        self._thoughts = _again(self.message.thinking, self._thoughts, Block("text", thought=True))
        if self.message.role == "error":
            self._said = (Block("error", 0, len(self.message.text)),)
        else:
            self._said = _again(self.message.text, said, Block("text", gap=bool(self.message.thinking)))
        head = (Block("thinking"),) if self.message.thinking else ()
        meta = (Block("meta", gap=True),) if self.message.meta else ()
        self.blocks = (title, *head, *self._thoughts, *self._said, *meta)

    def group(self, block: Block) -> int | None:
        """What folds together with this block: the start of its fence, THINKING, or nothing."""
        if block.kind == "thinking" or block.thought:
            return THINKING
        return block.fence.start if block.fence else None

    def folded(self, block: Block) -> bool:
        return self.group(block) in self.folds

    def source(self, block: Block) -> tuple[int, str]:
        """The source of a block and where it begins, without the lines that open and close a fence."""
        whole = self.message.thinking if block.thought else self.message.text
        start, text = block.start, whole[block.start : block.end]
        if block.fence is None:
            return start, text
        if block.opens_fence:
            opening, newline, text = text.partition("\n")
            start += len(opening) + len(newline)
        last = text.rstrip().rpartition("\n")[2]
        if last.strip().startswith(block.fence.marker) and not last.strip().strip(block.fence.marker[0]):
            text = text.rstrip()[: -len(last)]
        return start, text

    def fence(self, start: int) -> Iterator[Block]:
        """The blocks of the fence that begins at `start`."""
        return (b for b in self._said if b.fence is not None and b.fence.start == start)

    def code(self, start: int) -> str:
        """The code of the fence that begins at `start`, moved to the left if it stands in a list."""
        blocks = list(self.fence(start))
        code = "".join(self.source(block)[1] for block in blocks)
        if indent := blocks[0].indent:
            code = re.sub(rf"^ {{1,{indent}}}", "", code, flags=re.MULTILINE)
        return code.rstrip("\n") + "\n"

    def said(self) -> Iterator[tuple[int, Block]]:
        """The blocks that are the message itself, with their numbers: no title, no thinking, no meta."""
        first = len(self.blocks) - len(self._said) - bool(self.message.meta)
        return enumerate(self._said, first)


def _again(text: str, blocks: tuple[Block, ...], first: Block) -> tuple[Block, ...]:
    """`blocks` of a text that grew since. Only the last two are cut again, and stay if nothing was said in them."""
    kept, open_blocks = blocks[:-2], blocks[-2:]
    resume = open_blocks[0] if len(open_blocks) > 1 else first
    known = {_FACTS(block): block for block in open_blocks}
    return (*kept, *(known.get(_FACTS(block), block) for block in split(text, resume)))
