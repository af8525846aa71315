"""How far a log is written: the checkpoint in Redis, and the note beside the files of this manager.

Redis says where to go on in the node's file. The note says where to go on in the file of this manager: it is written
after the bytes are on the disk and before Redis is told, so it is never behind Redis. Nothing in Redis names a file of
this manager.

The note also fences. A manager that takes the lease notes its epoch first. From then on the manager that had the lease
before writes nothing into the same folder, even if it has not learned yet that it has lost the lease.
"""

import contextlib
import os
import secrets
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from eccmgr.host.safe_open import open_file
from eccmgr.logs.collection.gathering.targets import LogTarget
from eccmgr.logs.collection.places import LogPlace
from eccmgr.logs.collection.safe_names import safe_name
from eccmgr.redis.reading import decoded

_NOTE_MAX = 64 * 1024
_STORES_KEPT = 8
_FLAGS = os.O_RDWR | os.O_CREAT


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a subscriber has a log, as Redis keeps it.

    `number` counts the checkpoints. `store` is the folder of the manager that wrote last, and `stores` has the number
    of the last checkpoint of each folder. `path` and `length` are the file and its length there. What comes before the
    place had changed last on the node at `wall_ms`. `lost` counts the bytes before the place that were removed before
    anybody read them.
    """

    place: str
    number: int = 0
    epoch: int = 0
    store: str = ""
    path: str = ""
    length: int = 0
    wall_ms: int = 0
    stores: dict[str, int] = {}
    lost: int = 0

    def dump(self) -> str:
        """The checkpoint as JSON."""
        return msgspec.json.encode(self).decode()

    def at(self) -> LogPlace:
        """Its place. Raises ValueError."""
        return LogPlace.parse(self.place)

    @classmethod
    def parse(cls, raw: bytes) -> "Checkpoint | None":
        """The checkpoint in Redis; None if there is none, or one that we did not write."""
        try:
            read = decoded(_checkpoint, raw) if raw else None
            if read is not None:
                read.at()
        except (ValueError, msgspec.MsgspecError):
            return None
        return read

    def seen_stores(self, store: str, number: int) -> dict[str, int]:
        """`stores` with another number for one of them, and not too many."""
        kept = sorted({**self.stores, store: number}.items(), key=lambda item: item[1])
        return dict(kept[-_STORES_KEPT:])


_checkpoint = msgspec.json.Decoder(Checkpoint)


class Note(msgspec.Struct, frozen=True):
    """How far this manager has written a log. `place` is "" before the first byte, and `before` is the length of the
    file at the checkpoint before this one. `lost` and `wall_ms` are those of the checkpoint."""

    place: str
    number: int
    epoch: int
    path: str
    length: int
    before: int
    device: int
    inode: int
    lost: int = 0
    wall_ms: int = 0

    def at(self) -> LogPlace | None:
        """Its place. Raises ValueError."""
        return LogPlace.parse(self.place) if self.place else None

    @property
    def target(self) -> LogTarget:
        """The end of what is written."""
        return LogTarget(self.path, self.length, self.device, self.inode)

    @property
    def target_before(self) -> LogTarget:
        """The end of what was written before."""
        return LogTarget(self.path, self.before, self.device, self.inode)

    @classmethod
    def of(cls, place: str, number: int, epoch: int, target: LogTarget, before: int, lost: int, wall_ms: int) -> "Note":
        """A note about a target."""
        path, length, device, inode = target.path, target.length, target.device, target.inode
        return cls(place, number, epoch, path, length, before, device, inode, lost, wall_ms)


_note = msgspec.json.Decoder(Note)


class Start(NamedTuple):
    """Where to go on: the place in the log (None: with whatever the pipe has), the end of our file, the number, the
    bytes lost so far, when what comes before the place had changed last (0 if unknown), and the length of our file at
    the checkpoint before."""

    place: LogPlace | None
    target: LogTarget | None
    number: int
    lost: int
    wall_ms: int = 0
    before: int = 0

    @classmethod
    def at_note(cls, note: Note, number: int = 0) -> "Start":
        """Go on where a note ends."""
        return cls(note.at(), note.target, max(number, note.number), note.lost, note.wall_ms, note.before)

    @classmethod
    def at_checkpoint(cls, kept: Checkpoint, target: LogTarget | None = None, number: int = 0) -> "Start":
        """Go on at a checkpoint, behind the end of `target`."""
        before = 0 if target is None else target.length
        return cls(kept.at(), target, max(number, kept.number), kept.lost, kept.wall_ms, before)

    def note(self, target: LogTarget, epoch: int) -> Note:
        """The note that the lease with this epoch begins here, behind the end of `target`."""
        place = self.place.dump() if self.place is not None else ""
        return Note.of(place, self.number, epoch, target, self.before, self.lost, self.wall_ms)


def start(kept: Checkpoint | None, note: Note | None, store: str) -> Start:
    """Where to go on, by what Redis keeps and by our note. Pure."""
    if note is None:
        return Start(None, None, 0, 0) if kept is None else Start.at_checkpoint(kept)
    if kept is None:
        return Start.at_note(note)
    if note.number < kept.stores.get(store, 0):
        # A process that was slow to learn that it had lost the lease has noted over a later note.
        if (kept.store, kept.path) != (store, note.path):
            return Start.at_note(note, kept.number)
        longer = replace(note.target, length=max(note.length, kept.length))
        return Start.at_checkpoint(kept, longer)
    # Redis does not know of our last checkpoint: it has forgotten it, or never heard of it.
    is_ahead = note.number > kept.stores.get(store, 0)
    if is_ahead and kept.epoch > note.epoch and kept.store != store:
        # Another manager went on from the checkpoint before ours, and has what we wrote after it.
        return Start.at_checkpoint(kept, note.target_before)
    if is_ahead and note.number > kept.number:
        return Start.at_note(note)
    return Start.at_checkpoint(kept, note.target, note.number)


class Fenced(Exception):
    """Raised if another lease of a log has been noted: the manager that writes has lost its own."""


class Notes:
    """The notes in a folder, one small file a subscriber, node and log. All its methods block, and raise OSError."""

    def __init__(self, folder: str, folder_mode: int) -> None:
        self._folder, self._mode = Path(folder), folder_mode
        self.store = self._identity()

    def _identity(self) -> str:
        """The name of this folder, which all managers share that share the folder."""
        descriptor = self._open(self._folder / "identity")
        try:
            if len(known := os.pread(descriptor, 64, 0)) >= 16:
                return known.decode(errors="replace").strip()
            made = secrets.token_hex(8)
            os.pwrite(descriptor, made.encode(), 0)
            return made
        finally:
            os.close(descriptor)

    def read(self, subscriber: str, node: str, log: str) -> Note | None:
        """The note about a log; None if there is none that can be read."""
        try:
            descriptor = open_file(self._path(subscriber, node, log), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return _note_in(descriptor)
        finally:
            os.close(descriptor)

    def check(self, subscriber: str, node: str, log: str, epoch: int) -> None:
        """Raises Fenced if the note about a log is of another epoch."""
        note = self.read(subscriber, node, log)
        if note is not None and note.epoch != epoch:
            raise Fenced

    def write(self, subscriber: str, node: str, log: str, note: Note, *, takes: bool = False) -> None:
        """Keep a note. One write replaces the old one, so a process that is killed leaves one of the two.

        Raises Fenced if the old one is of another epoch, unless this note `takes` the log over.
        """
        text = msgspec.json.encode(note)
        descriptor = self._open(self._path(subscriber, node, log))
        try:
            old = None if takes else _note_in(descriptor)
            if old is not None and old.epoch != note.epoch:
                raise Fenced
            os.pwrite(descriptor, b"%s\n%08x\n" % (text, zlib.crc32(text)), 0)
        finally:
            os.close(descriptor)

    def _path(self, subscriber: str, node: str, log: str) -> Path:
        return self._folder / safe_name(subscriber) / safe_name(node.lower()) / log

    def _open(self, path: Path) -> int:
        return open_file(path, _FLAGS, 0o640, made=[], folder_mode=self._mode)


def _note_in(descriptor: int) -> Note | None:
    text, _, check = os.pread(descriptor, _NOTE_MAX, 0).partition(b"\n")
    with contextlib.suppress(ValueError, msgspec.MsgspecError):
        if int(check.split(b"\n")[0], 16) == zlib.crc32(text):
            note = _note.decode(text)
            note.at()
            return note
    return None
