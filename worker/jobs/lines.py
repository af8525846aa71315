"""Reads the lines of a descriptor without a buffer of Python's.

A thread that waits in a buffered reader holds the reader's lock, and the interpreter aborts if it ends meanwhile.
"""

import os
from collections.abc import Iterator

_READ_BYTES = 1 << 16


class WorkerLines:
    """The lines from a descriptor, one after another, until its end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            while (end := self._read.find(b"\n")) >= 0:
                line = bytes(self._read[:end])
                del self._read[: end + 1]
                yield line
            if not (data := os.read(self._descriptor, _READ_BYTES)):
                return
            self._read += data
