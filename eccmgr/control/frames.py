"""Frames of the control protocol: encodes them, and decodes a stream of bytes.

A frame is a big-endian u16 type, a length (u16 for type 1, u32 for all others) and the payload.
This imports nothing slow, because the console in batch mode starts with it.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from eccmgr.errors import FrameError

SHORT = 1
"""A short command or answer, at most 65,535 bytes."""
LONG = 2
"""A long command or answer."""
AUTH = 16
"""A step of an authentication exchange, JSON."""
REQUEST = 17
"""A command with options, JSON."""
CHUNK = 18
"""Partial output or progress of a REQUEST, JSON."""
RESULT = 19
"""The end of a REQUEST, JSON."""

SHORT_MAX = 0xFFFF
FRAME_MAX = 0xFFFFFFFF
_KNOWN = frozenset((SHORT, LONG, AUTH, REQUEST, CHUNK, RESULT))
_TYPE = struct.Struct("!H")
_SHORT_HEAD = struct.Struct("!HH")
_LONG_HEAD = struct.Struct("!HI")


class Frame(NamedTuple):
    """One frame: its type and its payload."""

    kind: int
    payload: bytes


def encode(kind: int, payload: bytes) -> bytes:
    """Header and payload in one piece, so that one write sends both."""
    if kind == SHORT:
        return _SHORT_HEAD.pack(kind, len(payload)) + payload
    return _LONG_HEAD.pack(kind, len(payload)) + payload


def encode_text(text: str) -> bytes:
    """Encode a command or an answer in the smallest frame that holds it.

    Characters that UTF-8 cannot hold (a lone surrogate from a file name) are replaced by `?`.
    """
    payload = text.encode("utf-8", "replace")
    if len(payload) > FRAME_MAX:
        payload = b"Answer too long for a frame (%d bytes)" % len(payload)
    return encode(SHORT if len(payload) <= SHORT_MAX else LONG, payload)


def only_frame(data: bytes) -> bytes | None:
    """The payload of `data` if that is exactly one short frame."""
    if len(data) < _SHORT_HEAD.size:
        return None
    kind, length = _SHORT_HEAD.unpack_from(data)
    return data[_SHORT_HEAD.size :] if kind == SHORT and length == len(data) - _SHORT_HEAD.size else None


class Decoder:
    """Cuts a stream of bytes into frames.

    `limit` bounds the payload of a frame in bytes; it may be changed at any time. A frame over the limit, or of an
    unknown type, raises FrameError as soon as its header has arrived, without waiting for its payload.
    """

    def __init__(self, limit: int = FRAME_MAX) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes, and yield each frame that is now complete."""
        self.push(data)
        while (frame := self.pull()) is not None:
            yield frame

    @property
    def pending(self) -> int:
        """The number of bytes that are not part of a returned frame yet."""
        return len(self._buffer)

    def clear(self) -> None:
        """Throw these bytes away."""
        self._buffer = bytearray()

    def push(self, data: bytes) -> None:
        """Add bytes to the stream."""
        self._buffer += data

    def pull(self) -> Frame | None:
        """The next frame; None if it is not complete."""
        buffer = self._buffer
        if len(buffer) < _TYPE.size:
            return None
        (kind,) = _TYPE.unpack_from(buffer)
        if kind not in _KNOWN:
            raise FrameError(f"Unknown frame type {kind}")
        head = _SHORT_HEAD if kind == SHORT else _LONG_HEAD
        if len(buffer) < head.size:
            return None
        _, length = head.unpack_from(buffer)
        if length > self.limit:
            raise FrameError(f"Command too long ({length} bytes, limit {self.limit})")
        end = head.size + length
        if len(buffer) < end:
            return None
        payload = bytes(buffer[head.size : end])
        del buffer[:end]
        return Frame(kind, payload)
