"""Text in terminal cells: how wide it is, and how to make it fit.

Widths follow Unicode Standard Annex 11 (East Asian Width). Ambiguous characters count as narrow, as terminals that are
set to UTF-8 draw them.
"""

from collections.abc import Iterator
from unicodedata import category, east_asian_width, normalize

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


def legible(text: str) -> str:
    """`text` on one line, without what terminals disagree on or what could rearrange the line.

    Control and format characters go (among them joiners and the direction overrides that can make a label lie), and so
    do emoji modifiers, whose width depends on the font. Accents are composed.
    """
    kept = (
        char if category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else " " if char.isspace() else ""
        for char in normalize("NFC", text)
        if ord(char) not in _SKIN_TONES and ord(char) not in _VARIATION_SELECTORS
    )
    return " ".join("".join(kept).split())


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """What takes cells of its own, with how many: a character and the accents that follow it."""
    held, width = "", 0
    for char in text:
        if held and category(char) in ("Mn", "Me"):
            held += char
            continue
        if held:
            yield held, width
        held, width = char, 2 if east_asian_width(char) in "WF" else 1
    if held:
        yield held, width


def cells_of(text: str) -> int:
    """How many cells `text` takes."""
    return len(text) if text.isascii() else sum(width for _, width in clusters(text))


def fitted(text: str, room: int) -> str:
    """`text`, cut with an ellipsis where it is wider than `room`."""
    if cells_of(text) <= room:
        return text
    kept, used = "", 0
    for cluster, width in clusters(text):
        if used + width >= room:
            break
        kept, used = kept + cluster, used + width
    return kept + "…"


def centred(text: str, room: int) -> tuple[str, str]:
    """The blanks before and after `text` that put it in the middle of `room`."""
    spare = max(room - cells_of(text), 0)
    return " " * (spare // 2), " " * (spare - spare // 2)
