"""The demonstration: a server of our own, a manager, five nodes in two subclusters, and a tour of the main commands.

On a terminal it suggests commands and opens the console; without a terminal it plays the tour and checks each answer.
With `--signed` the manager signs its commands, the nodes have certificates, and the tour shows forgeries that fail. It
leaves nothing behind, even when it is interrupted.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from cli import terminal
from cli.forging import DemonstrationKeys, Forger, refusal_in
from eccmgr.errors import EccmgrError
from eccmgr.redis.embedded import EmbeddedServer, end_with_parent

NODES = {"east1": "east", "east2": "east", "east3": "east", "west1": "west", "west2": "west"}
_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 15.0
_LINES_SHOWN = 24


_ADDRESSES = """
cluster {
  plumber = "memory"
  fence = "none"
  view_mature_time = 1
  Topology "10.1.1.0/24" { interface = "lo"  cidrmask = "32" }
}
Binding "mail-1" { Bind_Address = "10.1.1.1"  Enable_Duravip = true }
Binding "mail-2" { Bind_Address = "10.1.1.2"  Enable_Duravip = true }
"""
"""Two floating addresses, which nodes carry in memory alone: the demonstration changes nothing on this host."""


class Interrupted(BaseException):
    """Raised when a signal asks the demonstration to end."""


@dataclass
class Started:
    """A daemon of the demonstration and the file that holds its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_ready(self) -> None:
        """Wait until it says that it is ready. Raises EccmgrError with the end of its log if it does not."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while "event=ready" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EccmgrError(f"{self.name} does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.02)


class Demonstration:
    """Six processes and a Redis server in a temporary folder; `keys` are for a signed one."""

    def __init__(self, folder: Path, server: EmbeddedServer, keys: DemonstrationKeys | None = None) -> None:
        self.endpoint = folder / "manager"
        self.page = ""
        """The address of the page; "" if the packages of the extra `web` are missing."""
        self.keys = keys
        self.forger = Forger(server.socket)
        self.nodes: dict[str, Started] = {}
        self._folder = folder
        self._server = server
        self._started: list[Started] = []

    def start(self) -> None:
        """Start the manager and the nodes together, and wait until all are ready."""
        keys = self.keys
        pages = ("--http", "127.0.0.1:0") if importlib.util.find_spec("starlette") else ()
        manager = self._launch("eccmgr", "demo", self.endpoint, *pages, *(keys.manager_flags() if keys else ()))
        configuration = self._folder / "node.conf"
        configuration.write_text(_ADDRESSES)
        for name, subcluster in NODES.items():
            flags = ("--subcluster", subcluster, *(keys.node_flags(name, subcluster) if keys else ()))
            # The tour kills east3, and shows how its lease ends. A guardian would end its session earlier.
            carries = () if name == "east3" else ("-c", str(configuration))
            self.nodes[name] = self._launch("ecnode", name, self._folder / name, *carries, *flags)
        for started in self._started:
            started.wait_ready()
        if found := re.search(r"url=(\S+)", manager.log.read_text()):
            self.page = found[1]

    def stop(self) -> None:
        """End every process and wait for its end."""
        for started in reversed(self._started):
            started.process.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for started in self._started:
            try:
                started.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()

    def kill(self, name: str) -> int:
        """Kill a node without a warning; answers its process id."""
        process = self.nodes[name].process
        process.kill()
        process.wait()
        return process.pid

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        """Give `command` to the console in batch mode."""
        arguments = [_program("ec_console"), str(self.endpoint), "--timeout", "60", command]
        return subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603

    def console(self) -> int:
        """Open the console on this terminal; its exit code."""
        # While the console is open, Ctrl-C is for the console. If we ignored it here, the console would inherit that.
        handler = signal.signal(signal.SIGINT, lambda _number, _frame: None)
        try:
            return subprocess.run([_program("ec_console"), str(self.endpoint)], check=False).returncode  # noqa: S603
        finally:
            signal.signal(signal.SIGINT, handler)

    def _launch(self, program: str, name: str, endpoint: Path, *flags: str) -> Started:
        log = self._folder / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ECCMGR_")}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [_program(program), "--name", name, "--redis", self._server.url, "--listen", str(endpoint), *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        started = Started(name, process, log)
        self._started.append(started)
        return started


@contextlib.contextmanager
def demonstration(*, signed: bool = False) -> Iterator[Demonstration]:
    """A running demonstration, which ends with the block, whatever happens."""
    children = psutil.Process().children(recursive=True)
    folder = Path(tempfile.mkdtemp(prefix="eccmgr-demo-"))
    try:
        with EmbeddedServer(folder / "redis") as server:
            running = Demonstration(folder, server, DemonstrationKeys(folder / "keys") if signed else None)
            try:
                running.start()
                yield running
            finally:
                running.stop()
    finally:
        _end_strays(children)
        shutil.rmtree(folder, ignore_errors=True)


def _end_strays(before: list[psutil.Process]) -> None:
    """End the processes that were not there `before`: a signal may come when a process has started and we do not know
    of it yet."""
    strays = [child for child in psutil.Process().children(recursive=True) if child not in before]
    for stray in strays:
        with contextlib.suppress(psutil.NoSuchProcess):
            stray.kill()
    psutil.wait_procs(strays, _STOP_TIMEOUT_S)


Check = Callable[[str], bool]


class Tour:
    """Plays commands, shows them as the console does, and notes whether each answer was right."""

    def __init__(self, running: Demonstration) -> None:
        self._running = running
        self.wrong: list[str] = []

    def play_signed(self, keys: DemonstrationKeys) -> None:
        """A signed command, one that somebody forges in Redis, and an answer that somebody changes there."""
        manager, authority = keys.public_lines
        self._say("The manager has a key, and signs. Each node trusts that key, and runs nothing else:")
        _print(f'trusted_managers = ( "{manager}" )')
        self._say("Each node has a key and a certificate of an authority. The manager trusts this authority:")
        _print(f'node_authorities = ( "{authority}" )')
        self._step("info", lambda text: "Signing key: demo, " in text)
        sent = self._step("gather uptime", lambda text: "5 of 5 answered" in text).split()[1]
        forger = self._running.forger
        self._say("Somebody who holds Redis, but no key, tells every node to shut down:")
        _print(forger.send("shutdown"))
        self._say("The log of each node:")
        for name, node in self._running.nodes.items():
            _print(f"{name}: {(line := refusal_in(node.log))}")
            if "it is not signed" not in line:
                self.wrong.append(f"a forged command on {name}")
        self._say("No node has run it:")
        self._step("gather uptime", lambda text: "5 of 5 answered" in text)
        self._say("Then somebody changes an answer in Redis:")
        _print(forger.answer_for("west1", sent, "up 99 d"))
        seal = "west1: failed: not authentic: its seal does not fit"
        self._step(f"retrieve #{sent}", lambda text: seal in text and "up 99 d" not in text)

    def play(self) -> None:
        """Membership, a broadcast and its retrieve, one subcluster, a death that is accounted for, and the flush."""
        self._say("Who is in the cluster?")
        self._step("info", lambda text: "5 nodes, 1 manager" in text)
        self._step("show cluster membership", lambda text: text.count("<Member>") == 6)
        self._say("A command for every node, and what each of them answered:")
        self._step("broadcast uptime", lambda text: text.endswith("to 5 nodes"))
        self._await("retrieve uptime", "5 of 5 answered")
        self._step("retrieve uptime", lambda text: "5 of 5 answered" in text)
        self._say("The same for one subcluster:")
        self._step("subcluster broadcast west cluster nodename", lambda text: text.endswith("to 2 nodes"))
        self._await("retrieve cluster nodename", "2 of 2 answered")
        self._step("retrieve cluster nodename", lambda text: "west2: west2" in text)
        pid = self._running.kill("east3")
        self._say(f"Node east3 (pid {pid}) is killed with -9. A gather waits for its lease, not for a time limit:")
        self._step("gather pid", lambda text: "4 of 5 answered" in text and "east3: (lost)" in text)
        self._say("And the results buffer is cleared:")
        self._step("flush control cache", lambda text: text == "Flushed 3 commands")

    def _say(self, text: str) -> None:
        _print(f"\n--- {text}")

    def _step(self, command: str, right: Check) -> str:
        _print(f"\n{time.strftime('%H:%M:%S')} {self._running.endpoint}> {command}")
        answer = self._running.ask(command)
        text = (answer.stdout + answer.stderr).rstrip("\n")
        lines = text.split("\n")
        _print("\n".join(lines[:_LINES_SHOWN]))
        if len(lines) > _LINES_SHOWN:
            _print(f"… {len(lines) - _LINES_SHOWN} more lines")
        if not right(text):
            self.wrong.append(command)
        return text

    def _await(self, command: str, wanted: str) -> None:
        """Repeat `command` until its answer has `wanted`: answers take a moment, and an operator would type the command
        again."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while wanted not in self._running.ask(command).stdout and time.monotonic() < deadline:
            time.sleep(0.05)


