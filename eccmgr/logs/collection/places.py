"""A place in a log: a file, known by more than its name, and an offset in it. Pure."""

import re
from dataclasses import dataclass
from hashlib import blake2b

HEAD_MAX = 512
"""A file is known by up to so many of its first bytes."""
MARK_MAX = 64
"""A place is known by up to so many bytes before it."""

_DUMPED = re.compile(r"(\d{1,15}) (\d{1,20}) (\d{1,20}) (\d{1,4}) ([0-9a-f]{16}) (\d{1,18}) ([0-9a-f]{16}) ([01])")


def digest(data: bytes) -> str:
    """The fingerprint of `data`."""
    return blake2b(data, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file: its device, its inode, and the fingerprint of its first `head` bytes.

    An inode is used again after its file is gone. The first bytes tell the new file from the old one, and find a copy.
    """

    device: int
    inode: int
    head: int
    fingerprint: str

    def begins(self, data: bytes) -> bool:
        """Whether a file that begins with `data` may be this one, or a copy of it."""
        return len(data) >= self.head and digest(data[: self.head]) == self.fingerprint


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A place in a log, between two of its bytes.

    A log is read file by file, and each file has a higher `turn` than those before it. `mark` is the fingerprint of the
    bytes before the place. A place may be `inside` a long line, which is sent in parts.
    """

    turn: int
    file: FileIdentity
    offset: int
    mark: str
    inside: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """Places are reached in this order."""
        return self.turn, self.offset

    def dump(self) -> str:
        """The place as a text."""
        file = self.file
        return (
            f"{self.turn} {file.device} {file.inode} {file.head} {file.fingerprint} "
            f"{self.offset} {self.mark} {int(self.inside)}"
        )

    @classmethod
    def parse(cls, text: str) -> "LogPlace":
        """The place in a text of `dump`. Raises ValueError."""
        if (read := _DUMPED.fullmatch(text)) is None:
            raise ValueError(f"not a place in a log: {text[:100]!r}")
        turn, device, inode, head, fingerprint, offset, mark, inside = read.groups()
        file = FileIdentity(int(device), int(inode), int(head), fingerprint)
        return cls(int(turn), file, int(offset), mark, inside == "1")
