"""Reads a rotated log that was compressed, from its beginning to its end. All calls here block."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from typing import IO, Any

from eccmgr.logs.collection.places import HEAD_MAX

_STEP = 1 << 20
_FAULTS = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class _OwnPlace(io.RawIOBase):
    """A descriptor that is read at a place of its own: descriptors that were made from each other share one."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._at = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}
        self._at = begin[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = os.preadv(self._descriptor, [buffer], self._at)
        self._at += size
        return size

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class CompressedReader:
    """Reads the bytes before the compression by their offsets; quick as long as the offsets rise."""

    def __init__(self, descriptor: int, opened: Callable[[IO[bytes]], IO[bytes]]) -> None:
        self._raw = io.BufferedReader(_OwnPlace(descriptor))
        self._opened = opened
        self._stream, self._at, self._kept = opened(self._raw), 0, b""
        """`_kept` are the bytes before `_at`, since a reader looks back a little."""
        self._head = b""
        """The first bytes, by which a file is known."""

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` on. Raises OSError if the file is damaged."""
        try:
            return self._read(size, offset)
        except _FAULTS as error:
            raise OSError(f"it cannot be decompressed: {error}") from error

    def _read(self, size: int, offset: int) -> bytes:
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        if offset < self._at - len(self._kept):
            self._raw.seek(0)
            self._stream, self._at, self._kept = self._opened(self._raw), 0, b""
        while self._at < offset + size:
            more = self._stream.read(min(_STEP, offset + size - self._at))
            if not more:
                break
            self._head = self._head or more[:HEAD_MAX]
            self._kept = (self._kept + more)[-(_STEP + size) :]
            self._at += len(more)
        begin = offset - (self._at - len(self._kept))
        return self._kept[begin : begin + size] if begin >= 0 else b""

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


Opener = Callable[[int], CompressedReader]
"""Makes a reader of a descriptor, which it then owns."""

_KINDS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda raw: io.BufferedReader(gzip.GzipFile(fileobj=raw, mode="rb")),
    ".bz2": lambda raw: io.BufferedReader(bz2.BZ2File(raw)),
    ".xz": lambda raw: io.BufferedReader(lzma.LZMAFile(raw)),  # noqa: SIM115
}


def opener_of(name: str) -> Opener | None:
    """The way to read a file of this name; None if the name is not that of a compressed file."""
    kind = next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), None)
    return None if kind is None else lambda descriptor: CompressedReader(descriptor, kind)
