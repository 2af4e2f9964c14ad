"""How much memory this machine has for models: what Linux and NVIDIA's tool say, where they are.

What cannot be found out is left out: a model is then judged by what is known.
"""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine.kernel.records import record

MEMINFO = Path("/proc/meminfo")
_TOOL = "nvidia-smi"
_TOOL_S = 3.0


@record
class Graphics:
    """One graphics card; memory in bytes."""

    name: str
    total: int
    free: int


@record
class Machine:
    """Bytes of memory, and what can be used of it without swapping; 0 when it is not known."""

    total: int = 0
    free: int = 0
    cards: tuple[Graphics, ...] = ()


async def look(meminfo: Path = MEMINFO, tool: str = _TOOL) -> Machine:
    """What is free now."""
    text = ""
    with suppress(OSError):
        text = await asyncio.to_thread(meminfo.read_text)
    total, free = memory_in(text)
    return Machine(total, free, await _cards(tool))


async def _cards(tool: str) -> tuple[Graphics, ...]:
    found = shutil.which(tool)
    if found is None:
        return ()
    asked = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        process = await asyncio.create_subprocess_exec(
            found, *asked, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return ()
    try:
        async with asyncio.timeout(_TOOL_S):
            said, _ = await process.communicate()
    except TimeoutError:  # a driver that hangs
        process.kill()
        await process.wait()
        return ()
    return cards_in(said.decode("utf-8", "replace")) if process.returncode == 0 else ()


def memory_in(text: str) -> tuple[int, int]:
    """Total and available bytes in the text of /proc/meminfo (proc(5): MemAvailable, in kibibytes); 0 for what is not
    there."""
    cells = {name.strip(): rest.split() for name, _, rest in (line.partition(":") for line in text.splitlines())}

    def bytes_of(name: str) -> int:
        found: Sequence[str] = cells.get(name) or ["0"]
        return int(found[0]) * 1024 if found[0].isdecimal() else 0

    return bytes_of("MemTotal"), bytes_of("MemAvailable")


def cards_in(text: str) -> tuple[Graphics, ...]:
    """The cards in what nvidia-smi says as CSV: name, total and free mebibytes."""
    found = []
    for line in text.splitlines():
        name, _, rest = line.partition(",")
        total, _, free = (cell.strip() for cell in rest.partition(","))
        if total.isdecimal() and free.isdecimal():
            found.append(Graphics(name.strip(), int(total) * 2**20, int(free) * 2**20))
    return tuple(found)
