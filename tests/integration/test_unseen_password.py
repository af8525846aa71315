"""The password of Redis: no process of ours shows it on a command line, in an environment or in its output."""

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eccmgr.access.keys import SigningKey, write_key_files
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.servers import Server
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

SECRET = "S3cr3tPw"
GROUP = 4321
pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.timeout(300)]
_PROGRAMS = """
exec "x" {
  commands = [ env = "/usr/bin/env" parent = "/bin/sh -c 'cat /proc/$PPID/environ'" job = "/usr/bin/env" ]
  long = ( job )
}
"""


class House:
    """A server with a password, and daemons on it, in a folder that other users may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(folder / "redis", f"requirepass {SECRET}").start()
        self.url = f"redis://:{SECRET}@{self.server.address}/0"
        self.processes = Processes(self.url, "unseen", folder)

    def start(
        self, program: str, *flags: str, configuration: str = "", group: int | None = None, **environment: str
    ) -> Process:
        """A daemon whose way to Redis is in `flags` or in the environment."""
        (self.folder / "conf").write_text(configuration)
        log, endpoint = self.folder / f"{program}.log", self.folder / program
        arguments = (
            *(sys.executable, "-c", f"from cli.{program} import main; main()"),
            *("--name", "east1", "--cluster", "unseen", "--listen", str(endpoint), "-c", f"{self.folder}/conf", *flags),
        )
        inherited = {**os.environ, "XDG_STATE_HOME": str(self.folder), **environment}
        with log.open("wb") as output:
            popen = subprocess.Popen(arguments, cwd=ROOT, stdout=output, stderr=output, env=inherited, group=group)
        process = Process(popen, endpoint, log)
        self.processes.started.append(process)
        process.wait_ready()
        wait_until_sync(lambda: "event=joined" in process.log, "it has got into Redis")
        return process


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="ecc-") as made, contextlib.ExitStack() as end:
        Path(made).chmod(0o777)
        house = House(Path(made))
        end.callback(house.server.stop)
        end.callback(house.processes.end)
        yield house


def shown_by(process: Process) -> str:
    """The texts that other processes can read about a daemon and about all processes that it has started."""
    main = psutil.Process(process.popen.pid)
    shown = [process.log]
    for each in (main, *main.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            shown.append(f"{each.cmdline()} {each.environ()}")
    return "\n".join(shown)


@pytest.mark.parametrize("way", ["flag", "flag=", "variable", "small variable"])
@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
def test_no_process_shows_the_password(house: House, program: str, way: str) -> None:
    flags = {"flag": ("--redis", house.url), "flag=": (f"--redis={house.url}",)}.get(way, ())
    variable = {"variable": {"ECCMGR_REDIS": house.url}, "small variable": {"eccmgr_redis": house.url}}.get(way, {})
    configuration = ONE_VIP + _PROGRAMS if program == "ecnode" else ""
    daemon = house.start(program, *flags, configuration=configuration, **variable)
    said = [ask_sync(daemon.endpoint, "info" if program == "eccmgr" else "cluster info")]
    if program == "ecnode":
        wait_until_sync(lambda: "vip owned" in daemon.log, "it has a guardian")
        wait_until_sync(lambda: "job worker started" in daemon.log, "it has a job worker")
        said += [ask_sync(daemon.endpoint, each) for each in ("exec:x env", "exec:x parent", "config showrecurse")]
    shown = shown_by(daemon)
    assert "--name" in shown
    assert SECRET not in shown + "\n".join(said)
    assert "***" in shown


def test_a_jobs_program_sees_no_setting_of_ours(house: House) -> None:
    node = house.start("ecnode", configuration=_PROGRAMS, ECCMGR_REDIS=house.url, ECCMGR_SUBCLUSTER="east")

    def workers() -> list[psutil.Process]:
        children = psutil.Process(node.popen.pid).children()
        return [child for child in children if any("worker.jobs" in word for word in child.cmdline())]

    wait_until_sync(lambda: bool(workers()), "its worker is there")
    (worker,) = workers()
    # The form of the log lines is no secret, and the worker writes into the same log.
    assert {name for name in worker.environ() if name.startswith("ECCMGR_")} <= {"ECCMGR_LOG_FORMAT"}


def test_the_password_may_be_in_a_file(house: House) -> None:
    (house.folder / "pw").write_text(f"{SECRET}\n")
    url = f"redis://{house.server.address}/0"
    manager = house.start("eccmgr", "--redis", url, "--redis-password-file", f"{house.folder}/pw")
    assert "Redis: " in ask_sync(manager.endpoint, "info")
    assert SECRET not in shown_by(manager)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("way", ["file", "variable"])
def test_an_agent_without_rights_gets_the_password(house: House, way: str) -> None:
    (house.folder / "pw").write_text(SECRET)
    (house.folder / "pw").chmod(0o400)
    variables = {"ECCMGR_REDIS": house.url}
    if way == "file":
        url = f"redis://{house.server.address}/0"
        variables = {"ECCMGR_REDIS": url, "ECCMGR_REDIS_PASSWORD_FILE": f"{house.folder}/pw"}
    node = house.start("ecnode", configuration=ONE_VIP + 'Security { User = "nobody" }\n', **variables)
    wait_until_sync(lambda: "vip owned" in node.log, "it carries its VIP")
    assert SECRET not in shown_by(node)
    (agent,) = [each for each in psutil.Process(node.popen.pid).children() if each.username() == "nobody"]
    agent.send_signal(signal.SIGKILL)
    wait_until_sync(lambda: node.log.count("event=joined") == 2, "another agent has got into Redis")
    assert SECRET not in shown_by(node)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a daemon in another group")
@pytest.mark.parametrize("secret", ["signing_key", "TLS_Key", ""])
def test_daemon_with_a_key_hides_its_memory(house: House, secret: str) -> None:
    house.folder.chmod(0o755)
    key, _ = write_key_files(house.folder / "keys", SigningKey(b"k" * 32, "m1", dt.date(2999, 1, 1)))
    configurations = {
        "signing_key": f'cluster {{ signing_key = "{key}" }}\n',
        "TLS_Key": f'Control_Listener {{ Listen "127.0.0.1:0" {{ Enable = false  TLS_Key = "{key}" }} }}\n',
        "": "",
    }
    server = Server(house.folder / "open").start()
    try:
        url = f"redis://{server.address}/0"
        manager = house.start("eccmgr", "--redis", url, configuration=configurations[secret], group=GROUP)
        # The kernel shows the memory of such a process to root alone.
        group = Path(f"/proc/{manager.popen.pid}/mem").stat().st_gid
        assert group == (0 if secret else GROUP)
    finally:
        house.processes.end()
        server.stop()


def test_eccmgr_ctl_shows_no_password(house: House) -> None:
    house.folder.chmod(0o755)
    files = ("--pid-file", f"{house.folder}/run/pid", "--log", f"{house.folder}/log")
    command = (sys.executable, "-c", "from cli.eccmgr_ctl import main; main()", *files)
    flags = ("--", "--redis", house.url, "--listen", f"{house.folder}/m", "--cluster", "unseen")
    subprocess.run([*command, "start", *flags], cwd=ROOT, check=True, capture_output=True, timeout=90)
    try:
        wait_until_sync(lambda: "event=joined" in (house.folder / "log").read_text(), "it has got into Redis")
        manager = psutil.Process(int((house.folder / "run" / "pid").read_text()))
        assert SECRET not in f"{manager.cmdline()} {manager.environ()} {(house.folder / 'log').read_text()}"
    finally:
        subprocess.run([*command, "stop"], cwd=ROOT, check=True, capture_output=True, timeout=90)


@pytest.mark.parametrize(
    "words",
    [
        ("--redis", "redis://u:S3cr3tPw@127.0.0.1:99999/0"),
        ("--redis", "redis://u:S3cr3tPw@/0"),
        ("--redis", "redis://:S3cr3tPw@[::1/0"),
        ("--redis", "redis://u:S3cr3tPw@h/0?ssl_nonsense=S3cr3tPw"),
        ("--redis", "redis:/u:S3cr3tPw@h"),
        ("--redis", "redis://:S3cr3tPw#@h"),
        ("redis://u:S3cr3tPw@h/0",),
        ("--rediss=redis://u:S3cr3tPw@h/0",),
    ],
)
def test_no_fault_of_a_command_line_repeats_it(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cli.eccmgr import main; main()", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert SECRET not in done.stdout + done.stderr
