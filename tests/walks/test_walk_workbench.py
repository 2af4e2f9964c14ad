"""The workbench in a real terminal: it opens, it answers, it is left in every way, and the terminal is given back."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

RESTORED = (b"\x1b[?1049l", b"\x1b[?25h")  # the main screen again, the cursor shown
ESCAPE = re.compile(rb"\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])")
DEADLINE_S = 60


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], size: tuple[int, int]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.said = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=dict(environment), start_new_session=True,
        )  # fmt: skip

    def read(self) -> None:
        if select.select([self.master], [], [], 0.2)[0]:
            with suppress(OSError):
                self.said += os.read(self.master, 65536)

    def until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            self.read()
            assert time.monotonic() < deadline, f"never came: {what}\n{self.text[-3000:]}"

    @property
    def text(self) -> str:
        """What was written, without where and in which colour."""
        return ESCAPE.sub(b"", self.said).decode(errors="replace")

    def shows(self, text: str) -> None:
        self.until(lambda: text in self.text, text)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self) -> int:
        self.until(lambda: self.process.poll() is not None, "the end")
        self.read()
        code = self.process.returncode
        assert code is not None
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def open_workbench(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, size: tuple[int, int] = (100, 30), **environment: str) -> Terminal:
        given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        given |= {"OLLAMA_BASE_URL": "http://127.0.0.1:9", **environment}
        ports = () if "--openai-port" in arguments else ("--openai-port", "0", "--graphql-port", "0")
        terminal = Terminal(["--data-dir", str(tmp_path / "data"), *ports, *arguments], given, size)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def answered(terminal: Terminal) -> None:
    """Wait for an answer; the tiny model does not always find an end by itself, and is stopped then."""
    patient_until = time.monotonic() + 15
    terminal.until(lambda: "tok ·" in terminal.text or time.monotonic() > patient_until, "an answer")
    if "tok ·" not in terminal.text:
        terminal.type("\x1b")
    terminal.shows("tok ·")


@pytest.mark.local_model
def test_a_new_user_asks_quits_and_finds_the_chat_again(open_workbench: Callable[..., Terminal]) -> None:
    first = open_workbench()
    first.shows("Ask below")
    first.shows("smollm2")
    first.type("Say hello\r")
    answered(first)
    first.type("\x11")  # ctrl+q
    assert first.ended() == 0, first.text[-2000:]
    again = open_workbench()
    again.shows("Ask below")
    again.shows("Say hello")
    again.type("\x11")
    assert again.ended() == 0, again.text[-2000:]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_a_signal_gives_the_terminal_back(
    open_workbench: Callable[..., Terminal], number: signal.Signals, code: int
) -> None:
    terminal = open_workbench()
    terminal.shows("Ask below")
    assert termios.tcgetattr(terminal.slave) != terminal.before, "the control: it is changed while it runs"
    terminal.process.send_signal(number)
    assert terminal.ended() == code, terminal.text[-2000:]
    assert all(code in terminal.said for code in RESTORED)
    assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.local_model
def test_it_takes_its_children_with_it(open_workbench: Callable[..., Terminal]) -> None:
    terminal = open_workbench()
    terminal.shows("Ask below")
    terminal.type("Count to three\r")
    answered(terminal)
    children = children_of(terminal.process.pid)
    assert children, "the control: the model runs in a child"
    terminal.process.send_signal(signal.SIGKILL)
    terminal.ended()
    terminal.until(lambda: not any(map(alive, children)), "the end of its children")


def test_quitting_while_it_opens(open_workbench: Callable[..., Terminal]) -> None:
    terminal = open_workbench()
    terminal.shows("circuit-breaker")
    terminal.type("\x11")
    assert terminal.ended() == 0, terminal.text[-2000:]
    assert all(code in terminal.said for code in RESTORED)


def test_a_taken_port_is_named_and_the_rest_works(open_workbench: Callable[..., Terminal]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal = open_workbench("--openai-port", str(port), "--graphql-port", "0", size=(140, 45))
        terminal.shows("Ask below")
        terminal.type("\x1bOS")  # F4
        terminal.shows("document_approval_v1")
        terminal.type("\x1b[15~")  # F5: the server
        terminal.shows(f"Port {port} is taken by")
        terminal.type("p")  # other ports
        terminal.shows("GraphQL API")
        terminal.type("\x11")
        assert terminal.ended() == 0, terminal.text[-2000:]


def test_a_database_that_is_none_is_left_alone(open_workbench: Callable[..., Terminal], tmp_path: Path) -> None:
    file = tmp_path / "data" / "circuit-breaker.db"
    file.parent.mkdir()
    file.write_bytes(b"not a database at all, but a text of mine\n" * 100)
    terminal = open_workbench()
    terminal.shows("is not a database")
    terminal.type("\x11")
    assert terminal.ended() == 0, terminal.text[-2000:]
    assert file.read_bytes().startswith(b"not a database at all")


def test_a_settings_file_that_cannot_be_read(open_workbench: Callable[..., Terminal], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\nopenai_port = = 3\n")
    terminal = open_workbench("--config", str(file))
    assert terminal.ended() == 1
    assert "line 2" in terminal.text
    assert "fix:" in terminal.text


@pytest.mark.parametrize("size", [(20, 5), (60, 20)])
def test_it_opens_in_small_terminals_too(open_workbench: Callable[..., Terminal], size: tuple[int, int]) -> None:
    terminal = open_workbench(size=size)
    terminal.shows("needs 60" if size[0] < 60 else "compose")
    terminal.type("\x11")
    assert terminal.ended() == 0, terminal.text[-2000:]
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("how", "grey"), [("--no-color", True), ("NO_COLOR", True), ("", False)])
def test_without_colour_all_is_grey(open_workbench: Callable[..., Terminal], how: str, grey: bool) -> None:
    arguments = (how,) if how.startswith("--") else ()
    environment = {"COLORTERM": "truecolor"} | ({how: "1"} if how.isupper() else {})
    terminal = open_workbench(*arguments, **environment)
    terminal.shows("Ask below")
    whole = rb"[34]8;2;(\d+);(\d+);(\d+)[m;]"  # it may be in the middle of one
    colours = set(re.findall(whole, terminal.said))
    assert colours
    assert all(red == green == blue for red, green, blue in colours) is grey
    terminal.type("\x11")
    assert terminal.ended() == 0, terminal.text[-2000:]


def test_a_database_that_another_one_holds(open_workbench: Callable[..., Terminal]) -> None:
    first = open_workbench()
    first.shows("Ask below")
    second = open_workbench(size=(140, 45))
    second.shows("F8 tries again")
    assert str(first.process.pid) in second.text
    first.type("\x11")
    assert first.ended() == 0, first.text[-2000:]
    second.type("\x1b[19~")  # F8
    second.shows("Ask below")
    second.type("\x11")
    assert second.ended() == 0, second.text[-2000:]
