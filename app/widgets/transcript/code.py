"""Code as lines, coloured by what its words are. Pure.

pygments is imported when the first block that names its language is laid out, and never before.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from app.widgets.transcript.lines import Laid, Page, Run, at_newlines, safe

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

TAB = 4
LEAD = Run("  ")
AGAIN = Run("↪ ", "code-again")

# The nearest of these above a token gives the style of its text.
_STYLES = {
    "Token.Comment": "code-comment",
    "Token.Comment.Preproc": "code-keyword",
    "Token.Generic.Deleted": "code-deleted",
    "Token.Generic.Heading": "code-name",
    "Token.Generic.Inserted": "code-inserted",
    "Token.Generic.Prompt": "code-comment",
    "Token.Generic.Subheading": "code-name",
    "Token.Keyword": "code-keyword",
    "Token.Literal.Number": "code-number",
    "Token.Literal.String": "code-string",
    "Token.Name.Attribute": "code-number",
    "Token.Name.Builtin": "code-builtin",
    "Token.Name.Class": "code-name",
    "Token.Name.Decorator": "code-builtin",
    "Token.Name.Function": "code-name",
    "Token.Name.Tag": "code-keyword",
    "Token.Operator.Word": "code-keyword",
    "Token": "",
}


def lay_code(source: str, width: int, *, language: str, before: str = "", indent: int = 0) -> Laid:
    """Lay out lines of code. `before` is the code just above them: read with them, so that a long string keeps its
    colour, but not shown."""
    page = Page(width, indent)
    above = _plain(before, indent)
    code = _plain(source, indent).removesuffix("\n")
    for runs in islice(highlighted(above + code, language), above.count("\n"), None):
        page.add_code(runs, LEAD, AGAIN, fill="code")
    return page.laid()


def highlighted(code: str, language: str) -> Iterator[list[Run]]:
    """Each line of `code` as runs."""
    lexer = _lexer(language) if language else None
    if lexer is None:
        return at_newlines([Run(code)])
    runs = (Run(text, _style(str(kind))) for kind, text in lexer.get_tokens(code))
    return islice(at_newlines(runs), code.count("\n") + 1)


def _plain(source: str, indent: int) -> str:
    dedented = re.sub(rf"^ {{1,{indent}}}", "", source, flags=re.MULTILINE) if indent else source
    return safe(dedented).expandtabs(TAB)


@lru_cache(maxsize=512)
def _style(kind: str) -> str:
    while kind not in _STYLES:
        kind = kind.rpartition(".")[0]
    return _STYLES[kind]


@lru_cache(maxsize=64)
def _lexer(language: str) -> "Lexer | None":
    """A miss is remembered too: pygments looks through all of its plug-ins each time."""
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]  # lazy: see the top
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None
