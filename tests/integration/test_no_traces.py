"""The programs under every condition of streams, locale and terminal: one clear line or silence, and never a trace."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons import ROOT, Processes, ask_sync
from tests.screens import Terminal
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

ENTRIES = {
    "ec_console": "cli.ec_console",
    "eccmgr": "cli.eccmgr",
    "eccmgr_ctl": "cli.eccmgr_ctl",
    "ec_scrampasswd": "cli.scrampasswd",
}
STRANGE = os.fsdecode(b"\xff\xfe")
CALLS: tuple[tuple[str, ...], ...] = (
    ("ec_console", "ENDPOINT", "gather", "pid"),
    ("ec_console", "--json", "ENDPOINT"),
    ("ec_console", "--help"),
    ("ec_console", "--install-completion"),
    ("ec_console", f"--{STRANGE}"),
    ("ec_console", f"{STRANGE}@localhost:1", "broadcast", STRANGE),
    ("eccmgr", "--check", "-c", f"FOLDER/{STRANGE}"),
    ("eccmgr", "keygen", f"FOLDER/keys{STRANGE}"),
    ("eccmgr_ctl", "status", "--pid-file", f"FOLDER/{STRANGE}"),
    ("eccmgr_ctl", STRANGE),
    ("ec_scrampasswd", f"FOLDER/scram{STRANGE}", "ann"),
)
REDIRECTIONS = {
    "full": ">/dev/full",
    "both full": ">/dev/full 2>&1",
    "closed output": ">&-",
    "closed input": "<&-",
    "closed errors": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "output only to read": "1</dev/null",
    "plain C": "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
    "unknown locale": "LC_ALL=xx_XX.nothing LANG=tlh",
    "turkish": "LC_ALL=tr_TR PYTHONIOENCODING=iso-8859-9",
    "ascii": "PYTHONIOENCODING=ascii:strict",
    "no home": "HOME=/proc/none XDG_STATE_HOME=/proc/none/state",
    "tiny": "COLUMNS=1 LINES=1",
}
MAY_SAY = re.compile("goes on|cannot be written|no password was given")
TERMINAL_IS_OURS = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def program(name: str, *words: str) -> list[str]:
    return [sys.executable, "-c", f"from {ENTRIES[name]} import main; main()", *words]


@pytest.fixture
def endpoint(processes: Processes, folder: Path) -> str:
    """The endpoint of a manager whose node has a command that takes long."""
    (folder / "node.conf").write_text(
        'exec "t" { commands = [ sleep = "/bin/sleep" ] arguments = [ sleep = "[0-9]+" ] }\n'
    )
    processes.node("east1", "default", "-c", str(folder / "node.conf"))
    return str(processes.manager().endpoint)


@pytest.mark.parametrize("condition", REDIRECTIONS)
def test_no_state_of_streams_shows_a_trace(endpoint: str, folder: Path, condition: str) -> None:
    changes = REDIRECTIONS[condition].split()
    variables = " ".join(change for change in changes if change[0].isalpha())
    redirections = " ".join(change for change in changes if not change[0].isalpha())
    running = []
    for call in CALLS:
        words = [word.replace("ENDPOINT", endpoint).replace("FOLDER", str(folder)) for word in call]
        shell = f'exec env {variables} "$@" {redirections}'
        running.append(_started(["sh", "-c", shell, "sh", *program(*words)], folder))
    for call, process in zip(CALLS, running, strict=True):
        _check(call, process)


def test_reader_that_has_gone_is_no_trace(endpoint: str, folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    running = []
    for call in CALLS:
        words = [word.replace("ENDPOINT", endpoint).replace("FOLDER", str(folder)) for word in call]
        running.append(_started(program(*words), folder, stdout=writer))
    os.close(writer)
    for call, process in zip(CALLS, running, strict=True):
        _check(call, process)


def _started(arguments: list[str], folder: Path, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env={**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def _check(call: tuple[str, ...], process: subprocess.Popen[bytes]) -> None:
    output, problems = process.communicate(timeout=100)
    assert b"Traceback" not in (output or b"") + problems, (call, problems)
    assert b"Error:" not in problems, (call, problems)
    # Besides its own line, a program may have to say that its output cannot be written.
    assert problems.count(b"\n") <= 2, (call, problems)
    assert process.returncode in (0, 1, 2, 3, 4, 5, 128 + signal.SIGPIPE), (call, process.returncode, problems)


class Seat:
    """Programs on terminals that control them, as in a window. Their standard error goes to files, which outlive it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = ""
        """What a shell does before it starts a program."""
        self.terminals: dict[str, Terminal] = {}

    def open(self, name: str, *arguments: str, **environment: str) -> Terminal:
        """Start a program on a terminal of its own."""
        shell = ["/bin/sh", "-c", f'{self.before}exec "$@" 2>"{self.errors(name)}"', "sh", *arguments]
        own = {"XDG_STATE_HOME": str(self.folder / "state"), **environment}
        terminal = Terminal([sys.executable, "-c", TERMINAL_IS_OURS, *shell], **own)
        self.terminals[name] = terminal
        return terminal

    def errors(self, name: str) -> Path:
        """The file with what a program has written to standard error."""
        return self.folder / f"{name}.errors"

    def end(self) -> None:
        """End what still runs."""
        for terminal in self.terminals.values():
            if terminal.process.poll() is None:
                terminal.process.kill()
            with contextlib.suppress(OSError, ValueError):
                terminal.end()


