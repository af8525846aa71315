"""The files of `eccmgr_ctl`: no stranger can redirect them, or choose the process that root ends."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.process_record import Failed, ProcessRecord
from tests.daemons import ROOT, ask_sync
from tests.waiting import wait_until_sync

STRANGER = 65534
pytestmark = [
    pytest.mark.usefixtures("nothing_left", "environment"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a manager that becomes another user"),
]
HOLD = "import fcntl, sys; fcntl.flock(3, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"


def control(folder: Path, action: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`eccmgr_ctl` with its files in `folder`."""
    files = ("-c", f"{folder}/conf", "--pid-file", f"{folder}/run/pid", "--log", f"{folder}/log")
    flags = ("--", "--listen", f"{folder}/his/m", "--redis", "redis://127.0.0.1:1/0") if action == "start" else ()
    return subprocess.run(
        [sys.executable, "-c", "from cli.eccmgr_ctl import main; main()", *files, *more, action, *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def place(folder: Path) -> Iterator[Path]:
    """A folder with a configuration whose manager becomes nobody, and with a folder of nobody's for its socket."""
    folder.chmod(0o755)
    (folder / "conf").write_text('Security { User = "nobody" }\n')
    (folder / "his").mkdir()
    os.chown(folder / "his", STRANGER, STRANGER)
    yield folder
    control(folder, "stop")


def test_a_manager_without_rights_is_ready_and_ends(place: Path) -> None:
    done = control(place, "start")
    assert re.fullmatch(r"eccmgr is running \(pid \d+\)\n", done.stdout), done.stderr
    pid = int((place / "run" / "pid").read_text())
    assert psutil.Process(pid).uids().real == STRANGER
    assert "eccmgr version:" in ask_sync(place / "his" / "m", "version")
    assert control(place, "status").stdout == f"eccmgr is running (pid {pid})\n"
    assert control(place, "stop").stdout == f"eccmgr has ended (pid {pid})\n"


def test_logs_are_opened_anew_without_rights(place: Path) -> None:
    with (place / "conf").open("a") as conf:
        conf.write(f'ec_logger "x" {{ mainlog = "{place}/his/main" }}\n')
    assert control(place, "start").returncode == 0
    os.rename(place / "his" / "main", place / "his" / "main.1")
    assert ask_sync(place / "his" / "m", "reopen logs") == "Reopened 1 log file"
    assert (place / "his" / "main").stat().st_uid == STRANGER
    os.rename(place / "his" / "main", place / "his" / "main.2")
    os.chown(place / "his", 0, 0)
    said = "Permission denied for nobody, as whom this daemon runs"
    assert ask_sync(place / "his" / "m", "reopen logs") == f"cannot open the log file {place}/his/main: {said}"
    os.chown(place / "his", STRANGER, STRANGER)


def test_a_manager_without_rights_writes_no_record(place: Path) -> None:
    assert control(place, "start").returncode == 0
    manager = psutil.Process(int((place / "run" / "pid").read_text()))
    held = {each.path: each.mode for each in manager.open_files() if each.path.startswith(str(place / "run"))}
    assert held == {str(place / "run" / "pid.lock"): "r"}
    assert (place / "run" / "pid.lock").stat().st_mode & 0o777 == 0o600


def test_an_altered_pid_file_ends_nobody_else(place: Path) -> None:
    assert control(place, "start").returncode == 0
    pid = int((place / "run" / "pid").read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        (place / "run" / "pid").write_text(f"{bystander.pid}\n")
        assert control(place, "stop").stdout == f"eccmgr has ended (pid {pid})\n"
        assert bystander.poll() is None
        bystander.kill()


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process that is not the manager, and that must live."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


@pytest.fixture
def held(folder: Path) -> Iterator[Path]:
    """A lock that a process other than the manager holds."""
    folder.chmod(0o755)
    lock = folder / "pid.lock"
    lock.touch(0o600)
    descriptor = os.open(lock, os.O_RDONLY)
    command = ["bash", "-c", f'exec 3<&{descriptor}; exec "$@"', "bash", sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(descriptor,)) as holder:
        os.close(descriptor)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield lock
        holder.kill()


def test_recorded_process_that_began_later_is_spared(held: Path, bystander: int) -> None:
    held.write_text(f"{bystander} 1\n")
    with pytest.raises(Failed, match=rf"not by the process that it names \(pid {bystander}\), which has ended"):
        ProcessRecord(held.with_name("pid")).running()


@pytest.mark.parametrize("text", ["", "0 1\n", "-1 5\n", "12\n", "1 2", "x y\n", "1 2\n3\n", "9" * 99, "\0" * 4096])
def test_garbage_in_a_record_names_no_process(held: Path, text: str) -> None:
    held.write_text(text)
    with pytest.raises(Failed, match=r"/pid.lock is locked but names no process"):
        ProcessRecord(held.with_name("pid")).running()


def test_a_record_of_any_size_is_read_briefly(held: Path) -> None:
    os.truncate(held, 1 << 40)
    with pytest.raises(Failed, match="names no process"):
        ProcessRecord(held.with_name("pid")).running()


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def _writable(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def _strangers(path: Path) -> None:
    path.touch()
    os.chown(path, STRANGER, STRANGER)


@pytest.mark.parametrize("name", ["run/pid", "run/pid.lock", "log"])
@pytest.mark.parametrize(
    ("put", "said"),
    [
        (_link, "cannot be opened: it is a symbolic link"),
        (os.mkfifo, "cannot be opened: it is not a regular file"),
        (_writable, "cannot be used: others than root may write it; remove it first"),
        (_strangers, "cannot be used: others than root may write it; remove it first"),
    ],
)
def test_what_stands_in_its_place_is_refused(
    place: Path, bystander: int, name: str, put: Callable[[Path], None], said: str
) -> None:
    (place / "run").mkdir()
    (place / "victim").write_text(f"{bystander}\n")
    put(place / name)
    done = control(place, "start")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"eccmgr_ctl: {place}/{name} {said}\n"
    assert (place / "victim").read_text() == f"{bystander}\n"
    wait_until_sync(lambda: not (place / "his" / "m").exists(), "no manager is left")


def test_a_strangers_run_folder_is_refused(place: Path) -> None:
    (place / "run").mkdir()
    os.chown(place / "run", STRANGER, STRANGER)
    done = control(place, "start")
    said = f"{place}/run belongs to nobody, who can replace what is in it"
    assert done.stderr == f"eccmgr_ctl: {place}/run/pid.lock cannot be opened: {said}\n"
