"""How soon it is there, and what it holds: beside the least that the libraries themselves need, in one run.

    python bench/start.py [--runs 5] [--app "python -m app"] [--skip-paint] [--json]

First paint: until a program's first cell has been drawn in a pseudo-terminal of 120x40, beside a Textual app with one
label. Ready: until `--serve` says so, beside Sanic with one route. Memory: the proportional set size when idle.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
IDLE_S = 4.0

BARE_TEXTUAL = """
from textual.app import App
from textual.widgets import Label
class Bare(App):
    def compose(self):
        yield Label("ready")
Bare().run()
"""

BARE_SANIC = """
import asyncio
from sanic import Sanic, text
app = Sanic("bare")
app.get("/")(lambda request: text("ok"))
async def main():
    server = await app.create_server("127.0.0.1", 0, return_asyncio_server=True)
    await server.startup()
    await server.start_serving()
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

_DRAWN = re.compile(rb"\x1b\[\d+;\d+H.*?[A-Za-z]{3}", re.S)  # the cursor was put somewhere, and a word was written


def environment(folder: str) -> Mapping[str, str]:
    """This one's, without settings and keys, in a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    nowhere = {"OLLAMA_BASE_URL": "http://127.0.0.1:1", "HOME": folder, "TERM": "xterm-256color"}
    return {**kept, **nowhere, "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}


def first_paint(command: Sequence[str]) -> float:
    """Seconds until something is drawn."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), dict(environment(folder)))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        seen = b""
        try:
            while not _DRAWN.search(seen):
                if not select.select([terminal], [], [], PATIENCE_S)[0]:
                    raise SystemExit(f"{shlex.join(command)} drew nothing within {PATIENCE_S:.0f} s")
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    raise SystemExit(f"{shlex.join(command)} ended: {seen[-500:].decode(errors='replace')}") from None
            return time.perf_counter() - started
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(terminal)


def ready(command: Sequence[str]) -> tuple[float, float]:
    """Seconds until the first line, and the PSS in MB when all that is loaded behind it is there, too."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, env=dict(environment(folder)))
        assert process.stdout
        try:
            if not process.stdout.readline():
                raise SystemExit(f"{shlex.join(command)} ended without a word")
            took = time.perf_counter() - started
            time.sleep(IDLE_S)
            return took, pss_mb(process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def pss_mb(pid: int) -> float:
    """Of the process and its children; 0 where the system does not say."""
    total = 0.0
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total = int(line.split()[1]) / 1024
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(pss_mb(int(child)) for child in children.read_text().split())
    return total


def median_of(runs: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(runs))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--app", default=f"{sys.executable} -m app", help="the command to start")
    options.add_argument("--skip-paint", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    app, found = shlex.split(chosen.app), dict[str, float]()
    if not chosen.skip_paint:
        found["first paint, bare Textual, s"] = median_of(
            chosen.runs, lambda: first_paint([sys.executable, "-c", BARE_TEXTUAL])
        )
        found["first paint, s"] = median_of(chosen.runs, lambda: first_paint(app))
        found["first paint, ratio"] = found["first paint, s"] / found["first paint, bare Textual, s"]
    serve = [*app, "--serve", "--json", "--openai-port", "0", "--graphql-port", "0"]
    for name, command in (("bare Sanic", [sys.executable, "-c", BARE_SANIC]), ("--serve", serve)):
        runs = [ready(command) for _ in range(chosen.runs)]
        found[f"ready, {name}, s"] = statistics.median(took for took, _ in runs)
        found[f"idle memory, {name}, MB"] = statistics.median(memory for _, memory in runs)
    for what, unit in (("ready", "s"), ("idle memory", "MB")):
        found[f"{what}, ratio"] = found[f"{what}, --serve, {unit}"] / found[f"{what}, bare Sanic, {unit}"]
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:36} {value:10.2f}")


if __name__ == "__main__":
    main()
