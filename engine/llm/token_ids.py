"""Token ids as text again: LangChain and others send what is to be embedded as ids of OpenAI's `cl100k_base`, which
mean something to OpenAI's own models only.

The vocabulary is OpenAI's (assets/tokens, from tiktoken, MIT): one base 64 text and its id a line.
"""

import gzip
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cache

from engine.kernel import assets
from engine.kernel.errors import InvalidInput

_SPECIAL = {100257: b"<|endoftext|>", 100258: b"<|fim_prefix|>", 100259: b"<|fim_middle|>", 100260: b"<|fim_suffix|>"}


@cache
def vocabulary() -> Mapping[int, bytes]:
    """The bytes of each id. Takes a tenth of a second, once."""
    packed = (assets.folder() / "tokens" / "cl100k_base.tiktoken.gz").read_bytes()
    rows = (line.split() for line in gzip.decompress(packed).splitlines())
    return {int(id): b64decode(text) for text, id in rows} | _SPECIAL


def text_of(ids: Sequence[int]) -> str:
    """The text that `ids` stand for; what is half a character, where a long text was cut, is left out. Raises
    InvalidInput for an id that there is not."""
    known = vocabulary()
    try:
        return b"".join([known[id] for id in ids]).decode("utf-8", "ignore")
    except KeyError as error:
        raise InvalidInput(
            f"{error} is no token of cl100k_base.",
            why="Token ids mean something to one tokenizer only, and that is the one whose ids can be read here.",
            fix="Send text; in LangChain set check_embedding_ctx_length=False.",
            details={"path": "input"},
        ) from None
