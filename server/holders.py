"""Who listens on a port of this machine, as far as the system tells (Linux: /proc; elsewhere nobody is named)."""

import os
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"


def holder_of_port(port: int) -> str:
    """`name (process 123)` of the program that listens on `port`, or nothing."""
    sockets = {inode for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net") / table, port)}
    if not sockets:
        return ""
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or gone meanwhile
            if any(_target(one) in wanted for one in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text(errors='replace').strip()} (process {process.name})"
    return ""


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""  # closed meanwhile


def _listening(table: Path, port: int) -> list[str]:
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]
