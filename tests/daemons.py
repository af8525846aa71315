"""Managers and nodes for tests: in the test's own event loop, or as real processes."""

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.options import overrides
from eccmgr.config.live.store import Store
from eccmgr.control import frames
from eccmgr.daemon import Daemon
from eccmgr.manager import Manager
from eccmgr.modules.catalogue import installed
from eccmgr.settings import DaemonSettings, ManagerSettings, NodeSettings
from tests.waiting import wait_until, wait_until_sync
from worker.node import EcNode

D = TypeVar("D", bound=Daemon)
ROOT = Path(__file__).resolve().parent.parent
OWN_USER = pwd.getpwuid(os.geteuid()).pw_name
"""The name that a daemon has for the user who runs the tests."""
_MARK = "STARTED_BY_TEST"
QUICK = ClusterOptions(session_lease_s=0.6, heartbeats_per_sec=10.0, max_step_s=0.25)
"""Options that make deaths show sooner than by default."""


@contextlib.asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[Daemon]:
    """Run `daemon` in this event loop until the block ends; it is a member when the block begins."""
    task = asyncio.create_task(daemon.run())
    try:
        await wait_until(lambda: task.done() or daemon.session.joined.is_set(), "the daemon joins")
        if task.done():
            await task
        yield daemon
    finally:
        daemon.stop()
        await asyncio.wait_for(task, 30)


def manager(url: str, cluster: str, folder: Path, name: str = "barca", **more: Any) -> Manager:
    """A manager that listens in `folder`."""
    settings = ManagerSettings(redis=url, listen=more.pop("listen", (str(folder / f"m-{name}"),)))
    return _made(Manager, settings, folder, {"cluster": cluster, "name": name}, **more)


def node(url: str, cluster: str, folder: Path, name: str, subcluster: str | None = "default", **more: Any) -> EcNode:
    """A node that listens in `folder`."""
    listen = more.pop("listen", (str(folder / f"n-{name}"),))
    settings = NodeSettings(redis=url, listen=listen, replace=more.pop("replace", False))
    return _made(EcNode, settings, folder, {"cluster": cluster, "name": name, "subcluster": subcluster}, **more)


def _made(
    kind: Callable[..., D],
    settings: DaemonSettings,
    folder: Path,
    named: dict[str, str | None],
    options: ClusterOptions = QUICK,
    configuration: str = "",
    **more: Any,
) -> D:
    """A daemon whose file has the text `configuration`; `options` replace its cluster options."""
    main = None
    if configuration:
        main = str(Path(tempfile.mkdtemp(dir=folder)) / "main.conf")
        Path(main).write_text(configuration)
    made = kind(settings, Store.open(main, overrides=overrides(named, {}), schema=installed().schema), **more)
    made.options.become(options)
    return made


async def ask(path: str | Path, *commands: str) -> list[str]:
    """The answers of the listener at `path` to `commands`, sent on one connection."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        answers = []
        for command in commands:
            writer.write(frames.encode_text(command))
            answers.append(await read_answer(reader))
        return answers
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> str:
    """One type 1 or type 2 answer."""
    kind = int.from_bytes(await reader.readexactly(2))
    assert kind in (frames.SHORT, frames.LONG)
    length = int.from_bytes(await reader.readexactly(2 if kind == frames.SHORT else 4))
    return (await reader.readexactly(length)).decode()


def ask_sync(path: str | Path, command: str, timeout_s: float = 60.0) -> str:
    """The answer of the listener at `path` to one command, outside of an event loop."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(frames.encode_text(command))
        decoder = frames.Decoder()
        while data := client.recv(65536):
            for frame in decoder.feed(data):
                return frame.payload.decode()
    raise AssertionError("the connection was closed without an answer")


@dataclass
class Process:
    """A daemon in a process of its own. Its log is a file beside its socket."""

    popen: subprocess.Popen[bytes]
    endpoint: Path
    log_file: Path

    @property
    def log(self) -> str:
        """Its log so far."""
        return self.log_file.read_text()

    def wait_ready(self) -> None:
        """Wait until it reports that it is ready."""
        wait_until_sync(lambda: "event=ready" in self.log or self.popen.poll() is not None, "the process is ready")
        assert self.popen.poll() is None, self.log

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(30)


@dataclass
class Processes:
    """The processes of one test. They end with the test."""

    url: str
    cluster: str
    folder: Path
    source: Path = ROOT
    """The folder of the packages that run."""
    started: list[Process] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Stands in the environment of each process, and of those that it starts."""

    def start(
        self, program: str, name: str, *flags: str, wait: bool = True, redirected: str = "", module: str = ""
    ) -> Process:
        """Start `program` (eccmgr, ecnode) as `name`, by the `main` of another `module` if one is named.

        `redirected` is a shell's redirection of its streams.
        """
        endpoint = self.folder / f"{program}-{name}"
        log = self.folder / f"{program}-{name}-{len(self.started)}.log"
        arguments: Sequence[str] = (
            *(sys.executable, "-c", f"from {module or f'cli.{program}'} import main; main()"),
            *("--name", name, "--redis", self.url, "--cluster", self.cluster, "--listen", str(endpoint)),
            *flags,
        )
        if redirected:
            arguments = ("sh", "-c", f'exec "$@" {redirected}', "sh", *arguments)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("ECCMGR_", "EC_", "COV_"))}
        environment |= {"XDG_STATE_HOME": str(self.folder), _MARK: self.mark}
        with log.open("wb") as output:
            popen = subprocess.Popen(
                arguments, cwd=self.source, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        process = Process(popen, endpoint, log)
        self.started.append(process)
        if wait:
            process.wait_ready()
        return process

    def manager(self, name: str = "barca", *flags: str) -> Process:
        """Start a manager and wait until it is ready."""
        return self.start("eccmgr", name, *flags)

    def node(self, name: str, subcluster: str = "default", *flags: str) -> Process:
        """Start a node and wait until it is ready."""
        return self.start("ecnode", name, "--subcluster", subcluster, *flags)

    def end(self) -> None:
        """End all processes that still run, and the job workers that outlive their daemons until their jobs end."""
        for process in self.started:
            if process.popen.poll() is None:
                process.popen.kill()
            process.popen.wait(30)
        for other in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if other.environ().get(_MARK) == self.mark:
                    other.kill()
