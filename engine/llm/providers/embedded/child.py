"""A child process with a key of its own, that ends with us.

The key goes into the child's environment, which is cleaned to a minimum, never into its arguments, which every user of
the machine can read. The child watches its stdin: it ends when we close it, and also when we are killed.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from engine.kernel.world import World

KEY_VARIABLE = "CIRCUIT_BREAKER_CHILD_KEY"
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "OMP_NUM_THREADS")
_MOST_LINE_BYTES = 16 * 1024 * 1024
_END_S = 2.0


class ChildFailed(Exception):
    """The child ended, did not get ready in time, or said why it cannot run (`kind`: "import", "load" or "").

    `late` says that a deadline passed.
    """

    def __init__(self, why: str, *, kind: str = "", late: bool = False) -> None:
        super().__init__(why)
        self.why, self.kind, self.late = why, kind, late


class Child:
    """One run of a worker. `ready` is the JSON of its first line."""

    def __init__(self, process: Process, key: str) -> None:
        self._process = process
        self.key = key
        self.ready: Mapping[str, Any] = {}

    @classmethod
    async def start(
        cls, worker: Path, arguments: Sequence[str], *, world: World, log: Path, within_s: float
    ) -> "Child":
        """Start `worker` (a Python file) and wait until it is ready. Its stderr goes to `log`, which is written anew.

        Raises ChildFailed.
        """
        key = world.secret()
        environment = {name: world.environ[name] for name in _KEPT if name in world.environ}
        environment |= {"LANG": "C.UTF-8", "PYTHONUTF8": "1", "OMP_WAIT_POLICY": "passive", KEY_VARIABLE: key}
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as errors:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # a file of the same name in its folder must not stand for a module
                    str(worker),
                    *arguments,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=errors,
                    env=environment,
                    limit=_MOST_LINE_BYTES,
                    start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                )
        except OSError as error:
            raise ChildFailed(error.strerror or str(error)) from None
        child = cls(process, key)
        try:
            child.ready = await child.line(within_s=within_s)
            if "error" in child.ready:
                raise ChildFailed(str(child.ready["error"])[:500], kind=str(child.ready.get("kind", "")))
        except BaseException:
            await child.stop(at_once=True)
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def line(self, *, within_s: float) -> Mapping[str, Any]:
        """Its next line of JSON. Raises ChildFailed."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ChildFailed(f"Nothing came within {within_s:g} s.", late=True) from None
        except ValueError:
            raise ChildFailed("Its answer is too long.") from None
        try:
            answer = orjson.loads(line)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise ChildFailed("It ended." if not line else "Its answer is not JSON.")
        return answer

    async def tell(self, message: Mapping[str, Any], *, within_s: float) -> None:
        """Write one line of JSON. Raises ChildFailed."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(within_s):
                self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
                await self._process.stdin.drain()
        except TimeoutError:
            raise ChildFailed(f"It took nothing within {within_s:g} s.", late=True) from None
        except OSError:
            raise ChildFailed("It ended.") from None

    async def ended(self, *, within_s: float) -> bool:
        """Whether it ends within a short time; its end is noticed a moment after its connections break."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
        return not self.alive

    async def stop(self, *, at_once: bool = False) -> None:
        """Close its stdin; then ask it to end; then kill it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for end in (self._process.terminate, self._process.kill):
            if not at_once and await self.ended(within_s=_END_S):
                return
            with suppress(ProcessLookupError):
                end()
        await self.ended(within_s=_END_S)