_TO_TRY = """
A manager and five nodes are running: east1 east2 east3 in subcluster east, west1 west2 in west. Try:

  show cluster membership              who is in the cluster
  broadcast uptime                     a command for every node …
  retrieve uptime                      … and what each of them answered
  gather @west sysinfo                 both in one, for one subcluster
  unicast east3 shutdown               one node ends (or kill -9 {pid} in another terminal)
  gather pid                           a node that was killed is accounted for
  vips                                 two floating addresses (in memory alone), and which nodes carry them
  unicast west1 cluster duravip move 10.1.1.1 to west1   one of them moves
  help                                 everything else; Tab completes, quit ends it all
"""


_TO_FORGE = """
The manager signs, the nodes trust only its key, and the manager believes only certified nodes. In another terminal, try
what somebody could do who holds Redis:

  redis-cli -s {server} PUBLISH {channel} '{message}'
"""


def main() -> int:
    """Run the demonstration; answers the exit code: 0 if every answer was right."""
    if sys.argv[1:] not in ([], ["--signed"]):
        sys.stderr.write("demo: no such option; usage: python -m cli.demo [--signed]\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        with demonstration(signed=bool(sys.argv[1:])) as running:
            if sys.stdin.isatty() and sys.stdout.isatty():
                _print(_TO_TRY.format(pid=running.nodes["east3"].process.pid))
                if running.page:
                    _print(f"The same in a browser, live: {running.page}\n")
                if running.keys:
                    forger = running.forger
                    message = forger.message("shutdown")
                    _print(_TO_FORGE.format(server=forger.socket, channel=forger.channel, message=message))
                return running.console()
            tour = Tour(running)
            if running.keys:
                tour.play_signed(running.keys)
            else:
                tour.play()
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])
    except (EccmgrError, OSError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    for command in tour.wrong:
        sys.stderr.write(f"demo: not the answer that was expected: {command}\n")
    return 1 if tour.wrong else 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second signal must not interrupt the clean-up.
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def _program(name: str) -> str:
    """The program beside the interpreter that runs us."""
    return str(Path(sys.executable).parent / name)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    terminal.run("demo", main)
