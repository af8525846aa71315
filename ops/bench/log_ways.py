"""Ways for a log from one node to one collector: ours, and rsyslog's (imfile, RELP with acknowledgements, omfile)."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import Processes
from tests.servers import free_port
from tests.waiting import wait_until_sync

_QUEUE = 'main_queue(queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="4096")\n'
"""More than rsyslog's own values, with which it is slower."""
_RSYSLOG, _MODULES = shutil.which("rsyslogd"), Path("/usr/lib/x86_64-linux-gnu/rsyslog")


@dataclass(frozen=True)
class LogWay:
    """A way that runs: the log, the folder of the targets, and the process ids of its parts."""

    source: Path
    out: Path
    pids: dict[str, int]

    def collected(self) -> int:
        """The bytes in the targets."""
        files = (file for file in self.out.rglob("*") if ".collected" not in file.parts)
        return sum(file.stat().st_size for file in files if file.is_file())


def has_rsyslog() -> bool:
    """Whether rsyslog is installed with what the comparison needs."""
    return bool(_RSYSLOG) and (_MODULES / "omrelp.so").exists()


@contextlib.contextmanager
def site(folder: Path) -> Iterator[tuple[EmbeddedServer, Processes]]:
    """A server, and processes that end with the block."""
    folder.mkdir(exist_ok=True)
    with EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "bench", folder)
        try:
            yield server, processes
        finally:
            processes.end()


def manager_file(folder: Path) -> str:
    """The configuration of a manager that collects into `folder`/out."""
    (folder / "manager.conf").write_text(f'Logs {{ logfile = "{folder}/out/%Y/%m/%d/%{{l}}/%{{n}}" }}')
    return str(folder / "manager.conf")


def node_file(folder: Path, name: str, log: Path) -> str:
    """The configuration of a node with that log."""
    main = folder / f"{name}.conf"
    main.write_text(f'cluster {{ logs = [ x = "{log}" ] plumber = memory fence = none }}')
    return str(main)


@contextlib.contextmanager
def our_way(folder: Path) -> Iterator[LogWay]:
    """A node, Redis and a manager."""
    with site(folder) as (server, processes):
        log = folder / "source" / "x.log"
        log.parent.mkdir()
        manager = processes.manager("barca", "-c", manager_file(folder))
        node = processes.node("east1", "east", "-c", node_file(folder, "node", log))
        pids = {"node": node.popen.pid, "redis": server.pid, "manager": manager.popen.pid}
        yield LogWay(log, folder / "out", pids)


@contextlib.contextmanager
def way_of_rsyslog(folder: Path) -> Iterator[LogWay]:
    """Two rsyslogd."""
    port, log = free_port(), folder / "source" / "x.log"
    for path in (log.parent, folder / "state"):
        path.mkdir(parents=True)
    receiving = (
        f'global(workDirectory="{folder}" maxMessageSize="64k")\n{_QUEUE}module(load="imrelp")\n'
        'template(name="bare" type="string" string="%msg:2:$%\\n")\n'
        f'input(type="imrelp" port="{port}" address="127.0.0.1")\n'
        f'action(type="omfile" file="{folder}/out/x" template="bare" asyncWriting="off")\n'
    )
    sending = (
        f'global(workDirectory="{folder}/state" maxMessageSize="64k")\n{_QUEUE}module(load="imfile")\n'
        'module(load="omrelp")\n'
        f'input(type="imfile" file="{log}" tag="x")\n'
        f'action(type="omrelp" target="127.0.0.1" port="{port}" windowSize="4096")\n'
    )
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, text in (("manager", receiving), ("node", sending)):
            (folder / f"{name}.conf").write_text(text)
            arguments = (str(_RSYSLOG), "-n", "-f", str(folder / f"{name}.conf"), "-i", str(folder / f"{name}.pid"))
            running.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_until_sync((folder / f"{name}.pid").exists, "rsyslogd runs")
        yield LogWay(log, folder / "out", {"manager": running[0].pid, "node": running[1].pid})
    finally:
        for process in running:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def writing(rate: int, *logs: Path) -> Iterator[None]:
    """A process that writes so many lines a second into each log."""
    arguments = (sys.executable, "-m", "ops.bench.log_writer", str(rate), *map(str, logs))
    writer = subprocess.Popen(arguments, cwd=os.getcwd())  # noqa: PTH109
    try:
        wait_until_sync(lambda: all(log.exists() and log.stat().st_size for log in logs), "the logs are written")
        yield
    finally:
        writer.kill()
        writer.wait(30)
