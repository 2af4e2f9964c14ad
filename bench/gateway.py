"""What the gateway costs: beside asking the model server itself, and beside other gateways, in one run.

    python bench/gateway.py [--rounds 3] [--others] [--workbench] [--long] [--json]

The model server and the clients are two small C programs beside this file, built with `cc`; everything is on loopback.
`--others` measures LiteLLM's proxy and Portkey's gateway too, each in an environment of its own, got with uv and npm.
`--workbench` measures the gateway while the screen shows its requests; `--long` adds 100,000 requests and looks at the
memory. What is added is the gateway's figure less the direct one of the same round; a figure is the median of rounds.
"""

import argparse
import fcntl
import http.client
import json
import math
import os
import pty
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.start import BARE_SANIC, IDLE_S, environment, pss_mb

HERE = Path(__file__).parent
LITELLM = "litellm[proxy]==1.108.7"  # not 1.82.7, 1.82.8 or 1.107.0: those were tampered with
PORTKEY = "@portkey-ai/gateway@1.15.2"
PATIENCE_S = 60.0


@dataclass
class Gateway:
    """Something that answers chat completions at `port`; `start` gives its process."""

    name: str
    port: int
    start: Callable[[], "subprocess.Popen[bytes]"] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fewer: int = 1  # requests are so many times fewer: it would take too long

    def request(self, words: str = "", *, stream: bool = False) -> bytes:
        said = {"role": "user", "content": f"Say when. {words}"}
        body = json.dumps({"model": "bench-model", "messages": [said], "stream": stream}, separators=(",", ":"))
        headers = {
            "host": f"127.0.0.1:{self.port}", "content-type": "application/json", "authorization": "Bearer none",
            **self.headers, "content-length": str(len(body)),
        }  # fmt: skip
        lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", body]).encode()


