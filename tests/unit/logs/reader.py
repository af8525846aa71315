"""Writes, rotates and reads a log as programs do, and notes what a manager would have of it."""

import gzip
import itertools
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from eccmgr.logs.collection.following.follower import LogFollower
from eccmgr.logs.collection.following.sources import LogFolder
from eccmgr.logs.collection.following.succession import Turns
from eccmgr.logs.collection.gathering.stand import lacks_something
from eccmgr.logs.collection.news import dump_files, parse_files
from eccmgr.logs.collection.places import LogPlace
from eccmgr.logs.collection.records import Record


@dataclass
class WrittenLog:
    """A log in a folder, its writer, its follower, and what was collected of it."""

    folder: Path
    header: bytes = b""
    """The first line of each file."""
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    rotations: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    lives: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    written: list[bytes] = field(default_factory=list)
    taken: bytes = b""
    place: LogPlace | None = None
    places: list[tuple[LogPlace, int]] = field(default_factory=list)
    lost: int = 0
    wall_ms: int = 0
    """When what was collected had changed last."""
    follower: LogFollower | None = None

    def __post_init__(self) -> None:
        self.path = self.folder / "main.log"
        self.writer = self.path.open("ab", buffering=0)
        self.restart()

    # The writer.

    def write(self, lines: int, width: int = 10) -> None:
        made = [b"%06d %s\n" % (next(self.numbers), b"x" * width) for _ in range(lines)]
        if self.header and not os.fstat(self.writer.fileno()).st_size:
            made.insert(0, self.header)
        self.written += made
        self.writer.write(b"".join(made))

    def reopen(self) -> None:
        self.writer.close()
        self.writer = self.path.open("ab", buffering=0)

    def rename(self) -> Path:
        """Move the file away; the writer goes on in it until it opens the log anew."""
        moved = self.folder / f"main.log.{next(self.rotations)}"
        if self.path.exists():
            self.path.rename(moved)
        return moved

    def copy_and_cut(self) -> None:
        self.reopen()
        shutil.copyfile(self.path, self.folder / f"main.log-{next(self.rotations)}")
        os.truncate(self.path, 0)

    def rotated(self) -> list[Path]:
        """The rotated files to which nobody writes any more, the oldest first."""
        here = os.fstat(self.writer.fileno()).st_ino
        files = sorted(self.folder.glob("main.log[.-]*"), key=lambda file: file.stat().st_mtime_ns)
        return [file for file in files if file.suffix != ".gz" and file.stat().st_ino != here]

    def compress_rotated(self) -> None:
        """Compress the oldest rotated file."""
        for file in self.rotated()[:1]:
            packed = file.with_name(f"{file.name}.gz")
            status = file.stat()
            packed.write_bytes(gzip.compress(file.read_bytes()))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            file.unlink()

    def delete_rotated(self, number: int) -> None:
        """Delete a rotated file after a look at all of them, while the node does not have it open."""
        if files := self.rotated():
            self.look()
            files[number].unlink()
            self.restart()

    # The reader.

    def restart(self, place: LogPlace | None = None) -> None:
        """Begin anew at the collected place, or another one, with what Redis keeps."""
        turns = Turns()
        if self.follower is not None:
            turns = Turns(parse_files(dump_files(self.follower.turns.dump()).encode()))
            self.follower.close()
        self.follower = LogFollower(LogFolder(str(self.path)), place or self.place, turns, quiet_s=0.0)

    def forget(self) -> None:
        """Begin anew as a node that knows nothing of the log, since Redis has forgotten it too."""
        assert self.follower is not None
        self.follower.close()
        # It is later by now than in the life before.
        wall_s = time.time() + next(self.lives)
        self.follower = LogFollower(LogFolder(str(self.path)), quiet_s=0.0, wall=lambda: wall_s)

    def ask_again(self, place: LogPlace) -> None:
        """Have the follower send again what follows a place."""
        assert self.follower is not None
        self.follower.go_to(place, since_ms=self.wall_ms)

    def read(self, most: int = 1 << 20) -> None:
        assert self.follower is not None
        self.take_all(self.follower.read(most))

    def look(self) -> None:
        assert self.follower is not None
        self.take_all(self.follower.look())

    def take_all(self, records: list[Record]) -> None:
        """Collect records as a manager does, which has the node go back to the place from which it needs more."""
        for record in records:
            if lacks_something(self.place, record):
                self.ask_again(self.place) if self.place is not None else self.restart()
                return
            self.take(record)

    def take(self, record: Record) -> None:
        """Collect a record as a manager does."""
        if self.place is not None and record.end.order <= self.place.order:
            return
        record = record if self.place is None else record.rest(self.place)
        self.taken += record.text()
        self.lost += record.lost
        self.wall_ms = max(self.wall_ms, record.wall_ms)
        self.place = record.end
        self.places.append((record.end, len(self.taken)))

    def read_all(self) -> None:
        idle = 0
        while idle < 3:
            before = self.place
            self.read()
            idle = idle + 1 if self.place == before else 0

    def close(self) -> None:
        self.writer.close()
        assert self.follower is not None
        self.follower.close()
