"""Writers of numbered lines, nodes, managers and Redis, and the faults that strike them and the files.

In the end each line is in the targets exactly once, in order within its log, and none is torn.
"""

import contextlib
import gzip
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import Process, Processes
from tests.waiting import wait_until_sync

_NODES, _MANAGERS = ("east1", "west1"), ("barca", "roma")
_RATE = 2000
_SETTLE_S = 180.0
_ROUND = 25
_DISK_MIB = 1024
_CONFIGURATION = """
cluster {{
  session_lease = 1
  heartbeats_per_sec = 5
  max_step = 0.4
  logs = [ mainlog = "{log}" ]
  plumber = memory
  fence = none
}}
"""


class WatchedWriter:
    """A writer, its log, and what its rotations took away."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.path = name, folder / name / "main.log"
        self.path.parent.mkdir()
        self.rotations = 0
        arguments = (sys.executable, str(Path(__file__).with_name("writer.py")), str(self.path), name, str(_RATE))
        self.popen = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        wait_until_sync(self.path.exists, "the log is there")

    def reopen(self) -> None:
        """Have the writer open the log anew, and wait for that."""
        self.popen.send_signal(signal.SIGHUP)
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "anew\n"

    def rename(self, *, waits_s: float, makes: bool) -> None:
        """Rotate as most do: rename, perhaps make a new file, and a while later tell the writer."""
        self.rotations += 1
        self.path.rename(self.path.with_name(f"main.log.{self.rotations:04}"))
        if makes:
            self.path.touch()
        time.sleep(waits_s)
        self.reopen()

    def copy_and_cut(self) -> None:
        """Copy the log and cut it, while the writer is stopped: else lines between the two would be nowhere."""
        self.rotations += 1
        self.popen.send_signal(signal.SIGSTOP)
        try:
            _wait_stopped(self.popen.pid)
            shutil.copyfile(self.path, self.path.with_name(f"main.log-{self.rotations:04}"))
            os.truncate(self.path, 0)
        finally:
            self.popen.send_signal(signal.SIGCONT)

    def compress(self) -> None:
        """Compress the oldest rotated file."""
        for file in sorted(self.path.parent.glob("main.log[.-]*[0-9]")):
            packed, status = file.with_name(f"{file.name}.gz"), file.stat()
            with gzip.open(packed.with_name("packing"), "wb", 1) as made:
                made.write(file.read_bytes())
            os.utime(packed.with_name("packing"), ns=(status.st_atime_ns, status.st_mtime_ns))
            packed.with_name("packing").rename(packed)
            file.unlink()
            return

    def end(self) -> int:
        """End it; answers the number of lines that it has written."""
        self.popen.send_signal(signal.SIGTERM)
        assert self.popen.stdout is not None
        return int(self.popen.stdout.read().split()[-1])


class Campaign:
    """One run with `seed` and a number of faults, in `folder`."""

    def __init__(self, folder: Path, seed: str, faults: int) -> None:
        self._folder, self._faults = folder, faults
        self._chance = random.Random(seed)
        self._server = EmbeddedServer(folder / "redis")
        self._processes = Processes(self._server.url, "stage", folder)
        self._running: dict[str, Process] = {}
        self._writers: dict[str, WatchedWriter] = {}
        self.done: Counter[str] = Counter()
        self.lines = 0
        self._can_fill = False

    @property
    def summary(self) -> str:
        """What was done."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.done.items()))
        return f"{sum(self.done.values())} faults ({kinds}), {self.lines} lines"

    def run(self, *, say: bool = False) -> None:
        """Raises AssertionError if a line is missing, is there twice, out of order, or torn."""
        self._configure()
        with self._small_disk():
            self._play(say=say)

    @contextlib.contextmanager
    def _small_disk(self) -> Iterator[None]:
        """Give the targets a disk of their own, which can be filled. Only root can."""
        out = str(self._folder / "out")
        size = f"size={_DISK_MIB}m"
        mounting = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", out], stderr=subprocess.DEVNULL, check=False
        )
        self._can_fill = mounting.returncode == 0
        try:
            yield
        finally:
            if self._can_fill:
                subprocess.run(["umount", "-l", out], check=True)

    def _play(self, *, say: bool) -> None:
        self._server.start()
        try:
            for name in (*_MANAGERS, *_NODES):
                self._start(name)
            self._writers = {name: WatchedWriter(self._folder / "logs", name) for name in _NODES}
            # A node that has never seen a log begins with the file that is there.
            wait_until_sync(lambda: all(map(self._targets, _NODES)), "the first lines of all nodes came", _SETTLE_S)
            for number in range(self._faults):
                kind, strike = self._chance.choice(self._kinds())
                self._note(kind)
                strike()
                self.done[kind] += 1
                time.sleep(self._chance.choice((0.0, 0.1, 0.5)))
                if number % _ROUND == _ROUND - 1:
                    self._look(say=say)
            self._settle({name: writer.end() for name, writer in self._writers.items()})
        finally:
            for writer in self._writers.values():
                writer.popen.kill()
                writer.popen.communicate()
            self._processes.end()
            self._server.stop()

    def _note(self, kind: str) -> None:
        with (self._folder / "faults").open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {kind}\n")

    def _configure(self) -> None:
        (self._folder / "logs").mkdir()
        (self._folder / "out").mkdir()
        for name in _NODES:
            text = _CONFIGURATION.format(log=self._folder / "logs" / name / "main.log")
            (self._folder / f"{name}.conf").write_text(text)
        out = self._folder / "out"
        (self._folder / "manager.conf").write_text(f'Logs {{ logfile = "{out}/%Y-%m-%d/%{{l}}/%{{n}}" }}\n')

    def _start(self, name: str) -> None:
        program = "eccmgr" if name in _MANAGERS else "ecnode"
        main = self._folder / ("manager.conf" if name in _MANAGERS else f"{name}.conf")
        self._running[name] = self._processes.start(program, name, "-c", str(main), wait=False)

    # Faults.

    def _kinds(self) -> list[tuple[str, Callable[[], None]]]:
        writer = self._chance.choice(list(self._writers.values()))
        node, manager = self._chance.choice(_NODES), self._chance.choice(_MANAGERS)
        waits_s, makes = self._chance.choice((0.0, 0.2)), self._chance.random() < 0.5
        return [
            ("node killed", lambda: self._kill(node)),
            ("manager killed", lambda: self._kill(manager)),
            ("manager stopped", lambda: self._stop(manager)),
            ("node stopped", lambda: self._stop(node)),
            ("redis stopped", self._stop_redis),
            ("redis killed, back as it was", lambda: self._restart_redis(saves=True)),
            ("redis killed, back empty", lambda: self._restart_redis(saves=False)),
            ("redis cut off", self._cut_off),
            ("redis full", self._fill_redis),
            ("rename", lambda: writer.rename(waits_s=waits_s, makes=makes)),
            ("rename", lambda: writer.rename(waits_s=waits_s, makes=makes)),
            ("copy and cut", writer.copy_and_cut),
            ("compress", writer.compress),
            *([("disk full", self._fill_disk)] if self._can_fill else []),
        ]

    def _kill(self, name: str) -> None:
        self._running[name].end(signal.SIGKILL)
        time.sleep(self._chance.choice((0.0, 0.3, 1.5)))
        self._start(name)

    def _stop(self, name: str) -> None:
        self._running[name].popen.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.choice((0.2, 1.0, 2.5)))
        self._running[name].popen.send_signal(signal.SIGCONT)

    def _stop_redis(self) -> None:
        os.kill(self._server.pid, signal.SIGSTOP)
        time.sleep(self._chance.choice((0.2, 1.0, 2.5)))
        os.kill(self._server.pid, signal.SIGCONT)

    def _restart_redis(self, *, saves: bool) -> None:
        if saves:
            self._redis("SAVE")
        else:
            (self._server.folder / "dump.rdb").unlink(missing_ok=True)
        # Time passes between what was saved and the end.
        time.sleep(self._chance.choice((0.0, 0.3)))
        self._server.stop(signal.SIGKILL)
        self._server.start()

    def _cut_off(self) -> None:
        self._redis("CLIENT", "KILL", "TYPE", "normal")

    def _fill_redis(self) -> None:
        self._redis("CONFIG", "SET", "maxmemory", "1")
        time.sleep(self._chance.choice((0.2, 1.0)))
        self._redis("CONFIG", "SET", "maxmemory", "0")

    def _fill_disk(self) -> None:
        """The disk of the targets is full for a while."""
        ballast = self._folder / "out" / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"0" * 65536):
                pass
        time.sleep(self._chance.choice((0.2, 1.0)))
        ballast.unlink()

    def _redis(self, *words: str) -> None:
        import redis

        with redis.Redis(unix_socket_path=str(self._server.socket), socket_timeout=10) as client:
            try:
                client.execute_command(*words)
            except redis.ConnectionError:
                if words[0] != "CLIENT":
                    raise

    # What came of it.

    def _targets(self, node: str) -> list[Path]:
        return [file for file in sorted((self._folder / "out").glob(f"*/mainlog/{node}")) if file.is_file()]

    def _numbers(self, node: str) -> list[int]:
        text = b"".join(file.read_bytes() for file in self._targets(node)).decode(errors="replace")
        *lines, torn = text.split("\n")
        assert not torn or not lines, f"{node}: the last line is torn: {torn[:80]!r}"
        numbers = []
        for at, line in enumerate(lines):
            found = re.fullmatch(rf"{node} (\d+) (\.*)", line)
            assert found, f"{node}: line {at} is torn: {line[:120]!r}, behind {lines[at - 1][:60]!r}"
            assert len(found[2]) == int(found[1]) * 7919 % 90, f"{node}: line {at} is torn: {line[:120]!r}"
            numbers.append(int(found[1]))
        return numbers

    def _look(self, *, say: bool) -> None:
        for process in self._running.values():
            code = process.popen.poll()
            assert code is None, f"a daemon has ended with {code}: {process.log[-2000:]}"
        if say:
            print(self.summary, flush=True)

    def _settle(self, written: dict[str, int]) -> None:
        for node, lines in written.items():
            self.lines += lines
            wait_until_sync(lambda n=node, c=lines: self._count(n) >= c, f"all lines of {node} came", _SETTLE_S)  # type: ignore[misc]
            numbers = self._numbers(node)
            for at, (number, expected) in enumerate(zip(numbers, range(lines), strict=False)):
                assert number == expected, f"{node}: line {at} of the targets is line {number} of the log"
            assert len(numbers) == lines, f"{node}: {len(numbers)} lines in the targets, {lines} were written"

    def _count(self, node: str) -> int:
        return sum(file.read_bytes().count(b"\n") for file in self._targets(node))


def _wait_stopped(pid: int) -> None:
    """Wait until a process has stopped."""
    stat = Path(f"/proc/{pid}/stat")
    wait_until_sync(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the writer has stopped")
