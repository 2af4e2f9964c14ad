"""Text that commands are given: a file, or standard input for `-`."""

import sys
from pathlib import Path

from engine.kernel.errors import InvalidInput, TooLarge


def text_of(name: str, *, most_bytes: int, fix: str) -> str:
    """What is in it, UTF-8 with or without a mark at its beginning. Raises InvalidInput; TooLarge, with `fix`, for a
    file that has more than `most_bytes`. Standard input is cut right after them, for whoever reads it to refuse."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(most_bytes + 1).decode("utf-8-sig")
        path = Path(name)
        if path.stat().st_size > most_bytes:
            raise TooLarge(
                f"{name} has {path.stat().st_size:,} bytes.",
                why=f"Up to {most_bytes:,} are read.",
                fix=fix,
                details={"limit": most_bytes},
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read.", why=f"{error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8.", why=f"{error}.", fix="Write it anew in UTF-8.") from None
