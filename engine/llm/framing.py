"""Cutting a stream of bytes into lines (NDJSON) and server-sent events.

Pure and incremental: however the network splits the bytes, the same frames come out. Both are bounded: a line or an
event that grows past its limit raises FrameTooLong, so that an upstream without line ends cannot fill the memory.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST_FRAME_BYTES = 8 * 1024 * 1024

_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FrameTooLong(ValueError):
    """One line or event has more bytes than allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"longer than {limit:,} bytes")
        self.limit = limit


class _Tail:
    """Holds what came after the last line end. Pieces are joined once, so that a long line costs linear time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def whole(self, pieces: Iterable[bytes]) -> list[bytes]:
        """The lines that are complete now. `pieces` is new data, split at its line ends."""
        lines: list[bytes] = []
        first = True
        for piece in pieces:
            if not first:
                lines.append(self.take())
            first = False
            self._size += len(piece)
            if self._size > self._limit:
                raise FrameTooLong(self._limit)
            if piece:
                self._pieces.append(piece)
        return lines

    def take(self) -> bytes:
        line = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return line


class Lines:
    """Lines that end in LF or CRLF, without their ends; empty ones are left out (github.com/ndjson/ndjson-spec)."""

    def __init__(self, limit: int = MOST_FRAME_BYTES) -> None:
        self._tail = _Tail(limit)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Raises FrameTooLong."""
        return [line for one in self._tail.whole(data.split(b"\n")) if (line := one.removesuffix(b"\r"))]

    def end(self) -> list[bytes]:
        """The last line when the stream ended without a line end."""
        return [line] if (line := self._tail.take()) else []


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; `name` is "message" when the sender gave none."""

    data: str
    name: str = "message"


class Events:
    """Server-sent events (WHATWG HTML, "9.2.6 Interpreting an event stream", 2026-08). `id` and `retry` are ignored."""

    def __init__(self, limit: int = MOST_FRAME_BYTES) -> None:
        self._limit = limit
        self._tail = _Tail(limit)
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises FrameTooLong."""
        if plain := self._plain(data):
            return plain
        if self._after_cr and data.startswith(b"\n"):  # the second half of a CRLF that was split
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        events = (self._line(line) for line in self._tail.whole(_ANY_LINE_END.split(data)))
        return [event for event in events if event is not None]

    def _plain(self, data: bytes) -> list[Event]:
        """The events of what nearly every server sends: whole ones, each a line of data and an empty line. None for
        anything else."""
        between = not (self._data or self._name or self._tail.size)
        if not between or not data.endswith(b"\n\n") or b"\r" in data or len(data) > self._limit:
            return []
        found = data[:-2].split(b"\n\n")
        if not all(one.startswith(b"data: ") and b"\n" not in one for one in found):
            return []
        self._at_start = self._after_cr = False
        return [Event(one[6:].decode("utf-8", "replace")) for one in found]

    def end(self) -> list[Event]:
        """An event whose lines are complete and only the empty line after it is missing.

        The standard drops it. Some servers leave the empty line out at the very end, and then it has the usage.
        """
        self._tail.take()
        event = self._line(b"")
        return [event] if event is not None else []

    def _line(self, line: bytes) -> Event | None:
        if self._at_start:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if not line:
            return self._dispatched()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise FrameTooLong(self._limit)
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatched(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return Event(b"\n".join(data).decode("utf-8", "replace"), name or "message") if data else None
