"""The facts at the head of a GGUF file: architecture, trained context, name.

Format: ggml's docs/gguf.md, version 3 (2026-08): magic, version, number of tensors, number of pairs, then the pairs of
key and typed value, little-endian. Only what stands before the tokenizer's long lists is read.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
_MOST_BYTES = 1024 * 1024
_MOST_PAIRS = 4096


@dataclass(frozen=True, slots=True)
class GGUF:
    """`context` in tokens, as trained; 0 when the file does not say."""

    architecture: str
    context: int
    size_label: str
    size_bytes: int


def read_gguf(path: Path) -> GGUF:
    """Read the head of `path`. Raises OSError, and ValueError when it is no GGUF file or a broken one."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError("it is not a GGUF file")
        try:
            facts = _facts(file)
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError("its head is broken") from error
    architecture, label = facts.get("general.architecture", ""), facts.get("general.size_label", "")
    context = facts.get(f"{architecture}.context_length", 0)
    size = path.stat().st_size
    return GGUF(str(architecture), context if isinstance(context, int) else 0, str(label), size)


def _facts(file: BinaryIO) -> Mapping[str, object]:
    version, _, pairs = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3):
        raise ValueError(f"its format is version {version}")
    facts: dict[str, object] = {}
    for _ in range(min(pairs, _MOST_PAIRS)):
        key = _text(file)
        if key.startswith("tokenizer.") or file.tell() > _MOST_BYTES:
            break
        facts[key] = _value(file, _number(file, "<I"))
    return facts


def _value(file: BinaryIO, kind: int) -> object:
    if kind == _TEXT:
        return _text(file)
    if kind == _LIST:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner == _LIST or count > _MOST_PAIRS:
            raise ValueError("its head is broken")
        return [_value(file, inner) for _ in range(count)]
    if kind not in _SCALARS:
        raise ValueError("its head is broken")
    (value,) = struct.unpack(_SCALARS[kind], file.read(struct.calcsize(_SCALARS[kind])))
    return value


def _text(file: BinaryIO) -> str:
    size = _number(file, "<Q")
    if size > _MOST_BYTES:
        raise ValueError("its head is broken")
    return file.read(size).decode()


def _number(file: BinaryIO, form: str) -> int:
    (number,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(number)