@pytest.fixture
def seat(folder: Path) -> Iterator[Seat]:
    made = Seat(folder)
    yield made
    made.end()


def _sit_down(seat: Seat, endpoint: str) -> dict[str, Terminal]:
    """A console at its prompt, one that waits for an answer, a call that does, and a question for a password."""
    prompt = seat.open("prompt", *program("ec_console", endpoint))
    waiting = seat.open("waiting", *program("ec_console", endpoint))
    call = seat.open("call", *program("ec_console", endpoint, "gather exec:t sleep 90"))
    password = seat.open("password", *program("ec_scrampasswd", str(seat.folder / "scram"), "ann"))
    prompt.wait_prompt()
    waiting.wait_prompt()
    waiting.type("gather exec:t sleep 90\r")
    for terminal in (waiting, call):
        terminal.wait_for("running")
    password.wait_for("Password of ann:")
    return {"prompt": prompt, "waiting": waiting, "call": call, "password": password}


def _hang_up(terminal: Terminal) -> None:
    os.close(terminal._master)
    terminal._master = -1


def _signal(number: signal.Signals) -> Callable[[Terminal], None]:
    return lambda terminal: terminal.process.send_signal(number)


@pytest.mark.parametrize(
    ("end", "closes", "before"),
    [
        (_signal(signal.SIGTERM), False, ""),
        (_signal(signal.SIGHUP), False, ""),
        (_hang_up, True, ""),
        (_hang_up, True, "trap '' HUP; "),
    ],
    ids=["SIGTERM", "SIGHUP", "closed", "closed unheard"],
)
def test_end_of_a_terminal_is_silent(
    seat: Seat, endpoint: str, end: Callable[[Terminal], None], closes: bool, before: str
) -> None:
    seat.before = before
    seated = _sit_down(seat, endpoint)
    for terminal in seated.values():
        end(terminal)
    if before:
        # These hear of their terminal only when they write the answer.
        for line in ask_sync(endpoint, "history").splitlines():
            ask_sync(endpoint, f"abort #{line.split()[0]}")
    for name, terminal in seated.items():
        wait_until_sync(lambda terminal=terminal: terminal.process.poll() is not None, f"{name} ends")  # type: ignore[misc]
        said = seat.errors(name).read_text()
        assert "Traceback" not in said + terminal.text, (name, said)
        assert all(re.search("goes on|cannot be written|no password was given", line) for line in said.splitlines()), (
            name,
            said,
        )
        if not closes and name != "password":
            assert terminal.shows_lines, name
            assert not terminal.raw.rpartition(b"\x1b[?25")[2].startswith(b"l"), name


def test_sizes_and_stops_do_not_disturb(seat: Seat, endpoint: str) -> None:
    seated = _sit_down(seat, endpoint)
    for name, terminal in seated.items():
        if name == "password":
            continue
        for columns, lines in ((1, 1), (2, 200), (200, 2), (7, 3), (120, 400)):
            terminal.resize(columns, lines)
            terminal.process.send_signal(signal.SIGWINCH)
        # Without a shell that controls jobs, the kernel lets only the second one stop a program.
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.process.send_signal(signal.SIGSTOP)
        process = f"/proc/{terminal.process.pid}/stat"
        wait_until_sync(lambda process=process: Path(process).read_text().split()[2] == "T", f"{name} stops")  # type: ignore[misc]
        terminal.process.send_signal(signal.SIGCONT)
    seated["prompt"].type("help version\r")
    seated["prompt"].wait_for("Usage: version")
    for name in ("waiting", "call"):
        os.kill(seated[name].process.pid, signal.SIGINT)
    assert seated["call"].end() == 128 + signal.SIGINT
    seated["waiting"].wait_prompt()
    for name in ("prompt", "waiting"):
        seated[name].type("\x04")
        assert seated[name].end() == 0
    for name in seated:
        assert "Traceback" not in seat.errors(name).read_text() + seated[name].text


def test_dumb_terminal_gets_no_escape(seat: Seat, endpoint: str) -> None:
    terminal = seat.open("dumb", *program("ec_console", endpoint), TERM="dumb")
    terminal.wait_prompt()
    for line in ("gather pid", "nonsense", "help"):
        terminal.say(line)
    terminal.type("\x04")
    assert terminal.end() == 0
    call = seat.open("call", *program("ec_console", endpoint, "gather pid"), TERM="dumb")
    assert call.end() == 0
    installed = seat.open(
        "installed", *program("ec_console", "--install-completion"), HOME=str(seat.folder), TERM="dumb"
    )
    installed.end()
    shown = b"".join(opened.raw for opened in seat.terminals.values())
    assert b"east1: " in shown
    assert b"\x1b" not in shown + b"".join(seat.errors(name).read_bytes() for name in seat.terminals)


@pytest.mark.parametrize("columns", [20, 40, 72, 100])
def test_help_wraps_between_words(endpoint: str, columns: int) -> None:
    terminal = Terminal(program("ec_console", endpoint, "help"), columns)
    wait_until_sync(lambda: terminal.process.poll() is not None, "it ends")
    assert terminal.text
    shown = terminal.raw.decode()
    assert terminal.end() == 0
    assert max(len(line) for line in shown.split("\r\n") if len(line.split()) > 1) <= columns
    assert shown.split() == ask_sync(endpoint, "help").split()
