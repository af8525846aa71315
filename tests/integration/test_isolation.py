"""No file in the working folder takes the place of a module, neither in a process that a node starts nor in an
embedding."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.servers import Server
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.timeout(300)

_POISON = 'open("{marks}", "a").write(f"{{__name__}}\\n")\nraise SystemExit("taken from the working folder")\n'
_TAKEN = ("worker/__init__.py", "eccmgr/__init__.py", "asyncio.py", "redis.py", "sitecustomize.py", "encodings.py")
_JOBS = 'exec "x" {\n  commands = [ say = "/bin/echo said" ]\n  long = ( say )\n}\n'


class Harbour:
    """A node in a working folder that PYTHONPATH names too, and the files that others put there."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self.processes = processes
        self.working, self.marks = folder / "working", folder / "marks"
        self.working.mkdir(mode=0o755)

    def node(self, configuration: str) -> Process:
        """Start a node while the folder is still empty."""
        main = self.working.parent / "main.conf"
        main.write_text(configuration)
        log = self.working.parent / "node.log"
        endpoint = self.working.parent / "east1"
        arguments = (
            *(sys.executable, "-P", "-c", "from cli.ecnode import main; main()"),
            *("--name", "east1", "--redis", self.processes.url, "--cluster", self.processes.cluster),
            *("--listen", str(endpoint), "-c", str(main)),
        )
        environment = {**os.environ, "PYTHONPATH": f":.:{ROOT}"}
        with log.open("wb") as output:
            popen = subprocess.Popen(arguments, cwd=self.working, stdout=output, stderr=output, env=environment)
        node = Process(popen, endpoint, log)
        self.processes.started.append(node)
        node.wait_ready()
        return node

    def poison(self) -> None:
        """Put files with the names of modules into the working folder."""
        for name in _TAKEN:
            file = self.working / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(_POISON.format(marks=self.marks))
        self.marks.touch()
        self.marks.chmod(0o666)

    def unharmed(self) -> bool:
        """Whether no such file has run."""
        return self.marks.read_text() == ""


@pytest.fixture
def harbour() -> Iterator[Harbour]:
    """A harbour in a folder that other users may enter, on a server that they reach."""
    with tempfile.TemporaryDirectory(prefix="ecc-") as made, contextlib.ExitStack() as end:
        folder = Path(made)
        folder.chmod(0o777)
        server = Server(folder / "redis").start()
        end.callback(server.stop)
        processes = Processes(f"redis://{server.address}/0", "harbour", folder)
        end.callback(processes.end)
        yield Harbour(processes, folder)


def started(node: Process, module: str) -> list[psutil.Process]:
    """The processes below a node that run a module."""
    found = []
    for each in psutil.Process(node.popen.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if module in each.cmdline():
                found.append(each)
    return found


def test_a_job_runs_beside_files_named_like_modules(harbour: Harbour) -> None:
    node = harbour.node(_JOBS)
    wait_until_sync(lambda: started(node, "worker.jobs"), "a worker runs")
    harbour.poison()
    before = started(node, "worker.jobs")
    for each in before:
        each.kill()
    wait_until_sync(lambda: set(started(node, "worker.jobs")) - set(before), "another worker runs")
    wait_until_sync(lambda: "is queued" in ask_sync(node.endpoint, "exec:x say"), "it takes a job")
    wait_until_sync(lambda: " ok " in ask_sync(node.endpoint, "cluster jobs"), "its work-horse has run it")
    assert harbour.unharmed()


def test_a_guardian_starts_beside_files_named_like_modules(harbour: Harbour) -> None:
    node = harbour.node(ONE_VIP)
    wait_until_sync(lambda: "vip owned" in node.log, "it carries its VIP")
    harbour.poison()
    before = started(node, "worker.guardian")
    for each in before:
        each.kill()
    wait_until_sync(lambda: set(started(node, "worker.guardian")) - set(before), "another guardian runs")
    wait_until_sync(lambda: node.log.count("vip owned") > 1, "it carries its VIP again")
    assert harbour.unharmed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_agent_restarts_beside_files_named_like_modules(harbour: Harbour) -> None:
    node = harbour.node(ONE_VIP + 'Security { User = "nobody" }\n')
    wait_until_sync(lambda: "vip owned" in node.log, "it carries its VIP")
    harbour.poison()
    (agent,) = [each for each in psutil.Process(node.popen.pid).children() if each.username() == "nobody"]
    agent.send_signal(signal.SIGKILL)
    wait_until_sync(lambda: node.log.count("event=ready") == 2, "another agent serves")
    wait_until_sync(lambda: node.log.count("vip owned") > 1, "it carries its VIP again")
    assert harbour.unharmed()