class Bench:
    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        for name in ("gateway_upstream", "gateway_load"):
            subprocess.run(["cc", "-O2", "-o", folder / name, HERE / f"{name}.c"], check=True)
        self.upstream = subprocess.Popen([folder / "gateway_upstream"], stdout=subprocess.PIPE)
        assert self.upstream.stdout
        self.direct = Gateway("direct", int(self.upstream.stdout.readline()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.direct.port}/v1"

    def load(self, gateway: Gateway, mode: str, clients: int, count: int, words: str = "") -> dict[str, float]:
        file = self.folder / "request"
        file.write_bytes(gateway.request(words, stream=mode != "whole"))
        command = [self.folder / "gateway_load", str(gateway.port), file, str(clients), str(count), mode, "90"]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return found

    def stats(self) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.direct.port, timeout=PATIENCE_S)
        connection.request("GET", "/stats")
        found: dict[str, int] = json.loads(connection.getresponse().read())
        connection.close()
        return found

    # -- what is measured -------------------------------------------------------------------------------------------

    def speed(self, gateway: Gateway) -> dict[str, float]:
        one = self.load(gateway, "whole", 1, 2000 // gateway.fewer)
        many = self.load(gateway, "whole", 32, 10_000 // gateway.fewer)
        slow = self.load(gateway, "stream", 1, 10, "#n=20 #gap=10")
        flood = self.load(gateway, "stream", 1, 3, f"#n={4000 // gateway.fewer}")
        streams = slow["chunks"] > 0 and flood["chunks"] > 0  # else it could not be asked for streams here
        return {
            "p50, 1 client, ms": one["p50"],
            "req/s, 32 clients": many["per_s"],
            "failed": many["failed"] + many["open"] + slow["failed"] + flood["failed"],
            "first chunk, ms": slow["first_p50"] if streams else math.nan,
            "a chunk, ms": slow["chunk_p50"] if streams else math.nan,
            "flood, chunks/s": flood["chunks"] / flood["seconds"] if streams else math.nan,
        }

    def crowd(self, gateway: Gateway) -> dict[str, float]:
        found = self.load(gateway, "stream", 200, 200, "#n=40 #gap=50")
        return {
            "200 streams, whole": found["done"],
            "200 streams, chunks": found["chunks"],
            "200 streams, a chunk's delay p50, ms": found["chunk_p50"],
            "200 streams, a chunk's delay p99, ms": found["chunk_p99"],
        }

    def burst(self, gateway: Gateway) -> dict[str, float]:
        before = self.load(gateway, "whole", 1, 1000 // gateway.fewer)["per_s"]
        self.load(gateway, "whole", 200, 2000 // gateway.fewer)
        return {"after a burst of 200": self.load(gateway, "whole", 1, 1000 // gateway.fewer)["per_s"] / before}

    def leaving(self, gateway: Gateway) -> dict[str, float]:
        """From the client's leaving to the upstream's connection being closed, in ms; the slowest of five."""
        found = {
            "client gone before the first token, ms": max(self._left(gateway, stream=True) for _ in range(5)),
            "client gone, not streamed, ms": max(self._left(gateway, stream=False) for _ in range(5)),
            "client gone in the middle, ms": max(self._left(gateway, stream=True, late=True) for _ in range(5)),
        }
        self.load(gateway, "leave", 50, 1000, "#n=200 #gap=50")
        deadline = time.monotonic() + 5
        while (left := self.stats()["answering"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found | {"1,000 clients gone, still answered after 5 s": left}

    def _left(self, gateway: Gateway, *, stream: bool, late: bool = False) -> float:
        before = self.stats()["cut"]
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(gateway.request("#n=9 #gap=500 #delay=0" if late else "#delay=10000", stream=stream))
            deadline = time.monotonic() + 2
            while not self.stats()["answering"] and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.7 if late else 0.1)
        gone = time.monotonic_ns()
        deadline = time.monotonic() + 15
        while (found := self.stats())["cut"] == before and found["answering"] and time.monotonic() < deadline:
            time.sleep(0.005)
        return max(0.0, (found["cut_ns"] - gone) / 1e6) if found["cut"] > before else float("inf")

    # -- gateways ---------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, gateway: Gateway) -> Iterator[tuple[float, int]]:
        """Seconds from its start to its first good answer, and its pid."""
        if gateway.start is None:
            yield 0.0, self.upstream.pid
            return
        began = time.perf_counter()
        process = gateway.start()
        try:
            while not self._answers(gateway):
                if process.poll() is not None or time.perf_counter() - began > 2 * PATIENCE_S:
                    raise SystemExit(f"{gateway.name} did not start: {self._last_words()}")
                time.sleep(0.01)
            yield time.perf_counter() - began, process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _last_words(self) -> str:
        newest = max(self.folder.glob("*/log"), key=lambda log: log.stat().st_mtime)
        return newest.read_text(errors="replace")[-1500:]

    def _answers(self, gateway: Gateway) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as client:
                client.sendall(gateway.request())
                return client.recv(65536)[8:12] == b" 200"
        except OSError:
            return False

    def ours(self, folder: str = "ours", *arguments: str) -> Gateway:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "app",
            "--serve",
            "--openai-port",
            str(port),
            "--graphql-port",
            "off",
            *arguments,
        ]
        return Gateway("ours", port, lambda: self.process(command, folder, **self.upstream_environment))

    @property
    def upstream_environment(self) -> dict[str, str]:
        return {"CUSTOM_LLM_ENDPOINT": self.url, "CIRCUIT_BREAKER_EMBEDDED": "0"}

    def bare_sanic(self) -> Gateway:
        port = free_port()
        source = BARE_SANIC.replace('app.get("/")', 'app.post("/v1/chat/completions")').replace('", 0', f'", {port}')
        return Gateway("Sanic alone", port, lambda: self.process([sys.executable, "-c", source], "sanic"))

    def litellm(self) -> Gateway:
        port, config = free_port(), self.folder / "litellm.yaml"
        row = {"model": "openai/bench-model", "api_base": self.url, "api_key": "none"}
        models = [{"model_name": "bench-model", "litellm_params": row}]
        config.write_text(json.dumps({"model_list": models, "litellm_settings": {"telemetry": False}}))
        place = self.folder / "litellm-environment"
        subprocess.run(["uv", "venv", "--quiet", place], cwd=self.folder, check=True)
        install = ["uv", "pip", "install", "--quiet", "--python", place / "bin/python", LITELLM]
        subprocess.run(install, cwd=self.folder, check=True)
        run = [str(place / "bin/litellm"), "--config", str(config), "--port", str(port)]
        command = [*run, "--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False"]
        quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}
        quiet["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"  # ours has no key on loopback either
        return Gateway("LiteLLM", port, lambda: self.process(command, "litellm", **quiet), fewer=20)

    def portkey(self) -> Gateway:
        place = self.folder / "portkey"
        place.mkdir()
        install = ["npm", "install", "--prefix", str(place), "--ignore-scripts", "--no-audit", "--no-fund", PORTKEY]
        subprocess.run(install, check=True, capture_output=True)
        port = free_port()
        server = place / "node_modules/@portkey-ai/gateway/build/start-server.js"
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": self.url}
        command = ["node", str(server), f"--port={port}", "--headless"]
        trusted = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
        return Gateway("Portkey", port, lambda: self.process(command, "portkey-home", **trusted), headers, fewer=4)

    def process(self, command: Sequence[str], folder: str, **environ: str) -> "subprocess.Popen[bytes]":
        home = self.folder / folder
        home.mkdir(exist_ok=True)
        own = {**environment(str(home)), **environ}
        with (home / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=home, env=own, stdout=log, stderr=log, start_new_session=True)

    @contextmanager
    def workbench(self) -> Iterator[Gateway]:
        """The workbench in a terminal of 140x45, its server screen open. Its output is read and thrown away."""
        port, home = free_port(), self.folder / "workbench"
        home.mkdir()
        command = [sys.executable, "-m", "app", "--openai-port", str(port), "--graphql-port", "off"]
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(home)
            os.execvpe(command[0], command, {**environment(str(home)), **self.upstream_environment})
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 140, 0, 0))
        threading.Thread(target=_drain, args=[terminal], daemon=True).start()
        found = Gateway("workbench", port)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers(found):
            if time.monotonic() > deadline:
                raise SystemExit("the workbench did not start")
            time.sleep(0.1)
        os.write(terminal, b"\x1b[15~")  # F5, the server's screen
        time.sleep(1)
        try:
            yield found
        finally:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


def _drain(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def middle(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def added(rows: Sequence[Mapping[str, float]], direct: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(row[name] - bare[name] for row, bare in zip(rows, direct, strict=True))


def measured(bench: Bench, gateways: Sequence[Gateway], *, workbench: bool, long: bool) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    rows: dict[str, list[dict[str, float]]] = {gateway.name: [] for gateway in gateways}
    with ExitStack() as open_ones:
        pids = {}
        for gateway in gateways:
            took, pids[gateway.name] = open_ones.enter_context(bench.running(gateway))
            time.sleep(IDLE_S)
            idle = pss_mb(pids[gateway.name])
            found[gateway.name] = {"start to first answer, s": took, "idle, MiB": idle} if gateway.start else {}
            bench.load(gateway, "whole", 8, 400 // gateway.fewer)  # warm
        for _ in range(bench.rounds):
            for gateway in gateways:
                rows[gateway.name].append(bench.speed(gateway))
        for gateway in gateways:
            one = found[gateway.name]
            one |= middle(rows[gateway.name])
            if gateway is not bench.direct:
                direct = rows["direct"]
                one["added p50, ms"] = added(rows[gateway.name], direct, "p50, 1 client, ms")
                one["added to the first chunk, ms"] = added(rows[gateway.name], direct, "first chunk, ms")
                one["added to a chunk, ms"] = added(rows[gateway.name], direct, "a chunk, ms")
                one["flood, direct/via"] = statistics.median(
                    bare["flood, chunks/s"] / row["flood, chunks/s"]
                    for row, bare in zip(rows[gateway.name], direct, strict=True)
                )
                one |= bench.burst(gateway)
            if not math.isnan(one["first chunk, ms"]):
                one |= bench.crowd(gateway)
                one |= bench.leaving(gateway) if gateway is not bench.direct else {}
            if gateway.start:
                one["loaded, MiB"] = pss_mb(pids[gateway.name])
            if gateway.name == "ours" and long:
                for number in range(1, 5):
                    bench.load(gateway, "whole", 8, 25_000)
                    one[f"after {25 * number},000 more, MiB"] = pss_mb(pids[gateway.name])
        if workbench:
            ours = next(gateway for gateway in gateways if gateway.name == "ours")
            with bench.workbench() as screen:
                bench.load(screen, "whole", 8, 400)
                shares = []
                for _ in range(bench.rounds):
                    alone = bench.load(ours, "whole", 32, 5000)["per_s"]
                    shares.append(bench.load(screen, "whole", 32, 5000)["per_s"] / alone)
                found["ours"]["req/s while the workbench shows them, share"] = statistics.median(shares)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--others", action="store_true", help="LiteLLM's proxy and Portkey's gateway too")
    options.add_argument("--workbench", action="store_true", help="and with the screen")
    options.add_argument("--long", action="store_true", help="and the memory over 100,000 requests")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    if not shutil.which("cc"):
        print("There is no C compiler: the clients and the model server of this bench cannot be built.")
        return
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), chosen.rounds)
        try:
            gateways = [bench.direct, bench.ours()]
            for build in (bench.litellm, bench.portkey) if chosen.others else ():
                try:
                    gateways.append(build())
                except (OSError, subprocess.CalledProcessError) as error:
                    print(f"{build.__name__} cannot be had here: {error}", file=sys.stderr)
            found = measured(bench, gateways, workbench=chosen.workbench, long=chosen.long)
            with bench.running(bench.bare_sanic()) as (took, pid):
                found["Sanic alone"] = {"start to first answer, s": took, "idle, MiB": pss_mb(pid)}
        finally:
            bench.upstream.kill()
            bench.upstream.wait()
    if chosen.json:
        print(json.dumps(found))
        return
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    print(f"{'':48}" + "".join(f"{gateway:>14}" for gateway in found))
    for name in names:
        cells = (f"{row[name]:14,.3f}" if name in row else f"{'':14}" for row in found.values())
        print(f"{name:48}" + "".join(cells))


if __name__ == "__main__":
    main()
