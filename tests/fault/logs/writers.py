"""Writers of numbered lines, and what happens to their files: they are renamed, copied, compressed and deleted."""

import contextlib
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until_sync


def line_size(name: str, number: int) -> int:
    """The bytes of a line of the writer with that name."""
    return len(f"{name} {number} ") + number * 7919 % 90 + 1


def has_open(process: int, file: Path) -> bool:
    """Whether a process has a file open."""
    wanted = file.stat()
    for opened in Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(opened.stat(), wanted):
                return True
    return False


def numbers_in(name: str, text: bytes) -> list[int]:
    """The numbers of the lines in `text`. Raises AssertionError if a line is torn."""
    *lines, torn = text.decode(errors="replace").split("\n")
    assert not torn, f"{name}: the last line is torn: {torn[:80]!r}"
    numbers = []
    for at, line in enumerate(lines):
        parts = re.fullmatch(rf"{name} (\d+) (\.*)", line)
        assert parts, f"{name}: line {at} is torn: {line[:120]!r}, behind {lines[at - 1][:60]!r}"
        assert len(line) + 1 == line_size(name, int(parts[1])), f"{name}: line {at} is torn: {line[:120]!r}"
        numbers.append(int(parts[1]))
    return numbers


@dataclass
class DeletedFile:
    """A file that was deleted, the numbers of the lines in it, and its bytes."""

    first: int
    last: int
    size: int
    head: bytes
    holder: int = 0
    """The process of the node, if that had the file open and so knows its size; else 0."""
    unknown: int = 0
    """The bytes of it that nobody can have counted: no node has told of them, or Redis has forgotten that."""


class WatchedWriter:
    """A writer, its log, and what became of the files of the log."""

    def __init__(self, path: Path, name: str, rate: int) -> None:
        self.name, self.path = name, path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rotations = 0
        self.deleted: list[DeletedFile] = []
        arguments = (sys.executable, str(Path(__file__).with_name("writer.py")), str(path), name, str(rate))
        self.popen = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        wait_until_sync(path.exists, "the log is there")

    def reopen(self) -> None:
        """Have the writer open the log anew, and wait for that."""
        self.popen.send_signal(signal.SIGHUP)
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "anew\n"

    def rename(self, *, waits_s: float, makes: bool) -> None:
        """Rotate as most do: rename, perhaps make a new file, and a while later tell the writer."""
        self.rotations += 1
        self.path.rename(self.path.with_name(f"{self.path.name}.{self.rotations:04}"))
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
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}-{self.rotations:04}"))
            os.truncate(self.path, 0)
        finally:
            self.popen.send_signal(signal.SIGCONT)

    def rotated(self) -> list[Path]:
        """The rotated files."""
        return sorted(self.path.parent.glob(f"{self.path.name}[.-]*"))

    def compress(self) -> None:
        """Compress the oldest rotated file."""
        for file in self.rotated():
            if file.suffix == ".gz":
                continue
            packed, status = file.with_name(f"{file.name}.gz"), file.stat()
            with gzip.open(packed.with_name("packing"), "wb", 1) as made:
                made.write(file.read_bytes())
            os.utime(packed.with_name("packing"), ns=(status.st_atime_ns, status.st_mtime_ns))
            packed.with_name("packing").rename(packed)
            file.unlink()
            return

    def delete(self, file: Path) -> DeletedFile | None:
        """Delete a file of the log; if that is the present one, the writer makes it anew."""
        with file.open("rb") as deleted:
            file.unlink()
            if file == self.path:
                self.reopen()
            data = deleted.read()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
        numbers = numbers_in(self.name, data)
        if not numbers:
            return None
        self.deleted.append(DeletedFile(numbers[0], numbers[-1], len(data), data[:1024]))
        return self.deleted[-1]

    def end(self) -> int:
        """End it, once there is a line in its file; answers the number of lines that it has written."""
        wait_until_sync(lambda: self.path.exists() and self.path.stat().st_size > 0, "the file has a line")
        self.popen.send_signal(signal.SIGTERM)
        assert self.popen.stdout is not None
        return int(self.popen.stdout.read().split()[-1])


def _wait_stopped(pid: int) -> None:
    """Wait until a process has stopped."""
    stat = Path(f"/proc/{pid}/stat")
    wait_until_sync(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the writer has stopped")
