"""The world outside as the engine sees it: clock, ids, randomness, environment and memory.

Only this file touches them. `World.real()` is the machine's; tests build a `World` whose clock they move by hand.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.kernel.machine import Machine, look

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class _Entropy:
    """The system's randomness, fetched by the page: a call for each id would cost more than all the rest of it."""

    def __init__(self) -> None:
        self._left = b""
        os.register_at_fork(after_in_child=self._forget)

    def bits(self, count: int) -> int:
        size = (count + 7) // 8
        if len(self._left) < size:
            self._left = os.urandom(max(size, 1024))
        taken, self._left = self._left[:size], self._left[size:]
        return int.from_bytes(taken, "big") >> (size * 8 - count)

    def _forget(self) -> None:
        self._left = b""


@dataclass(frozen=True, slots=True)
class World:
    """`now` is aware UTC; `monotonic` is seconds for measuring; `bits(n)` gives n unguessable bits;
    `sleep` waits for so many seconds; `memory` looks at what is free now."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    bits: Callable[[int], int]
    environ: Mapping[str, str]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    memory: Callable[[], Awaitable[Machine]] = look
    _last: list[int] = field(default_factory=lambda: [0, 0], repr=False)

    @classmethod
    def real(cls, environ: Mapping[str, str] | None = None) -> "World":
        """This machine; `environ` instead of its environment, when given."""
        environ = os.environ if environ is None else environ
        return cls(lambda: datetime.now(UTC), time.monotonic, _Entropy().bits, environ)

    def new_id(self) -> str:
        """A ULID (github.com/ulid/spec): 26 characters, in order of time, also within one millisecond."""
        at = int(self.now().timestamp() * 1000)
        if at <= self._last[0]:
            at, chance = self._last[0], self._last[1] + 1
        else:
            chance = self.bits(79)  # the top bit stays free for counting up
        self._last[:] = at, chance
        number = at << 80 | chance
        return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])

    def secret(self, bits: int = 256) -> str:
        """An unguessable text, for keys between our own processes."""
        return f"{self.bits(bits):0{bits // 4}x}"
