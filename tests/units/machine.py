"""A machine with systemd: a Debian made by debootstrap and booted by systemd-nspawn, with a network of its own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.daemons import ROOT
from tests.waiting import wait_until_sync

TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "apt-get")
_SUITE, _PYTHON = "bookworm", "3.11"
_PACKAGES = ("systemd-sysv", "dbus", "redis-server", "iproute2", "libnftables1", "logrotate", "python3-venv")
_SOURCES = ("LICENSE", "README.md", "pyproject.toml", "requirements.txt", "cli", "eccmgr", "ops", "worker")
_PATH = "/opt/eccmgr/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str:
    """The reason why no machine can be made here; '' if one can be made."""
    if os.geteuid() != 0:
        return "only root can boot a machine"
    absent = [each for each in TOOLS if shutil.which(each) is None]
    return f"not installed here: {' '.join(absent)} (debootstrap, systemd-container)" if absent else ""


class Machine:
    """A machine that can be booted and shut down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0

    def boot(self) -> None:
        """Boot it, and wait until systemd has started its units."""
        # Do not register the machine, because the host may have no systemd.
        options = ["--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--console=pipe"]
        start = 'mount --make-rprivate / && exec systemd-nspawn --quiet --machine=units --boot "$@"'
        # systemd-nspawn detects cgroups by itself on a host with v2 alone, but not on a host with both versions.
        old = {} if Path("/sys/fs/cgroup/cgroup.controllers").exists() else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"}
        self._nspawn = subprocess.Popen(
            ["unshare", "--mount", "bash", "-c", start, "boot", f"--directory={self.root}", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **old},
        )
        try:
            wait_until_sync(self._is_up, "the machine has booted", timeout_s=120)
        except BaseException:
            self._end()
            raise

    def shut_down(self) -> None:
        """End the machine and every process on it."""
        assert self._nspawn is not None
        try:
            self.run("systemctl poweroff")
            self._nspawn.wait(60)
        except (subprocess.SubprocessError, AssertionError):
            self._end()

    def _end(self) -> None:
        """End the process that runs the machine; the machine ends with it."""
        assert self._nspawn is not None
        self._nspawn.kill()
        self._nspawn.wait()

    def try_to_run(self, command: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """The output and the exit code of `bash -c COMMAND` on the machine."""
        inside = ["nsenter", "--target", str(self._init), "--all", "--", "env", "-i", f"PATH={_PATH}", "HOME=/"]
        changed = [] if user == "root" else ["runuser", "-u", user, "--"]
        return subprocess.run(
            [*inside, *changed, "bash", "-c", f"cd /; {command}"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def run(self, command: str, user: str = "root") -> str:
        """The output of a command on either stream; the command must succeed."""
        done = self.try_to_run(command, user)
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, "systemd-nspawn has ended"
        children = psutil.Process(self._nspawn.pid).children()
        if not children:
            return False
        self._init = children[0].pid
        return self.try_to_run("systemctl is-system-running").stdout.strip() in ("running", "degraded")


@contextmanager
def made_root() -> Iterator[Path]:
    """A Debian with the packages of a host. The sources are in /opt/src, and the packages for pip in /opt/wheels.

    `UNITS_ROOT=FOLDER` keeps it there for the next run.
    """
    kept = os.environ.get("UNITS_ROOT")
    made = None if kept else Path(tempfile.mkdtemp(prefix="eccmgr-units-", dir="/var/tmp"))
    # Use a subfolder: only the owner may enter the temporary folder itself.
    root = made / "root" if made else Path(str(kept))
    try:
        if not (root / "opt").exists():
            _bootstrap(root)
        _fetch_wheels(root / "opt" / "wheels")
        shutil.rmtree(root / "opt" / "src", ignore_errors=True)
        for name in _SOURCES:
            source, target = ROOT / name, root / "opt" / "src" / name
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        yield root
    finally:
        if made:
            shutil.rmtree(made)


def pip_settings() -> Mapping[str, str]:
    """Have pip use the fetched packages."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/wheels"}


def _bootstrap(root: Path) -> None:
    include = f"--include={','.join(_PACKAGES)}"
    _do("debootstrap", "--variant=minbase", include, _SUITE, str(root), *_mirror())


def _mirror() -> list[str]:
    """The mirror of this machine's apt. debootstrap would take its own default."""
    form = ("--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")
    lines = subprocess.run(["apt-get", "indextargets", *form], capture_output=True, text=True, check=False).stdout
    found = [uri for origin, _, uri in (line.partition(" ") for line in lines.splitlines()) if origin == "Debian"]
    return [each for each in found if "security" not in each][:1]


def _fetch_wheels(folder: Path) -> None:
    # Fetch all locked packages: another Python version may need packages that the markers leave out for this one.
    locked, complete = re.sub(r" ; [^\\]*", " ", (ROOT / "requirements.txt").read_text()), folder / "complete"
    if complete.exists() and complete.read_text() == locked:
        return
    choice = ("--only-binary=:all:", f"--python-version={_PYTHON}", "--dest", str(folder))
    folder.mkdir(exist_ok=True)
    (folder / "locked.txt").write_text(locked)
    for wanted in (("--no-deps", "--require-hashes", "-r", str(folder / "locked.txt")), ("hatchling",)):
        _do(sys.executable, "-m", "pip", "download", "--quiet", *choice, *wanted)
    complete.write_text(locked)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
