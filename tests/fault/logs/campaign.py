"""Writers of numbered lines, nodes, managers and Redis, and the faults that strike them, the disks and the files.

In the end each line is in the targets exactly once, in order within its log, and none is torn. What deletions took is
counted to the byte.
"""

import contextlib
import math
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import redis

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import Process, Processes
from tests.fault.logs.disks import fill, freeze, freezing_disk, small_disk, thaw
from tests.fault.logs.outcome import SETTLE_S, Outcome
from tests.fault.logs.sites import LogSite
from tests.fault.logs.writers import WatchedWriter, has_open
from tests.waiting import wait_until_sync

_ROUND = 25
_DISK_MIB = 1024


class Campaign:
    """One run with `seed` and a number of faults on a site, in `folder`."""

    def __init__(self, site: LogSite, folder: Path, seed: str, faults: int, limit_s: float = math.inf) -> None:
        """With `limit_s` no fault begins after so many seconds."""
        self._limit_s = limit_s
        self._site, self._folder, self._faults = site, folder, faults
        self._chance = random.Random(seed)
        self._server = EmbeddedServer(folder / "redis")
        self._processes = Processes(self._server.url, "stage", folder)
        self._running: dict[str, Process] = {}
        self._writers: dict[str, WatchedWriter] = {}
        self.outcome = Outcome(site, folder, self._server.socket, "stage")
        self.done: Counter[str] = Counter()
        self._can_fill = self._can_freeze = False

    @property
    def summary(self) -> str:
        """What was done."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.done.items()))
        outcome = self.outcome
        said = f"{sum(self.done.values())} faults ({kinds}), {outcome.lines} lines"
        return f"{said}, deletions took {outcome.taken} bytes, {outcome.counted} were counted"

    def run(self, *, say: bool = False) -> None:
        """Raises AssertionError if a line is missing, is there twice, out of order, or torn, or a loss not counted."""
        for name in ("out", "frozen"):
            (self._folder / name).mkdir()
        with contextlib.ExitStack() as disks:
            self._can_fill = disks.enter_context(small_disk(self._folder / "out", _DISK_MIB))
            if self._site.can_freeze:
                self._can_freeze = disks.enter_context(freezing_disk(self._folder / "frozen", _DISK_MIB))
            self._play(say=say)

    def _play(self, *, say: bool) -> None:
        self._server.start()
        try:
            for name in (*self._site.managers, *self._site.nodes):
                self._start(name)
            for node in self._site.nodes:
                self._writers[node] = WatchedWriter(self._site.path(self._folder, node), node, self._site.rate)
            # A node that has never seen a log begins with the file that is there.
            for node in self._site.nodes:
                wait_until_sync(lambda n=node: self.outcome.last(n) >= 0, f"lines of {node} came", SETTLE_S)  # type: ignore[misc]
            began = time.monotonic()
            for number in range(self._faults):
                if time.monotonic() - began > self._limit_s:
                    break
                kind, strike = self._chance.choice(self._kinds())
                self._note(kind)
                strike()
                self.done[kind.partition(":")[0]] += 1
                time.sleep(self._chance.choice((0.0, 0.1, 0.5)))
                if number % _ROUND == _ROUND - 1:
                    self._look(say=say)
            self._check()
        finally:
            for writer in self._writers.values():
                writer.popen.kill()
                writer.popen.communicate()
            self._processes.end()
            self._server.stop()

    def _check(self) -> None:
        self._note("the end")
        written = {name: writer.end() for name, writer in self._writers.items()}
        manager = self._running[self._site.managers[0]]
        manager.wait_ready()
        try:
            for node, lines in written.items():
                self.outcome.check(self._writers[node], lines, manager.endpoint)
            self.outcome.check_own()
        except AssertionError:
            self._keep_evidence()
            raise

    def _keep_evidence(self) -> None:
        """Copy what is gone with the run: the targets, and what Redis has."""
        with contextlib.suppress(redis.RedisError):
            self._redis("SAVE")
        for node in self._site.nodes:
            for file in self._site.targets(self._folder, node):
                kept = self._folder / "kept" / file.relative_to(self._folder)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(file.read_bytes())

    def _note(self, kind: str) -> None:
        with (self._folder / "faults").open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {kind}\n")

    def _start(self, name: str) -> None:
        is_manager = name in self._site.managers
        main = self._folder / f"{name}.conf"
        main.write_text(self._site.text(self._site.manager if is_manager else self._site.node, self._folder, name))
        program = "eccmgr" if is_manager else "ecnode"
        self._running[name] = self._processes.start(program, name, "-c", str(main), wait=False)

    # Faults.

    def _kinds(self) -> list[tuple[str, Callable[[], None]]]:
        writer = self._chance.choice(list(self._writers.values()))
        node, manager = self._chance.choice(self._site.nodes), self._chance.choice(self._site.managers)
        waits_s, makes = self._chance.choice((0.0, 0.2)), self._chance.random() < 0.5
        return [
            (f"node killed: {node}", lambda: self._kill(node)),
            (f"manager killed: {manager}", lambda: self._kill(manager)),
            (f"manager stopped: {manager}", lambda: self._stop(manager)),
            (f"node stopped: {node}", lambda: self._stop(node)),
            ("redis stopped", self._stop_redis),
            ("redis killed, back as it was", lambda: self._restart_redis(saves=True)),
            ("redis killed, back empty", lambda: self._restart_redis(saves=False)),
            ("redis cut off", self._cut_off),
            ("redis full", self._fill_redis),
            (f"rename: {writer.name}", lambda: writer.rename(waits_s=waits_s, makes=makes)),
            (f"rename: {writer.name}", lambda: writer.rename(waits_s=waits_s, makes=makes)),
            (f"copy and cut: {writer.name}", writer.copy_and_cut),
            (f"compress: {writer.name}", writer.compress),
            (f"deleted: {writer.name}", lambda: self._delete(writer)),
            (f"deleted, node down: {writer.name}", lambda: self._kill(writer.name, self._delete)),
            *([("disk full", self._fill_disk)] if self._can_fill else []),
            *([("disk frozen", self._freeze_disk)] if self._can_freeze else []),
        ]

    def _kill(self, name: str, then: Callable[[WatchedWriter], None] | None = None) -> None:
        self._running[name].end(signal.SIGKILL)
        if then is not None:
            then(self._writers[name])
        time.sleep(self._chance.choice((0.0, 0.3, 1.5)))
        if name in self._writers:
            self.outcome.node_died(self._writers[name])
        self._start(name)

    def _delete(self, writer: WatchedWriter) -> None:
        """Delete the present file, or some of the newest rotated ones: those may be unread."""
        number = self._chance.choice((1, 2, 3))
        for file in [writer.path] if self._chance.random() < 0.3 else writer.rotated()[-number:]:
            node = self._running[writer.name].popen.pid
            holder = node if has_open(node, file) else 0
            deleted = writer.delete(file)
            if deleted is not None:
                self.outcome.was_deleted(writer, deleted, holder)

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
        for name, writer in self._writers.items():
            self.outcome.redis_forgot(writer, self._running[name].popen.pid)
        self._server.start()

    def _cut_off(self) -> None:
        self._redis("CLIENT", "KILL", "TYPE", "normal")

    def _fill_redis(self) -> None:
        self._redis("CONFIG", "SET", "maxmemory", "1")
        time.sleep(self._chance.choice((0.2, 1.0)))
        self._redis("CONFIG", "SET", "maxmemory", "0")

    def _fill_disk(self) -> None:
        """The disk of the targets is full for a while."""
        with contextlib.suppress(subprocess.CalledProcessError):
            # This fails if somebody writes at the same moment: then the disk stays as it is.
            fill(self._folder / "out")
        time.sleep(self._chance.choice((0.2, 1.0)))
        fill(self._folder / "out", _DISK_MIB)

    def _freeze_disk(self) -> None:
        """The disk of some targets does not answer. The others are written all the same."""
        free = next(node for node in self._site.nodes if node != self._site.can_freeze)
        freeze(self._folder / "frozen")
        try:
            before = self.outcome.last(free)
            wait_until_sync(
                lambda: self.outcome.last(free) > before + self._site.rate, f"{free} is collected", SETTLE_S
            )
            time.sleep(self._chance.choice((0.0, 3.0)))
        finally:
            thaw(self._folder / "frozen")

    def _redis(self, *words: str) -> None:
        with redis.Redis(unix_socket_path=str(self._server.socket), socket_timeout=10) as client:
            try:
                client.execute_command(*words)
            except redis.ConnectionError:
                if words[0] != "CLIENT":
                    raise

    def _look(self, *, say: bool) -> None:
        for process in self._running.values():
            code = process.popen.poll()
            assert code is None, f"a daemon has ended with {code}: {process.log[-2000:]}"
        if say:
            print(f"{sum(self.done.values())} faults", flush=True)
